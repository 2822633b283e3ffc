//! The mapping file, read and checked once, at start. A broken file fails there, with file, line and column.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use event::hash::short_hash;
use event::{DetectorId, EventTypeName, OutcomeName, RuleId, VariableName};
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::aggregates::{
    AggregateKey, Aggregates, KeyFacts, LinkedKeys, Links, NeededFact, OrderFacts, OrderKey,
};
use crate::located_error::LocatedError;
use crate::locations::Locations;
use crate::mapping_file::{DecisionSection, MappingFile};
use crate::overrides::{OverrideKind, check_overrides};
use crate::review::{ReviewSection, ReviewSettings, Surroundings};
use crate::value_source::Document;

/// The label of fraud where a mapping file names none: that of the sample, and of Amazon's documentation.
const UNNAMED_FRAUD: &str = "fraud";

/// Why a mapping file cannot be used.
#[derive(Debug, Error)]
pub enum MappingError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a valid mapping. The text names file, line, column and what would be right.
    #[error("{path}:{line}:{column}: {what}")]
    Invalid {
        /// The file.
        path: String,
        /// Line of the error, from 1.
        line: u64,
        /// Column of the error, from 1.
        column: u64,
        /// What is wrong there.
        what: String,
    },
}

/// A checked mapping file: how an order becomes an event, outcomes become a decision, and a chargeback becomes a label.
#[derive(Debug)]
pub struct Mapping {
    pub(crate) file: MappingFile,
    pub(crate) aggregates: Aggregates,
    review: ReviewSettings,
    hash: String,
    pub(crate) locations: Arc<Locations>,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError`] if the file is unreadable or invalid.
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let text = std::fs::read_to_string(path).map_err(|source| MappingError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses a mapping; `path` is its name in errors.
    ///
    /// # Errors
    /// [`MappingError::Invalid`] with line and column.
    pub fn parse(path: &str, text: &str) -> Result<Self, MappingError> {
        let invalid = |line, column, what| MappingError::Invalid {
            path: path.to_owned(),
            line,
            column,
            what,
        };
        let mut file: MappingFile = parse_yaml(path, text)?;
        check_outcomes(&file.decision)
            .and_then(|()| {
                file.decision
                    .overrides
                    .as_ref()
                    .map_or(Ok(()), check_overrides)
            })
            .map_err(|(line, column, what)| invalid(line, column, what))?;
        if file.variables.is_empty() {
            return Err(invalid(
                1,
                1,
                "`variables` is empty; the service needs at least one variable".to_owned(),
            ));
        }
        let review = file
            .review_settings()
            .map_err(|(line, column, what)| invalid(line, column, what))?;
        let chargeback_labels = file.chargeback_labels();
        let links = file.links.take();
        let aggregates = match (file.aggregates.take(), links) {
            (None, None) => Aggregates::none(chargeback_labels),
            (None, Some(links)) => {
                let what = "`links` needs keys; name them in `aggregates.keys`";
                let at = links.referenced;
                return Err(invalid(at.line(), at.column(), what.to_owned()));
            }
            (Some(section), links) => {
                let links = links.map(|links| links.value);
                let is_variable = |name: &VariableName| file.variables.contains_key(name);
                Aggregates::new(section, links, chargeback_labels, is_variable)
                    .map_err(|(line, column, what)| invalid(line, column, what))?
            }
        };
        Ok(Self {
            file,
            aggregates,
            review,
            hash: short_hash(text.as_bytes()),
            locations: Arc::default(),
        })
    }

    /// Adds IP location files, for variables with `locate`.
    #[must_use]
    pub fn with_locations(mut self, locations: Arc<Locations>) -> Self {
        // With other files the same order may get another country; then the mapping has changed and not the order.
        for version in locations.versions() {
            self.hash = short_hash(format!("{} {version}", self.hash).as_bytes());
        }
        self.locations = locations;
        self
    }

    /// Replaces the section `labels`, for messages of another form. `path` is its name in errors.
    ///
    /// # Errors
    /// [`MappingError::Invalid`].
    pub fn with_label_section(mut self, path: &str, text: &str) -> Result<Self, MappingError> {
        self.file.labels = Some(parse_yaml(path, text)?);
        self.hash = short_hash(format!("{} {text}", self.hash).as_bytes());
        Ok(self)
    }

    /// The event type of every order.
    pub fn event_type(&self) -> &EventTypeName {
        &self.file.event_type
    }

    /// The keys of orders that have aggregates.
    pub fn aggregate_keys(&self) -> &[AggregateKey] {
        &self.aggregates.keys
    }

    /// The variables that say what happened before: those of aggregates and of links.
    pub fn variables_of_the_past(&self) -> impl Iterator<Item = &VariableName> {
        let links = self.aggregates.links.iter();
        let aggregates = self.aggregates.keys.iter();
        aggregates
            .flat_map(AggregateKey::variables)
            .chain(links.flat_map(Links::variable_names))
    }

    /// The keys of an order from what was kept of it, see [`Self::needed_facts`]. What was not kept is absent.
    pub fn restore_keys<'v>(
        &self,
        order: &OrderFacts<'_>,
        kept: &KeyFacts,
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Vec<OrderKey> {
        self.aggregates.restore_keys(order, kept, variable)
    }

    /// What aggregates and links read of every order.
    pub fn needed_facts(&self) -> BTreeSet<NeededFact> {
        self.aggregates.needed_facts()
    }

    /// The keys with `links`, to walk along them; `None` if the file has no such section.
    pub fn linked_keys(&self) -> Option<LinkedKeys<'_>> {
        let links = self.aggregates.links.as_ref()?;
        let keys = &self.aggregates.keys;
        Some(LinkedKeys { links, keys })
    }

    /// Whether a label means fraud: it is among `aggregates.fraud_labels`, or else among the labels that the table gives for
    /// chargebacks. Where the file names none, it is `fraud`.
    pub fn is_fraud_label(&self, label: &str) -> bool {
        let known = &self.aggregates.fraud_labels;
        if known.is_empty() {
            return label == UNNAMED_FRAUD;
        }
        known.contains(label)
    }

    /// The detector that evaluates the orders.
    pub fn detector(&self) -> &DetectorId {
        &self.file.detector
    }

    /// A hash of the mapping's text and of the versions of its IP location files.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The variables that are read of each order, in the order of their names.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.file.variables.keys()
    }

    /// The variables that are amounts of money, each with its currency.
    pub fn amounts(&self) -> impl Iterator<Item = (&VariableName, &str)> {
        let variables = self.file.variables.iter();
        variables.filter_map(|(name, variable)| Some((name, variable.amount()?.base())))
    }

    /// All outcomes, most important first.
    pub fn outcome_priority(&self) -> &[OutcomeName] {
        &self.file.decision.outcome_priority
    }

    /// The outcomes that are added when something could not be evaluated.
    pub fn on_undetermined(&self) -> &[OutcomeName] {
        &self.file.decision.on_undetermined.value
    }

    /// The outcomes that are used when no rule matched.
    pub fn on_no_match(&self) -> &[OutcomeName] {
        &self.file.decision.on_no_match.value
    }

    /// The rules of `overrides` of this kind, in the order of the file.
    pub fn overrides(&self, kind: OverrideKind) -> impl Iterator<Item = &RuleId> {
        let overrides = self.file.decision.overrides.iter();
        let of_kind = overrides.filter_map(move |overrides| overrides.value.get(&kind));
        of_kind.flat_map(|rules| rules.value.iter().map(|rule| &rule.value))
    }

    /// Whether a decision with this effective outcome waits for a reviewer.
    pub fn is_reviewable(&self, outcome: &OutcomeName) -> bool {
        self.file
            .decision
            .reviewable
            .as_ref()
            .is_some_and(|reviewable| reviewable.value.contains(outcome))
    }

    /// The outcomes that wait for a reviewer.
    pub fn reviewable(&self) -> &[OutcomeName] {
        self.file
            .decision
            .reviewable
            .as_ref()
            .map_or(&[], |reviewable| &reviewable.value)
    }

    /// How people review orders.
    pub fn review(&self) -> &ReviewSettings {
        &self.review
    }

    /// The rank of the labels of a source.
    pub fn source_rank(&self, source: &str) -> u32 {
        let labels = self.file.labels.as_ref();
        let rank = labels.and_then(|labels| labels.source_ranks.get(source));
        rank.copied().unwrap_or_default()
    }

    /// The time zone of times without one.
    pub fn timezone(&self) -> &TimeZone {
        &self.file.timezone.0
    }

    /// How long a decision is kept, in seconds.
    pub fn retention_seconds(&self) -> i64 {
        i64::from(self.file.decision.retention_days) * 86_400
    }

    /// The key that keeps records of the same order in sequence: its id, as an order or a label message names it.
    pub fn order_key(&self, value: &Value) -> Option<String> {
        let value = self.file.normalize_message(value);
        let document = Document::new(&value);
        let sources = [
            Some(&self.file.event.id),
            self.file.labels.as_ref().map(|labels| &labels.event_id),
        ];
        let mut ids = sources
            .into_iter()
            .flatten()
            .filter_map(|source| source.read_all(&document).ok());
        ids.find_map(|ids| ids.into_iter().next())
    }

    /// The labels that the table gives for chargebacks.
    pub fn chargeback_labels(&self) -> BTreeSet<String> {
        self.file.chargeback_labels()
    }
}

impl MappingFile {
    fn review_settings(&self) -> Result<ReviewSettings, LocatedError> {
        let mut amounts = self.variables.iter();
        let reviewable = self.decision.reviewable.as_ref();
        let surroundings = Surroundings {
            outcomes: &self.decision.outcome_priority,
            reviewable: reviewable.map_or(&[], |reviewable| &reviewable.value),
            is_variable: &|name| self.variables.contains_key(name),
            amount: amounts
                .find(|(_, variable)| variable.amount().is_some())
                .map(|(name, _)| name.clone()),
        };
        let section = self.decision.review.as_ref();
        section
            .unwrap_or(&ReviewSection::default())
            .check(&surroundings)
    }

    fn chargeback_labels(&self) -> BTreeSet<String> {
        let rows = self.labels.iter().flat_map(|labels| &labels.table);
        rows.filter(|row| row.kind.eq_ignore_ascii_case("chargeback"))
            .filter_map(|row| row.label.as_ref().map(ToString::to_string))
            .collect()
    }
}

/// Checks that the lists of outcomes name only outcomes of `outcome_priority`, which names each once.
fn check_outcomes(decision: &DecisionSection) -> Result<(), LocatedError> {
    let known = &decision.outcome_priority;
    let lists = [
        ("on_undetermined", Some(&decision.on_undetermined)),
        ("on_no_match", Some(&decision.on_no_match)),
        ("reviewable", decision.reviewable.as_ref()),
    ];
    for (key, list) in lists
        .into_iter()
        .filter_map(|(key, list)| list.map(|list| (key, list)))
    {
        let fault = |what| Err((list.referenced.line(), list.referenced.column(), what));
        if list.value.is_empty() && key != "reviewable" {
            return fault(format!("`{key}` is empty; name at least one outcome"));
        }
        if let Some(outcome) = list.value.iter().find(|outcome| !known.contains(outcome)) {
            let known: Vec<_> = known.iter().map(|outcome| format!("`{outcome}`")).collect();
            return fault(format!(
                "`{key}` names `{outcome}`, which `outcome_priority` lacks; it has {}",
                known.join(", ")
            ));
        }
    }
    find_duplicate(known).map_or(Ok(()), |outcome| {
        Err((1, 1, format!("`outcome_priority` names `{outcome}` twice")))
    })
}

fn find_duplicate(outcomes: &[OutcomeName]) -> Option<&OutcomeName> {
    let mut seen = BTreeSet::new();
    outcomes
        .iter()
        .find(|outcome| !seen.insert(outcome.as_str()))
}

/// The sentence of the YAML parser without its location, which our error already begins with.
/// Parses YAML; an error names line and column.
fn parse_yaml<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, MappingError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line(), at.column()));
        MappingError::Invalid {
            path: path.to_owned(),
            line,
            column,
            what: strip_location(&error.to_string()),
        }
    })
}

fn strip_location(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let what = line
        .strip_prefix("error: line ")
        .and_then(|rest| rest.split_once(": "));
    what.map_or(line, |(_, what)| what).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::FILE;

    #[track_caller]
    fn broken(from: &str, to: &str, want: &str) {
        assert!(FILE.contains(from), "{from}");
        let error = Mapping::parse("mapping.yaml", &FILE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn which_labels_are_fraud() {
        let labels = |labels: &str| {
            format!(
                "{FILE}labels: {{event_id: /id, kind: /kind, timestamp: /at, table: [{labels}]}}\n"
            )
        };
        let aggregates = "aggregates: {fraud_labels: [bad], keys: {card: /card}, variables: {n: {count: {by: card, within: 1d}}}}\n";
        for (text, want) in [
            (FILE.to_owned(), ["fraud"].as_slice()),
            (labels("{kind: verdict, label: bad}"), &["fraud"]),
            (labels("{kind: chargeback, label: stolen}"), &["stolen"]),
            (
                format!(
                    "{}{aggregates}",
                    labels("{kind: chargeback, label: stolen}")
                ),
                &["bad"],
            ),
        ] {
            let mapping = Mapping::parse("mapping.yaml", &text).unwrap();
            let all = ["fraud", "stolen", "bad", "legit"];
            let found: Vec<&str> = all
                .into_iter()
                .filter(|label| mapping.is_fraud_label(label))
                .collect();
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn a_broken_file_says_where_and_what_would_be_right() {
        broken(
            "on_no_match: [approve]",
            "on_no_match: [aprove]",
            "mapping.yaml:15:16: `on_no_match` names `aprove`, which `outcome_priority` lacks; it has `review`, `approve`",
        );
        broken(
            "on_no_match: [approve]",
            "on_no_match: []",
            "mapping.yaml:15:16: `on_no_match` is empty; name at least one outcome",
        );
        broken(
            "  on_no_match: [approve]\n",
            "",
            "mapping.yaml:14:3: missing field `on_no_match`",
        );
        broken(
            "event_type: order",
            "event_type: Order",
            "mapping.yaml:1:13: event type has `O` at character 1; only 0-9, a-z, `_` and `-` are allowed",
        );
        broken(
            "/order_id",
            "'.order_id |'",
            "mapping.yaml:4:7: `.order_id |` is neither a JSON pointer (`/customer/email`) nor a jq filter: it does not parse",
        );
        broken(
            "as: email}\n  price",
            "ass: email}\n  price",
            "mapping.yaml:8:34: unknown field `ass`, expected one of from, as, locate, type, required, on_invalid",
        );
        broken(
            "EUR: 1.08",
            "EUR: much",
            "mapping.yaml:10:73: `much` is not an exchange rate; write a positive number such as 1.08",
        );
        broken(
            "detector: orders",
            "detector: orders\ntimezone: Mars/Olympus",
            "mapping.yaml:3:11: `Mars/Olympus` is not a time zone; write an IANA name such as Europe/Berlin, or UTC",
        );
    }
}
