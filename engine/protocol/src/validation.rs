//! Checks a request against the service model.
//!
//! A wrong JSON type is reported at once (`SerializationException`). Everything else is collected into one
//! `ValidationException`, in the words of AWS. Values of sensitive shapes are never quoted.

use std::fmt::Write as _;

use serde_json::Value;

use crate::error::{Error, ErrorCode, Result};
use crate::operation::Operation;
use crate::shapes::{Member, Shape, TextShape};

/// The most violations in one message; a list may have 100,000 invalid elements.
const MOST_REPORTED: usize = 20;
/// The longest value that is quoted, in characters.
const LONGEST_QUOTE: usize = 256;

/// Checks `input` against the shape of an operation's input.
///
/// # Errors
/// `SerializationException` for a wrong JSON type, otherwise `ValidationException` with every violation.
pub fn validate(operation: Operation, input: &Value) -> Result<()> {
    validate_members(operation.input(), input)
}

fn validate_members(members: &'static [Member], input: &Value) -> Result<()> {
    let mut checker = ShapeChecker {
        path: String::new(),
        violations: Vec::new(),
        count: 0,
    };
    checker.check_structure(members, input)?;
    checker.finish()
}

struct ShapeChecker {
    path: String,
    violations: Vec<String>,
    count: usize,
}

impl ShapeChecker {
    fn check_value(&mut self, shape: &'static Shape, value: &Value) -> Result<()> {
        match shape {
            Shape::Text(text) => self.check_text(text, value),
            Shape::Enumeration(allowed) => self.check_enumeration(allowed, value),
            Shape::Integer { min, max } => self.check_integer(*min, *max, value),
            Shape::Boolean => self.check_json_type(value.is_boolean(), "a Boolean", value),
            Shape::Blob => self.check_json_type(value.is_string(), "a base64 string", value),
            Shape::List { of, min, max } => self.check_list(of, *min, *max, value),
            Shape::Map { .. } => self.check_map(shape, value),
            Shape::Structure(members) => self.check_structure(members, value),
        }
    }

    fn check_structure(&mut self, members: &'static [Member], value: &Value) -> Result<()> {
        let Value::Object(object) = value else {
            return self.check_json_type(false, "a structure", value);
        };
        for member in members {
            match object.get(member.name) {
                None | Some(Value::Null) if member.required => {
                    let path = self.join_path(member.name);
                    self.report_violation(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
                }
                None | Some(Value::Null) => {}
                Some(value) => {
                    self.check_at(member.name, |checker| {
                        checker.check_value(member.shape, value)
                    })?;
                }
            }
        }
        Ok(())
    }

    fn check_list(
        &mut self,
        of: &'static Shape,
        min: usize,
        max: usize,
        value: &Value,
    ) -> Result<()> {
        let Value::Array(elements) = value else {
            return self.check_json_type(false, "a list", value);
        };
        self.check_length(elements.len(), min, max, None);
        for (index, element) in elements.iter().enumerate() {
            self.check_at(&format!("{}.member", index + 1), |checker| {
                checker.check_present(of, element)
            })?;
        }
        Ok(())
    }

    fn check_present(&mut self, shape: &'static Shape, value: &Value) -> Result<()> {
        if value.is_null() {
            self.report_constraint("Value null", "Member must not be null");
            return Ok(());
        }
        self.check_value(shape, value)
    }

    fn check_map(&mut self, shape: &'static Shape, value: &Value) -> Result<()> {
        let (
            Shape::Map {
                key,
                value: of,
                min,
                max,
                nulls,
            },
            Value::Object(entries),
        ) = (shape, value)
        else {
            return self.check_json_type(false, "a map", value);
        };
        self.check_length(entries.len(), *min, *max, None);
        for (name, entry) in entries {
            if let Shape::Text(text) = key {
                self.check_map_key(text, name);
            }
            self.check_at(name, |checker| match entry {
                Value::Null if *nulls => Ok(()),
                entry => checker.check_present(of, entry),
            })?;
        }
        Ok(())
    }

    /// Checks a key. It has no path of its own, so it is reported with the path of its map.
    fn check_map_key(&mut self, text: &TextShape, key: &str) {
        let length = count_characters(key);
        if (text.min..=text.max).contains(&length) {
            if let Some(pattern) = text
                .pattern
                .as_ref()
                .filter(|pattern| !(pattern.matches)(key))
            {
                let constraint = format!(
                    "Map keys must satisfy regular expression pattern: {}",
                    pattern.text
                );
                self.report_constraint(&quote_value(Some(key)), &constraint);
            }
            return;
        }
        let (bound, word) = if length > text.max {
            (text.max, "less")
        } else {
            (text.min, "greater")
        };
        let constraint = format!("Map keys must have length {word} than or equal to {bound}");
        self.report_constraint(&quote_value(Some(key)), &constraint);
    }

    fn check_text(&mut self, shape: &TextShape, value: &Value) -> Result<()> {
        let Value::String(text) = value else {
            return self.check_json_type(false, "a string", value);
        };
        let shown = (!shape.sensitive).then_some(text.as_str());
        // A string has at most as many characters as bytes, so most strings need not be counted.
        if text.len() > shape.max || text.len() < shape.min.saturating_mul(4) {
            self.check_length(count_characters(text), shape.min, shape.max, shown);
        }
        if let Some(pattern) = shape
            .pattern
            .as_ref()
            .filter(|pattern| !(pattern.matches)(text))
        {
            self.report_constraint(
                &quote_value(shown),
                &format!(
                    "Member must satisfy regular expression pattern: {}",
                    pattern.text
                ),
            );
        }
        Ok(())
    }

    fn check_enumeration(&mut self, allowed: &[&str], value: &Value) -> Result<()> {
        let Value::String(text) = value else {
            return self.check_json_type(false, "a string", value);
        };
        if !allowed.contains(&text.as_str()) {
            self.report_constraint(
                &quote_value(Some(text)),
                &format!(
                    "Member must satisfy enum value set: [{}]",
                    allowed.join(", ")
                ),
            );
        }
        Ok(())
    }

    fn check_integer(&mut self, min: i64, max: i64, value: &Value) -> Result<()> {
        let Some(number) = value.as_i64() else {
            return self.check_json_type(false, "an integer", value);
        };
        if !(min..=max).contains(&number) {
            let (bound, word) = if number > max {
                (max, "less")
            } else {
                (min, "greater")
            };
            let constraint = format!("Member must have value {word} than or equal to {bound}");
            self.report_constraint(&format!("Value '{number}'"), &constraint);
        }
        Ok(())
    }

    fn check_length(&mut self, length: usize, min: usize, max: usize, shown: Option<&str>) {
        if (min..=max).contains(&length) {
            return;
        }
        let (bound, word) = if length > max {
            (max, "less")
        } else {
            (min, "greater")
        };
        let constraint = format!("Member must have length {word} than or equal to {bound}");
        self.report_constraint(&quote_value(shown), &constraint);
    }

    fn check_json_type(&self, fits: bool, wanted: &str, value: &Value) -> Result<()> {
        if fits {
            return Ok(());
        }
        let place = if self.path.is_empty() {
            "The request"
        } else {
            &self.path
        };
        let message = format!("{place} must be {wanted}, not {}.", name_json_type(value));
        Err(Error::new(ErrorCode::Serialization, message))
    }

    fn check_at(&mut self, name: &str, check: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = check(self);
        self.path.truncate(length);
        result
    }

    fn join_path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn report_constraint(&mut self, quote: &str, constraint: &str) {
        let violation = format!(
            "{quote} at '{}' failed to satisfy constraint: {constraint}",
            self.path
        );
        self.report_violation(violation);
    }

    fn report_violation(&mut self, violation: String) {
        self.count += 1;
        if self.violations.len() < MOST_REPORTED {
            self.violations.push(violation);
        }
    }

    fn finish(self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let noun = if self.count == 1 { "error" } else { "errors" };
        let mut message = format!(
            "{} validation {noun} detected: {}",
            self.count,
            self.violations.join("; ")
        );
        if self.count > self.violations.len() {
            let _ = write!(message, "; and {} more", self.count - self.violations.len());
        }
        Err(Error::validation(message))
    }
}

/// `Value 'x'`, or only `Value` where the value is sensitive or too large to show.
fn quote_value(shown: Option<&str>) -> String {
    let Some(text) = shown else {
        return "Value".to_owned();
    };
    match text.char_indices().nth(LONGEST_QUOTE) {
        None => format!("Value '{text}'"),
        Some((end, _)) => format!("Value '{}...'", &text[..end]),
    }
}

fn count_characters(text: &str) -> usize {
    text.chars().count()
}

fn name_json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a structure",
    }
}

#[cfg(test)]
mod tests {
    use crate::operation::Operation;

    #[track_caller]
    fn check(operation: &str, input: &str, want: &str) {
        let operation = Operation::find(operation).unwrap();
        let input = serde_json::from_str(input).unwrap();
        let got = match super::validate(operation, &input) {
            Ok(()) => "fits".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn a_request_that_fits() {
        check(
            "PutLabel",
            r#"{"name":"fraud","description":null,"more":1}"#,
            "fits",
        );
        check("GetLabels", "{}", "fits");
        let prediction = r#"{"detectorId":"d","eventId":"e","eventTypeName":"t","eventVariables":{"a":null},
            "entities":[{"entityType":"c","entityId":"UNKNOWN"}],"eventTimestamp":"2026-06-01T10:15:30Z"}"#;
        check("GetEventPrediction", prediction, "fits");
    }

    #[test]
    fn violations_are_collected_in_the_words_of_aws() {
        check(
            "GetEventPredictionMetadata",
            r#"{"eventId":"ORD 1","detectorId":"d","detectorVersionId":"1","predictionTimestamp":"2026-06-01T10:15:30Z"}"#,
            "ValidationException: 2 validation errors detected: Value 'ORD 1' at 'eventId' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: ^[0-9a-z_-]+$; Value null at 'eventTypeName' failed to \
             satisfy constraint: Member must not be null",
        );
        check(
            "GetLabels",
            r#"{"maxResults":9}"#,
            "ValidationException: 1 validation error detected: Value '9' at 'maxResults' failed to satisfy constraint: \
             Member must have value greater than or equal to 10",
        );
        check(
            "UpdateDetectorVersionStatus",
            r#"{"detectorId":"d","detectorVersionId":"0","status":"ON"}"#,
            "ValidationException: 2 validation errors detected: Value '0' at 'detectorVersionId' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: ^([1-9][0-9]*)$; Value 'ON' at 'status' failed \
             to satisfy constraint: Member must satisfy enum value set: [DRAFT, ACTIVE, INACTIVE]",
        );
        check(
            "CreateDetectorVersion",
            r#"{"detectorId":"d","rules":[{"detectorId":"d","ruleId":"r","ruleVersion":"1"},{}]}"#,
            "ValidationException: 3 validation errors detected: Value null at 'rules.2.member.detectorId' failed to satisfy \
             constraint: Member must not be null; Value null at 'rules.2.member.ruleId' failed to satisfy constraint: \
             Member must not be null; Value null at 'rules.2.member.ruleVersion' failed to satisfy constraint: Member \
             must not be null",
        );
    }

    #[test]
    fn sensitive_values_are_not_quoted() {
        check(
            "CreateList",
            r#"{"name":"cards","elements":[" 4111 "]}"#,
            "ValidationException: 1 validation error detected: Value at 'elements.1.member' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: ^\\S+( +\\S+)*$",
        );
        check(
            "SendEvent",
            r#"{"eventId":"1","eventTypeName":"t","eventVariables":{"a":""},"entities":[],"eventTimestamp":"2026-06-01T10:15:30Z"}"#,
            "ValidationException: 1 validation error detected: Value at 'eventVariables.a' failed to satisfy constraint: \
             Member must have length greater than or equal to 1",
        );
    }

    #[test]
    fn a_wrong_json_type_is_another_exception() {
        check(
            "GetLabels",
            r#"{"maxResults":"10"}"#,
            "SerializationException: maxResults must be an integer, not a string.",
        );
        check(
            "GetLabels",
            "[]",
            "SerializationException: The request must be a structure, not a list.",
        );
        check(
            "BatchGetVariable",
            r#"{"names":[1]}"#,
            "SerializationException: names.1.member must be a string, not a number.",
        );
    }

    #[test]
    fn the_longest_message_is_bounded() {
        let names = vec!["\"\""; 90].join(",");
        let input =
            serde_json::from_str(&format!("{{\"names\":[{names}],\"resourceARN\":\"\"}}")).unwrap();
        let message = super::validate(Operation::UntagResource, &input)
            .unwrap_err()
            .message()
            .to_owned();
        assert!(message.len() < 10_000, "{message}");
    }
}
