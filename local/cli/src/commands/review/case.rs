//! `fraudstream review show`, and the steps with one case: claim, release, note, escalate, appeal.

use clap::Args;
use serde_json::json;
use shared::decisions::Decision;
use shared::reviews::CaseText;

use super::desk::Desk;
use super::related::{RelatedIn, find_related, related_table};
use super::{PersonAndReason, PersonArgs};
use crate::commands::CommandError;
use crate::commands::output::print_result;
use crate::commands::show::describe_orders;
use crate::printable::printable_value;

/// The arguments of `review show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Order id as the shop writes it.
    order_id: String,
    /// Print the decision with its case, its verdicts and related orders as JSON.
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    /// Shows a case.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let decision = desk.find_case(&self.order_id).await?;
        Box::pin(show_case(desk, decision, self.json)).await
    }
}

/// Shows a decision with its case, and what is related to it.
pub(super) async fn show_case(
    desk: &Desk<'_>,
    decision: Decision,
    json: bool,
) -> Result<(), CommandError> {
    let related = find_related(desk, &decision, RelatedIn::Waiting).await?;
    let (event_type, event_id) = (&decision.event_type, &decision.event_id);
    let verdicts = desk.reviews.verdicts_of_event(event_type, event_id).await?;
    let decisions = [decision];
    let text = describe_orders(&desk.workspace, &desk.mapping, &decisions).await?;
    let text = format!("{text}\nrelated orders\n{}", related_table(&related));
    let [decision] = &decisions;
    let value = json!({
        "decision": decision,
        "is_waiting": decision.is_waiting(),
        "outcome": decision.current_outcome(),
        "verdicts": verdicts,
        "related": related,
    });
    print_result(json, &value, text)
}

/// The arguments of a step that needs no text.
#[derive(Debug, Args)]
pub(super) struct StepArgs {
    /// Order id as the shop writes it.
    order_id: String,
    #[command(flatten)]
    person: PersonArgs,
    /// Print the case as JSON.
    #[arg(long)]
    json: bool,
}

impl StepArgs {
    /// Claims the case.
    pub(super) async fn claim(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let who = &self.person.who;
        let decision = desk.find_case(&self.order_id).await?;
        let decision = desk.change(&decision, |editor| editor.claim(who)).await?;
        let claim = decision
            .review
            .as_ref()
            .and_then(|case| case.claim.as_ref());
        let until = claim.map(|claim| claim.until.clone()).unwrap_or_default();
        let text = format!("claimed by {who} until {until}");
        print_case(&decision, self.json, &text)
    }

    /// Releases the case.
    pub(super) async fn release(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let who = &self.person.who;
        let decision = desk.find_case(&self.order_id).await?;
        let decision = desk.change(&decision, |editor| editor.release(who)).await?;
        print_case(&decision, self.json, "claimed by nobody")
    }
}

/// The arguments of `review note`.
#[derive(Debug, Args)]
pub(super) struct NoteArgs {
    /// Order id as the shop writes it.
    order_id: String,
    #[command(flatten)]
    person: PersonArgs,
    /// What to write down; it stays in the table and is not forwarded.
    #[arg(long)]
    text: CaseText,
    /// Print the case as JSON.
    #[arg(long)]
    json: bool,
}

impl NoteArgs {
    /// Writes the note.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let who = &self.person.who;
        let decision = desk.find_case(&self.order_id).await?;
        let decision = desk
            .change(&decision, |editor| editor.note(who, &self.text))
            .await?;
        print_case(&decision, self.json, "noted")
    }
}

/// The arguments of a step that needs a reason.
#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    /// Order id as the shop writes it.
    order_id: String,
    #[command(flatten)]
    who: PersonAndReason,
    /// Print the case as JSON.
    #[arg(long)]
    json: bool,
}

impl ReasonArgs {
    /// Escalates the case.
    pub(super) async fn escalate(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let (who, reason) = (&self.who.person.who, &self.who.reason);
        let decision = desk.find_case(&self.order_id).await?;
        let decision = desk
            .change(&decision, |editor| editor.escalate(who, reason))
            .await?;
        let text = format!("escalated by {who}; somebody else decides it");
        print_case(&decision, self.json, &text)
    }

    /// Opens the case with an appeal.
    pub(super) async fn appeal(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let (who, reason) = (&self.who.person.who, &self.who.reason);
        let decision = desk.find_case(&self.order_id).await?;
        let decision = desk
            .change(&decision, |editor| editor.appeal(who, reason))
            .await?;
        let outcome = decision.current_outcome();
        let text = format!("the appeal waits for a verdict; the order is `{outcome}` meanwhile");
        print_case(&decision, self.json, &text)
    }
}

/// Prints what became of a case.
fn print_case(decision: &Decision, json: bool, text: &str) -> Result<(), CommandError> {
    let value = json!({
        "order_id": decision.order_id,
        "revision": decision.revision,
        "is_waiting": decision.is_waiting(),
        "outcome": decision.current_outcome(),
        "case": decision.review,
    });
    let order = printable_value(&decision.order_id);
    print_result(json, &value, format_args!("order {order}: {text}\n"))
}
