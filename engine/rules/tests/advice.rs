//! What authors write wrong, the whole message, and the rule that they get when they follow it.
//! Each advice is followed here, and what comes of it is accepted.

use rules::{Rule, Schema, Type};

fn schema() -> Schema {
    let variables = [
        ("amount", Type::Float),
        ("count", Type::Integer),
        ("country", Type::String),
        ("email", Type::String),
        ("new", Type::Boolean),
        ("since", Type::DateTime),
    ];
    let variables = variables.map(|(name, ty)| (name.to_owned(), ty));
    Schema::new(variables, ["blocked".to_owned()])
}

/// The messages of a wrong rule without their places, and the rule with all advice followed.
fn follow_advice(wrong: &str) -> (Vec<String>, Option<String>) {
    let Err(errors) = Rule::new(wrong, &schema()) else {
        return (Vec::new(), None);
    };
    let messages = errors.problems().iter().map(|one| one.message.clone());
    (messages.collect(), errors.correct_text())
}

#[track_caller]
fn check(wrong: &str, messages: &[&str], right: &str) {
    let (found, corrected) = follow_advice(wrong);
    assert_eq!(found, messages, "{wrong}");
    assert_eq!(corrected.as_deref(), Some(right), "{wrong}");
    assert!(
        Rule::new(right, &schema()).is_ok(),
        "`{wrong}` became `{right}`, which is refused: {:?}",
        Rule::new(right, &schema())
    );
}

/// A mistake that only its author can correct: a message without a correction.
#[track_caller]
fn check_unclear(wrong: &str, messages: &[&str]) {
    let (found, corrected) = follow_advice(wrong);
    assert_eq!(
        (found, corrected),
        (messages.iter().map(|one| (*one).to_owned()).collect(), None),
        "{wrong}"
    );
}

#[test]
fn operators_of_other_languages() {
    for (wrong, right) in [("&&", "and"), ("||", "or"), ("&", "and"), ("|", "or")] {
        let message = format!("`{wrong}` is not an operator; write `{right}`");
        let text = format!("$amount > 1 {wrong} $country == \"x\"");
        check(&text, &[&message], &text.replace(wrong, right));
        let tight = format!("$new{wrong}$amount>1");
        check(&tight, &[&message], &format!("$new {right} $amount>1"));
    }
    for (wrong, right) in [
        ("=", "=="),
        ("===", "=="),
        ("!==", "!="),
        ("<>", "!="),
        ("=>", ">="),
        ("=<", "<="),
        (":=", "=="),
        ("≠", "!="),
        ("≤", "<="),
        ("≥", ">="),
    ] {
        let message = format!("`{wrong}` is not an operator; write `{right}`");
        let text = format!("$amount {wrong} 1");
        check(&text, &[&message], &text.replace(wrong, right));
    }
    check_unclear(
        "$count&&$new",
        &[
            "`and` joins conditions, but `$count` is INTEGER",
            "`&&` is not an operator; write `and`",
        ],
    );
}

#[test]
fn words_of_other_languages() {
    check(
        "$new AND $new",
        &["`AND` is a keyword in lower case: write `and`"],
        "$new and $new",
    );
    check(
        "$new Or $new",
        &["`Or` is a keyword in lower case: write `or`"],
        "$new or $new",
    );
    check(
        "$new == True",
        &["`True` is a keyword in lower case: write `true`"],
        "$new == true",
    );
    check(
        "$amount == NULL",
        &["`NULL` is a keyword in lower case: write `null`"],
        "$amount == null",
    );
    check(
        "$amount != None",
        &["`None` is not a value; write `null`"],
        "$amount != null",
    );
    check(
        "$country IN [\"x\"]",
        &["`IN` is a keyword in lower case: write `in`"],
        "$country in [\"x\"]",
    );
    check(
        "$country NOT IN [\"x\"]",
        &[
            "`NOT` is a keyword in lower case: write `not`",
            "`IN` is a keyword in lower case: write `in`",
        ],
        "$country not in [\"x\"]",
    );
    check(
        "$amount is null",
        &["`is` is not an operator; write `==`"],
        "$amount == null",
    );
    check(
        "$amount IS NOT NULL",
        &[
            "`IS NOT` is not an operator; write `!=`",
            "`NULL` is a keyword in lower case: write `null`",
        ],
        "$amount != null",
    );
}

#[test]
fn negations() {
    let message =
        |word: &str, right: &str| format!("`{word}` does not negate a condition; write `{right}`");
    for (wrong, word, right) in [
        ("NOT ($amount > 1)", "NOT", "!($amount > 1)"),
        ("not $new", "not", "!$new"),
        ("Not $amount > 1", "Not", "!($amount > 1)"),
        ("not $country in @blocked", "not", "!($country in @blocked)"),
        (
            "NOT regex_match(\"a\", $email)",
            "NOT",
            "!regex_match(\"a\", $email)",
        ),
    ] {
        check(wrong, &[&message(word, right)], right);
    }
    check(
        "NOT $amount = 1 and $new",
        &[
            &message("NOT", "!($amount == 1)"),
            "`=` is not an operator; write `==`",
        ],
        "!($amount == 1) and $new",
    );
    check(
        "NOT(NOT $new)",
        &[&message("NOT", "!!$new")[..], &message("NOT", "!$new")[..]],
        "!(!$new)",
    );
    check(
        "!$country == \"x\"",
        &[
            "`!` negates a condition and binds tighter than `==` or `+`, but `$country` is STRING; \
           write `!(…)` around the whole condition",
        ],
        "!($country == \"x\")",
    );
    check_unclear(
        "!$country",
        &["`!` negates a condition, but `$country` is STRING"],
    );
    check_unclear(
        "NOT $count",
        &[
            &message("NOT", "!$count"),
            "`!` negates a condition, but `$count` is INTEGER",
        ],
    );
}

#[test]
fn numbers() {
    for (wrong, right) in [
        (".5e3", "500"),
        (".5", "0.5"),
        ("1e5", "100000"),
        ("25e-2", "0.25"),
        ("1_000", "1000"),
        ("7.", "7"),
        ("1e19", "10000000000000000000.0"),
    ] {
        let message = format!("`{wrong}` is not a number here; write `{right}`");
        check(
            &format!("$amount > {wrong}"),
            &[&message],
            &format!("$amount > {right}"),
        );
        check(
            &format!("$amount > -{wrong}"),
            &[&message],
            &format!("$amount > -{right}"),
        );
    }
    check(
        "$amount > 9223372036854775808",
        &["`9223372036854775808` is too large: a whole number has 64 bits; write it with `.0`"],
        "$amount > 9223372036854775808.0",
    );
    check(
        "-$amount * 2 < -$count",
        &[
            "`-` may only stand before a number; write `(0 - $amount)`",
            "`-` may only stand before a number; write `(0 - $count)`",
        ],
        "(0 - $amount) * 2 < (0 - $count)",
    );
    check_unclear(
        "$amount > 100k",
        &["`100k` is not a number; write digits, such as `100` or `0.5`"],
    );
    check_unclear(
        "$amount > 0x10",
        &["`0x10` is not a number; write digits, such as `100` or `0.5`"],
    );
}

#[test]
fn strings() {
    let message =
        |right: &str| format!("a string stands in straight double quotes: write `{right}`");
    for wrong in ["'US'", "“US”", "„US“", "«US»", "‘US’", "“US\"", "\"US”"] {
        check(
            &format!("$country == {wrong} and $new"),
            &[&message("\"US\"")],
            "$country == \"US\" and $new",
        );
    }
    check(
        "$country == 'a\"b'",
        &[&message("\"a\\\"b\"")],
        "$country == \"a\\\"b\"",
    );
    check(
        "$country == US",
        &["`US` is not a value; text is written `\"US\"`, a variable `$US`"],
        "$country == \"US\"",
    );
    check_unclear(
        "$country == \"US",
        &["this string has no closing `\"` on its line"],
    );
    check_unclear(
        "$country == 'US",
        &["a string stands in straight double quotes, and this one does not end on its line"],
    );
}

#[test]
fn lists() {
    let brackets = |right: &str| format!("a list stands in square brackets: write `{right}`");
    check(
        "$country in (\"US\")",
        &[&brackets("[\"US\"]")],
        "$country in [\"US\"]",
    );
    check(
        "$count not in (1, -2)",
        &[&brackets("[1, -2]")],
        "$count not in [1, -2]",
    );
    check(
        "$country in \"US\"",
        &["`in` takes a list: write `[\"US\"]`"],
        "$country in [\"US\"]",
    );
    check(
        "$country in blocked",
        &["a list is written with `@`: write `@blocked`"],
        "$country in @blocked",
    );
    check(
        "$country in @bloked",
        &["there is no list `@bloked`; did you mean `@blocked`?"],
        "$country in @blocked",
    );
    check(
        "$country in [US, 'CA']",
        &[
            "`US` is not a value; text is written `\"US\"`, a variable `$US`",
            "a string stands in straight double quotes: write `\"CA\"`",
        ],
        "$country in [\"US\", \"CA\"]",
    );
    check(
        "$country in [5]",
        &["`5` cannot equal what is left of `in`, which is STRING; write `\"5\"`"],
        "$country in [\"5\"]",
    );
    check(
        "$count in [\"5\"]",
        &["`\"5\"` cannot equal what is left of `in`, which is INTEGER; write `5`"],
        "$count in [5]",
    );
    check_unclear(
        "$country in customers",
        &["expected a list such as `[1, 2]` or `@list_name`, found `customers`"],
    );
    check_unclear(
        "$count in [-$count]",
        &["a list holds strings and numbers only"],
    );
    check_unclear(
        "$count in ()",
        &["a list holds at least one value, found `)`"],
    );
}

#[test]
fn functions_and_methods_of_other_languages() {
    for (wrong, right) in [
        (
            "$email.contains(\"x.y\")",
            "regex_match(\".*x\\.y.*\", $email)",
        ),
        ("$email.startsWith(\"x\")", "regex_match(\"x.*\", $email)"),
        ("$email.ends_with('x')", "regex_match(\".*x\", $email)"),
        ("$email.lower() == \"x\"", "lowercase($email) == \"x\""),
    ] {
        let (found, corrected) = follow_advice(wrong);
        assert_eq!(corrected.as_deref(), Some(right), "{found:?}");
        assert!(Rule::new(right, &schema()).is_ok(), "{right}");
    }
    check(
        "$email.contains(\"x\")",
        &["values have no methods: write `regex_match(\".*x.*\", $email)`"],
        "regex_match(\".*x.*\", $email)",
    );
    check(
        "!$email.lower().contains(\"x\")",
        &[
            "values have no methods: write `lowercase($email)`",
            "values have no methods: write `regex_match(\".*x.*\", lowercase($email))`",
        ],
        "!regex_match(\".*x.*\", lowercase($email))",
    );
    check(
        "contains($email, \"x\")",
        &["there is no function `contains`; write `regex_match(\".*x.*\", $email)`"],
        "regex_match(\".*x.*\", $email)",
    );
    check(
        "lower(email) == \"x\"",
        &[
            "there is no function `lower`; write `lowercase($email)`",
            "`email` is not a value; write `$email`",
        ],
        "lowercase($email) == \"x\"",
    );
    check(
        "lower_case($email) == \"x\"",
        &["there is no function `lower_case`; did you mean `lowercase`?"],
        "lowercase($email) == \"x\"",
    );
    let general = "values have no members and no methods; a function stands before its values, \
                   as in `lowercase($email)`";
    check_unclear("$email.length > 5", &[general]);
    check_unclear("$email.split(\"@\") == \"x\"", &[general]);
    check_unclear(
        "$email =~ \"x\"",
        &["`=~` is not an operator; write `regex_match(pattern, text)`"],
    );
}

#[test]
fn types_and_names() {
    check(
        "$amuont > 1",
        &["there is no variable `$amuont`; did you mean `$amount`?"],
        "$amount > 1",
    );
    check(
        "amount > 1",
        &["`amount` is not a value; write `$amount`"],
        "$amount > 1",
    );
    check(
        "$amount > 1;",
        &["a rule ends without `;`: leave it out"],
        "$amount > 1",
    );
    check(
        "$country == 5",
        &["`==` cannot compare STRING with INTEGER; write `\"5\"`"],
        "$country == \"5\"",
    );
    check(
        "$amount > \"100\"",
        &["`>` cannot compare FLOAT with STRING; write `100` without quotes"],
        "$amount > 100",
    );
    check(
        "1 < $amount < 5",
        &["comparisons do not chain: write `1 < $amount and $amount < 5`"],
        "1 < $amount and $amount < 5",
    );
    check(
        "$since - 5 > 0",
        &["`-` takes numbers, but `$since` is DATETIME; use `getepochmilliseconds(…)`"],
        "getepochmilliseconds($since) - 5 > 0",
    );
    let whole = |found: &str, example: &str| {
        format!("a rule must be true or false, but this is {found}; compare it, as in `{example}`")
    };
    check_unclear("$amount", &[&whole("FLOAT", "… > 100")]);
    check_unclear("$country", &[&whole("STRING", "… == \"text\"")]);
    check_unclear(
        "$since",
        &[&whole("DATETIME", "… > \"2019-11-30T01:01:01Z\"")],
    );
    for right in [
        "$amount > 100",
        "$country == \"text\"",
        "$since > \"2019-11-30T01:01:01Z\"",
    ] {
        assert!(Rule::new(right, &schema()).is_ok(), "{right}");
    }
    check_unclear(
        "$amount == \"99999999999999999999\"",
        &["`==` cannot compare FLOAT with STRING"],
    );
}
