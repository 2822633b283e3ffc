//! Texts that stand for "no value", such as the customer id 0 of a guest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::computed_source::JsonPointer;
use crate::value_source::read_scalar;

/// For each pointer, the texts that mean that there is no value.
///
/// A message is read as if such a member were null, so the rule is the same for all that read it: variables, entity,
/// keys, computed values and filters.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct NoValues(BTreeMap<JsonPointer, Vec<String>>);

impl NoValues {
    /// The message, with null in place of what stands for no value.
    pub(crate) fn blank_out<'a>(&self, message: &'a Value) -> Cow<'a, Value> {
        let mut message = Cow::Borrowed(message);
        for (pointer, texts) in &self.0 {
            let read = message.pointer(&pointer.0).map(read_scalar);
            if let Some(Ok(Some(text))) = read
                && texts.iter().any(|no_value| *no_value == text)
                && let Some(member) = message.to_mut().pointer_mut(&pointer.0)
            {
                *member = Value::Null;
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_no_value_becomes_null() {
        #[track_caller]
        fn check(message: &str, want: &str) {
            let no_values = "{/id: [0, guest, '-1'], /a/b: [none]}";
            let no_values: NoValues = serde_saphyr::from_str(no_values).unwrap();
            let message = serde_json::from_str(message).unwrap();
            assert_eq!(no_values.blank_out(&message).to_string(), want);
        }
        check(r#"{"id":0}"#, r#"{"id":null}"#);
        check(r#"{"id":"0"}"#, r#"{"id":null}"#);
        check(r#"{"id":" guest "}"#, r#"{"id":null}"#);
        check(r#"{"id":-1}"#, r#"{"id":null}"#);
        check(r#"{"id":"Guest"}"#, r#"{"id":"Guest"}"#);
        check(r#"{"id":10}"#, r#"{"id":10}"#);
        check(r#"{"id":[0]}"#, r#"{"id":[0]}"#);
        check(r#"{"other":0}"#, r#"{"other":0}"#);
        check(
            r#"{"id":1,"a":{"b":"none","c":"none"}}"#,
            r#"{"id":1,"a":{"b":null,"c":"none"}}"#,
        );
    }
}
