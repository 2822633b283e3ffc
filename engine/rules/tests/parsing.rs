//! What is an expression, what it means without parentheses, and what is refused and where.

use rules::{MAX_CHARACTERS, parse_expression};

#[track_caller]
fn check_parsed(text: &str, want: &str) {
    let got = match parse_expression(text) {
        Ok(expr) => format!("{expr:#}"),
        Err(errors) => errors.messages().join("; "),
    };
    assert_eq!(got, want, "{text}");
}

#[test]
fn precedence() {
    check_parsed("$a + 2 * 3", "($a + (2 * 3))");
    check_parsed("$a * 2 % 3 / 4", "((($a * 2) % 3) / 4)");
    check_parsed("$a - 1 - 2", "(($a - 1) - 2)");
    check_parsed("$a + 1 < $b", "(($a + 1) < $b)");
    check_parsed("$a + 1 not in [1]", "(($a + 1) not in [1])");
    check_parsed(
        "$a > 1 and $b > 2 or $c > 3",
        "((($a > 1) and ($b > 2)) or ($c > 3))",
    );
    check_parsed("$a or $b and $c or $d", "($a or ($b and $c) or $d)");
    check_parsed("!$a == $b", "((!$a) == $b)");
    check_parsed("!!$a and $b", "((!(!$a)) and $b)");
    check_parsed("!$a + 1", "((!$a) + 1)");
    check_parsed("$a < $b == true", "(($a < $b) == true)");
}

#[test]
fn parentheses_group() {
    check_parsed("($a or $b) and $c", "(($a or $b) and $c)");
    check_parsed("$a and ($b and $c)", "($a and ($b and $c))");
    check_parsed("($a + 1) * 2", "(($a + 1) * 2)");
    check_parsed("!($a > 1)", "(!($a > 1))");
}

#[test]
fn numbers_may_carry_a_minus() {
    check_parsed("$a - -5", "($a - -5)");
    check_parsed("$a -5", "($a - 5)");
    check_parsed("-1.5 * - 2", "(-1.5 * -2)");
    check_parsed("$a in [-1, 2.0]", "($a in [-1, 2.0])");
    check_parsed("-9223372036854775808 < 0", "(-9223372036854775808 < 0)");
    check_parsed(
        "-$a < 1",
        "at 1:1: `-` may only stand before a number; write `(0 - $a)`",
    );
}

#[test]
fn errors_point_at_the_text() {
    check_parsed(
        "$a > ",
        "at 1:6: expected a value, found the end of the rule",
    );
    check_parsed("($a > 1", "at 1:8: expected `)`, found the end of the rule");
    check_parsed(
        "$a > 1 $b",
        "at 1:8: expected an operator such as `and`, found `$b`",
    );
    check_parsed("$a in 5", "at 1:7: `in` takes a list: write `[5]`");
    check_parsed(
        "$a in []",
        "at 1:8: a list holds at least one value, found `]`",
    );
    check_parsed(
        "$a in [$b]",
        "at 1:8: a list holds strings and numbers only",
    );
    check_parsed(
        "$a in [1, (2)]",
        "at 1:11: a list holds strings and numbers only",
    );
    check_parsed("$a not 5", "at 1:8: expected `in` after `not`, found `5`");
    check_parsed(
        "@l == 5",
        "at 1:1: a list may only stand to the right of `in` or `not in`",
    );
    check_parsed(
        "",
        "at 1:1: the rule is empty; write a condition such as `$amount > 100`",
    );
    check_parsed(
        "$a in [null]",
        "at 1:8: a list cannot hold `null`; test it apart: `$variable == null or …`",
    );
    check_parsed(
        "not $a",
        "at 1:1: `not` does not negate a condition; write `!$a`",
    );
    check_parsed(
        "a > 1",
        "at 1:1: `a` is not a value: a variable is written `$a`, text `\"a\"`",
    );
    check_parsed(
        "9223372036854775808 > 1",
        "at 1:1: `9223372036854775808` is too large: a whole number has 64 bits; write it with `.0`",
    );
    check_parsed(
        "\"open",
        "at 1:1: this string has no closing `\"` on its line",
    );
}

#[test]
fn at_most_4096_characters() {
    let longest = format!("{}$é", " ".repeat(MAX_CHARACTERS - 2));
    assert!(parse_expression(&longest).unwrap_err().messages()[0].contains("expected a name"));
    let message = "at 1:4097: the rule has 4097 characters, at most 4096 are allowed";
    check_parsed(&format!(" {longest}"), message);
}

#[test]
fn depth_is_bounded() {
    let deep = |open: &str, close: &str| {
        let levels = MAX_CHARACTERS / (open.len() + close.len()) - 1;
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    for text in [
        deep("(", ")"),
        deep("!", ""),
        deep("f(", ")"),
        deep("", "+1"),
        deep("1+(", ")"),
    ] {
        let message = &parse_expression(&text).unwrap_err().messages()[0];
        assert!(
            message.ends_with("nests too deep, at most 64 levels are allowed"),
            "{message}"
        );
    }
    assert!(
        parse_expression(&deep("$a or ", "")).is_ok(),
        "a long chain is not deep"
    );
}
