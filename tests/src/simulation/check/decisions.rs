//! Whether decisions are right.

use std::collections::BTreeSet;

use shared::decisions::Decision;

use super::Checks;
use crate::simulation::day::{EventPlan, Version};
use crate::simulation::report::Law;

/// The rules that match, their outcomes, and the effective outcome.
type Judged = (Vec<&'static str>, Vec<String>, String);

impl Checks<'_> {
    /// A decision is what the rules at that time give.
    pub(super) fn check_decision(&mut self, decision: &Decision) {
        let Some((version, plan)) = self.planned(decision) else {
            let text = format!("{} is on an order that nobody sent", decision.decision_id);
            self.add(Law::RightDecision, text);
            return;
        };
        let found = self.expected(decision, &version, &plan);
        let rules = decision.verdict.matched_rules.iter();
        let rules: Vec<&str> = rules.map(|rule| rule.rule_id.as_str()).collect();
        let outcomes = &decision.outcomes;
        let effective = &decision.effective_outcome;
        match found {
            Err(text) => self.add(
                Law::RightDecision,
                format!("{}: {text}", decision.decision_id),
            ),
            Ok(wanted)
                if !wanted
                    .iter()
                    .any(|want| (&want.0, &want.1, &want.2) == (&rules, outcomes, effective)) =>
            {
                let text = format!(
                    "{}: {rules:?} {outcomes:?} {effective} instead of {wanted:?}",
                    decision.decision_id
                );
                self.add(Law::RightDecision, text);
            }
            Ok(_) => {}
        }
    }

    pub(super) fn planned(&self, decision: &Decision) -> Option<(Version, EventPlan)> {
        let plan = self.end.day.events.get(&decision.event_id)?;
        let mut versions = plan.versions.iter();
        let version =
            versions.find(|it| it.revision == decision.revision && is_of(decision, it))?;
        Some((version.clone(), plan.clone()))
    }

    /// The correct rules and outcomes. There are several possible ones if something changed at that time.
    fn expected(
        &self,
        decision: &Decision,
        version: &Version,
        plan: &EventPlan,
    ) -> Result<Vec<Judged>, String> {
        let day = self.end.day;
        let prediction = &decision.verdict.prediction;
        let predicted = prediction.prediction_timestamp.as_deref();
        let predicted = predicted.ok_or("no time of the prediction")?;
        let predicted = self.end.time_of(predicted)?;
        // Cached definitions may be two seconds old, clocks may be one second off, and a prediction takes several
        // calls.
        let near = |change: u64| [predicted + 1_000 >= change, predicted >= change + 20_000];
        let version_id = prediction
            .detector_version_id
            .as_deref()
            .unwrap_or_default();
        let versions = day
            .changes
            .map_or([false, false], |changes| near(changes.version));
        let is_second = version_id == "2";
        if !versions.contains(&is_second) {
            return Err(format!("detector version {version_id} at {predicted} ms"));
        }
        let deployment = self
            .mappings
            .iter()
            .position(|mapping| mapping.hash() == decision.mapping_hash);
        let deployment = deployment.ok_or("an unknown mapping")?;
        let longest = self.end.time_out_ms + 20_000;
        let mappings = day.changes.map_or([false, false], |changes| {
            [
                predicted + 1_000 >= changes.mapping,
                predicted >= changes.mapping + longest,
            ]
        });
        if !mappings.contains(&(deployment == 1)) {
            return Err(format!("deployment {deployment} at {predicted} ms"));
        }
        let listed = match day.changes {
            Some(changes) if day.listed.as_deref() == Some(&plan.email) => near(changes.list),
            _ => [false, false],
        };
        let is_second_mapping = deployment != 0;
        // Whether it is the right number is another law.
        let card_orders = decision.variables.get("card_orders_1d");
        let card_orders = card_orders.and_then(|orders| orders.parse().ok());
        let seen = (version, card_orders.unwrap_or(0));
        let answers = listed.map(|is_listed| judge(seen, is_second, is_listed, is_second_mapping));
        Ok(answers.to_vec())
    }
}

/// Whether a decision is on this version of its order.
pub(super) fn is_of(decision: &Decision, version: &Version) -> bool {
    let price = version.price.map(|price| format!("{price:.2}"));
    let items = version.items.to_string();
    decision.variables.get("order_price") == price.as_ref()
        && decision.variables.get("item_count") == Some(&items)
}

/// The rules that match, their outcomes and the effective one: implemented here again, independently of the engine and
/// the mapping.
fn judge(
    (version, card_orders): (&Version, u64),
    is_second: bool,
    is_listed: bool,
    is_second_mapping: bool,
) -> Judged {
    let price = version.price.unwrap_or(0.0);
    let high = if is_second { 500.0 } else { 1000.0 };
    let rules = [
        ("very_high_amount", price > 5000.0, "block"),
        ("high_amount", price > high, "review"),
        ("many_items", version.items > 20, "challenge"),
        ("blocked_email", is_listed, "block"),
        ("busy_card", is_second && card_orders >= 3, "challenge"),
    ];
    let matched = rules.iter().filter(|(_, matches, _)| *matches);
    let mut outcomes: BTreeSet<&str> = matched.clone().map(|(.., outcome)| *outcome).collect();
    if version.price.is_none() {
        outcomes.insert("review");
    }
    if outcomes.is_empty() {
        outcomes.insert(if is_second_mapping {
            "challenge"
        } else {
            "approve"
        });
    }
    let by_priority = ["block", "review", "challenge", "approve"];
    let outcomes = by_priority
        .into_iter()
        .filter(|outcome| outcomes.contains(outcome));
    let outcomes: Vec<String> = outcomes.map(str::to_owned).collect();
    let is_allowed = is_second_mapping && version.items > 20 && !is_listed;
    let effective = if is_allowed {
        "challenge"
    } else {
        &outcomes[0]
    };
    (
        matched.map(|(rule_id, ..)| *rule_id).collect(),
        outcomes.clone(),
        effective.to_owned(),
    )
}
