//! Prints an expression as the text of a rule.

use std::fmt::{self, Display, Formatter};

use crate::{
    ast::{Arithmetic, CallExpr, Comparison, Expr, ExprKind, ListExpr, Literal, Membership},
    operators::{ADD, AND, COMPARE, MULTIPLY, NOT, OR},
    utc_time,
    value::Value,
};

/// The binding power of what is not an operation: more than that of any operator.
const ATOM: u8 = NOT + 1;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let grouped = f.alternate() && binding_power(&self.kind) < ATOM;
        if grouped {
            f.write_str("(")?;
        }
        self.write_kind(f)?;
        if grouped {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl Expr {
    fn write_kind(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let power = binding_power(&self.kind);
        match &self.kind {
            ExprKind::Null => f.write_str("null"),
            ExprKind::Literal(literal) => literal.fmt(f),
            ExprKind::Variable(name) => write!(f, "${name}"),
            ExprKind::Not(inner) => {
                f.write_str("!")?;
                inner.write_operand(power, f)
            }
            // A group inside a chain of the same operator keeps its parentheses.
            ExprKind::And(parts) => write_joined(parts, " and ", power + 1, f),
            ExprKind::Or(parts) => write_joined(parts, " or ", power + 1, f),
            ExprKind::Compare(comparison, sides) => {
                write_binary(sides, comparison.symbol(), power, f)
            }
            ExprKind::Arithmetic(arithmetic, sides) => {
                write_binary(sides, arithmetic.symbol(), power, f)
            }
            ExprKind::In(subject, membership) => {
                subject.write_operand(power, f)?;
                membership.fmt(f)
            }
            ExprKind::Call(call) => call.fmt(f),
        }
    }

    /// Prints an operand, in parentheses if its binding power is less than `min`.
    fn write_operand(&self, min: u8, f: &mut Formatter<'_>) -> fmt::Result {
        if f.alternate() || binding_power(&self.kind) >= min {
            return self.fmt(f);
        }
        write!(f, "({self})")
    }
}

fn binding_power(kind: &ExprKind) -> u8 {
    match kind {
        ExprKind::Or(_) => OR,
        ExprKind::And(_) => AND,
        ExprKind::Compare(..) | ExprKind::In(..) => COMPARE,
        ExprKind::Arithmetic(Arithmetic::Add | Arithmetic::Subtract, _) => ADD,
        ExprKind::Arithmetic(..) => MULTIPLY,
        ExprKind::Not(_) => NOT,
        ExprKind::Null | ExprKind::Literal(_) | ExprKind::Variable(_) | ExprKind::Call(_) => ATOM,
    }
}

fn write_joined(parts: &[Expr], between: &str, min: u8, f: &mut Formatter<'_>) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        part.write_operand(min, f)?;
    }
    Ok(())
}

/// Operators associate to the left, so the right operand needs parentheses if it has the
/// same binding power.
fn write_binary(sides: &[Expr; 2], symbol: &str, power: u8, f: &mut Formatter<'_>) -> fmt::Result {
    sides[0].write_operand(power, f)?;
    write!(f, " {symbol} ")?;
    sides[1].write_operand(power + 1, f)
}

impl Display for Membership {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.negated { " not in " } else { " in " })?;
        let items = match &self.list {
            ListExpr::Named(name, _) => return write!(f, "@{name}"),
            ListExpr::Inline(items) => items,
        };
        for (index, (item, _)) in items.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "[" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl Display for CallExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function)?;
        write_joined(&self.arguments, ", ", OR, f)?;
        f.write_str(")")
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write_quoted(text, f),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write_decimal(*number, f),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
        }
    }
}

/// Prints a value as a literal of the rule language.
pub(crate) struct AsLiteral<'a>(pub(crate) &'a Value);

impl Display for AsLiteral<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::String(text) => write_quoted(text, f),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Float(number) => write_decimal(*number, f),
            Value::Boolean(boolean) => write!(f, "{boolean}"),
            Value::DateTime(millis) => write_quoted(&utc_time::format_utc_time(*millis), f),
        }
    }
}

/// With a decimal point and without an exponent: the only form in which the rule language
/// writes a FLOAT.
fn write_decimal(number: f64, f: &mut Formatter<'_>) -> fmt::Result {
    let digits = number.to_string();
    let point = if digits.contains('.') { "" } else { ".0" };
    write!(f, "{digits}{point}")
}

/// Escapes quotes, and a backslash only where it would otherwise start an escape, so
/// that a pattern is printed as its author wrote it.
fn write_quoted(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => f.write_str("\\\"")?,
            ('\\', None | Some('"' | '\\')) => f.write_str("\\\\")?,
            _ => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

impl Comparison {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Arithmetic {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::parse_expression;

    #[track_caller]
    fn check_printed(text: &str, want: &str) {
        let expr = parse_expression(text).unwrap();
        assert_eq!(expr.to_string(), want);
        assert_eq!(parse_expression(want).unwrap(), expr, "{text}");
    }

    #[test]
    fn only_the_parentheses_that_matter_stay() {
        check_printed("(($a) + (1 * 2))>3", "$a + 1 * 2 > 3");
        check_printed("($a + 1) * 2 > 3", "($a + 1) * 2 > 3");
        check_printed("$a - (1 - 2) > 3", "$a - (1 - 2) > 3");
        check_printed("(($a or $b)) and ($c and $d)", "($a or $b) and ($c and $d)");
        check_printed("($a and $b) or $c", "$a and $b or $c");
        check_printed("!($a == 1)", "!($a == 1)");
        check_printed("(!$a) == 1", "!$a == 1");
        check_printed("$a == ($b == true)", "$a == ($b == true)");
        check_printed("($a + 1) not in [ 1,2 ]", "$a + 1 not in [1, 2]");
        check_printed("f( ($a or $b) , 1)", "f($a or $b, 1)");
    }

    #[test]
    fn literals_keep_their_form() {
        check_printed("$a > 100.0", "$a > 100.0");
        check_printed("$a > 100", "$a > 100");
        check_printed("$a > - 0.50", "$a > -0.5");
        check_printed(
            r#"regex_match(".*\+1\.", $a)"#,
            r#"regex_match(".*\+1\.", $a)"#,
        );
        check_printed(r#"$a == "\"\\""#, r#"$a == "\"\\""#);
        check_printed(r#"$a == "\\.""#, r#"$a == "\.""#);
    }
}
