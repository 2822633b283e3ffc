//! What a person writes: a name, a reason, a note.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The most characters of a name.
const LONGEST_NAME: usize = 64;
/// The most characters of a reason or a note.
const LONGEST_TEXT: usize = 1000;

/// Who reviews. Two names that differ only in capital letters are one person.
#[derive(Clone, Debug)]
pub struct PersonName(String);

/// A reason or a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseText(String);

/// A text that is no name, reason or note.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// Nothing is written.
    #[error("it is empty; write {0}")]
    Empty(&'static str),
    /// It is too long.
    #[error("it has {found} characters; write at most {most}")]
    TooLong {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// It has a line break or another control character.
    #[error("it has a control character; write one line")]
    ControlCharacter,
}

fn read_line(text: &str, what: &'static str, most: usize) -> Result<String, InvalidText> {
    let text = text.trim();
    let found = text.chars().count();
    if text.is_empty() {
        return Err(InvalidText::Empty(what));
    }
    if found > most {
        return Err(InvalidText::TooLong { found, most });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(text.to_owned())
}

impl FromStr for PersonName {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read_line(text, "your name, such as ana", LONGEST_NAME).map(Self)
    }
}

impl FromStr for CaseText {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read_line(text, "why, in a sentence", LONGEST_TEXT).map(Self)
    }
}

impl PersonName {
    /// Whether this is the person with that stored name.
    pub fn is(&self, stored: &str) -> bool {
        self.0.to_lowercase() == stored.to_lowercase()
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CaseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_one_line() {
        for (text, want) in [
            (" ana ", "ana"),
            ("", "it is empty; write your name, such as ana"),
            ("  ", "it is empty; write your name, such as ana"),
            ("a\nb", "it has a control character; write one line"),
            (&"x".repeat(65), "it has 65 characters; write at most 64"),
        ] {
            let got = text.parse::<PersonName>();
            let got = got.map_or_else(|error| error.to_string(), |name| name.to_string());
            assert_eq!(got, want, "{text:?}");
        }
        assert!("Ana".parse::<PersonName>().unwrap().is("aNA"));
    }
}
