//! `fraudstream review practice`: decide a closed case again, and see whether you agree with who decided it.

use std::collections::BTreeMap;

use clap::Args;
use event::hash::short_hash;
use jiff::ToSpan as _;
use serde_json::json;
use shared::decisions::Decision;
use shared::reviews::{PersonName, Verdict, VerdictCause};

use super::VerdictKind;
use super::desk::Desk;
use crate::commands::CommandError;
use crate::commands::output::print_result;
use crate::commands::show::describe_orders;
use crate::printable::printable_value;

/// How many days of verdicts are practised on.
const DAYS: i64 = 30;

/// The arguments of `review practice`.
#[derive(Debug, Args)]
pub(super) struct PracticeArgs {
    /// The order that you answer for; without one, a case is chosen.
    #[arg(requires = "verdict")]
    order_id: Option<String>,
    /// Who you are.
    #[arg(long = "as", value_name = "NAME")]
    who: PersonName,
    /// What you would decide.
    #[arg(long, value_enum, requires = "order_id")]
    verdict: Option<VerdictKind>,
    /// Print the case, or what was compared, as JSON.
    #[arg(long)]
    json: bool,
}

impl PracticeArgs {
    /// Shows a closed case, or compares an answer.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        match (&self.order_id, self.verdict) {
            (Some(order_id), Some(verdict)) => self.compare(desk, order_id, verdict).await,
            _ => Box::pin(self.choose(desk)).await,
        }
    }

    /// Shows a case that another person closed, as it was before the verdict.
    async fn choose(&self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let mut verdicts = Vec::new();
        for days in 0..DAYS {
            let day = desk.now.date().saturating_sub(days.days()).to_string();
            let of_day = desk
                .reviews
                .verdicts_of_day(desk.mapping.event_type(), &day);
            verdicts.extend(of_day.await?);
        }
        verdicts.retain(|verdict| {
            let reviewer = verdict.reviewer.as_deref();
            verdict.cause == VerdictCause::Person && reviewer.is_some_and(|it| !self.who.is(it))
        });
        // Another case each time, in an order that nobody can foresee from the queue.
        let seed = desk.now.epoch_millis();
        verdicts
            .sort_by_cached_key(|it| short_hash(format!("{seed} {}", it.verdict_id).as_bytes()));
        for verdict in &verdicts {
            let found = desk.find_order(&verdict.order_id).await.unwrap_or_default();
            let mut found = found.into_iter();
            if let Some(decision) = found.find(|it| it.decision_id == verdict.decision_id) {
                return self.show(desk, hide_verdict(decision)).await;
            }
        }
        Err(format!(
            "there is no case to practise on: other people gave no verdict in the last {DAYS} days"
        )
        .into())
    }

    async fn show(&self, desk: &Desk<'_>, decision: Decision) -> Result<(), CommandError> {
        let decisions = [decision];
        let text = describe_orders(&desk.workspace, &desk.mapping, &decisions).await?;
        let [decision] = &decisions;
        let id = printable_value(&decision.order_id);
        let text = format!(
            "{text}\nwhat would you decide? fraudstream review practice {id} --as {} --verdict approve|block\n",
            self.who
        );
        print_result(self.json, decision, text)
    }

    async fn compare(
        &self,
        desk: &Desk<'_>,
        order_id: &str,
        answer: VerdictKind,
    ) -> Result<(), CommandError> {
        let answer = desk.effect(answer)?.outcome.clone();
        let decision = desk.find_case(order_id).await?;
        let (event_type, event_id) = (&decision.event_type, &decision.event_id);
        let verdicts = desk.reviews.verdicts_of_event(event_type, event_id).await?;
        let mut by_people = verdicts.iter().rev();
        let verdict = by_people.find(|it| it.cause == VerdictCause::Person);
        let verdict: &Verdict =
            verdict.ok_or_else(|| format!("nobody has decided order `{order_id}` yet"))?;
        let label = decision.label.as_ref();
        let label = label.and_then(|it| it.label.as_deref()).unwrap_or("none");
        let agrees = verdict.outcome == answer;
        let word = if agrees { "agree" } else { "disagree" };
        let text = format!(
            "you {word}: you say {answer}, {} decided {} ({}); the label now: {label}",
            verdict.reviewer.as_deref().unwrap_or_default(),
            verdict.outcome,
            verdict.reason.as_deref().unwrap_or_default()
        );
        let value = json!({
            "order_id": order_id, "agrees": agrees, "answer": answer, "outcome": verdict.outcome,
            "reason": verdict.reason, "label": label,
        });
        print_result(self.json, &value, printable_value(&text) + "\n")
    }
}

/// The decision as it was before people knew more.
fn hide_verdict(mut decision: Decision) -> Decision {
    decision.review = None;
    decision.label = None;
    decision.label_history = BTreeMap::new();
    decision
}
