//! Lambda function `predict`: makes one decision per order, and writes it once.
//!
//! It handles batches of Kinesis and SQS, and answers a direct invocation, or a request over HTTP, with a single order by
//! its decision. Existing decisions are read before anything is predicted, because Kinesis delivers everything from the
//! first failure on again.
//!
//! What was predicted is written in chunks: first the predictions, then the decisions, then the labels that came before
//! their orders. So there is no decision without its prediction, and an interruption loses only what is done again. The
//! conditional write of a decision guarantees that no order is decided twice.

mod checking;
mod counting;
mod http;
mod http_answer;
mod replies;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aws_sdk_frauddetector::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_frauddetector::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_frauddetector::error::BoxError;
use aws_sdk_frauddetector::operation::get_event_prediction::GetEventPredictionOutput;
use aws_sdk_frauddetector::types::{Entity, ModelEndpointDataBlob};
use event::{DetectorVersionId, EventId, PREDICTION_HEADER, Timestamp};
use serde_json::Value;
use shared::batch::{
    BatchResults, Batcher, CHUNK, InvocationContext, InvocationError, PhaseDeadlines, catch_panic,
    not_reached_failure, prepare_records, run_until,
};
use shared::decisions::{
    Decision, Decisions, FoundItems, ItemKey, MatchedRule, PredictionHeader, PutResult,
    ServiceVerdict,
};
use shared::failure::{CallError, Failure, FailureClass, Rejection, ServiceCall};
use shared::held_predictions::{HeldPredictions, UnstoredPredictions};
use shared::known_faults::{KnownFault, is_injected};
use shared::labels::{CreatedEvent, LabelApplier};
use shared::mapping::{MappedOrder, Mapping, ModelBlob};
use shared::profiles::ProfileTable;
use shared::records::{Invocation, Origin, Position, Record};
use shared::rejected::RejectedStore;
use tokio::time::Instant;

pub use http::{DECIDE_PATH, read_order};
pub use http_answer::{HttpAnswer, LARGEST_ORDER};
pub use replies::{DecisionReply, OrderReply, PredictResponse};

/// The name of the function in rejected records and metrics.
pub const FUNCTION: &str = "predict";

/// The handler of the function, with its clients.
pub struct PredictFunction {
    /// How an order becomes an event.
    pub mapping: Arc<Mapping>,
    /// The detector version to use; `None` means the active one.
    pub detector_version: Option<DetectorVersionId>,
    /// The client of the service that makes predictions.
    pub fraud_detector: aws_sdk_frauddetector::Client,
    /// Stores the predictions that the service behind this client holds back.
    pub held_predictions: HeldPredictions,
    /// The table of decisions.
    pub decisions: Decisions,
    /// The profiles of keys with aggregates.
    pub profiles: ProfileTable,
    /// Applies labels that came before their event.
    pub labels: LabelApplier,
    /// Runs batches.
    pub batcher: Batcher,
    /// Where rejected records are written.
    pub rejected: RejectedStore,
}

/// The result of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderResult {
    /// It was decided now.
    Decided(Arc<Decision>),
    /// It was decided before.
    Duplicate(Arc<Decision>),
}

impl OrderResult {
    /// The decision, new or old.
    pub fn decision(&self) -> &Arc<Decision> {
        match self {
            Self::Decided(decision) | Self::Duplicate(decision) => decision,
        }
    }
}

/// An order whose prediction was made, or whose decision is known already.
enum JudgedOrder {
    /// Its prediction and its decision are not stored yet.
    New(Box<(MappedOrder, Decision)>),
    /// It was decided before.
    Known(OrderResult),
}

/// Reports the result of an order by its place in its chunk.
type SayResult<'a> = dyn Fn(usize, Result<OrderResult, Failure>) + 'a;

/// A batch whose orders are mapped and counted.
struct PreparedBatch {
    orders: Vec<Result<MappedOrder, Failure>>,
    known: Result<KnownDecisions, Failure>,
    now: Timestamp,
    ends: PhaseDeadlines,
}

impl PreparedBatch {
    /// The event that a record is about.
    fn subjects(&self, index: usize) -> Vec<String> {
        let order = self.orders.get(index).into_iter().flatten();
        order.map(|order| order.event_id.to_string()).collect()
    }
}

/// Known decisions, by key: those that were read before the batch, and those that were made since.
struct KnownDecisions {
    found: FoundItems,
    made: Mutex<HashMap<ItemKey, Arc<Decision>>>,
}

impl KnownDecisions {
    fn new(found: FoundItems) -> Self {
        Self {
            found,
            made: Mutex::default(),
        }
    }

    fn decision(&self, key: &ItemKey) -> Option<Arc<Decision>> {
        let made = self.made.lock().ok()?.get(key).cloned();
        made.or_else(|| self.found.decision(key).cloned().map(Arc::new))
    }

    fn add(&self, key: ItemKey, decision: &Arc<Decision>) {
        if let Ok(mut made) = self.made.lock() {
            made.insert(key, Arc::clone(decision));
        }
    }
}

impl PredictFunction {
    /// Handles one invocation.
    ///
    /// # Errors
    /// [`InvocationError`] if no record could be processed.
    pub async fn handle(
        &self,
        event: Value,
        context: InvocationContext,
    ) -> Result<PredictResponse, InvocationError> {
        match Invocation::new(event)? {
            Invocation::Batch(records) => Ok(PredictResponse::Batch(
                Box::pin(self.decide_batch(records, context))
                    .await
                    .response()?,
            )),
            Invocation::Direct(records) => {
                // The future is large, and most invocations are batches.
                Box::pin(self.answer(records, context)).await
            }
            Invocation::Http(call) => {
                let answer = Box::pin(self.answer_call(call, context)).await;
                Ok(PredictResponse::Http(answer))
            }
        }
    }

    /// Answers a direct invocation: one order by its decision, several by a list.
    async fn answer(
        &self,
        records: Vec<Record>,
        context: InvocationContext,
    ) -> Result<PredictResponse, InvocationError> {
        let results = self.decide_direct(&records, context).await;
        let mut replies: Vec<_> = results.into_iter().map(OrderReply::new).collect();
        if replies.len() > 1 {
            return Ok(PredictResponse::Orders(replies));
        }
        match replies.pop() {
            Some(OrderReply::Error { error }) => Err(InvocationError::Order(error)),
            Some(reply) => Ok(PredictResponse::Order(reply)),
            None => Err(InvocationError::Order("there is none".to_owned())),
        }
    }

    /// Decides the orders of a batch.
    pub async fn decide_batch(
        &self,
        records: Vec<Record>,
        context: InvocationContext,
    ) -> BatchResults<OrderResult> {
        let ends = self.batcher.phase_deadlines(context.deadline);
        let prepared = self.prepare(&records, context.now, ends).await;
        let park = async |record: &Record, rejection: &Rejection| {
            self.rejected.write(FUNCTION, record, rejection).await
        };
        self.batcher
            .run(
                records,
                ends,
                |index| prepared.subjects(index),
                async |index, record: &Record| self.judge_prepared(&prepared, index, record).await,
                CHUNK,
                async |chunk: Vec<JudgedOrder>, say: &SayResult<'_>| {
                    self.settle(chunk, &prepared, say).await;
                },
                park,
            )
            .await
    }

    /// Decides orders whose senders wait for the decisions, as a batch. Nothing is parked, because the senders have the
    /// orders and get the reasons. The results are in the order of the records.
    pub async fn decide_direct(
        &self,
        records: &[Record],
        context: InvocationContext,
    ) -> Vec<Result<OrderResult, Failure>> {
        let decide = async { Ok(self.decide_unguarded(records, context).await) };
        // What orders share, such as their reads, is not guarded order by order.
        catch_panic(decide)
            .await
            .unwrap_or_else(|failure| records.iter().map(|_| Err(failure.clone())).collect())
    }

    async fn decide_unguarded(
        &self,
        records: &[Record],
        context: InvocationContext,
    ) -> Vec<Result<OrderResult, Failure>> {
        let ends = self.batcher.phase_deadlines(context.deadline);
        let prepared = self.prepare(records, context.now, ends).await;
        self.batcher
            .run_direct(
                records,
                ends,
                |index| prepared.subjects(index),
                async |index, record: &Record| self.judge_prepared(&prepared, index, record).await,
                CHUNK,
                async |chunk: Vec<JudgedOrder>, say: &SayResult<'_>| {
                    self.settle(chunk, &prepared, say).await;
                },
            )
            .await
    }

    /// Maps the orders of a batch, reads what is decided on them, and counts the others.
    async fn prepare(
        &self,
        records: &[Record],
        now: Timestamp,
        ends: PhaseDeadlines,
    ) -> PreparedBatch {
        let mut orders = prepare_records(records, ends, |record| {
            self.mapping.map_order(&record.json()?)
        });
        let read = run_until(ends.process, self.read_decisions(orders.iter().flatten())).await;
        let known = read
            .unwrap_or_else(|| Err(not_reached_failure()))
            .map(KnownDecisions::new);
        if let Ok(known) = &known {
            Box::pin(self.count(&mut orders, known, now, ends.process)).await;
        }
        PreparedBatch {
            orders,
            known,
            now,
            ends,
        }
    }

    async fn judge_prepared(
        &self,
        prepared: &PreparedBatch,
        index: usize,
        record: &Record,
    ) -> Result<JudgedOrder, Failure> {
        let order = prepared.orders[index].clone()?;
        let known = prepared.known.as_ref().map_err(Clone::clone)?;
        // A direct invocation is no place where an order could be looked for.
        let position = Some(&record.position).filter(|it| it.origin != Origin::Invoke);
        self.judge(order, position.cloned(), known, prepared.now)
            .await
    }

    /// Reads the existing decisions on these orders.
    async fn read_decisions<'a>(
        &self,
        orders: impl IntoIterator<Item = &'a MappedOrder>,
    ) -> Result<FoundItems, Failure> {
        // BatchGetItem refuses a request that names a key twice.
        let keys: HashSet<ItemKey> = orders
            .into_iter()
            .map(|order| self.decision_key(order))
            .collect();
        self.decisions.read(keys).await
    }

    fn decision_key(&self, order: &MappedOrder) -> ItemKey {
        ItemKey::new(self.mapping.event_type(), &order.event_id, order.revision)
    }

    /// Gets the verdict on an order, unless it is already decided.
    async fn judge(
        &self,
        mut order: MappedOrder,
        position: Option<Position>,
        known: &KnownDecisions,
        now: Timestamp,
    ) -> Result<JudgedOrder, Failure> {
        if let Some(earlier) = known.decision(&self.decision_key(&order)) {
            return self
                .check_duplicate(earlier, &order)
                .map(JudgedOrder::Known);
        }
        let verdict = self.get_verdict(&mut order).await?;
        let decision = Decision::new(&self.mapping, &order, verdict, position, now);
        Ok(JudgedOrder::New(Box::new((order, decision))))
    }

    /// Stores a chunk of orders with different events: predictions, then decisions, then labels.
    async fn settle(&self, chunk: Vec<JudgedOrder>, prepared: &PreparedBatch, say: &SayResult<'_>) {
        let end = prepared.ends.end_of_writes();
        let mut done: Vec<(usize, OrderResult)> = Vec::with_capacity(chunk.len());
        let mut new = Vec::with_capacity(chunk.len());
        for (place, judged) in chunk.into_iter().enumerate() {
            match judged {
                JudgedOrder::Known(result) => done.push((place, result)),
                JudgedOrder::New(judged) => new.push((place, judged)),
            }
        }
        let events: Vec<EventId> = new.iter().map(|(_, it)| it.0.event_id.clone()).collect();
        let comes_first = !is_injected(KnownFault::DecisionBeforePrediction);
        let unstored = if comes_first {
            self.store_predictions(&events, end).await
        } else {
            UnstoredPredictions::default()
        };
        let mut decisions = Vec::with_capacity(new.len());
        let mut orders = Vec::with_capacity(new.len());
        for (place, judged) in new {
            let (order, decision) = *judged;
            if let Some(failure) = unstored.get(&order.event_id) {
                say(place, Err(failure.clone()));
            } else {
                decisions.push(decision);
                orders.push((place, order));
            }
        }
        let written = self.decisions.put_all(decisions, end).await;
        if !comes_first {
            self.store_predictions(&events, end).await;
        }
        for ((place, order), written) in orders.into_iter().zip(written) {
            match written.and_then(|written| self.note_written(written, &order)) {
                Ok(result) => {
                    if let Ok(known) = &prepared.known {
                        known.add(self.decision_key(&order), result.decision());
                    }
                    done.push((place, result));
                }
                Err(failure) => say(place, Err(failure)),
            }
        }
        self.apply_labels(done, prepared.now, say).await;
    }

    /// Stores the predictions on these events until `end`. Returns those that could not be stored.
    async fn store_predictions(
        &self,
        events: &[EventId],
        end: Option<Instant>,
    ) -> UnstoredPredictions {
        let store = self
            .held_predictions
            .store(self.mapping.event_type(), events.to_vec());
        let late = || {
            let events = events.iter();
            events.map(|event| (event.clone(), not_reached_failure()))
        };
        run_until(end, store)
            .await
            .unwrap_or_else(|| late().collect())
    }

    fn note_written(
        &self,
        written: PutResult,
        order: &MappedOrder,
    ) -> Result<OrderResult, Failure> {
        match written {
            PutResult::Duplicate(earlier) => self.check_duplicate(Arc::from(earlier), order),
            PutResult::Decided(decision) => {
                let outcome = decision.effective_outcome.clone();
                metrics::counter!("Decided", "outcome" => outcome).increment(1);
                Ok(OrderResult::Decided(Arc::from(decision)))
            }
        }
    }

    /// Applies the labels that came before their decisions, and reports the orders as done.
    ///
    /// They are read after the decisions are written, so that a label that comes later finds its decision.
    async fn apply_labels(
        &self,
        done: Vec<(usize, OrderResult)>,
        now: Timestamp,
        say: &SayResult<'_>,
    ) {
        let mut waiting = Vec::with_capacity(done.len());
        for (place, result) in done {
            if is_injected(KnownFault::LostCarry) && matches!(result, OrderResult::Duplicate(_)) {
                say(place, Ok(result));
                continue;
            }
            match result.decision().event_id() {
                Ok(event_id) => waiting.push((place, event_id, result)),
                Err(failure) => say(place, Err(failure)),
            }
        }
        let created: Vec<CreatedEvent<'_>> = waiting
            .iter()
            .map(|(_, event_id, result)| CreatedEvent {
                event_id: event_id.clone(),
                decision: Some(result.decision()),
                keys: &result.decision().velocity_keys,
            })
            .collect();
        self.labels
            .catch_up(&created, now, &self.batcher, |index, labelled| {
                let (place, _, result) = &waiting[index];
                say(*place, labelled.map(|()| result.clone()));
            })
            .await;
    }

    /// The result of an order that was decided before; a rejection if its content has changed.
    fn check_duplicate(
        &self,
        earlier: Arc<Decision>,
        order: &MappedOrder,
    ) -> Result<OrderResult, Failure> {
        if earlier.contradicts(order, &self.mapping) {
            let reason = format!(
                "order `{}` was decided at {} with other content; send a changed order as a new revision",
                order.order_id, earlier.decided_at
            );
            return Err(Failure::rejected("order-changed", reason));
        }
        metrics::counter!("Duplicate").increment(1);
        Ok(OrderResult::Duplicate(earlier))
    }

    /// Asks the service for a prediction. If it refuses a variable by name, asks again without that variable.
    async fn get_verdict(&self, order: &mut MappedOrder) -> Result<ServiceVerdict, Failure> {
        if order.variables.is_empty() {
            // The service needs at least one variable. Without any, the order is undetermined already, or empty by design.
            order.note_no_variables();
            return Ok(ServiceVerdict::default());
        }
        let error = match self.call_service(order).await {
            Ok(verdict) => return Ok(verdict),
            Err(error) => error,
        };
        match error.refused_variable(&order.variables) {
            None => Err(error.into_failure(ServiceCall::GetEventPrediction)),
            Some(name) => {
                order.leave_out(&name);
                self.call_service(order)
                    .await
                    .map_err(|error| error.into_failure(ServiceCall::GetEventPrediction))
            }
        }
    }

    async fn call_service(&self, order: &MappedOrder) -> Result<ServiceVerdict, CallError> {
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
        let prediction: Arc<Mutex<PredictionHeader>> = Arc::default();
        let call = self.fraud_detector.get_event_prediction();
        let call = call
            .detector_id(self.mapping.detector().as_str())
            .set_detector_version_id(self.detector_version.as_ref().map(ToString::to_string))
            .event_id(order.event_id.as_str())
            .event_type_name(self.mapping.event_type().as_str())
            .entities(entity)
            .event_timestamp(order.timestamp.to_string())
            .set_event_variables(Some(variables))
            .set_external_model_endpoint_data_blobs(make_blobs(order));
        let call = call
            .customize()
            .interceptor(ReadPrediction(Arc::clone(&prediction)));
        let kind = ServiceCall::GetEventPrediction;
        let send = async {
            call.send()
                .await
                .map_err(|error| CallError::new(kind, &error))
        };
        let answer = self
            .batcher
            .call_service(order.event_id.as_str(), send)
            .await?;
        let prediction = prediction
            .lock()
            .map(|mut prediction| std::mem::take(&mut *prediction))
            .unwrap_or_default();
        Ok(make_verdict(answer, prediction))
    }
}

/// The bodies for external models, by endpoint.
fn make_blobs(order: &MappedOrder) -> Option<HashMap<String, ModelEndpointDataBlob>> {
    let blob = |blob: &ModelBlob| {
        ModelEndpointDataBlob::builder()
            .byte_buffer(aws_sdk_frauddetector::primitives::Blob::new(
                blob.body.as_bytes(),
            ))
            .content_type(&blob.content_type)
            .build()
    };
    let blobs = order.blobs.iter().map(|it| (it.endpoint.clone(), blob(it)));
    let blobs: HashMap<_, _> = blobs.collect();
    (!blobs.is_empty()).then_some(blobs)
}

/// Reads the header of the engine from the response; Amazon sends none.
#[derive(Debug)]
struct ReadPrediction(Arc<Mutex<PredictionHeader>>);

impl Intercept for ReadPrediction {
    fn name(&self) -> &'static str {
        "ReadPrediction"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.response().headers().get(PREDICTION_HEADER);
        // An unreadable header may hide undetermined rules, so the order must count as undetermined.
        let unreadable = |_| PredictionHeader {
            undetermined: vec!["unreadable".to_owned()],
            left_out: 1,
            ..PredictionHeader::default()
        };
        let read = header.map(|text| serde_json::from_str(text).unwrap_or_else(unreadable));
        if let (Some(read), Ok(mut prediction)) = (read, self.0.lock()) {
            *prediction = read;
        }
        Ok(())
    }
}

fn make_verdict(answer: GetEventPredictionOutput, prediction: PredictionHeader) -> ServiceVerdict {
    let mut rules = answer.rule_results.unwrap_or_default();
    if is_injected(KnownFault::FirstRuleOnly) {
        rules.truncate(1);
    }
    let models = answer.model_scores.unwrap_or_default();
    let version = |model: &aws_sdk_frauddetector::types::ModelScores| {
        let version = model.model_version.as_ref()?;
        Some(format!(
            "{}/{}/{}",
            version.model_type.as_str(),
            version.model_id,
            version.model_version_number
        ))
    };
    let scores = |model: &aws_sdk_frauddetector::types::ModelScores| {
        model.scores.clone().unwrap_or_default()
    };
    ServiceVerdict {
        matched_rules: rules
            .into_iter()
            .map(|rule| MatchedRule {
                rule_id: rule.rule_id.unwrap_or_default(),
                outcomes: rule.outcomes.unwrap_or_default(),
            })
            .collect(),
        model_versions: models.iter().filter_map(version).collect(),
        scores: models
            .iter()
            .flat_map(scores)
            .map(|(name, score)| (name, f64::from(score)))
            .collect(),
        prediction,
    }
}
