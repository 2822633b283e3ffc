//! Which events train the model and which measure it.

use std::path::Path;

use crate::table::{EventTable, TableError};

/// The share of the events that train where there is no test file, in percent.
const TRAIN_PERCENT: usize = 80;

/// The events to measure on.
pub(crate) enum TestEvents<'a> {
    File(&'a Path),
    /// Rows of the training file, by their places, and how they were chosen.
    Rows(Vec<bool>, &'static str),
}

impl TestEvents<'_> {
    /// Whether a row of the training file is measured; rows are counted from 1.
    pub(crate) fn has_row(&self, number: usize) -> bool {
        matches!(self, Self::Rows(rows, _) if rows.get(number - 1) == Some(&true))
    }
}

/// Chooses the rows of the only file that are measured: the newest by time, or some by a hash of their place.
pub(crate) fn hold_out_rows(table: &EventTable<'_>) -> Result<TestEvents<'static>, TableError> {
    let mut times = Vec::new();
    table.for_each_event(|event| {
        // Rows that were left out have places, too.
        times.resize(event.number - 1, None);
        times.push(event.row.event_time);
        Ok::<(), TableError>(())
    })?;
    let mut known: Vec<i64> = times.iter().flatten().copied().collect();
    known.sort_unstable();
    let cut = known.get(known.len() * TRAIN_PERCENT / 100).copied();
    let by_time = known.len() * 2 > times.len() && known.first() != known.last();
    let is_held_out = |(place, time): (usize, &Option<i64>)| match (by_time, time, cut) {
        (true, Some(time), Some(cut)) => *time >= cut,
        (true, ..) => false,
        // The finalizer of SplitMix64 spreads neighbouring rows.
        (false, ..) => {
            let mut hash = (place as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (hash ^ (hash >> 31)) % 100 >= TRAIN_PERCENT as u64
        }
    };
    let rows = times.iter().enumerate().map(is_held_out).collect();
    Ok(TestEvents::Rows(
        rows,
        if by_time {
            "the newest fifth by time"
        } else {
            "a fifth by chance"
        },
    ))
}
