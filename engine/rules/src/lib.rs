//! The rule language of Amazon Fraud Detector (`DETECTORPL`): parser, checker, compiler
//! and evaluator.
//!
//! A rule goes through three stages:
//! [`parse_expression`] turns text into an [`Expr`] and knows only the syntax;
//! [`Rule::new`] checks the expression against the variables and lists of a [`Schema`] and
//! compiles it; [`Rule::evaluate`] runs the compiled rule on one event. Every error in a
//! rule is found in the first two stages, so evaluation cannot fail.
//!
//! A value can be missing, so a condition is true, false or unknown (three-valued logic):
//! see [`Verdict`].
//!
//! The crate does no I/O and does not read the clock: the time is an argument.
//!
//! | stage | modules |
//! |---|---|
//! | text to expression | `lex`, `parse`, `operators`, `ast`; back to text: `print` |
//! | expression to rule | `check`, `compile`, `ir`, `pattern`; warnings: `lint`; questions about its text: `thresholds`, `list_tests` |
//! | rule to verdict | `rule`, `eval`, `facts`, `lists` |
//! | used by all | `functions` (the table of functions), `schema`, `value`, `utc_time`, `error`, `suggest`, `advice` (what other languages write) |
//!
//! ```
//! use rules::{Lists, Rule, Schema, Type, Value, Verdict};
//!
//! let schema = Schema::new(
//!     [("amount".to_owned(), Type::Float), ("country".to_owned(), Type::String)],
//!     ["blocked_countries".to_owned()],
//! );
//! let mut lists = Lists::default();
//! lists.insert("blocked_countries", ["KP", "SY"]);
//!
//! let rule = Rule::new("$amount > 100 and $country in @blocked_countries", &schema)?;
//! let row = [Value::Float(250.0), Value::String("KP".into())];
//! assert_eq!(rule.evaluate(&row, &lists, 0), Verdict::Matched);
//!
//! let error = Rule::new("$amont > 100", &schema).unwrap_err();
//! assert_eq!(
//!     error.messages(),
//!     ["at 1:1: there is no variable `$amont`; did you mean `$amount`?"],
//! );
//! # Ok::<(), rules::Errors>(())
//! ```

mod advice;
mod error;
mod schema;
mod suggest;
mod value;

mod ast;
mod lex;
mod operators;
mod parse;
mod print;

mod check;
mod compile;
mod functions;
mod ir;
mod lint;
mod list_tests;
mod pattern;
mod thresholds;
mod unmet;
mod utc_time;

mod eval;
mod facts;
mod lists;
mod rule;

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod properties;

pub use ast::Expr;
pub use check::MAX_LISTS;
pub use error::{Errors, Replacement, RuleProblem, Span};
pub use functions::describe_functions;
pub use lint::LintWarning;
pub use list_tests::ListTest;
pub use lists::{ListValues, Lists, NormalizeText};
pub use parse::{MAX_CHARACTERS, MAX_DEPTH, parse_expression};
pub use rule::{Rule, Verdict};
pub use schema::Schema;
pub use unmet::{UnmetCondition, UnmetConditions};
pub use value::{InvalidValue, Type, UnknownType, Value};
