//! A setting in its short form, a source alone, or in its long form, a mapping with further keys.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, de};

use crate::value_source::ValueSource;

/// A setting that is either a source or a mapping with further keys.
///
/// serde's `untagged` is not used: its only error is that no variant fits, and errors must say what would be right.
#[derive(Debug)]
pub(crate) enum ShortOrLong<M> {
    Short(ValueSource),
    Long(M),
}

impl<'de, M: Deserialize<'de>> Deserialize<'de> for ShortOrLong<M> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShortOrLongVisitor(PhantomData))
    }
}

struct ShortOrLongVisitor<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> de::Visitor<'de> for ShortOrLongVisitor<M> {
    type Value = ShortOrLong<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON pointer such as /customer/email, a jq filter, or a mapping")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        ValueSource::new(text.to_owned())
            .map(ShortOrLong::Short)
            .map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(de::value::MapAccessDeserializer::new(map)).map(ShortOrLong::Long)
    }
}
