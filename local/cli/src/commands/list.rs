//! `fraudstream list`: the entries of a list with what Amazon's API does not have: expiry, reason and
//! author.

use std::fmt;
use std::path::PathBuf;

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
use crate::printable::printable_value;
use local_aws::dynamodb::Durability;

/// The arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The list.
    name: String,
    /// An element to add; an existing one gets this expiry, reason and author. All three are required.
    #[arg(long, value_name = "ELEMENT", group = "added")]
    add: Vec<String>,
    /// A file of elements to add, one on each line.
    #[arg(long, value_name = "FILE", group = "added")]
    add_from: Option<PathBuf>,
    /// When the entry expires: a day, a time, or a duration such as 30d.
    #[arg(long, value_name = "WHEN", requires = "added")]
    expires: Option<String>,
    /// Why the element is in the list.
    #[arg(long, requires = "added")]
    reason: Option<String>,
    /// Who added it.
    #[arg(long, requires = "added")]
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

    fn added_entries(&self, now: Timestamp) -> Result<Vec<ListEntry>, CommandError> {
        let elements = self.added_elements()?;
        let Some(first) = elements.first() else {
            return Ok(Vec::new());
        };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let notes = (
            given(&self.reason),
            given(&self.author),
            given(&self.expires),
        );
        let (Some(reason), Some(author), Some(expires)) = &notes else {
            return Err(Box::new(MissingNotes {
                list: self.name.clone(),
                element: first.clone(),
                reason: notes.0.is_none(),
                author: notes.1.is_none(),
                expires: notes.2.is_none(),
            }));
        };
        let expires = Some(parse_expiry(expires, now)?);
        let entry = |element: String| ListEntry {
            element,
            expires,
            reason: Some(reason.clone()),
            author: Some(author.clone()),
        };
        Ok(elements.into_iter().map(entry).collect())
    }

    /// The elements of the command line, or the lines of the file that are not blank.
    fn added_elements(&self) -> Result<Vec<String>, CommandError> {
        let Some(file) = &self.add_from else {
            return Ok(self.add.clone());
        };
        let name = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let elements: Vec<String> = lines.map(str::to_owned).collect();
        if elements.is_empty() {
            return Err(format!("{name} has no element; write one on each line").into());
        }
        Ok(elements)
    }
}

/// An entry is added without saying why, by whom, or until when.
#[derive(Debug, PartialEq, Eq)]
struct MissingNotes {
    list: String,
    /// The first that would be added.
    element: String,
    reason: bool,
    author: bool,
    expires: bool,
}

impl std::error::Error for MissingNotes {}

impl fmt::Display for MissingNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            (self.reason, "--reason"),
            (self.author, "--author"),
            (self.expires, "--expires"),
        ];
        let missing = options.iter().filter(|(is_missing, _)| *is_missing);
        let missing: Vec<&str> = missing.map(|(_, option)| *option).collect();
        write!(
            f,
            "an entry of a list needs a reason, an author and an expiry; missing: {}. For example: \
             fraudstream list {} --add {} --reason \"reshipping ring\" --author ana --expires 90d",
            missing.join(", "),
            self.list,
            self.element
        )
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
            let value = printable_value(entry[name].as_str()?);
            Some(format!("{name} {value}"))
        });
    let known: Vec<String> = known.collect();
    let element = printable_value(entry["element"].as_str().unwrap_or_default());
    if known.is_empty() {
        return element;
    }
    format!("{element}  ({})", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_why_by_whom_and_until_when() {
        #[track_caller]
        fn check(options: &[&str], missing: &str) {
            #[derive(clap::Parser)]
            struct Command {
                #[command(flatten)]
                list: ListArgs,
            }
            let words = ["list", "cards", "--add", "f3a9c1"].iter().chain(options);
            let command: Command = clap::Parser::parse_from(words);
            let added = command.list.added_entries(Timestamp::UNIX_EPOCH);
            let got = match added {
                Ok(entries) => {
                    let [entry] = entries.as_slice() else {
                        panic!("{} entries", entries.len());
                    };
                    format_entry(&entry_to_json(entry))
                }
                Err(error) => error.to_string(),
            };
            let want = format!(
                "an entry of a list needs a reason, an author and an expiry; missing: {missing}. For example: \
                 fraudstream list cards --add f3a9c1 --reason \"reshipping ring\" --author ana --expires 90d"
            );
            let is_complete = missing.is_empty();
            let complete = "f3a9c1  (expires 1970-01-02T00:00:00Z, reason stolen, author ana)";
            assert_eq!(got, if is_complete { complete } else { &want });
        }
        let (reason, author, expires) = ("--reason=stolen", "--author=ana", "--expires=1d");
        check(&[reason, author, expires], "");
        check(&[], "--reason, --author, --expires");
        check(&[reason, author], "--expires");
        check(&[author, expires], "--reason");
        check(&[reason, expires, "--author= "], "--author");
    }

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
