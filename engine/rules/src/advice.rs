//! What authors write out of habit from other languages, and what it is here.

use crate::{
    ast::{CallExpr, Expr, ExprKind, Literal},
    error::{RuleProblem, Span, clip_text},
    ir::Operand,
};

/// Operators of other languages, longest first, each with the operator to write here.
pub(crate) const FOREIGN_OPERATORS: &[(&str, &str)] = &[
    ("===", "=="),
    ("!==", "!="),
    ("&&", "and"),
    ("||", "or"),
    ("<>", "!="),
    ("=>", ">="),
    ("=<", "<="),
    (":=", "=="),
    ("&", "and"),
    ("|", "or"),
    ("≠", "!="),
    ("≤", "<="),
    ("≥", ">="),
    ("–", "-"),
    ("−", "-"),
];

/// Quotes that word processors write for `"`.
pub(crate) const CURLY_QUOTES: [char; 6] = ['“', '”', '„', '‟', '«', '»'];

/// Quotes that word processors write for `'`.
pub(crate) const SINGLE_QUOTES: [char; 2] = ['‘', '’'];

/// Whether a word means `null` in another language.
pub(crate) fn means_null(word: &str) -> bool {
    ["none", "nil", "undefined"].contains(&word.to_ascii_lowercase().as_str())
}

/// A text as it is written in a rule.
pub(crate) fn quote_text(text: &str) -> String {
    Literal::Text(text.into()).to_string()
}

/// A number with an exponent, with underscores, or with a point at one of its ends, as it is
/// written in a rule. `None` if it is no number, or one of more than 40 digits.
pub(crate) fn correct_number(text: &str) -> Option<String> {
    let number: f64 = text.replace('_', "").parse().ok()?;
    let digits = number.to_string();
    if !number.is_finite() || digits.len() > 40 {
        return None;
    }
    let is_whole = digits.contains('.') || digits.parse::<i64>().is_ok();
    Some(if is_whole {
        digits
    } else {
        format!("{digits}.0")
    })
}

/// What a function or method of another language is here: a function of one text, or a pattern for
/// `regex_match`.
#[derive(Debug, PartialEq)]
pub(crate) enum Translation {
    Function(&'static str),
    Pattern(String),
}

/// Translates a function or method of another language that is called on a value, with a string or
/// nothing as its other argument: `$email.contains("x")` is `regex_match(".*x.*", $email)`.
pub(crate) fn translate_call(name: &str, argument: Option<&str>) -> Option<Translation> {
    let name = name.to_ascii_lowercase().replace('_', "");
    let pattern = match (name.as_str(), argument.map(regex::escape)) {
        ("lower" | "tolower" | "tolowercase", None) => {
            return Some(Translation::Function("lowercase"));
        }
        ("upper" | "toupper" | "touppercase", None) => {
            return Some(Translation::Function("uppercase"));
        }
        ("contains" | "includes", Some(part)) => format!(".*{part}.*"),
        ("startswith", Some(part)) => format!("{part}.*"),
        ("endswith", Some(part)) => format!(".*{part}"),
        _ => return None,
    };
    Some(Translation::Pattern(pattern))
}

impl Translation {
    /// The call on a value; `span` is all that it stands for.
    pub(crate) fn build_call(self, subject: Expr, span: Span) -> Expr {
        let (function, arguments) = match self {
            Self::Function(function) => (function, vec![subject]),
            Self::Pattern(pattern) => {
                let pattern = ExprKind::Literal(Literal::Text(pattern.into()));
                ("regex_match", vec![Expr::new(pattern, span), subject])
            }
        };
        let call = CallExpr {
            function: function.into(),
            name: span,
            arguments,
        };
        Expr::new(ExprKind::Call(call), span)
    }
}

/// Round brackets, from `open` to `close`, around a list.
pub(crate) fn advise_brackets(items: &[(Literal, Span)], open: Span, close: Span) -> RuleProblem {
    let shown: Vec<String> = items.iter().map(|(item, _)| item.to_string()).collect();
    let shown = clip_text(&shown.join(", "));
    let message = format!("a list stands in square brackets: write `[{shown}]`");
    RuleProblem::new(open.to(close), message)
        .replacing(open, "[")
        .replacing(close, "]")
}

/// A value where a list is expected.
pub(crate) fn advise_list_of_one(item: &Literal, span: Span) -> RuleProblem {
    let shown = clip_text(&item.to_string());
    RuleProblem::new(span, format!("`in` takes a list: write `[{shown}]`"))
        .replacing(span.before(), "[")
        .replacing(span.after(), "]")
}

/// The word `found` before a condition, which is a single operand or a group or neither.
pub(crate) fn advise_negation(
    found: &str,
    word: Span,
    negation: &Expr,
    is_group: bool,
) -> RuleProblem {
    let inner = negation.children().first().map_or(word, |inner| inner.span);
    let opening = Span {
        start: word.start,
        end: inner.start,
    };
    let right = clip_text(&negation.to_string());
    let message = format!("`{found}` does not negate a condition; write `{right}`");
    let problem = RuleProblem::new(word, message);
    if is_group {
        return problem.replacing(opening, "!");
    }
    problem
        .replacing(opening, "!(")
        .replacing(inner.after(), ")")
}

/// A `-` before a value that is no number.
pub(crate) fn advise_difference(sign: Span, difference: &Expr) -> RuleProblem {
    let operand = difference.children().last().map_or(sign, |last| last.span);
    let opening = Span {
        start: sign.start,
        end: operand.start,
    };
    let right = clip_text(&difference.to_string());
    let message = format!("`-` may only stand before a number; write `({right})`");
    RuleProblem::new(sign, message)
        .replacing(opening, "(0 - ")
        .replacing(operand.after(), ")")
}

/// A literal in a list whose type is not that of what is looked up.
pub(crate) fn advise_item(operand: &Operand, item: &Literal, span: Span) -> RuleProblem {
    let right = correct_literal(operand, item);
    let form = match operand {
        Operand::Text(_) => "strings",
        Operand::Integer(_) | Operand::Float(_) => "numbers, without quotes",
        Operand::Time(_) => "times such as `\"2019-11-30T01:01:01Z\"`",
        Operand::Test(_) | Operand::Null => "`true` or `false`",
    };
    let shown = right
        .as_deref()
        .map(|right| format!("`{}`", clip_text(right)));
    let (found, what) = (clip_text(&item.to_string()), operand.describe());
    let message = format!(
        "`{found}` cannot equal what is left of `in`, which is {what}; write {}",
        shown.as_deref().unwrap_or(form)
    );
    let problem = RuleProblem::new(span, message);
    match right {
        Some(right) => problem.replacing(span, right),
        None => problem,
    }
}

/// A comparison of values of two types, with the literal that would be right, if one side is a literal.
pub(crate) fn advise_literal(
    message: String,
    symbol: &str,
    sides: &[Expr; 2],
    a: &Operand,
    b: &Operand,
    span: Span,
) -> RuleProblem {
    // `<` and its like refuse two texts.
    let takes_texts = matches!(symbol, "==" | "!=");
    for (operand, side) in [(b, &sides[0]), (a, &sides[1])] {
        let ExprKind::Literal(literal) = &side.kind else {
            continue;
        };
        if let Some(right) = correct_literal(operand, literal)
            && (takes_texts || !matches!(operand, Operand::Text(_)))
        {
            let without = if matches!(literal, Literal::Text(_)) {
                " without quotes"
            } else {
                ""
            };
            let message = format!("{message}; write `{}`{without}", clip_text(&right));
            return RuleProblem::new(span, message).replacing(side.span, right);
        }
        if matches!(operand, Operand::Time(_)) && !matches!(literal, Literal::Boolean(_)) {
            let message = format!("{message}; write the time as `\"2019-11-30T01:01:01Z\"`");
            return RuleProblem::new(span, message);
        }
    }
    RuleProblem::new(span, message)
}

/// The literal as one that can be compared with a value of another type: a number in quotes, or a
/// text that is a number without them.
fn correct_literal(operand: &Operand, literal: &Literal) -> Option<String> {
    match (operand, literal) {
        (Operand::Text(_), Literal::Integer(_) | Literal::Float(_)) => {
            Some(quote_text(&literal.to_string()))
        }
        (Operand::Integer(_) | Operand::Float(_), Literal::Text(text)) => {
            is_written_number(text).then(|| text.to_string())
        }
        _ => None,
    }
}

/// Whether a text without its quotes is a number of the language: digits, with a sign and a fraction or without.
fn is_written_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned) && text.parse::<i64>().is_ok(),
    }
}

/// `1 < $a < 5`, which is meant as two comparisons.
pub(crate) fn advise_two_comparisons(symbol: &str, sides: &[Expr; 2], span: Span) -> RuleProblem {
    let [first, last] = sides;
    let middle = first
        .children()
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    let right = clip_text(&format!("{first} and {middle} {symbol} {last}"));
    let message = format!("comparisons do not chain: write `{right}`");
    RuleProblem::new(span, message).replacing(first.span.after(), format!(" and {middle}"))
}
