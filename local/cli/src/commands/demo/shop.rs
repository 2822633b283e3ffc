//! The simulated shop as files, divided by time: what was ordered in a stretch of days, and what became known in it.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use simulator::{Chargeback, Simulation};

use super::CommandError;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// How many days of the history are stored before the messages of these days are.
const DAYS_OF_PAST: i64 = 7;
/// How long before the first new order the newest order is that the model learns from: most chargebacks have come by then.
const MATURE_DAYS: i64 = 45;

/// The files of the simulated shop, and what the demo knows of it.
pub(super) struct Shop {
    pub(super) folder: PathBuf,
    /// When the first new order was placed, in seconds since 1970.
    begin: i64,
    /// The history, week by week.
    pub(super) past: Vec<Period>,
    /// The new orders, day by day.
    pub(super) present: Vec<Period>,
}

/// A stretch of time: a file of the orders, and one of the messages about these and earlier orders.
pub(super) struct Period {
    pub(super) orders: String,
    pub(super) messages: String,
}

impl Shop {
    /// Writes the simulation into `folder`: whole, and divided by time.
    pub(super) fn write(simulation: &Simulation, folder: &Path) -> Result<Self, CommandError> {
        simulator::write_files(simulation, folder)?;
        let begin = find_first_time(&simulation.orders).ok_or("the simulation has no new order")?;
        let mut messages: Vec<&Chargeback> = simulation
            .history_labels
            .iter()
            .chain(&simulation.chargebacks)
            .collect();
        messages.sort_by_key(|message| message.at.second);
        let (before, after): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message.at.second < begin);
        let past = divide_lines(&simulation.history, DAYS_OF_PAST);
        let present = divide_lines(&simulation.orders, 1);
        Ok(Self {
            folder: folder.to_owned(),
            begin,
            past: write_periods(&folder.join("past"), &past, &before, begin)?,
            present: write_periods(&folder.join("present"), &present, &after, i64::MAX)?,
        })
    }

    /// The day of the first new order: `2026-06-20`.
    pub(super) fn first_day(&self) -> String {
        format_time(self.begin).chars().take(10).collect()
    }

    /// The time up to which the model learns: later orders may still be disputed.
    pub(super) fn learn_until(&self) -> String {
        format_time(self.begin - MATURE_DAYS * DAY)
    }
}

fn format_time(second: i64) -> String {
    let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_string()
}

/// Lines that arrive within some days, and the second at which these days end.
struct Arrivals<'a> {
    lines: Vec<&'a str>,
    end: i64,
}

/// Divides the lines in their order of arrival: a late order stays where it came.
fn divide_lines(lines: &[String], days: i64) -> Vec<Arrivals<'_>> {
    let mut periods: Vec<Arrivals<'_>> = Vec::new();
    for line in lines {
        let time = read_order_time(line);
        let is_later = match (periods.last(), time) {
            (None, _) => true,
            (Some(period), Some(time)) => time >= period.end,
            (Some(_), None) => false,
        };
        if is_later {
            let end = (time.unwrap_or_default() / DAY + days) * DAY;
            periods.push(Arrivals {
                lines: Vec::new(),
                end,
            });
        }
        if let Some(period) = periods.last_mut() {
            period.lines.push(line);
        }
    }
    periods
}

/// When an order was placed; `None` for a line that is no order.
fn read_order_time(line: &str) -> Option<i64> {
    let order: Value = serde_json::from_str(line).ok()?;
    let time: Timestamp = order.get("created_at")?.as_str()?.parse().ok()?;
    let century = Timestamp::UNIX_EPOCH + (30 * 365 * 24).hours();
    (time > century).then(|| time.as_second())
}

fn find_first_time(lines: &[String]) -> Option<i64> {
    lines.iter().filter_map(|line| read_order_time(line)).min()
}

/// Writes each period; its messages are those up to its end, but none from `known_until` on.
fn write_periods(
    folder: &Path,
    arrivals: &[Arrivals<'_>],
    messages: &[&Chargeback],
    known_until: i64,
) -> Result<Vec<Period>, CommandError> {
    let wrong = |error: std::io::Error| format!("cannot write {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(wrong)?;
    let mut left = messages.iter().peekable();
    let mut periods = Vec::with_capacity(arrivals.len());
    for (number, arrivals) in arrivals.iter().enumerate() {
        let end = arrivals.end.min(known_until);
        let mut known = String::new();
        while let Some(message) = left.next_if(|message| message.at.second < end) {
            known.push_str(&serde_json::to_string(message).map_err(|error| error.to_string())?);
            known.push('\n');
        }
        let write = |name: String, text: String| -> Result<String, CommandError> {
            let path = folder.join(name);
            fs::write(&path, text).map_err(wrong)?;
            Ok(path.display().to_string())
        };
        let mut orders = arrivals.lines.join("\n");
        orders.push('\n');
        periods.push(Period {
            orders: write(format!("{number:03}-orders.jsonl"), orders)?,
            messages: write(format!("{number:03}-messages.jsonl"), known)?,
        });
    }
    Ok(periods)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: &str) -> String {
        format!(r#"{{"created_at": "{time}"}}"#)
    }

    #[test]
    fn lines_are_divided_by_day_in_order_of_arrival() {
        let lines = [
            line("2026-06-01T23:00:00Z"),
            "{broken".to_owned(),
            line("2026-06-02T01:00:00Z"),
            line("2026-06-01T22:00:00Z"),
            line("2026-06-04T05:00:00Z"),
            line("1970-01-01T00:00:00Z"),
        ];
        let periods = divide_lines(&lines, 1);
        let counts: Vec<usize> = periods.iter().map(|period| period.lines.len()).collect();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(format_time(periods[1].end), "2026-06-03T00:00:00Z");
    }
}
