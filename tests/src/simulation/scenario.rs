//! The scenario of a simulated day: a seed, the number of orders, and what is left out.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::dice::Dice;

/// A kind of failure, or another deviation from a perfect environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disturbance {
    /// A service throttles a call.
    Throttle,
    /// A service answers 500 before it did anything.
    ServerError,
    /// A request is lost: the client sees a broken connection, or nothing until its time-out.
    LostRequest,
    /// A request has its effect, but its answer is lost.
    LostAnswer,
    /// A request has its effect long after its client has given up.
    LateEffect,
    /// A call takes up to several seconds.
    Slow,
    /// `BatchGetItem` leaves keys unprocessed, or `BatchWriteItem` items.
    Unprocessed,
    /// `PutEvents` accepts some entries and rejects the others, or `BatchExecuteStatement` statements.
    PartialFailure,
    /// For some time, a service fails for all callers: access denied, a missing table, throttling, or answers that take
    /// seconds.
    Outage,
    /// Environments are killed at any call and at any time.
    Kill,
    /// Environments have clocks that are fast or slow.
    Skew,
    /// A detector version, a list and a mapping change while orders come.
    Changes,
}

/// Every disturbance.
pub const DISTURBANCES: [Disturbance; 12] = [
    Disturbance::Throttle,
    Disturbance::ServerError,
    Disturbance::LostRequest,
    Disturbance::LostAnswer,
    Disturbance::LateEffect,
    Disturbance::Slow,
    Disturbance::Unprocessed,
    Disturbance::PartialFailure,
    Disturbance::Outage,
    Disturbance::Kill,
    Disturbance::Skew,
    Disturbance::Changes,
];

impl Disturbance {
    /// Whether it affects a single call.
    pub fn is_of_a_call(self) -> bool {
        !matches!(self, Self::Outage | Self::Kill | Self::Skew | Self::Changes)
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A scenario. As text: `17x300`, or shrunk `17x300:only=3+9:without=kill+slow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed of all random choices.
    pub seed: u64,
    /// The number of orders.
    pub orders: usize,
    /// The orders that are sent; `None` means all.
    pub only: Option<BTreeSet<usize>>,
    /// Disturbances that do not happen.
    pub without: BTreeSet<Disturbance>,
    /// Whether each record is delivered once, alone and in order, for comparison.
    pub is_undisturbed: bool,
}

impl Scenario {
    /// A whole day.
    pub fn new(seed: u64, orders: usize) -> Self {
        Self {
            seed,
            orders,
            only: None,
            without: BTreeSet::new(),
            is_undisturbed: false,
        }
    }

    /// The random choices of its seed.
    pub fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }

    /// Whether only delivery is disturbed: records come twice, late and in other batches, and all services work. One of
    /// five seeds is calm; its decisions are compared with those of an undisturbed day.
    pub fn is_calm(&self) -> bool {
        self.seed.is_multiple_of(5)
    }

    /// Whether this disturbance may happen.
    pub fn has(&self, disturbance: Disturbance) -> bool {
        !self.is_calm() && !self.without.contains(&disturbance)
    }

    /// Whether the order is sent.
    pub fn has_order(&self, order: usize) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&order))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.seed, self.orders)?;
        if let Some(only) = &self.only {
            let only: Vec<String> = only.iter().map(ToString::to_string).collect();
            write!(f, ":only={}", only.join("+"))?;
        }
        if !self.without.is_empty() {
            let without: Vec<String> = self.without.iter().map(|it| it.name()).collect();
            write!(f, ":without={}", without.join("+"))?;
        }
        Ok(())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let head = parts.next().unwrap_or_default();
        let (seed, orders) = head.split_once('x').unwrap_or((head, "300"));
        let number = |text: &str| {
            text.parse()
                .map_err(|_| format!("`{text}` is no number; write a scenario as 17 or 17x300"))
        };
        let orders: u64 = number(orders)?;
        let mut scenario = Self::new(number(seed)?, usize::try_from(orders).unwrap_or(usize::MAX));
        for part in parts {
            let (name, values) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "only" => {
                    let only = values.split('+').map(|text| {
                        let place: u64 = number(text)?;
                        Ok(usize::try_from(place).unwrap_or(usize::MAX))
                    });
                    scenario.only = Some(only.collect::<Result<_, String>>()?);
                }
                "without" => {
                    for value in values.split('+') {
                        let found = DISTURBANCES.iter().find(|it| it.name() == value);
                        let found = found.ok_or_else(|| format!("`{value}` is no disturbance"))?;
                        scenario.without.insert(*found);
                    }
                }
                _ => return Err(format!("`{name}` is neither `only` nor `without`")),
            }
        }
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read_as_it_is_written() {
        for text in [
            "17x300",
            "1x20:only=3+9",
            "5x7:without=slow+kill",
            "9x10:only=1:without=changes",
        ] {
            assert_eq!(text.parse::<Scenario>().unwrap().to_string(), text);
        }
        assert_eq!("17".parse::<Scenario>().unwrap().to_string(), "17x300");
        for text in ["", "x", "1x", "1:never=2", "1:without=rain"] {
            assert!(text.parse::<Scenario>().is_err(), "{text}");
        }
    }
}
