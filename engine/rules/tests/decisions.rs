//! What Amazon does not document and this project decided: one test each.

use rules::{Lists, Rule, Schema, Type, Value, Verdict, parse_expression};

const YES: &str = "matched";
const NO: &str = "not matched";
const UNKNOWN: &str = "undetermined";

fn schema() -> Schema {
    let variables = [
        ("i", Type::Integer),
        ("j", Type::Integer),
        ("f", Type::Float),
        ("s", Type::String),
        ("b", Type::Boolean),
        ("d", Type::DateTime),
        ("m_insightscore", Type::Float),
        ("nothing", Type::Float),
    ];
    let lists = ["l", "k", "m", "n"].map(str::to_owned);
    Schema::new(variables.map(|(name, ty)| (name.to_owned(), ty)), lists)
}

/// i = 7, j = 2, f = 0.5, s = "True", b = true, d = 2019-11-30T01:01:01Z, score = 900.
fn row() -> Vec<Value> {
    vec![
        Value::Integer(7),
        Value::Integer(2),
        Value::Float(0.5),
        Value::String("True".into()),
        Value::Boolean(true),
        Value::DateTime(1_575_075_661_000),
        Value::Float(900.0),
        Value::Null,
    ]
}

/// The verdict on [`row`], or the errors.
fn evaluate_rule(text: &str) -> String {
    let mut lists = Lists::default();
    lists.insert("l", ["7", "0.50", "True", "2019-11-30T01:01:01.0Z", "+2"]);
    let word = |verdict| match verdict {
        Verdict::Matched => YES.to_owned(),
        Verdict::NotMatched => NO.to_owned(),
        Verdict::Undetermined => UNKNOWN.to_owned(),
    };
    match Rule::new(text, &schema()) {
        Ok(rule) => word(rule.evaluate(&row(), &lists, 1000)),
        Err(errors) => errors.messages().join("; "),
    }
}

#[track_caller]
fn check_rule(text: &str, want: &str) {
    assert_eq!(evaluate_rule(text), want, "{text}");
}

#[track_caller]
fn check_all(texts: &[&str], want: &str) {
    for text in texts {
        check_rule(text, want);
    }
}

#[test]
fn precedence_is_not_times_plus_compare_and_or() {
    check_rule("$i == 1 + 2 * 3 and $j == 2 or $i == 0", YES);
    check_rule("$b or $b and $i == 0", YES);
    check_rule("($b or $b) and $i == 0", NO);
    check_rule("!$b == false", YES);
    check_rule("$i - 1 in [6] == true", YES);
}

#[test]
fn a_pattern_matches_the_whole_string() {
    check_rule(r#"regex_match("ru", $s)"#, NO);
    check_rule(r#"regex_match(".*ru.*", $s)"#, YES);
    check_rule(r#"regex_match("T|True", $s)"#, YES);
    check_rule(
        r#"regex_match("a)|(True", $s)"#,
        "at 1:13: this is not a pattern: unopened group",
    );
}

#[test]
fn a_pattern_has_a_size_limit() {
    check_rule(
        r#"regex_match("(a{1000}){1000}", $s)"#,
        "at 1:13: this is not a pattern: it compiles to more than 1048576 bytes",
    );
}

#[test]
fn an_invalid_pattern_of_an_event_is_null() {
    check_rule("regex_match($s, \"True\")", YES);
    check_rule("regex_match($s, lowercase($s))", NO);
    let rule = Rule::new("regex_match($s, \"x\")", &schema()).unwrap();
    for bad in ["(", "(a{1000}){1000}"] {
        let mut row = row();
        row[3] = Value::String(bad.into());
        assert_eq!(
            rule.evaluate(&row, &Lists::default(), 0),
            Verdict::Undetermined
        );
    }
}

#[test]
fn an_unknown_escape_is_left_to_the_pattern() {
    check_rule(r#"regex_match("\w{4}", $s) and "\." == "\\.""#, YES);
    check_rule(r#""\"" == "\"""#, YES);
}

#[test]
fn null_makes_comparisons_unknown_but_null_tests_do_not() {
    check_all(
        &[
            "$nothing < 1",
            "$nothing == 1",
            "$nothing != 1",
            "$nothing == $nothing",
        ],
        UNKNOWN,
    );
    check_all(
        &["$nothing in [1]", "$nothing not in [1]", "$nothing in @l"],
        UNKNOWN,
    );
    check_all(
        &[
            "$nothing == null",
            "null == $nothing",
            "$i != null",
            "null == null",
        ],
        YES,
    );
    check_all(&["$nothing != null", "$i == null"], NO);
}

#[test]
fn null_makes_arithmetic_and_functions_unknown() {
    check_all(
        &[
            "$nothing + 1 > 0",
            "0 * $nothing == 0",
            "1 - $nothing % 2 < 5",
        ],
        UNKNOWN,
    );
    let schema = schema();
    for text in [
        r#"regex_match(".*", $s)"#,
        r#"lowercase($s) == "x""#,
        r#"uppercase($s) != "x""#,
        "isbefore($d, getcurrentdatetime())",
        "isafter($d, getcurrentdatetime())",
        "getepochmilliseconds($d) > 0",
    ] {
        let rule = Rule::new(text, &schema).unwrap();
        assert_eq!(
            rule.evaluate(&[], &Lists::default(), 0),
            Verdict::Undetermined,
            "{text}"
        );
    }
}

#[test]
fn logic_is_kleenes() {
    let unknown = "$nothing > 0";
    check_rule(&format!("{unknown} and $i == 0"), NO);
    check_rule(&format!("$i == 0 and {unknown}"), NO);
    check_rule(&format!("{unknown} and $i == 7"), UNKNOWN);
    check_rule(&format!("{unknown} or $i == 7"), YES);
    check_rule(&format!("$i == 7 or {unknown}"), YES);
    check_rule(&format!("{unknown} or $i == 0"), UNKNOWN);
    check_rule(&format!("!({unknown})"), UNKNOWN);
    check_rule(&format!("({unknown} and $i == 7) == null"), YES);
}

#[test]
fn division_by_zero_and_overflow_are_null() {
    check_all(
        &[
            "$i / ($j - 2) == null",
            "$i % ($j - 2) == null",
            "$f / 0 == null",
        ],
        YES,
    );
    check_all(
        &["$f % 0.0 == null", "9223372036854775807 + $i == null"],
        YES,
    );
    check_all(
        &[
            "-9223372036854775808 - $i == null",
            "9223372036854775807 * $j == null",
        ],
        YES,
    );
    let largest = format!("{}.0", f64::MAX);
    check_rule(&format!("{largest} * $i == null"), YES);
    check_rule("(-9223372036854775808) % ($j - 3) == 0", YES);
    check_all(&["$i / 0 > 1", "9223372036854775807 + $i > 0"], UNKNOWN);
}

#[test]
fn a_text_that_is_not_a_time_is_null() {
    check_rule("getepochmilliseconds($s) == null", YES);
    check_all(
        &["isbefore($s, $d)", "isafter($d, lowercase($s))", "$d == $s"],
        UNKNOWN,
    );
    check_rule(
        "isbefore($d, \"2019-11-30\")",
        "at 1:14: `\"2019-11-30\"` is not a time; write it in UTC as `\"2019-11-30T01:01:01Z\"`",
    );
}

#[test]
fn times_compare_with_iso_literals() {
    check_all(
        &[
            r#"$d == "2019-11-30T01:01:01Z""#,
            r#""2019-11-30T01:01:00.999Z" < $d"#,
        ],
        YES,
    );
    check_all(
        &[
            r#"$d in ["2019-11-30T01:01:01.000Z"]"#,
            "$d in @l",
            "$d > getcurrentdatetime()",
        ],
        YES,
    );
    check_all(
        &[
            r#"$d != "2019-11-30T01:01:01.0Z""#,
            "isbefore($d, $d)",
            "isafter($d, $d)",
        ],
        NO,
    );
    check_rule(
        "$d > 1575075661000",
        "at 1:1: `>` cannot compare DATETIME with INTEGER; \
         write the time as `\"2019-11-30T01:01:01Z\"`",
    );
}

#[test]
fn the_time_is_an_argument() {
    check_rule("getepochmilliseconds(getcurrentdatetime()) == 1000", YES);
}

#[test]
fn milliseconds_are_real() {
    check_rule("getepochmilliseconds($d) == 1575075661000", YES);
    check_rule(
        "getepochmilliseconds(\"1970-01-01T00:00:01.5Z\") == 1500",
        YES,
    );
}

#[test]
fn a_boolean_equals_its_word_in_any_case() {
    check_all(
        &[
            "$b",
            "$b == \"True\"",
            "$b == \"tRUE\"",
            "\"true\" == $b",
            "$b == $s",
        ],
        YES,
    );
    check_all(
        &[
            "$b != \"false\"",
            "$b in [\"TRUE\"]",
            "$b in @l",
            "$b not in [false]",
        ],
        YES,
    );
    check_rule(
        "$b == \"yes\"",
        "at 1:7: `\"yes\"` can never equal a condition; write `\"true\"` or `\"false\"`",
    );
}

#[test]
fn bare_true_and_false_are_literals() {
    check_all(&["true", "$b == true", "!false", "($i > 5) == true"], YES);
    check_all(&["false", "$b != true"], NO);
}

#[test]
fn integers_mix_with_floats_as_floats() {
    check_all(
        &[
            "$i == 7.0",
            "$i > 6.5",
            "$i + $f == 7.5",
            "$i * 0.5 == 3.5",
            "$i in [7.0]",
        ],
        YES,
    );
    check_rule("9007199254740993 == 9007199254740992.0", YES);
    check_rule("9007199254740993 == 9007199254740992", NO);
}

#[test]
fn a_quotient_is_a_float() {
    check_all(
        &[
            "$i / $j == 3.5",
            "$i / 2 == 3.5",
            "7 / 2 > 3",
            "1 / $j * 2 == 1",
        ],
        YES,
    );
}

#[test]
fn a_remainder_has_the_sign_of_the_dividend() {
    check_all(
        &["(0 - $i) % 3 == -1", "$i % -3 == 1", "-7.5 % $j == -1.5"],
        YES,
    );
}

#[test]
fn a_number_may_carry_a_minus() {
    check_all(
        &[
            "$i > -1",
            "$i - -1 == 8",
            "$i -1 == 6",
            "$i in [-1, 7]",
            "-1.5 < $f",
        ],
        YES,
    );
    check_rule(
        "-$i < 0",
        "at 1:1: `-` may only stand before a number; write `(0 - $i)`",
    );
}

#[test]
fn strings_are_not_ordered() {
    let message = "at 1:1: `>=` does not order a STRING; compare numbers or times, \
                   or test with `==`, `in` or `regex_match`";
    check_rule("$s >= \"T\"", message);
}

#[test]
fn types_do_not_mix() {
    check_rule(
        "$s == 7",
        "at 1:1: `==` cannot compare STRING with INTEGER; write `\"7\"`",
    );
    check_rule(
        "$i == \"7\"",
        "at 1:1: `==` cannot compare INTEGER with STRING; write `7` without quotes",
    );
    // No advice where following it would be refused as well.
    check_rule("$s < 7", "at 1:1: `<` cannot compare STRING with INTEGER");
    check_rule(
        "$i == \"1e5\"",
        "at 1:1: `==` cannot compare INTEGER with STRING",
    );
    check_rule(
        "$i == \".5\"",
        "at 1:1: `==` cannot compare INTEGER with STRING",
    );
    check_rule(
        "$b == 1",
        "at 1:1: `==` cannot compare true or false with INTEGER",
    );
    check_rule(
        "$s + \"a\" == \"b\"",
        "at 1:1: `+` takes numbers, but `$s` is STRING; strings cannot be joined; \
           at 1:6: `+` takes numbers, but `\"a\"` is STRING; strings cannot be joined",
    );
    check_rule(
        "$d - 1 > 0",
        "at 1:1: `-` takes numbers, but `$d` is DATETIME; use `getepochmilliseconds(…)`",
    );
    check_rule(
        "$i and $b",
        "at 1:1: `and` joins conditions, but `$i` is INTEGER",
    );
    check_rule(
        "!$i == 7",
        "at 1:2: `!` negates a condition and binds tighter than `==` or `+`, \
           but `$i` is INTEGER; write `!(…)` around the whole condition",
    );
    check_rule(
        "$i < null",
        "at 1:1: `null` goes with `==` and `!=` only, not with `<`",
    );
    check_rule(
        "$s in [\"a\", 5]",
        "at 1:13: `5` cannot equal what is left of `in`, which is STRING; write `\"5\"`",
    );
    check_rule(
        "$i in [\"a\"]",
        "at 1:8: `\"a\"` cannot equal what is left of `in`, which is INTEGER; \
           write numbers, without quotes",
    );
    check_rule(
        "regex_match(\"7\", $i)",
        "at 1:18: `regex_match` takes a STRING here, but `$i` is INTEGER",
    );
    check_rule(
        "getepochmilliseconds($i) > 0",
        "at 1:22: `getepochmilliseconds` takes a DATETIME or a STRING here, \
           but `$i` is INTEGER",
    );
}

#[test]
fn functions_take_what_they_take() {
    check_rule(
        "lowercase($s, $s) == \"a\"",
        "at 1:1: `lowercase` takes one argument, not 2: write `lowercase(text)`",
    );
    check_rule(
        "trim($s, \"a\")",
        "at 1:1: there is no function `trim`; there are regex_match, lowercase, \
           uppercase, getcurrentdatetime, isbefore, isafter, getepochmilliseconds",
    );
    check_rule(
        "REGEX_MATCH(\"a\", $s)",
        "at 1:1: there is no function `REGEX_MATCH`; did you mean `regex_match`?",
    );
    check_all(
        &["lowercase($s) == \"true\"", "uppercase(\"ß\") == \"SS\""],
        YES,
    );
}

#[test]
fn a_list_holds_numbers_by_value_and_strings_exactly() {
    check_all(
        &[
            "$i in @l",
            "$f in @l",
            "$s in @l",
            "$i not in [1, 2]",
            "$s in [\"True\"]",
        ],
        YES,
    );
    check_all(&["$j in @l", "lowercase($s) in @l", "$s in [\"true\"]"], NO);
}

#[test]
fn a_list_that_is_not_there_is_unknown() {
    check_all(&["$s in @k", "$s not in @k"], UNKNOWN);
}

#[test]
fn three_lists_at_most() {
    let three = "$s in @l or $s in @k or $s not in @m or $i in @l";
    assert_eq!(
        Rule::new(three, &schema())
            .unwrap()
            .lists()
            .collect::<Vec<_>>(),
        ["l", "k", "m"]
    );
    let message = "at 1:59: `@n` is one list too many: a rule may use 3";
    check_rule(&format!("{three} or $s in @n"), message);
}

#[test]
fn a_comment_goes_to_the_end_of_its_line() {
    check_rule(
        "# why\n$i == 7 # $unknown \" ( \n and $s == \"# True\" # end",
        NO,
    );
}

#[test]
fn a_rule_is_true_or_false() {
    check_rule(
        "$f",
        "at 1:1: a rule must be true or false, but this is FLOAT; compare it, as in `… > 100`",
    );
    check_rule(
        "\"true\"",
        "at 1:1: a rule must be true or false, but this is STRING; compare it, as in `… == \"text\"`",
    );
}

#[test]
fn a_row_that_does_not_fit_is_null_not_an_error() {
    let rule = Rule::new("$i == 7", &schema()).unwrap();
    let evaluate = |row: &[Value]| rule.evaluate(row, &Lists::default(), 0);
    assert_eq!(evaluate(&[]), Verdict::Undetermined);
    assert_eq!(
        evaluate(&[Value::String("7".into())]),
        Verdict::Undetermined
    );
}

#[test]
fn values_stand_in_place_of_variables() {
    let text = "$i + 1 > $f and $s == \"$i\" # $i\n or $d == null or $b or $nothing == 1";
    let rule = Rule::new(text, &schema()).unwrap();
    let want = "7 + 1 > 0.5 and \"True\" == \"$i\" # $i\n \
                or \"2019-11-30T01:01:01Z\" == null or true or null == 1";
    assert_eq!(rule.with_values(&row()), want);
    assert_eq!(
        rule.variables().collect::<Vec<_>>(),
        ["i", "f", "s", "d", "b", "nothing"]
    );
}

#[test]
fn a_rule_has_4096_characters_at_most() {
    let long = format!("$i == 7{}", " ".repeat(4096 - 7));
    check_rule(&long, YES);
    let message = "at 1:4097: the rule has 4097 characters, at most 4096 are allowed";
    check_rule(&format!("{long} "), message);
    assert!(parse_expression(&"é".repeat(4097)).is_err());
}

#[test]
fn debug_hides_the_text() {
    let rule = Rule::new("$s == \"jo@example.com\"", &schema()).unwrap();
    assert_eq!(
        format!("{rule:?}"),
        "Rule { variables: [\"s\"], lists: [], .. }"
    );
}
