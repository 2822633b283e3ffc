//! The decisions of a range of time, of each order the newest, with what the order is worth.

use clap::Args;
use event::Timestamp;
use indicatif::ProgressBar;
use shared::decisions::{Decision, Decisions, ItemKey};
use shared::mapping::Mapping;

use super::CommandError;
use super::decision_view::MoneyVariables;
use super::time_arg::parse_time;
use super::workspace::Workspace;
use crate::progress_bar::start_progress_bar;

const SECONDS_PER_DAY: i64 = 86_400;

/// Which orders are judged, and what counts as known of them.
#[derive(Clone, Debug, Args)]
pub(super) struct PastOrderArgs {
    /// Orders made at this time or later: a day (yyyy-MM-dd) or a time (ISO 8601).
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<Timestamp>,
    /// Orders made before this time.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<Timestamp>,
    /// After how many days an order without a label counts as good: by then most fraud is reported.
    #[arg(long, value_name = "DAYS", default_value_t = 45, value_parser = clap::value_parser!(u16).range(0..=730))]
    maturity: u16,
    /// Examples of each kind of difference.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) examples: usize,
}

impl PastOrderArgs {
    /// After how many seconds an order without a label counts as good.
    pub(super) fn maturity_seconds(&self) -> i64 {
        i64::from(self.maturity) * SECONDS_PER_DAY
    }

    fn is_in_range(&self, decision: &Decision) -> bool {
        let Ok(time) = Timestamp::parse(&decision.event_timestamp) else {
            return false;
        };
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// A decision with what its order is worth, in hundredths.
pub(super) struct PastDecision {
    pub(super) decision: Decision,
    pub(super) money: i64,
}

/// Reads the decisions of the mapping's detector page by page.
pub(super) struct PastDecisions<'a> {
    args: &'a PastOrderArgs,
    mapping: &'a Mapping,
    decisions: Decisions,
    money: MoneyVariables,
    bar: ProgressBar,
    /// The revisions of an order come one after the other, and only the newest says what it came to.
    newest: Option<Decision>,
    after: Option<ItemKey>,
    is_done: bool,
}

impl<'a> PastDecisions<'a> {
    /// The decisions in this range; `shows_progress` draws a bar.
    pub(super) async fn new(
        workspace: &Workspace<'_>,
        mapping: &'a Mapping,
        args: &'a PastOrderArgs,
        shows_progress: bool,
    ) -> Self {
        let client = &workspace.pipeline.clients.frauddetector;
        Self {
            args,
            mapping,
            decisions: workspace.pipeline.decisions(),
            money: MoneyVariables::read(client, mapping).await,
            bar: start_progress_bar(shows_progress, 0),
            newest: None,
            after: None,
            is_done: false,
        }
    }

    /// The next page, which may be empty; `None` after the last.
    pub(super) async fn read_page(&mut self) -> Result<Option<Vec<PastDecision>>, CommandError> {
        if self.is_done {
            self.bar.finish_and_clear();
            return Ok(None);
        }
        let event_type = self.mapping.event_type();
        let page = self
            .decisions
            .scan_page(event_type, self.after.as_ref())
            .await?;
        let mut found = Vec::new();
        for (_, decision) in page.items {
            self.bar.inc(1);
            if let Some(before) = self.newest.replace(decision)
                && self.newest.as_ref().is_some_and(|it| it.pk != before.pk)
            {
                found.extend(self.take_if_wanted(before));
            }
        }
        self.after = page.next;
        if self.after.is_none() {
            self.is_done = true;
            let last = self.newest.take();
            found.extend(last.and_then(|last| self.take_if_wanted(last)));
        }
        Ok(Some(found))
    }

    fn take_if_wanted(&self, decision: Decision) -> Option<PastDecision> {
        let is_wanted = decision.detector_id == self.mapping.detector().as_str()
            && self.args.is_in_range(&decision);
        let amount = self.money.money(&decision);
        let amount = amount.map_or(0.0, |money| money.size());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an amount of money; a cast saturates"
        )]
        let money = (amount * 100.0).round() as i64;
        is_wanted.then_some(PastDecision { decision, money })
    }
}
