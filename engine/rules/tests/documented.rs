//! Every example in Amazon's documentation and samples, with its expected verdict.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use rules::{Lists, Rule, Schema, Type, Value, Verdict, parse_expression};

const NOW: i64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z

/// Evaluates `text` where `values` are the variables: `name TYPE = value`.
#[track_caller]
fn check(text: &str, values: &[&str], want: Verdict) {
    let parsed: Vec<_> = values.iter().map(|value| read(value)).collect();
    let variables = parsed.iter().map(|(name, ty, _)| (name.clone(), *ty));
    let schema = Schema::new(variables, ["list_name".to_owned()]);
    let row: Vec<Value> = parsed.iter().map(|(.., value)| value.clone()).collect();
    let mut lists = Lists::default();
    lists.insert("list_name", ["listed", "192.0.2.7"]);
    let rule = Rule::new(text, &schema).unwrap();
    assert_eq!(rule.evaluate(&row, &lists, NOW), want, "{text} {values:?}");
    assert_eq!(
        parse_expression(text).unwrap().to_string(),
        text,
        "printed as documented"
    );
}

fn read(value: &str) -> (String, Type, Value) {
    let (variable, text) = value.split_once(" = ").unwrap();
    let (name, ty) = variable.split_once(' ').unwrap();
    let ty = ty.parse().unwrap();
    let value = if text == "null" {
        Value::Null
    } else {
        Value::parse(ty, text).unwrap()
    };
    (name.to_owned(), ty, value)
}

#[track_caller]
fn yes(text: &str, values: &[&str]) {
    check(text, values, Verdict::Matched);
}

#[track_caller]
fn no(text: &str, values: &[&str]) {
    check(text, values, Verdict::NotMatched);
}

#[test]
fn variables_and_comparisons() {
    yes(
        "$example_variable < 100",
        &["example_variable INTEGER = 99"],
    );
    no(
        "$example_variable < 100",
        &["example_variable FLOAT = 100.0"],
    );
    yes("$variable < 100", &["variable FLOAT = 99.5"]);
    yes("$variable != \"US\"", &["variable STRING = CA"]);
    no("$variable != \"US\"", &["variable STRING = US"]);
    yes("$variable == 1000", &["variable INTEGER = 1000"]);
    yes("$variable == 1000", &["variable FLOAT = 1000.0"]);
    yes(
        "$email == \"fraud@example.com\"",
        &["email STRING = fraud@example.com"],
    );
    no(
        "$email == \"fraud@example.com\"",
        &["email STRING = Fraud@example.com"],
    );
}

#[test]
fn lists() {
    yes(
        "$example_list_variable in @list_name",
        &["example_list_variable STRING = listed"],
    );
    yes(
        "$ip_address_value in @list_name",
        &["ip_address_value STRING = 192.0.2.7"],
    );
    no(
        "$ip_address_value in @list_name",
        &["ip_address_value STRING = 192.0.2.70"],
    );
    yes("$variable in [5, 10, 25, 100]", &["variable INTEGER = 25"]);
    no("$variable in [5, 10, 25, 100]", &["variable FLOAT = 25.5"]);
}

#[test]
fn arithmetic_binds_tighter_than_comparison() {
    yes(
        "$variable_1 + $variable_2 < 10",
        &["variable_1 INTEGER = 4", "variable_2 FLOAT = 5.5"],
    );
    no(
        "$variable_1 + $variable_2 < 10",
        &["variable_1 INTEGER = 5", "variable_2 INTEGER = 5"],
    );
}

#[test]
fn logic() {
    let values = ["variable_1 INTEGER = 99", "variable_2 STRING = CA"];
    yes("$variable_1 < 100 and $variable_2 != \"US\"", &values);
    let text = "$variable_1 < 100 and $variable_2 != \"US\" or $variable_1 * 100.0 > $variable_3";
    let third = "variable_3 FLOAT = 10000.0";
    yes(
        text,
        &["variable_1 INTEGER = 99", "variable_2 STRING = CA", third],
    );
    yes(
        text,
        &["variable_1 INTEGER = 101", "variable_2 STRING = US", third],
    );
    no(
        text,
        &["variable_1 INTEGER = 100", "variable_2 STRING = CA", third],
    );
}

#[test]
fn the_group_in_the_documentation_is_not_needed() {
    let text = "$variable_1 < 100 and $variable_2 != \"US\" or ($variable_1 * 100.0 > $variable_3)";
    assert_eq!(
        parse_expression(text).unwrap(),
        parse_expression(&text.replace(['(', ')'], "")).unwrap()
    );
}

#[test]
fn regex_match() {
    let gmail = r#"regex_match(".*@gmail\.com", lowercase($email))"#;
    yes(gmail, &["email STRING = Jo@GMAIL.com"]);
    no(gmail, &["email STRING = jo@gmailxcom"]);
    yes(
        r#"regex_match(".*\+1", $phone_number)"#,
        &["phone_number STRING = 5550100+1"],
    );
    no(
        r#"regex_match(".*\+1", $phone_number)"#,
        &["phone_number STRING = +15550100"],
    );
    yes(
        r#"regex_match("^mystring", $variable)"#,
        &["variable STRING = mystring"],
    );
    no(
        r#"regex_match("^mystring", $variable)"#,
        &["variable STRING = mystring2"],
    );
    yes(
        r#"regex_match("mystring", $variable)"#,
        &["variable STRING = mystring"],
    );
    no(
        r#"regex_match("mystring", $variable)"#,
        &["variable STRING = a mystring"],
    );
    yes(r#"regex_match(".", $variable)"#, &["variable STRING = é"]);
    no(r#"regex_match(".", $variable)"#, &["variable STRING = \n"]);
    yes(
        r#"regex_match(".*mystring", $variable)"#,
        &["variable STRING = a mystring"],
    );
    no(
        r#"regex_match(".*mystring", $variable)"#,
        &["variable STRING = a\nmystring"],
    );
    yes(
        r#"regex_match("mystring.*", $variable)"#,
        &["variable STRING = mystring 2"],
    );
}

#[test]
fn null() {
    yes("$variable == null", &["variable STRING = null"]);
    no("$variable == null", &["variable STRING = "]);
    yes("$variable != null", &["variable FLOAT = 0.0"]);
    no("$variable != null", &["variable FLOAT = null"]);
}

#[test]
fn dates() {
    yes(
        r#"isbefore(getcurrentdatetime(), "2019-11-30T01:01:01Z") == "False""#,
        &[],
    );
    yes(
        r#"isafter(getcurrentdatetime(), "2019-11-30T01:01:01Z") == "True""#,
        &[],
    );
    // The example in the documentation is in seconds, and of another hour.
    no(
        r#"getepochmilliseconds("2019-11-30T01:01:01Z") == 1575032461"#,
        &[],
    );
    yes(
        r#"getepochmilliseconds("2019-11-30T01:01:01Z") == 1575075661000"#,
        &[],
    );
}

#[test]
fn scores() {
    yes(
        "$tfi_ga_1011_insightscore > 950",
        &["tfi_ga_1011_insightscore FLOAT = 951"],
    );
    yes(
        "$tfi_ga_1011_insightscore <= 750",
        &["tfi_ga_1011_insightscore FLOAT = 750"],
    );
    let name = "sample_fraud_detection_model_insightscore";
    yes(&format!("${name} > 900"), &[&format!("{name} FLOAT = 901")]);
    yes(
        "$sagemaker_xgb_score_v1 > 0.9",
        &["sagemaker_xgb_score_v1 FLOAT = 0.95"],
    );
}
