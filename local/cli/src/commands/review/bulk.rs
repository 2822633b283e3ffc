//! `fraudstream review approve` and `block`: a verdict on one order, on several, or on a ring.

use clap::Args;
use serde::Serialize;
use shared::decisions::Decision;
use shared::mapping::VerdictEffect;
use shared::reviews::ReviewError;

use super::desk::Desk;
use super::related::{RelatedIn, find_related};
use super::{PersonAndReason, VerdictKind};
use crate::commands::CommandError;
use crate::commands::output::print_result;
use crate::printable::printable_value;

/// The arguments of `review approve` and `review block`.
#[derive(Debug, Args)]
pub(super) struct VerdictArgs {
    /// Order ids as the shop writes them.
    #[arg(required = true)]
    order_ids: Vec<String>,
    /// Also all orders that wait and share a key with one of these.
    #[arg(long)]
    ring: bool,
    #[command(flatten)]
    who: PersonAndReason,
    /// Decide several orders without listing them first. Those that nobody works on are claimed.
    #[arg(long)]
    yes: bool,
    /// Print what was decided as JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one order.
#[derive(Debug, Serialize)]
struct DecidedOrder {
    order_id: String,
    revision: u64,
    outcome_before: String,
    /// The outcome of the verdict; `None` if it was not given.
    outcome: Option<String>,
    /// Why it was not.
    problem: Option<String>,
}

impl VerdictArgs {
    /// Decides.
    pub(super) async fn run(
        self,
        desk: &Desk<'_>,
        verdict: VerdictKind,
    ) -> Result<(), CommandError> {
        let effect = desk.effect(verdict)?.clone();
        let mut cases = Vec::with_capacity(self.order_ids.len());
        for order_id in &self.order_ids {
            add_case(&mut cases, desk.find_case(order_id).await?);
        }
        if self.ring {
            self.add_ring(desk, &mut cases).await?;
        }
        let is_one = cases.len() == 1 && !self.ring;
        if !is_one && !self.yes {
            let names = cases.iter().map(describe_case).collect::<String>();
            let count = cases.len();
            return Err(format!(
                "these {count} orders would be `{}`:\n{names}nothing was decided; say --yes to decide them",
                effect.outcome
            )
            .into());
        }
        let mut decided = Vec::with_capacity(cases.len());
        let mut unlabelled = Vec::new();
        for case in &cases {
            let (order, failures) = self.decide(desk, case, &effect, !is_one).await?;
            decided.push(order);
            unlabelled.extend(failures);
        }
        // What an interrupted command left, too.
        unlabelled.extend(desk.apply_labels().await?.1);
        unlabelled.sort_unstable();
        unlabelled.dedup();
        let reported = self.report(&decided, &effect);
        if unlabelled.is_empty() {
            return reported;
        }
        Err(unlabelled.join("\n").into())
    }

    /// Adds the orders that wait and share a key with one of `cases`.
    async fn add_ring(
        &self,
        desk: &Desk<'_>,
        cases: &mut Vec<Decision>,
    ) -> Result<(), CommandError> {
        let mut related = Vec::new();
        for case in &*cases {
            related.extend(find_related(desk, case, RelatedIn::AllWaiting).await?);
        }
        let decisions = desk.workspace.pipeline.decisions();
        let keys = related.into_iter().filter(|order| order.is_waiting);
        let mut keys: Vec<_> = keys.map(|order| order.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let found = decisions.read(keys.clone()).await?;
        for case in keys.iter().filter_map(|key| found.decision(key)) {
            add_case(cases, case.clone());
        }
        Ok(())
    }

    /// Decides one order; `claims` says that it is claimed first.
    async fn decide(
        &self,
        desk: &Desk<'_>,
        case: &Decision,
        effect: &VerdictEffect,
        claims: bool,
    ) -> Result<(DecidedOrder, Vec<String>), CommandError> {
        let mut unlabelled = Vec::new();
        let (who, reason) = (&self.who.person.who, &self.who.reason);
        let decide = async {
            if claims && case.is_waiting() {
                desk.change(case, |editor| editor.claim(who)).await?;
            }
            desk.change(case, |editor| editor.decide(who, effect, reason))
                .await
        };
        let problem = match decide.await {
            Ok(decision) => {
                unlabelled = desk.apply_labels_of(&decision).await?;
                None
            }
            Err(error @ (ReviewError::Refused(_) | ReviewError::Gone(_))) if claims => {
                Some(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        let decided = DecidedOrder {
            order_id: case.order_id.clone(),
            revision: case.revision,
            outcome_before: case.current_outcome().to_owned(),
            outcome: problem.is_none().then(|| effect.outcome.clone()),
            problem,
        };
        Ok((decided, unlabelled))
    }

    fn report(&self, decided: &[DecidedOrder], effect: &VerdictEffect) -> Result<(), CommandError> {
        let lines = decided.iter().map(|order| {
            let id = printable_value(&order.order_id);
            match &order.problem {
                None if order.outcome_before == effect.outcome => {
                    format!("order {id}: stays {}\n", effect.outcome)
                }
                None => format!(
                    "order {id}: {} -> {}\n",
                    order.outcome_before, effect.outcome
                ),
                Some(problem) => format!("order {id}: not decided: {}\n", printable_value(problem)),
            }
        });
        print_result(self.json, &decided, lines.collect::<String>())?;
        let failed = decided.iter().filter(|order| order.problem.is_some());
        match failed.count() {
            0 => Ok(()),
            failed => Err(format!("{failed} of {} orders were not decided", decided.len()).into()),
        }
    }
}

/// Adds a case, but only one for each order: that of its newest revision. The label of a verdict closes the others.
fn add_case(cases: &mut Vec<Decision>, case: Decision) {
    match cases.iter_mut().find(|known| known.pk == case.pk) {
        Some(known) if known.revision < case.revision => *known = case,
        Some(_) => {}
        None => cases.push(case),
    }
}

fn describe_case(case: &Decision) -> String {
    let waits = if case.is_waiting() {
        "waits"
    } else {
        "waits for nobody"
    };
    let outcome = case.current_outcome();
    format!(
        "  {} ({outcome}, {waits})\n",
        printable_value(&case.order_id)
    )
}
