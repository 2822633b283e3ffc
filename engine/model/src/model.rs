//! A trained model: strings in, score and explanation out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::features::{Encoder, Feature};
use crate::history::Watched;
use crate::parse;
use crate::trees::Forest;
use crate::variable::{Variable, VariableType};

/// What explanations call the event's time.
pub const EVENT_TIME: &str = "EVENT_TIMESTAMP";

/// A trained model. It does not change and may be shared between threads.
#[derive(Clone, PartialEq)]
pub struct Model {
    pub(crate) encoding: Encoding,
    pub(crate) forest: Forest,
    pub(crate) scale: Scale,
}

/// In short: the whole has a hundred thousand numbers.
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
    /// As training learnt it.
    Learnt(Box<Encoder>),
    /// Each variable is the number that it holds: models from elsewhere.
    Numbers(Vec<Variable>, Vec<Feature>),
}

/// How log-odds become a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Scale {
    /// By the false-positive rate that was measured.
    Measured(Calibration),
    /// A thousand times the probability: models from elsewhere, of which no rate is known.
    Probability,
}

/// What a model says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score, a whole number from 0 to 1000.
    pub score: f64,
    /// What it was made from: the log-odds of fraud, by the share of fraud in the training data.
    pub log_odds: f64,
}

/// How the log-odds are divided among the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Attribution {
    /// Along the path through each tree. Fast.
    #[default]
    Path,
    /// Exact Shapley values. Some hundred times the work.
    Shapley,
}

/// What a variable did to a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// The variable, or [`EVENT_TIME`].
    pub variable: String,
    /// How much it added to the log-odds.
    pub log_odds: f64,
    /// The same from -5 to 5, 5 being as much as the variable that did most.
    pub relative: i8,
}

/// How much a variable matters, or what the entity did before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The variable, or [`EVENT_TIME`]; of a habit the variable that it is about, empty for the mere events.
    pub variable: String,
    /// The variable's type; of the event's time and of habits `None`.
    #[serde(rename = "type")]
    pub kind: Option<VariableType>,
    /// Whether it is what the entity did before.
    #[serde(default)]
    pub is_habit: bool,
    /// Its share in what all splits gained.
    pub share: f64,
}

impl Importance {
    /// What a table calls it.
    pub fn name(&self) -> String {
        match (self.is_habit, self.variable.as_str()) {
            (false, variable) => variable.to_owned(),
            (true, "") => "the entity's history".to_owned(),
            (true, variable) => format!("the entity's history of {variable}"),
        }
    }
}

/// A score divided among the variables and the entity's habits: `expected` and all impacts sum to the log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What is explained.
    pub score: Score,
    /// The log-odds of the average training event.
    pub expected: f64,
    /// One for each variable, in their order, then the event's time.
    pub impacts: Vec<Impact>,
    /// What the entity had done before, by the variable that it is about; empty: the mere events.
    pub habits: Vec<Impact>,
}

impl Model {
    /// A model trained elsewhere, over numbers: variable `n` is feature `n` of the forest; what is no number is
    /// missing. Scores follow the false-positive rate of `legit`, log-odds of legitimate events that the model has
    /// not been trained on; without them a score is a thousand times the probability, which rules written for the
    /// other scale must not be used with.
    ///
    /// # Errors
    /// The number of features that the forest has, if there are not as many variables.
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
                habit: None,
            })
            .collect();
        let calibration = legit.and_then(|legit| Calibration::fit(legit.iter().copied()));
        Ok(Self {
            encoding: Encoding::Numbers(variables, features),
            forest,
            scale: calibration.map_or(Scale::Probability, Scale::Measured),
        })
    }

    /// The variables, in the order in which values are given.
    pub fn variables(&self) -> &[Variable] {
        match &self.encoding {
            Encoding::Learnt(encoder) => &encoder.variables,
            Encoding::Numbers(variables, _) => variables,
        }
    }

    /// The numbers that the trees look at.
    pub fn features(&self) -> &[Feature] {
        match &self.encoding {
            Encoding::Learnt(encoder) => &encoder.features,
            Encoding::Numbers(_, features) => features,
        }
    }

    /// The trees.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// How scores were calibrated; `None` where they are probabilities.
    pub fn calibration(&self) -> Option<&Calibration> {
        match &self.scale {
            Scale::Measured(calibration) => Some(calibration),
            Scale::Probability => None,
        }
    }

    /// What the model wants to know of the entity's earlier events, if anything.
    pub fn watched(&self) -> Option<&Watched> {
        match &self.encoding {
            Encoding::Learnt(encoder) => encoder.watched.as_ref(),
            Encoding::Numbers(..) => None,
        }
    }

    /// Scores an event. Values are in the order of [`Model::variables`], those missing `None`; the time is in seconds
    /// since 1970; `history` is what [`Profile::features`](crate::history::Profile::features) gives of the entity,
    /// empty where the model does not ask or there is no entity.
    pub fn score(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
    ) -> Score {
        let mut row = Vec::with_capacity(self.features().len());
        self.encode(values, event_time, history, &mut row);
        self.of_log_odds(self.forest.log_odds(&row))
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
        let (sums, habits) = (
            self.by_variable(&contributions),
            self.by_habit(&contributions),
        );
        let all = sums.iter().chain(habits.iter().map(|(_, sum)| sum));
        let most = all.fold(0.0_f64, |most, sum| most.max(sum.abs()));
        let impact = |(name, sum): (&str, &f64)| Impact {
            variable: name.to_owned(),
            log_odds: *sum,
            relative: relative(*sum, most),
        };
        let names = self
            .variables()
            .iter()
            .map(|variable| variable.name.as_str());
        Explanation {
            score: self.of_log_odds(self.forest.log_odds(&row)),
            expected: self.forest.expected(),
            impacts: names.chain([EVENT_TIME]).zip(&sums).map(impact).collect(),
            habits: habits
                .iter()
                .map(|(name, sum)| impact((name, sum)))
                .collect(),
        }
    }

    /// How much the splits of each variable, of the event's time and of each habit gained in training, most first.
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
            .zip(self.by_variable(&gains))
            .map(|((variable, kind), sum)| Importance {
                variable: variable.to_owned(),
                kind,
                is_habit: false,
                share: share(sum),
            });
        let habits = self.by_habit(&gains).into_iter();
        let habits = habits.map(|(variable, sum)| Importance {
            variable: variable.to_owned(),
            kind: None,
            is_habit: true,
            share: share(sum),
        });
        let mut importance: Vec<Importance> = variables.chain(habits).collect();
        importance.sort_by(|a, b| b.share.total_cmp(&a.share));
        importance
    }

    /// The numbers of an event, in the order of [`Model::features`].
    pub fn encode(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
        out: &mut Vec<f64>,
    ) {
        match &self.encoding {
            Encoding::Learnt(encoder) => encoder.encode(values, event_time, history, out),
            Encoding::Numbers(variables, _) => {
                let number = |at: usize| {
                    values
                        .get(at)
                        .copied()
                        .flatten()
                        .and_then(parse::present)
                        .and_then(parse::number)
                };
                out.clear();
                out.extend((0..variables.len()).map(|at| number(at).unwrap_or(f64::NAN)));
            }
        }
    }

    fn of_log_odds(&self, log_odds: f64) -> Score {
        let score = match &self.scale {
            Scale::Measured(calibration) => calibration.score(log_odds),
            Scale::Probability => 1000.0 / (1.0 + (-log_odds).exp()),
        };
        Score {
            score: score.round(),
            log_odds,
        }
    }

    /// Sums over each variable's features, last those of the event's time. A feature of several variables is shared
    /// out evenly.
    fn by_variable(&self, by_feature: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.variables().len() + 1];
        let last = sums.len() - 1;
        for (feature, value) in self.features().iter().zip(by_feature) {
            if feature.variables.is_empty() && feature.habit.is_none() {
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

    /// Sums over the features of each habit, in the order of the features.
    fn by_habit<'a>(&'a self, by_feature: &[f64]) -> Vec<(&'a str, f64)> {
        let mut sums: Vec<(&str, f64)> = Vec::new();
        for (feature, value) in self.features().iter().zip(by_feature) {
            let Some(habit) = feature.habit.as_deref() else {
                continue;
            };
            match sums.iter_mut().find(|(name, _)| *name == habit) {
                Some((_, sum)) => *sum += value,
                None => sums.push((habit, *value)),
            }
        }
        sums
    }
}

fn relative(impact: f64, most: f64) -> i8 {
    if most <= 0.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "from -5 to 5")]
    let relative = (5.0 * impact / most).round() as i8;
    relative
}
