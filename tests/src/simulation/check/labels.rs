//! Whether labels count by rank and time, and close reviews.

use std::collections::BTreeSet;

use super::{CLEARLY_LATER_MS, Checks, event_id};
use crate::simulation::day::{End, Input};
use crate::simulation::report::Law;

impl Checks<'_> {
    /// Rank and time decide which label counts, everywhere.
    pub(super) async fn check_labels(&mut self) {
        for (event_id, plan) in &self.end.day.events {
            let want = plan.label();
            let messages: BTreeSet<(&str, &str)> = plan
                .messages
                .iter()
                .map(|it| (it.what.as_str(), it.time.as_str()))
                .collect();
            let of_event = self
                .decisions
                .iter()
                .filter(|decision| decision.event_id == *event_id);
            for decision in of_event {
                let got = decision
                    .label
                    .as_ref()
                    .and_then(|label| label.label.as_deref());
                if got != want || decision.label_history.len() != messages.len() {
                    let text = format!(
                        "{} has {got:?} of {} labels instead of {want:?} of {}",
                        decision.decision_id,
                        decision.label_history.len(),
                        messages.len()
                    );
                    self.add(Law::Labels, text);
                }
            }
            let is_stored = plan.history.is_some() || !plan.versions.is_empty();
            let event = self
                .end
                .operator
                .get_event()
                .event_id(event_id)
                .event_type_name("order");
            let event = event.send().await.ok().and_then(|answer| answer.event);
            let got = event
                .as_ref()
                .and_then(|event| event.current_label.as_deref());
            if is_stored && event.is_none() {
                self.add(
                    Law::NothingLost,
                    format!("{event_id} is not at the service"),
                );
            } else if is_stored && got != want.or(plan.own_label) {
                let text = format!("{event_id} has {got:?} at the service instead of {want:?}");
                self.add(Law::Labels, text);
            }
        }
    }

    /// Checked only if it is clear which came first: there are minutes in between, and, for a label that came first,
    /// only delivery is disturbed.
    pub(super) fn check_reviews(&mut self) {
        let end = self.end;
        let is_calm = end.world.disturbances.is_calm();
        let reviews = self
            .decisions
            .iter()
            .filter(|it| it.effective_outcome == "review");
        for decision in reviews.cloned().collect::<Vec<_>>() {
            let decided = match end.time_of(&decision.decided_at) {
                Ok(decided) => decided,
                Err(text) => {
                    self.add(Law::Reviews, text);
                    continue;
                }
            };
            let is_verdict = |input: &&Input| {
                input.gives_label
                    && input.end == End::Succeeds
                    && event_id(input) == decision.event_id
            };
            let mut verdicts = end.day.inputs.iter().filter(is_verdict);
            let came_later = verdicts
                .clone()
                .any(|input| input.at > decided + CLEARLY_LATER_MS && !input.is_again);
            let all_before = verdicts.all(|input| input.at + CLEARLY_LATER_MS < decided);
            let is_open = decision.gsi2pk.is_some();
            if (came_later && is_open) || (is_calm && all_before && !is_open) {
                let text = format!("{} has its review open: {is_open}", decision.decision_id);
                self.add(Law::Reviews, text);
            }
        }
    }
}
