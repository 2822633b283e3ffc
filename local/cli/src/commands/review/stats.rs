//! `fraudstream review stats`: what waits, and what was decided on a day.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use jiff::civil::Date;
use serde::Serialize;
use shared::reviews::{Reviews, Verdict, VerdictCause, WaitingCase};

use super::desk::Desk;
use crate::commands::CommandError;
use crate::commands::output::print_result;
use crate::printable::printable_value;

/// The arguments of `review stats`.
#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// The day of the verdicts, yyyy-MM-dd in UTC; default today.
    #[arg(long)]
    day: Option<Date>,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// What waits, and what was decided on a day.
#[derive(Debug, Default, Serialize)]
struct Stats {
    day: String,
    /// Cases that wait, by the outcome that their orders have meanwhile.
    waiting: BTreeMap<String, usize>,
    appeals: usize,
    claimed: usize,
    escalated: usize,
    /// Cases that wait although their time is over; `review settle` closes them.
    past_due: usize,
    /// The expected loss of all that waits and can still be stopped.
    expected_loss: f64,
    /// Verdicts of people on the day, by person and outcome.
    verdicts: BTreeMap<String, BTreeMap<String, usize>>,
    /// Verdicts that changed the outcome that the order had.
    changed: usize,
    past_sla: usize,
    overflowed: usize,
    /// Verdicts of the day that a second person gives again: those that are done, those that say something else.
    rechecks: usize,
    rechecks_done: usize,
    rechecks_disagree: usize,
}

impl StatsArgs {
    /// Counts.
    pub(super) async fn run(self, desk: &Desk<'_>) -> Result<(), CommandError> {
        let day = self.day.unwrap_or_else(|| desk.now.date()).to_string();
        let queues = Reviews::queues(&desk.mapping);
        let cases = desk
            .reviews
            .waiting(&desk.mapping, &queues, usize::MAX, desk.now)
            .await?;
        let verdicts = desk
            .reviews
            .verdicts_of_day(desk.mapping.event_type(), &day)
            .await?;
        let mut stats = Stats {
            day,
            ..Stats::default()
        };
        for case in &cases {
            stats.count_case(case, desk);
        }
        for verdict in &verdicts {
            stats.count_verdict(verdict);
        }
        print_result(self.json, &stats, &stats)
    }
}

impl Stats {
    fn count_case(&mut self, case: &WaitingCase, desk: &Desk<'_>) {
        *self.waiting.entry(case.outcome.clone()).or_default() += 1;
        self.appeals += usize::from(case.is_appeal);
        self.claimed += usize::from(case.claim.is_some());
        self.escalated += usize::from(case.escalated_by.is_some());
        self.past_due += usize::from(case.due.is_some_and(|due| due <= desk.now));
        if !case.is_shipped {
            self.expected_loss += case.expected_loss;
        }
    }

    fn count_verdict(&mut self, verdict: &Verdict) {
        match verdict.cause {
            VerdictCause::Sla => self.past_sla += 1,
            VerdictCause::Overflow => self.overflowed += 1,
            VerdictCause::Person => {
                let reviewer = verdict.reviewer.clone().unwrap_or_default();
                let by_outcome = self.verdicts.entry(reviewer).or_default();
                *by_outcome.entry(verdict.outcome.clone()).or_default() += 1;
                self.changed += usize::from(verdict.outcome != verdict.outcome_before);
            }
        }
        self.rechecks += usize::from(verdict.is_rechecked);
        if let Some(recheck) = &verdict.recheck {
            self.rechecks_done += 1;
            self.rechecks_disagree += usize::from(!recheck.agrees);
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<String, usize>| {
            let texts = counts.iter().map(|(name, count)| format!("{count} {name}"));
            texts.collect::<Vec<_>>().join(", ")
        };
        let all: usize = self.waiting.values().sum();
        let outcomes = match all {
            0 => String::new(),
            _ => format!(" ({})", list(&self.waiting)),
        };
        writeln!(
            f,
            "waiting     {all}{outcomes}, expected loss that can be stopped {:.2}",
            self.expected_loss
        )?;
        writeln!(
            f,
            "            {} appeals, {} claimed, {} escalated, {} past their time",
            self.appeals, self.claimed, self.escalated, self.past_due
        )?;
        writeln!(f, "{}", self.day)?;
        for (reviewer, outcomes) in &self.verdicts {
            writeln!(
                f,
                "            {}: {}",
                printable_value(reviewer),
                list(outcomes)
            )?;
        }
        let verdicts: usize = self.verdicts.values().flat_map(BTreeMap::values).sum();
        writeln!(
            f,
            "verdicts    {verdicts} by people, of which {} changed the outcome",
            self.changed
        )?;
        writeln!(
            f,
            "            {} closed because their time was over, {} because of `reviews_per_day`",
            self.past_sla, self.overflowed
        )?;
        writeln!(
            f,
            "rechecks    {} of the day, {} done, {} disagree",
            self.rechecks, self.rechecks_done, self.rechecks_disagree
        )
    }
}
