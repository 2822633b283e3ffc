//! The mapping file as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use event::{DetectorId, EntityTypeName, EventTypeName, LabelName, OutcomeName, VariableName};
use serde::{Deserialize, de};
use serde_saphyr::Spanned;

use super::locate::Locate;
use super::money::Money;
use super::normal::Form;
use super::source::Source;

/// `config/mapping.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) event_type: EventTypeName,
    pub(super) detector: DetectorId,
    #[serde(default)]
    pub(super) timezone: TimeZone,
    pub(super) event: EventSection,
    pub(super) variables: BTreeMap<VariableName, TextOr<LongVariable>>,
    /// Bodies for models elsewhere, by the name of their endpoint.
    #[serde(default)]
    pub(super) external_models: BTreeMap<String, ExternalModel>,
    pub(super) decision: Decision,
    #[serde(default)]
    pub(super) labels: Option<Labels>,
}

/// An IANA time zone, checked when the file is read.
#[derive(Debug)]
pub(super) struct TimeZone(pub(super) jiff::tz::TimeZone);

impl Default for TimeZone {
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        jiff::tz::TimeZone::get(&name).map(Self).map_err(|_| {
            de::Error::custom(format!(
                "`{name}` is not a time zone; write an IANA name such as Europe/Berlin, or UTC"
            ))
        })
    }
}

/// How an order's identity is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventSection {
    pub(super) id: Source,
    #[serde(default)]
    pub(super) revision: Option<Source>,
    pub(super) timestamp: Source,
    pub(super) entity: Entity,
    #[serde(default)]
    pub(super) label: Option<Source>,
    #[serde(default)]
    pub(super) label_timestamp: Option<Source>,
}

/// Whose order it is: the first of `id` that the order has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entity {
    #[serde(rename = "type")]
    pub(super) entity_type: EntityType,
    pub(super) id: Vec<TextOr<HashedSource>>,
}

/// An entity type's name, or, where a feed mixes entity types, the pointer to it.
#[derive(Debug)]
pub(super) enum EntityType {
    Fixed(EntityTypeName),
    From(Source),
}

impl<'de> Deserialize<'de> for EntityType {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') {
            return Source::new(text).map(Self::From).map_err(de::Error::custom);
        }
        EntityTypeName::try_from(text)
            .map(Self::Fixed)
            .map_err(de::Error::custom)
    }
}

/// A value is written as text, or as a mapping where there is more to say.
///
/// Not serde's `untagged`: its only error is that nothing fits, and a mapping file must say what would.
#[derive(Debug)]
pub(super) enum TextOr<M> {
    Text(Source),
    Map(M),
}

impl<'de, M: Deserialize<'de>> Deserialize<'de> for TextOr<M> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> de::Visitor<'de> for TextOrVisitor<M> {
    type Value = TextOr<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON pointer such as /customer/email, a jq filter, or a mapping")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Source::new(text.to_owned())
            .map(TextOr::Text)
            .map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(de::value::MapAccessDeserializer::new(map)).map(TextOr::Map)
    }
}

/// A value that must not stand in the clear, such as an e-mail address: its hash is the entity id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashedSource {
    pub(super) hash: Source,
    #[serde(rename = "as", default)]
    pub(super) form: Form,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongVariable {
    pub(super) from: TextOr<Money>,
    #[serde(rename = "as", default)]
    pub(super) form: Form,
    #[serde(default)]
    pub(super) locate: Option<Locate>,
    #[serde(rename = "type", default)]
    pub(super) value_type: ValueType,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) on_invalid: OnInvalid,
}

/// What an endpoint gets whose model does not take event variables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExternalModel {
    #[serde(default = "csv")]
    pub(super) content_type: String,
    pub(super) body: Source,
}

fn csv() -> String {
    "text/csv".to_owned()
}

/// What a value must look like, in the service's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ValueType {
    #[default]
    String,
    Integer,
    Float,
    Boolean,
    /// Read in the feed's time zone where it has none, sent as ISO 8601 UTC.
    DateTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnInvalid {
    /// Left out, noted, and the order is undetermined.
    #[default]
    Undetermined,
    /// Left out quietly.
    Omit,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    pub(super) outcome_priority: Vec<OutcomeName>,
    pub(super) on_undetermined: Spanned<Vec<OutcomeName>>,
    pub(super) on_no_match: Spanned<Vec<OutcomeName>>,
    #[serde(default)]
    pub(super) reviewable: Option<Spanned<Vec<OutcomeName>>>,
    /// How long a decision is kept, in days.
    #[serde(default = "retention")]
    pub(super) retention_days: u32,
}

/// 18 months: as long as Amazon keeps events, and longer than any chargeback takes.
fn retention() -> u32 {
    548
}

/// How a chargeback becomes a label.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    pub(super) event_id: Source,
    pub(super) timestamp: Source,
    pub(super) kind: Source,
    #[serde(default)]
    pub(super) reason_code: Option<Source>,
    #[serde(default)]
    pub(super) amount: Option<Source>,
    #[serde(default)]
    pub(super) currency: Option<Source>,
    #[serde(default)]
    pub(super) source: Option<Source>,
    /// Rank of each source; a higher rank wins, a source that is not named has rank 0.
    #[serde(default)]
    pub(super) source_ranks: BTreeMap<String, u32>,
    /// The first row that fits gives the label.
    pub(super) table: Vec<LabelRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelRow {
    pub(super) kind: String,
    /// A reason code, or its beginning followed by `*`; absent: every code.
    #[serde(default)]
    pub(super) code: Option<String>,
    /// `null`: the message is kept in the history and changes no label.
    pub(super) label: Option<LabelName>,
}

impl LabelRow {
    pub(super) fn fits(&self, kind: &str, code: Option<&str>) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
            && self.code.as_deref().is_none_or(|want| {
                let code = code.unwrap_or_default();
                want.strip_suffix('*')
                    .map_or(code == want, |start| code.starts_with(start))
            })
    }
}
