//! An amount in one base currency.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, de};

use crate::computed_source::parse_decimal;
use crate::value_source::{Document, ValueSource};

/// `{amount, currency, base, rates}`: reads an amount and converts it to the currency `base`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountSource {
    amount: ValueSource,
    currency: ValueSource,
    base: String,
    /// One unit of the currency in units of `base`.
    rates: BTreeMap<String, ExchangeRate>,
}

/// A positive decimal number.
#[derive(Clone, Copy, Debug)]
struct ExchangeRate(Decimal);

impl<'de> Deserialize<'de> for ExchangeRate {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Decimal::from_str(&text) {
            Ok(rate) if rate > Decimal::ZERO => Ok(Self(rate)),
            _ => Err(de::Error::custom(format!(
                "`{text}` is not an exchange rate; write a positive number such as 1.08"
            ))),
        }
    }
}

impl AmountSource {
    /// The keys of an amount in a mapping file.
    pub(crate) const KEYS: [&str; 4] = ["amount", "currency", "base", "rates"];

    /// The currency of what [`Self::read`] returns, as the mapping file has it.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The amount in the base currency, with two decimals; `None` if the order has no amount.
    ///
    /// # Errors
    /// A phrase that says what is wrong. It quotes at most the currency.
    pub fn read(&self, document: &Document<'_>) -> Result<Option<String>, String> {
        let Some(amount) = self.amount.read(document)? else {
            return Ok(None);
        };
        let amount = parse_decimal(&amount).ok_or("is not a decimal number such as 129.99")?;
        let currency = self
            .currency
            .read(document)?
            .ok_or("has no currency")?
            .to_ascii_uppercase();
        let rate = self.rate(&currency)?;
        let converted = amount.checked_mul(rate).ok_or("is too large")?;
        Ok(Some(format!(
            "{:.2}",
            converted.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
        )))
    }

    fn rate(&self, currency: &str) -> Result<Decimal, String> {
        if currency.eq_ignore_ascii_case(&self.base) {
            return Ok(Decimal::ONE);
        }
        let mut rates = self.rates.iter();
        let rate = rates
            .find(|(name, _)| name.eq_ignore_ascii_case(currency))
            .map(|(_, rate)| rate.0);
        rate.ok_or_else(|| {
            let shown: String = currency.chars().take(3).collect();
            format!("is in `{shown}`, for which the mapping has no rate")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_are_read_with_a_filter() {
        let money: AmountSource = serde_saphyr::from_str(
            "{amount: '.amount / 100', currency: /currency, base: EUR, rates: {}}",
        )
        .unwrap();
        let order = serde_json::json!({"amount": 16892, "currency": "eur"});
        let read = money.read(&Document::new(&order));
        assert_eq!(read.unwrap().as_deref(), Some("168.92"));
    }

    #[track_caller]
    fn check(order: &str, want: &str) {
        let money: AmountSource = serde_saphyr::from_str(
            "{amount: /total, currency: /currency, base: USD, rates: {EUR: 1.08, JPY: 0.0067}}",
        )
        .unwrap();
        let order = serde_json::from_str(order).unwrap();
        let got = match money.read(&Document::new(&order)) {
            Ok(Some(text)) => text,
            Ok(None) => "-".to_owned(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn amounts() {
        check(r#"{"total":"129.99","currency":"USD"}"#, "129.99");
        check(r#"{"total":"100","currency":"eur"}"#, "108.00");
        check(r#"{"total":100.5,"currency":"EUR"}"#, "108.54");
        check(r#"{"total":"1234","currency":"JPY"}"#, "8.27");
        check(r#"{"currency":"USD"}"#, "-");
        check(r#"{"total":"1"}"#, "error: has no currency");
        check(
            r#"{"total":"1","currency":"XXX1"}"#,
            "error: is in `XXX`, for which the mapping has no rate",
        );
        check(
            r#"{"total":"1,5","currency":"USD"}"#,
            "error: is not a decimal number such as 129.99",
        );
        check(
            r#"{"total":"1_000","currency":"USD"}"#,
            "error: is not a decimal number such as 129.99",
        );
    }
}
