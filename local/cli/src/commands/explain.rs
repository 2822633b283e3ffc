//! `fraudstream explain`: what each variable did to the score of an order, which rules matched, and which were near.

use std::fmt;

use clap::Args;
use engine::{Engine, ExplainedPrediction, ExplainedScore, ExplainedVariable, NearRule};
use event::EventId;
use model::Attribution;
use serde::Serialize;

use super::CommandError;
use super::output::print_result;
use super::workspace::{Backend, WorkspaceArgs};
use crate::printable::cut_value;
use evaluation::text_table::build_text_table;
use local_aws::dynamodb::Durability;

/// A longer value is cut in the table, in characters.
const LONGEST: usize = 48;

/// A longer condition of a rule is cut in the table, in characters.
const LONGEST_CONDITION: usize = 60;
/// How many rules that were near are shown; `--json` has all.
const SHOWN_RULES: usize = 5;

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Order id as the shop writes it, or the id of its event.
    order_id: String,
    /// Event type; default the mapping's.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// Use exact Shapley values: the same sum, but about a hundred times slower.
    #[arg(long)]
    exact: bool,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    /// Prints what each variable did to the score.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let event_type = match self.event_type {
            Some(name) => name,
            None => workspace.read_mapping()?.event_type().to_string(),
        };
        let workspace = workspace.open(Durability::Kill, Backend::Engine).await?;
        let Some(engine) = workspace.backend_engine().await else {
            return Err(
                "only the engine's predictions are explained here; of Amazon's, `aws frauddetector \
                 get-event-prediction-metadata` tells"
                    .into(),
            );
        };
        let explained = explain_order(&engine, &event_type, &self.order_id, self.exact).await;
        drop(engine);
        workspace.close().await?;
        let explained = match explained {
            Err(error) if error.code() == engine::ErrorCode::ResourceNotFound => {
                return Err(format!(
                    "there is no prediction on order `{}` of event type `{event_type}`",
                    self.order_id
                )
                .into());
            }
            explained => explained?,
        };
        print_result(self.json, &explained, &explained)
    }
}

/// The newest prediction of an order, explained.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainedOrder {
    /// How each score is divided among the variables: `path` or `shapley`.
    pub attribution: &'static str,
    /// The prediction with its scores.
    #[serde(flatten)]
    pub prediction: ExplainedPrediction,
}

/// Explains the newest prediction of an order. The id is the shop's or the event's.
///
/// # Errors
/// There is no prediction, or the engine's tables fail.
async fn explain_order(
    engine: &Engine,
    event_type: &str,
    order_id: &str,
    exact: bool,
) -> Result<ExplainedOrder, engine::Error> {
    let (name, attribution) = if exact {
        ("shapley", Attribution::Shapley)
    } else {
        ("path", Attribution::Path)
    };
    let event_id = EventId::slug(order_id);
    let prediction = engine.explain_prediction(event_type, event_id.as_str(), attribution);
    Ok(ExplainedOrder {
        attribution: name,
        prediction: prediction.await?,
    })
}

impl fmt::Display for ExplainedOrder {
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
        write_rules(f, &self.prediction)?;
        for model in models {
            write_score(f, model)?;
        }
        Ok(())
    }
}

/// The rules that matched, and those that one condition kept from matching.
fn write_rules(f: &mut fmt::Formatter<'_>, prediction: &ExplainedPrediction) -> fmt::Result {
    match prediction.matched_rules.as_slice() {
        [] => writeln!(f, "\nno rule matched")?,
        matched => writeln!(f, "\nmatched: {}", matched.join(", "))?,
    }
    if prediction.near_rules.is_empty() {
        return writeln!(f, "no rule was one condition away from matching");
    }
    writeln!(f, "one condition away from matching:\n")?;
    let row = |rule: &NearRule| {
        vec![
            rule.rule_id.clone(),
            rule.outcomes.join(", "),
            format!("{} of {}", rule.conditions - 1, rule.conditions),
            cut_value(&rule.unmet, LONGEST_CONDITION),
            cut_value(&rule.unmet_with_values, LONGEST_CONDITION),
        ]
    };
    let shown = prediction.near_rules.iter().take(SHOWN_RULES).map(row);
    let header = ["rule", "would give", "fulfilled", "not fulfilled", "here"];
    writeln!(f, "{}", build_text_table(&header, shown))
}

fn write_score(f: &mut fmt::Formatter<'_>, model: &ExplainedScore) -> fmt::Result {
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
            cut_value(variable.value.as_deref().unwrap_or("-"), LONGEST),
            format!("{:+.3}", variable.log_odds_impact),
            match variable.relative_impact {
                0 => "0".to_owned(),
                relative => format!("{relative:+}"),
            },
        ]
    };
    let header = ["variable", "value", "log-odds", "-5 to 5"];
    writeln!(
        f,
        "{}",
        build_text_table(&header, variables.iter().map(row))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(models: Vec<ExplainedScore>) -> ExplainedOrder {
        ExplainedOrder {
            attribution: "path",
            prediction: ExplainedPrediction {
                event_id: "ord-1".to_owned(),
                event_type_name: "order".to_owned(),
                prediction_timestamp: "2026-06-01T10:15:30.000Z".to_owned(),
                detector_id: "orders".to_owned(),
                detector_version_id: "2".to_owned(),
                models,
                matched_rules: vec!["dear".to_owned()],
                near_rules: Vec::new(),
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
                "matched: dear",
                "no rule was one condition away from matching",
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
        assert!(text.contains("\nno model scored it: only rules judged\n\nmatched: dear\n"));
    }

    #[test]
    fn rules_that_were_near_are_a_table() {
        let mut order = prediction(Vec::new());
        order.prediction.matched_rules.clear();
        order.prediction.near_rules.push(NearRule {
            rule_id: "dear".to_owned(),
            outcomes: vec!["review".to_owned()],
            conditions: 3,
            unmet: "$price > 200".to_owned(),
            unmet_with_values: "120.0 > 200".to_owned(),
        });
        let text = order.to_string();
        let (_, rules) = text.split_once("no rule matched\n").unwrap();
        let lines: Vec<&str> = rules.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "one condition away from matching:",
                "",
                " rule  would give  fulfilled  not fulfilled         here",
                " dear      review     2 of 3   $price > 200  120.0 > 200",
            ]
        );
    }
}
