//! The long form of a variable's `from`: an amount in a base currency, or another computed value.

use std::borrow::Cow;
use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, de};

use crate::computed_source::ComputedSource;
use crate::money::AmountSource;
use crate::value_source::Document;

/// `{amount, currency, base, rates}`, or one of the computed values, such as `{sum: ...}`.
#[derive(Debug)]
pub(crate) enum LongSource {
    Amount(AmountSource),
    Computed(ComputedSource),
}

impl LongSource {
    /// The text of the value; `None` if it is absent. A time without a zone is in `zone`.
    ///
    /// # Errors
    /// A phrase that says what is wrong. It quotes at most the currency.
    pub(crate) fn read<'a>(
        &self,
        document: &Document<'a>,
        zone: &TimeZone,
    ) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Self::Amount(amount) => Ok(amount.read(document)?.map(Cow::Owned)),
            Self::Computed(computed) => computed.read(document, zone),
        }
    }
}

impl<'de> Deserialize<'de> for LongSource {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LongSourceVisitor)
    }
}

struct LongSourceVisitor;

impl<'de> de::Visitor<'de> for LongSourceVisitor {
    type Value = LongSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount, such as {amount: /total, currency: /currency, base: USD, rates: {}}, or a computed value, such as {sum: {of: /items, value: /quantity}}")
    }

    /// The first key says which of the two it is.
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<LongSource, A::Error> {
        let Some(first) = map.next_key::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let with_first = de::value::MapAccessDeserializer::new(WithFirstKey {
            first: Some(first.clone()),
            rest: &mut map,
        });
        if AmountSource::KEYS.contains(&first.as_str()) {
            return AmountSource::deserialize(with_first).map(LongSource::Amount);
        }
        let computed = ComputedSource::deserialize(with_first)?;
        match map.next_key::<String>()? {
            None => Ok(LongSource::Computed(computed)),
            Some(second) => Err(de::Error::custom(format!(
                "`{first}` and `{second}` are two values; a variable has one"
            ))),
        }
    }
}

/// A map whose first key was read already.
struct WithFirstKey<A> {
    first: Option<String>,
    rest: A,
}

impl<'de, A: de::MapAccess<'de>> de::MapAccess<'de> for WithFirstKey<A> {
    type Error = A::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(first) => seed
                .deserialize(de::value::StringDeserializer::new(first))
                .map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_says_what_it_is() {
        #[track_caller]
        fn check(source: &str, want: &str) {
            let order = serde_json::json!({"total": "5", "currency": "USD", "items": [1, 2]});
            let got = match serde_saphyr::from_str::<LongSource>(source) {
                Err(error) => format!("broken: {}", error.to_string().lines().next().unwrap()),
                Ok(source) => {
                    let read = source.read(&Document::new(&order), &TimeZone::UTC);
                    read.unwrap().map(Cow::into_owned).unwrap_or_default()
                }
            };
            assert_eq!(got, want, "{source}");
        }
        let amount = "{amount: /total, currency: /currency, base: USD, rates: {EUR: 1.08}}";
        check(amount, "5.00");
        check(
            "{currency: /currency, base: USD, rates: {}, amount: /total}",
            "5.00",
        );
        check("{count: {of: /items}}", "2");
        check(
            "{amount: /total, currency: /currency, rates: {}}",
            "broken: error: line 1 column 39: missing field `base`",
        );
        check(
            "{count: {of: /items}, sum: {of: /items, value: /n}}",
            "broken: `count` and `sum` are two values; a variable has one",
        );
        check(
            "{}",
            "broken: error: line 1 column 1: invalid length 0, expected an amount, such as {amount: /total, currency: /currency, base: USD, rates: {}}, or a computed value, such as {sum: {of: /items, value: /quantity}}",
        );
    }
}
