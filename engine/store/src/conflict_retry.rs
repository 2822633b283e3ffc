//! Pauses and retries.

use std::time::Duration;

use protocol::Result;
use uuid::Uuid;

/// How often an operation is run in total when there are write conflicts.
const MAX_ATTEMPTS: u32 = 20;
/// The pause between two attempts: the first, and the longest.
const PAUSE_RANGE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];

/// Waits for a random time, so that callers that failed together do not retry together. The longest possible time is
/// `shortest`, doubled with every attempt, but at most `longest`.
pub async fn pause_randomly(attempt: u32, [shortest, longest]: [Duration; 2]) {
    let most = shortest.saturating_mul(1 << attempt.min(16)).min(longest);
    let chance = u32::from(Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(most * (1 + chance) / 256).await;
}

/// Retries on write conflict, at most 20 times.
///
/// # Errors
/// The last conflict, or any other error at once.
pub async fn retry_on_write_conflict<T, R>(mut attempt: impl FnMut() -> R) -> Result<T>
where
    R: Future<Output = Result<T>>,
{
    for number in 1..MAX_ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_write_conflict() => pause_randomly(number, PAUSE_RANGE).await,
            result => return result,
        }
    }
    attempt().await
}
