//! Lambda function `ingest`: stores past orders with `SendEvent`, with their label if the record has one.

use aws_sdk_frauddetector::types::Entity;
use event::EventId;
use serde_json::Value;
use shared::batch::{
    BatchResponse, BatchResults, Batcher, CHUNK, InvocationContext, InvocationError,
    prepare_records,
};
use shared::failure::{CallError, Failure, FailureClass, Rejection, ServiceCall};
use shared::labels::{CreatedEvent, LabelApplier};
use shared::mapping::{MappedOrder, Mapping};
use shared::profiles::{CountedOrder, ProfileTable};
use shared::records::{Invocation, Record};
use shared::rejected::RejectedStore;

/// The name of the function in rejected records and metrics.
pub const FUNCTION: &str = "ingest";

/// The handler of the function, with its clients.
pub struct IngestFunction {
    /// How an order becomes an event.
    pub mapping: Mapping,
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
        let counted = orders.iter_mut().map(CountedOrder::new).collect();
        let count = self
            .profiles
            .count(&self.mapping, counted, context.now, ends.process);
        Box::pin(count).await;
        let subjects = |index: usize| {
            let order = orders[index].iter();
            order.map(|order| order.event_id.to_string()).collect()
        };
        let process =
            async |index: usize, _: &Record| self.store_order(orders[index].clone()?).await;
        let settle = async |sent: Vec<SentEvent>,
                            say: &dyn Fn(usize, Result<SentEvent, Failure>)| {
            let created = |sent: &SentEvent| CreatedEvent {
                event_id: sent.event_id.clone(),
                decision: None,
            };
            let created: Vec<_> = sent.iter().map(created).collect();
            self.labels
                .catch_up(&created, &self.batcher, |place, labelled| {
                    say(place, labelled.map(|()| sent[place].clone()));
                })
                .await;
        };
        let park = async |record: &Record, rejection: &Rejection| {
            self.rejected.write(FUNCTION, record, rejection).await
        };
        self.batcher
            .run(records, ends, subjects, process, CHUNK, settle, park)
            .await
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
            event_id: order.event_id,
            labelled: order.label.is_some(),
        })
    }

    async fn send_event(&self, order: &MappedOrder) -> Result<(), CallError> {
        self.batcher.wait_for_call_permit().await;
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
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallError::new(ServiceCall::SendEvent, &error))
    }
}
