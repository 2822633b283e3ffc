//! The errors of a rule: what is wrong, where, and how to correct it.

use std::fmt;

/// A part of a rule's text, as byte offsets: `start` is included, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The offset of the first byte.
    pub start: usize,
    /// The offset after the last byte.
    pub end: usize,
}

impl Span {
    /// From the start of `self` to the end of `last`.
    pub(crate) fn to(self, last: Self) -> Self {
        Self {
            start: self.start,
            end: last.end,
        }
    }

    /// Whether this is a part of `other`, and no insertion at one of its ends.
    fn is_within(self, other: Self) -> bool {
        let inside = other.start <= self.start && self.end <= other.end;
        let at_an_end = self.start == other.end || self.end == other.start;
        inside && self != other && !at_an_end
    }

    /// The empty part before `self`.
    pub(crate) fn before(self) -> Self {
        Self {
            start: self.start,
            end: self.start,
        }
    }

    /// The empty part after `self`.
    pub(crate) fn after(self) -> Self {
        Self {
            start: self.end,
            end: self.end,
        }
    }

    /// The marked part of `text`; empty if the span does not fit it.
    pub(crate) fn slice(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// One error in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Where in the text.
    pub span: Span,
    /// What is wrong and how to correct it: one line that starts in lower case and quotes
    /// only the wrong token of the rule.
    pub message: String,
    /// The replacements that follow the advice of the message; empty where the author has to choose.
    pub correction: Vec<Replacement>,
}

/// A part of a rule's text, and what to write in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// What is replaced; empty to insert.
    pub span: Span,
    /// What is right.
    pub text: String,
}

impl RuleProblem {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            correction: Vec::new(),
        }
    }

    /// Adds a part of the correction.
    pub(crate) fn replacing(mut self, span: Span, text: impl Into<String>) -> Self {
        let text = text.into();
        self.correction.push(Replacement { span, text });
        self
    }

    /// Adds parentheses around a part of the text, the opening one with what stands before it.
    pub(crate) fn enclosing(self, span: Span, opening: &str) -> Self {
        self.replacing(span.before(), opening)
            .replacing(span.after(), ")")
    }
}

/// All errors of a rule: at least one, in text order.
///
/// `Display` shows each problem under the line it is in:
/// ```
/// let error = rules::parse_expression("$amount > 100 & $country = \"US\"").unwrap_err();
/// assert_eq!(error.to_string(), "\
/// `&` is not an operator; write `and`
/// 1 | $amount > 100 & $country = \"US\"
///   |               ^
/// `=` is not an operator; write `==`
/// 1 | $amount > 100 & $country = \"US\"
///   |                          ^");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    text: Box<str>,
    problems: Vec<RuleProblem>,
}

impl std::error::Error for Errors {}

impl Errors {
    pub(crate) fn new(text: &str, mut problems: Vec<RuleProblem>) -> Self {
        problems.sort_by_key(|problem| problem.span);
        Self {
            text: text.into(),
            problems,
        }
    }

    /// The problems, in text order.
    pub fn problems(&self) -> &[RuleProblem] {
        &self.problems
    }

    /// The text with all advice followed. `None` if a problem has no correction.
    ///
    /// ```
    /// let error = rules::parse_expression("$amount>100&&$country = 'US'").unwrap_err();
    /// assert_eq!(error.correct_text().unwrap(), "$amount>100 and $country == \"US\"");
    /// ```
    pub fn correct_text(&self) -> Option<String> {
        let is_clear = |problem: &RuleProblem| !problem.correction.is_empty();
        if !self.problems.iter().all(is_clear) {
            return None;
        }
        let corrections = self.problems.iter().flat_map(|problem| &problem.correction);
        let mut replacements: Vec<&Replacement> = corrections.collect();
        replacements.sort_by_key(|replacement| replacement.span);
        let spans: Vec<Span> = replacements.iter().map(|one| one.span).collect();
        // The replacement of a whole call contains what is right for its parts.
        replacements.retain(|one| !spans.iter().any(|other| one.span.is_within(*other)));
        let mut corrected = String::with_capacity(self.text.len());
        let mut at = 0;
        for Replacement { span, text } in replacements {
            push_apart(&mut corrected, self.text.get(at..span.start)?);
            push_apart(&mut corrected, text);
            at = span.end;
        }
        push_apart(&mut corrected, self.text.get(at..)?);
        Some(corrected)
    }

    /// One message for each problem, which starts with its line and column:
    /// ``at 1:5: there is no variable `$scor`; did you mean `$score`?``
    pub fn messages(&self) -> Vec<String> {
        let sentence = |problem: &RuleProblem| {
            let excerpt = LineExcerpt::locate(problem.span, &self.text);
            format!(
                "at {}:{}: {}",
                excerpt.line, excerpt.column, problem.message
            )
        };
        self.problems.iter().map(sentence).collect()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", problem.message)?;
            LineExcerpt::locate(problem.span, &self.text).write_with_carets(f)?;
        }
        Ok(())
    }
}

/// Appends a text, with a space before it where two words would become one: `&&` needs none, `and` does.
fn push_apart(text: &mut String, more: &str) {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    if text.ends_with(is_letter) && more.starts_with(|c| is_letter(c) || c == '$') {
        text.push(' ');
    }
    text.push_str(more);
}

/// How many characters of a long line are shown before and after the marked part.
const CONTEXT: usize = 60;

/// The line of a span, and the position of the span in it: line and column are counted
/// from 1, in characters.
struct LineExcerpt<'a> {
    line: usize,
    column: usize,
    width: usize,
    text: &'a str,
}

impl<'a> LineExcerpt<'a> {
    fn locate(span: Span, text: &'a str) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let column = text[start..before.len()].chars().count();
        let marked = span.slice(text).lines().next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            width: marked.chars().count().max(1),
            text: line,
        }
    }

    fn write_with_carets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.column.saturating_sub(1 + CONTEXT);
        let width = self.width.min(CONTEXT);
        let shown = self.column - 1 - hidden + width + CONTEXT;
        let ellipsis = |cut: bool| if cut { "…" } else { "" };
        let end = hidden + shown < self.text.chars().count();
        // A tab would be wider than one column, and the carets would stand in the wrong place.
        let text: String = self
            .text
            .chars()
            .skip(hidden)
            .take(shown)
            .map(replace_control_character)
            .collect();
        let (left, right) = (ellipsis(hidden > 0), ellipsis(end));
        let indent = self.column - 1 - hidden + left.chars().count();
        let number = self.line.to_string();
        writeln!(f, "{number} | {left}{text}{right}")?;
        write!(f, "{:1$} | {2:3$}", "", number.len(), "", indent)?;
        write!(f, "{:^<1$}", "", width)
    }
}

fn replace_control_character(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// The first 40 characters of `text`, with `…` if it is longer.
pub(crate) fn clip_text(text: &str) -> String {
    const LONGEST: usize = 40;
    let short: String = text
        .chars()
        .take(LONGEST)
        .map(replace_control_character)
        .collect();
    if short.len() < text.len() {
        format!("{short}…")
    } else {
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, span: (usize, usize), want: &str) {
        let span = Span {
            start: span.0,
            end: span.1,
        };
        let errors = Errors::new(text, vec![RuleProblem::new(span, "wrong")]);
        assert_eq!(errors.to_string(), want);
    }

    #[test]
    fn carets_stand_under_the_text() {
        check("$a > 1", (3, 4), "wrong\n1 | $a > 1\n  |    ^");
        check(
            "\t\"é\" > $b",
            (8, 10),
            "wrong\n1 |  \"é\" > $b\n  |        ^^",
        );
        check("$a > 1\nand $b", (11, 13), "wrong\n2 | and $b\n  |     ^^");
        check("$a >", (4, 4), "wrong\n1 | $a >\n  |     ^");
        check("", (0, 0), "wrong\n1 | \n  | ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}$b{}", "a".repeat(100), "c".repeat(100));
        let want = format!(
            "wrong\n1 | …{}$b{}…\n  | {}^^",
            "a".repeat(60),
            "c".repeat(60),
            " ".repeat(61)
        );
        check(&text, (100, 102), &want);
    }

    #[test]
    fn messages_name_line_and_column() {
        let span = Span { start: 11, end: 13 };
        let errors = Errors::new("$a > 1\nand $b", vec![RuleProblem::new(span, "wrong")]);
        assert_eq!(errors.messages(), ["at 2:5: wrong"]);
    }
}
