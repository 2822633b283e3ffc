//! Labelled events, kept column by column.

use thiserror::Error;

use crate::history::{EntityEvent, TrackedEvent, TrackedFields};
use crate::parse;
use crate::texts::Texts;
use crate::variable::{Variable, VariableType};

/// What an event turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum EventLabel {
    /// Fraud.
    Fraud,
    /// Legitimate.
    Legit,
    /// It has no label.
    #[default]
    Unlabelled,
    /// It has a label that means neither fraud nor legitimate.
    Unknown,
}

/// One event on its way into a [`Dataset`]. Times are seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventRow<'a> {
    /// The values, in the order of the data set's variables. A text that stands for no value (empty,
    /// `NaN`, `null`) counts as missing.
    pub values: &'a [Option<&'a str>],
    /// When the event happened.
    pub event_time: Option<i64>,
    /// The entity that the event belongs to.
    pub entity: Option<&'a str>,
    /// The event as the histories of its keys keep it; needed after [`Dataset::with_tracked_fields`].
    pub tracked: Option<&'a TrackedEvent>,
    /// The event's label.
    pub label: EventLabel,
    /// When the label was given.
    pub label_time: Option<i64>,
    /// Whether the event was blocked. Then nobody can know that it would have been legitimate.
    pub blocked: bool,
    /// Whether the event never happened. It gets features from the histories of its keys, but does not become a part of
    /// them.
    pub synthetic: bool,
}

/// Why a row cannot be added to a [`Dataset`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowError {
    /// It does not have one value for each variable.
    #[error("row {row} has {found} values; the data set has {expected} variables")]
    Width {
        /// Which row, from 0.
        row: usize,
        /// How many values it has.
        found: usize,
        /// How many variables there are.
        expected: usize,
    },
    /// The data set cannot hold more rows.
    #[error("the data set is full: it takes {} rows", u32::MAX - 1)]
    Full,
}

/// Labelled events, column by column.
#[derive(Clone, Debug)]
pub struct Dataset {
    variables: Vec<Variable>,
    columns: Vec<ValueColumn>,
    labels: Vec<EventLabel>,
    event_times: Vec<Option<i64>>,
    label_times: Vec<Option<i64>>,
    blocked: Vec<bool>,
    entities: Texts,
    tracked: Option<TrackedFields>,
    history_events: Vec<Option<EntityEvent>>,
    /// The keys of each event beside its entity, by place.
    history_keys: Vec<Texts>,
    synthetic: Vec<bool>,
}

/// The values of one variable.
#[derive(Clone, Debug)]
pub(crate) enum ValueColumn {
    /// Numbers; missing and unreadable ones are NaN.
    Numbers {
        values: Vec<f64>,
        /// How many values were neither missing nor numbers.
        unreadable: usize,
    },
    /// Values of all other types.
    Texts(Texts),
}

impl Dataset {
    /// An empty data set of these variables. A variable of type `FRAUD_LABEL` is never a feature.
    pub fn new(variables: Vec<Variable>) -> Self {
        let columns = variables
            .iter()
            .map(|variable| {
                if variable.kind.is_number() {
                    ValueColumn::Numbers {
                        values: Vec::new(),
                        unreadable: 0,
                    }
                } else {
                    ValueColumn::Texts(Texts::default())
                }
            })
            .collect();
        Self {
            variables,
            columns,
            labels: Vec::new(),
            event_times: Vec::new(),
            label_times: Vec::new(),
            blocked: Vec::new(),
            entities: Texts::default(),
            tracked: None,
            history_events: Vec::new(),
            history_keys: Vec::new(),
            synthetic: Vec::new(),
        }
    }

    /// The same data set, for models that learn from the histories of its entities and other keys. Each row must then
    /// have in [`EventRow::tracked`] what [`TrackedFields::build_event`] gives for it.
    #[must_use]
    pub fn with_tracked_fields(self, tracked: TrackedFields) -> Self {
        Self {
            history_keys: vec![Texts::default(); tracked.keys().len()],
            tracked: Some(tracked),
            ..self
        }
    }

    /// Appends an event.
    ///
    /// # Errors
    /// [`RowError`], if it does not have a value for each variable or there are too many rows.
    pub fn push(&mut self, row: &EventRow<'_>) -> Result<(), RowError> {
        if row.values.len() != self.columns.len() {
            return Err(RowError::Width {
                row: self.len(),
                found: row.values.len(),
                expected: self.columns.len(),
            });
        }
        if self.len() >= u32::MAX as usize - 1 {
            return Err(RowError::Full);
        }
        for (column, value) in self.columns.iter_mut().zip(row.values) {
            let value = value.and_then(parse::trim_present_value);
            match column {
                ValueColumn::Numbers { values, unreadable } => {
                    let number = value.and_then(parse::parse_number);
                    *unreadable += usize::from(value.is_some() && number.is_none());
                    values.push(number.unwrap_or(f64::NAN));
                }
                ValueColumn::Texts(texts) => texts.push(value),
            }
        }
        self.labels.push(row.label);
        self.event_times.push(row.event_time);
        self.label_times.push(row.label_time);
        self.blocked.push(row.blocked);
        self.entities.push(row.entity);
        if self.tracked.is_some() {
            self.history_events
                .push(row.tracked.map(|tracked| tracked.event));
            for (place, keys) in self.history_keys.iter_mut().enumerate() {
                let key = row.tracked.and_then(|tracked| tracked.keys.get(place + 1));
                keys.push(key.and_then(Option::as_deref));
            }
            self.synthetic.push(row.synthetic);
        }
        Ok(())
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The variables, in the order of the values.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The label of each event.
    pub fn labels(&self) -> &[EventLabel] {
        &self.labels
    }

    /// When each event happened, in seconds since 1970.
    pub fn event_times(&self) -> &[Option<i64>] {
        &self.event_times
    }

    pub(crate) fn columns(&self) -> &[ValueColumn] {
        &self.columns
    }

    pub(crate) fn label_times(&self) -> &[Option<i64>] {
        &self.label_times
    }

    pub(crate) fn blocked(&self) -> &[bool] {
        &self.blocked
    }

    pub(crate) fn entities(&self) -> &Texts {
        &self.entities
    }

    /// The fields that the histories of the entities keep, if models learn from them.
    pub fn tracked_fields(&self) -> Option<&TrackedFields> {
        self.tracked.as_ref()
    }

    /// An event as the history of its entity keeps it, with the entity.
    pub(crate) fn entity_event(&self, row: usize) -> Option<(&str, &EntityEvent)> {
        let event = self.history_events.get(row)?.as_ref()?;
        Some((self.entities.text_of_row(row)?, event))
    }

    /// An event as the histories of all its keys keep it.
    pub(crate) fn tracked_event(&self, row: usize) -> Option<TrackedEvent> {
        let event = *self.history_events.get(row)?.as_ref()?;
        let columns = std::iter::once(&self.entities).chain(&self.history_keys);
        let key = |texts: &Texts| texts.text_of_row(row).map(str::to_owned);
        Some(TrackedEvent {
            event,
            keys: columns.map(key).collect(),
        })
    }

    /// Whether an event never happened.
    pub(crate) fn is_synthetic(&self, row: usize) -> bool {
        self.synthetic.get(row).copied().unwrap_or_default()
    }

    /// The labels, to be changed by tests.
    #[cfg(test)]
    pub(crate) fn labels_mut(&mut self) -> &mut [EventLabel] {
        &mut self.labels
    }

    /// The value of a variable in an event, as text.
    pub fn value(&self, row: usize, variable: usize) -> Option<std::borrow::Cow<'_, str>> {
        match &self.columns[variable] {
            ValueColumn::Numbers { values, .. } => {
                let value = values[row];
                (!value.is_nan()).then(|| value.to_string().into())
            }
            ValueColumn::Texts(texts) => texts.text_of_row(row).map(Into::into),
        }
    }

    /// Whether a variable can be a feature.
    pub(crate) fn is_usable(variable: &Variable) -> bool {
        variable.kind != VariableType::FraudLabel
    }
}
