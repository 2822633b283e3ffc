//! Learns an encoder from training rows.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::crosses::Comparison;
use super::encoder::{Encoder, Feature, derive_salt};
use super::event_time::{EVENT_TIME, compute_event_time_features, repeats_the_time};
use super::linear::{self, Corpus, CorpusVariable};
use super::plan::TrainingRows;
use super::variable_encoder::{FittedVariable, fit_variable};
use crate::dataset::{Dataset, ValueColumn};
use crate::histories::EntityHistories;

/// Takes each feature while features are learnt: its name and its column.
pub(crate) type FeatureSink<'a, E> = dyn FnMut(&str, &[f64]) -> Result<(), E> + 'a;

impl Encoder {
    /// Learns from the training rows of the plan, and gives `sink` every feature of all rows.
    pub fn fit<E>(
        dataset: &Dataset,
        rows: &TrainingRows<'_>,
        sink: &mut FeatureSink<'_, E>,
    ) -> Result<Self, E> {
        let variables = dataset.variables().to_vec();
        let mut encoder = Self {
            encoders: vec![None; variables.len()],
            variables,
            crosses: Vec::new(),
            linear: None,
            tracked: dataset
                .tracked_fields()
                .filter(|_| rows.plan.is_ordered())
                .cloned(),
            features: Vec::new(),
            muted: Vec::new(),
        };
        let times: Vec<Option<i64>> = rows
            .rows
            .iter()
            .map(|row| dataset.event_times()[*row as usize])
            .collect();
        encoder.fit_event_time(&times, sink)?;

        let usable: Vec<usize> = (0..encoder.variables.len())
            .filter(|v| Dataset::is_usable(&encoder.variables[*v]))
            .collect();
        let mut days: FxHashMap<usize, Vec<f64>> = FxHashMap::default();
        for group in usable.chunks(rayon::current_num_threads().max(1) * 2) {
            let fitted: Vec<FittedVariable> = group
                .par_iter()
                .map(|variable| fit_variable(dataset, *variable, rows))
                .collect();
            for (variable, mut fitted) in group.iter().zip(fitted) {
                let name = encoder.variables[*variable].name.clone();
                for (aspect, column) in &mut fitted.columns {
                    let is_clock =
                        rows.plan.is_ordered() && repeats_the_time(aspect, column, &times);
                    encoder.add_feature(
                        format!("{name} {aspect}"),
                        vec![*variable],
                        is_clock,
                        column,
                        sink,
                    )?;
                }
                if let Some(seconds) = fitted.days {
                    days.insert(*variable, seconds);
                }
                encoder.encoders[*variable] = Some(fitted.encoder);
            }
        }
        encoder.fit_texts(dataset, rows, sink)?;
        encoder.fit_crosses(dataset, rows, &times, &days, sink)?;
        encoder.fit_history(dataset, rows, sink)?;
        Ok(encoder)
    }

    /// Adds a feature and gives it to `sink`. A muted feature is always missing.
    fn add_feature<E>(
        &mut self,
        name: String,
        variables: Vec<usize>,
        muted: bool,
        column: &mut [f64],
        sink: &mut FeatureSink<'_, E>,
    ) -> Result<(), E> {
        if muted {
            column.fill(f64::NAN);
        }
        sink(&name, column)?;
        self.features.push(Feature {
            name,
            variables,
            history_variable: None,
            history_key: None,
        });
        self.muted.push(muted);
        Ok(())
    }

    /// Adds the features from the histories of the events' keys: from all earlier events, and from the labels that were
    /// known when each event happened.
    fn fit_history<E>(
        &mut self,
        dataset: &Dataset,
        rows: &TrainingRows<'_>,
        sink: &mut FeatureSink<'_, E>,
    ) -> Result<(), E> {
        let Some(tracked) = &self.tracked else {
            return Ok(());
        };
        let labels = rows.labels.iter().zip(rows.rows).enumerate();
        let labels = labels
            .filter(|(_, (bad, _))| **bad)
            .filter_map(|(at, (_, row))| Some((rows.shown_from[at]?, *row as usize)));
        let mut places = vec![u32::MAX; dataset.len()];
        for (place, row) in (0_u32..).zip(rows.rows) {
            places[*row as usize] = place;
        }
        let mut columns = vec![vec![f32::NAN; rows.rows.len()]; tracked.feature_count()];
        EntityHistories::default().replay(dataset, labels.collect(), |row, features| {
            let place = places[row] as usize;
            for (column, feature) in columns.iter_mut().zip(features) {
                if let Some(cell) = column.get_mut(place) {
                    *cell = feature;
                }
            }
        });
        for (feature, column) in tracked.features().into_iter().zip(columns) {
            let column: Vec<f64> = column.into_iter().map(f64::from).collect();
            let key = feature.key.as_deref().unwrap_or("entity");
            let name = format!("{key} {}", feature.name);
            sink(&name, &column)?;
            self.features.push(Feature {
                name,
                variables: Vec::new(),
                history_variable: Some(feature.variable.unwrap_or_default()),
                history_key: feature.key,
            });
            self.muted.push(false);
        }
        Ok(())
    }

    fn fit_event_time<E>(
        &mut self,
        times: &[Option<i64>],
        sink: &mut FeatureSink<'_, E>,
    ) -> Result<(), E> {
        for (at, name) in EVENT_TIME.iter().enumerate() {
            let mut column: Vec<f64> = times
                .iter()
                .map(|time| compute_event_time_features(*time)[at])
                .collect();
            self.add_feature((*name).to_owned(), Vec::new(), false, &mut column, sink)?;
        }
        Ok(())
    }

    fn fit_texts<E>(
        &mut self,
        dataset: &Dataset,
        rows: &TrainingRows<'_>,
        sink: &mut FeatureSink<'_, E>,
    ) -> Result<(), E> {
        let mut corpus = Corpus {
            variables: Vec::new(),
        };
        let texts = self.text_variables();
        for (variable, reading) in &texts {
            if let ValueColumn::Texts(column) = &dataset.columns()[*variable] {
                corpus.variables.push(CorpusVariable {
                    salt: derive_salt(*variable),
                    spelled: reading.is_spelled(),
                    text: Box::new(|row| column.text_of_row(rows.rows[row] as usize)),
                });
            }
        }
        if corpus.variables.is_empty() {
            return Ok(());
        }
        let (linear, mut columns) =
            linear::fit_text_model(&corpus, rows.labels, rows.plan, rows.seed);
        self.linear = Some(linear);
        for ((variable, _), column) in texts.iter().zip(&mut columns) {
            let name = format!("{} wording", self.variables[*variable].name);
            self.add_feature(name, vec![*variable], false, column, sink)?;
        }
        if columns.len() > 1 {
            let mut total: Vec<f64> = (0..rows.rows.len())
                .map(|row| {
                    columns
                        .iter()
                        .map(|column| column[row])
                        .filter(|score| !score.is_nan())
                        .sum()
                })
                .collect();
            let all = texts.iter().map(|(variable, _)| *variable).collect();
            self.add_feature("wording".to_owned(), all, false, &mut total, sink)?;
        }
        Ok(())
    }

    fn fit_crosses<E>(
        &mut self,
        dataset: &Dataset,
        rows: &TrainingRows<'_>,
        times: &[Option<i64>],
        days: &FxHashMap<usize, Vec<f64>>,
        sink: &mut FeatureSink<'_, E>,
    ) -> Result<(), E> {
        // Taken out meanwhile, because adding features borrows the whole encoder.
        let encoders = std::mem::take(&mut self.encoders);
        let comparison = Comparison {
            dataset,
            rows: rows.rows,
            times,
            encoders: &encoders,
            days,
        };
        self.crosses = comparison.find_crosses();
        for cross in self.crosses.clone() {
            let mut column = comparison.column(cross);
            let (name, variables) = cross.name(&self.variables);
            self.add_feature(name, variables, false, &mut column, sink)?;
        }
        self.encoders = encoders;
        Ok(())
    }
}
