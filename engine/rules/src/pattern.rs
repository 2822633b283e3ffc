//! Compiles the patterns of `regex_match`.
//!
//! The service uses RE2 and matches the whole text. The `regex` crate has nearly the same
//! syntax. Where they differ, the pattern is rewritten to what it means in RE2: `\d`, `\w`,
//! `\s` and `\b` are ASCII only, `\Q…\E` quotes, `\<` is a `<`, and in a character class
//! `[`, `&&` and `~~` are not special.

use regex::{Regex, RegexBuilder};

/// The maximum size of a compiled pattern that is written in a rule, in bytes.
const WRITTEN: usize = 1 << 20;

/// The maximum size of a compiled pattern that comes from an event, in bytes. It is
/// compiled at each evaluation, so it must be small: no event may make a rule slow.
const COMPUTED: usize = 1 << 16;

/// Compiles a pattern that is written in a rule. The error says why it is invalid.
pub(crate) fn written(pattern: &str) -> Result<Regex, String> {
    compile(pattern, WRITTEN)
}

/// Compiles a pattern that comes from an event. `None` if it is invalid or too large.
pub(crate) fn computed(pattern: &str) -> Option<Regex> {
    compile(pattern, COMPUTED).ok()
}

fn compile(pattern: &str, limit: usize) -> Result<Regex, String> {
    let mut translation = Translation {
        rest: pattern,
        out: String::new(),
        groups: 0,
    };
    translation.run()?;
    RegexBuilder::new(&format!(r"\A(?:{})\z", translation.out))
        .size_limit(limit)
        .dfa_size_limit(limit)
        .nest_limit(64)
        .build()
        .map_err(|error| reason(&error))
}

/// The last line of the message of `regex`; the lines before it show the pattern.
fn reason(error: &regex::Error) -> String {
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
    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.open()?,
                ')' => self.close()?,
                _ => self.out.push(c),
            }
        }
        if self.groups > 0 {
            Err("unclosed group".to_owned())
        } else {
            Ok(())
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.next().ok_or("it ends in a single backslash")?;
        let meant = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => r"[\t\n\f\r ]",
            'S' => r"[^\t\n\f\r ]",
            'b' if !in_class => r"(?-u:\b)",
            'Q' if !in_class => &self.quoted(),
            '<' => "<",
            '>' => ">",
            _ => &format!("\\{c}"),
        };
        self.out.push_str(meant);
        Ok(())
    }

    /// The text before `\E`, or all the rest, as a pattern that matches exactly this text.
    fn quoted(&mut self) -> String {
        let (inner, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        regex::escape(inner)
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        self.copy("^");
        self.copy("]");
        while let Some(c) = self.next() {
            match c {
                ']' => {
                    self.out.push(c);
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.rest.starts_with(':') => self.named_class()?,
                '[' | '&' | '~' => self.out.extend(['\\', c]),
                '-' if self.rest.starts_with('-') => self.out.extend(['\\', c]),
                _ => self.out.push(c),
            }
        }
        Err("unclosed character class".to_owned())
    }

    /// Copies `[:alpha:]`. Its `[` has been read.
    fn named_class(&mut self) -> Result<(), String> {
        let end = self.rest.find(":]").ok_or("unclosed character class")?;
        let (name, rest) = self.rest.split_at(end + 2);
        self.out.push('[');
        self.out.push_str(name);
        self.rest = rest;
        Ok(())
    }

    fn copy(&mut self, text: &str) {
        if let Some(rest) = self.rest.strip_prefix(text) {
            self.out.push_str(text);
            self.rest = rest;
        }
    }

    /// Copies `(`. Of the flags after `(?` only those of RE2 are accepted, because others
    /// change the meaning of the text that is put around the pattern.
    fn open(&mut self) -> Result<(), String> {
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

    fn close(&mut self) -> Result<(), String> {
        self.groups = self.groups.checked_sub(1).ok_or("unopened group")?;
        self.out.push(')');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: &str, texts: &[&str]) {
        let regex = written(pattern).unwrap();
        for text in texts {
            assert!(regex.is_match(text), "{pattern} {text}");
        }
    }

    #[track_caller]
    fn refuses(pattern: &str, texts: &[&str]) {
        let regex = written(pattern).unwrap();
        for text in texts {
            assert!(!regex.is_match(text), "{pattern} {text}");
        }
    }

    #[track_caller]
    fn invalid(pattern: &str, want: &str) {
        assert_eq!(written(pattern).unwrap_err(), want, "{pattern}");
    }

    #[test]
    fn the_whole_text_matches() {
        matches("a|ab", &["a", "ab"]);
        refuses("a|b", &["ab", "a\n", "xa"]);
        refuses("^mystring", &["mystring2"]);
        refuses(".", &["\n", ""]);
    }

    #[test]
    fn classes_are_ascii_as_in_re2() {
        matches(r"\d\w\s\D\W\S", &["1a b-c"]);
        refuses(r"\d", &["٣"]);
        refuses(r"\w", &["é"]);
        matches(r"[\w-.]+@[^\D]", &["jo-e.x@5"]);
        matches(r"é\bé|\bab\b", &["ab"]);
    }

    #[test]
    fn re2_forms() {
        matches(r"\Qa.b\E+", &["a.b", "a.bb"]);
        matches(r"\Qa.(", &["a.("]);
        matches(r"\<b\>", &["<b>"]);
        matches(r"[[a&&b~~]+", &["[", "a&b~"]);
        matches(r"[]a^]+", &["]a^"]);
        matches(r"[[:digit:]x]+", &["1x"]);
        matches(r"(?i)ab(?-i:C)", &["ABC", "abC"]);
        matches(r"(?P<n>a)(?:b)", &["ab"]);
        matches(r"\x41\p{Greek}\z", &["Aλ"]);
    }

    #[test]
    fn invalid_patterns() {
        invalid("a)|(b", "unopened group");
        invalid("(a", "unclosed group");
        invalid("[a", "unclosed character class");
        invalid(r"a\", "it ends in a single backslash");
        invalid("(?x)a#", "unknown flag `x`");
        invalid(
            "(?=a)b",
            "look-around, including look-ahead and look-behind, is not supported",
        );
        invalid(r"(a)\1", "backreferences are not supported");
        invalid("a**)", "unopened group");
        invalid("*a", "repetition operator missing expression");
        invalid(
            "(?:a{1000}){1000}",
            "it compiles to more than 1048576 bytes",
        );
    }
}
