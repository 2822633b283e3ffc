//! What would come of a record if it ran now, as far as that can be told without writing: its layers are opened, it is
//! mapped, and an order is compared with the decision that exists.

use shared::batch::InvocationContext;
use shared::failure::Failure;
use shared::labels::check_not_in_future;
use shared::records::Record;

use crate::file_run::PipelineFunction;

/// The class of a record that the service refused: only a call tells whether it still does.
const REFUSED_BY_SERVICE: &str = "refused";

/// What would come of the records of an object.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    /// How many would succeed, and what would be done with the first of them.
    pub(crate) succeed: usize,
    done: Option<&'static str>,
    /// How many would be refused, and why the first of them.
    pub(crate) refused: usize,
    reason: Option<String>,
    /// How many depend on what only a call would tell, and why for the first of them.
    pub(crate) open: usize,
    unknown: Option<String>,
}

impl Rehearsal {
    /// Rehearses records that were rejected for `class`.
    pub(crate) async fn run(function: &PipelineFunction, records: &[Record], class: &str) -> Self {
        let mut rehearsal = Self::default();
        for record in records {
            match function.rehearse_record(record).await {
                Ok(_) if class == REFUSED_BY_SERVICE => {
                    let unknown = "would be sent to the service again, which may still refuse it";
                    rehearsal.open += 1;
                    rehearsal.unknown.get_or_insert(unknown.to_owned());
                }
                Ok(done) => {
                    rehearsal.succeed += 1;
                    rehearsal.done.get_or_insert(done);
                }
                Err(Failure::Skipped) => {
                    rehearsal.succeed += 1;
                    rehearsal
                        .done
                        .get_or_insert("would be skipped by the mapping");
                }
                Err(Failure::Rejected(rejection)) => {
                    rehearsal.refused += 1;
                    rehearsal.reason.get_or_insert(rejection.reason);
                }
                Err(Failure::Retry(retry)) => {
                    rehearsal.open += 1;
                    let unknown = format!("cannot be told now: {}", retry.cause);
                    rehearsal.unknown.get_or_insert(unknown);
                }
            }
        }
        rehearsal
    }

    /// Whether all would succeed; `None` if only a call would tell.
    pub(crate) fn would_succeed(&self) -> Option<bool> {
        match (self.refused, self.open) {
            (0, 0) => Some(true),
            (0, _) => None,
            _ => Some(false),
        }
    }

    /// What would come of the records, in a line; with counts if there are several.
    pub(crate) fn describe(&self) -> String {
        let again = self
            .reason
            .as_ref()
            .map(|reason| format!("would be refused again: {reason}"));
        let parts = [
            (self.succeed, self.done.map(str::to_owned)),
            (self.open, self.unknown.clone()),
            (self.refused, again),
        ];
        let is_one = self.succeed + self.open + self.refused == 1;
        let parts = parts.into_iter().filter_map(|(count, what)| {
            let what = what?;
            Some(if is_one {
                what
            } else {
                format!("{count} {what}")
            })
        });
        parts.collect::<Vec<String>>().join("; ")
    }
}

impl PipelineFunction {
    /// Runs a record as far as that needs no writing, and tells what would be done with it.
    async fn rehearse_record(&self, record: &Record) -> Result<&'static str, Failure> {
        match self {
            Self::Predict(function) => Ok(match function.check_order(record).await? {
                Some(_) => "would change nothing: its order is decided already",
                None => "would be decided",
            }),
            Self::Ingest(function) => {
                function.mapping.map_order(&record.json()?)?;
                Ok("would be stored as an event")
            }
            Self::Label(function) => {
                let now = InvocationContext::new(jiff::Timestamp::now(), 0).now;
                for label in function.mapping.map_labels(&record.json()?)? {
                    check_not_in_future(&label, now)?;
                }
                Ok("would be applied as a label")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_records_are_counted() {
        let mut rehearsal = Rehearsal {
            refused: 1,
            reason: Some("no id".to_owned()),
            ..Rehearsal::default()
        };
        assert_eq!(rehearsal.describe(), "would be refused again: no id");
        assert_eq!(rehearsal.would_succeed(), Some(false));
        rehearsal.succeed = 2;
        rehearsal.done = Some("would be decided");
        assert_eq!(
            rehearsal.describe(),
            "2 would be decided; 1 would be refused again: no id"
        );
    }
}
