//! `aggregates:` as it stands in the mapping file.

use std::collections::{BTreeMap, BTreeSet};

use event::{LabelName, VariableName};
use serde::{Deserialize, de};
use serde_saphyr::Spanned;
use velocity::Window;

use crate::computed_source::TimeUnit;
use crate::condition::Condition;
use crate::long_source::LongSource;
use crate::normal_form::NormalForm;
use crate::on_invalid::OnInvalid;
use crate::short_or_long::ShortOrLong;

/// The most sources of one key.
const MOST_SOURCES: usize = 4;

/// `aggregates:` of the mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AggregateSection {
    pub(super) keys: BTreeMap<VariableName, Spanned<ShortOrLong<LongKey>>>,
    #[serde(default)]
    pub(super) variables: BTreeMap<VariableName, Spanned<AggregateSource>>,
    /// The labels that mean fraud; absent, those of `labels.table` for chargebacks.
    #[serde(default)]
    pub(super) fraud_labels: Option<BTreeSet<LabelName>>,
}

/// `{from, as, hub, on_invalid}`: where a key is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongKey {
    pub(super) from: KeySources,
    #[serde(rename = "as", default)]
    pub(super) form: NormalForm,
    #[serde(default)]
    pub(super) hub: bool,
    #[serde(default)]
    pub(super) on_invalid: OnInvalid,
}

/// One source, or a list of them, each of whose values is a key.
#[derive(Debug)]
pub(super) struct KeySources(pub(super) Vec<ShortOrLong<LongSource>>);

impl<'de> Deserialize<'de> for KeySources {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourcesVisitor;
        impl<'de> de::Visitor<'de> for SourcesVisitor {
            type Value = KeySources;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a source such as /customer/phone, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KeySources, E> {
                let text = de::value::StrDeserializer::new(text);
                Ok(KeySources(vec![ShortOrLong::deserialize(text)?]))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<KeySources, A::Error> {
                let map = de::value::MapAccessDeserializer::new(map);
                Ok(KeySources(vec![ShortOrLong::deserialize(map)?]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<KeySources, A::Error> {
                let list = de::value::SeqAccessDeserializer::new(list);
                let sources: Vec<_> = Deserialize::deserialize(list)?;
                if (1..=MOST_SOURCES).contains(&sources.len()) {
                    return Ok(KeySources(sources));
                }
                Err(de::Error::custom(format!(
                    "a key has {} sources; name 1 to {MOST_SOURCES}",
                    sources.len()
                )))
            }
        }
        deserializer.deserialize_any(SourcesVisitor)
    }
}

/// An aggregate: `{<function>: {by, …}}`.
#[derive(Debug)]
pub(super) struct AggregateSource {
    pub(super) function: FunctionName,
    pub(super) options: AggregateOptions,
}

/// The functions as the mapping file names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FunctionName {
    Count,
    Sum,
    Mean,
    Max,
    Distinct,
    SinceFirst,
    SinceLast,
    RatioToUsual,
    Fraud,
    FraudRate,
}

impl<'de> Deserialize<'de> for AggregateSource {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> de::Visitor<'de> for SourceVisitor {
            type Value = AggregateSource;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an aggregate such as {count: {by: card, within: 1d}}")
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<AggregateSource, A::Error> {
                let Some((function, options)) = map.next_entry()? else {
                    return Err(de::Error::invalid_length(0, &self));
                };
                if map.next_key::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::custom(
                        "an aggregate has one function; give the other a name of its own",
                    ));
                }
                Ok(AggregateSource { function, options })
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// `{by, of, within, where, in}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateOptions {
    pub(super) by: VariableName,
    #[serde(default)]
    pub(super) of: Option<VariableName>,
    #[serde(default, deserialize_with = "read_window")]
    pub(super) within: Option<Window>,
    #[serde(default, rename = "where")]
    pub(super) condition: Option<Condition>,
    #[serde(default, rename = "in")]
    pub(super) unit: Option<TimeUnit>,
}

fn read_window<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<Option<Window>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}
