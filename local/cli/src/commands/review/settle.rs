//! `fraudstream review settle` and `adopt`.

use clap::Args;
use futures::stream::{self, StreamExt as _};
use jiff::ToSpan as _;
use serde::Serialize;
use serde_json::json;
use shared::reviews::{Lapse, ReviewError, Reviews, VerdictCause, WaitingCase, plan_settlement};

use super::desk::Desk;
use crate::commands::CommandError;
use crate::commands::output::print_result;

/// How many cases are closed at the same time.
const AT_ONCE: usize = 16;

/// The arguments of `review settle`.
#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// Print what would be closed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// What was closed without a person.
#[derive(Debug, Default, Serialize)]
struct SettledCases {
    dry_run: bool,
    /// Closed because they waited too long.
    past_sla: usize,
    /// Closed because people cannot decide so many in a day.
    overflowed: usize,
    /// Past their time, but somebody works on them.
    claimed: usize,
    /// What waits afterwards.
    waiting: usize,
    /// Labels of verdicts that an interrupted command had left.
    labels_applied: usize,
}

impl SettleArgs {
    /// Settles.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let queues = Reviews::queues(&desk.mapping);
        let cases = desk
            .reviews
            .waiting(&desk.mapping, &queues, usize::MAX, desk.now)
            .await?;
        let plan = plan_settlement(desk.mapping.review(), cases, desk.now);
        let mut settled = SettledCases {
            dry_run: self.dry_run,
            claimed: plan.claimed,
            waiting: plan.waiting,
            ..SettledCases::default()
        };
        let dry_run = self.dry_run;
        let mut closing = stream::iter(&plan.lapses)
            .map(async |(case, lapse)| {
                if dry_run {
                    Ok(true)
                } else {
                    close_case(desk, case, lapse).await
                }
            })
            .buffered(AT_ONCE);
        let mut lapses = plan.lapses.iter();
        while let (Some(is_closed), Some((_, lapse))) = (closing.next().await, lapses.next()) {
            match (is_closed?, lapse.cause) {
                (false, _) => settled.claimed += 1,
                (true, VerdictCause::Overflow) => settled.overflowed += 1,
                (true, _) => settled.past_sla += 1,
            }
        }
        // After the cases: a label that is refused must keep none of them open.
        let mut unlabelled = Vec::new();
        if !self.dry_run {
            (settled.labels_applied, unlabelled) = desk.apply_labels().await?;
        }
        print_result(self.json, &settled, describe(desk, &settled))?;
        if unlabelled.is_empty() {
            return Ok(());
        }
        Err(unlabelled.join("\n").into())
    }
}

/// Closes a case; `false` if somebody began to work on it.
async fn close_case(
    desk: &Desk<'_>,
    case: &WaitingCase,
    lapse: &Lapse,
) -> Result<bool, ReviewError> {
    let changed = desk
        .reviews
        .change(&case.key, &desk.mapping, desk.now, |editor| {
            editor.lapse(lapse)
        });
    match changed.await {
        Ok(_) | Err(ReviewError::Gone(_)) => Ok(true),
        Err(ReviewError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn describe(desk: &Desk<'_>, settled: &SettledCases) -> String {
    let review = desk.mapping.review();
    if review.sla.is_empty() && review.capacity.is_none() {
        return format!(
            "{} wait; the mapping has neither `sla` nor `reviews_per_day` in `decision.review`, so nothing is closed\n",
            settled.waiting
        );
    }
    let would = if settled.dry_run { "would be " } else { "" };
    format!(
        "{} {would}closed because their time was over, {} because of `reviews_per_day`; {} wait, of which {} are past their time and claimed\n",
        settled.past_sla, settled.overflowed, settled.waiting, settled.claimed
    )
}

/// The arguments of `review adopt`.
#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// How many days of orders are looked at, back from tomorrow.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u32).range(1..=1000))]
    days: u32,
    /// Print the count as JSON.
    #[arg(long)]
    json: bool,
}

impl AdoptArgs {
    /// Takes the open reviews of an earlier release into the queues.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let tomorrow = desk.now.date().saturating_add(1.day());
        let mut adopted = 0;
        for days in 0..=i64::from(self.days) {
            let day = tomorrow.saturating_sub(days.days());
            adopted += desk
                .reviews
                .adopt_day(&desk.mapping, &day.to_string())
                .await?;
        }
        let text = format!("{adopted} reviews of an earlier release are in the queues now\n");
        print_result(self.json, &json!({ "adopted": adopted }), text)
    }
}
