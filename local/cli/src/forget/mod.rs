//! Forgets an entity or an order in every place where fraudstream stores it.
//!
//! First a note is written that it was forgotten. The events are deleted last, because the engine finds
//! them; without the engine, the decisions. So if the command is interrupted, the next run finds the
//! rest by them.

mod decisions;
mod lists;
mod local_files;
mod notes;
mod objects;
mod report;
#[cfg(test)]
mod tests;

use engine::Subject;
use event::Timestamp;
use shared::failure::error_code;
use thiserror::Error;

use crate::subject::{self, FoundData, SubjectFinder, SubjectQuery, Traces, describe_failed_call};
use local_aws::dynamodb::OpenDatabaseError;

pub use local_files::rewrite_local_files;
pub use notes::ForgottenSubjects;
pub use report::{ForgetReport, HeldOrder};

/// Why not everything was forgotten. Running the command again continues.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// The subject's data cannot be found or changed.
    #[error(transparent)]
    Subject(#[from] subject::SubjectError),
    /// The file of outcomes cannot be rewritten.
    #[error("cannot rewrite {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database's file cannot be compacted: its free pages still have what was deleted.
    #[error(transparent)]
    Database(#[from] OpenDatabaseError),
    /// Another process uses the folder.
    #[error("another process works in {0}; stop it and run the command again")]
    Occupied(String),
}

impl From<engine::Error> for ForgetError {
    fn from(error: engine::Error) -> Self {
        Self::Subject(error.into())
    }
}

/// Forgets a subject.
pub struct Forget<'a> {
    /// Finds the subject's data.
    pub finder: SubjectFinder<'a>,
    /// Whether the tables are on AWS, where there are queues.
    pub is_remote: bool,
    /// Only count, and change nothing.
    pub dry_run: bool,
    /// When it is forgotten.
    pub now: Timestamp,
}

impl Forget<'_> {
    /// Forgets a subject, except in local files; see `local_files.rs`.
    ///
    /// # Errors
    /// [`ForgetError`]; what was deleted before stays deleted.
    pub async fn forget_subject(
        &self,
        whom: SubjectQuery,
    ) -> Result<(ForgetReport, Traces), ForgetError> {
        let mut found = self.finder.find(whom, self.now).await?;
        let mut report = ForgetReport {
            dry_run: self.dry_run,
            remains: std::mem::take(&mut found.unread),
            ..ForgetReport::default()
        };
        let cannot_be_read = |place: &mut String| place.insert_str(0, "cannot be read: ");
        report.remains.iter_mut().for_each(cannot_be_read);
        report.held = self.find_held_orders(&found);
        if !self.dry_run {
            self.write_notes(&found.traces).await?;
        }
        if !self.dry_run && !report.held.is_empty() {
            self.write_holds(&found.traces, &report.held).await?;
        }
        self.forget_lists(&found, &mut report).await?;
        self.forget_objects(&found.objects, &mut report).await?;
        if self.finder.engine.is_some() {
            self.forget_decisions(&found, &mut report).await?;
            self.forget_events(&found, &mut report).await?;
        } else {
            // Only the decisions name the events at Amazon.
            self.forget_events(&found, &mut report).await?;
            self.forget_decisions(&found, &mut report).await?;
        }
        report.remains.extend(report::list_remains(
            self.is_remote,
            self.finder.engine.is_some(),
        ));
        Ok((report, found.traces))
    }

    async fn write_notes(&self, traces: &Traces) -> Result<(), ForgetError> {
        let events = traces.events.iter();
        let events = events.map(|(event_type, event_id)| Subject::Event {
            event_type: event_type.clone(),
            event_id: event_id.clone(),
        });
        notes::write_any_note(self.finder.pipeline, self.now).await?;
        for subject in traces.subjects.iter().cloned().chain(events) {
            if let Some(engine) = self.finder.engine {
                engine.note_forgotten(&subject).await?;
                engine.forget_entity_history(&subject).await?;
            }
            notes::write_note(self.finder.pipeline, &subject, self.now).await?;
        }
        Ok(())
    }

    /// Deletes the events with their labels and predictions, through the API.
    async fn forget_events(
        &self,
        found: &FoundData,
        report: &mut ForgetReport,
    ) -> Result<(), ForgetError> {
        for event in &found.events {
            report.events += 1;
            report.predictions += event.predictions;
            report.labels += usize::from(event.label.is_some());
        }
        if self.finder.engine.is_none() {
            report.events = found.traces.events.len();
        }
        if self.dry_run {
            return Ok(());
        }
        for (event_type, event_id) in &found.traces.events {
            if let Some(engine) = self.finder.engine {
                engine.forget_in_histories(event_type, event_id).await?;
            }
            let delete = self.finder.pipeline.clients.frauddetector.delete_event();
            let delete = delete
                .event_type_name(event_type)
                .event_id(event_id)
                .delete_audit_history(true);
            let delete = delete.send().await;
            delete.map_err(|e| describe_failed_call("delete an event")(error_code(&e)))?;
        }
        Ok(())
    }
}
