//! The keys and aggregates of a draft, over the fields that the file has.

use super::aggregate_table::{AGGREGATES, AggregateDraft, KEY_NAMES};
use super::draft::Draft;
use super::roles::Role;
use super::yaml_text::quote_yaml;

/// A key of the draft's aggregates.
pub(crate) struct KeyDraft {
    pub(crate) name: &'static str,
    /// As it stands in the file.
    pub(crate) source: String,
}

impl Draft<'_> {
    /// The keys that the file has values for.
    pub(crate) fn aggregate_keys(&self) -> impl Iterator<Item = KeyDraft> {
        let source = |role: Role| self.field(role).map(|field| quote_yaml(&field.pointer));
        let address = || {
            let street =
                source(Role::ShippingStreet).map(|street| (street, source(Role::ShippingZip)));
            let (street, zip) = street
                .or_else(|| Some((source(Role::BillingStreet)?, source(Role::BillingZip))))?;
            Some(match zip {
                Some(zip) => {
                    format!("{{from: {{joined: [{street}, {zip}]}}, as: letters_and_digits}}")
                }
                None => format!("{{from: {street}, as: letters_and_digits}}"),
            })
        };
        let email = source(Role::Email);
        let sources = [
            source(Role::CustomerId),
            email.map(|email| format!("{{from: {email}, as: email, on_invalid: omit}}")),
            source(Role::CardFingerprint),
            source(Role::DeviceId),
            source(Role::IpAddress),
            address(),
        ];
        let keys = KEY_NAMES.into_iter().zip(sources);
        keys.filter_map(|(name, source)| {
            Some(KeyDraft {
                name,
                source: source?,
            })
        })
    }

    /// The aggregates over these keys.
    pub(crate) fn aggregates(&self) -> impl Iterator<Item = &'static AggregateDraft> {
        let keys: Vec<&str> = self.aggregate_keys().map(|key| key.name).collect();
        let has_price = self.has(Role::Amount);
        AGGREGATES.iter().filter(move |aggregate| {
            aggregate.keys.iter().all(|key| keys.contains(key))
                && (has_price || !aggregate.needs_price)
        })
    }
}
