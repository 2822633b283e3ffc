//! The first words about an evaluation: what was measured on what, how good it is, what it means, and what to doubt.

use crate::format::{format_amount, format_auc, format_percent, format_share};
use crate::measures::{Measures, ThresholdEffect};
use crate::result::EvaluationResult;
use crate::score_promise::ScorePromise;

/// With less fraud than this, ranges are wide and a second test may be quite different.
const FEW_FRAUDS: usize = 100;
/// An area under the ROC curve that is seldom true: more often a column knows the label.
const TOO_GOOD: f64 = 0.995;
/// An AUC that is lower by no more than this is about as good.
const ABOUT_AS_GOOD: f64 = 0.01;
/// The effect of a threshold is said for so many events.
const TOLD: f64 = 10_000.0;

impl EvaluationResult {
    /// The summary, of three to six sentences.
    pub(crate) fn write_summary(&self) -> Vec<String> {
        let on = self.test.as_deref().or(self.divided).unwrap_or_default();
        let measures = &self.measures;
        let mut sentences = describe_measures(measures, &self.train, on);
        let doubts = self.list_doubts();
        sentences.push(match doubts.as_slice() {
            [] => "Nothing in the data speaks against these figures.".to_owned(),
            doubts => format!("To be doubted: {}.", doubts.join("; ")),
        });
        sentences
    }

    /// What speaks against the figures, in a few words each.
    fn list_doubts(&self) -> Vec<String> {
        let mut doubts = list_doubts_of(&self.measures);
        if !self.test_notes.is_empty() {
            doubts.push("the test is not newer than what trains, or is part of it".to_owned());
        }
        if self.score_promises.iter().any(is_broken) {
            doubts.push("more legitimate events score high than scores promise".to_owned());
        }
        let warnings = self.training.messages.iter();
        let warnings = warnings.filter(|message| message.level == model::Severity::Warning);
        match warnings.count() {
            0 => {}
            1 => doubts.push("a warning about the data (see the notes)".to_owned()),
            count => doubts.push(format!("{count} warnings about the data (see the notes)")),
        }
        doubts
    }
}

fn is_broken(promise: &ScorePromise) -> bool {
    !promise.kept
}

fn list_doubts_of(measures: &Measures) -> Vec<String> {
    let mut doubts = Vec::new();
    let fraud = measures.fraud;
    if fraud < FEW_FRAUDS {
        doubts.push(format!("there are only {fraud} frauds"));
    }
    if let Some(entities) = measures.fraud_entities
        && entities < fraud
    {
        doubts.push(format!(
            "the {fraud} frauds are of {entities} entities, and events of one entity are alike; the ranges count it"
        ));
    }
    if measures.auc.value >= TOO_GOOD {
        doubts.push(
            "so high an AUC is rare; a column may know the label, such as one that is filled in later".to_owned(),
        );
    }
    if measures.auc.low <= 0.5 {
        doubts.push("the model may be no better than chance".to_owned());
    }
    if let Some(look_up) = &measures.best_look_up
        && look_up.auc + ABOUT_AS_GOOD >= measures.auc.value
    {
        doubts.push(format!(
            "a look-up on `{}` alone is about as good (AUC {:.4})",
            look_up.column, look_up.auc
        ));
    }
    doubts
}

fn describe_measures(measures: &Measures, train: &str, on: &str) -> Vec<String> {
    let Measures { events, fraud, .. } = measures;
    let recall = &measures.recall_at_1_percent_fpr;
    #[expect(clippy::cast_precision_loss, reason = "counts of events")]
    let rate = *fraud as f64 / (*events).max(1) as f64;
    let mut sentences = vec![
        format!(
            "A model trained on {train} was measured on {events} events that it was not trained on ({on}), {fraud} of \
             them fraud ({}).",
            format_percent(rate)
        ),
        format!(
            "Its AUC is {}, and where 1 % of the legitimate events are called fraud, it finds {} of the fraud; the \
             ranges are of 95 %.",
            format_auc(&measures.auc),
            format_share(recall)
        ),
    ];
    if let Some(effect) = measures.recommended_effect() {
        sentences.push(describe_effect(effect, measures));
    } else {
        sentences.push(
            "No threshold of the table calls at most 1 % of the legitimate events fraud."
                .to_owned(),
        );
    }
    if let (Some(all), Some(effect)) = (measures.fraud_amount, measures.recommended_effect())
        && let (Some(found), Some(share)) = (effect.amount_found, &effect.amount_recall)
    {
        sentences.push(format!(
            "By money, it finds {} of {} in fraud, {}.",
            format_amount(found),
            format_amount(all),
            format_share(share)
        ));
    }
    sentences
}

/// What a threshold means for ten thousand events with as much fraud as the test has.
#[expect(clippy::cast_precision_loss, reason = "counts of events")]
fn describe_effect(effect: &ThresholdEffect, measures: &Measures) -> String {
    let per = |count: usize| format!("{:.0}", count as f64 / measures.events as f64 * TOLD);
    let called = effect.legit_called + effect.fraud_called;
    format!(
        "Of {} such events, a score of {:.0} or more (the lowest threshold of the table that calls at most 1 % of the \
         legitimate events fraud) holds {}, of which {} are fraud, and lets {} frauds through.",
        format_amount(TOLD),
        effect.score,
        per(called),
        per(effect.fraud_called),
        per(measures.fraud.saturating_sub(effect.fraud_called)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::{LookUps, ScoredEvent};

    /// 1,000 legitimate events, and fraud of which `high` of `all` score 999, each of one of so many entities.
    fn measures(high: usize, all: usize, entities: Option<u64>) -> Measures {
        let legit = (0..1000).map(|n| ScoredEvent::of_log_odds(f64::from(n) * 0.95));
        let fraud = (0..all).map(|n| ScoredEvent {
            fraud: true,
            amount: Some(100.0),
            entity: entities.map(|entities| n as u64 % entities),
            ..ScoredEvent::of_log_odds(if n < high { 999.0 } else { 100.0 })
        });
        let scored: Vec<ScoredEvent> = legit.chain(fraud).collect();
        Measures::new(&scored, &[], &LookUps::new(&[]))
    }

    #[test]
    fn a_summary_in_words() {
        let sentences = describe_measures(&measures(40, 50, None), "orders.csv", "new.csv");
        let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
        assert_eq!(
            texts[0],
            "A model trained on orders.csv was measured on 1050 events that it was not trained on (new.csv), 50 of them \
             fraud (4.8 %)."
        );
        assert!(
            texts[1].contains("it finds 80.0 % (") && texts[1].ends_with("the ranges are of 95 %.")
        );
        assert_eq!(
            texts[2],
            "Of 10\u{a0}000 such events, a score of 950 or more (the lowest threshold of the table that calls at most 1 % of \
             the legitimate events fraud) holds 381, of which 381 are fraud, and lets 95 frauds through."
        );
        assert!(
            texts[3].starts_with("By money, it finds 4\u{a0}000 of 5\u{a0}000 in fraud, 80.0 % ("),
            "{}",
            texts[3]
        );
    }

    #[test]
    fn doubts_in_words() {
        for (measures, expected) in [
            (measures(400, 500, None), &[][..]),
            (measures(40, 50, None), &["there are only 50 frauds"]),
            (
                measures(400, 500, Some(20)),
                &["the 500 frauds are of 20 entities"],
            ),
            (measures(500, 500, None), &["so high an AUC is rare"]),
            (
                measures(0, 200, None),
                &["the model may be no better than chance"],
            ),
        ] {
            let doubts = list_doubts_of(&measures);
            assert_eq!(doubts.len(), expected.len(), "{doubts:?}");
            for (doubt, expected) in doubts.iter().zip(expected) {
                assert!(doubt.starts_with(expected), "{doubt}");
            }
        }
    }
}
