//! Texts in YAML.

/// A text that YAML reads as this text.
pub(super) fn quote_yaml(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-'))
        && !is_yaml_word(text);
    if is_plain {
        return text.to_owned();
    }
    // JSON's texts are YAML's texts in double quotation marks, but for the characters that YAML does not allow as they are.
    let quoted = serde_json::Value::from(text).to_string();
    let escape = |c: char| {
        if is_allowed(c) {
            c.to_string()
        } else {
            format!("\\u{:04x}", u32::from(c))
        }
    };
    quoted.chars().map(escape).collect()
}

/// The text of a file without the characters that YAML does not allow in comments, either.
pub(super) fn strip_forbidden(text: &str) -> String {
    text.chars().filter(|c| is_allowed(*c)).collect()
}

/// Whether YAML allows a character as it is (YAML 1.2.2, 5.1); a byte order mark only begins a file, and U+0085 is a line
/// break to some readers.
fn is_allowed(c: char) -> bool {
    !matches!(
        c,
        '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

/// Whether YAML reads a word as something else than text.
pub(super) fn is_yaml_word(word: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_is() {
        for text in [
            "/plain",
            "null",
            "1",
            "a: b",
            "# c",
            "\"",
            "back\\slash",
            "\u{90}",
            "\u{85}",
            "\u{ffff}",
            "line\nbreak",
            "Währung",
        ] {
            let read: String = serde_saphyr::from_str(&quote_yaml(text)).unwrap();
            assert_eq!(read, text);
        }
    }
}
