//! What `serve` says: lines for people, or one JSON object per line for programs.
//!
//! Standard output has one line per broker once it is ready and one when all have stopped; the JSON lines have
//! the shape of the other verbs' (`"v": 1`, `type`).

use std::{io, path::Path};

use serde::Serialize;

use crate::{cli::streams::Streams, env::Address};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Text,
    JsonLines,
}

/// Version of the lines' shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    #[serde(flatten)]
    what: &'a Said<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(super) enum Said<'a> {
    BrokerReady {
        broker: i32,
        /// What clients are told, and may be given as bootstrap server.
        #[serde(serialize_with = "as_text")]
        address: &'a Address,
        #[serde(serialize_with = "as_text")]
        listening: &'a Address,
        data: &'a Path,
    },
    Stopped,
}

fn as_text<S: serde::Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

impl Said<'_> {
    fn text(&self) -> String {
        match self {
            Said::BrokerReady { broker, address, listening, data } => {
                let data = data.display();
                let at = if address == listening {
                    String::new()
                } else {
                    format!(", listening on {listening}")
                };
                format!("broker {broker} is ready at {address}{at}, data in {data}\n")
            }
            Said::Stopped => "stopped: everything is on the disk\n".into(),
        }
    }
}

/// Says it at once: whoever waits for a broker reads this.
pub(super) fn say(streams: &mut Streams, format: Format, what: &Said) -> io::Result<()> {
    let text = match format {
        Format::Text => what.text(),
        Format::JsonLines => {
            let line = serde_json::to_string(&Line { v: VERSION, what });
            line.map_err(io::Error::from)? + "\n"
        }
    };
    streams.print(&text)?;
    streams.out.flush()
}
