//! `fraudstream review recheck`: a second person gives a verdict again, without effect, so that a lead sees how sure they are.

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde_json::json;
use shared::reviews::{CaseText, PersonName, Recheck, Verdict};

use super::VerdictKind;
use super::desk::Desk;
use crate::commands::CommandError;
use crate::commands::output::print_result;
use crate::printable::printable_value;

/// The arguments of `review recheck`.
#[derive(Debug, Args)]
pub(super) struct RecheckArgs {
    /// Order id as the shop writes it; without one, the verdicts that wait are listed.
    #[arg(requires_all = ["who", "verdict", "reason"])]
    order_id: Option<String>,
    /// Who you are: somebody else than who gave the verdict.
    #[arg(long = "as", value_name = "NAME", requires = "order_id")]
    who: Option<PersonName>,
    /// What you would decide.
    #[arg(long, value_enum, requires = "order_id")]
    verdict: Option<VerdictKind>,
    /// Why, in a sentence.
    #[arg(long, value_name = "TEXT", requires = "order_id")]
    reason: Option<CaseText>,
    /// Print the verdicts, or what was compared, as JSON.
    #[arg(long)]
    json: bool,
}

impl RecheckArgs {
    /// Lists what waits, or compares a verdict.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let event_type = desk.mapping.event_type();
        if let (Some(order_id), Some(who), Some(verdict), Some(reason)) =
            (&self.order_id, &self.who, self.verdict, &self.reason)
        {
            let outcome = desk.effect(verdict)?.outcome.clone();
            let recheck = (who, outcome.as_str(), reason);
            return self.compare(desk, order_id, recheck).await;
        }
        let waiting = desk.reviews.verdicts_to_recheck(event_type).await?;
        // What was decided is not shown: the second person is to think for themselves.
        let values = waiting.iter().map(|it| {
            json!({"order_id": it.order_id, "reviewer": it.reviewer, "reviewed_at": it.reviewed_at})
        });
        let values: Vec<_> = values.collect();
        print_result(self.json, &values, verdicts_table(&waiting))
    }

    async fn compare(
        &self,
        desk: &Desk<'_>,
        order_id: &str,
        (who, outcome, reason): (&PersonName, &str, &CaseText),
    ) -> Result<(), CommandError> {
        let decision = desk.find_case(order_id).await?;
        let (event_type, event_id) = (&decision.event_type, &decision.event_id);
        let verdicts = desk.reviews.verdicts_of_event(event_type, event_id).await?;
        let mut open = verdicts.iter().rev();
        let verdict =
            open.find(|it| it.is_rechecked && it.recheck.is_none() && !it.waits_for_label());
        let verdict = verdict.ok_or_else(|| {
            format!("no verdict on order `{order_id}` waits for a second person; `fraudstream review recheck` lists those that do")
        })?;
        let first = verdict.reviewer.clone().unwrap_or_default();
        if who.is(&first) {
            return Err(format!("{first} gave the verdict on order `{order_id}`, so another person has to give it again").into());
        }
        let recheck = Recheck {
            by: who.to_string(),
            outcome: outcome.to_owned(),
            reason: reason.to_string(),
            at: desk.now.to_string(),
            agrees: verdict.outcome == outcome,
        };
        if !desk.reviews.put_recheck(verdict, &recheck).await? {
            return Err(format!(
                "somebody else has given the verdict on order `{order_id}` again meanwhile"
            )
            .into());
        }
        let text = if recheck.agrees {
            format!("order {order_id}: you and {first} agree on {outcome}\n")
        } else {
            format!(
                "order {order_id}: you say {outcome}, {first} decided {}; nothing changed, `fraudstream review appeal` opens the case again\n",
                verdict.outcome
            )
        };
        let value = json!({"order_id": order_id, "verdict": verdict, "recheck": recheck});
        print_result(self.json, &value, printable_lines(&text))
    }
}

fn printable_lines(text: &str) -> String {
    printable_value(text.trim_end()) + "\n"
}

fn verdicts_table(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return "no verdict waits for a second person\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["order", "decided by", "at"]);
    for verdict in verdicts {
        table.add_row([
            printable_value(&verdict.order_id),
            printable_value(verdict.reviewer.as_deref().unwrap_or_default()),
            verdict.reviewed_at.clone(),
        ]);
    }
    format!("{table}\n")
}
