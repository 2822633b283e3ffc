//! Training on log-ins, for account takeover.
//!
//! Takeovers are seldom labelled. So the model learns to tell a log-in by the owner of an account from one by a
//! stranger: for each real log-in, a synthetic one is made that takes its IP address, browser and other tracked fields
//! from a log-in at another account. Only the account's history can tell the two apart, because both have values that
//! are normal somewhere. Labelled takeovers are learnt from too.

use std::ops::ControlFlow;

use rustc_hash::FxHashMap;

use super::error::TrainingError;
use super::fit::fit_model;
use super::messages::{Findings, Severity, TrainingMessage};
use super::options::{TrainingOptions, TrainingProgress};
use super::report::TrainingReport;
use crate::calibration::ScoreCurve;
use crate::dataset::{Dataset, EventLabel, EventRow};
use crate::hash::mix_bits;
use crate::history::{EntityEvent, TrackedEvent};
use crate::maturity::{LabelsAre, UnlabelledTreatment};
use crate::model::Model;
use crate::parse;
use crate::variable::VariableType;

/// Amazon's minimum of accounts with two log-ins or more.
const ACCOUNTS: usize = 1_500;
/// Amazon's minimum of days between the first and the last log-in.
const DAYS: i64 = 30;
/// How many log-ins are drawn to find one at another account.
const TRIES: u64 = 20;

/// Trains a model of log-ins.
pub(super) fn train_on_logins(
    dataset: &Dataset,
    options: &TrainingOptions,
    progress: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(Model, TrainingReport), TrainingError> {
    let findings = check_logins(dataset);
    if findings
        .iter()
        .any(|message| message.level == Severity::Error)
    {
        return Err(TrainingError::Data(findings));
    }
    let options = TrainingOptions {
        // The labels of synthetic log-ins are known at once.
        labels_are: LabelsAre::Final,
        unlabelled: Some(UnlabelledTreatment::Ignore),
        ..options.clone()
    };
    let contrast = add_stranger_logins(dataset, options.seed)?;
    fit_model(&contrast, &options, findings, ScoreCurve::Logins, progress)
}

/// A data set of the real log-ins, each followed by a synthetic one of a stranger at the same account and time. An
/// account's first log-in is not trained on: it only begins the account's history.
fn add_stranger_logins(dataset: &Dataset, seed: u64) -> Result<Dataset, TrainingError> {
    let logins = || (0..dataset.len()).filter_map(|row| Some((row, dataset.entity_event(row)?)));
    let mut first: FxHashMap<&str, i64> = FxHashMap::default();
    for (_, (account, login)) in logins() {
        let first = first.entry(account).or_insert(login.time);
        *first = login.time.min(*first);
    }
    let mut contrast = Dataset::new(Vec::new());
    if let Some(tracked) = dataset.tracked_fields() {
        contrast = contrast.with_tracked_fields(tracked.clone().without_keys());
    }
    let full = |_| TrainingError::TooManyRows;
    for (row, (account, login)) in logins() {
        let comes_back = first.get(account).is_some_and(|first| *first < login.time);
        let of_account = |event: EntityEvent| TrackedEvent {
            event,
            keys: vec![Some(account.to_owned())],
        };
        let tracked = of_account(*login);
        let own = EventRow {
            event_time: Some(login.time),
            entity: Some(account),
            tracked: Some(&tracked),
            label: match dataset.labels()[row] {
                _ if !comes_back => EventLabel::Unknown,
                EventLabel::Fraud => EventLabel::Fraud,
                _ => EventLabel::Legit,
            },
            label_time: dataset.label_times()[row],
            ..EventRow::default()
        };
        contrast.push(&own).map_err(full)?;
        if own.label == EventLabel::Legit
            && let Some(other) = draw_stranger_login(dataset, account, mix_bits(row as u64) ^ seed)
        {
            let stranger = of_account(EntityEvent {
                time: login.time,
                // No real log-in of the account has this id.
                id: !login.id,
                ..*other
            });
            let synthetic = EventRow {
                tracked: Some(&stranger),
                label: EventLabel::Fraud,
                label_time: None,
                synthetic: true,
                ..own
            };
            contrast.push(&synthetic).map_err(full)?;
        }
    }
    Ok(contrast)
}

/// A log-in at another account, drawn by chance.
fn draw_stranger_login<'a>(
    dataset: &'a Dataset,
    account: &str,
    seed: u64,
) -> Option<&'a EntityEvent> {
    let mut draw = (1..=TRIES).map(|time| {
        let chance = mix_bits(seed ^ time.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let row = usize::try_from(chance % dataset.len() as u64).unwrap_or_default();
        dataset.entity_event(row)
    });
    let (_, event) = draw.find_map(|drawn| drawn.filter(|(other, _)| *other != account))?;
    Some(event)
}

/// Checks what Amazon requires of log-ins (user guide, "Account takeover insights").
fn check_logins(dataset: &Dataset) -> Vec<TrainingMessage> {
    let mut findings = Findings::default();
    let mut wrong = |title: &str, content: String| {
        findings.add(Severity::Error, None, title, content);
    };
    let rows = dataset.len();
    let times: Vec<i64> = dataset.event_times().iter().flatten().copied().collect();
    if (rows - times.len()) * 1000 > rows {
        wrong(
            "Missing timestamps",
            "More than 0.1% of the logins have no EVENT_TIMESTAMP that can be read.".to_owned(),
        );
    }
    let span = times.iter().max().zip(times.iter().min());
    let days = span.map_or(0, |(last, first)| (last - first) / 86_400);
    if days < DAYS {
        wrong(
            "Too short a time",
            format!("The logins span {days} days. Ensure that they span at least {DAYS} days."),
        );
    }
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    for row in 0..rows {
        if let Some((entity, _)) = dataset.entity_event(row) {
            *counts.entry(entity).or_default() += 1;
        }
    }
    let accounts = counts.values().filter(|count| **count > 1).count();
    if accounts < ACCOUNTS {
        wrong(
            "Too few entities",
            format!(
                "{accounts} entities have two or more logins. Ensure that at least {ACCOUNTS} have."
            ),
        );
    }
    for (variable, kind) in dataset.variables().iter().map(|v| v.kind).enumerate() {
        let missing = || {
            (0..rows)
                .filter(|row| dataset.value(*row, variable).is_none())
                .count()
        };
        match kind {
            VariableType::IpAddress if missing() * 10 > rows => wrong(
                "Missing IP addresses",
                "More than 10% of the logins have no IP address.".to_owned(),
            ),
            VariableType::UserAgent if missing() * 2 > rows => wrong(
                "Missing user agents",
                "More than 50% of the logins have no user agent.".to_owned(),
            ),
            VariableType::AreCredentialsValid => {
                let valid = (0..rows).any(|row| {
                    dataset
                        .value(row, variable)
                        .is_some_and(|value| means_true(&value))
                });
                if !valid {
                    wrong(
                        "No valid credentials",
                        "No login had valid credentials: nothing can be learnt from them about the owners of the accounts."
                            .to_owned(),
                    );
                }
            }
            _ => {}
        }
    }
    findings.0
}

fn means_true(value: &str) -> bool {
    parse::trim_present_value(value).is_some_and(|value| {
        ["true", "1", "yes", "y", "t"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histories::EntityHistories;
    use crate::history::TrackedFields;
    use crate::{ModelType, Variable};

    const DAY: i64 = 86_400;

    fn variables() -> Vec<Variable> {
        vec![
            Variable::new("ip", VariableType::IpAddress),
            Variable::new("browser", VariableType::UserAgent),
            Variable::new("valid", VariableType::AreCredentialsValid),
        ]
    }

    const BROWSERS: [&str; 4] = [
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) AppleWebKit/605.1.15 Version/17.5 Safari/604.1",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.5 Safari/605.1.15",
    ];

    /// A log-in at `account` as its owner `from` would make it.
    fn login(
        tracked: &TrackedFields,
        account: u64,
        from: u64,
        id: &str,
        time: i64,
    ) -> ([String; 3], TrackedEvent) {
        let home = mix_bits(from);
        let ip = format!(
            "{}.{}.{}.{}",
            20 + home % 60,
            home / 7 % 250,
            home / 11 % 250,
            1 + mix_bits(time.unsigned_abs()) % 250
        );
        let values = [
            ip,
            BROWSERS[(home % 4) as usize].to_owned(),
            "true".to_owned(),
        ];
        let value = |name: &str| match name {
            "ip" => Some(values[0].as_str()),
            "browser" => Some(values[1].as_str()),
            _ => Some("true"),
        };
        let event = tracked.build_event(id, time, &[account.to_string()], value);
        (values, event)
    }

    /// Accounts that always use one network and one browser. Every twentieth is taken over by a stranger.
    fn logins(accounts: u64) -> Dataset {
        let tracked = TrackedFields::new(&variables(), &[]).without_keys();
        let mut dataset = Dataset::new(variables()).with_tracked_fields(tracked.clone());
        for account in 0..accounts {
            for visit in 0..4_u64 {
                let at = i64::try_from(mix_bits(account * 10 + visit) % 100).unwrap_or_default();
                let is_taken = account % 20 == 0 && visit == 3;
                let time = if is_taken { 101 * DAY } else { at * DAY };
                let from = if is_taken { account + 100_000 } else { account };
                let id = format!("{account}-{visit}");
                let (values, seen) = login(&tracked, account, from, &id, time);
                let row = EventRow {
                    values: &values.each_ref().map(|value| Some(value.as_str())),
                    event_time: Some(time),
                    entity: Some(&account.to_string()),
                    tracked: Some(&seen),
                    label: if is_taken {
                        EventLabel::Fraud
                    } else {
                        EventLabel::Unlabelled
                    },
                    ..EventRow::default()
                };
                assert!(dataset.push(&row).is_ok());
            }
        }
        dataset
    }

    fn options() -> TrainingOptions {
        TrainingOptions {
            model_type: ModelType::AccountTakeoverInsights,
            budget_trees: 400,
            ..TrainingOptions::default()
        }
    }

    #[test]
    fn a_stranger_at_the_account_scores_high() {
        let dataset = logins(1600);
        let trained = crate::train_model(&dataset, &options(), &mut |_| ControlFlow::Continue(()));
        let Ok((model, report)) = trained else {
            panic!("{trained:?}")
        };
        assert!(report.auc.value > 0.9, "{:?}", report.auc);
        let tracked = dataset.tracked_fields().cloned().unwrap_or_default();
        let histories = EntityHistories::of_dataset(&dataset);
        let score = |from: u64| {
            let (_, seen) = login(&tracked, 7, from, "now", 110 * DAY);
            let history = histories.features(&tracked, &seen);
            model.score(&[], Some(110 * DAY), &history).score
        };
        assert!(
            score(7) + 300.0 < score(99_999),
            "{} {}",
            score(7),
            score(99_999)
        );
        let found = report.logins.and_then(|logins| logins.takeovers_found);
        let found = found.unwrap_or_default();
        assert!(found.len() == report.thresholds.len() && found.windows(2).all(|p| p[0] >= p[1]));
        // At 200.
        assert!(found.get(40).is_some_and(|share| *share > 0.8), "{found:?}");
    }

    #[test]
    fn log_ins_that_teach_nothing_are_refused() {
        let refused = |dataset: &Dataset| match crate::train_model(dataset, &options(), &mut |_| {
            ControlFlow::Continue(())
        }) {
            Err(TrainingError::Data(messages)) => {
                messages.into_iter().map(|message| message.title).collect()
            }
            other => vec![format!("{other:?}")],
        };
        assert_eq!(refused(&logins(300)), ["Too few entities"]);
        let empty = Dataset::new(variables())
            .with_tracked_fields(TrackedFields::new(&variables(), &[]).without_keys());
        assert_eq!(
            refused(&empty),
            [
                "Too short a time",
                "Too few entities",
                "No valid credentials"
            ]
        );
    }
}
