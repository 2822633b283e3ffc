//! The aggregates that a draft may have: what fraud teams count first.

/// An aggregate of the draft.
pub(crate) struct AggregateDraft {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) description: &'static str,
    /// The keys without which it cannot be.
    pub(super) keys: &'static [&'static str],
    pub(super) needs_price: bool,
}

/// The names of the keys that a draft may have.
pub(crate) const KEY_NAMES: [&str; 6] = ["account", "email", "card", "device", "ip", "address"];

/// The aggregates that a draft may have.
pub(super) const AGGREGATES: &[AggregateDraft] = &[
    AggregateDraft {
        name: "card_orders_1d",
        source: "{count: {by: card, within: 1d}}",
        description: "Orders with the same card in the day before",
        keys: &["card"],
        needs_price: false,
    },
    AggregateDraft {
        name: "emails_per_card_30d",
        source: "{distinct: {of: email, by: card, within: 30d}}",
        description: "Different e-mail addresses with the same card in 30 days",
        keys: &["card", "email"],
        needs_price: false,
    },
    AggregateDraft {
        name: "fraud_per_card_90d",
        source: "{fraud: {by: card, within: 90d}}",
        description: "Orders with the same card that became known as fraud in 90 days",
        keys: &["card"],
        needs_price: false,
    },
    AggregateDraft {
        name: "device_orders_1d",
        source: "{count: {by: device, within: 1d}}",
        description: "Orders from the same device in the day before",
        keys: &["device"],
        needs_price: false,
    },
    AggregateDraft {
        name: "cards_per_device_1d",
        source: "{distinct: {of: card, by: device, within: 1d}}",
        description: "Different cards on the same device in a day",
        keys: &["device", "card"],
        needs_price: false,
    },
    AggregateDraft {
        name: "emails_per_device_30d",
        source: "{distinct: {of: email, by: device, within: 30d}}",
        description: "Different e-mail addresses on the same device in 30 days",
        keys: &["device", "email"],
        needs_price: false,
    },
    AggregateDraft {
        name: "fraud_per_device_90d",
        source: "{fraud: {by: device, within: 90d}}",
        description: "Orders from the same device that became known as fraud in 90 days",
        keys: &["device"],
        needs_price: false,
    },
    AggregateDraft {
        name: "ip_orders_1h",
        source: "{count: {by: ip, within: 1h}}",
        description: "Orders from the same IP address in the hour before",
        keys: &["ip"],
        needs_price: false,
    },
    AggregateDraft {
        name: "emails_per_ip_1d",
        source: "{distinct: {of: email, by: ip, within: 1d}}",
        description: "Different e-mail addresses from the same IP address in a day",
        keys: &["ip", "email"],
        needs_price: false,
    },
    AggregateDraft {
        name: "cards_per_ip_1d",
        source: "{distinct: {of: card, by: ip, within: 1d}}",
        description: "Different cards from the same IP address in a day",
        keys: &["ip", "card"],
        needs_price: false,
    },
    AggregateDraft {
        name: "address_orders_7d",
        source: "{count: {by: address, within: 7d}}",
        description: "Orders to the same address in the week before",
        keys: &["address"],
        needs_price: false,
    },
    AggregateDraft {
        name: "emails_per_address_30d",
        source: "{distinct: {of: email, by: address, within: 30d}}",
        description: "Different e-mail addresses for the same delivery address in 30 days",
        keys: &["address", "email"],
        needs_price: false,
    },
    AggregateDraft {
        name: "fraud_per_address_90d",
        source: "{fraud: {by: address, within: 90d}}",
        description: "Orders to the same address that became known as fraud in 90 days",
        keys: &["address"],
        needs_price: false,
    },
    AggregateDraft {
        name: "email_orders_1d",
        source: "{count: {by: email, within: 1d}}",
        description: "Orders with the same e-mail address in the day before",
        keys: &["email"],
        needs_price: false,
    },
    AggregateDraft {
        name: "fraud_per_email_90d",
        source: "{fraud: {by: email, within: 90d}}",
        description: "Orders with the same e-mail address that became known as fraud in 90 days",
        keys: &["email"],
        needs_price: false,
    },
    AggregateDraft {
        name: "account_orders_90d",
        source: "{count: {by: account, within: 90d}}",
        description: "Orders of the same account in 90 days",
        keys: &["account"],
        needs_price: false,
    },
    AggregateDraft {
        name: "fraud_per_account_90d",
        source: "{fraud: {by: account, within: 90d}}",
        description: "Orders of the same account that became known as fraud in 90 days",
        keys: &["account"],
        needs_price: false,
    },
    AggregateDraft {
        name: "price_to_usual",
        source: "{ratio_to_usual: {of: order_price, by: account, within: 90d}}",
        description: "The amount divided by what this account usually orders for",
        keys: &["account"],
        needs_price: true,
    },
];

impl AggregateDraft {
    /// The type of its variable at the service.
    pub(crate) fn data_type(&self) -> &'static str {
        if self.needs_price { "FLOAT" } else { "INTEGER" }
    }
}

/// The names of all aggregates that a draft may have.
pub(crate) fn all_aggregate_names() -> impl Iterator<Item = &'static str> {
    AGGREGATES.iter().map(|aggregate| aggregate.name)
}
