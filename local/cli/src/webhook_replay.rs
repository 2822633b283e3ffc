//! Sends the webhooks of past decisions and verdicts again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event::{EventTypeName, Timestamp};
use futures::{StreamExt as _, stream};
use indicatif::ProgressBar;
use serde::Serialize;
use shared::batch::InvocationContext;
use shared::decisions::{Decision, Decisions};
use shared::failure::Failure;
use shared::reviews::{Reviews, Verdict};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};
use webhook::{SigningSecrets, Undelivered, UnreadableEvent, WebhookMessage, WebhookSender};

/// How many messages are sent at the same time.
const CALLS: usize = 8;
/// The pauses between the attempts for one message.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// After so many messages in a row that did not arrive, the receiver is taken to be down.
const FAILED_IN_A_ROW: usize = 10;
/// The most messages that did not arrive that are named.
const NAMED: usize = 100;

/// Which decisions and verdicts are sent: those made from a time on, and before another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeRange {
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

impl TimeRange {
    /// Whether a time, ISO 8601 UTC, is in the range.
    fn contains(&self, time: &str) -> bool {
        let Ok(time) = Timestamp::parse(time) else {
            return false;
        };
        time >= self.since && self.until.is_none_or(|until| time < until)
    }

    /// The days of the range in UTC, `yyyy-MM-dd`, up to that of `now`.
    /// Nothing is older than `oldest`.
    fn days(&self, oldest: Timestamp, now: Timestamp) -> Vec<String> {
        let last = self.until.map_or(now, |until| until.min(now));
        let first = self.since.max(oldest);
        let midnight = first.epoch_seconds().div_euclid(DAY) * DAY;
        let days = (last.epoch_seconds() - midnight).div_euclid(DAY);
        (0..=days)
            .map(|day| midnight.saturating_add(day * DAY))
            .filter_map(|time| Timestamp::from_epoch_seconds(time).ok())
            .map(|time| time.to_string().chars().take(10).collect())
            .collect()
    }
}

const DAY: i64 = 86_400;

/// How messages are sent.
pub(crate) struct Delivery {
    sender: WebhookSender,
    secrets: SigningSecrets,
    /// Gives each attempt its turn.
    turns: Mutex<Interval>,
}

/// What became of the messages.
#[derive(Debug, Default, Serialize)]
pub(crate) struct WebhookReport {
    /// Decisions in the range.
    pub(crate) decisions: u64,
    /// Verdicts of people in the range.
    pub(crate) verdicts: u64,
    /// Messages that the receiver answered with 2xx.
    pub(crate) sent: u64,
    /// Messages that did not arrive.
    pub(crate) failed: u64,
    /// The first of those, with the last reason of each.
    pub(crate) failures: Vec<FailedMessage>,
    /// Whether the rest was not tried, because the receiver is down.
    pub(crate) stopped: bool,
    /// Of the decisions and verdicts that were found by then, how many were not tried.
    pub(crate) not_tried: u64,
    /// Whether nothing was sent on purpose.
    pub(crate) dry_run: bool,
    #[serde(skip)]
    failed_in_a_row: usize,
}

/// A message that did not arrive.
#[derive(Debug, Serialize)]
pub(crate) struct FailedMessage {
    /// Its id, which is that of the decision.
    id: String,
    /// Why.
    reason: String,
}

impl WebhookReport {
    fn add(&mut self, id: String, result: Result<(), Undelivered>) {
        match result {
            Ok(()) => {
                self.sent += 1;
                self.failed_in_a_row = 0;
            }
            Err(reason) => {
                self.failed += 1;
                self.failed_in_a_row += 1;
                if self.failures.len() < NAMED {
                    let reason = reason.to_string();
                    self.failures.push(FailedMessage { id, reason });
                }
            }
        }
    }
}

impl fmt::Display for WebhookReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            decisions,
            verdicts,
            ..
        } = self;
        if self.dry_run {
            return writeln!(
                f,
                "dry run, nothing was sent: {decisions} decisions and {verdicts} verdicts would be"
            );
        }
        for FailedMessage { id, reason } in &self.failures {
            writeln!(f, "{id}: {reason}")?;
        }
        writeln!(f, "{} sent, {} did not arrive", self.sent, self.failed)?;
        if self.stopped {
            writeln!(
                f,
                "stopped: the receiver did not take {FAILED_IN_A_ROW} messages in a row; {} and whatever comes after them were not tried",
                self.not_tried
            )?;
        }
        Ok(())
    }
}

/// Sends the decisions of an event type in this range, in the order of the table, then the verdicts on them; without
/// `delivery` counts them only.
///
/// # Errors
/// The table cannot be read.
pub(crate) async fn replay_webhooks(
    decisions: &Decisions,
    event_type: &EventTypeName,
    range: TimeRange,
    delivery: Option<&Delivery>,
    progress: &ProgressBar,
) -> Result<WebhookReport, Failure> {
    let mut report = WebhookReport {
        dry_run: delivery.is_none(),
        ..WebhookReport::default()
    };
    let mut oldest: Option<Timestamp> = None;
    let mut after = None;
    loop {
        let page = decisions.scan_page(event_type, after.as_ref()).await?;
        let found = page.items.iter().map(|(_, decision)| decision);
        let times = found
            .clone()
            .filter_map(|it| Timestamp::parse(&it.decided_at).ok());
        oldest = times.chain(oldest).min();
        let messages: Vec<MadeMessage> = found
            .filter(|it| range.contains(&it.decided_at))
            .map(MadeMessage::of_decision)
            .collect();
        report.decisions += messages.len() as u64;
        if let Some(delivery) = delivery {
            delivery.send_all(&messages, &mut report, progress).await;
        }
        after = page.next;
        if report.stopped {
            return Ok(report);
        }
        if after.is_none() {
            break;
        }
    }
    // Verdicts are on decisions.
    let Some(oldest) = oldest else {
        return Ok(report);
    };
    let reviews = Reviews::new(decisions.clone());
    for day in range.days(
        oldest,
        InvocationContext::new(jiff::Timestamp::now(), 0).now,
    ) {
        let verdicts = reviews.verdicts_of_day(event_type, &day).await?;
        let messages: Vec<MadeMessage> = verdicts
            .iter()
            .filter(|it| range.contains(&it.reviewed_at))
            .map(MadeMessage::of_verdict)
            .collect();
        report.verdicts += messages.len() as u64;
        if let Some(delivery) = delivery {
            delivery.send_all(&messages, &mut report, progress).await;
        }
        if report.stopped {
            break;
        }
    }
    Ok(report)
}

/// The message that the function sends about a decision or a verdict, with the id of either.
struct MadeMessage {
    id: String,
    message: Result<WebhookMessage, UnreadableEvent>,
}

impl MadeMessage {
    fn of_decision(decision: &Decision) -> Self {
        let (time, detail) = (&decision.decided_at, forward::make_detail(decision));
        Self {
            id: decision.decision_id.clone(),
            message: WebhookMessage::new(forward::DETAIL_TYPE, time, detail),
        }
    }

    fn of_verdict(verdict: &Verdict) -> Self {
        let (time, detail) = (&verdict.reviewed_at, forward::make_verdict_detail(verdict));
        Self {
            id: verdict.verdict_id.clone(),
            message: WebhookMessage::new(forward::REVIEWED_DETAIL_TYPE, time, detail),
        }
    }
}

impl Delivery {
    /// Sends at most `rate` messages a second.
    pub(crate) fn new(sender: WebhookSender, secrets: SigningSecrets, rate: u32) -> Self {
        let mut turns = interval(Duration::from_secs(1) / rate.max(1));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            sender,
            secrets,
            turns: Mutex::new(turns),
        }
    }

    async fn send_all(
        &self,
        messages: &[MadeMessage],
        report: &mut WebhookReport,
        bar: &ProgressBar,
    ) {
        let is_down = AtomicBool::new(false);
        let sending = stream::iter(messages).map(async |made| {
            if is_down.load(Ordering::Relaxed) {
                return None;
            }
            Some((made.id.clone(), self.send_patiently(made).await))
        });
        let mut sending = std::pin::pin!(sending.buffer_unordered(CALLS));
        while let Some(sent) = sending.next().await {
            let Some((id, result)) = sent else {
                report.not_tried += 1;
                continue;
            };
            report.add(id, result);
            bar.inc(1);
            if report.failed_in_a_row >= FAILED_IN_A_ROW {
                report.stopped = true;
                is_down.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Sends the same message as the function, several times if it has to.
    async fn send_patiently(&self, made: &MadeMessage) -> Result<(), Undelivered> {
        let Ok(message) = &made.message else {
            return Err(Undelivered::NotBuilt);
        };
        let mut pauses = PAUSES.iter();
        loop {
            self.turns.lock().await.tick().await;
            let now = jiff::Timestamp::now();
            let sent = self.sender.send(message, &self.secrets, now).await;
            match pauses.next().filter(|_| sent.is_err()) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return sent,
            }
        }
    }
}
