//! The report of a training: figures of the validation block, and what scores mean.

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::messages::TrainingMessage;
use crate::calibration::{Calibration, report_thresholds};
use crate::dataset::{Dataset, EventLabel};
use crate::maturity::{LabelledEvent, Maturity};
use crate::metrics::{ConfidenceRange, Ranking};
use crate::model::Importance;
use crate::trees::boost;

/// The share of takeovers that is found is reported only if at least so many accounts have a labelled takeover.
const TAKEN_OVER: usize = 50;
/// A row of the threshold table, as `DescribeModelVersions` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRow {
    /// Events with at least this score are called fraud.
    pub threshold: f64,
    /// The share of the legitimate events that is called fraud (false-positive rate).
    pub fpr: f64,
    /// The share of the events called fraud that is fraud.
    pub precision: f64,
    /// The share of the fraud that is called fraud (recall).
    pub tpr: f64,
    /// Whether the false-positive rate is extrapolated, because too few legitimate events have such scores.
    pub extrapolated: bool,
}

/// The report of a training. Its figures are of the validation block, which neither features nor trees were learnt
/// from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Messages about the data.
    pub messages: Vec<TrainingMessage>,
    /// How long labels were waited for.
    pub maturity: Maturity,
    /// Whether the blocks follow each other in time. Otherwise they were drawn by a hash of the row.
    pub by_time: bool,
    /// How many events the training, the stop and the validation block have.
    pub blocks: [usize; 3],
    /// How many of them are fraud.
    pub fraud: [usize; 3],
    /// The area under the ROC curve.
    pub auc: ConfidenceRange,
    /// The average precision.
    pub average_precision: f64,
    /// The share of the fraud that is found at a false-positive rate of 1 %.
    pub recall_at_1_percent: f64,
    /// What happens at each threshold, 0, 5 and so on to 1000. In reports of releases before, at some thresholds, from
    /// the highest.
    pub thresholds: Vec<ThresholdRow>,
    /// How much each variable matters, most important first.
    pub importance: Vec<Importance>,
    /// The settings that were chosen, in words.
    pub settings: String,
    /// How many trees the model has.
    pub trees: usize,
    /// Only for a model of log-ins. In its report, "fraud" are synthetic log-ins of strangers, and labelled takeovers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins: Option<TakeoverFigures>,
}

/// How many labelled takeovers of the validation block are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TakeoverFigures {
    /// The share that scores at or above each of [`TrainingReport::thresholds`], in their order. `None` if fewer than 50
    /// accounts have a labelled takeover, or none of these is in the validation block.
    pub takeovers_found: Option<Vec<f64>>,
}

impl TakeoverFigures {
    /// Measures on the validation block. `events` are its log-ins, as rows of a data set of real and synthetic ones;
    /// `validated` are their log-odds, each with whether it is fraud.
    pub(crate) fn new(
        dataset: &Dataset,
        events: &[LabelledEvent],
        validated: &[(f64, bool)],
        calibration: &Calibration,
    ) -> Self {
        let is_takeover =
            |row: usize| dataset.labels()[row] == EventLabel::Fraud && !dataset.is_synthetic(row);
        let accounts: FxHashSet<u32> = (0..dataset.len())
            .filter(|row| is_takeover(*row))
            .map(|row| dataset.entities().codes[row])
            .collect();
        let scores: Vec<f64> = events
            .iter()
            .zip(validated)
            .filter(|(event, _)| is_takeover(event.row as usize))
            .map(|(_, (log_odds, _))| calibration.score(*log_odds).round())
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "counts of log-ins")]
        let share = |threshold: f64| {
            let above = scores.iter().filter(|score| **score >= threshold).count();
            above as f64 / scores.len() as f64
        };
        let is_told = accounts.len() >= TAKEN_OVER && !scores.is_empty();
        Self {
            takeovers_found: is_told.then(|| report_thresholds().map(share).collect()),
        }
    }
}

/// Describes settings in words.
pub(super) fn describe_settings(settings: &[boost::BoostOptions]) -> String {
    let words: Vec<String> = settings
        .iter()
        .map(|settings| {
            format!(
                "{} trees, at most {} leaves, learning rate {}, at least {} rows a leaf",
                settings.trees, settings.max_leaves, settings.learning_rate, settings.min_rows
            )
        })
        .collect();
    words.join("; ")
}

/// What happens at each threshold. `validated` are the log-odds of validation events, each with whether it
/// is fraud.
pub(super) fn measure_thresholds(
    calibration: &Calibration,
    validated: &[(f64, bool)],
) -> Vec<ThresholdRow> {
    let scores = Ranking::new(
        validated
            .iter()
            .map(|(log_odds, fraud)| (calibration.score(*log_odds).round(), *fraud)),
    );
    report_thresholds()
        .map(|threshold| {
            let point = scores.point_at(threshold);
            ThresholdRow {
                threshold,
                fpr: point.fpr,
                precision: point.precision,
                tpr: point.tpr,
                extrapolated: calibration.is_extrapolated(threshold),
            }
        })
        .collect()
}
