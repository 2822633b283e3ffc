//! Searches every place that stores something about a subject.

use std::collections::BTreeMap;

use engine::{Engine, FoundEvent, Subject};
use event::Timestamp;
use serde_json::Value;
use shared::decisions::Decision;
use shared::failure::{Failure, error_code};
use shared::labels::LabelEntry;
use shared::mapping::Mapping;
use shared::reviews::{Reviews, Verdict};

use super::error::{SubjectError, describe_failed_call};
use super::holds::read_holds;
use super::labels::{FoundLabels, parse_event_key, read_labels};
use super::objects::{FoundObject, ObjectSearch};
use super::query::SubjectQuery;
use super::traces::Traces;
use super::variable_types::VariableTypes;
use crate::hold;
use local_aws::local_stack::Pipeline;

/// The most decisions of an entity that are read from the index.
const ROWS: usize = 10_000;

/// Everything that is stored about a subject.
#[derive(Default)]
pub struct FoundData {
    /// What identifies it.
    pub traces: Traces,
    /// Its stored events; Amazon's service cannot be searched for them.
    pub events: Vec<FoundEvent>,
    /// Its decisions.
    pub decisions: Vec<Decision>,
    /// Verdicts of people on them.
    pub verdicts: Vec<Verdict>,
    /// Labels without a decision: those that wait, and the histories of events.
    pub labels: Vec<FoundLabels>,
    /// Its elements of lists, by list.
    pub list_elements: BTreeMap<String, Vec<String>>,
    /// Objects with its records.
    pub objects: Vec<FoundObject>,
    /// Its entity history, by event type.
    pub entity_histories: BTreeMap<String, Value>,
    /// Why data was kept when it was forgotten before, and until when.
    pub holds: Vec<Value>,
    /// The partition and sort keys of the items that keep its hashes.
    pub(crate) held_items: Vec<(String, String)>,
    /// Places that cannot be read, and why.
    pub unread: Vec<String>,
}

/// Searches the tables, the bucket and the lists.
pub struct SubjectFinder<'a> {
    /// The clients.
    pub pipeline: &'a Pipeline,
    /// The engine, if it is the backend.
    pub engine: Option<&'a Engine>,
    /// How a record becomes an event.
    pub mapping: &'a Mapping,
}

impl SubjectFinder<'_> {
    /// Finds everything that is stored about a subject at `now`.
    ///
    /// # Errors
    /// [`SubjectError`].
    pub async fn find(
        &self,
        whom: SubjectQuery,
        now: Timestamp,
    ) -> Result<FoundData, SubjectError> {
        let mut found = FoundData {
            traces: Traces::new(whom),
            ..FoundData::default()
        };
        let subjects = found.traces.subjects.clone();
        if let Some(engine) = self.engine {
            for subject in &subjects {
                found.events.extend(engine.find_events_of(subject).await?);
                for (event_type, history) in engine.describe_entity_history(subject).await? {
                    let history = serde_json::from_str(&history).unwrap_or(Value::String(history));
                    found.entity_histories.insert(event_type, history);
                }
            }
        }
        for event in &found.events {
            found.traces.add_event(&event.event_type, &event.event_id);
        }
        let types = self.variable_types().await?;
        // An object may name an order that has a decision and an event.
        loop {
            found.decisions = self.find_decisions(&subjects, &found.traces).await?;
            found.learn_traces(&types);
            let known = found.traces.events.clone();
            let search = ObjectSearch {
                pipeline: self.pipeline,
                mapping: self.mapping,
                types: &types,
            };
            let objects = search.find_objects(&mut found.traces).await?;
            (found.objects, found.unread) = (objects.objects, objects.unread);
            if found.traces.events == known {
                break;
            }
            if let Some(engine) = self.engine {
                for (event_type, event_id) in found.traces.events.difference(&known) {
                    let event = Subject::Event {
                        event_type: event_type.clone(),
                        event_id: event_id.clone(),
                    };
                    found.events.extend(engine.find_events_of(&event).await?);
                }
            }
        }
        for (event_type, event_id) in &found.traces.events {
            let labels = read_labels(self.pipeline, event_type, event_id).await?;
            found.labels.extend(labels);
            let reviews = Reviews::new(self.pipeline.decisions());
            let verdicts = reviews.verdicts_of_event(event_type, event_id).await;
            let reading = |f: Failure| describe_failed_call("read verdicts")(f.to_string());
            found.verdicts.extend(verdicts.map_err(reading)?);
        }
        let holds = read_holds(self.pipeline, &mut found.traces, now).await?;
        (found.holds, found.held_items) = (holds.holds, holds.items);
        found.list_elements = self.find_list_elements(&found.traces).await?;
        Ok(found)
    }

    async fn find_decisions(
        &self,
        subjects: &[Subject],
        traces: &Traces,
    ) -> Result<Vec<Decision>, SubjectError> {
        let decisions = self.pipeline.decisions();
        let reading = |f: Failure| describe_failed_call("read decisions")(f.to_string());
        let mut events = traces.events.clone();
        for subject in subjects {
            if let Subject::Entity {
                entity_type,
                entity_id,
            } = subject
            {
                // Decisions that were held when it was forgotten before have its hash.
                for id in [entity_id, &hold::hash_value(entity_id)] {
                    let of_entity = decisions.decisions_of_entity(entity_type, id, ROWS).await;
                    let of_entity = of_entity.map_err(reading)?.into_iter();
                    events.extend(of_entity.map(|d| (d.event_type, d.event_id)));
                }
            }
        }
        let mut all = Vec::new();
        for (event_type, event_id) in events {
            if let Some((event_type, event_id)) = parse_event_key(&event_type, &event_id) {
                let revisions = decisions.revisions(&event_type, &event_id).await;
                all.extend(revisions.map_err(reading)?);
            }
        }
        Ok(all)
    }

    pub(crate) async fn variable_types(&self) -> Result<VariableTypes, SubjectError> {
        let client = &self.pipeline.clients.frauddetector;
        let mut pages = client.get_variables().into_paginator().send();
        let mut types = VariableTypes::new();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(|error| describe_failed_call("read the variables")(error_code(&error)))?;
            for variable in page.variables() {
                if let (Some(name), Some(ty)) = (variable.name(), variable.variable_type()) {
                    types.insert(name.to_owned(), ty.to_owned());
                }
            }
        }
        Ok(types)
    }

    async fn find_list_elements(
        &self,
        traces: &Traces,
    ) -> Result<BTreeMap<String, Vec<String>>, SubjectError> {
        if let Some(engine) = self.engine {
            let owns = |ty: Option<&str>, element: &str| traces.owns_element(ty, element);
            return Ok(engine.find_list_elements(owns).await?);
        }
        let client = &self.pipeline.clients.frauddetector;
        let reading = |code: String| describe_failed_call("read the lists")(code);
        let mut owned = BTreeMap::new();
        let mut pages = client.get_lists_metadata().into_paginator().send();
        while let Some(page) = pages.next().await {
            for list in page.map_err(|e| reading(error_code(&e)))?.lists() {
                let elements = client.get_list_elements().name(list.name());
                let elements = elements.max_results(5000);
                let mut elements = elements.into_paginator().send();
                let mut of_subject = Vec::new();
                while let Some(page) = elements.next().await {
                    let page = page.map_err(|e| reading(error_code(&e)))?;
                    let owned = page.elements().iter();
                    let owned = owned.filter(|e| traces.owns_element(list.variable_type(), e));
                    of_subject.extend(owned.cloned());
                }
                if !of_subject.is_empty() {
                    owned.insert(list.name().to_owned(), of_subject);
                }
            }
        }
        Ok(owned)
    }
}

impl FoundData {
    /// Adds the ids and values of the events and decisions to the traces.
    fn learn_traces(&mut self, types: &VariableTypes) {
        let Self {
            traces,
            events,
            decisions,
            ..
        } = self;
        for event in &*events {
            for (name, values) in &event.values {
                for value in values {
                    traces.add_value(types, name, value);
                }
            }
        }
        for decision in &*decisions {
            traces.add_event(&decision.event_type, &decision.event_id);
            traces.add_name(&decision.order_id);
            // An unknown entity is not in the index.
            if decision.gsi1pk.is_some() {
                let known = if hold::is_hash(&decision.entity_id) {
                    &mut traces.held
                } else {
                    &mut traces.entities
                };
                known.insert(decision.entity_id.clone());
            }
            for (name, value) in &decision.variables {
                traces.add_value(types, name, value);
            }
        }
    }

    /// The label history of an event: from its decisions, and from items without a decision.
    pub(crate) fn label_history(
        &self,
        event_type: &str,
        event_id: &str,
    ) -> BTreeMap<String, LabelEntry> {
        let is_it = |decision: &&Decision| {
            decision.event_type == event_type && decision.event_id == event_id
        };
        let decisions = self.decisions.iter().filter(is_it);
        let mut history: BTreeMap<String, LabelEntry> = decisions
            .flat_map(|decision| decision.label_history.clone())
            .collect();
        let end = format!("#{event_type}#{event_id}");
        let beside = self
            .labels
            .iter()
            .filter(|labels| labels.pk.ends_with(&end));
        for label in beside.flat_map(|labels| &labels.labels) {
            if let Ok(entry) = serde_json::from_value::<LabelEntry>(label.clone()) {
                history.insert(entry.id(), entry);
            }
        }
        history
    }
}
