//! Every example in Amazon's documentation and samples, with its expected verdict.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use rules::{Lists, Rule, Schema, Type, Value, Verdict, parse_expression};

const NOW: i64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z

/// Evaluates `text` where `values` are the variables: `name TYPE = value`.
#[track_caller]
fn check_verdict(text: &str, values: &[&str], want: Verdict) {
    let parsed: Vec<_> = values.iter().map(|value| parse_variable(value)).collect();
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

fn parse_variable(value: &str) -> (String, Type, Value) {
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
fn assert_matched(text: &str, values: &[&str]) {
    check_verdict(text, values, Verdict::Matched);
}

#[track_caller]
fn assert_not_matched(text: &str, values: &[&str]) {
    check_verdict(text, values, Verdict::NotMatched);
}

#[test]
fn variables_and_comparisons() {
    assert_matched(
        "$example_variable < 100",
        &["example_variable INTEGER = 99"],
    );
    assert_not_matched(
        "$example_variable < 100",
        &["example_variable FLOAT = 100.0"],
    );
    assert_matched("$variable < 100", &["variable FLOAT = 99.5"]);
    assert_matched("$variable != \"US\"", &["variable STRING = CA"]);
    assert_not_matched("$variable != \"US\"", &["variable STRING = US"]);
    assert_matched("$variable == 1000", &["variable INTEGER = 1000"]);
    assert_matched("$variable == 1000", &["variable FLOAT = 1000.0"]);
    assert_matched(
        "$email == \"fraud@example.com\"",
        &["email STRING = fraud@example.com"],
    );
    assert_not_matched(
        "$email == \"fraud@example.com\"",
        &["email STRING = Fraud@example.com"],
    );
}

#[test]
fn lists() {
    assert_matched(
        "$example_list_variable in @list_name",
        &["example_list_variable STRING = listed"],
    );
    assert_matched(
        "$ip_address_value in @list_name",
        &["ip_address_value STRING = 192.0.2.7"],
    );
    assert_not_matched(
        "$ip_address_value in @list_name",
        &["ip_address_value STRING = 192.0.2.70"],
    );
    assert_matched("$variable in [5, 10, 25, 100]", &["variable INTEGER = 25"]);
    assert_not_matched("$variable in [5, 10, 25, 100]", &["variable FLOAT = 25.5"]);
}

#[test]
fn arithmetic_binds_tighter_than_comparison() {
    assert_matched(
        "$variable_1 + $variable_2 < 10",
        &["variable_1 INTEGER = 4", "variable_2 FLOAT = 5.5"],
    );
    assert_not_matched(
        "$variable_1 + $variable_2 < 10",
        &["variable_1 INTEGER = 5", "variable_2 INTEGER = 5"],
    );
}

#[test]
fn logic() {
    let values = ["variable_1 INTEGER = 99", "variable_2 STRING = CA"];
    assert_matched("$variable_1 < 100 and $variable_2 != \"US\"", &values);
    let text = "$variable_1 < 100 and $variable_2 != \"US\" or $variable_1 * 100.0 > $variable_3";
    let third = "variable_3 FLOAT = 10000.0";
    assert_matched(
        text,
        &["variable_1 INTEGER = 99", "variable_2 STRING = CA", third],
    );
    assert_matched(
        text,
        &["variable_1 INTEGER = 101", "variable_2 STRING = US", third],
    );
    assert_not_matched(
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
    assert_matched(gmail, &["email STRING = Jo@GMAIL.com"]);
    assert_not_matched(gmail, &["email STRING = jo@gmailxcom"]);
    assert_matched(
        r#"regex_match(".*\+1", $phone_number)"#,
        &["phone_number STRING = 5550100+1"],
    );
    assert_not_matched(
        r#"regex_match(".*\+1", $phone_number)"#,
        &["phone_number STRING = +15550100"],
    );
    assert_matched(
        r#"regex_match("^mystring", $variable)"#,
        &["variable STRING = mystring"],
    );
    assert_not_matched(
        r#"regex_match("^mystring", $variable)"#,
        &["variable STRING = mystring2"],
    );
    assert_matched(
        r#"regex_match("mystring", $variable)"#,
        &["variable STRING = mystring"],
    );
    assert_not_matched(
        r#"regex_match("mystring", $variable)"#,
        &["variable STRING = a mystring"],
    );
    assert_matched(r#"regex_match(".", $variable)"#, &["variable STRING = é"]);
    assert_not_matched(r#"regex_match(".", $variable)"#, &["variable STRING = \n"]);
    assert_matched(
        r#"regex_match(".*mystring", $variable)"#,
        &["variable STRING = a mystring"],
    );
    assert_not_matched(
        r#"regex_match(".*mystring", $variable)"#,
        &["variable STRING = a\nmystring"],
    );
    assert_matched(
        r#"regex_match("mystring.*", $variable)"#,
        &["variable STRING = mystring 2"],
    );
}

#[test]
fn null() {
    assert_matched("$variable == null", &["variable STRING = null"]);
    assert_not_matched("$variable == null", &["variable STRING = "]);
    assert_matched("$variable != null", &["variable FLOAT = 0.0"]);
    assert_not_matched("$variable != null", &["variable FLOAT = null"]);
}

#[test]
fn dates() {
    assert_matched(
        r#"isbefore(getcurrentdatetime(), "2019-11-30T01:01:01Z") == "False""#,
        &[],
    );
    assert_matched(
        r#"isafter(getcurrentdatetime(), "2019-11-30T01:01:01Z") == "True""#,
        &[],
    );
    // The example in the documentation is in seconds, and of another hour.
    assert_not_matched(
        r#"getepochmilliseconds("2019-11-30T01:01:01Z") == 1575032461"#,
        &[],
    );
    assert_matched(
        r#"getepochmilliseconds("2019-11-30T01:01:01Z") == 1575075661000"#,
        &[],
    );
}

#[test]
fn scores() {
    assert_matched(
        "$tfi_ga_1011_insightscore > 950",
        &["tfi_ga_1011_insightscore FLOAT = 951"],
    );
    assert_matched(
        "$tfi_ga_1011_insightscore <= 750",
        &["tfi_ga_1011_insightscore FLOAT = 750"],
    );
    let name = "sample_fraud_detection_model_insightscore";
    assert_matched(&format!("${name} > 900"), &[&format!("{name} FLOAT = 901")]);
    assert_matched(
        "$sagemaker_xgb_score_v1 > 0.9",
        &["sagemaker_xgb_score_v1 FLOAT = 0.95"],
    );
}
