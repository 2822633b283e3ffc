use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{VariableName, VariableValue};

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let pair = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
    Variables::from_pairs(pairs.iter().map(pair)).unwrap()
}

fn event(variables: Variables) -> Result<Event, InvalidEvent> {
    Event::new(
        "ord-1".parse().unwrap(),
        "order".parse().unwrap(),
        "2026-06-01T10:15:30Z".parse().unwrap(),
        Entity {
            entity_type: "customer".parse().unwrap(),
            entity_id: "sentinel@example.com".parse().unwrap(),
        },
        variables,
    )
}

/// Variables of 8192 characters each, `x` or what is given.
fn large(count: usize, character: &str) -> Variables {
    let value = VariableValue::try_from(character.repeat(8192)).unwrap();
    let pair = |n| {
        (
            VariableName::try_from(format!("v{n:03}")).unwrap(),
            value.clone(),
        )
    };
    Variables::from_pairs((0..count).map(pair)).unwrap()
}

#[test]
fn an_event_needs_a_variable() {
    let error = event(Variables::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event has no variables; at least 1 is needed"
    );
}

#[test]
fn an_event_has_256_kilobytes_of_variables() {
    assert!(event(large(31, "x")).is_ok());
    assert_eq!(
        event(large(32, "x")).unwrap_err().to_string(),
        "event has 262465 bytes of variables; at most 262144 are allowed",
    );
    // Bytes, not characters.
    assert!(event(large(15, "é")).is_ok());
    assert!(matches!(
        event(large(16, "é")),
        Err(InvalidEvent::TooLarge(_))
    ));
}

#[test]
fn an_event_has_5000_variables() {
    let pair = |n: usize| (format!("v{n}").parse().unwrap(), "1".parse().unwrap());
    let mut most = Variables::from_pairs((0..5000).map(pair)).unwrap();
    let (name, value) = pair(5000);
    let want = InvalidEvent::TooManyVariables(5001);
    assert_eq!(most.insert(name, value), Err(want.clone()));
    assert_eq!(
        Variables::from_pairs((0..=5000).map(pair)),
        Err(want.clone())
    );
    assert_eq!(
        want.to_string(),
        "event has 5001 variables; at most 5000 are allowed"
    );

    let (name, value) = pair(4999);
    assert_eq!(most.insert(name, value), Ok(Some("1".parse().unwrap())));
    assert!(event(most).is_ok());
}

#[test]
fn a_refused_variable_is_left_out() {
    let both = event(variables(&[
        ("email", "jo@example.com"),
        ("ip", "203.0.113.7"),
    ]))
    .unwrap();
    let one = both.without("email").unwrap();
    assert_eq!(*one.variables(), variables(&[("ip", "203.0.113.7")]));
    assert_eq!(one.clone().without("absent"), Ok(one.clone()));
    assert_eq!(one.without("ip"), Err(InvalidEvent::NoVariables));
}

#[test]
fn debug_shows_names_and_no_personal_data() {
    let event = event(variables(&[("email", "sentinel"), ("ip", "sentinel")])).unwrap();
    assert_eq!(
        format!("{event:?}"),
        "Event { id: \"ord-1\", event_type: \"order\", timestamp: 2026-06-01T10:15:30Z, \
         entity: Entity { entity_type: \"customer\", entity_id: EntityId(hidden) }, \
         variables: {\"email\": VariableValue(hidden), \"ip\": VariableValue(hidden)} }",
    );
}

#[test]
fn json_is_read_through_the_constructor() {
    let event = event(variables(&[
        ("ip", "203.0.113.7"),
        ("email", "jo@example.com"),
    ]))
    .unwrap();
    let json = r#"{"id":"ord-1","event_type":"order","timestamp":"2026-06-01T10:15:30Z","entity":{"entity_type":"customer","entity_id":"sentinel@example.com"},"variables":{"email":"jo@example.com","ip":"203.0.113.7"}}"#;
    assert_eq!(serde_json::to_string(&event).unwrap(), json);
    assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);

    let cases = [
        ("ord-1", "ORD-1", "event id has `O` at character 1"),
        ("jo@example.com", "", "variable value is empty"),
        ("T10:15:30Z", "", "timestamp `2026-06-01` is in no form"),
        (
            r#""email":"jo@example.com","ip":"203.0.113.7""#,
            "",
            "event has no variables",
        ),
    ];
    for (from, to, want) in cases {
        let error = serde_json::from_str::<Event>(&json.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

proptest! {
    #[test]
    fn the_payload_is_the_size_of_the_json(
        map in prop::collection::btree_map("\\PC{1,8}|[\\x00-\\x7f]{1,8}", "(?s).{1,8}|[\\x00-\\x7f]{1,8}", 0..5),
    ) {
        let parse = |(name, value): (String, String)| (name.parse().unwrap(), value.parse().unwrap());
        let variables = Variables::from_pairs(map.into_iter().map(parse)).unwrap();
        let json = serde_json::to_string(&variables).unwrap();
        prop_assert_eq!(variables.payload_bytes(), json.len());
        prop_assert_eq!(serde_json::from_str::<Variables>(&json).unwrap(), variables.clone());
        let map = BTreeMap::from(variables.clone());
        prop_assert_eq!(Variables::try_from(map), Ok(variables));
    }
}
