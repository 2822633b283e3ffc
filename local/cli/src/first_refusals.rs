//! Whether the records of a run are all refused alike: then the mapping or the file is wrong, and not the records.

use serde::Serialize;
use shared::failure::{Failure, Rejection};
use shared::mapping::MissingSource;
use shared::records::Record;

/// After how many refusals of one kind a run stops, if nothing else has come of any record.
pub(crate) const MOST_ALIKE: usize = 50;
/// How many characters of a record are shown.
const SHOWN: usize = 400;

/// The first results of a run, as long as all are refusals of one kind.
#[derive(Debug, Default)]
pub(crate) struct FirstRefusals {
    refused: usize,
    first: Option<(Record, Rejection)>,
    /// Whether a record was processed, or refused for another reason.
    is_mixed: bool,
}

/// Why a run stopped: its first records were all refused for one reason.
#[derive(Debug, Serialize)]
pub struct AllRefused {
    /// How many were refused.
    pub refused: usize,
    /// The class of the refusals.
    pub class: &'static str,
    /// Where the first of them is in the file: its line or row, from 1.
    pub record: String,
    /// Its text, cut after some hundred characters.
    pub text: String,
    /// Why it was refused, in a sentence.
    pub reason: String,
    /// The sources of the mapping that find nothing in it.
    pub missing: Vec<MissingSource>,
}

impl FirstRefusals {
    /// Takes notice of what became of a record. A message that the mapping skips tells nothing.
    pub(crate) fn note_result<T>(&mut self, record: &Record, result: &Result<T, Failure>) {
        if self.is_mixed {
            return;
        }
        match (result, &self.first) {
            (Err(Failure::Skipped | Failure::Retry(_)), _) => {}
            (Ok(_), _) => self.is_mixed = true,
            (Err(Failure::Rejected(rejection)), None) => {
                self.refused = 1;
                self.first = Some((record.clone(), rejection.clone()));
            }
            (Err(Failure::Rejected(rejection)), Some((_, first))) => {
                self.refused += 1;
                self.is_mixed =
                    (rejection.class, &rejection.refusal) != (first.class, &first.refusal);
            }
        }
    }

    /// Whether some record was processed, or refused for another reason.
    pub(crate) fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    /// What the run stops with, once enough records are refused alike.
    pub(crate) fn find_stop(
        &self,
        find_missing: impl Fn(&Record) -> Vec<MissingSource>,
    ) -> Option<AllRefused> {
        let enough = !self.is_mixed && self.refused >= MOST_ALIKE;
        let (record, rejection) = self.first.as_ref().filter(|_| enough)?;
        Some(AllRefused {
            refused: self.refused,
            class: rejection.class,
            record: record.position.id.clone(),
            text: shorten_text(&String::from_utf8_lossy(&record.payload)),
            reason: rejection.reason.clone(),
            missing: find_missing(record),
        })
    }
}

/// The beginning of a text in one line; what a customer typed must not move the cursor of a terminal.
fn shorten_text(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

impl std::fmt::Display for AllRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "stopped: the first {} records were all refused for one reason ({}), and nothing came of any other. None of them is kept under rejected/.",
            self.refused, self.class
        )?;
        writeln!(f, "\nrecord {}:\n  {}", self.record, self.text)?;
        writeln!(f, "refused because:\n  {}", self.reason)?;
        if !self.missing.is_empty() {
            writeln!(f, "sources of the mapping without a value in it:")?;
        }
        for MissingSource {
            member,
            source,
            problem,
        } in &self.missing
        {
            let source = source.as_deref().unwrap_or("(computed)");
            writeln!(f, "  {member:<28} {source}  {problem}")?;
        }
        writeln!(
            f,
            "\nMend the mapping or the file and run the same command again: it starts at these records. With --keep-going every record is processed, and those that are refused are kept."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::records::{Origin, Position};

    /// The count with which a run stops after results such as `60x missing-member, 1x ok`; 0 if it goes on.
    fn stop_after(results: &str) -> usize {
        let mut refusals = FirstRefusals::default();
        for part in results.split(", ") {
            let (times, what) = part.split_once("x ").unwrap();
            for _ in 0..times.parse::<u32>().unwrap() {
                let record = Record {
                    position: Position::new(Origin::File, "file:a", "7"),
                    key: None,
                    payload: b"{}".to_vec(),
                };
                let result = match what {
                    "ok" => Ok(()),
                    "skipped" => Err(Failure::Skipped),
                    "retry" => Err(Failure::retry("down")),
                    "not-json" => Err(Failure::rejected("not-json", "no JSON")),
                    _ => Err(Failure::rejected("missing-member", what)),
                };
                refusals.note_result(&record, &result);
            }
        }
        refusals
            .find_stop(|_| Vec::new())
            .map_or(0, |stop| stop.refused)
    }

    #[test]
    fn a_run_stops_when_all_are_refused_alike() {
        for (results, want) in [
            ("49x no id", 0),
            ("50x no id", 50),
            ("30x no id, 30x no other id", 60),
            ("10x skipped, 50x no id, 3x retry", 50),
            ("1x ok, 60x no id", 0),
            ("49x no id, 1x ok, 60x no id", 0),
            ("1x not-json, 60x no id", 0),
            ("60x skipped", 0),
        ] {
            assert_eq!(stop_after(results), want, "{results}");
        }
    }

    #[test]
    fn a_record_is_shown_in_one_short_line() {
        assert_eq!(shorten_text("{\"a\":\u{1b}[2J\n1}"), "{\"a\": [2J 1}");
        let long = shorten_text(&"x".repeat(1000));
        assert_eq!(long.chars().count(), SHOWN + 1);
    }
}
