//! Orders and their money, by what became of them.

use serde::Serialize;

use super::{JudgedOrder, Truth};

/// Orders, and what they are worth in hundredths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderSum {
    /// How many.
    pub orders: u64,
    /// What they are worth together, in hundredths of the currency.
    pub money: i64,
}

impl OrderSum {
    fn add(&mut self, money: i64) {
        self.orders += 1;
        self.money = self.money.saturating_add(money);
    }
}

/// Orders by what became known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TruthSums {
    /// Orders with a label of fraud.
    pub fraud: OrderSum,
    /// Orders with another label, or without one after the time in which fraud is reported.
    pub good: OrderSum,
    /// Orders without a label that are too young to be called good.
    pub not_known_yet: OrderSum,
}

impl TruthSums {
    /// Adds an order; one without a label from before `good_before` counts as good.
    pub(super) fn add(&mut self, order: &JudgedOrder, good_before: i64) {
        let sum = match order.truth {
            Truth::Fraud => &mut self.fraud,
            Truth::Good => &mut self.good,
            Truth::Unlabelled if order.time <= good_before => &mut self.good,
            Truth::Unlabelled => &mut self.not_known_yet,
        };
        sum.add(order.money);
    }

    /// All orders.
    pub fn orders(&self) -> u64 {
        self.fraud.orders + self.good.orders + self.not_known_yet.orders
    }
}
