//! What a file of disputes, refunds or verdicts brought, by kind: the stages of disputes among them.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use shared::labels::LabelReceipt;

use crate::printable::printable_value;

/// Kinds that are counted by themselves; where messages name their labels themselves, a kind may be any text.
const MOST_KINDS: usize = 30;
/// The others.
const OTHER_KINDS: &str = "other kinds";
/// Currencies of one kind beyond the same number.
const OTHER_CURRENCIES: &str = "in other currencies";

/// Label messages by their kind, in lower case.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct LabelKinds(BTreeMap<String, KindCount>);

/// The messages of one kind.
#[derive(Debug, Default, Serialize)]
struct KindCount {
    /// Messages about orders that are known.
    matched: u64,
    /// Messages about orders that are not: they are kept, and looked at when the order comes.
    unmatched: u64,
    /// Messages, of both sorts, that were received before.
    known_already: u64,
    /// What is in dispute in the messages that were not received before, by currency.
    #[serde(serialize_with = "serialize_amounts")]
    amounts: BTreeMap<String, Decimal>,
}

/// Amounts as text, so that no program rounds them.
fn serialize_amounts<S: Serializer>(
    amounts: &BTreeMap<String, Decimal>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let texts = amounts.iter();
    serializer.collect_map(texts.map(|(currency, amount)| (currency, amount.to_string())))
}

impl LabelKinds {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, receipt: &LabelReceipt) {
        let kind = receipt.kind.to_lowercase();
        let is_counted = self.0.contains_key(&kind) || self.0.len() < MOST_KINDS;
        let kind = if is_counted {
            kind
        } else {
            OTHER_KINDS.to_owned()
        };
        let count = self.0.entry(kind).or_default();
        count.matched += u64::from(receipt.matched);
        count.unmatched += u64::from(!receipt.matched);
        count.known_already += u64::from(receipt.known);
        if receipt.known {
            return;
        }
        let amount = receipt.amount.as_ref();
        let amount = amount.and_then(|(amount, currency)| Some((amount.parse().ok()?, currency)));
        if let Some((amount, currency)) = amount {
            let currency = currency.to_uppercase();
            let is_counted =
                count.amounts.contains_key(&currency) || count.amounts.len() < MOST_KINDS;
            let currency = if is_counted {
                currency
            } else {
                OTHER_CURRENCIES.to_owned()
            };
            let sum: &mut Decimal = count.amounts.entry(currency).or_default();
            *sum = sum.saturating_add(amount);
        }
    }
}

impl fmt::Display for LabelKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.0 {
            let messages = count.matched + count.unmatched;
            let kind = printable_value(kind);
            write!(f, "  {messages:>8} {kind}: {} matched", count.matched)?;
            if count.unmatched > 0 {
                write!(f, ", {} unmatched", count.unmatched)?;
            }
            if count.known_already > 0 {
                write!(f, ", {} known already", count.known_already)?;
            }
            for (currency, amount) in &count.amounts {
                write!(f, ", {amount:.2} {}", printable_value(currency))?;
            }
            writeln!(f)?;
        }
        let unmatched: u64 = self.0.values().map(|count| count.unmatched).sum();
        if unmatched > 0 {
            writeln!(
                f,
                "unmatched messages are kept, and looked at when their orders come: fraudstream show --unmatched lists them"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use shared::labels::AppliedLabel;

    use super::*;

    fn receipt(kind: &str, matched: bool, known: bool, amount: &str) -> LabelReceipt {
        LabelReceipt {
            applied: AppliedLabel::Kept,
            matched,
            known,
            kind: kind.to_owned(),
            amount: Some((amount.to_owned(), "eur".to_owned())),
        }
    }

    #[test]
    fn messages_are_counted_by_kind_with_their_money() {
        let mut kinds = LabelKinds::default();
        kinds.add(&receipt("Chargeback", true, false, "12.50"));
        kinds.add(&receipt("chargeback", false, false, "7"));
        // What came last week counts once, and so does its money.
        kinds.add(&receipt("chargeback", true, true, "12.50"));
        kinds.add(&receipt("rever\u{1b}sal", true, false, "much"));
        assert_eq!(
            kinds.to_string(),
            "         3 chargeback: 2 matched, 1 unmatched, 1 known already, 19.50 EUR\n         1 rever sal: 1 matched\n\
             unmatched messages are kept, and looked at when their orders come: fraudstream show --unmatched lists them\n"
        );
    }

    #[test]
    fn kinds_are_bounded() {
        let mut kinds = LabelKinds::default();
        for number in 0..100 {
            kinds.add(&receipt(&format!("kind {number}"), true, false, "1"));
        }
        assert_eq!(kinds.0.len(), MOST_KINDS + 1);
        assert_eq!(kinds.0[OTHER_KINDS].matched, 70);
    }
}
