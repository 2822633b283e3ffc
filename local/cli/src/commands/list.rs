//! `fraudstream list`: the entries of a list with what Amazon's API does not have: expiry, reason and
//! author.

use clap::Args;
use engine::{Engine, ListEntry};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

use super::CommandError;
use super::output::{print_line, print_result};
use super::workspace::{Backend, WorkspaceArgs};
use local_aws::dynamodb::Durability;

/// The arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The list.
    name: String,
    /// An element to add; an existing one gets this expiry, reason and author.
    #[arg(long, value_name = "ELEMENT")]
    add: Vec<String>,
    /// When the entry expires: a day, a time, or a duration such as 30d.
    #[arg(long, value_name = "WHEN", requires = "add")]
    expires: Option<String>,
    /// Why the element is in the list.
    #[arg(long, requires = "add")]
    reason: Option<String>,
    /// Who added it.
    #[arg(long, requires = "add")]
    author: Option<String>,
    /// Print the entries as JSON.
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    /// Adds entries, if any are given, and prints the list.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if workspace.fraud_detector == Backend::Aws {
            return Err(
                "Amazon's lists have no expiry, reason or author; use `aws frauddetector update-list`"
                    .into(),
            );
        }
        let added = self.added_entries(Timestamp::now())?;
        let workspace = workspace
            .open(Durability::PowerLoss, Backend::Engine)
            .await?;
        let engine = workspace.open_engine().await;
        let result = async {
            if !added.is_empty() {
                engine.put_list_entries(&self.name, &added).await?;
            }
            read_list_entries(&engine, &self.name).await
        };
        let result = result.await;
        drop(engine);
        workspace.close().await?;
        let entries = result?;
        if self.json || added.is_empty() {
            let lines = entries.iter().map(|entry| format_entry(entry) + "\n");
            return print_result(self.json, &entries, lines.collect::<String>());
        }
        let (added, all) = (added.len(), entries.len());
        print_line(format_args!("{added} added, {all} in the list"))
    }

    fn added_entries(&self, now: Timestamp) -> Result<Vec<ListEntry>, InvalidExpiry> {
        let expires = self.expires.as_deref();
        let expires = expires.map(|text| parse_expiry(text, now)).transpose()?;
        let entry = |element: &String| ListEntry {
            element: element.clone(),
            expires,
            reason: self.reason.clone(),
            author: self.author.clone(),
        };
        Ok(self.add.iter().map(entry).collect())
    }
}

/// An expiry that cannot be parsed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a time: write a day such as 2026-12-31, a time such as 2026-12-31T00:00:00Z, or a duration such as 30d or 12h"
)]
pub(crate) struct InvalidExpiry(String);

/// Parses when an entry expires: a day (its start in UTC), a time, or a duration from `now` in days
/// or hours.
///
/// # Errors
/// [`InvalidExpiry`].
pub(crate) fn parse_expiry(text: &str, now: Timestamp) -> Result<Timestamp, InvalidExpiry> {
    let invalid = || InvalidExpiry(text.to_owned());
    if let Ok(time) = text.parse() {
        return Ok(time);
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
/// The list does not exist, or the engine's tables fail.
pub(crate) async fn read_list_entries(
    engine: &Engine,
    list: &str,
) -> Result<Vec<Value>, engine::Error> {
    let entries = engine.list_entries(list).await?;
    Ok(entries.iter().map(entry_to_json).collect())
}

fn entry_to_json(entry: &ListEntry) -> Value {
    json!({
        "element": entry.element,
        "expires": entry.expires.map(|time| time.to_string()),
        "reason": entry.reason,
        "author": entry.author,
    })
}

/// An entry as a line: its element, then expiry, reason and author if it has them.
pub(crate) fn format_entry(entry: &Value) -> String {
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
            assert_eq!(parse_expiry(text, now).unwrap().to_string(), want, "{text}");
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
                parse_expiry(text, now),
                Err(InvalidExpiry(text.to_owned())),
                "{text}"
            );
        }
    }
}
