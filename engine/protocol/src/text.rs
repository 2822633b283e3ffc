//! The text form of times, versions and names.

use jiff::Timestamp;

/// The time of a resource: `2026-06-01T10:15:30.123Z`.
pub fn format_milliseconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The time of a job: `2026-06-01T10:15:30Z`.
pub fn format_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The day of a time: `2026-06-01`.
pub fn format_day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// A version with leading zeros for a sort key, so that 10 is sorted after 9.
pub fn pad_version(version: u32) -> String {
    format!("{version:05}")
}

/// Names as a message shows them: `[a, b]`.
pub fn join_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", names.into_iter().collect::<Vec<_>>().join(", "))
}
