//! The truth about an order, whatever is reported later.

use serde::Serialize;

use super::order::{OrderAmount, ShopOrder};
use super::world;

/// The kind of fraud behind an order, if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FraudPattern {
    /// No fraud, whatever it looks like.
    Honest,
    /// Bursts of small orders that test which stolen cards still work.
    CardTesting,
    /// New accounts that buy goods to resell, each with another stolen card.
    StolenCards,
    /// A customer's own account in other hands, after its delivery address was changed.
    AccountTakeover,
    /// Goods for freight forwarders and for people who send them on.
    Reshipper,
    /// One ring that places a few ordinary-looking orders a week; each account shares a device or an address with
    /// the one before it.
    SlowRing,
    /// Balances of wallets turned into gift cards. Only among the new orders.
    WalletDrain,
}

/// The truth about one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderTruth {
    /// As on the order.
    pub order_id: String,
    /// Whether the order is a fraud.
    pub fraud: bool,
    /// The pattern of the fraud.
    pub pattern: FraudPattern,
    /// What happened, in a few words.
    pub why: String,
    /// Its total in US dollars, a decimal string.
    #[serde(rename = "amount_usd")]
    pub amount: OrderAmount,
}

/// An order together with its truth, before either is written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) order: ShopOrder,
    pub(super) country: usize,
    pub(super) pattern: FraudPattern,
    pub(super) why: &'static str,
}

impl Draft {
    pub(super) fn is_fraud(&self) -> bool {
        self.pattern != FraudPattern::Honest
    }

    pub(super) fn truth(&self) -> OrderTruth {
        OrderTruth {
            order_id: self.order.id.clone(),
            fraud: self.is_fraud(),
            pattern: self.pattern,
            why: self.why.to_owned(),
            amount: self.amount_in_dollars(),
        }
    }

    fn amount_in_dollars(&self) -> OrderAmount {
        let minor = world::convert_to_dollars(self.order.total, self.country);
        OrderAmount { minor, decimals: 2 }
    }
}
