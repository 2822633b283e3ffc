//! Label maturity: which labels are known, and since when.

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, EventLabel};

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
pub enum UnlabelledTreatment {
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
pub const DEFAULT_WAIT: i64 = 45 * 86_400;

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
pub(crate) struct LabelledEvent {
    pub row: u32,
    pub fraud: bool,
    pub time: Option<i64>,
    /// When the label was known, in seconds since 1970; meaningless where events have no times.
    pub known: i64,
    /// From when on histories show the label to later events; `None` where labels are final and nothing says when this
    /// one came: in service it comes later, and a model that had seen it at once would be misled.
    pub shown_from: Option<i64>,
}

/// The events whose labels are known at `as_of` (by default the latest time in the data), in order of time.
pub(crate) fn select_mature_events(
    dataset: &Dataset,
    labels_are: LabelsAre,
    unlabelled: UnlabelledTreatment,
    as_of: Option<i64>,
) -> (Vec<LabelledEvent>, Maturity) {
    let label = treat_labels(dataset, unlabelled);
    let moments = dataset.event_times();
    // If all times are the same, they tell nothing of the order.
    let timed =
        moments.iter().all(Option::is_some) && moments.iter().any(|time| *time != moments[0]);
    let (wait, why) = match labels_are {
        LabelsAre::Final => (0, "labels are final".to_owned()),
        LabelsAre::Maturing if !timed => (0, "events have no times".to_owned()),
        LabelsAre::Maturing => choose_wait(dataset),
    };
    let artificial = explain_artificial_times(dataset).is_some();
    let latest = dataset
        .event_times()
        .iter()
        .chain(dataset.label_times())
        .flatten()
        .max();
    let as_of = as_of.or(latest.copied()).unwrap_or(i64::MAX);
    let mut immature = 0;
    let mut events: Vec<LabelledEvent> = Vec::new();
    for (row, fraud) in (0_u32..).zip(label) {
        let Some(fraud) = fraud else { continue };
        let at = row as usize;
        let time = dataset.event_times()[at];
        let event = time.unwrap_or(0);
        let given = dataset.label_times()[at].filter(|_| !artificial);
        let known = given
            .filter(|_| labels_are == LabelsAre::Maturing)
            .unwrap_or(event)
            .max(event.saturating_add(wait));
        if timed && known > as_of {
            immature += 1;
        } else {
            events.push(LabelledEvent {
                row,
                fraud,
                time: time.filter(|_| timed),
                known,
                shown_from: given
                    .map(|given| given.max(event))
                    .or_else(|| (labels_are == LabelsAre::Maturing).then_some(known)),
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
pub(crate) fn treat_labels(
    dataset: &Dataset,
    unlabelled: UnlabelledTreatment,
) -> Vec<Option<bool>> {
    let legit = dataset
        .labels()
        .iter()
        .filter(|label| **label == EventLabel::Legit)
        .count();
    let unlabelled = match unlabelled {
        UnlabelledTreatment::Auto if legit < 50 => UnlabelledTreatment::Legit,
        UnlabelledTreatment::Auto => UnlabelledTreatment::Ignore,
        other => other,
    };
    let labels = dataset.labels().iter().zip(dataset.blocked());
    labels
        .map(|(label, blocked)| match (label, unlabelled) {
            (EventLabel::Fraud, _) | (EventLabel::Unlabelled, UnlabelledTreatment::Fraud) => {
                Some(true)
            }
            (EventLabel::Legit, _) => Some(false),
            (EventLabel::Unknown, _)
            | (_, UnlabelledTreatment::Ignore | UnlabelledTreatment::Auto) => None,
            (EventLabel::Unlabelled, UnlabelledTreatment::Legit) => (!blocked).then_some(false),
        })
        .collect()
}

/// How long after their events labels of fraud were given, in seconds. Labels of legitimate events tell nothing,
/// because they are mostly given after a fixed time.
fn list_label_delays(dataset: &Dataset) -> Vec<i64> {
    (0..dataset.len())
        .filter(|row| dataset.labels()[*row] == EventLabel::Fraud)
        .filter_map(|row| Some(dataset.label_times()[row]? - dataset.event_times()[row]?))
        .collect()
}

/// Why the label times cannot be real; `None` if they can.
fn explain_artificial_times(dataset: &Dataset) -> Option<&'static str> {
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

fn choose_wait(dataset: &Dataset) -> (i64, String) {
    if let Some(why) = explain_artificial_times(dataset) {
        return (DEFAULT_WAIT, format!("{why}, so 45 days are taken"));
    }
    let mut delays = list_label_delays(dataset);
    if delays.len() < ENOUGH_DELAYS {
        return (
            DEFAULT_WAIT,
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
    use crate::{EventRow, Variable, VariableType};

    const DAY: i64 = 86_400;

    fn dataset(rows: impl IntoIterator<Item = (i64, EventLabel, Option<i64>, bool)>) -> Dataset {
        let mut dataset = Dataset::new(vec![Variable::new("x", VariableType::Numeric)]);
        for (event_time, label, label_time, blocked) in rows {
            let row = EventRow {
                values: &[None],
                event_time: Some(event_time),
                label,
                label_time,
                blocked,
                ..EventRow::default()
            };
            dataset.push(&row).unwrap();
        }
        dataset
    }

    fn at_days(days: i64, delay: impl Fn(i64) -> Option<i64>) -> Dataset {
        dataset((0..days).map(|day| {
            (
                day * DAY,
                EventLabel::Fraud,
                delay(day).map(|delay| day * DAY + delay),
                false,
            )
        }))
    }

    #[test]
    fn without_label_times_45_days_are_waited() {
        let (events, maturity) = select_mature_events(
            &at_days(100, |_| None),
            LabelsAre::Maturing,
            UnlabelledTreatment::Ignore,
            None,
        );
        assert_eq!((events.len(), maturity.immature), (55, 45));
        assert_eq!(events[0].known, DEFAULT_WAIT);
    }

    #[test]
    fn observed_delays_are_waited() {
        // 5 % come after 30 days, the rest after 10.
        let delay = |day| Some(if day % 25 == 0 { 30 } else { 10 } * DAY);
        let (events, maturity) = select_mature_events(
            &at_days(100, delay),
            LabelsAre::Maturing,
            UnlabelledTreatment::Ignore,
            Some(100 * DAY),
        );
        assert!((maturity.wait_days - 10.0).abs() < 1e-9);
        assert_eq!(maturity.immature, 10);
        assert_eq!(events[0].known, 30 * DAY, "its own label came later");
        assert_eq!(events[1].known, 11 * DAY);
        // Histories show a label when it comes, as in service, whatever the others take.
        let (events, _) = select_mature_events(
            &at_days(200, |day| Some(if day % 10 == 0 { 30 } else { 2 } * DAY)),
            LabelsAre::Maturing,
            UnlabelledTreatment::Ignore,
            None,
        );
        assert_eq!(
            (events[1].known, events[1].shown_from),
            (31 * DAY, Some(3 * DAY))
        );
    }

    #[test]
    fn made_up_label_times_are_seen_through() {
        let (_, maturity) = select_mature_events(
            &at_days(100, |_| Some(0)),
            LabelsAre::Maturing,
            UnlabelledTreatment::Ignore,
            None,
        );
        assert!(
            maturity.why.contains("times of the events"),
            "{}",
            maturity.why
        );
        let one = at_days(100, |day| Some((200 - day) * DAY));
        let (_, maturity) =
            select_mature_events(&one, LabelsAre::Maturing, UnlabelledTreatment::Ignore, None);
        assert!(maturity.why.contains("the same"), "{}", maturity.why);
        let (events, _) =
            select_mature_events(&one, LabelsAre::Final, UnlabelledTreatment::Ignore, None);
        assert_eq!((events.len(), events[7].known), (100, 7 * DAY));
        assert_eq!(events[7].shown_from, None, "nobody knows when it came");
    }

    #[test]
    fn a_blocked_event_without_a_label_is_never_legitimate() {
        let set = dataset([
            (0, EventLabel::Unlabelled, None, true),
            (1, EventLabel::Unlabelled, None, false),
            (2, EventLabel::Unknown, None, false),
            (3, EventLabel::Legit, None, true),
        ]);
        for (treatment, expected) in [
            (UnlabelledTreatment::Ignore, [None, None, None, Some(false)]),
            (
                UnlabelledTreatment::Fraud,
                [Some(true), Some(true), None, Some(false)],
            ),
            (
                UnlabelledTreatment::Legit,
                [None, Some(false), None, Some(false)],
            ),
            (
                UnlabelledTreatment::Auto,
                [None, Some(false), None, Some(false)],
            ),
        ] {
            assert_eq!(treat_labels(&set, treatment), expected, "{treatment:?}");
        }
    }
}
