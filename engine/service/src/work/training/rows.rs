//! Rows of the data that a version learns from, and what their labels mean.

use model::{Dataset, EventLabel, EventRow, UnlabelledTreatment};
use store::records::model_version::{LabelSchema, ModelVersion, UnlabeledEventsTreatment};

use crate::work::training::TrainingStopReason;

/// The meaning of the labels.
pub(super) struct LabelMapping {
    fraud: Vec<String>,
    legit: Vec<String>,
    pub(super) treatment: Option<UnlabelledTreatment>,
}

impl LabelMapping {
    pub(super) fn new(version: &ModelVersion) -> Self {
        let LabelSchema {
            label_mapper,
            unlabeled_events_treatment,
        } = version
            .training_data_schema
            .label_schema
            .clone()
            .unwrap_or_default();
        let mut mapper = label_mapper.unwrap_or_default();
        Self {
            fraud: mapper.remove("FRAUD").unwrap_or_default(),
            legit: mapper.remove("LEGIT").unwrap_or_default(),
            treatment: unlabeled_events_treatment.map(|treatment| match treatment {
                UnlabeledEventsTreatment::Ignore => UnlabelledTreatment::Ignore,
                UnlabeledEventsTreatment::Fraud => UnlabelledTreatment::Fraud,
                UnlabeledEventsTreatment::Legit => UnlabelledTreatment::Legit,
                UnlabeledEventsTreatment::Auto => UnlabelledTreatment::Auto,
            }),
        }
    }

    pub(super) fn names(&self) -> String {
        protocol::text::join_names(self.fraud.iter().chain(&self.legit).map(String::as_str))
    }

    pub(super) fn classify(&self, label: Option<&str>) -> EventLabel {
        let is = |names: &[String], label: &str| names.iter().any(|name| name == label);
        match label {
            None | Some("") => EventLabel::Unlabelled,
            Some(label) if is(&self.fraud, label) => EventLabel::Fraud,
            Some(label) if is(&self.legit, label) => EventLabel::Legit,
            Some(_) => EventLabel::Unknown,
        }
    }
}

pub(super) fn push_row(
    dataset: &mut Dataset,
    row: &EventRow<'_>,
) -> Result<(), TrainingStopReason> {
    let pushed = dataset.push(row);
    pushed.map_err(|error| TrainingStopReason::with_message("Too much data", format!("{error}.")))
}
