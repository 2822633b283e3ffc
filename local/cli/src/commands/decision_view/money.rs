//! What an order is worth, from the variables of its decision.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_frauddetector::Client;
use shared::decisions::Decision;
use shared::mapping::Mapping;

use crate::printable::printable_value;

/// Where the money of an order is among its variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct MoneyVariables {
    /// Variables with an amount, each with its currency if all orders have the same.
    amounts: BTreeMap<String, Option<String>>,
    /// The variable with the currency of the order, for amounts without one.
    currency: Option<String>,
}

/// An amount with its currency, if that is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Money {
    amount: String,
    currency: Option<String>,
}

impl MoneyVariables {
    /// The amounts of the mapping. If it has none, the variables that are of type `PRICE` at the service.
    pub(crate) async fn read(client: &Client, mapping: &Mapping) -> Self {
        let of_mapping = Self::of_mapping(mapping);
        if of_mapping.amounts.is_empty() {
            Self::of_service(client).await
        } else {
            of_mapping
        }
    }

    /// The amounts of the mapping.
    pub(crate) fn of_mapping(mapping: &Mapping) -> Self {
        let amounts = mapping.amounts();
        let amounts = amounts.map(|(name, base)| (name.to_string(), Some(base.to_owned())));
        Self {
            amounts: amounts.collect(),
            currency: None,
        }
    }

    /// If the service cannot be asked, the decision is still worth showing.
    async fn of_service(client: &Client) -> Self {
        let mut found = Self::default();
        let mut pages = client.get_variables().into_paginator().send();
        while let Some(Ok(page)) = pages.next().await {
            for variable in page.variables() {
                let name = variable.name().unwrap_or_default().to_owned();
                match variable.variable_type() {
                    Some("PRICE") => drop(found.amounts.insert(name, None)),
                    Some("CURRENCY_CODE") => found.currency = Some(name),
                    _ => {}
                }
            }
        }
        found
    }

    /// What the order of this decision is worth: its largest amount, because a total is larger than its parts.
    pub(crate) fn money(&self, decision: &Decision) -> Option<Money> {
        let value = |name: &str| decision.variables.get(name).cloned();
        let amounts = self.amounts.iter().filter_map(|(name, currency)| {
            let of_order = || self.currency.as_deref().and_then(value);
            Some(Money {
                amount: value(name)?,
                currency: currency.clone().or_else(of_order),
            })
        });
        amounts.max_by(|a, b| a.size().total_cmp(&b.size()))
    }
}

impl Money {
    /// The amount, for sorting.
    pub(crate) fn size(&self) -> f64 {
        self.amount.parse().unwrap_or(0.0)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let currency = self.currency.as_deref().unwrap_or_default();
        let text = format!("{} {currency}", self.amount);
        f.write_str(&printable_value(text.trim_end()))
    }
}
