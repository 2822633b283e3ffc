//! Models that are trained again and again while the test goes on, as one would operate.

use model::Model;

use crate::error::EvaluateError;

/// How many models one evaluation trains, at most.
const MOST_MODELS: usize = 100;

/// The models of an evaluation, each with the time from which it scores. The first scores all before the second.
pub(crate) struct ModelsInTime {
    first: Model,
    later: Vec<(i64, Model)>,
}

impl ModelsInTime {
    pub(crate) fn new(first: Model) -> Self {
        Self {
            first,
            later: Vec::new(),
        }
    }

    /// Adds a model that scores from a time on that is after those of the others.
    pub(crate) fn add(&mut self, from: i64, model: Model) {
        self.later.push((from, model));
    }

    /// The model that scores an event of this time.
    pub(crate) fn at(&self, time: Option<i64>) -> &Model {
        let in_service = |from: i64| time.is_some_and(|time| from <= time);
        let newest = self.later.iter().rev().find(|(from, _)| in_service(*from));
        newest.map_or(&self.first, |(_, model)| model)
    }

    /// How many models there are.
    pub(crate) fn count(&self) -> usize {
        1 + self.later.len()
    }

    /// The model that was trained last.
    pub(crate) fn into_newest(self) -> Model {
        let newest = self.later.into_iter().next_back();
        newest.map_or(self.first, |(_, model)| model)
    }
}

/// When models are trained again: every so many seconds after the test begins, until it ends.
pub(crate) fn list_trainings(
    (start, end): (i64, i64),
    every: i64,
) -> Result<Vec<i64>, EvaluateError> {
    let models = usize::try_from(end.saturating_sub(start) / every.max(1)).unwrap_or(usize::MAX);
    if every <= 0 || models >= MOST_MODELS {
        return Err(EvaluateError::ManyModels {
            days: end.saturating_sub(start) / 86_400,
            most: MOST_MODELS,
        });
    }
    let times = (1_i64..).map(|number| start.saturating_add(number.saturating_mul(every)));
    Ok(times.take_while(|time| *time <= end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trainings_follow_each_other_until_the_test_ends() {
        assert_eq!(list_trainings((10, 40), 10).unwrap(), [20, 30, 40]);
        assert!(list_trainings((10, 15), 10).unwrap().is_empty());
        for every in [0, 1] {
            assert!(list_trainings((0, 1_000_000), every).is_err());
        }
    }
}
