//! Lambda function `ingest`: stores past orders with `SendEvent`, with their label if the record has one.

use std::sync::Arc;

use aws_sdk_frauddetector::types::Entity;
use event::{EventId, Revision, Timestamp};
use serde_json::Value;
use shared::batch::{
    BatchResponse, BatchResults, Batcher, CHUNK, InvocationContext, InvocationError,
    not_reached_failure, prepare_records, run_until,
};
use shared::decisions::CountingNote;
use shared::failure::{CallError, Failure, FailureClass, Rejection, ServiceCall};
use shared::labels::{CreatedEvent, LabelApplier};
use shared::mapping::{HashedKeys, MappedOrder, Mapping};
use shared::profiles::{CountedOrder, IngestedEvent, ProfileTable};
use shared::records::{Invocation, Record};
use shared::rejected::RejectedStore;
use tokio::time::Instant;

/// The name of the function in rejected records and metrics.
pub const FUNCTION: &str = "ingest";

/// The handler of the function, with its clients.
pub struct IngestFunction {
    /// How an order becomes an event.
    pub mapping: Arc<Mapping>,
    /// The profiles of keys with aggregates.
    pub profiles: ProfileTable,
    /// The client of the service that stores events.
    pub fraud_detector: aws_sdk_frauddetector::Client,
    /// Applies labels that came before their event.
    pub labels: LabelApplier,
    /// Runs batches.
    pub batcher: Batcher,
    /// Where rejected records are written.
    pub rejected: RejectedStore,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEvent {
    /// Its id.
    pub event_id: EventId,
    /// Whether it was sent with a label.
    pub labelled: bool,
    /// Which version of the event this is.
    pub revision: Revision,
    /// The hashes of its keys.
    pub keys: HashedKeys,
    /// How it was counted by them.
    pub counting: CountingNote,
}

impl IngestFunction {
    /// Handles one invocation.
    ///
    /// # Errors
    /// [`InvocationError`] if no record could be processed.
    pub async fn handle(
        &self,
        event: Value,
        context: InvocationContext,
    ) -> Result<BatchResponse, InvocationError> {
        let records = Invocation::new(event)?.into_records();
        Ok(Box::pin(self.ingest_batch(records, context))
            .await
            .response()?)
    }

    /// Stores the events of a batch.
    pub async fn ingest_batch(
        &self,
        records: Vec<Record>,
        context: InvocationContext,
    ) -> BatchResults<SentEvent> {
        let ends = self.batcher.phase_deadlines(context.deadline);
        let mut orders = prepare_records(&records, ends, |record| {
            self.mapping.map_order(&record.json()?)
        });
        Box::pin(self.count(&mut orders, context.now, ends.process)).await;
        let subjects = |index: usize| {
            let order = orders[index].iter();
            order.map(|order| order.event_id.to_string()).collect()
        };
        let process =
            async |index: usize, _: &Record| self.store_order(orders[index].clone()?).await;
        let settle = async |sent: Vec<SentEvent>,
                            say: &dyn Fn(usize, Result<SentEvent, Failure>)| {
            self.settle(sent, context.now, say).await;
        };
        let park = async |record: &Record, rejection: &Rejection| {
            self.rejected.write(FUNCTION, record, rejection).await
        };
        self.batcher
            .run(records, ends, subjects, process, CHUNK, settle, park)
            .await
    }

    /// Counts the orders at their keys, with the labels that they bring. An order that cannot be counted by `end` becomes a
    /// failure.
    async fn count(
        &self,
        orders: &mut [Result<MappedOrder, Failure>],
        now: Timestamp,
        end: Option<Instant>,
    ) {
        if self.mapping.aggregate_keys().is_empty() {
            return;
        }
        let mut counted = Vec::with_capacity(orders.len());
        for order in orders {
            let former_keys = match &order {
                Ok(order) => run_until(end, self.find_former_keys(order)).await,
                Err(_) => continue,
            };
            match former_keys.unwrap_or_else(|| Err(not_reached_failure())) {
                Ok(former_keys) => {
                    let order = CountedOrder::new(order).with_former_keys(former_keys);
                    counted.push(order.with_known_label());
                }
                Err(failure) => *order = Err(failure),
            }
        }
        self.profiles.count(&self.mapping, counted, now, end).await;
    }

    /// The keys under which earlier revisions of an order were counted before.
    async fn find_former_keys(&self, order: &MappedOrder) -> Result<Vec<HashedKeys>, Failure> {
        if order.revision <= Revision::FIRST {
            return Ok(Vec::new());
        }
        let stored = self
            .profiles
            .read_event_keys(&self.mapping, &order.event_id);
        let earlier = stored.await?.into_iter();
        let earlier = earlier.filter(|event| event.revision < order.revision.number());
        Ok(earlier.map(|event| event.keys).collect())
    }

    /// Stores the keys of events that were sent, then applies the labels that came before them: so a label that comes later
    /// finds the keys.
    async fn settle(
        &self,
        sent: Vec<SentEvent>,
        now: Timestamp,
        say: &dyn Fn(usize, Result<SentEvent, Failure>),
    ) {
        let events = sent.iter();
        let events = events.map(|sent| IngestedEvent {
            event_id: &sent.event_id,
            revision: sent.revision,
            keys: &sent.keys,
            counting: &sent.counting,
        });
        let stored = self.profiles.write_event_keys(&self.mapping, events, now);
        if let Err(failure) = stored.await {
            for place in 0..sent.len() {
                say(place, Err(failure.clone()));
            }
            return;
        }
        let created = sent.iter().map(|sent| CreatedEvent {
            event_id: sent.event_id.clone(),
            decision: None,
            keys: &sent.keys,
        });
        let created: Vec<CreatedEvent<'_>> = created.collect();
        self.labels
            .catch_up(&created, now, &self.batcher, |place, labelled| {
                say(place, labelled.map(|()| sent[place].clone()));
            })
            .await;
    }

    async fn store_order(&self, mut order: MappedOrder) -> Result<SentEvent, Failure> {
        if let Err(error) = self.send_event(&order).await {
            let Some(name) = error.refused_variable(&order.variables) else {
                return Err(error.into_failure(ServiceCall::SendEvent));
            };
            order.leave_out(&name);
            self.send_event(&order)
                .await
                .map_err(|error| error.into_failure(ServiceCall::SendEvent))?;
        }
        metrics::counter!("EventsSent").increment(1);
        Ok(SentEvent {
            event_id: order.event_id.clone(),
            labelled: order.label.is_some(),
            revision: order.revision,
            counting: CountingNote::new(&order),
            keys: order.key_facts.hashes,
        })
    }

    async fn send_event(&self, order: &MappedOrder) -> Result<(), CallError> {
        let entity = Entity::builder()
            .entity_type(order.entity.entity_type.as_str())
            .entity_id(order.entity.entity_id.as_str())
            .build()
            .map_err(|_| CallError {
                class: FailureClass::SetUp,
                code: "entity not built".to_owned(),
                message: String::new(),
            })?;
        let variables = order
            .variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.expose().to_owned()))
            .collect();
        let call = self.fraud_detector.send_event();
        let call = call
            .event_id(order.event_id.as_str())
            .event_type_name(self.mapping.event_type().as_str())
            .event_timestamp(order.timestamp.to_string())
            .set_event_variables(Some(variables))
            .entities(entity)
            .set_assigned_label(order.label.as_ref().map(|(label, _)| label.to_string()))
            .set_label_timestamp(order.label.as_ref().map(|(_, time)| time.to_string()));
        let kind = ServiceCall::SendEvent;
        let send = async {
            call.send()
                .await
                .map_err(|error| CallError::new(kind, &error))
        };
        let event_id = order.event_id.as_str();
        self.batcher.call_service(event_id, send).await.map(drop)
    }
}
