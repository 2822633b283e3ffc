//! Aggregates over the keys of an order: what happened before with its card, device, address or customer.
//!
//! The mapping file names the keys and what is counted by them. Here that is checked, and an order is read: the hashes of
//! its keys, and what the profile of each keeps of it. The profiles themselves are in crate `velocity`.

mod links;
mod needs;
mod plan;
mod read;
mod section;

use std::collections::BTreeSet;

use event::VariableName;
use rust_decimal::Decimal;
use velocity::{AggregateValue, Layout};

use crate::computed_source::TimeUnit;
use crate::condition::Condition;
use crate::long_source::LongSource;
use crate::normal_form::NormalForm;
use crate::on_invalid::OnInvalid;
use crate::short_or_long::ShortOrLong;

pub(crate) use links::{LinkSection, Links};
pub use links::{LinkedKeys, SeenLinks};
pub use needs::NeededFact;
pub use read::{HashedKeys, KeyFacts, OrderFacts, OrderKey};
pub(crate) use section::AggregateSection;

/// Decimal places of a time span.
const DECIMAL_PLACES: u32 = 4;

/// The aggregates of a mapping.
#[derive(Debug, Default)]
pub(crate) struct Aggregates {
    pub(crate) keys: Vec<AggregateKey>,
    conditions: Vec<Condition>,
    pub(crate) links: Option<Links>,
    /// The labels that mean fraud.
    pub(crate) fraud_labels: BTreeSet<String>,
}

/// A key of orders that has aggregates.
#[derive(Debug)]
pub struct AggregateKey {
    name: VariableName,
    sources: Vec<ShortOrLong<LongSource>>,
    form: NormalForm,
    on_invalid: OnInvalid,
    layout: Layout,
    variables: Vec<AggregateVariable>,
    numbers: Vec<VariableName>,
    values: Vec<DistinctValue>,
    /// Their places among the conditions of the mapping.
    conditions: Vec<usize>,
    /// Whether its profiles keep which keys came with it, for `links`.
    has_partners: bool,
}

#[derive(Debug)]
struct AggregateVariable {
    name: VariableName,
    unit: Option<TimeUnit>,
}

/// What `distinct` counts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DistinctValue {
    /// The values of another key.
    Key(VariableName),
    /// The values of a variable.
    Variable(VariableName),
}

impl AggregateKey {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether orders are counted by it. A key that is not is there for others to count its values.
    pub fn is_counted(&self) -> bool {
        !self.variables.is_empty() || self.has_partners
    }

    /// What its profiles keep.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The variables of its aggregates.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.variables.iter().map(|variable| &variable.name)
    }

    /// The texts of the aggregates that are known, with their variables.
    pub(crate) fn format_values(
        &self,
        values: Vec<Option<AggregateValue>>,
    ) -> impl Iterator<Item = (&VariableName, String)> {
        let known = self.variables.iter().zip(values);
        known.filter_map(|(variable, value)| Some((&variable.name, variable.format(value?))))
    }
}

impl AggregateVariable {
    fn format(&self, value: AggregateValue) -> String {
        match (value, self.unit) {
            (AggregateValue::Millis(millis), Some(unit)) => {
                format_span(Decimal::from(millis), unit)
            }
            (value, _) => value.to_string(),
        }
    }
}

/// A time span in milliseconds, in another unit.
fn format_span(millis: Decimal, unit: TimeUnit) -> String {
    let unit = Decimal::from(unit.seconds()) * Decimal::ONE_THOUSAND;
    let span = millis / unit;
    span.round_dp(DECIMAL_PLACES).normalize().to_string()
}

#[cfg(test)]
mod tests;
