//! Finds the elements of a JSON list, and JSON values that stand one after the other, without building them.

use std::fmt;

use serde::{Deserialize, de};
use serde_json::value::RawValue;

use crate::json::JsonError;

/// Several JSON values in one text.
pub(crate) struct JsonList<'a> {
    /// The texts of the first values, at most as many as were asked for.
    pub(crate) texts: Vec<&'a str>,
    /// How many values there are.
    pub(crate) count: usize,
}

impl<'a> JsonList<'a> {
    fn add(&mut self, text: &'a str, most: usize) {
        self.count += 1;
        if self.texts.len() < most {
            self.texts.push(text);
        }
    }
}

/// The texts of the first `most` elements of a JSON list. Their content is not checked.
///
/// # Errors
/// [`JsonError::NotJson`].
pub(crate) fn read_json_list(text: &str, most: usize) -> Result<JsonList<'_>, JsonError> {
    struct ListVisitor(usize);
    impl<'de> de::Visitor<'de> for ListVisitor {
        type Value = JsonList<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<JsonList<'de>, A::Error> {
            let mut all = JsonList {
                texts: Vec::new(),
                count: 0,
            };
            while let Some(element) = list.next_element::<&RawValue>()? {
                all.add(element.get(), self.0);
            }
            Ok(all)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let list = de::Deserializer::deserialize_seq(&mut reader, ListVisitor(most));
    list.and_then(|list| reader.end().map(|()| list))
        .map_err(|error| JsonError::NotJson(error.to_string()))
}

/// The texts of JSON objects that stand one after the other, as in JSON lines; `None` if the text is not of this form:
/// a whole object, and another that begins behind it. One that is broken ends at the end of its line.
pub(crate) fn read_json_lines(text: &str, most: usize) -> Option<JsonList<'_>> {
    let mut lines = JsonList {
        texts: Vec::new(),
        count: 0,
    };
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if lines.count == 1 && !rest.starts_with('{') {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(rest);
        let line = match <&RawValue>::deserialize(&mut reader) {
            Ok(value) => value.get(),
            Err(_) if lines.count == 0 => return None,
            Err(_) => rest.lines().next().unwrap_or(rest),
        };
        lines.add(line, most);
        rest = rest.get(line.len()..).unwrap_or_default().trim_start();
    }
    (lines.count > 1).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_a_list() {
        #[track_caller]
        fn check(text: &str, want: &str) {
            let got = match read_json_list(text, 3) {
                Ok(list) => format!("{}: {}", list.count, list.texts.join(" | ")),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, want, "{text}");
        }
        check("[]", "0: ");
        check(
            r#"[{"a":[1,2]}, "b,]", 3]"#,
            r#"3: {"a":[1,2]} | "b,]" | 3"#,
        );
        check("[1,2,3,4,5]", "5: 1 | 2 | 3");
        check(
            "[12345678901234567890123, 1.50]",
            "2: 12345678901234567890123 | 1.50",
        );
        check(
            "[1,]",
            "the payload is not JSON: trailing comma at line 1 column 4",
        );
        check(
            "[1] 2",
            "the payload is not JSON: trailing characters at line 1 column 5",
        );
    }

    #[test]
    fn objects_one_after_the_other() {
        #[track_caller]
        fn check(text: &str, want: &str) {
            let got = read_json_lines(text, 3);
            let got = got.map(|list| format!("{}: {}", list.count, list.texts.join(" | ")));
            assert_eq!(got.unwrap_or_else(|| "-".to_owned()), want, "{text}");
        }
        check("{\"a\":1}\n{\"b\":2}\n", "2: {\"a\":1} | {\"b\":2}");
        check("{\"a\":1}{\"b\":\"}{\"}", "2: {\"a\":1} | {\"b\":\"}{\"}");
        check("{\"a\":\n1}\r\n\r\n{}", "2: {\"a\":\n1} | {}");
        check("{}{}{}{}", "4: {} | {} | {}");
        // A broken line costs only itself.
        check("{}\n{\"a\":\n{}", "3: {} | {\"a\": | {}");
        check("{}\n{}\nx", "3: {} | {} | x");
        check("{}", "-");
        check("{} x", "-");
        check("{\"a\":\n{}", "-");
        check("", "-");
    }
}
