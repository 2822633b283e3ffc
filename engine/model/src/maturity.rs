//! Label maturity: which labels are known, and since when.

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Label};

/// Whether labels may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LabelsAre {
    /// Chargebacks may still come in: an event's label counts only after the time that labels usually take.
    #[default]
    Maturing,
    /// No label will change: every label counts, as if it had been known at the time of its event.
    Final,
}

/// How an event without a label is treated (`UnlabeledEventsTreatment` in Amazon's API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Unlabelled {
    /// It is left out.
    #[default]
    Ignore,
    /// It counts as fraud.
    Fraud,
    /// It counts as legitimate, unless it was blocked.
    Legit,
    /// As `Legit` if fewer than 50 events are labelled legitimate, else as `Ignore`.
    Auto,
}

/// How long after its event a label counts where no delays of labels are known, in seconds: 45 days.
pub const FLOOR: i64 = 45 * 86_400;

/// At least so many delays are needed to tell how long labels take.
const ENOUGH_DELAYS: usize = 50;

/// How long labels are waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Maturity {
    /// How long after an event its label counts, in days; 0 where labels are final.
    pub wait_days: f64,
    /// Why that long, in a sentence.
    pub why: String,
    /// How many labelled events were left out because their labels may still change.
    pub immature: usize,
}

/// An event that can be trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    pub row: u32,
    pub fraud: bool,
    pub time: Option<i64>,
    /// When the label was known, in seconds since 1970; meaningless where events have no times.
    pub known: i64,
}

/// The events whose labels are known at `as_of` (by default the latest time in the data), in order of time.
pub(crate) fn mature(
    dataset: &Dataset,
    labels_are: LabelsAre,
    unlabelled: Unlabelled,
    as_of: Option<i64>,
) -> (Vec<Labelled>, Maturity) {
    let label = treated(dataset, unlabelled);
    let moments = dataset.event_times();
    // If all times are the same, they tell nothing of the order.
    let timed =
        moments.iter().all(Option::is_some) && moments.iter().any(|time| *time != moments[0]);
    let (wait, why) = match labels_are {
        LabelsAre::Final => (0, "labels are final".to_owned()),
        LabelsAre::Maturing if !timed => (0, "events have no times".to_owned()),
        LabelsAre::Maturing => wait(dataset),
    };
    let artificial = labels_are == LabelsAre::Final || artificial(dataset).is_some();
    let latest = dataset
        .event_times()
        .iter()
        .chain(dataset.label_times())
        .flatten()
        .max();
    let as_of = as_of.or(latest.copied()).unwrap_or(i64::MAX);
    let mut immature = 0;
    let mut events: Vec<Labelled> = Vec::new();
    for (row, fraud) in (0_u32..).zip(label) {
        let Some(fraud) = fraud else { continue };
        let at = row as usize;
        let time = dataset.event_times()[at];
        let event = time.unwrap_or(0);
        let given = dataset.label_times()[at]
            .filter(|_| !artificial)
            .unwrap_or(event);
        let known = given.max(event.saturating_add(wait));
        if timed && known > as_of {
            immature += 1;
        } else {
            events.push(Labelled {
                row,
                fraud,
                time: time.filter(|_| timed),
                known,
            });
        }
    }
    // A stable sort: events of the same second keep their order.
    events.sort_by_key(|event| event.time);
    #[expect(clippy::cast_precision_loss, reason = "a time of days to years")]
    let wait_days = wait as f64 / 86_400.0;
    (
        events,
        Maturity {
            wait_days,
            why,
            immature,
        },
    )
}

/// Whether each event counts as fraud; `None` where it is left out.
pub(crate) fn treated(dataset: &Dataset, unlabelled: Unlabelled) -> Vec<Option<bool>> {
    let legit = dataset
        .labels()
        .iter()
        .filter(|label| **label == Label::Legit)
        .count();
    let unlabelled = match unlabelled {
        Unlabelled::Auto if legit < 50 => Unlabelled::Legit,
        Unlabelled::Auto => Unlabelled::Ignore,
        other => other,
    };
    let labels = dataset.labels().iter().zip(dataset.blocked());
    labels
        .map(|(label, blocked)| match (label, unlabelled) {
            (Label::Fraud, _) | (Label::Unlabelled, Unlabelled::Fraud) => Some(true),
            (Label::Legit, _) => Some(false),
            (Label::Unknown, _) | (_, Unlabelled::Ignore | Unlabelled::Auto) => None,
            (Label::Unlabelled, Unlabelled::Legit) => (!blocked).then_some(false),
        })
        .collect()
}

/// How long after their events labels of fraud were given, in seconds. Labels of legitimate events tell nothing,
/// because they are mostly given after a fixed time.
fn delays(dataset: &Dataset) -> Vec<i64> {
    (0..dataset.len())
        .filter(|row| dataset.labels()[*row] == Label::Fraud)
        .filter_map(|row| Some(dataset.label_times()[row]? - dataset.event_times()[row]?))
        .collect()
}

/// Why the label times cannot be real; `None` if they can.
fn artificial(dataset: &Dataset) -> Option<&'static str> {
    let mut times = dataset.label_times().iter().flatten();
    let first = times.next()?;
    let (mut many, mut same) = (1_usize, 1_usize);
    for time in times {
        many += 1;
        same += usize::from(time == first);
    }
    if many < ENOUGH_DELAYS {
        return None;
    }
    if same * 20 >= many * 19 {
        return Some("almost all label times are the same");
    }
    let pairs = dataset.label_times().iter().zip(dataset.event_times());
    let at_once = pairs
        .filter(|(label, event)| label.is_some() && label <= event)
        .count();
    (at_once * 20 >= many * 19).then_some("almost all label times are the times of the events")
}

fn wait(dataset: &Dataset) -> (i64, String) {
    if let Some(why) = artificial(dataset) {
        return (FLOOR, format!("{why}, so 45 days are taken"));
    }
    let mut delays = delays(dataset);
    if delays.len() < ENOUGH_DELAYS {
        return (
            FLOOR,
            "too few label times, so 45 days are taken".to_owned(),
        );
    }
    delays.sort_unstable();
    let p95 = delays[(delays.len() * 95 / 100).min(delays.len() - 1)].max(0);
    (
        p95,
        "95 % of the labels of fraud came within this time".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Row, Variable, VariableType};

    const DAY: i64 = 86_400;

    fn dataset(rows: impl IntoIterator<Item = (i64, Label, Option<i64>, bool)>) -> Dataset {
        let mut dataset = Dataset::new(vec![Variable::new("x", VariableType::Numeric)]);
        for (event_time, label, label_time, blocked) in rows {
            let row = Row {
                values: &[None],
                event_time: Some(event_time),
                label,
                label_time,
                blocked,
                ..Row::default()
            };
            dataset.push(&row).unwrap();
        }
        dataset
    }

    fn at_days(days: i64, delay: impl Fn(i64) -> Option<i64>) -> Dataset {
        dataset((0..days).map(|day| {
            (
                day * DAY,
                Label::Fraud,
                delay(day).map(|delay| day * DAY + delay),
                false,
            )
        }))
    }

    #[test]
    fn without_label_times_45_days_are_waited() {
        let (events, maturity) = mature(
            &at_days(100, |_| None),
            LabelsAre::Maturing,
            Unlabelled::Ignore,
            None,
        );
        assert_eq!((events.len(), maturity.immature), (55, 45));
        assert_eq!(events[0].known, FLOOR);
    }

    #[test]
    fn observed_delays_are_waited() {
        // 5 % come after 30 days, the rest after 10.
        let delay = |day| Some(if day % 25 == 0 { 30 } else { 10 } * DAY);
        let (events, maturity) = mature(
            &at_days(100, delay),
            LabelsAre::Maturing,
            Unlabelled::Ignore,
            Some(100 * DAY),
        );
        assert!((maturity.wait_days - 10.0).abs() < 1e-9);
        assert_eq!(maturity.immature, 10);
        assert_eq!(events[0].known, 30 * DAY, "its own label came later");
        assert_eq!(events[1].known, 11 * DAY);
    }

    #[test]
    fn made_up_label_times_are_seen_through() {
        let (_, maturity) = mature(
            &at_days(100, |_| Some(0)),
            LabelsAre::Maturing,
            Unlabelled::Ignore,
            None,
        );
        assert!(
            maturity.why.contains("times of the events"),
            "{}",
            maturity.why
        );
        let one = at_days(100, |day| Some((200 - day) * DAY));
        let (_, maturity) = mature(&one, LabelsAre::Maturing, Unlabelled::Ignore, None);
        assert!(maturity.why.contains("the same"), "{}", maturity.why);
        let (events, _) = mature(&one, LabelsAre::Final, Unlabelled::Ignore, None);
        assert_eq!((events.len(), events[7].known), (100, 7 * DAY));
    }

    #[test]
    fn a_blocked_event_without_a_label_is_never_legitimate() {
        let set = dataset([
            (0, Label::Unlabelled, None, true),
            (1, Label::Unlabelled, None, false),
            (2, Label::Unknown, None, false),
            (3, Label::Legit, None, true),
        ]);
        for (treatment, expected) in [
            (Unlabelled::Ignore, [None, None, None, Some(false)]),
            (
                Unlabelled::Fraud,
                [Some(true), Some(true), None, Some(false)],
            ),
            (Unlabelled::Legit, [None, Some(false), None, Some(false)]),
            (Unlabelled::Auto, [None, Some(false), None, Some(false)]),
        ] {
            assert_eq!(treated(&set, treatment), expected, "{treatment:?}");
        }
    }
}
