//! Trains on checked events: cuts them into blocks, searches settings, calibrates, reports, and fits again on all
//! events.

use std::ops::ControlFlow;

use rustc_hash::FxHashMap;

use super::error::TrainError;
use super::messages::{Level, Message};
use super::options::{Options, Progress, Stage, Teller};
use super::prepared::Prepared;
use super::report::{Logins, Report, in_words, thresholds};
use super::search::search;
use crate::calibration::{Calibration, Curve};
use crate::dataset::{Column, Dataset};
use crate::hash::{hash_with, mix};
use crate::maturity::{Labelled, Maturity, Unlabelled, mature};
use crate::metrics::Ranking;
use crate::model::{Encoding, Model, Scale};
use crate::trees::{Forest, boost};

/// Trains on a data set that passed the checks.
pub(super) fn fit(
    dataset: &Dataset,
    options: &Options,
    messages: Vec<Message>,
    curve: Curve,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Model, Report), TrainError> {
    let blocks = Blocks::new(dataset, options)?;
    let events = &blocks.events;

    let mut tell = Teller { progress };
    tell.at(Stage::Features, 0.0)?;
    let [train_to, stop_to] = blocks.cuts;
    let trial = Prepared::new(dataset, events, train_to, stop_to, options)?;
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

    let model = fit_all(dataset, events, &settings, &calibration, options, &mut tell)?;
    let report = Report {
        messages,
        by_time: blocks.by_time,
        blocks: blocks.lengths(),
        fraud: blocks.fraud(),
        auc: ranking.auc_range(),
        average_precision: ranking.average_precision(),
        recall_at_1_percent: ranking.recall_at(0.01),
        thresholds: thresholds(curve, &calibration, &validated),
        importance: model.importance(),
        settings: in_words(&settings),
        trees: model.forest.trees(),
        logins: (curve == Curve::Logins)
            .then(|| Logins::new(dataset, &events[stop_to..], &validated, &calibration)),
        maturity: blocks.maturity,
    };
    Ok((model, report))
}

/// Fits the features and grows the trees of the model on all events.
fn fit_all(
    dataset: &Dataset,
    events: &[Labelled],
    settings: &[boost::Options],
    calibration: &Calibration,
    options: &Options,
    tell: &mut Teller<'_>,
) -> Result<Model, TrainError> {
    tell.at(Stage::AllFeatures, 0.7)?;
    let all = Prepared::new(dataset, events, events.len(), events.len(), options)?;
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let width = 0.2 / settings.len() as f64;
    let mut forests = Vec::new();
    let mut from = 0.8;
    for settings in settings {
        forests.push(all.grow(settings, Stage::Growing, from..from + width, tell)?);
        from += width;
    }
    let forest = Forest::mean(all.matrix.columns(), &forests)?;
    Ok(Model {
        encoding: Encoding::Learnt(Box::new(all.encoder)),
        forest,
        scale: Scale::Measured(calibration.clone()),
    })
}

/// The events that can be trained on, cut into three blocks: for training, for stopping early, for validation.
struct Blocks {
    /// All events, in the order of the blocks.
    events: Vec<Labelled>,
    /// Where the stop block and the validation block begin.
    cuts: [usize; 2],
    /// Whether the blocks follow each other in time.
    by_time: bool,
    maturity: Maturity,
}

impl Blocks {
    /// Cuts by time; without times by a hash of the row.
    fn new(dataset: &Dataset, options: &Options) -> Result<Self, TrainError> {
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
            // Sorted by hash, the events can be cut into blocks as they are by time.
            let hashes = hashes(dataset, options.seed);
            events.sort_by_key(|event| hashes[event.row as usize]);
        }
        let blocks = Self {
            cuts: [events.len() * 70 / 100, events.len() * 85 / 100],
            events,
            by_time,
            maturity,
        };
        let mut of_one_class = blocks.lengths().into_iter().zip(blocks.fraud());
        if of_one_class.any(|(events, fraud)| fraud == 0 || fraud == events) {
            return Err(TrainError::Data(vec![Message {
                level: Level::Error,
                field: None,
                title: "Unstable fraud rate".to_owned(),
                content: "Fraud rate in the given data is too unstable through time. Please make sure your fraud and legitimate events are sampled uniformly over time.".to_owned(),
            }]));
        }
        Ok(blocks)
    }

    fn blocks(&self) -> [&[Labelled]; 3] {
        let [train_to, stop_to] = self.cuts;
        [
            &self.events[..train_to],
            &self.events[train_to..stop_to],
            &self.events[stop_to..],
        ]
    }

    /// How many events each block has.
    fn lengths(&self) -> [usize; 3] {
        self.blocks().map(<[Labelled]>::len)
    }

    /// How many of them are fraud.
    fn fraud(&self) -> [usize; 3] {
        self.blocks()
            .map(|block| block.iter().filter(|event| event.fraud).count())
    }
}

/// A hash for each row, from its values and from how often the same values came before it: equal rows are spread over
/// the blocks.
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
