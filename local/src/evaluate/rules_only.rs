//! What the rules of a detector file alone would have said of the measured events: what a model has to beat.
//!
//! Columns are variables by their names, taken as they stand: no mapping is applied. What the file lacks has its
//! variable's default, as an event that lacks it has.

use std::collections::BTreeMap;
use std::path::Path;

use model::metrics::Ranking;
use rules::{List, Lists, Rule, Schema, Type, Value, Verdict};
use serde::Serialize;
use thiserror::Error;

use super::measures::Scored;
use super::percent;
use super::table::Event;
use crate::apply::{self, Template};
use crate::grid::grid;

/// Words in the names of outcomes that let an event pass. All other outcomes are alarms.
const PASSING: [&str; 8] = [
    "accept", "accepted", "allow", "allowed", "approve", "approved", "pass", "passed",
];

/// Rules that cannot be measured.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The detector file.
    #[error(transparent)]
    File(#[from] Box<apply::Error>),
    /// It has no detector, or several.
    #[error("{file} has {found} detectors; rules are measured of a file that has one")]
    Detectors {
        /// The detector file.
        file: String,
        /// How many it has.
        found: usize,
    },
    /// All rules are left out.
    #[error("{file}: no rule can be measured: {why}")]
    NoRule {
        /// The detector file.
        file: String,
        /// Why not.
        why: String,
    },
    /// The events have nothing that a rule looks at.
    #[error(
        "{path} has no column of the variables that the rules use: {}. Columns are variables by their names",
        variables.join(", ")
    )]
    NoColumn {
        /// The file of events.
        path: String,
        /// What rules use.
        variables: Vec<String>,
    },
}

/// A rule that was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The rule.
    pub rule: String,
    /// Why not.
    pub why: String,
}

/// The rules of a detector file, ready to run.
#[derive(Debug)]
pub struct Detector {
    id: String,
    mode: String,
    schema: Schema,
    defaults: Vec<Value>,
    lists: Lists,
    rules: Vec<Measured>,
    left_out: Vec<LeftOut>,
    /// The outcomes that are alarms, as the rules list them.
    alarms: Vec<String>,
}

/// A rule and the place of its most severe outcome among the alarms; `None`: it lets the event pass.
#[derive(Debug)]
struct Measured {
    rule: Rule,
    alarm: Option<usize>,
}

/// A detector over the columns of a file.
#[derive(Debug)]
pub struct OverColumns<'a> {
    detector: &'a Detector,
    /// Of each variable, by slot.
    columns: Vec<Option<usize>>,
    missing: Vec<String>,
    unreadable: BTreeMap<String, usize>,
    undetermined: usize,
    /// When now is for an event without a time.
    now_ms: i64,
}

/// The figures of the rules, beside those of the model.
#[derive(Clone, Debug, Serialize)]
pub struct RulesOnly {
    /// The detector.
    pub detector: String,
    /// `FIRST_MATCHED` or `ALL_MATCHED`.
    pub mode: String,
    /// How many rules were measured.
    pub rules: usize,
    /// Rules that were not.
    pub left_out: Vec<LeftOut>,
    /// Variables of rules that the file lacks, which had their defaults.
    pub missing_columns: Vec<String>,
    /// By variable, how many values are not of its type and counted as its default.
    pub unreadable_values: BTreeMap<String, usize>,
    /// Events of which a rule could not be evaluated, because a value that it needs is missing.
    pub undetermined_events: usize,
    /// What each outcome does, together with those before it.
    pub outcomes: Vec<Called>,
}

/// What calling the events with some outcomes fraud does.
#[derive(Clone, Debug, Serialize)]
pub struct Called {
    /// The outcomes.
    pub outcomes: Vec<String>,
    /// How many events have one of them.
    pub events: usize,
    /// The share of legitimate events among their kind.
    pub fpr: f64,
    /// The share of fraud.
    pub recall: f64,
    /// The share of fraud among the events.
    pub precision: f64,
    /// The share of fraud that the model finds at the same false-positive rate.
    pub model_recall: f64,
}

impl Detector {
    /// Reads a detector file and compiles its rules.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn read(path: &Path) -> Result<Self, RulesError> {
        let template = Template::read(path).map_err(Box::new)?;
        Self::new(path.display().to_string(), &template)
    }

    fn new(file: String, template: &Template) -> Result<Self, RulesError> {
        let [detector] = template.detectors.as_slice() else {
            let found = template.detectors.len();
            return Err(RulesError::Detectors { file, found });
        };
        let scores = scores(template, detector);
        let variables: Vec<&apply::Variable> = variables(template, detector);
        let typed = variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.ty))
            .chain(scores.iter().map(|name| (name.clone(), Type::Float)));
        let schema = Schema::new(typed, template.lists.iter().map(|list| list.name.clone()));
        let mut defaults: Vec<Value> = variables
            .iter()
            .map(|variable| Value::parse(variable.ty, &variable.default).unwrap_or(Value::Null))
            .collect();
        defaults.resize(schema.len(), Value::Null);

        let mut alarms: Vec<String> = Vec::new();
        let (mut measured, mut left_out) = (Vec::new(), Vec::new());
        for rule in &detector.rules {
            match compiled(&rule.expression, &schema, &scores, &template.lists) {
                Err(why) => left_out.push(LeftOut {
                    rule: rule.id.clone(),
                    why,
                }),
                Ok(compiled) => {
                    for outcome in rule.outcomes.iter().filter(|name| !lets_pass(name)) {
                        if !alarms.contains(outcome) {
                            alarms.push(outcome.clone());
                        }
                    }
                    measured.push((compiled, &rule.outcomes));
                }
            }
        }
        let rules: Vec<Measured> = measured
            .into_iter()
            .map(|(rule, outcomes)| Measured {
                rule,
                alarm: alarms.iter().position(|alarm| outcomes.contains(alarm)),
            })
            .collect();
        if alarms.is_empty() {
            let why = match left_out.first() {
                Some(LeftOut { rule, why }) if rules.is_empty() => format!("`{rule}` {why}"),
                _ => "none has an outcome that stops an event".to_owned(),
            };
            return Err(RulesError::NoRule { file, why });
        }
        Ok(Self {
            id: detector.id.clone(),
            mode: detector.mode.clone(),
            schema,
            defaults,
            lists: lists(&template.lists),
            rules,
            left_out,
            alarms,
        })
    }

    /// The detector over a file with these headers.
    ///
    /// # Errors
    /// [`RulesError::NoColumn`].
    pub fn over(&self, path: &Path, headers: &[String]) -> Result<OverColumns<'_>, RulesError> {
        let columns: Vec<Option<usize>> = self
            .schema
            .variables()
            .map(|(name, _)| headers.iter().position(|header| header == name))
            .collect();
        let is_missing = |name: &str| {
            let slot = self.schema.slot(name);
            slot.is_none_or(|slot| columns[slot].is_none())
        };
        let mut used: Vec<String> = Vec::new();
        for name in self.rules.iter().flat_map(|rule| rule.rule.variables()) {
            if !used.iter().any(|known| known == name) {
                used.push(name.to_owned());
            }
        }
        let missing: Vec<String> = used
            .iter()
            .filter(|name| is_missing(name))
            .cloned()
            .collect();
        if missing.len() == used.len() {
            return Err(RulesError::NoColumn {
                path: path.display().to_string(),
                variables: used,
            });
        }
        Ok(OverColumns {
            detector: self,
            columns,
            missing,
            unreadable: BTreeMap::new(),
            undetermined: 0,
            now_ms: jiff::Timestamp::now().as_millisecond(),
        })
    }
}

/// The scores that rules of a detector may ask for.
fn scores(template: &Template, detector: &apply::Detector) -> Vec<String> {
    let external = template
        .variables
        .iter()
        .filter(|variable| variable.source != "EVENT")
        .map(|variable| variable.name.clone());
    let models = &detector.models.versions;
    let own = models
        .iter()
        .map(|model| format!("{}_insightscore", model.id));
    external.chain(own).collect()
}

/// The variables of the detector's event type that the file defines.
fn variables<'t>(template: &'t Template, detector: &apply::Detector) -> Vec<&'t apply::Variable> {
    let event_type = template
        .event_types
        .iter()
        .find(|event_type| event_type.name == detector.event_type);
    template
        .variables
        .iter()
        .filter(|variable| variable.source == "EVENT")
        .filter(|variable| {
            event_type.is_none_or(|event_type| event_type.variables.contains(&variable.name))
        })
        .collect()
}

/// A rule that can be measured, or why it cannot: what follows its name in a sentence.
fn compiled(
    expression: &str,
    schema: &Schema,
    scores: &[String],
    lists: &[apply::List],
) -> Result<Rule, String> {
    let rule = Rule::new(expression, schema).map_err(|errors| {
        format!(
            "cannot be compiled with what the file defines: {}",
            errors.messages().join("; ")
        )
    })?;
    if let Some(score) = scores
        .iter()
        .find(|score| rule.variables().any(|name| name == **score))
    {
        return Err(format!("needs the score `${score}`"));
    }
    let unknown = |name: &&str| {
        lists
            .iter()
            .any(|list| list.name == **name && list.elements.is_none())
    };
    if let Some(list) = rule.lists().find(unknown) {
        return Err(format!(
            "needs the list `{list}`, of which the file gives no Elements"
        ));
    }
    Ok(rule)
}

fn lists(lists: &[apply::List]) -> Lists {
    let mut ready = Lists::default();
    for list in lists {
        let elements = list.elements.iter().flatten();
        let normal = list.variable_type.as_deref();
        let list_of = match normal.and_then(engine::normal_of_type) {
            Some(normal) => List::normalized(normal, elements),
            None => elements.collect(),
        };
        ready.share(list.name.as_str(), list_of.into());
    }
    ready
}

fn lets_pass(outcome: &str) -> bool {
    let mut words = outcome.split(['_', '-']);
    words.any(|word| PASSING.contains(&word))
}

impl OverColumns<'_> {
    /// The most severe outcome of an event, by its place among the alarms.
    pub fn alarm(&mut self, event: &Event<'_>) -> Option<usize> {
        let detector = self.detector;
        let mut row = detector.defaults.clone();
        for ((value, column), (name, ty)) in row
            .iter_mut()
            .zip(&self.columns)
            .zip(detector.schema.variables())
        {
            let Some(text) = column.and_then(|column| event.cell(column)) else {
                continue;
            };
            match parsed(ty, text) {
                Some(parsed) => *value = parsed,
                None => *self.unreadable.entry(name.to_owned()).or_default() += 1,
            }
        }
        // A rule that asks what time it is asks when the event happened.
        let now = event.row.event_time;
        let now = now.map_or(self.now_ms, |seconds| seconds.saturating_mul(1000));
        let mut worst: Option<usize> = None;
        let mut undetermined = false;
        for Measured { rule, alarm } in &detector.rules {
            match rule.evaluate(&row, &detector.lists, now) {
                Verdict::Matched => {
                    worst = [worst, *alarm].into_iter().flatten().min();
                    if detector.mode == "FIRST_MATCHED" {
                        break;
                    }
                }
                Verdict::NotMatched => {}
                Verdict::Undetermined => undetermined = true,
            }
        }
        self.undetermined += usize::from(undetermined);
        worst
    }

    /// The figures of the rules over all events, each with what [`OverColumns::alarm`] said.
    pub fn measures(self, scored: &[Scored]) -> RulesOnly {
        let detector = self.detector;
        let by_model = Ranking::new(scored.iter().map(|event| (event.log_odds, event.fraud)));
        let row = |place: usize| {
            let is_called = |event: &Scored| event.alarm.is_some_and(|alarm| alarm <= place);
            let called = |event: &Scored| (f64::from(u8::from(is_called(event))), event.fraud);
            let point = Ranking::new(scored.iter().map(called)).at(1.0);
            Called {
                outcomes: detector.alarms[..=place].to_vec(),
                events: scored.iter().filter(|event| is_called(event)).count(),
                fpr: point.fpr,
                recall: point.tpr,
                precision: point.precision,
                model_recall: by_model.recall_at(point.fpr),
            }
        };
        RulesOnly {
            detector: detector.id.clone(),
            mode: detector.mode.clone(),
            rules: detector.rules.len(),
            left_out: detector.left_out.clone(),
            missing_columns: self.missing,
            unreadable_values: self.unreadable,
            undetermined_events: self.undetermined,
            outcomes: (0..detector.alarms.len()).map(row).collect(),
        }
    }
}

/// A value of a file: as the service reads it, and times as files write them.
fn parsed(ty: Type, text: &str) -> Option<Value> {
    let as_sent = Value::parse(ty, text).ok();
    as_sent.or_else(|| match ty {
        Type::DateTime => {
            let seconds = model::date(text, false)?;
            Some(Value::DateTime(seconds.saturating_mul(1000)))
        }
        _ => None,
    })
}

impl RulesOnly {
    /// The figures as a table.
    pub fn table(&self) -> comfy_table::Table {
        let row = |row: &Called| {
            vec![
                row.outcomes.join(", "),
                row.events.to_string(),
                percent(row.fpr),
                percent(row.recall),
                percent(row.precision),
                percent(row.model_recall),
            ]
        };
        let header = [
            "rules only",
            "events",
            "false positives",
            "recall",
            "precision",
            "the model's recall",
        ];
        grid(&header, self.outcomes.iter().map(row))
    }

    /// What has to be known to read the figures.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.missing_columns.is_empty() {
            notes.push(format!(
                "rules of `{}` use variables for which there is no column, and had their defaults: {}.",
                self.detector,
                self.missing_columns.join(", ")
            ));
        }
        for (variable, values) in &self.unreadable_values {
            notes.push(format!(
                "{values} values of `{variable}` are not of its type; rules had its default."
            ));
        }
        for LeftOut { rule, why } in &self.left_out {
            notes.push(format!("rule `{rule}` was left out: it {why}."));
        }
        if self.undetermined_events > 0 {
            notes.push(format!(
                "of {} events a rule could not be evaluated, because a value that it needs is missing; it counts as not matched.",
                self.undetermined_events
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Columns, Said};
    use super::*;

    const EVENTS: &str = "\
price,email,when,is_fraud
2000.00,ann@example.com,2026-01-01 10:00:00,1
2000.00,bob@example.com,2026-01-02 10:00:00,0
10.00,EVE@example.com,2026-01-03 10:00:00,1
10.00,,2026-01-04 10:00:00,0
much,cyd@example.com,2026-01-05 10:00:00,0
5000.00,vip@example.com,2026-01-06 10:00:00,0
";

    /// A detector over `price`, `signed_up_at` and `email` with these rules, an expression and an outcome a line.
    fn detector(mode: &str, rules: &str) -> Result<Detector, String> {
        let small = include_str!("../apply/tests/small.yaml");
        let (head, _) = small.split_once("      Rules:\n").unwrap();
        let rule = |(number, rule): (usize, &str)| {
            let (expression, outcome) = rule.split_once(" => ").unwrap();
            format!(
                "        - RuleId: r{number}\n          DetectorId: orders\n          Language: DETECTORPL\n          \
                 Expression: '{expression}'\n          Outcomes: [{{Inline: true, Name: {outcome}_{number}}}]\n"
            )
        };
        let head = head.replace("ALL_MATCHED", mode);
        let rules: String = rules.lines().enumerate().map(rule).collect();
        let text = format!("{head}      Rules:\n{rules}");
        let template = Template::parse("t.yaml", &text).unwrap();
        Detector::new("t.yaml".to_owned(), &template).map_err(|error| error.to_string())
    }

    /// The figures of the rules, where the model scores events in the order of the file, the last highest.
    fn measured(detector: &Detector) -> RulesOnly {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.csv");
        std::fs::write(&path, EVENTS).unwrap();
        let said = Said {
            timestamp: Some("when".to_owned()),
            ..Said::default()
        };
        let columns = Columns::find(&path, &said).unwrap();
        let table = columns.table(&path);
        let mut rules = detector.over(&path, &table.headers().unwrap()).unwrap();
        let mut scored = Vec::new();
        table
            .each(|event| {
                let number = u32::try_from(event.number).unwrap();
                scored.push(Scored {
                    number: event.number,
                    log_odds: f64::from(number),
                    score: 0.0,
                    fraud: event.row.label == model::Label::Fraud,
                    amount: None,
                    month: None,
                    look_ups: Vec::new(),
                    seen: Vec::new(),
                    alarm: rules.alarm(&event),
                });
                Ok::<(), super::super::TableError>(())
            })
            .unwrap();
        rules.measures(&scored)
    }

    /// A line for each row: outcomes, events, false positives, recall and precision in percent.
    fn rows(rules: &RulesOnly) -> Vec<String> {
        let row = |row: &Called| {
            format!(
                "{}: {} events, {:.0} {:.0} {:.0}",
                row.outcomes.join("+"),
                row.events,
                row.fpr * 100.0,
                row.recall * 100.0,
                row.precision * 100.0
            )
        };
        rules.outcomes.iter().map(row).collect()
    }

    #[test]
    fn outcomes_add_up_in_the_order_of_the_rules() {
        let rules = detector(
            "ALL_MATCHED",
            "$email in @blocked => block\n$price > 1000 => review\n$email == \"vip@example.com\" => approve",
        );
        let found = measured(&rules.unwrap());
        assert_eq!(
            rows(&found),
            [
                "block_0: 1 events, 0 50 100",
                "block_0+review_1: 4 events, 50 100 50",
            ]
        );
        assert_eq!(found.unreadable_values["price"], 1);
        // Above the highest legitimate score there is no fraud; half of the legitimate events are above both.
        let model: Vec<f64> = found.outcomes.iter().map(|row| row.model_recall).collect();
        assert!(model[0].abs() < 1e-9 && model[1].abs() < 1e-9, "{model:?}");
    }

    #[test]
    fn the_first_match_ends_it_where_the_detector_says_so() {
        let rules = "$email == \"vip@example.com\" => approve\n$price > 1000 => review\n$price > 1500 => block";
        let found = measured(&detector("FIRST_MATCHED", rules).unwrap());
        assert_eq!(
            rows(&found),
            [
                "review_1: 2 events, 25 50 50",
                "review_1+block_2: 2 events, 25 50 50",
            ]
        );
        let found = measured(&detector("ALL_MATCHED", rules).unwrap());
        assert_eq!(rows(&found)[0], "review_1: 3 events, 50 50 33");
    }

    #[test]
    fn what_is_not_measured_is_said() {
        let rules = "$price > 100 => block\n$signed_up_at == \"\" => review\n$hours > 1 => review";
        let found = measured(&detector("ALL_MATCHED", rules).unwrap());
        assert_eq!(
            found.notes(),
            [
                "rules of `orders` use variables for which there is no column, and had their defaults: signed_up_at.",
                "1 values of `price` are not of its type; rules had its default.",
                "rule `r2` was left out: it cannot be compiled with what the file defines: at 1:1: there is no variable `$hours`.",
            ]
        );
        assert_eq!(found.outcomes[1].events, 6);
    }

    #[test]
    fn the_time_is_that_of_the_event() {
        let rules = "getepochmilliseconds(getcurrentdatetime()) == getepochmilliseconds(\"2026-01-03T10:00:00Z\") => block";
        let rules = format!("{rules}\n$price > 9999 => review");
        let found = measured(&detector("ALL_MATCHED", &rules).unwrap());
        assert_eq!(rows(&found)[0], "block_0: 1 events, 0 50 100");
    }

    #[test]
    fn rules_that_cannot_be_measured_are_refused() {
        let refused = |rules| detector("ALL_MATCHED", rules).unwrap_err();
        assert_eq!(
            refused("$price > 1 => approve"),
            "t.yaml: no rule can be measured: none has an outcome that stops an event"
        );
        assert!(
            refused("$a_insightscore > 1 => block")
                .starts_with("t.yaml: no rule can be measured: `r0` cannot be compiled")
        );
        let rules = detector("ALL_MATCHED", "$price > 1 and $email == \"\" => block").unwrap();
        let error = rules.over(Path::new("events.csv"), &["amount".to_owned()]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "events.csv has no column of the variables that the rules use: price, email. Columns are variables by their names"
        );
    }
}
