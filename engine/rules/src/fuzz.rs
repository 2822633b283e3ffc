//! Properties that hold for any bytes. The tests and the fuzz target check them.

use std::sync::LazyLock;

use crate::{Lists, MAX_CHARACTERS, Rule, Schema, Type, Value, Verdict, parse_expression};

const TYPES: [Type; 5] = [
    Type::String,
    Type::Integer,
    Type::Float,
    Type::Boolean,
    Type::DateTime,
];

/// Variables of each type with short names, so that random rules are often valid.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let names = ["s", "i", "f", "b", "d"].into_iter().map(str::to_owned);
    let more = [
        ("m_insightscore", Type::Float),
        ("amount", Type::Float),
        ("email", Type::String),
    ];
    let more = more.into_iter().map(|(name, ty)| (name.to_owned(), ty));
    Schema::new(
        names.zip(TYPES).chain(more),
        ["l".to_owned(), "blocked".to_owned()],
    )
});

/// Uses the bytes as a rule and as values. No input may cause a panic.
///
/// # Panics
/// If printing a rule and parsing the result gives another rule, or if a second evaluation
/// gives another verdict.
pub fn check_bytes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for ty in TYPES {
        let _ = Value::parse(ty, &text);
    }
    check_printing(&text);
    match Rule::new(&text, &SCHEMA) {
        Ok(rule) => check_evaluation(&rule, &text),
        Err(errors) => {
            let _ = (errors.to_string(), errors.messages(), errors.correct_text());
        }
    }
}

fn check_printing(text: &str) {
    let Ok(expr) = parse_expression(text) else {
        return;
    };
    for printed in [expr.to_string(), format!("{expr:#}")] {
        // Printing adds spaces and points, so the text may become too long.
        if printed.chars().count() <= MAX_CHARACTERS {
            assert!(
                parse_expression(&printed).is_ok_and(|again| again == expr),
                "`{text}` as `{printed}`"
            );
        }
    }
}

fn check_evaluation(rule: &Rule, text: &str) {
    let mut lists = Lists::default();
    lists.insert("l", text.split_whitespace());
    for row in build_rows(text) {
        let verdict = rule.evaluate(&row, &lists, 0);
        assert_eq!(verdict, rule.evaluate(&row, &lists, 0), "`{text}`");
        let _ = rule.with_values(&row);
    }
    let _: Verdict = rule.evaluate(&[], &lists, i64::MIN);
    let _ = (
        rule.lint_warnings(),
        rule.variables().count(),
        rule.lists().count(),
    );
}

fn build_rows(text: &str) -> [Vec<Value>; 3] {
    let row = |text: &str, integer: i64, float: f64| {
        let text = Value::String(text.into());
        let float = Value::Float(float);
        vec![
            text.clone(),
            Value::Integer(integer),
            float.clone(),
            Value::Boolean(integer > 0),
            Value::DateTime(integer),
            float.clone(),
            float,
            text,
        ]
    };
    [
        row(text, 1, 1.0),
        row("", i64::MIN, f64::MAX),
        row("2019-11-30T01:01:01Z", -1, 0.0),
    ]
}
