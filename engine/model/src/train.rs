//! From labelled events to a model: checks, blocks, search, calibration, report, and a last fit on everything.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::calibration::{Calibration, Curve};
use crate::dataset::{Column, Dataset};
use crate::features::plan::Plan;
use crate::features::{Encoder, Examples, hash_with, mix};
use crate::logins::{self, Logins};
use crate::maturity::{Labelled, LabelsAre, Maturity, Unlabelled, mature, treated};
use crate::messages::{Level, Message, check};
use crate::metrics::{Range, Ranking};
use crate::model::{Encoding, Importance, Model, Scale};
use crate::trees::boost::{self, StopMetric};
use crate::trees::{self, Binned, Forest};

/// Amazon's model types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelType {
    /// Each event by itself.
    #[default]
    OnlineFraudInsights,
    /// Events of entities with a history.
    TransactionFraudInsights,
    /// Log-ins.
    AccountTakeoverInsights,
}

/// How to train. Nothing here needs tuning.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the data must be good for.
    pub model_type: ModelType,
    /// Whether labels may still change.
    pub labels_are: LabelsAre,
    /// What events without a label stand for. `None`: as in Amazon's files, where up to 1 % may lack a label and count
    /// as legitimate, and more is an error.
    pub unlabelled: Option<Unlabelled>,
    /// The labels of the event type, for messages.
    pub label_values: String,
    /// The fewest variables that must vary: Amazon demands 2.
    pub min_variables: usize,
    /// When now is, in seconds since 1970; without it the latest time in the data.
    pub as_of: Option<i64>,
    /// How many trees all trials may grow together: the budget of the search. Not a time, so that the same data
    /// and seed give the same model on every machine.
    pub budget_trees: usize,
    /// Chooses rows and columns where chance does.
    pub seed: u64,
    /// How many threads grow trees; `None`: all.
    pub threads: Option<NonZeroUsize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model_type: ModelType::default(),
            labels_are: LabelsAre::default(),
            unlabelled: None,
            label_values: "[]".to_owned(),
            min_variables: 2,
            as_of: None,
            budget_trees: 2400,
            seed: 1,
            threads: None,
        }
    }
}

/// What training is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Making numbers of the training block.
    Features,
    /// Trying settings.
    Search,
    /// Making numbers of all events.
    AllFeatures,
    /// Growing the trees of the model.
    Growing,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// How much of the whole is done, 0 to 1.
    pub done: f64,
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data does not allow it: all that was found, errors first.
    #[error("{}", .0.first().map_or("the data cannot be trained on", |message| message.content.as_str()))]
    Data(Vec<Message>),
    /// Too many labels are younger than the time that labels take.
    #[error(
        "only {fraud} fraudulent and {legit} legitimate events are old enough for their labels to be known ({wait_days:.0} days; {why}); 50 of each are needed. Wait, give more history, or say that labels are final"
    )]
    Immature {
        /// Fraud that is left.
        fraud: usize,
        /// Legitimate events that are left.
        legit: usize,
        /// The wait, in days.
        wait_days: f64,
        /// Why that long.
        why: String,
    },
    /// Nothing tells fraud from the rest.
    #[error(
        "no variable tells fraudulent events from legitimate ones: all events would get the same score"
    )]
    NothingToLearn,
    /// A data set cannot hold them.
    #[error("there are too many rows")]
    TooManyRows,
    /// The caller stopped it.
    #[error("training was cancelled")]
    Cancelled,
    /// Trees could not be grown.
    #[error(transparent)]
    Trees(trees::Error),
}

impl From<trees::Error> for TrainError {
    fn from(error: trees::Error) -> Self {
        match error {
            trees::Error::Cancelled => Self::Cancelled,
            trees::Error::NothingToLearn => Self::NothingToLearn,
            other => Self::Trees(other),
        }
    }
}

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

/// Trains a model.
pub fn train(
    dataset: &Dataset,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Model, Report), TrainError> {
    if options.model_type == ModelType::AccountTakeoverInsights {
        return logins::train(dataset, options, progress);
    }
    let treatment = options.unlabelled.unwrap_or(Unlabelled::Legit);
    let messages = check(dataset, &treated(dataset, treatment), options);
    if messages.iter().any(|message| message.level == Level::Error) {
        let mut messages = messages;
        messages.sort_by_key(|message| message.level != Level::Error);
        return Err(TrainError::Data(messages));
    }
    fit(dataset, options, messages, Curve::Fraud, progress)
}

/// Trains on a data set that was checked.
pub(crate) fn fit(
    dataset: &Dataset,
    options: &Options,
    messages: Vec<Message>,
    curve: Curve,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Model, Report), TrainError> {
    let treatment = options.unlabelled.unwrap_or(Unlabelled::Legit);
    let (mut events, maturity) = mature(dataset, options.labels_are, treatment, options.as_of);
    let by_time = events.first().is_some_and(|event| event.time.is_some());
    let fraud = events.iter().filter(|event| event.fraud).count();
    let legit = events.len() - fraud;
    if fraud.min(legit) < 50 {
        return Err(TrainError::Immature {
            fraud,
            legit,
            wait_days: maturity.wait_days,
            why: maturity.why,
        });
    }
    if !by_time {
        // In order of the hashes, blocks are cut as they are by time.
        let hashes = hashes(dataset, options.seed);
        events.sort_by_key(|event| hashes[event.row as usize]);
    }
    let cuts = [events.len() * 70 / 100, events.len() * 85 / 100];
    let blocks = [
        &events[..cuts[0]],
        &events[cuts[0]..cuts[1]],
        &events[cuts[1]..],
    ];
    let fraud = blocks.map(|block| block.iter().filter(|event| event.fraud).count());
    if blocks
        .iter()
        .zip(fraud)
        .any(|(block, fraud)| fraud == 0 || fraud == block.len())
    {
        return Err(TrainError::Data(vec![Message {
            level: Level::Error,
            field: None,
            title: "Unstable fraud rate".to_owned(),
            content: "Fraud rate in the given data is too unstable through time. Please make sure your fraud and legitimate events are sampled uniformly over time.".to_owned(),
        }]));
    }
    let lengths = blocks.map(<[Labelled]>::len);

    let mut tell = Teller { progress };
    tell.at(Stage::Features, 0.0)?;
    let trial = Prepared::new(dataset, &events, cuts[0], cuts[1], options)?;
    let (settings, forests) = search(&trial, options, &mut tell)?;
    let trial_forest = Forest::mean(trial.matrix.columns(), &forests)?;
    let validated = trial.scores(&trial_forest);
    let calibration = Calibration::fit(
        validated
            .iter()
            .filter(|(_, fraud)| !fraud)
            .map(|(log_odds, _)| *log_odds),
    );
    let calibration = calibration.ok_or(TrainError::NothingToLearn)?.on(curve);
    let ranking = Ranking::new(validated.iter().copied());
    drop(trial);

    tell.at(Stage::AllFeatures, 0.7)?;
    let all = Prepared::new(dataset, &events, events.len(), events.len(), options)?;
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let width = 0.2 / settings.len() as f64;
    let mut forests = Vec::new();
    let mut from = 0.8;
    for settings in &settings {
        forests.push(all.grow(settings, Stage::Growing, from..from + width, &mut tell)?);
        from += width;
    }
    let forest = Forest::mean(all.matrix.columns(), &forests)?;
    let model = Model {
        encoding: Encoding::Learnt(Box::new(all.encoder)),
        forest,
        scale: Scale::Measured(calibration.clone()),
    };
    let report = Report {
        messages,
        maturity,
        by_time,
        blocks: lengths,
        fraud,
        auc: ranking.auc_range(),
        average_precision: ranking.average_precision(),
        recall_at_1_percent: ranking.recall_at(0.01),
        thresholds: thresholds(curve, &calibration, &validated),
        importance: model.importance(),
        settings: in_words(&settings),
        trees: model.forest.trees(),
        logins: (curve == Curve::Logins)
            .then(|| Logins::new(dataset, blocks[2], &validated, &calibration)),
    };
    Ok((model, report))
}

/// A hash for each row from its values, and from how often they came before, so that equal rows part ways.
fn hashes(dataset: &Dataset, seed: u64) -> Vec<u64> {
    let mut hashes = vec![mix(seed); dataset.len()];
    for column in dataset.columns() {
        match column {
            Column::Numbers { values, .. } => {
                for (hash, value) in hashes.iter_mut().zip(values) {
                    *hash = mix(*hash ^ value.to_bits());
                }
            }
            Column::Texts(texts) => {
                for (row, hash) in hashes.iter_mut().enumerate() {
                    *hash = hash_with(*hash, texts.row(row).unwrap_or_default().as_bytes());
                }
            }
        }
    }
    let mut before: FxHashMap<u64, u64> = FxHashMap::default();
    for hash in &mut hashes {
        let count = before.entry(*hash).or_default();
        *count += 1;
        *hash = mix(*hash ^ *count);
    }
    hashes
}

/// Tells the caller how far it is, and hears when to stop.
struct Teller<'a> {
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Teller<'_> {
    fn at(&mut self, stage: Stage, done: f64) -> Result<(), TrainError> {
        match (self.progress)(Progress { stage, done }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainError::Cancelled),
        }
    }
}

/// Events as a matrix, ready for trees.
struct Prepared {
    encoder: Encoder,
    matrix: Binned,
    labels: Vec<bool>,
    train: Vec<u32>,
    stop: Vec<u32>,
    /// The features of the validation block, column by column, and where it begins.
    validation: Vec<Vec<f64>>,
    validation_from: usize,
    threads: Option<NonZeroUsize>,
}

impl Prepared {
    /// Events before `train_to` train, those before `stop_to` stop, the rest validate.
    fn new(
        dataset: &Dataset,
        events: &[Labelled],
        train_to: usize,
        stop_to: usize,
        options: &Options,
    ) -> Result<Self, TrainError> {
        let rows: Vec<u32> = events.iter().map(|event| event.row).collect();
        let labels: Vec<bool> = events.iter().map(|event| event.fraud).collect();
        let plan = if events.first().is_some_and(|event| event.time.is_some()) {
            let times: Vec<i64> = events
                .iter()
                .map(|event| event.time.unwrap_or_default())
                .collect();
            let known: Vec<i64> = events.iter().map(|event| event.known).collect();
            Plan::blocks(&times, &known, train_to)
        } else {
            // The events lie in the order of their hashes, so neighbours are strangers.
            let folds: Vec<u64> = (0..events.len() as u64)
                .map(|at| mix(at ^ options.seed))
                .collect();
            let held_out: Vec<bool> = (0..events.len()).map(|at| at >= train_to).collect();
            Plan::folds(&folds, &held_out)
        };
        let mut matrix = Binned::new(events.len());
        let mut validation = Vec::new();
        let fit = Examples {
            rows: &rows,
            labels: &labels,
            plan: &plan,
            seed: options.seed,
        };
        let encoder = Encoder::fit(dataset, &fit, &mut |name, column| {
            validation.push(column[stop_to..].to_vec());
            matrix.push(name, column)
        })?;
        let index = |range: std::ops::Range<usize>| -> Vec<u32> {
            (0_u32..).take(range.end).skip(range.start).collect()
        };
        Ok(Self {
            encoder,
            matrix,
            labels,
            train: index(0..train_to),
            stop: index(train_to..stop_to),
            validation,
            validation_from: stop_to,
            threads: options.threads,
        })
    }

    fn grow(
        &self,
        settings: &boost::Options,
        stage: Stage,
        span: std::ops::Range<f64>,
        tell: &mut Teller<'_>,
    ) -> Result<Forest, TrainError> {
        Ok(self.boost(settings, stage, span, tell)?.forest)
    }

    fn boost(
        &self,
        settings: &boost::Options,
        stage: Stage,
        span: std::ops::Range<f64>,
        tell: &mut Teller<'_>,
    ) -> Result<boost::Trained, TrainError> {
        let settings = boost::Options {
            threads: self.threads,
            ..settings.clone()
        };
        let mut each = |progress: boost::Progress| {
            #[expect(clippy::cast_precision_loss, reason = "numbers of trees")]
            let share = progress.trees as f64 / progress.of.max(1) as f64;
            let done = span.start + (span.end - span.start) * share;
            (tell.progress)(Progress { stage, done })
        };
        Ok(boost::train(
            &self.matrix,
            &self.labels,
            None,
            &self.train,
            &self.stop,
            &settings,
            &mut each,
        )?)
    }

    /// Log-odds and label of each validation event.
    fn scores(&self, forest: &Forest) -> Vec<(f64, bool)> {
        let mut row = vec![0.0; self.validation.len()];
        self.labels[self.validation_from..]
            .iter()
            .enumerate()
            .map(|(at, label)| {
                for (value, column) in row.iter_mut().zip(&self.validation) {
                    *value = column[at];
                }
                (forest.log_odds(&row), *label)
            })
            .collect()
    }
}

/// Values of the training block that all trials may go through together, each tree once: large data gets fewer
/// trials, and they gain least there.
const SEARCH_VALUES: usize = 60_000_000;

/// The settings that are tried, from the most likely to win.
fn candidates(rows: usize, columns: usize, options: &Options) -> Vec<boost::Options> {
    let is_large = rows > 200_000;
    let most = 400;
    let base = boost::Options {
        trees: most,
        learning_rate: match rows {
            0..10_000 => 0.03,
            10_000..=200_000 => 0.06,
            _ => 0.1,
        },
        max_leaves: 31,
        min_rows: 20,
        min_child_hessian: 1e-2,
        lambda_l2: 3.0,
        feature_fraction: 0.6,
        row_fraction: 1.0,
        stop_metric: StopMetric::LogLoss,
        patience: 40,
        seed: options.seed,
        ..boost::Options::default()
    };
    let with = |max_leaves, min_rows, lambda_l2, feature_fraction, row_fraction| boost::Options {
        max_leaves,
        min_rows,
        lambda_l2,
        feature_fraction,
        row_fraction,
        ..base.clone()
    };
    let mut candidates = vec![
        base.clone(),
        with(12, 20, 3.0, 0.4, 0.8),
        with(63, 40, 10.0, 0.5, 0.8),
        with(6, 10, 1.0, 0.5, 0.8),
        with(24, 100, 20.0, 0.3, 0.7),
    ];
    if is_large {
        candidates.swap(0, 2);
    }
    let by_size = SEARCH_VALUES / (rows * columns).max(1);
    let by_budget = options.budget_trees / most;
    candidates.truncate(by_size.min(by_budget).max(1));
    candidates
}

/// So many of the best candidates are averaged: together they err less than the best alone.
const MOST_FORESTS: usize = 3;
/// If their loss is at most this share above the best one's.
const NEARLY_BEST: f64 = 0.05;

/// Settings that were tried, and what came of it.
struct Found {
    settings: boost::Options,
    /// The least loss on the stop block.
    loss: f64,
    forest: Forest,
}

/// The settings worth averaging, best first, for growing on all rows; and the forests that they gave on the training
/// block.
fn search(
    trial: &Prepared,
    options: &Options,
    tell: &mut Teller<'_>,
) -> Result<(Vec<boost::Options>, Vec<Forest>), TrainError> {
    let candidates = candidates(trial.train.len(), trial.matrix.columns(), options);
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let width = 0.6 / candidates.len() as f64;
    let mut found: Vec<Found> = Vec::new();
    let mut from = 0.1;
    for settings in candidates {
        let trained = trial.boost(&settings, Stage::Search, from..from + width, tell);
        from += width;
        let trained = match trained {
            // Its leaves are too large for so few rows.
            Err(TrainError::NothingToLearn) => continue,
            trained => trained?,
        };
        let loss = trained
            .measures
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        found.push(Found {
            settings,
            loss,
            forest: trained.forest,
        });
    }
    found.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    let worst = found
        .first()
        .map_or(0.0, |best| best.loss * (1.0 + NEARLY_BEST));
    found.retain(|found| found.loss <= worst && found.forest.trees() > 0);
    found.truncate(MOST_FORESTS);
    if found.is_empty() {
        return Err(TrainError::NothingToLearn);
    }
    Ok(found
        .into_iter()
        .map(|found| {
            let trees = found.forest.trees();
            let settings = boost::Options {
                // More rows carry more trees.
                trees: trees + trees / 10 + 1,
                ..found.settings
            };
            (settings, found.forest)
        })
        .unzip())
}

fn in_words(settings: &[boost::Options]) -> String {
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

fn thresholds(
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
