//! The histories of many entities, event by event.

use std::collections::HashMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::dataset::{Dataset, Label};
use crate::history::{Event, FEATURES, Profile};

/// What each of many entities did.
#[derive(Clone, Debug, Default)]
pub struct Histories(FxHashMap<String, Profile>);

impl Histories {
    /// The histories after all events of a data set that watches them, each label known from when it was given, or
    /// from its event on where nobody says when.
    pub fn of(dataset: &Dataset) -> Self {
        let mut histories = Self::default();
        histories.replay(dataset, labels(dataset), |_, _| ());
        histories
    }

    /// What the entities had done before some events of a data set, by row, of labels what was given by then.
    pub fn before(dataset: &Dataset, rows: &[usize]) -> HashMap<usize, Vec<f32>> {
        let rows: FxHashSet<usize> = rows.iter().copied().collect();
        let mut before = HashMap::new();
        Self::default().replay(dataset, labels(dataset), |row, features| {
            if rows.contains(&row) {
                before.insert(row, features);
            }
        });
        before
    }

    /// The features of an entity's event; of nobody's event all unknown.
    pub fn features(&self, entity: Option<&str>, event: &Event) -> Vec<f32> {
        let Some(entity) = entity else {
            return vec![f32::NAN; FEATURES];
        };
        match self.0.get(entity) {
            Some(profile) => profile.features(event),
            None => Profile::default().features(event),
        }
    }

    /// Each entity with what it did.
    pub fn into_profiles(self) -> impl Iterator<Item = (String, Profile)> {
        self.0.into_iter()
    }

    /// Adds an event.
    pub fn add(&mut self, entity: &str, event: Event) {
        self.profile(entity).add(event);
    }

    /// Goes through the events of a data set in order of time. `each` sees every event with its entity's history as
    /// it was then; `labels` are the bad ones and when that was known.
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
                if let Some((entity, event)) = dataset.seen(bad) {
                    self.profile(entity).label(event.id, true, known);
                }
            }
            if let Some((entity, event)) = dataset.seen(row) {
                let profile = self.profile(entity);
                each(row, profile.features(event));
                if !dataset.is_imagined(row) {
                    profile.add(*event);
                }
            }
        }
        for (known, bad) in labels {
            if let Some((entity, event)) = dataset.seen(bad) {
                self.profile(entity).label(event.id, true, known);
            }
        }
    }

    fn profile(&mut self, entity: &str) -> &mut Profile {
        self.0.entry(entity.to_owned()).or_default()
    }
}

/// The bad events, and when that was known.
fn labels(dataset: &Dataset) -> Vec<(i64, usize)> {
    let known = |row: usize| {
        let time = dataset.event_times()[row]?;
        Some((dataset.label_times()[row].unwrap_or(time).max(time), row))
    };
    let bad = (0..dataset.len()).filter(|row| dataset.labels()[*row] == Label::Fraud);
    bad.filter_map(known).collect()
}
