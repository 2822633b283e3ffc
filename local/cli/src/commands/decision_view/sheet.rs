//! Lines of a name and a text, the names in a column of their own.

use std::fmt::Write as _;

/// Width of the column of names.
const NAMES: usize = 12;
/// Width of the texts that are wrapped.
const TEXT: usize = 100;

/// A text of such lines. A name that is repeated is written once.
#[derive(Debug)]
pub(super) struct Sheet {
    text: String,
    last_name: String,
}

impl Sheet {
    /// Begins with a title.
    pub(super) fn new(title: &str) -> Self {
        Self {
            text: format!("{title}\n"),
            last_name: String::new(),
        }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, name: &str, text: &str) {
        let shown = if self.last_name == name { "" } else { name };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "  {shown:<NAMES$}{text}");
        name.clone_into(&mut self.last_name);
    }

    /// Adds several short texts, as many on a line as there is room for.
    pub(super) fn wrapped(&mut self, name: &str, texts: impl IntoIterator<Item = String>) {
        let mut line = String::new();
        for text in texts {
            if !line.is_empty() && line.chars().count() + text.chars().count() > TEXT {
                self.line(name, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push_str(" | ");
            }
            line.push_str(&text);
        }
        if !line.is_empty() {
            self.line(name, &line);
        }
    }

    /// Begins a new group of lines.
    pub(super) fn group(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
        self.last_name.clear();
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_once_and_short_texts_share_a_line() {
        let mut sheet = Sheet::new("title");
        sheet.line("because", "one");
        sheet.line("because", "two");
        sheet.group();
        sheet.group();
        let long = "x".repeat(60);
        sheet.wrapped("variables", ["a 1".to_owned(), long.clone(), long.clone()]);
        sheet.wrapped("none", []);
        let want = format!(
            "title\n  because     one\n              two\n\n  variables   a 1 | {long}\n              {long}\n"
        );
        assert_eq!(sheet.into_text(), want);
    }
}
