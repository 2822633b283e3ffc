//! Times as options of commands take them.

use event::Timestamp;

/// Reads a day or a time, in UTC.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let zone = jiff::tz::TimeZone::UTC;
    Timestamp::parse_in(text, &zone)
        .or_else(|_| Timestamp::parse_in(&format!("{text}T00:00:00Z"), &zone))
        .map_err(|_| {
            "write a day such as 2026-06-01, or a time such as 2026-06-01T10:15:30Z".to_owned()
        })
}
