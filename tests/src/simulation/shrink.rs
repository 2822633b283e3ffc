//! Shrinks a failing day: fewer disturbances and fewer orders, with the same property violated.

use std::collections::BTreeSet;

use super::report::{Law, Report};
use super::scenario::{DISTURBANCES, Scenario};
use super::simulate_with;
use shared::known_faults::KnownFault;

/// The most days that are tried.
const MOST_TRIES: usize = 150;

/// The smallest scenario found that violates the property, as a report.
pub fn shrink(report: Report, law: Law, fault: Option<KnownFault>) -> Report {
    let mut search = Search {
        smallest: report,
        law,
        fault,
        tries: 0,
    };
    search.leave_out_orders();
    search.leave_out_disturbances();
    search.leave_out_orders();
    search.smallest
}

struct Search {
    smallest: Report,
    law: Law,
    fault: Option<KnownFault>,
    tries: usize,
}

impl Search {
    /// Keeps the scenario if it violates the property.
    fn try_to(&mut self, scenario: &Scenario) -> bool {
        if self.tries == MOST_TRIES {
            return false;
        }
        self.tries += 1;
        let report = simulate_with(scenario, self.fault);
        let is_broken = report.violations.iter().any(|it| it.law == self.law);
        if is_broken {
            self.smallest = report;
        }
        is_broken
    }

    fn leave_out_disturbances(&mut self) {
        for disturbance in DISTURBANCES {
            let mut scenario = self.smallest.scenario.clone();
            if scenario.has(disturbance) {
                scenario.without.insert(disturbance);
                self.try_to(&scenario);
            }
        }
    }

    /// Leaves out half of the orders, then a quarter, and so on.
    fn leave_out_orders(&mut self) {
        let scenario = &self.smallest.scenario;
        let mut orders: Vec<usize> = match &scenario.only {
            Some(only) => only.iter().copied().collect(),
            None => (0..scenario.orders).collect(),
        };
        let mut size = orders.len().div_ceil(2);
        while size > 0 && orders.len() > 1 {
            let mut start = 0;
            while start < orders.len() {
                let end = (start + size).min(orders.len());
                let left: BTreeSet<usize> = orders[..start]
                    .iter()
                    .chain(&orders[end..])
                    .copied()
                    .collect();
                let scenario = Scenario {
                    only: Some(left.clone()),
                    ..self.smallest.scenario.clone()
                };
                if !left.is_empty() && self.try_to(&scenario) {
                    orders = left.into_iter().collect();
                } else {
                    start = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }
}
