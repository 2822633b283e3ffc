//! jq filters with a budget: it limits how much an order can make a filter compute, build and nest.
//!
//! The operator writes the filter, but anyone may send the order that it reads. In jq, multiplying a text by a number
//! repeats it, numbers of any length are parsed, and lists grow without a limit. So every operation on a value is paid for
//! from a budget before it is done, and a filter ends when its budget is used up. [`BudgetedValue`] wraps jaq's value type with
//! this rule; jaq uses values only through its operations.

mod access;
mod arithmetic;
mod budget;
mod definitions;
mod functions;
mod value;

use std::any::Any;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::Val;

use budget::{BudgetUsedUp, LEFT};

pub(crate) use budget::WORK;
pub(crate) use value::BudgetedValue;

type FilterData = data::JustLut<BudgetedValue>;

/// A compiled filter.
pub(crate) struct JqFilter(jaq_core::compile::Filter<jaq_core::Native<FilterData>>);

/// Functions of jq that read or write something other than their input.
const OUTSIDE: [&str; 16] = [
    "env",
    "ENV",
    "now",
    "input",
    "inputs",
    "input_line_number",
    "input_filename",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "halt",
    "halt_error",
    "get_search_list",
    "localtime",
    "strflocaltime",
];

/// Functions of jq's library that compile something each time they are called. They are renamed, so that `definitions.rs` can
/// define functions of the old names that pay first.
const COMPILING: [(&str, &str); 5] = [
    ("matches", "compiled_matches"),
    ("split_matches", "compiled_split_matches"),
    ("split_", "compiled_split_"),
    ("escape_html", "compiled_escape_html"),
    ("unescape_html", "compiled_unescape_html"),
];

/// Functions of jq's library that are left out, because a number decides how often they loop without paying: Bessel's.
const LOOPING: [&str; 2] = ["jn", "yn"];

impl JqFilter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// A phrase that says what is wrong with it.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if let Some(name) = find_outside_call(text) {
            return Err(format!(
                "`{name}` reaches beyond the order, on which a value must depend alone"
            ));
        }
        let parse =
            |text| load::parse(text, |parser| parser.defs()).ok_or("our definitions do not parse");
        // Each definition may use those before it.
        let definitions = jaq_core::defs()
            .chain(parse(definitions::PAID)?)
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .chain(parse(definitions::ADDED)?);
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .filter(|(name, ..)| !LOOPING.contains(name))
            .map(|(name, arguments, native)| {
                let compiling = COMPILING.iter().find(|(called, _)| *called == name);
                (
                    compiling.map_or(name, |(_, renamed)| *renamed),
                    arguments,
                    native,
                )
            })
            .chain(functions::bounded_functions());
        let arena = Arena::default();
        let file = File {
            code: text,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, file)
            .map_err(|_| "it does not parse".to_owned())?;
        Compiler::default()
            .with_funs(funs)
            .compile(modules)
            .map(Self)
            .map_err(|errors| {
                let undefined = errors.iter().flat_map(|(_, undefined)| undefined);
                let names: Vec<&str> = undefined.map(|(name, _)| *name).collect();
                format!("it does not know `{}`", names.join("`, `"))
            })
    }

    /// The first `most` outputs for an input, each converted by `read`; `work` is the budget that is left for the order.
    ///
    /// # Errors
    /// A phrase that says why the filter failed. It quotes no value.
    pub(crate) fn outputs<T>(
        &self,
        input: &BudgetedValue,
        work: &Cell<u64>,
        most: usize,
        read: impl Fn(&Val) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        LEFT.set(work.get());
        let outputs = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let context = Ctx::<FilterData>::new(&self.0.lut, Vars::new([]));
            let outputs = self.0.id.run((context, input.clone())).map(unwrap_valr);
            outputs
                .take(most)
                // The text of a jq error quotes the order.
                .map(|output| {
                    output
                        .map_err(|_| "makes the jq filter fail".to_owned())
                        .and_then(|value| read(&value.val))
                })
                .collect()
        }));
        work.set(LEFT.replace(0));
        outputs.unwrap_or_else(|cause: Box<dyn Any + Send>| {
            Err(if cause.is::<BudgetUsedUp>() {
                format!("makes the filters of the mapping do more than {WORK} steps of work")
            } else {
                "makes the jq filter fail".to_owned()
            })
        })
    }
}

/// The first function called in `text` that reads or writes something other than its input.
fn find_outside_call(text: &str) -> Option<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = ' ';
    for word in text.split_inclusive(|c: char| !is_word(c)) {
        let name = word.trim_end_matches(|c: char| !is_word(c));
        // `.now` is a member of the order.
        if before != '.' && OUTSIDE.contains(&name) {
            return Some(name);
        }
        before = word.chars().next_back().unwrap_or(' ');
    }
    None
}
