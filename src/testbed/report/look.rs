//! How a report looks on the page: its width, its signs and its colours.
//!
//! Reports are written in Unicode with colour escapes; [`Look::finish`] turns the signs into ASCII where
//! that was asked for, and the writer (anstream) drops the colours where nobody can see them. A colour
//! never says anything alone: every coloured word carries a sign or is plain by itself.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Which characters may appear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signs {
    Unicode,
    /// One ASCII character for each sign, so that columns stay aligned.
    Ascii,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Columns of the page.
    pub width: usize,
    pub signs: Signs,
}

impl Look {
    /// Width of a page whose terminal is not known.
    pub const DEFAULT_WIDTH: usize = 100;
    /// Narrower pages are laid out as if they had this width: columns below it say nothing.
    pub const MIN_WIDTH: usize = 60;

    pub fn new(width: usize, signs: Signs) -> Self {
        Look { width: width.max(Self::MIN_WIDTH), signs }
    }

    /// The text as the page can show it.
    pub fn finish(&self, text: String) -> String {
        match self.signs {
            Signs::Unicode => text,
            Signs::Ascii => text.chars().map(ascii).collect(),
        }
    }
}

fn ascii(sign: char) -> char {
    match sign {
        '✓' => '+',
        '✗' => 'x',
        '●' => 'o',
        '·' | '○' => '.',
        '▶' => '>',
        '■' => '#',
        '│' | '‖' => '|',
        '←' => '<',
        '→' => '>',
        '⋮' => ':',
        '…' => '~',
        '×' => 'x',
        '’' => '\'',
        '—' | '–' => '-',
        other => other,
    }
}

/// What a coloured word means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Doubt,
    Dim,
    Strong,
    Accent,
}

impl Tone {
    fn style(self) -> Style {
        let style = Style::new();
        match self {
            Tone::Plain => style,
            Tone::Good => style.fg_color(Some(AnsiColor::Green.into())),
            Tone::Bad => style.fg_color(Some(AnsiColor::Red.into())).bold(),
            Tone::Doubt => style.fg_color(Some(AnsiColor::Yellow.into())),
            Tone::Dim => style.dimmed(),
            Tone::Strong => style.bold(),
            Tone::Accent => style.fg_color(Some(AnsiColor::Cyan.into())),
        }
    }

    /// The text in this tone, filled with unpainted blanks to `width` columns.
    pub fn cell(self, text: &str, width: usize) -> String {
        let missing = width.saturating_sub(width_of(text));
        format!("{}{:missing$}", self.paint(text), "")
    }

    /// The text in this tone. Escapes have no width: see [`Tone::cell`] for columns.
    pub fn paint(self, text: &str) -> String {
        let style = self.style();
        if style.is_plain() || text.trim().is_empty() {
            text.to_owned()
        } else {
            format!("{}{text}{}", style.render(), style.render_reset())
        }
    }
}

/// Columns a text takes.
pub(super) fn width_of(text: &str) -> usize {
    text.width()
}

/// `text` filled with blanks to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(width_of(text));
    format!("{text}{:missing$}", "")
}

/// Lines of at most `width` columns, broken between words, or inside a word of wide characters (Chinese has
/// no blanks); any other longer word stays whole. Line ends in the text count as blanks, an empty line as
/// the end of a paragraph.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.trim().split("\n\n") {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let mut blank = if line.is_empty() { "" } else { " " };
            for piece in pieces(word) {
                if !line.is_empty() && width_of(&line) + blank.len() + width_of(piece) > width {
                    lines.push(std::mem::take(&mut line));
                    blank = "";
                }
                line.push_str(blank);
                line.push_str(piece);
                blank = "";
            }
        }
        lines.push(line);
    }
    lines
}

/// Where a word may be broken: before and behind each wide character.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_wide(first) {
            first.len_utf8()
        } else {
            rest.find(is_wide).unwrap_or(rest.len())
        };
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        Some(piece)
    })
}

fn is_wide(sign: char) -> bool {
    sign.width() == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wraps_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one\ntwo\n\nthree", 20), ["one two", "three"]);
        assert_eq!(wrap("a-very-long-word is whole", 6), ["a-very-long-word", "is", "whole"]);
        assert_eq!(wrap("", 6), [""]);
    }

    #[test]
    fn wide_characters_take_two_columns_and_wrap_anywhere() {
        assert_eq!(width_of("位移 ✗"), 6);
        assert_eq!(pad("位移", 6), "位移  ");
        assert_eq!(wrap("先提交位移commit再处理", 10), ["先提交位移", "commit再处", "理"]);
    }

    #[test]
    fn every_sign_has_one_ascii_character() {
        let look = Look::new(80, Signs::Ascii);
        let signs = "✓✗●·○▶■│‖←→⋮…×";
        let text = look.finish(signs.to_owned());
        assert!(text.is_ascii(), "{text}");
        assert_eq!(text.len(), signs.chars().count());
    }
}
