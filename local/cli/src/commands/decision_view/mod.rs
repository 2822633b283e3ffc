//! Decisions as a person reads them: what an order was worth, what was decided and why, and what was unusual.
//!
//! A decision item has ids of rules and values of variables. What they mean stands elsewhere: descriptions of rules at
//! the service ([`RuleBook`]), money in the mapping ([`MoneyVariables`]), notes of list entries and impacts of variables
//! in the engine ([`DecisionNotes`]).

mod customer_past;
mod money;
mod notes;
mod rule_book;
mod sheet;
mod table;
mod text;

pub(crate) use customer_past::describe_customer_past;
pub(crate) use money::MoneyVariables;
pub(crate) use notes::{DecisionNotes, read_notes};
pub(crate) use rule_book::RuleBook;
pub(crate) use table::{decisions_table, sort_by_risk};
pub(crate) use text::describe_decision;

use shared::mapping::Mapping;

/// What is needed to read all decisions.
pub(crate) struct DecisionReader<'a> {
    /// The mapping file: which variables tell of orders before.
    pub(crate) mapping: &'a Mapping,
    /// Which variables are money.
    pub(crate) money: MoneyVariables,
    /// What the rules say of themselves.
    pub(crate) rules: RuleBook,
}

#[cfg(test)]
mod tests;
