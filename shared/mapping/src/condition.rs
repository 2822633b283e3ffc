//! A condition on an order or a message, as the mapping file has it.

use serde::{Deserialize, de};

use crate::computed_source::ElementCondition;
use crate::value_source::{Document, ValueSource};

/// What an order must be like: texts, numbers or Booleans that must stand at pointers, or a source that gives true or
/// false.
#[derive(Debug)]
pub(crate) enum Condition {
    Members(ElementCondition),
    Source(ValueSource),
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConditionVisitor;
        impl<'de> de::Visitor<'de> for ConditionVisitor {
            type Value = Condition;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "a condition such as {/payment/status: declined}, or a JSON pointer or jq filter that gives true or false",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Condition, E> {
                let source = ValueSource::new(text.to_owned());
                source.map(Condition::Source).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Condition, A::Error> {
                let map = de::value::MapAccessDeserializer::new(map);
                ElementCondition::deserialize(map).map(Condition::Members)
            }
        }
        deserializer.deserialize_any(ConditionVisitor)
    }
}

impl Condition {
    /// A text that is the same for the same condition.
    pub(crate) fn definition(&self) -> String {
        match self {
            Self::Members(members) => members.definition(),
            Self::Source(source) => format!("{source:?}"),
        }
    }

    /// Whether a document fulfils it.
    ///
    /// # Errors
    /// A phrase that says why that cannot be told. It quotes no value.
    pub(crate) fn holds(&self, document: &Document<'_>) -> Result<bool, String> {
        match self {
            Self::Members(members) => Ok(members.holds(document.value())),
            Self::Source(source) => match source.read(document)?.as_deref() {
                None | Some("false") => Ok(false),
                Some("true") => Ok(true),
                Some(_) => Err("has a condition that is neither true nor false".to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        #[track_caller]
        fn check(condition: &str, want: &str) {
            let order = serde_json::json!({"topic": "orders/create", "n": 0, "test": true, "l": [1], "none": null});
            let got = match serde_saphyr::from_str::<Condition>(condition) {
                Err(error) => format!("broken: {}", error.to_string().lines().next().unwrap()),
                Ok(condition) => match condition.holds(&Document::new(&order)) {
                    Ok(holds) => holds.to_string(),
                    Err(problem) => problem,
                },
            };
            assert_eq!(got, want, "{condition}");
        }
        check("{/topic: orders/create}", "true");
        check("{/topic: orders/create, /n: 1}", "false");
        check("{/n: 0}", "true");
        check("{/nothing: x}", "false");
        check("/test", "true");
        check("/none", "false");
        check("/nothing", "false");
        check(".topic | startswith(\"products/\")", "false");
        check(".topic != \"orders/cancel\"", "true");
        check("/topic", "has a condition that is neither true nor false");
        check(".n.x", "makes the jq filter fail");
    }
}
