//! The structure of the mapping file, `config/mapping.yaml`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use event::{DetectorId, EntityTypeName, EventTypeName, LabelName, OutcomeName, VariableName};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::aggregates::{AggregateSection, LinkSection};
use crate::condition::Condition;
use crate::formats::ValueFormats;
use crate::locate::AddressLookup;
use crate::long_source::LongSource;
use crate::money::AmountSource;
use crate::no_value::NoValues;
use crate::normal_form::NormalForm;
use crate::on_invalid::OnInvalid;
use crate::overrides::{OverrideSection, read_overrides};
use crate::reason_codes::ReasonGroup;
use crate::review::ReviewSection;
use crate::short_or_long::ShortOrLong;
use crate::value_source::ValueSource;

/// `config/mapping.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MappingFile {
    pub(crate) event_type: EventTypeName,
    pub(crate) detector: DetectorId,
    #[serde(default)]
    pub(crate) timezone: ZoneSetting,
    /// Messages that are no orders: they are counted and nothing else.
    #[serde(default)]
    pub(crate) skip_when: Option<Condition>,
    #[serde(default)]
    pub(crate) no_value: NoValues,
    #[serde(default)]
    pub(crate) formats: ValueFormats,
    pub(crate) event: EventSection,
    pub(crate) variables: BTreeMap<VariableName, ShortOrLong<LongVariable>>,
    #[serde(default)]
    pub(crate) aggregates: Option<AggregateSection>,
    #[serde(default)]
    pub(crate) links: Option<Spanned<LinkSection>>,
    /// Bodies for external models, by the name of their endpoint.
    #[serde(default)]
    pub(crate) external_models: BTreeMap<String, ExternalModelSection>,
    pub(crate) decision: DecisionSection,
    #[serde(default)]
    pub(crate) labels: Option<LabelSection>,
}

impl MappingFile {
    /// The message as all sources of the file see it: without what stands for no value, and in the usual form.
    pub(crate) fn normalize_message<'a>(&self, message: &'a Value) -> Cow<'a, Value> {
        self.formats.normalize(self.no_value.blank_out(message))
    }
}

/// An IANA time zone, checked when the file is read.
#[derive(Debug)]
pub(crate) struct ZoneSetting(pub(crate) jiff::tz::TimeZone);

impl Default for ZoneSetting {
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

impl<'de> Deserialize<'de> for ZoneSetting {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        jiff::tz::TimeZone::get(&name).map(Self).map_err(|_| {
            de::Error::custom(format!(
                "`{name}` is not a time zone; write an IANA name such as Europe/Berlin, or UTC"
            ))
        })
    }
}

/// How id, revision, time, entity and label of an order are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventSection {
    pub(crate) id: ValueSource,
    #[serde(default)]
    pub(crate) revision: Option<ValueSource>,
    pub(crate) timestamp: ValueSource,
    pub(crate) entity: EntitySection,
    #[serde(default)]
    pub(crate) label: Option<ValueSource>,
    #[serde(default)]
    pub(crate) label_timestamp: Option<ValueSource>,
}

/// The entity of an order; its id is the first of `id` that the order has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntitySection {
    #[serde(rename = "type")]
    pub(crate) entity_type: EntityTypeSource,
    pub(crate) id: Vec<ShortOrLong<HashedSource>>,
}

/// The name of an entity type, or a JSON pointer to it if the orders have several types.
#[derive(Debug)]
pub(crate) enum EntityTypeSource {
    Fixed(EntityTypeName),
    From(ValueSource),
}

impl<'de> Deserialize<'de> for EntityTypeSource {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') {
            return ValueSource::new(text)
                .map(Self::From)
                .map_err(de::Error::custom);
        }
        EntityTypeName::try_from(text)
            .map(Self::Fixed)
            .map_err(de::Error::custom)
    }
}

/// A value that must not be stored in the clear, such as an e-mail address: its hash becomes the entity id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashedSource {
    pub(crate) hash: ValueSource,
    #[serde(rename = "as", default)]
    pub(crate) form: NormalForm,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LongVariable {
    pub(crate) from: ShortOrLong<LongSource>,
    #[serde(rename = "as", default)]
    pub(crate) form: NormalForm,
    #[serde(default)]
    pub(crate) locate: Option<AddressLookup>,
    #[serde(rename = "type", default)]
    pub(crate) value_type: ValueType,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) on_invalid: OnInvalid,
}

impl ShortOrLong<LongVariable> {
    /// Its source, if that is an amount of money.
    pub(crate) fn amount(&self) -> Option<&AmountSource> {
        match self {
            Self::Long(LongVariable {
                from: ShortOrLong::Long(LongSource::Amount(amount)),
                ..
            }) => Some(amount),
            _ => None,
        }
    }
}

/// What is sent to an external model that does not take event variables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalModelSection {
    #[serde(default = "default_content_type")]
    pub(crate) content_type: String,
    pub(crate) body: ValueSource,
}

fn default_content_type() -> String {
    "text/csv".to_owned()
}

/// The type that a value is checked against, named as in the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ValueType {
    #[default]
    String,
    Integer,
    Float,
    Boolean,
    /// A time without a zone is in the time zone of the mapping; it is sent as ISO 8601 UTC.
    DateTime,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionSection {
    pub(crate) outcome_priority: Vec<OutcomeName>,
    pub(crate) on_undetermined: Spanned<Vec<OutcomeName>>,
    pub(crate) on_no_match: Spanned<Vec<OutcomeName>>,
    #[serde(default)]
    pub(crate) reviewable: Option<Spanned<Vec<OutcomeName>>>,
    /// Rules whose outcome counts whatever other rules give.
    #[serde(default, deserialize_with = "read_overrides")]
    pub(crate) overrides: Option<Spanned<OverrideSection>>,
    /// How people review orders.
    #[serde(default)]
    pub(crate) review: Option<ReviewSection>,
    /// How long a decision is kept, in days.
    #[serde(default = "default_retention_days")]
    pub(crate) retention_days: u32,
}

/// 18 months: as long as Amazon keeps events, and longer than any chargeback takes.
fn default_retention_days() -> u32 {
    548
}

/// How a chargeback becomes a label.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelSection {
    /// Messages that bring no label: they are counted and nothing else.
    #[serde(default)]
    pub(crate) skip_when: Option<Condition>,
    pub(crate) event_id: ValueSource,
    pub(crate) timestamp: ValueSource,
    pub(crate) kind: ValueSource,
    /// The label, where messages say it themselves; it comes before the table.
    #[serde(default)]
    pub(crate) label: Option<ValueSource>,
    #[serde(default)]
    pub(crate) reason_code: Option<ValueSource>,
    #[serde(default)]
    pub(crate) amount: Option<ValueSource>,
    #[serde(default)]
    pub(crate) currency: Option<ValueSource>,
    #[serde(default)]
    pub(crate) source: Option<ValueSource>,
    /// Rank of each source; a higher rank wins, a source that is not named has rank 0.
    #[serde(default)]
    pub(crate) source_ranks: BTreeMap<String, u32>,
    /// The first row that matches gives the label.
    pub(crate) table: Vec<LabelRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelRow {
    pub(crate) kind: String,
    /// A reason code, or its beginning followed by `*`; absent: every code.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// A group of the schemes' reason codes; absent: every code.
    #[serde(default)]
    pub(crate) reason: Option<ReasonGroup>,
    /// `null` if the message is kept in the history but changes no label.
    pub(crate) label: Option<LabelName>,
}

impl LabelRow {
    /// Whether the row is for this kind and reason code.
    pub(crate) fn matches(&self, kind: &str, code: Option<&str>) -> bool {
        let fits_code = self.code.as_deref().is_none_or(|want| {
            let code = code.unwrap_or_default();
            want.strip_suffix('*')
                .map_or(code == want, |start| code.starts_with(start))
        });
        let group = || code.and_then(ReasonGroup::of_code);
        let fits_reason = self.reason.is_none_or(|want| group() == Some(want));
        self.kind.eq_ignore_ascii_case(kind) && fits_code && fits_reason
    }
}
