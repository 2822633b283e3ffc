//! Numbers with four decimal places. They are integers inside, so that a sum does not depend on the order of its parts.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};

/// A number, such as an amount of money, in ten-thousandths. Negative numbers count as they are.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Amount(i64);

/// The largest amount: a billion.
const LARGEST: i64 = 10_000_000_000_000;
/// The largest sum of amounts: about a trillion.
const LARGEST_SUM: i64 = 1 << 54;
const DECIMAL_PLACES: u32 = 4;

impl Amount {
    /// The number, rounded to four decimal places; the largest amount, a billion, where it is larger.
    pub fn from_decimal(number: Decimal) -> Self {
        let limit = Self(LARGEST).to_decimal();
        let mut number = number.clamp(-limit, limit).round_dp(DECIMAL_PLACES);
        number.rescale(DECIMAL_PLACES);
        Self(number.mantissa().to_i64().unwrap_or_default())
    }

    /// The number.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, DECIMAL_PLACES)
    }

    /// The sum, at most [`LARGEST_SUM`].
    pub(crate) fn add(self, other: Self) -> Self {
        Self(
            self.0
                .saturating_add(other.0)
                .clamp(-LARGEST_SUM, LARGEST_SUM),
        )
    }

    /// The difference, at most [`LARGEST_SUM`].
    pub(crate) fn subtract(self, other: Self) -> Self {
        self.add(Self(other.0.saturating_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_four_places_and_a_limit() {
        #[track_caller]
        fn check(number: &str, want: &str) {
            let number: Decimal = number.parse().unwrap();
            let amount = Amount::from_decimal(number);
            assert_eq!(amount.to_decimal().normalize().to_string(), want);
        }
        check("129.99", "129.99");
        check("-0.00004", "0");
        check("0.00006", "0.0001");
        check("79228162514264337593543950335", "1000000000");
        check("-79228162514264337593543950335", "-1000000000");
        check("0.0000000000000000000000000001", "0");
    }
}
