//! The encoder: from the strings of an event to its features.

use serde::{Deserialize, Serialize};

use super::crosses::{Cross, MOST_VARIABLES};
use super::event_time::{EVENT_TIME, compute_event_time_features};
use super::linear::{self, TextModel};
use super::nearness::NEARNESS_FEATURES;
use super::variable_encoder::VariableEncoder;
use crate::hash::{mix_bits, shorten_key};
use crate::history::TrackedFields;
use crate::parse;
use crate::value_reader::{ReadValue, ValueReader};
use crate::variable::Variable;

/// A feature: one of the numbers that trees look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// The variable and the aspect, such as `ip /24 lift`.
    pub name: String,
    /// The variables that it is made of, by their places; empty for the event's time and for entity history.
    pub variables: Vec<usize>,
    /// For a history, the variable that it is about, empty where it is about the events as such. `None` for other
    /// features.
    #[serde(rename = "habit", default, skip_serializing_if = "Option::is_none")]
    pub history_variable: Option<String>,
    /// For the history of a key beside the entity, the name of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_key: Option<String>,
}

/// Turns the strings of an event into features. It is learnt from training rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoder {
    pub variables: Vec<Variable>,
    /// By variable; `None` where a variable is never a feature.
    pub encoders: Vec<Option<VariableEncoder>>,
    pub crosses: Vec<Cross>,
    pub linear: Option<TextModel>,
    /// The fields that entity history keeps, if the model uses it.
    pub tracked: Option<TrackedFields>,
    pub features: Vec<Feature>,
    /// Features that only repeat the time, and are always missing: in service, times are later than all in training.
    pub muted: Vec<bool>,
}

impl Encoder {
    /// Writes the features of an event into `out`. `values` are in the order of the variables; `history` are the
    /// features from the histories of its keys, or empty.
    pub fn encode(
        &self,
        values: &[Option<&str>],
        event_time: Option<i64>,
        history: &[f32],
        out: &mut Vec<f64>,
    ) {
        out.clear();
        out.extend(compute_event_time_features(event_time));
        let mut read = ReadValue::default();
        let mut days = [f64::NAN; MOST_VARIABLES];
        let mut last_keys = [0_u32; MOST_VARIABLES];
        let value = |variable: usize| {
            values
                .get(variable)
                .copied()
                .flatten()
                .and_then(parse::trim_present_value)
        };
        for (variable, encoder) in self.encoders.iter().enumerate() {
            let Some(encoder) = encoder else { continue };
            match value(variable) {
                Some(text) => encoder.reading.read(text, &mut read),
                None => encoder.reading.read_missing(&mut read),
            }
            if let Some(place) = days.get_mut(variable) {
                *place = read.numbers[0];
                last_keys[variable] = read.keys.last().copied().map_or(0, shorten_key);
            }
            out.extend_from_slice(&read.numbers);
            encoder.encode_keys(&read.keys, out);
            encoder.encode_nearness(&read.numbers, out);
        }
        if let Some(linear) = &self.linear {
            self.encode_texts(linear, &value, out);
        }
        for cross in &self.crosses {
            out.push(cross.encode(event_time, &days, &last_keys));
        }
        let known = |at: usize| history.get(at).copied().map_or(f64::NAN, f64::from);
        out.extend((0..self.history_features()).map(known));
        for (number, muted) in out.iter_mut().zip(&self.muted) {
            if *muted {
                *number = f64::NAN;
            }
        }
    }

    fn history_features(&self) -> usize {
        self.tracked
            .as_ref()
            .map_or(0, TrackedFields::feature_count)
    }

    /// Whether the parts fit each other, so that encoding cannot fail.
    pub fn is_sound(&self) -> bool {
        let own = |encoder: &VariableEncoder| {
            let code = usize::from(encoder.reading == ValueReader::Category { wide: false });
            let nearness = encoder
                .bad_addresses
                .as_ref()
                .map_or(0, |_| NEARNESS_FEATURES);
            let reading = encoder.reading;
            reading.number_names().len() + code + 2 * reading.level_names().len() + nearness
        };
        let texts = match (self.text_variables().len(), &self.linear) {
            (_, None) => 0,
            (1, _) => 1,
            (texts, _) => texts + 1,
        };
        let many = EVENT_TIME.len()
            + self.encoders.iter().flatten().map(own).sum::<usize>()
            + texts
            + self.crosses.len()
            + self.history_features();
        let compared = self.variables.len().min(MOST_VARIABLES);
        let crosses_fit = self.crosses.iter().all(|cross| cross.is_within(compared));
        let mut named = self.features.iter().flat_map(|feature| &feature.variables);
        self.features.len() == many
            && self.muted.len() == many
            && crosses_fit
            && named.all(|variable| *variable < self.variables.len())
            && self
                .linear
                .as_ref()
                .is_none_or(|linear| linear.buckets.len() == 1 << linear.bits)
    }

    /// The variables that are text, in order.
    pub(super) fn text_variables(&self) -> Vec<(usize, ValueReader)> {
        let encoders = self.encoders.iter().enumerate();
        encoders
            .filter_map(|(variable, encoder)| Some((variable, encoder.as_ref()?.reading)))
            .filter(|(_, reading)| reading.is_text())
            .collect()
    }

    fn encode_texts<'a>(
        &self,
        linear: &TextModel,
        value: &dyn Fn(usize) -> Option<&'a str>,
        out: &mut Vec<f64>,
    ) {
        let mut tokens = Vec::new();
        let (mut total, mut many) = (0.0, 0);
        for (variable, encoder) in self.encoders.iter().enumerate() {
            let Some(reading) = encoder
                .as_ref()
                .map(|encoder| encoder.reading)
                .filter(|reading| reading.is_text())
            else {
                continue;
            };
            tokens.clear();
            if let Some(text) = value(variable) {
                linear::hash_tokens(
                    derive_salt(variable),
                    text,
                    reading.is_spelled(),
                    &mut tokens,
                );
            }
            let score = if tokens.is_empty() {
                f64::NAN
            } else {
                linear.score(&tokens)
            };
            if !score.is_nan() {
                total += score;
            }
            many += 1;
            out.push(score);
        }
        if many > 1 {
            out.push(total);
        }
    }
}

/// A salt for each variable, so that the same token of two variables is two tokens.
pub(super) fn derive_salt(variable: usize) -> u64 {
    mix_bits(variable as u64 + 1)
}
