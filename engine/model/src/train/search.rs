//! Searches the best settings for the trees.

use super::error::TrainingError;
use super::options::{ProgressReporter, TrainingOptions, TrainingStage};
use super::prepared::PreparedEvents;
use crate::trees::Forest;
use crate::trees::boost::{self, StopMetric};

/// Limits the trials to so many values (rows times columns) of the training block, so that large data gets fewer
/// trials. There, other settings gain least.
const SEARCH_VALUES: usize = 60_000_000;

/// The settings to try, from the most promising.
fn list_candidates(
    rows: usize,
    columns: usize,
    options: &TrainingOptions,
) -> Vec<boost::BoostOptions> {
    let is_large = rows > 200_000;
    let most = 400;
    let base = boost::BoostOptions {
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
        ..boost::BoostOptions::default()
    };
    let with =
        |max_leaves, min_rows, lambda_l2, feature_fraction, row_fraction| boost::BoostOptions {
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

/// How many of the best forests are averaged, at most: together they are better than the best alone.
const MOST_FORESTS: usize = 3;
/// A forest is averaged only if its loss is at most this share above that of the best.
const NEARLY_BEST: f64 = 0.05;

/// Settings that were tried, and their result.
struct Trial {
    settings: boost::BoostOptions,
    /// The lowest loss on the stop block.
    loss: f64,
    forest: Forest,
}

/// Tries settings on the training block. Returns those worth averaging, best first, adjusted to all rows, and the
/// forests that they gave.
pub(super) fn search_settings(
    trial: &PreparedEvents,
    options: &TrainingOptions,
    tell: &mut ProgressReporter<'_>,
) -> Result<(Vec<boost::BoostOptions>, Vec<Forest>), TrainingError> {
    let candidates = list_candidates(trial.train.len(), trial.matrix.columns(), options);
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let width = 0.6 / candidates.len() as f64;
    let mut found: Vec<Trial> = Vec::new();
    let mut from = 0.1;
    for settings in candidates {
        let trained =
            trial.boost_forest(&settings, TrainingStage::Search, from..from + width, tell);
        from += width;
        let trained = match trained {
            // These settings require larger leaves than so few rows allow.
            Err(TrainingError::NothingToLearn) => continue,
            trained => trained?,
        };
        let loss = trained
            .measures
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        found.push(Trial {
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
        return Err(TrainingError::NothingToLearn);
    }
    Ok(found
        .into_iter()
        .map(|found| {
            let trees = found.forest.trees();
            let settings = boost::BoostOptions {
                // All rows together allow more trees.
                trees: trees + trees / 10 + 1,
                ..found.settings
            };
            (settings, found.forest)
        })
        .unzip())
}
