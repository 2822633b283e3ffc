//! The histories of many entities, built from the events of a data set.

use std::collections::HashMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::dataset::{Dataset, EventLabel};
use crate::history::{EntityEvent, EntityHistory, HISTORY_FEATURES};

/// The history of each of many entities.
#[derive(Clone, Debug, Default)]
pub struct EntityHistories(FxHashMap<String, EntityHistory>);

impl EntityHistories {
    /// The histories after all events of a data set with tracked fields. A label counts from its label time on; without
    /// one, from the time of its event.
    pub fn of_dataset(dataset: &Dataset) -> Self {
        let mut histories = Self::default();
        histories.replay(dataset, list_fraud_labels(dataset), |_, _| ());
        histories
    }

    /// The features that the histories give to some events of a data set, by row: from what happened before each event,
    /// and from the labels that were known by then.
    pub fn features_before(dataset: &Dataset, rows: &[usize]) -> HashMap<usize, Vec<f32>> {
        let rows: FxHashSet<usize> = rows.iter().copied().collect();
        let mut before = HashMap::new();
        Self::default().replay(dataset, list_fraud_labels(dataset), |row, features| {
            if rows.contains(&row) {
                before.insert(row, features);
            }
        });
        before
    }

    /// The features that the history gives to an event. Without an entity, all of them are unknown.
    pub fn features(&self, entity: Option<&str>, event: &EntityEvent) -> Vec<f32> {
        let Some(entity) = entity else {
            return vec![f32::NAN; HISTORY_FEATURES];
        };
        match self.0.get(entity) {
            Some(profile) => profile.features(event),
            None => EntityHistory::default().features(event),
        }
    }

    /// Each entity with its history.
    pub fn into_histories(self) -> impl Iterator<Item = (String, EntityHistory)> {
        self.0.into_iter()
    }

    /// Adds an event to the history of its entity.
    pub fn add(&mut self, entity: &str, event: EntityEvent) {
        self.history_of(entity).add(event);
    }

    /// Adds the events of a data set in order of time. Before each event is added, `each` is called with its row and
    /// the features that the history of its entity then gives. `labels` are the rows of fraudulent events, each with
    /// the time from which that was known.
    pub(crate) fn replay(
        &mut self,
        dataset: &Dataset,
        mut labels: Vec<(i64, usize)>,
        mut each: impl FnMut(usize, Vec<f32>),
    ) {
        labels.sort_unstable();
        let mut labels = labels.into_iter().peekable();
        let mut order: Vec<(i64, usize)> = dataset
            .event_times()
            .iter()
            .enumerate()
            .filter_map(|(row, time)| Some(((*time)?, row)))
            .collect();
        order.sort_unstable();
        for (time, row) in order {
            while let Some((known, bad)) = labels.next_if(|(known, _)| *known <= time) {
                if let Some((entity, event)) = dataset.entity_event(bad) {
                    self.history_of(entity).note_label(event.id, true, known);
                }
            }
            if let Some((entity, event)) = dataset.entity_event(row) {
                let profile = self.history_of(entity);
                each(row, profile.features(event));
                if !dataset.is_synthetic(row) {
                    profile.add(*event);
                }
            }
        }
        for (known, bad) in labels {
            if let Some((entity, event)) = dataset.entity_event(bad) {
                self.history_of(entity).note_label(event.id, true, known);
            }
        }
    }

    fn history_of(&mut self, entity: &str) -> &mut EntityHistory {
        self.0.entry(entity.to_owned()).or_default()
    }
}

/// The rows of fraudulent events, each with the time from which that was known.
fn list_fraud_labels(dataset: &Dataset) -> Vec<(i64, usize)> {
    let known = |row: usize| {
        let time = dataset.event_times()[row]?;
        Some((dataset.label_times()[row].unwrap_or(time).max(time), row))
    };
    let bad = (0..dataset.len()).filter(|row| dataset.labels()[*row] == EventLabel::Fraud);
    bad.filter_map(known).collect()
}
