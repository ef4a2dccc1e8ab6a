//! The prediction before the run: what one has guessed wrong, one remembers.

use std::io;

use super::streams::Streams;
use crate::testbed::scenario::Prediction;

/// Asks until an option's number is given; nothing if nobody answers.
pub(super) fn ask(predict: &Prediction, streams: &mut Streams) -> io::Result<Option<usize>> {
    streams.print(&format!("    {}\n", predict.ask))?;
    for (index, option) in predict.options.iter().enumerate() {
        streams.print(&format!("      {}) {option}\n", index + 1))?;
    }
    loop {
        streams.print("    your answer: ")?;
        streams.out.flush()?;
        let mut line = String::new();
        if streams.input.read_line(&mut line)? == 0 {
            streams.print("\n")?;
            return Ok(None);
        }
        match line.trim().parse() {
            Ok(answer) if (1..=predict.options.len()).contains(&answer) => {
                streams.print("\n")?;
                return Ok(Some(answer));
            }
            _ => streams.print(&format!("    a number from 1 to {}\n", predict.options.len()))?,
        }
    }
}

/// What was said beside what was so.
pub(super) fn compare(predict: &Prediction, answer: usize) -> String {
    let option = |number: usize| &predict.options[number - 1];
    if answer == predict.answer {
        format!("\n    You said {}, and so it was.\n", option(answer))
    } else {
        format!("\n    You said {}. It was {}.\n", option(answer), option(predict.answer))
    }
}
