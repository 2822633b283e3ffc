//! The pause before something is tried again.

use std::time::Duration;

use uuid::Uuid;

/// Waits for a random time, so that those who were refused together do not come again together.
/// It is at most `shortest`, doubled with every attempt, and never more than `longest`.
pub(crate) async fn pause(attempt: u32, [shortest, longest]: [Duration; 2]) {
    let most = shortest.saturating_mul(1 << attempt.min(16)).min(longest);
    let chance = u32::from(Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(most * (1 + chance) / 256).await;
}
