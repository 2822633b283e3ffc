//! Times of compiling and evaluating rules: `cargo bench -p rules`.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop on an error")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rules::{Lists, Rule, Schema, Type, Value};

const TYPICAL: &str = "$orders_insightscore > 900 and $amount > 100.5 \
     and ($country in [\"NG\", \"GH\", \"RO\", \"VN\"] or !($email == \"a@b.example\"))";

const LISTED: &str =
    "$orders_insightscore > 900 and $amount > 100.5 and $count <= 3 and $ip in @blocked";

const PATTERN: &str = r#"regex_match(".*@example\.(com|org)", lowercase($email))"#;

const AGE: &str = "(getepochmilliseconds(getcurrentdatetime()) - getepochmilliseconds($signed_up_at)) \
     / 86400000 < 7";

fn schema() -> Schema {
    let variables = [
        ("orders_insightscore", Type::Float),
        ("amount", Type::Float),
        ("count", Type::Integer),
        ("country", Type::String),
        ("email", Type::String),
        ("ip", Type::String),
        ("signed_up_at", Type::DateTime),
    ];
    let variables = variables.map(|(name, ty)| (name.to_owned(), ty));
    Schema::new(variables, ["blocked".to_owned()])
}

/// An order for which every condition of the rules is evaluated.
fn row() -> Vec<Value> {
    vec![
        Value::Float(950.0),
        Value::Float(250.0),
        Value::Integer(2),
        Value::String("US".into()),
        Value::String("jo.doe@example.com".into()),
        Value::String("203.0.113.7".into()),
        Value::DateTime(1_767_225_600_000),
    ]
}

fn build_lists(elements: u32) -> Lists {
    let mut lists = Lists::default();
    lists.insert(
        "blocked",
        (0..elements).map(|n| format!("198.51.{}.{}", n / 256, n % 256)),
    );
    lists
}

fn bench_evaluation(c: &mut Criterion) {
    let (schema, row, lists) = (schema(), row(), build_lists(10_000));
    for (name, text) in [
        ("typical", TYPICAL),
        ("list", LISTED),
        ("pattern", PATTERN),
        ("age", AGE),
    ] {
        let rule = Rule::new(text, &schema).unwrap();
        c.bench_function(&format!("evaluate/{name}"), |b| {
            b.iter(|| black_box(&rule).evaluate(black_box(&row), &lists, 1_767_312_000_000));
        });
    }
}

/// A long list may take at most one microsecond longer than a short one.
fn bench_list_membership(c: &mut Criterion) {
    let (rule, row) = (Rule::new("$ip in @blocked", &schema()).unwrap(), row());
    for elements in [1, 100_000] {
        let lists = build_lists(elements);
        c.bench_function(&format!("evaluate/list of {elements}"), |b| {
            b.iter(|| black_box(&rule).evaluate(black_box(&row), &lists, 0));
        });
    }
}

fn bench_thousand_rules(c: &mut Criterion) {
    let (schema, row, lists) = (schema(), row(), build_lists(10_000));
    let rule = |n: usize| {
        let text = [TYPICAL, LISTED][n % 2].replace("900", &(n % 950).to_string());
        Rule::new(&text, &schema).unwrap()
    };
    let rules: Vec<Rule> = (0..1000).map(rule).collect();
    c.bench_function("evaluate/1000 rules", |b| {
        b.iter(|| {
            let verdicts = rules
                .iter()
                .map(|rule| rule.evaluate(black_box(&row), &lists, 0));
            verdicts
                .filter(|verdict| *verdict == rules::Verdict::Matched)
                .count()
        });
    });
}

fn bench_compilation(c: &mut Criterion) {
    let schema = schema();
    for (name, text) in [("typical", TYPICAL), ("pattern", PATTERN), ("age", AGE)] {
        c.bench_function(&format!("compile/{name}"), |b| {
            b.iter(|| Rule::new(black_box(text), &schema).unwrap());
        });
    }
}

fn bench_with_values(c: &mut Criterion) {
    let (rule, row) = (Rule::new(TYPICAL, &schema()).unwrap(), row());
    c.bench_function("with_values/typical", |b| {
        b.iter(|| rule.with_values(black_box(&row)));
    });
}

criterion_group!(
    benches,
    bench_evaluation,
    bench_list_membership,
    bench_thousand_rules,
    bench_compilation,
    bench_with_values
);
criterion_main!(benches);
