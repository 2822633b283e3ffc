//! The functions of the rule language, in one table.
//!
//! The checker, the compiler, the lint, the suggestions for misspelt names and the page
//! `docs/rules.md` read [`FUNCTIONS`]. A new function is one row there and its evaluator:
//! ```text
//! RuleFunction {
//!     name: "starts_with",
//!     parameters: &[TEXT, Parameter { name: "prefix", ..TEXT }],
//!     evaluator: Evaluator::Boolean(starts_with),
//!     null_where: None,
//!     documentation: "whether the text starts with the prefix",
//! },
//!
//! fn starts_with(arguments: &Arguments<'_>) -> Option<bool> {
//!     let (text, prefix) = (arguments.text(0)?, arguments.text(1)?);
//!     Some(text.starts_with(&*prefix))
//! }
//! ```
//! Then `cargo test -p rules` prints the new table for `docs/rules.md`.
//!
//! Names are looked up when a rule is compiled; the compiled rule holds the evaluator
//! itself.

use std::{borrow::Cow, fmt::Write};

use crate::{
    ir::{Arguments, EvaluateBoolean, EvaluateInteger, EvaluateText, EvaluateTime},
    value::Type,
};

/// A function of the rule language.
pub(crate) struct RuleFunction {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) evaluator: Evaluator,
    /// A call is null if one of its arguments is. This says where it is null for another
    /// reason: an argument comes from the event as text, and the text is not what the
    /// parameter takes.
    pub(crate) null_where: Option<&'static str>,
    /// What the result is, as Markdown for `docs/rules.md`.
    pub(crate) documentation: &'static str,
}

#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) ty: ParameterType,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterType {
    /// A STRING.
    Text,
    /// A STRING that is a pattern. A literal is compiled together with the rule.
    Pattern,
    /// A DATETIME, or a STRING that is a time.
    Time,
}

impl ParameterType {
    /// The types it takes, as an error names them.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Text | Self::Pattern => "a STRING",
            Self::Time => "a DATETIME or a STRING",
        }
    }

    /// Whether a text of the event may be invalid here.
    pub(crate) fn is_parsed(self) -> bool {
        matches!(self, Self::Pattern | Self::Time)
    }
}

/// What computes the result of a call, by the type of the result.
#[derive(Clone, Copy)]
pub(crate) enum Evaluator {
    Boolean(EvaluateBoolean),
    Integer(EvaluateInteger),
    Text(EvaluateText),
    Time(EvaluateTime),
}

impl Evaluator {
    pub(crate) fn result_type(self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::Text(_) => Type::String,
            Self::Time(_) => Type::DateTime,
        }
    }
}

const TEXT: Parameter = Parameter {
    name: "text",
    ty: ParameterType::Text,
};

const PATTERN: Parameter = Parameter {
    name: "pattern",
    ty: ParameterType::Pattern,
};

const TIME: Parameter = Parameter {
    name: "time",
    ty: ParameterType::Time,
};

const TEXT_IS_NOT_A_TIME: Option<&str> = Some("its text is not a time");

/// Every function, in the order in which errors and the documentation list them.
pub(crate) const FUNCTIONS: &[RuleFunction] = &[
    RuleFunction {
        name: "regex_match",
        parameters: &[PATTERN, TEXT],
        evaluator: Evaluator::Boolean(match_regex),
        null_where: Some("the text is not a pattern"),
        documentation: "whether the pattern matches the **whole** text; \
            [RE2 syntax](https://github.com/google/re2/wiki/Syntax), no look-around, no back-references",
    },
    RuleFunction {
        name: "lowercase",
        parameters: &[TEXT],
        evaluator: Evaluator::Text(to_lowercase),
        null_where: None,
        documentation: "the text in lower case",
    },
    RuleFunction {
        name: "uppercase",
        parameters: &[TEXT],
        evaluator: Evaluator::Text(to_uppercase),
        null_where: None,
        documentation: "the text in upper case",
    },
    RuleFunction {
        name: "getcurrentdatetime",
        parameters: &[],
        evaluator: Evaluator::Time(read_current_time),
        null_where: None,
        documentation: "the time of the prediction",
    },
    RuleFunction {
        name: "isbefore",
        parameters: &[TIME, TIME],
        evaluator: Evaluator::Boolean(is_before),
        null_where: TEXT_IS_NOT_A_TIME,
        documentation: "whether the first time is before the second",
    },
    RuleFunction {
        name: "isafter",
        parameters: &[TIME, TIME],
        evaluator: Evaluator::Boolean(is_after),
        null_where: TEXT_IS_NOT_A_TIME,
        documentation: "whether the first time is after the second",
    },
    RuleFunction {
        name: "getepochmilliseconds",
        parameters: &[TIME],
        evaluator: Evaluator::Integer(to_epoch_milliseconds),
        null_where: TEXT_IS_NOT_A_TIME,
        documentation: "milliseconds since 1970-01-01T00:00:00Z",
    },
];

/// The function with exactly this name.
pub(crate) fn find_function(name: &str) -> Option<&'static RuleFunction> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl RuleFunction {
    /// How a call is written: `isbefore(time, time)`.
    pub(crate) fn signature(&self) -> String {
        let names: Vec<_> = self.parameters.iter().map(|known| known.name).collect();
        format!("{}({})", self.name, names.join(", "))
    }
}

fn match_regex(arguments: &Arguments<'_>) -> Option<bool> {
    let text = arguments.text(1)?;
    arguments.matches_pattern(0, &text)
}

/// Allocates only if a letter changes, or could.
fn to_lowercase<'a>(arguments: &Arguments<'a>) -> Option<Cow<'a, str>> {
    let text = arguments.text(0)?;
    let changes = |byte: u8| byte.is_ascii_uppercase() || !byte.is_ascii();
    Some(if text.bytes().any(changes) {
        Cow::Owned(text.to_lowercase())
    } else {
        text
    })
}

/// As [`to_lowercase`].
fn to_uppercase<'a>(arguments: &Arguments<'a>) -> Option<Cow<'a, str>> {
    let text = arguments.text(0)?;
    let changes = |byte: u8| byte.is_ascii_lowercase() || !byte.is_ascii();
    Some(if text.bytes().any(changes) {
        Cow::Owned(text.to_uppercase())
    } else {
        text
    })
}

fn read_current_time(arguments: &Arguments<'_>) -> Option<i64> {
    arguments.now_ms()
}

fn is_before(arguments: &Arguments<'_>) -> Option<bool> {
    Some(arguments.time(0)? < arguments.time(1)?)
}

fn is_after(arguments: &Arguments<'_>) -> Option<bool> {
    Some(arguments.time(0)? > arguments.time(1)?)
}

fn to_epoch_milliseconds(arguments: &Arguments<'_>) -> Option<i64> {
    arguments.time(0)
}

/// The functions of the rule language as a Markdown table: the one in `docs/rules.md`.
pub fn describe_functions() -> String {
    let mut table = String::from("| function | gives | type | null where |\n|---|---|---|---|\n");
    for function in FUNCTIONS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            function.signature(),
            function.documentation,
            function.evaluator.result_type(),
            function.null_where.unwrap_or_default(),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Facts,
        ir::{Argument, RegexPattern, TextOperand, TimeOperand},
        lists::Lists,
    };

    fn example_argument(ty: ParameterType) -> Argument {
        let text = TextOperand::Constant("a".into());
        match ty {
            ParameterType::Text => Argument::Text(text),
            ParameterType::Pattern => Argument::Pattern(RegexPattern::Computed(text)),
            ParameterType::Time => Argument::Time(TimeOperand::Constant(0)),
        }
    }

    /// An evaluator that reads a parameter its row does not have, or as another type,
    /// would always give null.
    #[test]
    fn evaluators_read_the_parameters_of_their_rows() {
        for function in FUNCTIONS {
            let types = function.parameters.iter().map(|parameter| parameter.ty);
            let values: Vec<_> = types.map(example_argument).collect();
            let arguments = Arguments {
                arguments: &values,
                facts: Facts {
                    row: &[],
                    lists: &Lists::default(),
                    now_ms: Some(0),
                },
            };
            let is_null = match function.evaluator {
                Evaluator::Boolean(evaluate) => evaluate(&arguments).is_none(),
                Evaluator::Integer(evaluate) | Evaluator::Time(evaluate) => {
                    evaluate(&arguments).is_none()
                }
                Evaluator::Text(evaluate) => evaluate(&arguments).is_none(),
            };
            assert!(!is_null, "{}", function.signature());
        }
    }

    #[test]
    fn what_parses_a_text_says_where_it_is_null() {
        for function in FUNCTIONS {
            let parses = function.parameters.iter().any(|known| known.ty.is_parsed());
            assert_eq!(parses, function.null_where.is_some(), "{}", function.name);
        }
    }
}
