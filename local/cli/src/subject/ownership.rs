//! Whose a record is: the subject's, somebody else's, or both's.

use engine::Subject;
use shared::failure::Failure;
use shared::mapping::Mapping;
use shared::records::Record;

use super::name_search;
use super::record::MappedRecord;
use super::traces::Traces;
use super::variable_types::VariableTypes;

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordOwner {
    /// Somebody else's, or nobody's.
    Others,
    /// The subject's alone.
    Subject,
    /// Labels of the subject's orders and of others'.
    Both,
}

impl Traces {
    /// Whose a record is.
    ///
    /// For an order or a label that can be read, only its ids count: a telephone, a device or a network
    /// may be somebody else's, too. A record that is not JSON is the subject's if it contains a name or a
    /// value of the subject anywhere. One that is JSON, but neither an order nor a label for the mapping,
    /// is the subject's if it contains a name.
    ///
    /// # Errors
    /// Why the record cannot be read, if it does not contain a name or value of the subject either.
    pub(super) fn find_owner(
        &self,
        mapping: &Mapping,
        record: &Record,
    ) -> Result<RecordOwner, String> {
        let key = record.key.as_deref().unwrap_or_default().as_bytes();
        let value = match record.json() {
            Ok(value) => value,
            Err(failure) => {
                let bytes = record.payload.as_slice();
                let mut places = [bytes, key].into_iter();
                return if places.any(|bytes| name_search::is_any_in(&self.spellings, bytes)) {
                    Ok(RecordOwner::Subject)
                } else {
                    Err(failure_reason(failure))
                };
            }
        };
        let is_subjects = match MappedRecord::new(mapping, &value) {
            None => name_search::is_any_in_json(&self.names, &value),
            Some(told) if told.is_order => self.is_order_of(&told),
            Some(told) => {
                let all = told.subjects.len();
                let own = told
                    .subjects
                    .iter()
                    .filter(|subject| self.is_own_subject(subject));
                let own = own.count();
                if own > 0 && own < all {
                    return Ok(RecordOwner::Both);
                }
                own > 0
            }
        };
        Ok(if is_subjects {
            RecordOwner::Subject
        } else {
            RecordOwner::Others
        })
    }

    fn is_own_subject(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Event {
                event_type,
                event_id,
            } => self.has_event(event_type, event_id),
            Subject::Entity { .. } => self.subjects.contains(subject),
        }
    }

    /// Whether an order is the subject's: by its event or its entity, or, for a guest's order, by the
    /// e-mail address, because nothing else tells whose it is.
    fn is_order_of(&self, told: &MappedRecord) -> bool {
        let mut subjects = self.subjects.iter();
        let is_person = subjects.any(|subject| matches!(subject, Subject::Entity { .. }));
        let is_address =
            |text: &str| text.contains('@') && self.names.contains(&text.trim().to_lowercase());
        let mut values = told.variables.iter();
        told.subjects
            .iter()
            .any(|subject| self.is_own_subject(subject))
            || (told.is_guest && is_person && values.any(|(_, value)| is_address(value)))
    }

    /// Adds the ids and values of a record about the subject.
    pub(super) fn learn_record(
        &mut self,
        mapping: &Mapping,
        types: &VariableTypes,
        record: &Record,
    ) {
        let told = record.json().ok();
        let told = told.and_then(|value| MappedRecord::new(mapping, &value));
        // Labels may be about others' orders, too.
        let Some(told) = told.filter(|told| told.is_order && self.is_order_of(told)) else {
            return;
        };
        for subject in &told.subjects {
            if let Subject::Event {
                event_type,
                event_id,
            } = subject
            {
                self.add_event(event_type, event_id);
            }
        }
        if let Some(order_id) = &told.order_id {
            self.add_name(order_id);
        }
        for (name, value) in &told.variables {
            self.add_value(types, name, value);
        }
    }
}

/// Why a record cannot be read.
fn failure_reason(failure: Failure) -> String {
    match failure {
        Failure::Rejected(rejection) => rejection.reason,
        Failure::Retry(_) | Failure::Skipped => failure.to_string(),
    }
}
