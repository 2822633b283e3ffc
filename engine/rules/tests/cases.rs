//! Runs every file in `cases/`: a rule with its expected verdicts. To add a case, add a file.
//!
//! The head of a file consists of comment lines. The rule starts with the first other line.
//! ```text
//! # Free text: what this case shows.
//! # variables: amount FLOAT, country STRING
//! # list: blocked = KP, SY
//! # now: 2026-01-01T00:00:00Z
//! # given: amount = 10.5; country = US -> matched
//! # given: country = US -> undetermined
//! # lint: the text of a warning
//! # error: at 1:1: the text of an error
//! ```
//! A variable that is missing in a `given` line is null. A case has either `given` lines
//! and one `lint` line for each warning, or one `error` line for each error, in order.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops on an error"
)]

use std::{fs, path::Path};

use rules::{Lists, Rule, Schema, Type, Value, Verdict};

#[derive(Default)]
struct Case {
    variables: Vec<(String, Type)>,
    lists: Lists,
    now_ms: i64,
    given: Vec<(Vec<(String, String)>, String)>,
    warnings: Vec<String>,
    errors: Vec<String>,
    rule: String,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next_if(|line| line.starts_with('#')) {
            let line = line.trim_start_matches(['#', ' ']);
            if let Some((key, rest)) = line.split_once(": ") {
                case.read_head_line(key, rest.trim());
            }
        }
        case.rule = lines.collect::<Vec<_>>().join("\n");
        case
    }

    fn read_head_line(&mut self, key: &str, rest: &str) {
        match key {
            "variables" => self.variables = rest.split(", ").map(parse_variable).collect(),
            "list" => {
                let (name, values) = rest.split_once(" = ").unwrap();
                self.lists.insert(name, values.split(", "));
            }
            "now" => self.now_ms = parse_millis(rest),
            "given" => {
                let (values, verdict) = rest.rsplit_once("->").unwrap();
                let values = values.split("; ").filter_map(|value| value.split_once('='));
                let trimmed = |(a, b): (&str, &str)| (a.trim().to_owned(), b.trim().to_owned());
                self.given
                    .push((values.map(trimmed).collect(), verdict.trim().to_owned()));
            }
            "lint" => self.warnings.push(rest.to_owned()),
            "error" => self.errors.push(rest.to_owned()),
            _ => {}
        }
    }

    fn schema(&self) -> Schema {
        let lists = ["blocked", "allowed", "watched", "trusted"].map(str::to_owned);
        Schema::new(self.variables.clone(), lists)
    }

    fn row(&self, given: &[(String, String)]) -> Vec<Value> {
        let value =
            |(name, ty): &(String, Type)| match given.iter().find(|(known, _)| known == name) {
                Some((_, text)) => Value::parse(*ty, text).unwrap(),
                None => Value::Null,
            };
        self.variables.iter().map(value).collect()
    }

    fn check(&self) {
        assert!(
            !self.given.is_empty() || !self.errors.is_empty(),
            "no `given` and no `error` line"
        );
        let rule = match Rule::new(&self.rule, &self.schema()) {
            Ok(rule) => rule,
            Err(errors) => return assert_eq!(errors.messages(), self.errors),
        };
        assert!(self.errors.is_empty(), "the rule is valid");
        let warnings: Vec<_> = rule
            .lint_warnings()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(warnings, self.warnings);
        for (given, want) in &self.given {
            let got = rule.evaluate(&self.row(given), &self.lists, self.now_ms);
            assert_eq!(verdict_name(got), want, "{given:?}");
        }
    }
}

fn parse_variable(text: &str) -> (String, Type) {
    let (name, ty) = text.split_once(' ').unwrap();
    (name.to_owned(), ty.parse().unwrap())
}

fn parse_millis(text: &str) -> i64 {
    match Value::parse(Type::DateTime, text) {
        Ok(Value::DateTime(millis)) => millis,
        other => panic!("{text}: {other:?}"),
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Matched => "matched",
        Verdict::NotMatched => "not matched",
        Verdict::Undetermined => "undetermined",
    }
}

#[test]
fn every_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut failed = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rule") {
            continue;
        }
        let case = Case::read(&fs::read_to_string(&path).unwrap());
        if std::panic::catch_unwind(|| case.check()).is_err() {
            failed.push(path);
        }
    }
    assert!(
        failed.is_empty(),
        "what differs is printed above: {failed:#?}"
    );
}
