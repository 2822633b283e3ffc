//! The operators and how tightly they bind.

use crate::ast::{Arithmetic, Comparison};

#[derive(Clone, Copy)]
pub(crate) enum Operator {
    Or,
    And,
    Compare(Comparison),
    In,
    Arithmetic(Arithmetic),
}

/// The binding power of each operator, lowest first. All associate to the left.
/// `not` is the first word of `not in`.
pub(crate) const OPERATORS: &[(&str, Operator, u8)] = &[
    ("or", Operator::Or, OR),
    ("and", Operator::And, AND),
    ("==", Operator::Compare(Comparison::Equal), COMPARE),
    ("!=", Operator::Compare(Comparison::NotEqual), COMPARE),
    ("<", Operator::Compare(Comparison::Less), COMPARE),
    ("<=", Operator::Compare(Comparison::LessOrEqual), COMPARE),
    (">", Operator::Compare(Comparison::Greater), COMPARE),
    (">=", Operator::Compare(Comparison::GreaterOrEqual), COMPARE),
    ("in", Operator::In, COMPARE),
    ("not", Operator::In, COMPARE),
    ("+", Operator::Arithmetic(Arithmetic::Add), ADD),
    ("-", Operator::Arithmetic(Arithmetic::Subtract), ADD),
    ("*", Operator::Arithmetic(Arithmetic::Multiply), MULTIPLY),
    ("/", Operator::Arithmetic(Arithmetic::Divide), MULTIPLY),
    ("%", Operator::Arithmetic(Arithmetic::Remainder), MULTIPLY),
];

pub(crate) const OR: u8 = 1;
pub(crate) const AND: u8 = 2;
pub(crate) const COMPARE: u8 = 3;
pub(crate) const ADD: u8 = 4;
pub(crate) const MULTIPLY: u8 = 5;
pub(crate) const NOT: u8 = 6;
