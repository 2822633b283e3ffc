//! Compiles the patterns of `regex_match`.
//!
//! The service uses RE2 and matches the whole text. The `regex` crate has nearly the same
//! syntax. Where they differ, the pattern is rewritten to what it means in RE2: `\d`, `\w`,
//! `\s` and `\b` are ASCII only, `\Q…\E` quotes, `\<` is a `<`, and in a character class
//! `[`, `&&` and `~~` are not special.

use regex::{Regex, RegexBuilder};

/// The maximum size of a compiled pattern that is written in a rule, in bytes.
const MAX_LITERAL_BYTES: usize = 1 << 20;

/// The maximum size of a compiled pattern that comes from an event, in bytes. It is
/// compiled at each evaluation, so it must be small: no event may make a rule slow.
const MAX_EVENT_BYTES: usize = 1 << 16;

/// Compiles a pattern that is written in a rule. The error says why it is invalid.
pub(crate) fn compile_literal_pattern(pattern: &str) -> Result<Regex, String> {
    compile_pattern(pattern, MAX_LITERAL_BYTES)
}

/// Compiles a pattern that comes from an event. `None` if it is invalid or too large.
pub(crate) fn compile_event_pattern(pattern: &str) -> Option<Regex> {
    compile_pattern(pattern, MAX_EVENT_BYTES).ok()
}

fn compile_pattern(pattern: &str, limit: usize) -> Result<Regex, String> {
    let mut translation = Translation {
        rest: pattern,
        out: String::new(),
        groups: 0,
    };
    translation.translate()?;
    RegexBuilder::new(&format!(r"\A(?:{})\z", translation.out))
        .size_limit(limit)
        .dfa_size_limit(limit)
        .nest_limit(64)
        .build()
        .map_err(|error| describe_error(&error))
}

/// The last line of the message of `regex`; the lines before it show the pattern.
fn describe_error(error: &regex::Error) -> String {
    let text = error.to_string();
    if let regex::Error::CompiledTooBig(limit) = error {
        return format!("it compiles to more than {limit} bytes");
    }
    let last = text.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
    groups: usize,
}

impl Translation<'_> {
    fn translate(&mut self) -> Result<(), String> {
        while let Some(c) = self.next_char() {
            match c {
                '\\' => self.translate_escape(false)?,
                '[' => self.translate_class()?,
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                _ => self.out.push(c),
            }
        }
        if self.groups > 0 {
            Err("unclosed group".to_owned())
        } else {
            Ok(())
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn translate_escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.next_char().ok_or("it ends in a single backslash")?;
        let meant = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => r"[\t\n\f\r ]",
            'S' => r"[^\t\n\f\r ]",
            'b' if !in_class => r"(?-u:\b)",
            'Q' if !in_class => &self.translate_quoted(),
            '<' => "<",
            '>' => ">",
            _ => &format!("\\{c}"),
        };
        self.out.push_str(meant);
        Ok(())
    }

    /// The text before `\E`, or all the rest, as a pattern that matches exactly this text.
    fn translate_quoted(&mut self) -> String {
        let (inner, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        regex::escape(inner)
    }

    fn translate_class(&mut self) -> Result<(), String> {
        self.out.push('[');
        self.copy_prefix("^");
        self.copy_prefix("]");
        while let Some(c) = self.next_char() {
            match c {
                ']' => {
                    self.out.push(c);
                    return Ok(());
                }
                '\\' => self.translate_escape(true)?,
                '[' if self.rest.starts_with(':') => self.copy_named_class()?,
                '[' | '&' | '~' => self.out.extend(['\\', c]),
                '-' if self.rest.starts_with('-') => self.out.extend(['\\', c]),
                _ => self.out.push(c),
            }
        }
        Err("unclosed character class".to_owned())
    }

    /// Copies `[:alpha:]`. Its `[` has been read.
    fn copy_named_class(&mut self) -> Result<(), String> {
        let end = self.rest.find(":]").ok_or("unclosed character class")?;
        let (name, rest) = self.rest.split_at(end + 2);
        self.out.push('[');
        self.out.push_str(name);
        self.rest = rest;
        Ok(())
    }

    fn copy_prefix(&mut self, text: &str) {
        if let Some(rest) = self.rest.strip_prefix(text) {
            self.out.push_str(text);
            self.rest = rest;
        }
    }

    /// Copies `(`. Of the flags after `(?` only those of RE2 are accepted, because others
    /// change the meaning of the text that is put around the pattern.
    fn open_group(&mut self) -> Result<(), String> {
        self.groups += 1;
        self.out.push('(');
        let Some(group) = self.rest.strip_prefix('?') else {
            return Ok(());
        };
        let length = group.find(|c: char| !c.is_ascii_alphabetic() && c != '-');
        let (flags, rest) = group.split_at(length.unwrap_or(group.len()));
        let foreign = flags.chars().find(|flag| !"imsU-".contains(*flag));
        match foreign {
            Some(flag) if rest.starts_with([':', ')']) => Err(format!("unknown flag `{flag}`")),
            _ => Ok(()),
        }
    }

    fn close_group(&mut self) -> Result<(), String> {
        self.groups = self.groups.checked_sub(1).ok_or("unopened group")?;
        self.out.push(')');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_matches_all(pattern: &str, texts: &[&str]) {
        let regex = compile_literal_pattern(pattern).unwrap();
        for text in texts {
            assert!(regex.is_match(text), "{pattern} {text}");
        }
    }

    #[track_caller]
    fn assert_matches_none(pattern: &str, texts: &[&str]) {
        let regex = compile_literal_pattern(pattern).unwrap();
        for text in texts {
            assert!(!regex.is_match(text), "{pattern} {text}");
        }
    }

    #[track_caller]
    fn assert_invalid(pattern: &str, want: &str) {
        assert_eq!(
            compile_literal_pattern(pattern).unwrap_err(),
            want,
            "{pattern}"
        );
    }

    #[test]
    fn the_whole_text_matches() {
        assert_matches_all("a|ab", &["a", "ab"]);
        assert_matches_none("a|b", &["ab", "a\n", "xa"]);
        assert_matches_none("^mystring", &["mystring2"]);
        assert_matches_none(".", &["\n", ""]);
    }

    #[test]
    fn classes_are_ascii_as_in_re2() {
        assert_matches_all(r"\d\w\s\D\W\S", &["1a b-c"]);
        assert_matches_none(r"\d", &["٣"]);
        assert_matches_none(r"\w", &["é"]);
        assert_matches_all(r"[\w-.]+@[^\D]", &["jo-e.x@5"]);
        assert_matches_all(r"é\bé|\bab\b", &["ab"]);
    }

    #[test]
    fn forms_of_re2_are_translated() {
        assert_matches_all(r"\Qa.b\E+", &["a.b", "a.bb"]);
        assert_matches_all(r"\Qa.(", &["a.("]);
        assert_matches_all(r"\<b\>", &["<b>"]);
        assert_matches_all(r"[[a&&b~~]+", &["[", "a&b~"]);
        assert_matches_all(r"[]a^]+", &["]a^"]);
        assert_matches_all(r"[[:digit:]x]+", &["1x"]);
        assert_matches_all(r"(?i)ab(?-i:C)", &["ABC", "abC"]);
        assert_matches_all(r"(?P<n>a)(?:b)", &["ab"]);
        assert_matches_all(r"\x41\p{Greek}\z", &["Aλ"]);
    }

    #[test]
    fn invalid_patterns_are_errors() {
        assert_invalid("a)|(b", "unopened group");
        assert_invalid("(a", "unclosed group");
        assert_invalid("[a", "unclosed character class");
        assert_invalid(r"a\", "it ends in a single backslash");
        assert_invalid("(?x)a#", "unknown flag `x`");
        assert_invalid(
            "(?=a)b",
            "look-around, including look-ahead and look-behind, is not supported",
        );
        assert_invalid(r"(a)\1", "backreferences are not supported");
        assert_invalid("a**)", "unopened group");
        assert_invalid("*a", "repetition operator missing expression");
        assert_invalid(
            "(?:a{1000}){1000}",
            "it compiles to more than 1048576 bytes",
        );
    }
}
