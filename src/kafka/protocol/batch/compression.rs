//! The codecs of a batch's payload, on the implementations that `kafka-protocol` brings.
//!
//! A payload comes from a stranger, and a few bytes of it can be told to unfold to gigabytes. Kafka's
//! readers unfold it as they go and stop nowhere; here payloads are unfolded whole, and within a bound.

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::compression::{Compressor, Gzip, Lz4, Snappy, Zstd};

use super::header::BatchError;

/// Bytes that any payload may unfold to: what the largest batch of a topic with the default
/// `max.message.bytes` holds at the best ratio that real records reach.
const PLAIN_BYTES: usize = 128 << 20;
/// The same for each packed byte of larger batches.
const PLAIN_PER_PACKED: usize = 128;
/// What `SnappyOutputStream` writes in front of its blocks: magic, version, compatible version.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER: usize = 16;

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
    pub(super) fn decompress(self, packed: Bytes) -> Result<Bytes, BatchError> {
        let most = PLAIN_BYTES.max(PLAIN_PER_PACKED.saturating_mul(packed.len()));
        self.decompress_within(packed, most)
    }

    fn decompress_within(self, packed: Bytes, most: usize) -> Result<Bytes, BatchError> {
        let plain = match self {
            Compression::None => return Ok(packed),
            Compression::Gzip => read_within(flate2::read::GzDecoder::new(&packed[..]), most),
            Compression::Snappy => unpack_snappy(packed, most),
            Compression::Lz4 => lz4::Decoder::new(&packed[..]).and_then(|it| read_within(it, most)),
            Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&packed[..])
                .and_then(|decoder| read_within(decoder, most)),
        };
        plain.map(Bytes::from).map_err(|error| BatchError::BadCompression {
            codec: self.name(),
            reason: error.to_string(),
        })
    }
}

fn too_large(most: usize) -> io::Error {
    io::Error::other(format!("it unfolds to more than {most} bytes"))
}

fn read_within(decoder: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.take(most as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > most { Err(too_large(most)) } else { Ok(plain) }
}

/// Blocks behind a header, as Java writes them, or a single block. Each says what it unfolds to.
fn unpack_snappy(mut packed: Bytes, most: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut unpack = |block: &[u8]| {
        let (start, length) = (plain.len(), snap::raw::decompress_len(block)?);
        if length > most - start {
            return Err(too_large(most));
        }
        plain.resize(start + length, 0);
        snap::raw::Decoder::new().decompress(block, &mut plain[start..])?;
        Ok(())
    };
    if packed.len() < XERIAL_HEADER || !packed.starts_with(XERIAL_MAGIC) {
        unpack(&packed)?;
        return Ok(plain);
    }
    packed.advance(XERIAL_HEADER);
    while !packed.is_empty() {
        let length = packed.try_get_u32()? as usize;
        let block = packed.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
        unpack(block)?;
        packed.advance(length);
    }
    Ok(plain)
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

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::{Compression, PLAIN_BYTES};

    fn packed(codec: Compression, plain: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        codec.compress(plain.into(), &mut out);
        out.freeze()
    }

    #[test]
    fn a_payload_unfolds_up_to_its_bound_and_no_further() {
        for codec in &Compression::ALL[1..] {
            let packed = packed(*codec, &[0; 200_000]);
            let plain = codec.decompress_within(packed.clone(), 200_000).unwrap();
            assert_eq!(plain.len(), 200_000);
            let error = codec.decompress_within(packed, 199_999).unwrap_err();
            assert!(error.to_string().contains("more than 199999 bytes"), "{error}");
        }
    }

    #[test]
    fn a_small_payload_cannot_ask_for_gigabytes() {
        let bomb = packed(Compression::Zstd, &vec![0; PLAIN_BYTES + 1]);
        assert!(bomb.len() < 100_000 && Compression::Zstd.decompress(bomb).is_err());
        let announced = Bytes::from_static(&[255, 255, 255, 255, 15, 0]);
        assert!(Compression::Snappy.decompress(announced).is_err());
    }

    #[test]
    fn a_single_block_of_snappy_is_opened_as_well() {
        let block = snap::raw::Encoder::new().compress_vec(&[7; 100]).unwrap();
        let plain = Compression::Snappy.decompress(block.into()).unwrap();
        assert_eq!(plain, [7; 100][..]);
        assert!(Compression::Snappy.decompress(Bytes::new()).is_err());
    }
}
