//! The queues that functions read: how often a message is tried, and what becomes of it afterwards.

use shared::queue_backoff::{longest_attempts, shortest_attempts};

use super::checker::TemplateChecker;
use super::sources::EventSource;
use super::stack::{QUEUE, StackResource};
use super::values::{find_path, read_number};

/// The time-out of a function that does not say it, in seconds.
const DEFAULT_TIMEOUT: i64 = 3;
/// What AWS takes if a queue does not say it, in seconds.
const DEFAULT_VISIBILITY: i64 = 30;
const DEFAULT_RETENTION: i64 = 345_600;
/// AWS's advice: a message stays hidden for six time-outs of the function that reads it.
const TIMEOUTS: i64 = 6;
/// An outage that messages have to outlast.
const DAY: u64 = 86_400;
/// The highest `maxReceiveCount`.
const MOST_RECEIVES: i64 = 1_000;
/// The longest that a queue keeps a message.
const LONGEST_RETENTION: i64 = 1_209_600;

/// Checks each queue that is a source.
pub(super) fn check_queues(checker: &mut TemplateChecker<'_>, sources: &[EventSource<'_>]) {
    for source in sources {
        let Some(queue) = source.source.filter(|source| source.type_name == QUEUE) else {
            continue;
        };
        let visibility = checker.read_setting(
            &queue.id,
            &queue.properties,
            "VisibilityTimeout",
            DEFAULT_VISIBILITY,
        );
        if let Some(visibility) = visibility {
            check_visibility(checker, queue, visibility, source.function);
        }
        check_redrive(checker, queue, visibility);
    }
}

fn check_visibility(
    checker: &mut TemplateChecker<'_>,
    queue: &StackResource,
    visibility: i64,
    function: Option<&StackResource>,
) {
    let Some(function) = function else { return };
    let timeout = match checker.stack.function_property(function, &["Timeout"]) {
        None => Some(DEFAULT_TIMEOUT),
        Some(node) => read_number(node),
    };
    let Some(timeout) = timeout else { return };
    let least = timeout.saturating_mul(TIMEOUTS);
    if visibility < least {
        checker.report_error(
            queue,
            format!(
                "hides a message for {visibility} s, which is under six times the {timeout} s of {}: a message comes again while it is processed, and uses up its attempts",
                function.id
            ),
            format!("set VisibilityTimeout to {least} or more"),
        );
    }
}

fn check_redrive(
    checker: &mut TemplateChecker<'_>,
    queue: &StackResource,
    visibility: Option<i64>,
) {
    let target = find_path(&queue.properties, &["RedrivePolicy", "deadLetterTargetArn"]);
    if target.is_none() {
        return checker.report_error(
            queue,
            "has no dead-letter queue: a message that never succeeds is tried until it is deleted",
            "set RedrivePolicy with deadLetterTargetArn and maxReceiveCount: 250",
        );
    }
    let retention = checker.read_setting(
        &queue.id,
        &queue.properties,
        "MessageRetentionPeriod",
        DEFAULT_RETENTION,
    );
    let attempts = find_path(&queue.properties, &["RedrivePolicy", "maxReceiveCount"]);
    let attempts = attempts.and_then(read_number);
    let visibility = visibility.map(|seconds| u64::try_from(seconds).unwrap_or(0));
    let attempts = attempts.map(|count| u32::try_from(count.clamp(0, MOST_RECEIVES)).unwrap_or(0));
    if let (Some(visibility), Some(attempts)) = (visibility, attempts) {
        check_attempts(checker, queue, visibility, attempts);
        let lasts = longest_attempts(visibility, attempts);
        if let Some(retention) = retention.filter(|kept| u64::try_from(*kept).unwrap_or(0) <= lasts)
        {
            checker.report_error(
                queue,
                format!("deletes a message after {retention} s, and its {attempts} attempts may take {lasts} s, so that it never reaches the dead-letter queue"),
                format!("set MessageRetentionPeriod to more than {lasts}, at most {LONGEST_RETENTION}"),
            );
        }
    }
    let dead = checker.stack.find_referred(target);
    if let (Some(dead), Some(retention)) = (dead, retention) {
        check_dead_letters(checker, queue, dead, retention);
    }
}

/// Checks that the attempts outlast a day: the functions let a message wait for longer each time, and where they cannot, it
/// comes back after the time-out of the queue.
fn check_attempts(
    checker: &mut TemplateChecker<'_>,
    queue: &StackResource,
    visibility: u64,
    attempts: u32,
) {
    let lasts = shortest_attempts(visibility, attempts);
    if lasts >= DAY {
        return;
    }
    let lasts_a_day = |count: &u32| shortest_attempts(visibility, *count) >= DAY;
    let most = u32::try_from(MOST_RECEIVES).unwrap_or(u32::MAX);
    let enough = (attempts..=most).find(lasts_a_day);
    let advice = enough.map_or_else(
        || {
            "set VisibilityTimeout to six time-outs of the function, and maxReceiveCount to 250"
                .to_owned()
        },
        |count| format!("set maxReceiveCount to {count} or more"),
    );
    checker.report_warning(
        queue,
        format!("may give a message up after {attempts} attempts in {lasts} s: an outage of a day ends in the dead-letter queue"),
        advice,
    );
}

/// A message keeps the time of its first sending when it moves.
fn check_dead_letters(
    checker: &mut TemplateChecker<'_>,
    queue: &StackResource,
    dead: &StackResource,
    retention: i64,
) {
    let kept = checker.read_setting(
        &dead.id,
        &dead.properties,
        "MessageRetentionPeriod",
        DEFAULT_RETENTION,
    );
    if let Some(kept) = kept.filter(|kept| *kept <= retention) {
        checker.report_error(
            dead,
            format!(
                "keeps messages for {kept} s, counted from their first sending, and {} for {retention} s: a message may be deleted as soon as it is moved",
                queue.id
            ),
            format!("set MessageRetentionPeriod: {LONGEST_RETENTION}"),
        );
    }
}
