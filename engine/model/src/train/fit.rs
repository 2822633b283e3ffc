//! Trains on checked events: cuts them into blocks, searches settings, calibrates, reports, and fits again on all
//! events.

use std::hash::BuildHasher as _;
use std::ops::ControlFlow;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::error::TrainingError;
use super::messages::{Severity, TrainingMessage};
use super::options::{ProgressReporter, TrainingOptions, TrainingProgress, TrainingStage};
use super::prepared::PreparedEvents;
use super::report::{TakeoverFigures, TrainingReport, describe_settings, measure_thresholds};
use super::search::search_settings;
use crate::calibration::{Calibration, ScoreCurve};
use crate::dataset::{Dataset, ValueColumn};
use crate::features::Encoder;
use crate::hash::{hash_with_salt, mix_bits};
use crate::maturity::{LabelledEvent, Maturity, UnlabelledTreatment, select_mature_events};
use crate::metrics::{RankedEvent, Ranking};
use crate::model::{Encoding, Model, ScoreScale};
use crate::trees::{Forest, boost};

/// Trains on a data set that passed the checks.
pub(super) fn fit_model(
    dataset: &Dataset,
    options: &TrainingOptions,
    messages: Vec<TrainingMessage>,
    curve: ScoreCurve,
    progress: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(Model, TrainingReport), TrainingError> {
    let blocks = EventBlocks::new(dataset, options)?;
    let events = &blocks.events;

    let mut tell = ProgressReporter { progress };
    tell.report(TrainingStage::Features, 0.0)?;
    let [train_to, stop_to] = blocks.cuts;
    let trial = PreparedEvents::new(dataset, events, train_to, stop_to, options)?;
    let (settings, forests) = search_settings(&trial, options, &mut tell)?;
    let trial_forest = Forest::mean(trial.matrix.columns(), &forests)?;
    let validated = trial.validation_scores(&trial_forest);
    let legit: Vec<f64> = validated
        .iter()
        .filter(|(_, fraud)| !fraud)
        .map(|(log_odds, _)| *log_odds)
        .collect();
    let calibration = measure_scale(trial.held_back_scores(&trial_forest), &legit, curve)?;
    let ranking = rank_by_entity(dataset, &events[stop_to..], &validated);
    drop(trial);

    let (encoder, forest, held_back) =
        fit_final_model(dataset, events, &settings, options, &mut tell)?;
    let model = Model {
        encoding: Encoding::Learnt(Box::new(encoder)),
        forest,
        scale: ScoreScale::Measured(measure_scale(held_back, &legit, curve)?),
    };
    let report = TrainingReport {
        messages,
        by_time: blocks.by_time,
        blocks: blocks.lengths(),
        fraud: blocks.fraud(),
        auc: ranking.auc_range(),
        average_precision: ranking.average_precision(),
        recall_at_1_percent: ranking.recall_at(0.01),
        thresholds: measure_thresholds(&calibration, &validated),
        importance: model.importance(),
        settings: describe_settings(&settings),
        trees: model.forest.trees(),
        logins: (curve == ScoreCurve::Logins)
            .then(|| TakeoverFigures::new(dataset, &events[stop_to..], &validated, &calibration)),
        maturity: blocks.maturity,
    };
    Ok((model, report))
}

/// Ranks validation events, with their entities, because events of an entity are alike. `validated` are the log-odds of
/// `events`, each with whether it is fraud.
fn rank_by_entity(
    dataset: &Dataset,
    events: &[LabelledEvent],
    validated: &[(f64, bool)],
) -> Ranking {
    let entity = |event: &LabelledEvent| dataset.entities().text_of_row(event.row as usize);
    let ranked = events
        .iter()
        .zip(validated)
        .map(|(event, (log_odds, fraud))| RankedEvent {
            entity: entity(event).map(|entity| FxBuildHasher.hash_one(entity)),
            ..RankedEvent::new(*log_odds, *fraud)
        });
    Ranking::of_events(ranked)
}

/// With fewer legitimate events than these held back, a scale is measured on the validation block.
const ENOUGH_HELD_BACK: usize = 100;

/// Measures what scores mean for a model: on its log-odds of the legitimate events that were held back from it, or on
/// those that the trial gave to the validation block, where too few were held back.
fn measure_scale(
    held_back: Vec<f64>,
    validated: &[f64],
    curve: ScoreCurve,
) -> Result<Calibration, TrainingError> {
    let measured = if held_back.len() < ENOUGH_HELD_BACK {
        Calibration::fit(validated.iter().copied())
    } else {
        Calibration::fit(held_back)
    };
    let measured = measured.ok_or(TrainingError::NothingToLearn)?;
    Ok(measured.with_curve(curve))
}

/// Fits the features and grows the trees of the model on all events but the legitimate ones that are held back.
/// Returns also the log-odds of these.
fn fit_final_model(
    dataset: &Dataset,
    events: &[LabelledEvent],
    settings: &[boost::BoostOptions],
    options: &TrainingOptions,
    tell: &mut ProgressReporter<'_>,
) -> Result<(Encoder, Forest, Vec<f64>), TrainingError> {
    tell.report(TrainingStage::AllFeatures, 0.7)?;
    let all = PreparedEvents::new(dataset, events, events.len(), events.len(), options)?;
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let width = 0.2 / settings.len() as f64;
    let mut forests = Vec::new();
    let mut from = 0.8;
    for settings in settings {
        forests.push(all.grow_forest(
            settings,
            TrainingStage::Growing,
            from..from + width,
            tell,
        )?);
        from += width;
    }
    let forest = Forest::mean(all.matrix.columns(), &forests)?;
    let held_back = all.held_back_scores(&forest);
    Ok((all.encoder, forest, held_back))
}

/// The events that can be trained on, cut into three blocks: for training, for stopping early, for validation.
struct EventBlocks {
    /// All events, in the order of the blocks.
    events: Vec<LabelledEvent>,
    /// Where the stop block and the validation block begin.
    cuts: [usize; 2],
    /// Whether the blocks follow each other in time.
    by_time: bool,
    maturity: Maturity,
}

impl EventBlocks {
    /// Cuts by time; without times by a hash of the row.
    fn new(dataset: &Dataset, options: &TrainingOptions) -> Result<Self, TrainingError> {
        let treatment = options.unlabelled.unwrap_or(UnlabelledTreatment::Legit);
        let (mut events, maturity) =
            select_mature_events(dataset, options.labels_are, treatment, options.as_of);
        let by_time = events.first().is_some_and(|event| event.time.is_some());
        let fraud = events.iter().filter(|event| event.fraud).count();
        let legit = events.len() - fraud;
        if fraud.min(legit) < 50 {
            return Err(TrainingError::Immature {
                fraud,
                legit,
                wait_days: maturity.wait_days,
                why: maturity.why,
            });
        }
        if !by_time {
            // Sorted by hash, the events can be cut into blocks as they are by time.
            let hashes = hash_rows(dataset, options.seed);
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
            return Err(TrainingError::Data(vec![TrainingMessage {
                level: Severity::Error,
                field: None,
                title: "Unstable fraud rate".to_owned(),
                content: "Fraud rate in the given data is too unstable through time. Please make sure your fraud and legitimate events are sampled uniformly over time.".to_owned(),
            }]));
        }
        Ok(blocks)
    }

    fn blocks(&self) -> [&[LabelledEvent]; 3] {
        let [train_to, stop_to] = self.cuts;
        [
            &self.events[..train_to],
            &self.events[train_to..stop_to],
            &self.events[stop_to..],
        ]
    }

    /// How many events each block has.
    fn lengths(&self) -> [usize; 3] {
        self.blocks().map(<[LabelledEvent]>::len)
    }

    /// How many of them are fraud.
    fn fraud(&self) -> [usize; 3] {
        self.blocks()
            .map(|block| block.iter().filter(|event| event.fraud).count())
    }
}

/// A hash for each row, from its values and from how often the same values came before it: equal rows are spread over
/// the blocks.
fn hash_rows(dataset: &Dataset, seed: u64) -> Vec<u64> {
    let mut hashes = vec![mix_bits(seed); dataset.len()];
    for column in dataset.columns() {
        match column {
            ValueColumn::Numbers { values, .. } => {
                for (hash, value) in hashes.iter_mut().zip(values) {
                    *hash = mix_bits(*hash ^ value.to_bits());
                }
            }
            ValueColumn::Texts(texts) => {
                for (row, hash) in hashes.iter_mut().enumerate() {
                    *hash = hash_with_salt(
                        *hash,
                        texts.text_of_row(row).unwrap_or_default().as_bytes(),
                    );
                }
            }
        }
    }
    let mut before: FxHashMap<u64, u64> = FxHashMap::default();
    for hash in &mut hashes {
        let count = before.entry(*hash).or_default();
        *count += 1;
        *hash = mix_bits(*hash ^ *count);
    }
    hashes
}
