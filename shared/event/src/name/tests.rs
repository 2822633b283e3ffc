use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

/// `ok`, or the error's sentence; every way in must agree.
fn verdict<T>(text: &str) -> String
where
    T: FromStr<Err = InvalidName>
        + TryFrom<String, Error = InvalidName>
        + for<'t> TryFrom<&'t str, Error = InvalidName>
        + for<'de> Deserialize<'de>
        + Serialize
        + PartialEq
        + fmt::Debug,
{
    let parsed = text.parse::<T>();
    assert_eq!(parsed, T::try_from(text));
    assert_eq!(parsed, T::try_from(text.to_owned()));

    let json = serde_json::to_string(text).unwrap();
    let read = serde_json::from_str::<T>(&json).map_err(|error| error.to_string());
    match parsed {
        Ok(value) => {
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(read, Ok(value));
            "ok".to_owned()
        }
        Err(error) => {
            assert_eq!(read, Err(error.to_string()));
            error.to_string()
        }
    }
}

#[track_caller]
fn check(text: &str, got: &str, want: &str) {
    assert_eq!(got, want, "{text:?}");
}

#[test]
fn identifiers() {
    let longest = "a".repeat(64);
    let cases = [
        ("a", "ok"),
        ("0", "ok"),
        ("-", "ok"),
        ("_x-9", "ok"),
        (&longest, "ok"),
        ("", "event id is empty; 1 to 64 characters are allowed"),
        (
            &"a".repeat(65),
            "event id has 65 characters; at most 64 are allowed",
        ),
        (
            "orD",
            "event id has `D` at character 3; only 0-9, a-z, `_` and `-` are allowed",
        ),
        (
            "a b",
            "event id has ` ` at character 2; only 0-9, a-z, `_` and `-` are allowed",
        ),
        (
            "ab\n",
            "event id has `\\n` at character 3; only 0-9, a-z, `_` and `-` are allowed",
        ),
        (
            "é",
            "event id has `é` at character 1; only 0-9, a-z, `_` and `-` are allowed",
        ),
        (
            "o'k",
            "event id has `'` at character 2; only 0-9, a-z, `_` and `-` are allowed",
        ),
        (
            "a.b",
            "event id has `.` at character 2; only 0-9, a-z, `_` and `-` are allowed",
        ),
    ];
    for (text, want) in cases {
        check(text, &verdict::<EventId>(text), want);
    }
}

#[test]
fn each_identifier_says_its_kind() {
    let kinds = [
        verdict::<EventTypeName>(""),
        verdict::<DetectorId>(""),
        verdict::<RuleId>(""),
        verdict::<LabelName>(""),
        verdict::<OutcomeName>(""),
        verdict::<EntityTypeName>(""),
    ];
    let want = [
        "event type",
        "detector id",
        "rule id",
        "label",
        "outcome",
        "entity type",
    ];
    for (got, kind) in kinds.iter().zip(want) {
        check(
            kind,
            got,
            &format!("{kind} is empty; 1 to 64 characters are allowed"),
        );
    }
}

#[test]
fn list_names_have_no_dash() {
    let cases = [
        ("bad_cards_2", "ok"),
        (
            "bad-cards",
            "list name has `-` at character 4; only 0-9, a-z and `_` are allowed",
        ),
        (
            &"a".repeat(65),
            "list name has 65 characters; at most 64 are allowed",
        ),
    ];
    for (text, want) in cases {
        check(text, &verdict::<ListName>(text), want);
    }
}

#[test]
fn detector_versions() {
    let digits = "only the digits of a whole number from 1 are allowed";
    let cases = [
        ("1", "ok".to_owned()),
        ("10", "ok".to_owned()),
        ("99999", "ok".to_owned()),
        (
            "0",
            format!("detector version has `0` at character 1; {digits}"),
        ),
        (
            "01",
            format!("detector version has `0` at character 1; {digits}"),
        ),
        (
            "1.0",
            format!("detector version has `.` at character 2; {digits}"),
        ),
        (
            "-1",
            format!("detector version has `-` at character 1; {digits}"),
        ),
        (
            "１",
            format!("detector version has `１` at character 1; {digits}"),
        ),
        (
            "100000",
            "detector version has 6 characters; at most 5 are allowed".to_owned(),
        ),
        (
            "",
            "detector version is empty; 1 to 5 characters are allowed".to_owned(),
        ),
    ];
    for (text, want) in cases {
        check(text, &verdict::<DetectorVersionId>(text), &want);
    }
}

#[test]
fn detector_versions_are_ordered_as_numbers() {
    let versions = ["10", "9", "100", "1"].map(|text| DetectorVersionId::try_from(text).unwrap());
    let numbers: Vec<_> = BTreeSet::from(versions)
        .iter()
        .map(DetectorVersionId::number)
        .collect();
    assert_eq!(numbers, [1, 9, 10, 100]);
    assert_eq!(
        DetectorVersionId::try_from(99_999).unwrap().as_str(),
        "99999"
    );
    assert!(DetectorVersionId::try_from(0).is_err());
    assert!(DetectorVersionId::try_from(100_000).is_err());
}

#[test]
fn variable_names_in_a_request_may_hold_anything() {
    let cases = [
        ("email", "ok"),
        ("E Mail é", "ok"),
        (&"é".repeat(64), "ok"),
        (
            &"é".repeat(65),
            "variable name has 65 characters; at most 64 are allowed",
        ),
        ("", "variable name is empty; 1 to 64 characters are allowed"),
    ];
    for (text, want) in cases {
        check(text, &verdict::<VariableName>(text), want);
    }
}

#[test]
fn variable_names_in_a_definition_may_not() {
    let allowed = "only a-z, `_` and, after the first, 0-9 are allowed";
    let cases = [
        ("email", "ok".to_owned()),
        ("_1", "ok".to_owned()),
        (&"a".repeat(100), "ok".to_owned()),
        (
            &"a".repeat(101),
            "variable name has 101 characters; at most 100 are allowed".to_owned(),
        ),
        (
            "1st",
            format!("variable name has `1` at character 1; {allowed}"),
        ),
        (
            "card-bin",
            format!("variable name has `-` at character 5; {allowed}"),
        ),
        (
            "cardBin",
            format!("variable name has `B` at character 5; {allowed}"),
        ),
        (
            "",
            "variable name is empty; 1 to 100 characters are allowed".to_owned(),
        ),
    ];
    for (text, want) in cases {
        let got = VariableName::check_definition(text)
            .map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        check(text, &got, &want);
    }
}

#[test]
fn variable_values_count_characters_not_bytes() {
    let cases = [
        ("x", "ok"),
        (" ", "ok"),
        (&"é".repeat(8192), "ok"),
        (
            &"é".repeat(8193),
            "variable value has 8193 characters; at most 8192 are allowed",
        ),
        (
            "",
            "variable value is empty; 1 to 8192 characters are allowed",
        ),
    ];
    for (text, want) in cases {
        check(text, &verdict::<VariableValue>(text), want);
    }
}

#[test]
fn entity_ids() {
    let allowed = "only 0-9, A-Z, a-z, `_`, `.`, `@`, `+` and `-` are allowed";
    let hidden = "entity id has a character that is not allowed at character";
    let cases = [
        ("jo.doe+1@Example-x.com", "ok".to_owned()),
        ("cust_42", "ok".to_owned()),
        (&"a".repeat(256), "ok".to_owned()),
        (
            &"a".repeat(257),
            "entity id has 257 characters; at most 256 are allowed".to_owned(),
        ),
        ("jo doe", format!("{hidden} 3; {allowed}")),
        ("jo@exämple.com", format!("{hidden} 6; {allowed}")),
        (
            "",
            "entity id is empty; 1 to 256 characters are allowed".to_owned(),
        ),
    ];
    for (text, want) in cases {
        check(text, &verdict::<EntityId>(text), &want);
    }
}

#[test]
fn unknown_is_unknown_in_any_case() {
    let cases = [
        ("unknown", true),
        ("UNKNOWN", true),
        ("Unknown", true),
        ("unknown1", false),
        ("u", false),
    ];
    for (text, want) in cases {
        assert_eq!(
            EntityId::try_from(text).unwrap().is_unknown(),
            want,
            "{text}"
        );
    }
    assert!(EntityId::unknown().is_unknown());
    assert_eq!(
        EntityId::try_from(EntityId::unknown().expose()).unwrap(),
        EntityId::unknown()
    );
}

#[test]
fn debug_hides_what_is_sensitive() {
    let value = VariableValue::try_from("sentinel").unwrap();
    let entity = EntityId::try_from("sentinel").unwrap();
    assert_eq!(
        format!("{value:?} {entity:#?}"),
        "VariableValue(hidden) EntityId(hidden)"
    );
    assert_eq!((value.expose(), entity.expose()), ("sentinel", "sentinel"));
    assert_eq!(format!("{:?}", EventId::slug("ord-1")), "\"ord-1\"");
}

#[test]
fn names_are_found_by_their_text() {
    let name = VariableName::try_from("email").unwrap();
    assert!(BTreeSet::from([name.clone()]).contains("email"));
    assert!(HashSet::from([name]).contains("email"));
}

/// Ids in stored data depend on every one of these; none may ever change.
#[test]
fn slugs() {
    let long = "Order ".repeat(20);
    let dashes_at_the_cut = format!("{}----------B", "a".repeat(42));
    let cases = [
        ("ord-1", "ord-1"),
        ("-", "-"),
        ("a--b-", "a--b-"),
        ("ORD-1", "ord-1-f7f8bfa06d24d43c3bc4"),
        ("ORD-000123", "ord-000123-e9ba46f3eb6ea52a0348"),
        ("Ord-1", "ord-1-7bdfc65ab5e153dba556"),
        ("#100", "100-b821c5298503bfcd6b4b"),
        (" a // b_C! ", "a-b_c-c6386b1d5900a6fe1138"),
        ("Ünï", "n-216999f2898ef2f6f551"),
        ("\u{212A}", "2bc4fb873d7946d68d07"),
        ("订单", "3d5436ea23d2e9a23ece"),
        ("", "e3b0c44298fc1c149afb"),
        (
            &long,
            "order-order-order-order-order-order-order-o-f9dff684e4d46f5ba7f3",
        ),
        (
            &dashes_at_the_cut,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-d1b3e21d0e285ee090e2",
        ),
    ];
    for (text, want) in cases {
        check(text, EventId::slug(text).as_str(), want);
    }
}

proptest! {
    #[test]
    fn a_slug_is_valid_stable_and_tells_originals_apart(a in any::<String>(), b in any::<String>()) {
        let slug = EventId::slug(&a);
        prop_assert_eq!(EventId::try_from(slug.as_str()), Ok(slug.clone()));
        prop_assert_eq!(&EventId::slug(&a), &slug);
        prop_assert_eq!(&EventId::slug(slug.as_str()), &slug);
        prop_assert_eq!(a == b, slug == EventId::slug(&b));
    }

    #[test]
    fn a_slug_tells_similar_originals_apart(a in "[oO][rR#][dD][ -]?1", b in "[oO][rR#][dD][ -]?1") {
        prop_assert_eq!(a == b, EventId::slug(&a) == EventId::slug(&b));
    }

    #[test]
    fn what_is_an_id_stays_itself(text in "[0-9a-z_-]{1,64}") {
        let slug = EventId::slug(&text);
        prop_assert_eq!(slug.as_str(), text);
    }

    #[test]
    fn errors_of_sensitive_types_say_the_same_whatever_the_text(
        head in "[a-z]{4}", bad in "[^0-9A-Za-z_.@+-]", tail in any::<String>(),
    ) {
        let of = |text: &str| EntityId::try_from(text).unwrap_err().to_string();
        prop_assert_eq!(of(&format!("{head}{bad}{tail}")), of("abcd!"));
    }
}
