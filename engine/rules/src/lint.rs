//! Warnings about valid rules that may not do what their authors expect.
//!
//! A comparison with a missing value is unknown, and so is its negation. An author who
//! writes `$score != 900` may expect it to be true when there is no score. It is not.

use std::fmt;

use crate::{
    ast::{Arithmetic, CallExpr, Comparison, Expr, ExprKind, Literal},
    error::Span,
    functions::find_function,
    schema::Schema,
    value::Type,
};

/// A warning about a part of a valid rule: if a value is missing, it is unknown, not true.
///
/// `Display` prints the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintWarning {
    /// Where the part is in the text.
    pub span: Span,
    /// When the part is unknown: one line that starts in lower case.
    pub message: String,
}

impl fmt::Display for LintWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

pub(crate) fn find_lint_warnings(expr: &Expr, schema: &Schema) -> Vec<LintWarning> {
    let mut search = Linter {
        schema,
        guarded: Vec::new(),
        found: Vec::new(),
    };
    search.lint_expression(expr);
    search.found
}

struct Linter<'a> {
    schema: &'a Schema,
    /// Variables that another condition of the same chain tests for null.
    guarded: Vec<&'a str>,
    found: Vec<LintWarning>,
}

impl<'a> Linter<'a> {
    fn lint_expression(&mut self, expr: &'a Expr) {
        let known = self.guarded.len();
        self.guarded.extend(find_null_guards(expr));
        self.lint_negation(expr);
        for child in expr.children() {
            self.lint_expression(child);
        }
        self.guarded.truncate(known);
    }

    fn lint_negation(&mut self, expr: &'a Expr) {
        let negation = match &expr.kind {
            ExprKind::Not(_) => "!",
            ExprKind::Compare(Comparison::NotEqual, _) => "!=",
            ExprKind::In(_, membership) if membership.negated => "not in",
            _ => return,
        };
        let parts = expr.children();
        if is_null_test(expr) {
            return;
        }
        if let Some(reason) = parts.iter().find_map(|part| self.null_reason(part)) {
            let message = format!("{reason}, and then `{negation}` is unknown, not true");
            self.found.push(LintWarning {
                span: expr.span,
                message,
            });
        }
    }

    /// When an expression can be null; `None` if it cannot.
    fn null_reason(&self, expr: &'a Expr) -> Option<String> {
        if is_null_test(expr) {
            return None;
        }
        match &expr.kind {
            ExprKind::Variable(name) if name.ends_with("_insightscore") => {
                let guarded = self.guarded.contains(&&**name);
                (!guarded).then(|| format!("`${name}` is null where the model gave no score"))
            }
            ExprKind::Arithmetic(
                operator @ (Arithmetic::Divide | Arithmetic::Remainder),
                sides,
            ) if !is_nonzero_literal(&sides[1]) => Some(format!(
                "`{}` is null where its divisor is 0",
                operator.symbol()
            )),
            ExprKind::Call(call) => self
                .call_null_reason(call)
                .or_else(|| self.children_null_reason(expr)),
            _ => self.children_null_reason(expr),
        }
    }

    fn children_null_reason(&self, expr: &'a Expr) -> Option<String> {
        let children = expr.children();
        children.iter().find_map(|child| self.null_reason(child))
    }

    /// When a call can be null although its arguments are not: it parses a text that comes
    /// from the event.
    fn call_null_reason(&self, call: &CallExpr) -> Option<String> {
        let function = find_function(&call.function)?;
        let null_where = function.null_where?;
        let mut pairs = function.parameters.iter().zip(&call.arguments);
        pairs
            .any(|(parameter, argument)| {
                parameter.ty.is_parsed() && self.is_text_of_event(argument)
            })
            .then(|| format!("`{}` is null where {null_where}", function.name))
    }

    fn is_text_of_event(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Variable(name) => self
                .schema
                .slot(name)
                .is_some_and(|slot| self.schema.variable(slot).1 == Type::String),
            ExprKind::Call(call) => find_function(&call.function)
                .is_some_and(|function| function.evaluator.result_type() == Type::String),
            _ => false,
        }
    }
}

/// The variables that a chain tests for null: `$a != null and …`, `$a == null or …`.
fn find_null_guards(expr: &Expr) -> Vec<&str> {
    let (parts, test) = match &expr.kind {
        ExprKind::And(parts) => (parts, Comparison::NotEqual),
        ExprKind::Or(parts) => (parts, Comparison::Equal),
        _ => return Vec::new(),
    };
    let tested = |part: &'_ Expr| matches!(part.kind, ExprKind::Compare(order, _) if order == test);
    let parts = parts
        .iter()
        .filter(|part| is_null_test(part) && tested(part));
    parts
        .flat_map(Expr::children)
        .filter_map(variable_name)
        .collect()
}

fn variable_name(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Variable(name) => Some(name),
        _ => None,
    }
}

fn is_null_test(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Compare(Comparison::Equal | Comparison::NotEqual, sides) => {
            sides.iter().any(|side| side.kind == ExprKind::Null)
        }
        _ => false,
    }
}

fn is_nonzero_literal(expr: &Expr) -> bool {
    match expr.kind {
        ExprKind::Literal(Literal::Integer(number)) => number != 0,
        ExprKind::Literal(Literal::Float(number)) => number != 0.0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Rule, Schema, Type};

    #[track_caller]
    fn check_warnings(text: &str, want: &[&str]) {
        let variables = [
            ("m_insightscore", Type::Float),
            ("amount", Type::Float),
            ("count", Type::Integer),
            ("since", Type::String),
            ("created", Type::DateTime),
            ("flag", Type::Boolean),
        ];
        let variables = variables.map(|(name, ty)| (name.to_owned(), ty));
        let schema = Schema::new(variables, ["scores".to_owned()]);
        let rule = Rule::new(text, &schema).unwrap();
        let got: Vec<String> = rule
            .lint_warnings()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(got, want, "{text}");
    }

    const SCORE: &str = "`$m_insightscore` is null where the model gave no score, and then";

    #[test]
    fn negations_of_what_can_be_null_give_a_warning() {
        check_warnings(
            "$m_insightscore != 900",
            &[&format!("{SCORE} `!=` is unknown, not true")],
        );
        check_warnings(
            "$m_insightscore not in [1]",
            &[&format!("{SCORE} `not in` is unknown, not true")],
        );
        check_warnings(
            "$m_insightscore not in @scores",
            &[&format!("{SCORE} `not in` is unknown, not true")],
        );
        check_warnings(
            "!($m_insightscore > 900)",
            &[&format!("{SCORE} `!` is unknown, not true")],
        );
        check_warnings(
            "$amount / $count != 1",
            &["`/` is null where its divisor is 0, and then `!=` is unknown, not true"],
        );
        check_warnings(
            "!($count % $count == 1)",
            &["`%` is null where its divisor is 0, and then `!` is unknown, not true"],
        );
        check_warnings(
            "!isbefore($since, $created)",
            &["`isbefore` is null where its text is not a time, and then `!` is unknown, not true"],
        );
        check_warnings(
            "getepochmilliseconds(lowercase($since)) != 1",
            &[
                "`getepochmilliseconds` is null where its text is not a time, and then `!=` is unknown, not true",
            ],
        );
    }

    #[test]
    fn other_conditions_give_no_warning() {
        check_warnings("$m_insightscore > 900", &[]);
        check_warnings("$m_insightscore != null", &[]);
        check_warnings("!($m_insightscore == null)", &[]);
        check_warnings("$amount != 900 and !$flag and $count not in [1]", &[]);
        check_warnings("$amount / 100.0 != 1", &[]);
        check_warnings("!isbefore($created, \"2019-11-30T01:01:01Z\")", &[]);
    }

    #[test]
    fn a_null_test_in_the_same_chain_prevents_the_warning() {
        check_warnings("$m_insightscore != null and $m_insightscore != 900", &[]);
        check_warnings("$m_insightscore == null or !($m_insightscore > 900)", &[]);
        check_warnings(
            "$m_insightscore != null or $m_insightscore != 900",
            &[&format!("{SCORE} `!=` is unknown, not true")],
        );
    }
}
