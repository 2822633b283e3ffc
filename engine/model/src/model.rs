//! A trained model: it scores and explains events given as strings.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::categories::Categories;
use crate::features::{Encoder, Feature};
use crate::history::TrackedFields;
use crate::parse;
use crate::trees::Forest;
use crate::variable::{Variable, VariableType};

/// The name of the event's time in explanations.
pub const EVENT_TIME: &str = "EVENT_TIMESTAMP";

/// A trained model. It does not change and may be shared between threads.
#[derive(Clone, PartialEq)]
pub struct Model {
    pub(crate) encoding: Encoding,
    pub(crate) forest: Forest,
    pub(crate) scale: ScoreScale,
}

/// Only the sizes: a model has a hundred thousand numbers.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("variables", &self.variables().len())
            .field("features", &self.features().len())
            .field("trees", &self.forest.trees())
            .finish_non_exhaustive()
    }
}

/// How values become the numbers that the trees look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Encoding {
    /// By what training has learnt.
    Learnt(Box<Encoder>),
    /// Each value is read as a number, or as a category: for imported models.
    Imported(ImportedEncoding),
}

/// How an imported model reads values: variable `n` is feature `n`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImportedEncoding {
    pub(crate) variables: Vec<Variable>,
    features: Vec<Feature>,
    /// For each feature that is categorical, its values; shorter than the features if the last ones are numbers.
    pub(crate) categories: Vec<Option<Categories>>,
}

impl ImportedEncoding {
    fn encode(&self, values: &[Option<&str>], out: &mut Vec<f64>) {
        let number = |at: usize| {
            let value = values.get(at).copied().flatten();
            let value = value.and_then(parse::trim_present_value)?;
            match self.categories.get(at) {
                Some(Some(categories)) => categories.number_of(value),
                _ => parse::parse_number(value),
            }
        };
        out.clear();
        out.extend((0..self.variables.len()).map(|at| number(at).unwrap_or(f64::NAN)));
    }
}

/// How log-odds become a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ScoreScale {
    /// By the measured false-positive rate.
    Measured(Calibration),
    /// A thousand times the probability: for imported models whose false-positive rates are unknown.
    Probability,
}

/// The score of an event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score, a whole number from 0 to 1000.
    pub score: f64,
    /// The log-odds of fraud that the score was made from. They assume that fraud is as frequent as in the training
    /// data.
    pub log_odds: f64,
}

/// How log-odds are divided among the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Attribution {
    /// Along the path through each tree. Fast.
    #[default]
    Path,
    /// Exact Shapley values. Takes about a hundred times as long.
    Shapley,
}

/// How much a variable changed a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// The variable, or [`EVENT_TIME`].
    pub variable: String,
    /// How much it added to the log-odds of fraud; negative if it lowered them.
    pub log_odds: f64,
    /// The same on a scale from -5 to 5, where the variable with the largest effect has 5 or -5.
    pub relative: i8,
}

/// How much a part of a history changed a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryImpact {
    /// The key whose history it is, such as `device_id`; `None` for the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The variable that the part is about, and its impact; an empty name stands for the events as such.
    #[serde(flatten)]
    pub impact: Impact,
}

/// How much a variable, or a history, matters to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The variable, or [`EVENT_TIME`]. For entity history, the variable that it is about; empty where it is about the
    /// events as such.
    pub variable: String,
    /// The variable's type; `None` for the event's time and for entity history.
    #[serde(rename = "type")]
    pub kind: Option<VariableType>,
    /// Whether this is about a history: the entity's, or that of `history_key`.
    #[serde(default, rename = "is_habit")]
    pub is_history: bool,
    /// The key beside the entity whose history this is about, such as `device_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_key: Option<String>,
    /// Its share in the gain of all splits.
    pub share: f64,
}

impl Importance {
    /// The name to show in a table.
    pub fn name(&self) -> String {
        if !self.is_history {
            return self.variable.clone();
        }
        let whose = match &self.history_key {
            None => "the entity's history".to_owned(),
            Some(key) => format!("the history of each {key}"),
        };
        match self.variable.as_str() {
            "" => whose,
            variable => format!("{whose}: {variable}"),
        }
    }
}

/// A score divided among the variables and the histories: `expected` and all impacts add up to the log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The score that is explained.
    pub score: Score,
    /// The log-odds of the average training event.
    pub expected: f64,
    /// One impact for each variable, in their order; then that of the event's time.
    pub impacts: Vec<Impact>,
    /// The impacts of the histories of the event's keys.
    #[serde(rename = "habits")]
    pub history: Vec<HistoryImpact>,
}

impl Model {
    /// An imported model over numbers: variable `n` is feature `n` of the forest, and a value that is not a number
    /// counts as missing; for categories see [`Model::with_categories`]. `legit` are the log-odds of legitimate events that the model was not trained on; scores then
    /// follow their false-positive rate. Without them, a score is a thousand times the probability: rules written for
    /// scores of the other kind must not be used with it.
    ///
    /// # Errors
    /// The number of the forest's features, if it is not the number of variables.
    pub fn from_forest(
        variables: Vec<Variable>,
        forest: Forest,
        legit: Option<&[f64]>,
    ) -> Result<Self, usize> {
        if variables.len() != forest.features() {
            return Err(forest.features());
        }
        let features = variables
            .iter()
            .enumerate()
            .map(|(at, variable)| Feature {
                name: variable.name.clone(),
                variables: vec![at],
                history_variable: None,
                history_key: None,
            })
            .collect();
        let calibration = legit.and_then(|legit| Calibration::fit(legit.iter().copied()));
        Ok(Self {
            encoding: Encoding::Imported(ImportedEncoding {
                variables,
                features,
                categories: Vec::new(),
            }),
            forest,
            scale: calibration.map_or(ScoreScale::Probability, ScoreScale::Measured),
        })
    }

    /// The same imported model, with the values of its categorical features, in the order of the features. A value that is
    /// not among them counts as missing.
    #[must_use]
    pub fn with_categories(mut self, categories: Vec<Option<Categories>>) -> Self {
        if let Encoding::Imported(imported) = &mut self.encoding {
            imported.categories = categories;
        }
        self
    }

    /// The variables, in the order in which values are given.
    pub fn variables(&self) -> &[Variable] {
        match &self.encoding {
            Encoding::Learnt(encoder) => &encoder.variables,
            Encoding::Imported(imported) => &imported.variables,
        }
    }

    /// The features: the numbers that the trees look at.
    pub fn features(&self) -> &[Feature] {
        match &self.encoding {
            Encoding::Learnt(encoder) => &encoder.features,
            Encoding::Imported(imported) => &imported.features,
        }
    }

    /// The trees.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// How scores were calibrated; `None` where they are probabilities.
    pub fn calibration(&self) -> Option<&Calibration> {
        match &self.scale {
            ScoreScale::Measured(calibration) => Some(calibration),
            ScoreScale::Probability => None,
        }
    }

    /// The fields of the entity's earlier events that the model learnt from, if it did.
    pub fn tracked_fields(&self) -> Option<&TrackedFields> {
        match &self.encoding {
            Encoding::Learnt(encoder) => encoder.tracked.as_ref(),
            Encoding::Imported(_) => None,
        }
    }

    /// Scores an event. `values` are in the order of [`Model::variables`], `None` where missing; `event_time` is in
    /// seconds since 1970; `history` is what [`EntityHistories::features`](crate::EntityHistories::features) gives, or
    /// empty where the model has no tracked fields or the event no key.
    pub fn score(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
    ) -> Score {
        let mut row = Vec::with_capacity(self.features().len());
        self.encode(values, event_time, history, &mut row);
        self.score_of_log_odds(self.forest.log_odds(&row))
    }

    /// Scores an event and divides the score among the variables.
    pub fn explain(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
        attribution: Attribution,
    ) -> Explanation {
        let mut row = Vec::with_capacity(self.features().len());
        self.encode(values, event_time, history, &mut row);
        let contributions = match attribution {
            Attribution::Path => {
                let mut into = vec![0.0; row.len()];
                self.forest.contributions(&row, &mut into);
                into
            }
            Attribution::Shapley => self.forest.shapley(&row),
        };
        let (sums, of_history) = (
            self.sum_by_variable(&contributions),
            self.sum_by_history(&contributions),
        );
        let all = sums.iter().chain(of_history.iter().map(|part| &part.sum));
        let most = all.fold(0.0_f64, |most, sum| most.max(sum.abs()));
        let impact = |(name, sum): (&str, &f64)| Impact {
            variable: name.to_owned(),
            log_odds: *sum,
            relative: scale_impact(*sum, most),
        };
        let names = self
            .variables()
            .iter()
            .map(|variable| variable.name.as_str());
        Explanation {
            score: self.score_of_log_odds(self.forest.log_odds(&row)),
            expected: self.forest.expected(),
            impacts: names.chain([EVENT_TIME]).zip(&sums).map(impact).collect(),
            history: of_history
                .iter()
                .map(|part| HistoryImpact {
                    key: part.key.map(str::to_owned),
                    impact: impact((part.variable, &part.sum)),
                })
                .collect(),
        }
    }

    /// How much each variable, the event's time and each history matter: by the gain of their splits in
    /// training, most important first.
    pub fn importance(&self) -> Vec<Importance> {
        let gains = self.forest.importance();
        let total: f64 = gains.iter().sum();
        let share = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
        let names = self
            .variables()
            .iter()
            .map(|variable| (variable.name.as_str(), Some(variable.kind)));
        let variables = names
            .chain([(EVENT_TIME, None)])
            .zip(self.sum_by_variable(&gains))
            .map(|((variable, kind), sum)| Importance {
                variable: variable.to_owned(),
                kind,
                is_history: false,
                history_key: None,
                share: share(sum),
            });
        let of_history = self.sum_by_history(&gains).into_iter();
        let of_history = of_history.map(|part| Importance {
            variable: part.variable.to_owned(),
            kind: None,
            is_history: true,
            history_key: part.key.map(str::to_owned),
            share: share(part.sum),
        });
        let mut importance: Vec<Importance> = variables.chain(of_history).collect();
        importance.sort_by(|a, b| b.share.total_cmp(&a.share));
        importance
    }

    /// Writes the features of an event into `out`, in the order of [`Model::features`].
    pub fn encode(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
        out: &mut Vec<f64>,
    ) {
        match &self.encoding {
            Encoding::Learnt(encoder) => encoder.encode(values, event_time, history, out),
            Encoding::Imported(imported) => imported.encode(values, out),
        }
    }

    fn score_of_log_odds(&self, log_odds: f64) -> Score {
        let score = match &self.scale {
            ScoreScale::Measured(calibration) => calibration.score(log_odds),
            ScoreScale::Probability => 1000.0 / (1.0 + (-log_odds).exp()),
        };
        Score {
            score: score.round(),
            log_odds,
        }
    }

    /// The sum over the features of each variable, then that of the event's time. A feature of several variables is
    /// divided evenly among them.
    fn sum_by_variable(&self, by_feature: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.variables().len() + 1];
        let last = sums.len() - 1;
        for (feature, value) in self.features().iter().zip(by_feature) {
            if feature.variables.is_empty() && feature.history_variable.is_none() {
                sums[last] += value;
            }
            #[expect(clippy::cast_precision_loss, reason = "a handful of variables")]
            let share = value / feature.variables.len() as f64;
            for variable in &feature.variables {
                sums[*variable] += share;
            }
        }
        sums
    }

    /// The sums over the features of each history, by the variable that they are about.
    fn sum_by_history<'a>(&'a self, by_feature: &[f64]) -> Vec<HistorySum<'a>> {
        let mut sums: Vec<HistorySum<'_>> = Vec::new();
        for (feature, value) in self.features().iter().zip(by_feature) {
            let Some(variable) = feature.history_variable.as_deref() else {
                continue;
            };
            let key = feature.history_key.as_deref();
            let same = |part: &&mut HistorySum<'_>| part.key == key && part.variable == variable;
            match sums.iter_mut().find(same) {
                Some(part) => part.sum += value,
                None => sums.push(HistorySum {
                    key,
                    variable,
                    sum: *value,
                }),
            }
        }
        sums
    }
}

/// What the features of one history that are about one variable add up to.
struct HistorySum<'a> {
    key: Option<&'a str>,
    variable: &'a str,
    sum: f64,
}

fn scale_impact(impact: f64, most: f64) -> i8 {
    if most <= 0.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "from -5 to 5")]
    let relative = (5.0 * impact / most).round() as i8;
    relative
}
