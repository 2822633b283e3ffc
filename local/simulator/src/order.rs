//! One order, as the shop's checkout sends it.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Seconds since 1970, or a length of time in seconds.
pub(super) type Seconds = i64;

pub(super) const MINUTE: Seconds = 60;
pub(super) const HOUR: Seconds = 60 * MINUTE;
pub(super) const DAY: Seconds = 24 * HOUR;

/// An amount in a currency's smallest unit; written as a decimal string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderAmount {
    /// Cents, pence, or whole yen.
    pub minor: i64,
    /// How many of the digits are behind the point.
    pub decimals: u8,
}

impl fmt::Display for OrderAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decimals == 0 {
            return write!(f, "{}", self.minor);
        }
        let unit = 10_i64.pow(u32::from(self.decimals));
        let width = usize::from(self.decimals);
        write!(f, "{}.{:0width$}", self.minor / unit, self.minor % unit)
    }
}

impl Serialize for OrderAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An order as the shop's checkout sends it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ShopOrder {
    #[serde(rename = "order_id")]
    pub(super) id: String,
    /// Absent in the first revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u32>,
    #[serde(rename = "created_at", serialize_with = "serialize_time")]
    pub(super) at: Seconds,
    pub(super) customer: OrderCustomer,
    pub(super) client: OrderClient,
    pub(super) billing: PostalAddress,
    pub(super) shipping: PostalAddress,
    pub(super) payment: OrderPayment,
    pub(super) items: Vec<OrderItem>,
    pub(super) total: OrderAmount,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct OrderCustomer {
    /// Absent for a guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phone: Option<String>,
    #[serde(
        rename = "signed_up_at",
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_optional_time"
    )]
    pub(super) signed_up: Option<Seconds>,
    /// When the account's delivery address was last edited; absent if never.
    #[serde(
        rename = "address_changed_at",
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_optional_time"
    )]
    pub(super) address_changed: Option<Seconds>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct OrderClient {
    pub(super) ip: String,
    pub(super) user_agent: String,
    /// The shop's own cookie; absent where it is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_id: Option<String>,
}

/// A name and an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PostalAddress {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
    pub(super) postal_code: String,
    pub(super) country: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct OrderPayment {
    pub(super) method: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) card: Option<PaymentCard>,
    pub(super) currency: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avs: Option<&'static str>,
    /// Payments tried in this checkout session, the accepted one included.
    pub(super) attempts: i64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct PaymentCard {
    #[serde(rename = "card_bin")]
    pub(super) bin: String,
    #[serde(rename = "card_fingerprint")]
    pub(super) fingerprint: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct OrderItem {
    pub(super) sku: String,
    pub(super) category: &'static str,
    pub(super) quantity: i64,
    pub(super) unit_price: OrderAmount,
}

impl ShopOrder {
    /// Adds up the items, as the checkout does before it sends the order.
    pub(super) fn add_up(&mut self) {
        let minor = self
            .items
            .iter()
            .map(|item| item.quantity * item.unit_price.minor)
            .sum();
        self.total = OrderAmount {
            minor,
            decimals: self.total.decimals,
        };
    }
}

/// A time as `2026-06-01T10:15:30Z`, which every operation of the service accepts.
pub(super) fn format_time(at: Seconds) -> String {
    Timestamp::from_second(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field as it is"
)]
fn serialize_time<S: Serializer>(at: &Seconds, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*at))
}

#[expect(
    clippy::ref_option,
    reason = "serde passes a reference to the field as it is"
)]
fn serialize_optional_time<S: Serializer>(
    at: &Option<Seconds>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serialize_time(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::{OrderAmount, format_time};

    #[test]
    fn money_is_a_decimal_string() {
        let text = |minor, decimals| OrderAmount { minor, decimals }.to_string();
        assert_eq!(text(12_999, 2), "129.99");
        assert_eq!(text(5, 2), "0.05");
        assert_eq!(text(12_990, 0), "12990");
    }

    #[test]
    fn times_have_no_fraction() {
        assert_eq!(format_time(1_780_308_930), "2026-06-01T10:15:30Z");
    }
}
