//! What can an operand be, once its type is known?
//!
//! Each type has its own tree, so evaluation meets no value of a wrong type. A slot
//! whose row holds another type all the same counts as null.

use std::sync::Arc;

use regex::Regex;

use crate::{
    ast::{Arithmetic, Comparison},
    compile::Program,
    lists::List,
    value::Type,
};

/// An operand of any type.
#[derive(Clone, Debug)]
pub(crate) enum Term {
    Null,
    Test(Program),
    Integer(Integer),
    Float(Float),
    Text(Text),
    Time(Time),
}

impl Term {
    pub(crate) fn variable(slot: u32, ty: Type) -> Self {
        match ty {
            Type::String => Self::Text(Text::Slot(slot)),
            Type::Integer => Self::Integer(Integer::Slot(slot)),
            Type::Float => Self::Float(Float::Slot(slot)),
            Type::Boolean => Self::Test(Program::flag(slot)),
            Type::DateTime => Self::Time(Time::Slot(slot)),
        }
    }

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
pub(crate) enum Integer {
    Slot(u32),
    Constant(i64),
    Arithmetic(Arithmetic, Box<[Integer; 2]>),
    EpochMillis(Box<Time>),
}

#[derive(Clone, Debug)]
pub(crate) enum Float {
    Slot(u32),
    Constant(f64),
    Integer(Box<Integer>),
    Arithmetic(Arithmetic, Box<[Float; 2]>),
}

impl From<Integer> for Float {
    fn from(integer: Integer) -> Self {
        match integer {
            Integer::Constant(number) => Self::Constant(crate::lists::as_float(number)),
            other => Self::Integer(Box::new(other)),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Text {
    Slot(u32),
    Constant(Arc<str>),
    Lowercase(Box<Text>),
    Uppercase(Box<Text>),
}

#[derive(Clone, Debug)]
pub(crate) enum Time {
    Slot(u32),
    Constant(i64),
    Now,
    /// A text that is read as a time for each event.
    Read(Text),
}

/// What is true, false or unknown of an event by itself, without `and`, `or` and `!`.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Known(bool),
    Integers(Comparison, Integer, Integer),
    Floats(Comparison, Float, Float),
    Times(Comparison, Time, Time),
    Texts {
        equal: bool,
        sides: [Text; 2],
    },
    Tests {
        equal: bool,
        sides: [Program; 2],
    },
    /// A condition compared with a text that is known only at run time.
    Word {
        equal: bool,
        test: Program,
        word: Text,
    },
    Null {
        is: bool,
        term: Term,
    },
    In {
        inside: bool,
        term: Term,
        list: Source,
    },
    Matches {
        pattern: Regex,
        subject: Text,
    },
    MatchesComputed {
        pattern: Text,
        subject: Text,
    },
}

/// Where the values of a list come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Inline(List),
    Named(Box<str>),
}
