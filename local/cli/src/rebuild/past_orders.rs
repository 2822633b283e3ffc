//! Past orders, as decisions and ingested events keep them.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_frauddetector::operation::get_event::GetEventError;
use event::{EventId, Revision, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use shared::decisions::{Decision, ItemKey};
use shared::failure::{Failure, error_code};
use shared::labels::PastEvent;
use shared::mapping::{HashedKeys, KeyFacts, NeededFact, OrderFacts};
use shared::profiles::{EventKeys, PastOrder};

use super::evidence::Evidence;
use super::progress::{RebuildPhase, RebuildProgress};
use super::{Rebuild, RebuildError};

/// How many orders are counted before progress is written. When the same orders are counted again after a kill, their ids
/// are among the last [`velocity::ARRIVALS`] of each key.
const CHUNK: usize = 64;
/// How many events are read at the same time.
const AT_ONCE: usize = 16;

/// An event as the service stores it.
struct StoredEvent {
    time: Timestamp,
    variables: HashMap<String, String>,
    own_label: Option<(String, Timestamp)>,
}

/// What is kept of an order, wherever that is.
struct KeptOrder<'a> {
    event_id: &'a EventId,
    revision: Revision,
    time: Timestamp,
    facts: KeyFacts,
    group: String,
}

impl Rebuild<'_> {
    /// Counts the orders of all decisions, then the ingested events, from where the rebuild was left.
    pub(super) async fn count_past_orders(
        &self,
        progress: &mut RebuildProgress,
    ) -> Result<(), RebuildError> {
        let needed = self.mapping.needed_facts();
        let mut evidence = progress.evidence();
        while progress.phase == RebuildPhase::Decisions {
            let decisions = self.pipeline.decisions();
            let after = progress.after();
            let page = decisions.scan_page(self.mapping.event_type(), after.as_ref());
            let page = page.await?;
            for some in page.items.chunks(CHUNK) {
                self.count_decisions(some, &needed, progress, &mut evidence)
                    .await?;
                self.save_position(progress, &evidence, some.last().map(|(key, _)| key))
                    .await?;
            }
            if page.next.is_none() {
                progress.enter_phase(RebuildPhase::Events);
            }
            self.save_position(progress, &evidence, page.next.as_ref())
                .await?;
        }
        while progress.phase == RebuildPhase::Events {
            let profiles = self.pipeline.profiles();
            let after = progress.after();
            let page = profiles.scan_event_keys(self.mapping, after.as_ref());
            let page = page.await?;
            for some in page.items.chunks(CHUNK) {
                self.count_events(some, &needed, progress, &mut evidence)
                    .await?;
                self.save_position(progress, &evidence, some.last().map(|(key, _)| key))
                    .await?;
            }
            if page.next.is_none() {
                progress.enter_phase(RebuildPhase::Filled);
            }
            self.save_position(progress, &evidence, page.next.as_ref())
                .await?;
        }
        Ok(())
    }

    async fn save_position(
        &self,
        progress: &mut RebuildProgress,
        evidence: &Evidence,
        after: Option<&ItemKey>,
    ) -> Result<(), RebuildError> {
        if let Some(after) = after {
            progress.continue_after(after);
        }
        progress.keep_evidence(evidence);
        self.write_progress(progress).await
    }

    /// Whether the functions counted an order in the generation that is filled, because it came meanwhile.
    fn is_counted_meanwhile(
        &self,
        progress: &mut RebuildProgress,
        also_counted_in: Option<u32>,
        mapping_hash: Option<&str>,
    ) -> bool {
        let is_counted = also_counted_in == Some(progress.generation);
        if is_counted {
            progress.counted_meanwhile += 1;
            progress.other_mapping += u64::from(mapping_hash != Some(self.mapping.hash()));
        }
        is_counted
    }

    async fn count_decisions(
        &self,
        decisions: &[(ItemKey, Decision)],
        needed: &BTreeSet<NeededFact>,
        progress: &mut RebuildProgress,
        evidence: &mut Evidence,
    ) -> Result<(), RebuildError> {
        let mut ids = Vec::with_capacity(decisions.len());
        for (_, decision) in decisions {
            ids.push(decision.event_id()?);
        }
        let mut orders = Vec::with_capacity(decisions.len());
        let mut marked = Vec::with_capacity(decisions.len());
        for ((_, decision), event_id) in decisions.iter().zip(&ids) {
            let counting = decision.counting.as_ref();
            let also = counting.and_then(|counting| counting.also_counted_in);
            if self.is_counted_meanwhile(progress, also, Some(&decision.mapping_hash)) {
                continue;
            }
            let revision = decision.order_revision()?;
            let kept = KeptOrder {
                event_id,
                revision,
                time: parse_time(&decision.event_timestamp)?,
                facts: KeyFacts {
                    hashes: decision.velocity_keys.clone(),
                    conditions: counting.map(|it| it.conditions.clone()).unwrap_or_default(),
                },
                group: name_group(counting.is_some(), Some(&decision.mapping_hash)),
            };
            let variable = |name: &str| decision.variables.get(name).map(String::as_str);
            let former_keys = if revision > Revision::FIRST {
                let profiles = self.pipeline.profiles();
                let event = (event_id, revision);
                let decisions = self.pipeline.decisions();
                let former = profiles.find_former_keys(self.mapping, &decisions, event);
                former.await?
            } else {
                Vec::new()
            };
            orders.push(self.restore_order(kept, variable, former_keys, (needed, evidence)));
            marked.push(PastEvent {
                event_id,
                decision: Some(decision),
                own_label: None,
            });
            progress.decisions += 1;
        }
        self.refill(&orders, &marked, progress).await
    }

    async fn count_events(
        &self,
        events: &[(ItemKey, (EventId, EventKeys))],
        needed: &BTreeSet<NeededFact>,
        progress: &mut RebuildProgress,
        evidence: &mut Evidence,
    ) -> Result<(), RebuildError> {
        let mut left = Vec::with_capacity(events.len());
        for (_, (event_id, keys)) in events {
            let counting = keys.counting.as_ref();
            let also = counting.and_then(|counting| counting.also_counted_in);
            if !self.is_counted_meanwhile(progress, also, keys.mapping_hash.as_deref()) {
                left.push((event_id, keys));
            }
        }
        let read = left.into_iter().map(async |(event_id, keys)| {
            let stored = self.pipeline.profiles();
            let revisions = stored.read_event_keys(self.mapping, event_id).await?;
            // The service stores the values of the newest revision only. That one takes the event out of the keys of those
            // before, so nothing is counted of them.
            if revisions.iter().any(|it| it.revision > keys.revision) {
                return Ok(None);
            }
            let earlier = revisions.into_iter();
            let earlier = earlier.filter(|it| it.revision < keys.revision);
            let former_keys: Vec<HashedKeys> = earlier.map(|it| it.keys).collect();
            let stored = self.read_stored_event(event_id).await?;
            Ok::<_, RebuildError>(Some((event_id, keys, stored, former_keys)))
        });
        let read: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
        let mut orders = Vec::with_capacity(read.len());
        let mut marked = Vec::with_capacity(read.len());
        for (event_id, keys, stored, former_keys) in read.into_iter().flatten() {
            let Some(stored) = stored else {
                evidence.note_lost_event();
                continue;
            };
            let counting = keys.counting.as_ref();
            let kept = KeptOrder {
                event_id,
                revision: read_revision(keys),
                time: stored.time,
                facts: KeyFacts {
                    hashes: keys.keys.clone(),
                    conditions: counting.map(|it| it.conditions.clone()).unwrap_or_default(),
                },
                group: name_group(counting.is_some(), keys.mapping_hash.as_deref()),
            };
            let variable = |name: &str| stored.variables.get(name).map(String::as_str);
            orders.push(self.restore_order(kept, variable, former_keys, (needed, evidence)));
            marked.push(PastEvent {
                event_id,
                decision: None,
                own_label: stored.own_label,
            });
            progress.events += 1;
        }
        self.refill(&orders, &marked, progress).await
    }

    fn restore_order<'v>(
        &self,
        kept: KeptOrder<'_>,
        variable: impl Fn(&str) -> Option<&'v str>,
        former_keys: Vec<HashedKeys>,
        (needed, evidence): (&BTreeSet<NeededFact>, &mut Evidence),
    ) -> PastOrder {
        let time = kept.time.to_string();
        evidence.note_order(needed, (&kept.group, &time), (&kept.facts, &variable));
        let order = OrderFacts {
            event_id: kept.event_id,
            revision: kept.revision,
            timestamp: kept.time,
        };
        PastOrder {
            event_id: kept.event_id.clone(),
            revision: kept.revision,
            keys: self.mapping.restore_keys(&order, &kept.facts, variable),
            hashes: kept.facts.hashes,
            former_keys,
        }
    }

    async fn refill(
        &self,
        orders: &[PastOrder],
        marked: &[PastEvent<'_>],
        progress: &RebuildProgress,
    ) -> Result<(), RebuildError> {
        let now = (self.clock)();
        let profiles = self.pipeline.profiles();
        let refill = profiles.refill(self.mapping, progress.generation, orders, now);
        refill.await?;
        let labels = self.pipeline.labels(self.mapping);
        Ok(labels.mark_past_events(marked, now).await?)
    }

    /// Reads an ingested event from the service; `None` if it is no longer stored.
    async fn read_stored_event(
        &self,
        event_id: &EventId,
    ) -> Result<Option<StoredEvent>, RebuildError> {
        let get = self.pipeline.clients.frauddetector.get_event();
        let get = get
            .event_id(event_id.as_str())
            .event_type_name(self.mapping.event_type().as_str());
        let answer = match get.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match error.as_service_error() {
                    Some(GetEventError::ResourceNotFoundException(_)) => Ok(None),
                    _ => Err(RebuildError::Call {
                        what: "read an ingested event",
                        code: error_code(&error),
                    }),
                };
            }
        };
        let Some(event) = answer.event else {
            return Ok(None);
        };
        let time = parse_time(event.event_timestamp.as_deref().unwrap_or_default())?;
        let own_label = match (event.current_label, event.label_timestamp) {
            (Some(label), Some(time)) => Some((label, parse_time(&time)?)),
            _ => None,
        };
        Ok(Some(StoredEvent {
            time,
            variables: event.event_variables.unwrap_or_default(),
            own_label,
        }))
    }
}

fn parse_time(text: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse(text)
        .map_err(|_| Failure::set_up("a stored time is not readable by this version"))
}

/// The revision of an ingested event. Items of earlier releases keep its number only, which is the revision unless that was
/// a time with a fraction of a second.
fn read_revision(keys: &EventKeys) -> Revision {
    let from_number = || Revision::from_number(keys.revision);
    keys.order_revision.unwrap_or_else(from_number)
}

fn name_group(keeps_all: bool, mapping_hash: Option<&str>) -> String {
    let release = if keeps_all { "" } else { "earlier " };
    format!("{release}{}", mapping_hash.unwrap_or("release"))
}
