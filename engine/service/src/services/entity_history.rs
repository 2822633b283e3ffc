//! Entity histories: what each entity, and each value of up to three more keys such as a device, did before, for models
//! that use it.
//!
//! There is one item of bounded size per event type and key in the table of events. It is written on the condition
//! that no other writer changed it meanwhile. It has the ids of the last events, so an event that is sent twice counts
//! once. Histories are kept only for event types with a model that needs them; events that were stored before are added
//! when the first such model is trained. The entity `unknown` has no history.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use event::Timestamp;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use model::EntityHistories;
use model::history::{EntityEvent, EntityHistory, TrackedEvent, TrackedFields};
use protocol::{Error, Result};
use store::Account;
use store::conflict_retry::pause_randomly;
use store::pinned_bundles::EventTypeBundle;
use store::records::entity_history::{
    EntityHistoryItem, HistorySettings, entity_history_key, list_history_entities,
};
use store::records::event::{StoredEvent, StoredLabel};
use store::records::event_type::list_event_type_names;
use store::records::forgotten::Subject;
use store::table::{self, Item, Key};

/// How often a write is retried on write conflict.
const MAX_WRITE_ATTEMPTS: u32 = 200;
/// The same for the history of a key beside the entity. A key that so many events share at the same moment (an address of
/// a proxy, a large merchant) tells little of each, and must not hold up their predictions.
const MAX_KEY_WRITE_ATTEMPTS: u32 = 20;
/// The pause between two attempts: the first, and the longest.
const PAUSE_RANGE: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];
/// Items that are filled in with one transaction: the most that DynamoDB accepts.
const TRANSACTION_ITEMS: usize = 100;
/// How many transactions run at the same time.
const CONCURRENT_TRANSACTIONS: usize = 4;

/// Whether a label means fraud, and since when that is known, but not before the event.
fn read_history_label(
    settings: &HistorySettings,
    of_key: &KeyHistory,
    label: &StoredLabel,
) -> Option<(bool, i64)> {
    let given = Timestamp::parse(&label.label_timestamp).ok()?;
    let is_bad = settings.fraud.contains(&label.current_label);
    Some((is_bad, given.epoch_seconds().max(of_key.event.time)))
}

/// The item of an entity.
#[derive(Clone, Debug, Default, PartialEq)]
struct VersionedHistory {
    history: EntityHistory,
    /// The number of writes; 0 if there is no item.
    revision: u64,
    /// Whether the events that were stored before the first model are in it.
    filled: bool,
}

/// An event with the histories of its keys.
#[derive(Debug)]
pub(crate) struct EventInHistory {
    histories: Vec<KeyHistory>,
    /// The features that the histories give for the event.
    pub(crate) features: Vec<f32>,
    /// Whether it is the entity's first event, or has no entity.
    pub(crate) is_first: bool,
}

/// The history of one key, and the event as it keeps it.
#[derive(Debug)]
struct KeyHistory {
    key: Key,
    /// Whether it is the entity's.
    of_entity: bool,
    known: VersionedHistory,
    event: EntityEvent,
}

/// An event as histories keep it; `None` if its time cannot be read.
pub(crate) fn build_tracked_event(
    tracked_fields: &TrackedFields,
    event: &StoredEvent,
) -> Option<TrackedEvent> {
    let time = Timestamp::parse(&event.event_timestamp).ok()?;
    let value = |name: &str| event.event_variables.get(name)?.as_deref();
    let entities = list_history_entities(event);
    Some(tracked_fields.build_event(&event.event_id, time.epoch_seconds(), &entities, value))
}

/// The entity histories of an account.
#[derive(Debug)]
pub(crate) struct EntityHistoryStore {
    account: Arc<Account>,
}

impl EntityHistoryStore {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    /// Loads the histories of the event's keys, if models of the event type need them.
    pub(crate) async fn load_history_before(
        &self,
        event_type: &EventTypeBundle,
        event: &StoredEvent,
    ) -> Result<Option<EventInHistory>> {
        let Some(settings) = &event_type.history_settings else {
            return Ok(None);
        };
        let tracked = &settings.tracked_fields;
        let Some(event) = build_tracked_event(tracked, event) else {
            return Ok(None);
        };
        let item_key = |key: &String| entity_history_key(&event_type.name, key);
        let keys: Vec<Option<Key>> = event
            .keys
            .iter()
            .map(|key| key.as_ref().map(item_key))
            .collect();
        if keys.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut found = self.load_histories(keys.iter().flatten()).await?;
        let mut in_history = EventInHistory {
            histories: Vec::with_capacity(keys.len()),
            features: Vec::with_capacity(tracked.feature_count()),
            is_first: true,
        };
        for (place, key) in keys.into_iter().enumerate() {
            let known = key.as_ref().and_then(|key| found.remove(&key.pk));
            let known = known.unwrap_or_default();
            let of_key = tracked.event_of_key(place, &event);
            let history = key.as_ref().map(|_| &known.history);
            tracked.append_features(history, &of_key, &mut in_history.features);
            if let Some(key) = key {
                if place == 0 {
                    in_history.is_first = known.history.is_first_event(&of_key);
                }
                in_history.histories.push(KeyHistory {
                    key,
                    of_entity: place == 0,
                    known,
                    event: of_key,
                });
            }
        }
        Ok(Some(in_history))
    }

    /// Adds an event to the histories of its keys, with its label if there is one.
    pub(crate) async fn add_event(
        &self,
        event_type: &EventTypeBundle,
        in_history: Option<&EventInHistory>,
        label: Option<&StoredLabel>,
    ) -> Result<()> {
        let (Some(settings), Some(in_history)) = (&event_type.history_settings, in_history) else {
            return Ok(());
        };
        let changes = in_history.histories.iter().map(|of_key| async move {
            let became = label.and_then(|label| read_history_label(settings, of_key, label));
            let add = |known: &mut VersionedHistory| {
                known.history.add(of_key.event);
                if let Some((is_bad, known_at)) = became {
                    known.history.note_label(of_key.event.id, is_bad, known_at);
                }
            };
            self.change_key_history(of_key, add).await
        });
        try_join_all(changes).await?;
        Ok(())
    }

    /// Adds the label of an event that was added before.
    pub(crate) async fn add_label(
        &self,
        event_type: &EventTypeBundle,
        event: &StoredEvent,
        label: &StoredLabel,
    ) -> Result<()> {
        let (Some(settings), Some(in_history)) = (
            &event_type.history_settings,
            self.load_history_before(event_type, event).await?,
        ) else {
            return Ok(());
        };
        let changes = in_history.histories.iter().map(|of_key| async move {
            let Some((is_bad, known_at)) = read_history_label(settings, of_key, label) else {
                return Ok(());
            };
            let note = |known: &mut VersionedHistory| {
                known.history.note_label(of_key.event.id, is_bad, known_at);
            };
            self.change_key_history(of_key, note).await
        });
        try_join_all(changes).await?;
        Ok(())
    }

    /// Fills in the histories from before tracking started.
    pub(crate) async fn backfill(
        &self,
        event_type: &str,
        histories: EntityHistories,
    ) -> Result<()> {
        let profiles: Vec<(Key, EntityHistory)> = histories
            .into_histories()
            .map(|(key, history)| (entity_history_key(event_type, &key), history))
            .collect();
        let work: Vec<_> = profiles
            .chunks(TRANSACTION_ITEMS)
            .map(|some| self.backfill_batch(some))
            .collect();
        stream::iter(work)
            .buffer_unordered(CONCURRENT_TRANSACTIONS)
            .try_collect()
            .await
    }

    /// Fills in several items with one transaction, or one by one on write conflict.
    async fn backfill_batch(&self, stored: &[(Key, EntityHistory)]) -> Result<()> {
        let mut found = self
            .load_histories(stored.iter().map(|(key, _)| key))
            .await?;
        let fill = |known: &mut VersionedHistory, stored: &EntityHistory| {
            if !known.filled {
                known.history = known.history.completed_by(stored);
                known.filled = true;
            }
        };
        let mut writes = Vec::with_capacity(stored.len());
        for (key, history) in stored {
            let mut known: VersionedHistory = found.remove(&key.pk).unwrap_or_default();
            if known.filled {
                continue;
            }
            fill(&mut known, history);
            let put = self
                .account
                .events
                .conditional_put(self.build_item(key, &known)?, known.revision)?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        if writes.is_empty() || self.account.events.write_transaction(writes).await? {
            return Ok(());
        }
        for (key, history) in stored {
            let current = self.load_history(key).await?;
            self.change_history(key, current, |known| fill(known, history))
                .await?;
        }
        Ok(())
    }

    /// Takes an event out of the histories of its keys. A history that then keeps no event whole is deleted, with the
    /// hash of the value by which it is found.
    ///
    /// # Errors
    /// The table fails.
    pub(crate) async fn forget_event(
        &self,
        event_type: &EventTypeBundle,
        event: &StoredEvent,
    ) -> Result<()> {
        let in_history = self.load_history_before(event_type, event).await?;
        for of_key in in_history.iter().flat_map(|it| &it.histories) {
            let forget = |known: &mut VersionedHistory| known.history.forget_event(of_key.event.id);
            let mut left = of_key.known.clone();
            forget(&mut left);
            if left.history.keeps_none_whole() {
                self.account.events.delete(&of_key.key).await?;
            } else {
                self.change_history(&of_key.key, of_key.known.clone(), forget)
                    .await?;
            }
        }
        Ok(())
    }

    /// Deletes the history of an entity.
    ///
    /// # Errors
    /// The table fails.
    pub(crate) async fn delete_history(&self, subject: &Subject) -> Result<()> {
        let Subject::Entity {
            entity_type,
            entity_id,
        } = subject
        else {
            return Ok(());
        };
        let entity = format!("{entity_type}#{entity_id}");
        for event_type in list_event_type_names(&self.account).await? {
            self.account
                .events
                .delete(&entity_history_key(&event_type, &entity))
                .await?;
        }
        Ok(())
    }

    /// The stored history of an entity as JSON, by event type.
    ///
    /// # Errors
    /// The table fails.
    pub(crate) async fn describe_histories(
        &self,
        subject: &Subject,
    ) -> Result<BTreeMap<String, String>> {
        let mut kept = BTreeMap::new();
        let Subject::Entity {
            entity_type,
            entity_id,
        } = subject
        else {
            return Ok(kept);
        };
        let entity = format!("{entity_type}#{entity_id}");
        for event_type in list_event_type_names(&self.account).await? {
            let stored = self
                .account
                .events
                .get::<EntityHistoryItem>(&entity_history_key(&event_type, &entity))
                .await?;
            kept.extend(stored.map(|stored| (event_type, stored.history)));
        }
        Ok(kept)
    }

    /// The histories that are stored, by partition key.
    async fn load_histories<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key>,
    ) -> Result<HashMap<String, VersionedHistory>> {
        let keys: Vec<Key> = keys.cloned().collect();
        let mut found = HashMap::new();
        for item in self.account.events.get_items(&keys).await? {
            if let Some(Ok(pk)) = item.get("pk").map(AttributeValue::as_s) {
                found.insert(pk.clone(), parse_history_item(&table::decode_item(item)?)?);
            }
        }
        Ok(found)
    }

    async fn load_history(&self, key: &Key) -> Result<VersionedHistory> {
        match self.account.events.get::<EntityHistoryItem>(key).await? {
            Some(stored) => parse_history_item(&stored),
            None => Ok(VersionedHistory::default()),
        }
    }

    /// Changes the history of a key of an event. Where too many others write the history of a key beside the entity, it
    /// goes without this change.
    async fn change_key_history(
        &self,
        of_key: &KeyHistory,
        change: impl Fn(&mut VersionedHistory),
    ) -> Result<()> {
        let (key, known) = (&of_key.key, of_key.known.clone());
        if of_key.of_entity {
            return self.change_history(key, known, change).await;
        }
        if !self
            .try_change_history(key, known, change, MAX_KEY_WRITE_ATTEMPTS)
            .await?
        {
            tracing::warn!("the history of a key that many events share goes without one of them");
        }
        Ok(())
    }

    async fn change_history(
        &self,
        key: &Key,
        known: VersionedHistory,
        change: impl Fn(&mut VersionedHistory),
    ) -> Result<()> {
        if self
            .try_change_history(key, known, change, MAX_WRITE_ATTEMPTS)
            .await?
        {
            return Ok(());
        }
        Err(Error::throttling(
            "Rate exceeded: too many events of one entity at once.",
        ))
    }

    /// Changes an item, starting from `known`; on write conflict it is read again, so many times. Returns whether the
    /// item has the change.
    async fn try_change_history(
        &self,
        key: &Key,
        mut known: VersionedHistory,
        change: impl Fn(&mut VersionedHistory),
        attempts: u32,
    ) -> Result<bool> {
        for attempt in 0..attempts {
            let mut changed = known.clone();
            change(&mut changed);
            // There is also nothing to change if the conflict was with our own write, sent again by the SDK.
            if changed == known {
                return Ok(true);
            }
            let item = self.build_item(key, &changed)?;
            if self
                .account
                .events
                .put_if_unchanged(item, known.revision)
                .await?
            {
                return Ok(true);
            }
            pause_randomly(attempt, PAUSE_RANGE).await;
            known = self.load_history(key).await?;
        }
        Ok(false)
    }

    /// The item to write, with its revision increased.
    fn build_item(&self, key: &Key, known: &VersionedHistory) -> Result<Item> {
        let stored = EntityHistoryItem {
            history: serde_json::to_string(&known.history).map_err(Error::internal)?,
            revision: known.revision + 1,
            filled: known.filled,
            expires_at: self.account.new_expiry(),
        };
        table::encode_record_at(key, &stored)
    }
}

fn parse_history_item(stored: &EntityHistoryItem) -> Result<VersionedHistory> {
    Ok(VersionedHistory {
        history: serde_json::from_str(&stored.history).map_err(Error::internal)?,
        revision: stored.revision,
        filled: stored.filled,
    })
}

/// The names that answers give to a feature of a history, sorted: the key that has the history (the entity type, unless
/// it is another one), and the variable that it is about.
pub(crate) fn list_feature_parts(
    entity_type: Option<&str>,
    key: Option<&str>,
    variable: &str,
) -> Vec<String> {
    let whose = key.or(entity_type).unwrap_or("entity");
    let names = [whose, variable].into_iter().map(str::to_owned);
    let mut names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names
}

/// The title of such a feature in a table for people.
pub(crate) fn format_feature_title(names: &[String]) -> String {
    format!("history of {}", names.join(", "))
}

/// The features as a prediction stores them: numbers, with `-` for an unknown one.
pub(crate) fn format_features(features: &[f32]) -> String {
    let mut text = String::new();
    for feature in features {
        if !text.is_empty() {
            text.push(' ');
        }
        if feature.is_nan() {
            text.push('-');
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "{feature}");
        }
    }
    text
}

pub(crate) fn parse_features(text: &str) -> Vec<f32> {
    let number = |word: &str| word.parse().unwrap_or(f32::NAN);
    text.split_whitespace().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_features_are_sorted() {
        for (entity_type, key, variable, want) in [
            (
                Some("customer"),
                None,
                "amount",
                &["amount", "customer"][..],
            ),
            (Some("account"), None, "amount", &["account", "amount"]),
            (Some("customer"), None, "", &["customer"]),
            (None, None, "amount", &["amount", "entity"]),
            (
                Some("customer"),
                Some("device"),
                "amount",
                &["amount", "device"],
            ),
        ] {
            assert_eq!(list_feature_parts(entity_type, key, variable), want);
        }
    }

    #[test]
    fn features_are_kept_as_they_are() {
        let features = [0.0, 1.5, f32::NAN, 0.1, 3.402_823_5e38, -7.0];
        let text = format_features(&features);
        assert_eq!(&text[..13], "0 1.5 - 0.1 3");
        let bits = |features: &[f32]| features.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&parse_features(&text)), bits(&features));
        assert!(parse_features("").is_empty());
    }
}
