//! Changes as text for people.

use std::fmt::Write as _;

use engine::{ChangeDetails, ChangeKind, ChangeState, ChangedPart, RecordedChange};
use serde::Serialize;
use serde_json::Value;

use crate::printable::printable_value;

/// A change with what it consists of.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeEntry {
    #[serde(flatten)]
    pub(crate) change: RecordedChange,
    #[serde(flatten)]
    pub(crate) content: ChangeDetails,
}

/// A kind as a word.
fn name_kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Apply => "apply",
        ChangeKind::Rollback => "rollback",
        ChangeKind::Freeze => "freeze",
        ChangeKind::Policy => "policy",
        ChangeKind::Rollout => "rollout",
        ChangeKind::Shadow => "shadow",
    }
}

/// A state as a phrase.
fn name_state(state: ChangeState) -> &'static str {
    match state {
        ChangeState::Started => "not finished: it was interrupted, or runs now",
        ChangeState::Done => "done",
        ChangeState::Stopped => "stopped at a step that failed",
        ChangeState::Waiting => "waits for an approval",
    }
}

/// Changes, each with its differences.
pub(crate) fn format_changes(entries: &[ChangeEntry]) -> String {
    let texts: Vec<String> = entries.iter().map(format_change).collect();
    texts.join("\n")
}

fn format_change(entry: &ChangeEntry) -> String {
    let ChangeEntry { change, content } = entry;
    let mut text = format!(
        "{}  {} by {}: {}\n",
        change.id,
        name_kind(change.kind),
        printable_value(&change.author),
        name_state(change.state)
    );
    let reason = change.reason.as_deref().unwrap_or("no reason given");
    add_line(&mut text, &format!("reason: {}", printable_value(reason)));
    if let Some(reason) = &change.break_glass {
        let approved = match &change.approval {
            Some(_) => "",
            None => "; nobody has approved it",
        };
        add_line(
            &mut text,
            &format!("break glass: {}{approved}", printable_value(reason)),
        );
    }
    if let Some(approval) = &change.approval {
        let author = printable_value(&approval.author);
        add_line(
            &mut text,
            &format!("approved by {author} at {}", approval.time),
        );
        let said = [
            ("reason", &approval.reason),
            ("break glass", &approval.break_glass),
        ];
        for (what, why) in said
            .iter()
            .filter_map(|(what, why)| Some((what, why.as_ref()?)))
        {
            add_line(&mut text, &format!("  {what}: {}", printable_value(why)));
        }
    }
    for moved in &change.moves {
        let before = moved.before.map_or("none".to_owned(), |it| it.to_string());
        add_line(
            &mut text,
            &format!(
                "detector {}: version {before} -> {}",
                moved.detector_id, moved.after
            ),
        );
    }
    content
        .parts
        .iter()
        .for_each(|part| add_part(&mut text, part));
    // The parts say more than the steps; only what became of the version is not in them.
    let steps = match (content.parts.is_empty(), change.moves.is_empty()) {
        (true, _) => &content.steps[..],
        (false, true) => content.steps.last().map_or(&[][..], std::slice::from_ref),
        (false, false) => &[],
    };
    for step in steps {
        add_line(&mut text, step);
    }
    if let Some(report) = &content.backtest {
        add_line(&mut text, &describe_backtest(report));
    }
    text
}

fn add_line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {line}");
}

fn add_part(text: &mut String, part: &ChangedPart) {
    let sign = match (&part.before, &part.after) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    };
    add_line(text, &format!("{sign} {} {}", part.resource, part.name));
    for (sign, side) in [('-', &part.before), ('+', &part.after)] {
        for line in side.iter().flat_map(|side| side.lines()) {
            add_line(text, &format!("    {sign} {}", printable_value(line)));
        }
    }
}

/// A backtest in one line.
fn describe_backtest(report: &Value) -> String {
    let orders = ["fraud", "good", "not_known_yet"].map(|kind| {
        report["orders"][kind]["orders"]
            .as_u64()
            .unwrap_or_default()
    });
    let count = |side: &str, kind: &str| {
        report[side]["held_up"][kind]["orders"]
            .as_u64()
            .unwrap_or_default()
    };
    let pair = |kind| format!("{} -> {}", count("before", kind), count("after", kind));
    format!(
        "backtest: {} against {}: {} orders; held up: fraud {}, good {}",
        printable_value(report["draft"].as_str().unwrap_or_default()),
        printable_value(report["against"].as_str().unwrap_or_default()),
        orders.iter().sum::<u64>(),
        pair("fraud"),
        pair("good"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_was_and_what_is() {
        let entry: ChangeEntry = ChangeEntry {
            change: serde_json::from_value(serde_json::json!({
                "id": "20261128-184501123-3f2a", "time": "2026-11-28T18:45:01.123Z", "kind": "apply", "state": "done",
                "author": "ana", "moves": [{"detectorId": "orders", "before": 2, "after": 3}],
                "details": {"hash": "0", "chunks": 1},
                "approval": {"author": "bo", "time": "2026-11-28T19:00:00Z", "reason": "seen", "breakGlass": "attack"}
            }))
            .unwrap(),
            content: serde_json::from_value(serde_json::json!({
                "parts": [
                    {"resource": "rule", "name": "high", "before": "$price > 900\n-> review", "after": "$price > 500\n-> review"},
                    {"resource": "rule", "name": "old", "before": "$price > 1"}
                ],
                "backtest": {"draft": "draft.yaml", "against": "what was decided", "orders": {"fraud": {"orders": 3}},
                    "before": {"held_up": {"fraud": {"orders": 1}, "good": {"orders": 4}}},
                    "after": {"held_up": {"fraud": {"orders": 2}, "good": {"orders": 4}}}}
            }))
            .unwrap(),
        };
        let want = "20261128-184501123-3f2a  apply by ana: done
  reason: no reason given
  approved by bo at 2026-11-28T19:00:00Z
    reason: seen
    break glass: attack
  detector orders: version 2 -> 3
  ~ rule high
      - $price > 900
      - -> review
      + $price > 500
      + -> review
  - rule old
      - $price > 1
  backtest: draft.yaml against what was decided: 3 orders; held up: fraud 1 -> 2, good 4 -> 4
";
        assert_eq!(format_change(&entry), want);
    }
}
