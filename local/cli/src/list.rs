//! `fraudstream list`: the entries of a list with what Amazon's API does not know of them: until
//! when they last, why they are there, and who put them there.

use engine::{Engine, ListEntry};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

/// An expiry that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is no time: write a day such as 2026-12-31, a moment such as 2026-12-31T00:00:00Z, or a duration such as 30d or 12h"
)]
pub struct InvalidExpiry(String);

/// Reads when an entry expires: a day (its beginning, UTC), a moment, or a duration from `now` in
/// days or hours.
///
/// # Errors
/// [`InvalidExpiry`].
pub fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, InvalidExpiry> {
    let invalid = || InvalidExpiry(text.to_owned());
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    if let Ok(day) = text.parse::<Date>() {
        let day = day.to_zoned(TimeZone::UTC).map_err(|_| invalid())?;
        return Ok(day.timestamp());
    }
    let hours = match text.strip_suffix('d') {
        Some(days) => days
            .parse::<i64>()
            .ok()
            .and_then(|days| days.checked_mul(24)),
        None => text.strip_suffix('h').and_then(|hours| hours.parse().ok()),
    };
    let hours = hours.filter(|hours| (0..=24 * 36_500).contains(hours));
    let after = SignedDuration::from_hours(hours.ok_or_else(invalid)?);
    now.checked_add(after).map_err(|_| invalid())
}

/// The entries of a list as JSON.
///
/// # Errors
/// There is no such list, or the engine's tables fail.
pub async fn entries(engine: &Engine, list: &str) -> Result<Vec<Value>, engine::Error> {
    let entries = engine.list_entries(list).await?;
    Ok(entries.iter().map(as_json).collect())
}

fn as_json(entry: &ListEntry) -> Value {
    json!({
        "element": entry.element,
        "expires": entry.expires.map(|time| time.to_string()),
        "reason": entry.reason,
        "author": entry.author,
    })
}

/// An entry as a line: its element, and what is known of it.
pub fn line(entry: &Value) -> String {
    let known = ["expires", "reason", "author"]
        .into_iter()
        .filter_map(|name| {
            let value = entry[name].as_str()?;
            Some(format!("{name} {value}"))
        });
    let known: Vec<String> = known.collect();
    let element = entry["element"].as_str().unwrap_or_default();
    if known.is_empty() {
        return element.to_owned();
    }
    format!("{element}  ({})", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries() {
        let now: Timestamp = "2026-06-01T10:15:30Z".parse().unwrap();
        for (text, want) in [
            ("2026-12-31", "2026-12-31T00:00:00Z"),
            ("2026-12-31T08:00:00+01:00", "2026-12-31T07:00:00Z"),
            ("30d", "2026-07-01T10:15:30Z"),
            ("12h", "2026-06-01T22:15:30Z"),
        ] {
            assert_eq!(expiry(text, now).unwrap().to_string(), want, "{text}");
        }
        for text in [
            "",
            "d",
            "-1d",
            "tomorrow",
            "99999999999999999999d",
            "2026-13-01",
        ] {
            assert_eq!(
                expiry(text, now),
                Err(InvalidExpiry(text.to_owned())),
                "{text}"
            );
        }
    }
}
