//! `docs/rules.md` shows valid rules, an error as it is printed, and every function.

use rules::{Rule, Schema, Type, describe_functions};

const GUIDE: &str = include_str!("../../../docs/rules.md");

fn schema() -> Schema {
    let names = |ty: Type, names: &str| -> Vec<(String, Type)> {
        names.split(' ').map(|name| (name.to_owned(), ty)).collect()
    };
    let variables = [
        names(
            Type::Float,
            "orders_insightscore score_insightscore score amount a b c items",
        ),
        names(
            Type::String,
            "country email phone customer ip billing_country shipping_country",
        ),
        names(Type::DateTime, "signed_up_at"),
    ];
    let lists = ["blocked_ips", "blocked_countries", "trusted"].map(str::to_owned);
    Schema::new(variables.concat(), lists)
}

#[track_caller]
fn check_rule(rule: &str) {
    let rule = rule.replace("\\|", "|");
    assert!(
        Rule::new(&rule, &schema()).is_ok(),
        "{:?}",
        Rule::new(&rule, &schema())
    );
}

/// The part under a heading.
fn find_section(heading: &str) -> &'static str {
    let rest = GUIDE
        .split(&format!("\n## {heading}\n"))
        .nth(1)
        .unwrap_or_default();
    rest.split("\n## ").next().unwrap_or_default()
}

/// The first code block of a text.
fn find_code_block(text: &str) -> &str {
    text.split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("\n```").next())
        .unwrap_or_default()
}

#[test]
fn the_rules_are_valid() {
    check_rule(find_code_block(GUIDE));
    let cells = |line: &'static str| line.split('`').nth(1);
    let examples: Vec<_> = find_section("Examples").lines().filter_map(cells).collect();
    assert!(examples.len() > 5, "{examples:?}");
    examples.into_iter().for_each(check_rule);
    for mistake in find_section("Common mistakes")
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let right = mistake.rsplit(" | ").next().unwrap_or_default();
        let right = right.trim_matches(['|', ' ', '`']);
        if right.starts_with(['$', '(', 'r']) {
            check_rule(right);
        }
    }
}

#[test]
fn the_error_is_real() {
    let text = "$amuont > 100 && $country in @blocked_country\n\
                and lower_case($country) == \"kp\" and $amount > \"100\"";
    let error = Rule::new(text, &schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        find_code_block(find_section("What an error looks like"))
    );
}

#[test]
fn the_table_of_functions_is_complete() {
    let table = describe_functions();
    assert!(
        find_section("Functions").contains(&table),
        "replace the table under `Functions` in docs/rules.md with this one:\n\n{table}"
    );
}
