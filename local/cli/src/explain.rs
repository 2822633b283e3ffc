//! `fraudstream explain`: what each variable did to the score of an order.

use std::fmt;

use engine::{Engine, ExplainedPrediction, ExplainedScore, ExplainedVariable};
use event::EventId;
use model::Attribution;
use serde::Serialize;

use crate::grid::grid;

/// A value longer than this is cut in the table.
const LONGEST: usize = 48;

/// Why the newest prediction of an order came out as it did.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// How the scores are divided: `path` or `shapley`.
    pub attribution: &'static str,
    /// The prediction with its scores.
    #[serde(flatten)]
    pub prediction: ExplainedPrediction,
}

/// Explains the newest prediction of an order, by its id as the shop or as the event has it.
///
/// # Errors
/// There is no prediction, or the engine's tables fail.
pub async fn order(
    engine: &Engine,
    event_type: &str,
    order_id: &str,
    exact: bool,
) -> Result<Explained, engine::Error> {
    let (name, attribution) = if exact {
        ("shapley", Attribution::Shapley)
    } else {
        ("path", Attribution::Path)
    };
    let event_id = EventId::slug(order_id);
    let prediction = engine.explain(event_type, event_id.as_str(), attribution);
    Ok(Explained {
        attribution: name,
        prediction: prediction.await?,
    })
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExplainedPrediction {
            event_id,
            prediction_timestamp,
            detector_id,
            detector_version_id,
            models,
            ..
        } = &self.prediction;
        writeln!(
            f,
            "event {event_id}, judged at {prediction_timestamp} by version {detector_version_id} of detector {detector_id}"
        )?;
        if models.is_empty() {
            writeln!(f, "\nno model scored it: only rules judged")?;
        }
        for model in models {
            score(f, model)?;
        }
        Ok(())
    }
}

fn score(f: &mut fmt::Formatter<'_>, model: &ExplainedScore) -> fmt::Result {
    let ExplainedScore {
        model_id,
        model_version,
        score,
        variables,
        ..
    } = model;
    write!(f, "\n{model_id} {model_version}: score {score}")?;
    let (Some(log_odds), Some(expected)) = (model.log_odds, model.expected) else {
        let problem = model.problem.as_deref().unwrap_or_default();
        return writeln!(f, "\n  cannot be explained: {problem}");
    };
    writeln!(
        f,
        ", log-odds {log_odds:.3}; the average event has {expected:.3}\n"
    )?;
    let row = |variable: &ExplainedVariable| {
        vec![
            variable.name.clone(),
            shown(variable.value.as_deref()),
            format!("{:+.3}", variable.log_odds_impact),
            match variable.relative_impact {
                0 => "0".to_owned(),
                relative => format!("{relative:+}"),
            },
        ]
    };
    let header = ["variable", "value", "log-odds", "-5 to 5"];
    writeln!(f, "{}", grid(&header, variables.iter().map(row)))
}

fn shown(value: Option<&str>) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    // What somebody typed at a checkout must not move the cursor of who looks at it.
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut text: String = value.chars().take(LONGEST).map(plain).collect();
    if value.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(models: Vec<ExplainedScore>) -> Explained {
        Explained {
            attribution: "path",
            prediction: ExplainedPrediction {
                event_id: "ord-1".to_owned(),
                event_type_name: "order".to_owned(),
                prediction_timestamp: "2026-06-01T10:15:30.000Z".to_owned(),
                detector_id: "orders".to_owned(),
                detector_version_id: "2".to_owned(),
                models,
            },
        }
    }

    fn scored(variables: Vec<ExplainedVariable>, problem: Option<&str>) -> ExplainedScore {
        let explained = |value: f64| problem.is_none().then_some(value);
        ExplainedScore {
            model_id: "m".to_owned(),
            model_version: "1.0".to_owned(),
            score: 900.0,
            log_odds: explained(1.5),
            expected: explained(-3.25),
            variables,
            problem: problem.map(str::to_owned),
        }
    }

    #[test]
    fn a_score_is_a_table() {
        let variable =
            |name: &str, value: Option<&str>, log_odds_impact, relative_impact| ExplainedVariable {
                name: name.to_owned(),
                value: value.map(str::to_owned),
                log_odds_impact,
                relative_impact,
            };
        let long = format!("a\u{1b}{}", "b".repeat(60));
        let text = prediction(vec![scored(
            vec![
                variable("price", Some("450.00"), 4.75, 5),
                variable("note", Some(&long), -0.5, -1),
                variable("email", None, 0.0, 0),
            ],
            None,
        )])
        .to_string();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "event ord-1, judged at 2026-06-01T10:15:30.000Z by version 2 of detector orders",
                "",
                "m 1.0: score 900, log-odds 1.500; the average event has -3.250",
                "",
                " variable                                              value  log-odds  -5 to 5",
                " price                                                450.00    +4.750       +5",
                " note      a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…    -0.500       -1",
                " email                                                     -    +0.000        0",
            ]
        );
    }

    #[test]
    fn what_cannot_be_explained_is_said() {
        let gone = "its artifact cannot be fetched: NoSuchKey";
        let text = prediction(vec![scored(Vec::new(), Some(gone))]).to_string();
        assert!(text.ends_with(
            "m 1.0: score 900\n  cannot be explained: its artifact cannot be fetched: NoSuchKey\n"
        ));
        let text = prediction(Vec::new()).to_string();
        assert!(text.ends_with("\nno model scored it: only rules judged\n"));
    }
}
