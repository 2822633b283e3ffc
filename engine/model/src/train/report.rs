//! What training found: figures of the validation block, and what scores mean.

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::messages::Message;
use crate::calibration::{Calibration, Curve};
use crate::dataset::{Dataset, Label};
use crate::maturity::{Labelled, Maturity};
use crate::metrics::{Range, Ranking};
use crate::model::Importance;
use crate::trees::boost;

/// Accounts with a labelled takeover from which on the share that is found is told.
const TAKEN_OVER: usize = 50;
/// A row of the threshold table, as `DescribeModelVersions` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRow {
    /// Scores from here on are called fraud.
    pub threshold: f64,
    /// The share of legitimate events called fraud.
    pub fpr: f64,
    /// The share of fraud among those called fraud.
    pub precision: f64,
    /// The share of fraud called fraud.
    pub tpr: f64,
    /// Whether too few legitimate events lie above for the score to be more than an extrapolation.
    pub extrapolated: bool,
}

/// What training found. Figures are of the validation block, which neither features nor trees had seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Findings about the data.
    pub messages: Vec<Message>,
    /// How long labels were waited for.
    pub maturity: Maturity,
    /// Whether the blocks follow each other in time, or were drawn by a hash of the row.
    pub by_time: bool,
    /// Events to train, to stop, and to validate.
    pub blocks: [usize; 3],
    /// Fraud among them.
    pub fraud: [usize; 3],
    /// Area under the ROC curve.
    pub auc: Range,
    /// Average precision.
    pub average_precision: f64,
    /// The share of fraud found where 1 % of legitimate events are called fraud.
    pub recall_at_1_percent: f64,
    /// What scores mean.
    pub thresholds: Vec<ThresholdRow>,
    /// What matters, most first.
    pub importance: Vec<Importance>,
    /// The settings that won, in words.
    pub settings: String,
    /// Trees of the model.
    pub trees: usize,
    /// Of a model of log-ins; then fraud are log-ins that a stranger might have made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins: Option<Logins>,
}

/// What a threshold does to labelled takeovers of the validation block, in the order of [`Report::thresholds`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Logins {
    /// The share of them at or above each threshold; `None` where fewer than 50 accounts have any, or none is new enough.
    pub takeovers_found: Option<Vec<f64>>,
}

impl Logins {
    /// What the validated log-ins say: `events` are their places in a data set of real and imagined ones, `validated`
    /// their log-odds.
    pub(crate) fn new(
        dataset: &Dataset,
        events: &[Labelled],
        validated: &[(f64, bool)],
        calibration: &Calibration,
    ) -> Self {
        let is_takeover =
            |row: usize| dataset.labels()[row] == Label::Fraud && !dataset.is_imagined(row);
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
        let share = |threshold: &f64| {
            let above = scores.iter().filter(|score| *score >= threshold).count();
            above as f64 / scores.len() as f64
        };
        let is_told = accounts.len() >= TAKEN_OVER && !scores.is_empty();
        Self {
            takeovers_found: is_told
                .then(|| Curve::Logins.thresholds().iter().map(share).collect()),
        }
    }
}

/// The settings of forests, for people.
pub(super) fn in_words(settings: &[boost::Options]) -> String {
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

/// What each threshold of the curve does to the validated events: their log-odds, and whether each is fraud.
pub(super) fn thresholds(
    curve: Curve,
    calibration: &Calibration,
    validated: &[(f64, bool)],
) -> Vec<ThresholdRow> {
    let scores = Ranking::new(
        validated
            .iter()
            .map(|(log_odds, fraud)| (calibration.score(*log_odds).round(), *fraud)),
    );
    curve
        .thresholds()
        .iter()
        .map(|threshold| {
            let point = scores.at(*threshold);
            ThresholdRow {
                threshold: *threshold,
                fpr: point.fpr,
                precision: point.precision,
                tpr: point.tpr,
                extrapolated: calibration.is_extrapolated(*threshold),
            }
        })
        .collect()
}
