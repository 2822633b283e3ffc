//! Amounts and shares, for people.

use crate::printable::group_thousands;
use std::iter::Sum;

use serde::Serialize;

/// A number of orders and their money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Orders.
    pub orders: u64,
    /// Their total in US cents.
    pub cents: u64,
}

impl Volume {
    pub(super) fn add_order(&mut self, cents: u64) {
        self.orders += 1;
        self.cents += cents;
    }
}

impl Sum for Volume {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, volume| Self {
            orders: sum.orders + volume.orders,
            cents: sum.cents + volume.cents,
        })
    }
}

pub(super) fn parse_cents(amount: &str) -> u64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    whole.parse::<u64>().unwrap_or(0) * 100 + part.parse::<u64>().unwrap_or(0)
}

pub(super) fn format_dollars(cents: u64) -> String {
    format!("${}.{:02}", group_thousands(cents / 100), cents % 100)
}

/// A share from 0 to 1; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

pub(super) fn format_share(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_readable() {
        let cases = [
            (0, "$0.00"),
            (12_999, "$129.99"),
            (10_000_000, "$100,000.00"),
            (123_456_789, "$1,234,567.89"),
        ];
        for (amount, want) in cases {
            assert_eq!(format_dollars(amount), want);
        }
        assert_eq!(parse_cents("129.99"), 12_999);
        assert_eq!(parse_cents("5"), 500);
        assert_eq!(parse_cents("5.5"), 550);
        assert_eq!(format_share(share(1, 8), 1), "12.5 %");
        assert_eq!(format_share(share(1, 0), 0), "0 %");
    }
}
