//! What a subject is known by, and what belongs to it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use engine::Subject;
use serde_json::Value;
use shared::decisions::{Decision, entity_key};

use super::name_search;
use super::query::SubjectQuery;
use super::variable_types::{ANYTHING, BELONGING, NAMING, VariableTypes, is_personal};
use crate::hold;

/// What identifies a subject: its names, its events, and its values.
#[derive(Default)]
pub struct Traces {
    pub(crate) subjects: Vec<Subject>,
    /// Event type and event id.
    pub(crate) events: BTreeSet<(String, String)>,
    /// Hashes of ids and values that were kept when it was forgotten before.
    pub(super) held: BTreeSet<String>,
    /// Those of its hashes that are kept for another subject.
    pub(super) protected: BTreeSet<String>,
    /// Ids of the entities in its events and decisions.
    pub(super) entities: BTreeSet<String>,
    /// What identifies the subject and nobody else, in lower case: ids, addresses, numbers.
    pub(super) names: BTreeSet<String>,
    /// The names, and values that belong to the subject, in lower case.
    pub(super) spellings: BTreeSet<String>,
    /// Values that belong to the subject, by variable type, in the type's normal form.
    values: BTreeMap<String, HashSet<String>>,
}

impl Traces {
    pub(super) fn new(whom: SubjectQuery) -> Self {
        let mut traces = Self::default();
        for subject in &whom.subjects {
            if let Subject::Event {
                event_type,
                event_id,
            } = subject
            {
                traces.events.insert((event_type.clone(), event_id.clone()));
            }
        }
        traces.spellings.clone_from(&whom.names);
        traces.names = whom.names;
        traces.subjects = whom.subjects;
        traces
    }

    pub(super) fn add_event(&mut self, event_type: &str, event_id: &str) {
        self.add_name(event_id);
        self.events
            .insert((event_type.to_owned(), event_id.to_owned()));
    }

    pub(super) fn add_name(&mut self, name: &str) {
        let name = name.to_lowercase();
        self.spellings.insert(name.clone());
        self.names.insert(name);
    }

    pub(super) fn add_value(&mut self, types: &VariableTypes, variable: &str, value: &str) {
        let Some(ty) = types.get(variable).filter(|_| !value.trim().is_empty()) else {
            return;
        };
        if !is_personal(ty) {
            return;
        }
        let is_name = NAMING.contains(&ty.as_str());
        let normal = engine::normalize_value(ty, value).into_owned();
        for spelling in [value, &normal] {
            self.spellings.insert(spelling.to_lowercase());
            if is_name {
                self.names.insert(spelling.to_lowercase());
            }
        }
        self.values.entry(ty.clone()).or_default().insert(normal);
    }

    fn is_held(&self, value: &str) -> bool {
        !self.held.is_empty() && self.held.contains(&hold::hash_value(value))
    }

    /// Whether an element of a list is also held for another subject.
    pub(crate) fn is_protected(&self, element: &str) -> bool {
        let is = |text: &str| self.protected.contains(&hold::hash_value(text));
        let mut types = NAMING.into_iter().chain(BELONGING);
        !self.protected.is_empty()
            && (is(element) || types.any(|ty| is(&engine::normalize_value(ty, element))))
    }

    /// Whether any value of the subject is also held for another one.
    pub(crate) fn is_any_protected(&self) -> bool {
        !self.protected.is_empty()
    }

    /// The hashes of the subjects that the command names: holds are kept for these.
    pub(crate) fn owner_hashes(&self) -> BTreeSet<String> {
        let subjects = self.subjects.iter();
        subjects.map(owner_hash).collect()
    }

    /// The hashes that identify the subject and nobody else: its own and those of its orders. A hold for
    /// one of its orders is a hold of the subject, but not the other way round: the person may be held
    /// for another order.
    pub(super) fn own_hashes(&self) -> BTreeSet<String> {
        let events = self.events.iter();
        let events = events.map(|(event_type, event_id)| hold::hash_event(event_type, event_id));
        events.chain(self.owner_hashes()).collect()
    }

    /// What is kept of a held subject: the hashes of its ids and values.
    pub(crate) fn all_hashes(&self) -> BTreeSet<String> {
        let values = self.values.values().flatten();
        let texts = self.entities.iter().chain(values);
        texts
            .map(|text| hold::hash_value(text))
            .chain(self.owner_hashes())
            .chain(self.held.iter().cloned())
            .collect()
    }

    /// Removes from a decision what belongs to a person: its entity becomes a hash, and only variables
    /// stay whose type says that their values belong to nobody.
    pub(crate) fn strip_personal_data(&self, types: &VariableTypes, decision: &mut Decision) {
        // An unknown entity is not in the index.
        let is_known = decision.gsi1pk.is_some();
        if is_known && !hold::is_hash(&decision.entity_id) {
            decision.entity_id = hold::hash_value(&decision.entity_id);
        }
        decision.gsi1pk = is_known.then(|| entity_key(&decision.entity_type, &decision.entity_id));
        // Hashes of what the person bought with.
        decision.velocity_keys.clear();
        decision.counting = None;
        // What reviewers wrote may be about the person.
        let history = decision
            .review
            .iter_mut()
            .flat_map(|case| &mut case.history);
        history.for_each(|entry| entry.text = None);
        decision.variables.retain(|name, value| {
            types.get(name).is_some_and(|ty| !is_personal(ty))
                && !name_search::is_any_in(&self.spellings, value.as_bytes())
        });
    }

    /// Whether an event is the subject's.
    pub(crate) fn has_event(&self, event_type: &str, event_id: &str) -> bool {
        let mut events = self.events.iter();
        events.any(|(ty, id)| ty == event_type && id == event_id)
    }

    /// Whether an element of a list is the subject's: its id or one of its values. A list with a variable
    /// type has only values of this type, a list without may have any.
    pub(crate) fn owns_element(&self, list_type: Option<&str>, element: &str) -> bool {
        let is_id = self.subjects.iter().any(
            |subject| matches!(subject, Subject::Entity { entity_id, .. } if entity_id == element),
        );
        let is_value = |ty: &str| {
            let element = engine::normalize_value(ty, element);
            let values = self.values.get(ty);
            values.is_some_and(|values| values.contains(&*element))
                || (is_personal(ty) && self.is_held(&element))
        };
        let mut types = NAMING.into_iter().chain(BELONGING);
        is_id
            || match list_type.filter(|ty| !ANYTHING.contains(ty)) {
                Some(ty) => is_value(ty),
                None => types.any(is_value),
            }
    }

    /// Whether a line of `outcomes.jsonl` is about the subject: a decision, or a prediction.
    pub(crate) fn is_mentioned_in(&self, line: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return name_search::is_any_in(&self.spellings, line.as_bytes());
        };
        let detail = &event["detail"];
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        if self.has_event(text("event_type"), text("event_id"))
            || self.has_event(text("eventTypeName"), text("eventId"))
        {
            return true;
        }
        let entities = detail["entities"].as_array().into_iter().flatten();
        let entities: Vec<_> = entities
            .map(|e| (e["entityType"].as_str(), e["entityId"].as_str()))
            .chain([(detail["entity_type"].as_str(), detail["entity_id"].as_str())])
            .collect();
        self.subjects.iter().any(|subject| match subject {
            Subject::Event { .. } => false,
            Subject::Entity {
                entity_type,
                entity_id,
            } => entities.contains(&(Some(entity_type.as_str()), Some(entity_id.as_str()))),
        })
    }
}

/// The hash that is kept of a subject.
fn owner_hash(subject: &Subject) -> String {
    match subject {
        Subject::Event {
            event_type,
            event_id,
        } => hold::hash_event(event_type, event_id),
        Subject::Entity { entity_id, .. } => hold::hash_value(entity_id),
    }
}
