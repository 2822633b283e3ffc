//! The histories of many entities and other keys, built from the events of a data set.

use std::collections::HashMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::dataset::{Dataset, EventLabel};
use crate::history::{EntityHistory, TrackedEvent, TrackedFields};

/// The history of each of many entities, and of the other keys of their events.
#[derive(Clone, Debug, Default)]
pub struct EntityHistories(FxHashMap<String, EntityHistory>);

impl EntityHistories {
    /// The histories after all events of a data set with tracked fields. A label counts from its label time on; one
    /// without a time never does, as in training.
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

    /// The features that the histories of its keys give to an event: one number for each of
    /// [`TrackedFields::features`]. Those of a key that the event does not have are unknown.
    pub fn features(&self, tracked: &TrackedFields, event: &TrackedEvent) -> Vec<f32> {
        let mut features = Vec::with_capacity(tracked.feature_count());
        let unseen = EntityHistory::default();
        for (place, key) in event.keys.iter().enumerate() {
            let of_key = tracked.event_of_key(place, event);
            let history = key.as_ref().map(|key| self.0.get(key).unwrap_or(&unseen));
            tracked.append_features(history, &of_key, &mut features);
        }
        features
    }

    /// Each key with its history.
    pub fn into_histories(self) -> impl Iterator<Item = (String, EntityHistory)> {
        self.0.into_iter()
    }

    /// Adds an event to the histories of its keys.
    pub fn add(&mut self, tracked: &TrackedFields, event: &TrackedEvent) {
        for (place, key) in event.keys.iter().enumerate() {
            if let Some(key) = key {
                self.history_of(key).add(tracked.event_of_key(place, event));
            }
        }
    }

    /// Notes in the histories of its keys that an event is fraud, and since when that is known.
    pub fn note_fraud(&mut self, event: &TrackedEvent, known_at: i64) {
        for key in event.keys.iter().flatten() {
            self.history_of(key)
                .note_label(event.event.id, true, known_at);
        }
    }

    /// Adds the events of a data set in order of time. Before each event is added, `each` is called with its row and
    /// the features that the histories of its keys then give. `labels` are the rows of fraudulent events, each with
    /// the time from which that was known.
    pub(crate) fn replay(
        &mut self,
        dataset: &Dataset,
        mut labels: Vec<(i64, usize)>,
        mut each: impl FnMut(usize, Vec<f32>),
    ) {
        let Some(tracked) = dataset.tracked_fields() else {
            return;
        };
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
                if let Some(event) = dataset.tracked_event(bad) {
                    self.note_fraud(&event, known);
                }
            }
            if let Some(event) = dataset.tracked_event(row) {
                each(row, self.features(tracked, &event));
                if !dataset.is_synthetic(row) {
                    self.add(tracked, &event);
                }
            }
        }
        for (known, bad) in labels {
            if let Some(event) = dataset.tracked_event(bad) {
                self.note_fraud(&event, known);
            }
        }
    }

    fn history_of(&mut self, key: &str) -> &mut EntityHistory {
        self.0.entry(key.to_owned()).or_default()
    }
}

/// The rows of fraudulent events whose labels have times, each with the time from which that was known.
fn list_fraud_labels(dataset: &Dataset) -> Vec<(i64, usize)> {
    let known = |row: usize| {
        let time = dataset.event_times()[row]?;
        Some((dataset.label_times()[row]?.max(time), row))
    };
    let bad = (0..dataset.len()).filter(|row| dataset.labels()[*row] == EventLabel::Fraud);
    bad.filter_map(known).collect()
}
