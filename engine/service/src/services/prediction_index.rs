//! The index of predictions by day, which `ListEventPredictions` reads.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::{Result, text};
use serde::{Deserialize, Serialize};
use store::Account;
use store::table::{Key, KeyRange, encode_record_at};

/// The partition with the days that have predictions.
const DAYS_PARTITION: &str = "prediction-days";

/// The days that have predictions, and which of them this process has noted.
#[derive(Debug)]
pub(crate) struct PredictionIndex {
    account: Arc<Account>,
    /// The last day that this process has noted.
    noted_day: Mutex<String>,
}

#[derive(Serialize, Deserialize)]
struct IndexedDay {
    day: String,
}

impl PredictionIndex {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self {
            account,
            noted_day: Mutex::default(),
        }
    }

    /// The days that have predictions, newest first.
    pub(crate) async fn list_days(&self) -> Result<Vec<String>> {
        let days = KeyRange::all(DAYS_PARTITION).newest_first();
        let days: Vec<IndexedDay> = self.account.events.query(days).await?;
        Ok(days.into_iter().map(|day| day.day).collect())
    }

    /// Notes the day before its first prediction is written, so that `ListEventPredictions` misses none.
    pub(crate) async fn note_day(&self, time: jiff::Timestamp) -> Result<()> {
        let day = text::format_day(time);
        let is_noted = *self
            .noted_day
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            == day;
        if is_noted {
            return Ok(());
        }
        let item = encode_record_at(
            &Key::new(DAYS_PARTITION, &day),
            &IndexedDay { day: day.clone() },
        )?;
        self.account.events.put(item).await?;
        *self
            .noted_day
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = day;
        Ok(())
    }
}

/// The partition of a day's shard in the index.
pub(crate) fn name_index_partition(day: &str, shard: u8) -> String {
    format!("prediction#{day}#{shard}")
}

/// The sort key of a prediction in the index: its time, its event, and the id of its attempt, because a page must be able
/// to end between two predictions of one event in the same millisecond.
pub(crate) fn make_index_sort_key(
    timestamp: &str,
    event_type: &str,
    event_id: &str,
    attempt: &str,
) -> String {
    format!("{timestamp}#{event_type}#{event_id}#{attempt}")
}
