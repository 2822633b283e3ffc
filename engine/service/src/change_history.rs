//! The engine's history of changes, and what a change needs. The API has no operations for these.

use jiff::{SignedDuration, Timestamp};
use protocol::{Error, Result, text};
use store::bundle;
use store::conflict_retry::retry_on_write_conflict;
use store::records::recorded_change::{
    ChangeApproval, ChangeDetails, ChangeKind, ChangePolicy, ChangeState, RecordedChange,
    VersionMove, change_key, list_recorded_changes, policy_key,
};
use store::table::encode_record;
use uuid::Uuid;

use crate::engine::Engine;

/// A change that begins.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChange {
    /// What is done.
    pub kind: ChangeKind,
    /// How far it is when it is recorded.
    pub state: ChangeState,
    /// Who does it.
    pub author: String,
    /// Why, if it is said.
    pub reason: Option<String>,
    /// Why a freeze or a missing approval is passed over.
    pub break_glass: Option<String>,
    /// The detectors whose active version changes.
    pub moves: Vec<VersionMove>,
    /// What it consists of.
    pub details: ChangeDetails,
}

impl Engine {
    /// Records a change.
    ///
    /// # Errors
    /// The table fails.
    pub async fn record_change(&self, change: NewChange) -> Result<RecordedChange> {
        let account = &self.services().account;
        let now = account.now();
        let details = bundle::save_bundle(&account.definitions, &change.details).await?;
        let recorded = RecordedChange {
            id: make_change_id(now),
            time: text::format_milliseconds(now),
            kind: change.kind,
            state: change.state,
            author: change.author,
            reason: change.reason,
            break_glass: change.break_glass,
            moves: change.moves,
            approval: None,
            details,
        };
        self.update_change(&recorded).await?;
        Ok(recorded)
    }

    /// Writes how far a change came.
    ///
    /// # Errors
    /// The table fails.
    pub async fn update_change(&self, change: &RecordedChange) -> Result<()> {
        let item = encode_record(change)?;
        self.services().account.definitions.put(item).await
    }

    /// Writes that a change is approved, and so done. Of two approvers the first is kept.
    ///
    /// # Errors
    /// The change does not exist, or somebody approved it meanwhile; or the table fails.
    pub async fn approve_change(
        &self,
        id: &str,
        approval: &ChangeApproval,
    ) -> Result<RecordedChange> {
        let account = &self.services().account;
        retry_on_write_conflict(|| async {
            let mut change = account.begin_change().await?;
            let found: Option<RecordedChange> = change.get(&change_key(id)).await?;
            let found =
                found.ok_or_else(|| Error::not_found(format!("There is no change '{id}'.")))?;
            if let Some(first) = &found.approval {
                let message = format!(
                    "Change {id} was approved by {} at {}.",
                    first.author, first.time
                );
                return Err(Error::validation(message));
            }
            let approved = RecordedChange {
                state: ChangeState::Done,
                approval: Some(approval.clone()),
                ..found
            };
            change.put(&approved)?;
            account.commit_change(change).await?;
            Ok(approved)
        })
        .await
    }

    /// The change with this id, if there is one.
    ///
    /// # Errors
    /// The table fails.
    pub async fn find_change(&self, id: &str) -> Result<Option<RecordedChange>> {
        self.services()
            .account
            .definitions
            .get(&change_key(id))
            .await
    }

    /// The newest changes, the newest first.
    ///
    /// # Errors
    /// The table fails.
    pub async fn list_changes(&self, limit: usize) -> Result<Vec<RecordedChange>> {
        list_recorded_changes(&self.services().account, limit).await
    }

    /// What a change consists of.
    ///
    /// # Errors
    /// The table fails.
    pub async fn load_change_details(&self, change: &RecordedChange) -> Result<ChangeDetails> {
        bundle::load_bundle(&self.services().account.definitions, &change.details).await
    }

    /// What a change needs.
    ///
    /// # Errors
    /// The table fails.
    pub async fn load_change_policy(&self) -> Result<ChangePolicy> {
        let policy = self
            .services()
            .account
            .definitions
            .get(&policy_key())
            .await?;
        Ok(policy.unwrap_or_default())
    }

    /// Changes a part of what a change needs from now on; what others change at the same time is kept.
    ///
    /// # Errors
    /// The table fails, or a freeze would last longer than a year: it would be forgotten.
    pub async fn update_change_policy(
        &self,
        set: impl Fn(&mut ChangePolicy),
    ) -> Result<ChangePolicy> {
        const LONGEST_FREEZE: SignedDuration = SignedDuration::from_hours(366 * 24);
        let account = &self.services().account;
        let end = account
            .now()
            .checked_add(LONGEST_FREEZE)
            .map_err(Error::internal)?;
        retry_on_write_conflict(|| async {
            let mut change = account.begin_change().await?;
            let found: Option<ChangePolicy> = change.get(&policy_key()).await?;
            let mut policy = found.unwrap_or_default();
            set(&mut policy);
            if policy.freeze_at(end).is_some() {
                return Err(Error::validation("A freeze lasts at most a year."));
            }
            change.put(&policy)?;
            account.commit_change(change).await?;
            Ok(policy)
        })
        .await
    }
}

/// An id that sorts by time and can be typed: `20261128-184501123-3f2a`.
fn make_change_id(now: Timestamp) -> String {
    let random = Uuid::new_v4();
    let [first, second, ..] = random.as_bytes();
    format!(
        "{}-{first:02x}{second:02x}",
        now.strftime("%Y%m%d-%H%M%S%3f")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let id = |time: &str| make_change_id(time.parse().unwrap());
        assert!(id("2026-11-28T18:45:01.123Z").starts_with("20261128-184501123-"));
        assert!(id("2026-11-28T18:45:01.123Z") < id("2026-11-28T18:45:01.124Z"));
        assert!(id("2026-11-28T18:45:59.999Z") < id("2026-11-28T19:00:00Z"));
    }
}
