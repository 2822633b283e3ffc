//! The intermediate representation of a checked rule: typed operands, conditions and
//! the instructions that the evaluator runs.
//!
//! Each type has its own tree, so evaluation meets no value of a wrong type. A slot
//! whose row holds another type all the same counts as null.

use std::{borrow::Cow, sync::Arc};

use regex::Regex;

use crate::{
    ast::{Arithmetic, Comparison},
    facts::Facts,
    lists::ListValues,
};

/// Instructions that leave one truth value behind.
///
/// Jumps are relative, so programs are joined by appending one to another.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
}

/// One instruction. It sets the current truth value, or combines it with what came
/// before.
///
/// A chain of `and` is `Enter`, then each part followed by `And`, then `LeaveAnd`. Only
/// one bit of a chain needs to be kept between parts: whether one of them was unknown.
/// `And` leaves early on false, `Or` on true: no later part can change the result.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    // The most frequent conditions, on a slot and a constant, have instructions of
    // their own, which need no allocation.
    Integer {
        slot: u32,
        order: Comparison,
        than: i64,
    },
    Float {
        slot: u32,
        order: Comparison,
        than: f64,
    },
    Text {
        slot: u32,
        equal: bool,
        to: Box<str>,
    },
    Boolean {
        slot: u32,
    },
    /// Every other condition.
    Condition(Box<Condition>),
    Not,
    Enter,
    And {
        skip: u32,
    },
    Or {
        skip: u32,
    },
    LeaveAnd,
    LeaveOr,
}

/// An operand of any type.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Null,
    Test(Program),
    Integer(IntegerOperand),
    Float(FloatOperand),
    Text(TextOperand),
    Time(TimeOperand),
}

impl Operand {
    /// The type as an error names it.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Test(_) => "true or false",
            Self::Integer(_) => "INTEGER",
            Self::Float(_) => "FLOAT",
            Self::Text(_) => "STRING",
            Self::Time(_) => "DATETIME",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum IntegerOperand {
    Slot(u32),
    Constant(i64),
    Arithmetic(Arithmetic, Box<[IntegerOperand; 2]>),
    Call(FunctionCall<EvaluateInteger>),
}

#[derive(Clone, Debug)]
pub(crate) enum FloatOperand {
    Slot(u32),
    Constant(f64),
    Integer(Box<IntegerOperand>),
    Arithmetic(Arithmetic, Box<[FloatOperand; 2]>),
}

impl From<IntegerOperand> for FloatOperand {
    fn from(integer: IntegerOperand) -> Self {
        match integer {
            IntegerOperand::Constant(number) => {
                Self::Constant(crate::lists::convert_to_float(number))
            }
            other => Self::Integer(Box::new(other)),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum TextOperand {
    Slot(u32),
    Constant(Arc<str>),
    Call(FunctionCall<EvaluateText>),
}

/// A time, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) enum TimeOperand {
    Slot(u32),
    Constant(i64),
    /// A text of the event, parsed as a time for each event.
    Parsed(TextOperand),
    Call(FunctionCall<EvaluateTime>),
}

/// A condition without `and`, `or` and `!`: true, false or unknown for one event.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Known(bool),
    Integers(Comparison, IntegerOperand, IntegerOperand),
    Floats(Comparison, FloatOperand, FloatOperand),
    Times(Comparison, TimeOperand, TimeOperand),
    Texts {
        equal: bool,
        sides: [TextOperand; 2],
    },
    Tests {
        equal: bool,
        sides: [Program; 2],
    },
    /// A condition compared with a text that is known only at run time.
    Word {
        equal: bool,
        test: Program,
        word: TextOperand,
    },
    Null {
        is: bool,
        operand: Operand,
    },
    In {
        inside: bool,
        operand: Operand,
        list: ListSource,
    },
    Call(FunctionCall<EvaluateBoolean>),
}

/// Where the values of a list come from.
#[derive(Clone, Debug)]
pub(crate) enum ListSource {
    Inline(ListValues),
    Named(Box<str>),
}

/// A call of a function: its evaluator, and one argument for each parameter.
#[derive(Clone, Debug)]
pub(crate) struct FunctionCall<F> {
    pub(crate) evaluate: F,
    pub(crate) arguments: Box<[Argument]>,
}

/// What computes a function's result. `None` is null.
pub(crate) type EvaluateBoolean = fn(&Arguments<'_>) -> Option<bool>;
/// As [`EvaluateBoolean`].
pub(crate) type EvaluateInteger = fn(&Arguments<'_>) -> Option<i64>;
/// As [`EvaluateBoolean`].
pub(crate) type EvaluateText = for<'a> fn(&Arguments<'a>) -> Option<Cow<'a, str>>;
/// As [`EvaluateBoolean`]; in milliseconds since 1970.
pub(crate) type EvaluateTime = fn(&Arguments<'_>) -> Option<i64>;

/// An argument of a function call, of its parameter's type.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Text(TextOperand),
    Time(TimeOperand),
    Pattern(RegexPattern),
}

/// A pattern of `regex_match`.
#[derive(Clone, Debug)]
pub(crate) enum RegexPattern {
    /// Written in the rule.
    Compiled(Regex),
    /// Compiled for each event.
    Computed(TextOperand),
}

/// The arguments of one call, as its evaluator reads them: each by its position in the
/// function's row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    pub(crate) arguments: &'a [Argument],
    pub(crate) facts: Facts<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_small() {
        assert!(size_of::<Op>() <= 24);
    }
}
