//! `fraudstream subject`: what is stored about an order or an entity, for the person who asks.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use engine::FoundEvent;
use event::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use shared::decisions::Decision;
use shared::reviews::Verdict;

use super::decision_view::{
    DecisionNotes, DecisionReader, MoneyVariables, RuleBook, describe_decision,
};
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use super::{CommandError, list};
use crate::subject::{self, FoundData, FoundLabels, SubjectFinder, SubjectQuery};
use local_aws::dynamodb::Durability;

/// The arguments of `subject`.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    #[command(flatten)]
    whom: WhomToShow,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhomToShow {
    /// Entity id, or type/id; or an e-mail address that the mapping hashes.
    entity: Option<String>,
    /// Order id as the shop writes it.
    #[arg(long, value_name = "ID")]
    order: Option<String>,
}

impl SubjectArgs {
    /// Prints everything that is kept of the subject.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let (order_id, entity) = (self.whom.order.as_deref(), self.whom.entity.as_deref());
        let whom = SubjectQuery::resolve(&mapping, order_id, entity)?;
        let opened = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let engine = opened.backend_engine().await;
        let finder = SubjectFinder {
            pipeline: &opened.pipeline,
            engine: engine.as_deref(),
            mapping: &mapping,
        };
        let outcomes = opened
            .local_home()
            .map(|home| std::fs::read_to_string(home.outcomes_file()));
        let outcomes = outcomes.and_then(Result::ok).unwrap_or_default();
        let now = Timestamp::from_jiff(jiff::Timestamp::now())?;
        let kept = match finder.find(whom, now).await {
            Ok(found) => SubjectReport::new(&finder, found, &outcomes).await,
            Err(error) => Err(error),
        };
        drop(engine);
        opened.close().await?;
        let kept = kept?;
        print_result(self.json, &kept, &kept)
    }
}

/// Everything that is stored about a subject.
#[derive(Debug, Serialize)]
pub(crate) struct SubjectReport {
    /// Stored events: all values that each variable has had, the label, the number of predictions.
    pub events: Vec<Value>,
    /// Decisions, with their variables and labels.
    pub decisions: Vec<Decision>,
    /// Verdicts of people on the decisions.
    pub verdicts: Vec<Verdict>,
    /// The decisions as a person reads them.
    #[serde(skip)]
    decision_texts: String,
    /// Label histories of its events, decided or not.
    pub labels: Vec<FoundLabels>,
    /// Elements of lists, with expiry, reason and author.
    pub list_entries: BTreeMap<String, Vec<Value>>,
    /// Rejected records, by the object that holds them.
    pub rejected: BTreeMap<String, Vec<Value>>,
    /// Its entity history, by event type.
    pub history: BTreeMap<String, Value>,
    /// Lines of `outcomes.jsonl`.
    pub outcomes: Vec<Value>,
    /// Why data is kept although the subject was forgotten, and until when.
    pub holds: Vec<Value>,
    /// Places that cannot be read, and why.
    pub unread: Vec<String>,
}

impl SubjectReport {
    /// Reports what was found; `outcomes` is the text of the local file of outcomes.
    ///
    /// # Errors
    /// A list cannot be read.
    pub async fn new(
        finder: &SubjectFinder<'_>,
        found: FoundData,
        outcomes: &str,
    ) -> Result<Self, subject::SubjectError> {
        let mut list_entries = BTreeMap::new();
        for (name, elements) in found.list_elements {
            let entries = match finder.engine {
                Some(engine) => list::read_list_entries(engine, &name).await?,
                None => Vec::new(),
            };
            let known = |element: String| {
                let entry = entries.iter().find(|entry| entry["element"] == element);
                entry.cloned().unwrap_or_else(|| match finder.engine {
                    // Removed from the list or expired, but still in the list's log.
                    Some(_) => json!({"element": element, "removed": true}),
                    None => json!({"element": element}),
                })
            };
            list_entries.insert(name, elements.into_iter().map(known).collect());
        }
        let lines = outcomes
            .lines()
            .filter(|line| found.traces.is_mentioned_in(line));
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| json!(line));
        let objects = found.objects.into_iter();
        let reader = DecisionReader {
            mapping: finder.mapping,
            money: MoneyVariables::of_mapping(finder.mapping),
            rules: RuleBook::default(),
        };
        let describe = |decision| describe_decision(&reader, decision, &DecisionNotes::default());
        Ok(Self {
            decision_texts: found.decisions.iter().map(describe).collect(),
            outcomes: lines.map(line).collect(),
            events: found.events.into_iter().map(event_to_json).collect(),
            decisions: found.decisions,
            verdicts: found.verdicts,
            labels: found.labels,
            list_entries,
            rejected: objects.map(|object| (object.key, object.records)).collect(),
            history: found.entity_histories,
            holds: found.holds,
            unread: found.unread,
        })
    }
}

fn event_to_json(event: FoundEvent) -> Value {
    let values = event.values.into_iter().map(|(name, values)| {
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort();
        (name, values)
    });
    let variables: BTreeMap<String, Vec<String>> = values.collect();
    let label = event
        .label
        .map(|(label, time)| json!({"label": label, "label_timestamp": time}));
    json!({
        "event_type": event.event_type,
        "event_id": event.event_id,
        "variables": variables,
        "label": label,
        "predictions": event.predictions,
    })
}

impl fmt::Display for SubjectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = |f: &mut fmt::Formatter<'_>, name: &str, lines: &[String]| {
            writeln!(f, "{name}: {}", lines.len())?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        let texts = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>();
        let by_place = |places: &BTreeMap<String, Vec<Value>>| {
            let lines = places.iter().flat_map(|(place, values)| {
                values.iter().map(move |value| format!("{place}: {value}"))
            });
            lines.collect::<Vec<_>>()
        };
        section(f, "events", &texts(&self.events))?;
        writeln!(f, "decisions: {}", self.decisions.len())?;
        f.write_str(&self.decision_texts)?;
        let labels = self.labels.iter();
        let labels = labels
            .flat_map(|found| {
                let records = found.records.iter();
                let records = records.map(|name| format!("message kept: {name}"));
                texts(&found.labels).into_iter().chain(records)
            })
            .collect::<Vec<_>>();
        section(f, "label histories", &labels)?;
        section(f, "list entries", &by_place(&self.list_entries))?;
        section(f, "rejected records", &by_place(&self.rejected))?;
        let history = self.history.iter();
        let history = history.map(|(event_type, profile)| format!("{event_type}: {profile}"));
        section(f, "entity histories", &history.collect::<Vec<_>>())?;
        section(f, "lines of outcomes", &texts(&self.outcomes))?;
        section(f, "holds", &texts(&self.holds))?;
        section(f, "places that cannot be read", &self.unread)
    }
}
