//! The codecs of a batch's payload, on the implementations that `kafka-protocol` brings.

use std::{fmt, str::FromStr};

use bytes::{Bytes, BytesMut};
use kafka_protocol::compression::{Compressor, Decompressor, Gzip, Lz4, Snappy, Zstd};

use super::header::BatchError;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    pub fn id(self) -> i16 {
        self as i16
    }

    pub fn from_id(id: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// As `compression.type` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Appends the compressed form of `plain` to `out`.
    pub(super) fn compress(self, plain: BytesMut, out: &mut BytesMut) {
        // The crate hands over a buffer to encode into; the records are there already.
        let fill = |buffer: &mut BytesMut| {
            buffer.unsplit(plain);
            Ok(())
        };
        let done = match self {
            Compression::None => fill(out),
            Compression::Gzip => Gzip::compress(out, fill),
            Compression::Snappy => Snappy::compress(out, fill),
            Compression::Lz4 => Lz4::compress(out, fill),
            Compression::Zstd => Zstd::compress(out, fill),
        };
        done.expect("compressing from memory into memory has nothing to fail on");
    }

    /// The plain form of `packed`; shares its memory if it was not compressed.
    pub(super) fn decompress(self, mut packed: Bytes) -> Result<Bytes, BatchError> {
        let take = |plain: &mut Bytes| Ok(std::mem::take(plain));
        let plain = match self {
            Compression::None => return Ok(packed),
            Compression::Gzip => Gzip::decompress(&mut packed, take),
            Compression::Snappy => Snappy::decompress(&mut packed, take),
            Compression::Lz4 => Lz4::decompress(&mut packed, take),
            Compression::Zstd => Zstd::decompress(&mut packed, take),
        };
        plain.map_err(|error| BatchError::BadCompression {
            codec: self.name(),
            reason: error.to_string(),
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| format!("no compression is called `{name}`"))
    }
}
