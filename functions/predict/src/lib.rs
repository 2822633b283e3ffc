//! Lambda function `predict`: makes one decision per order, and writes it once.
//!
//! It handles batches of Kinesis and SQS, and answers a direct invocation with a single order by its decision. Existing
//! decisions are read before anything is predicted, because Kinesis delivers everything from the first failure on again.
//!
//! What was predicted is written in chunks: first the predictions, then the decisions, then the labels that came before
//! their orders. So there is no decision without its prediction, and an interruption loses only what is done again. The
//! conditional write of a decision guarantees that no order is decided twice.

mod checking;
mod counting;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aws_sdk_frauddetector::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_frauddetector::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_frauddetector::error::BoxError;
use aws_sdk_frauddetector::operation::get_event_prediction::GetEventPredictionOutput;
use aws_sdk_frauddetector::types::{Entity, ModelEndpointDataBlob};
use event::{DetectorVersionId, EventId, PREDICTION_HEADER, Timestamp};
use serde::Serialize;
use serde_json::Value;
use shared::batch::{
    BatchResponse, BatchResults, Batcher, CHUNK, InvocationContext, InvocationError, catch_panic,
    not_reached_failure, prepare_records, run_until,
};
use shared::decisions::{
    AppliedOverride, Decision, Decisions, FoundItems, ItemKey, MatchedRule, PredictionHeader,
    PutResult, ServiceVerdict,
};
use shared::failure::{CallError, Failure, FailureClass, Rejection, ServiceCall};
use shared::held_predictions::{HeldPredictions, UnstoredPredictions};
use shared::known_faults::{KnownFault, is_injected};
use shared::labels::{CreatedEvent, LabelApplier};
use shared::mapping::{MappedOrder, Mapping, ModelBlob};
use shared::profiles::ProfileTable;
use shared::queue_backoff::NamesFailures;
use shared::records::{Invocation, Position, Record};
use shared::rejected::RejectedStore;
use tokio::time::Instant;

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

/// The response to an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PredictResponse {
    /// Of a batch: the records to deliver again.
    Batch(BatchResponse),
    /// Of a single order: its decision.
    Order(OrderReply),
    /// Of several orders: what became of each, in their order.
    Orders(Vec<OrderReply>),
}

impl NamesFailures for PredictResponse {
    fn batch_response(&self) -> Option<&BatchResponse> {
        match self {
            Self::Batch(response) => Some(response),
            Self::Order(_) | Self::Orders(_) => None,
        }
    }
}

/// What became of an order of a direct invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OrderReply {
    /// It was decided, now or before.
    Decision(Box<DecisionReply>),
    /// The mapping skips the message, because it is no order.
    Skipped {
        /// Always true.
        skipped: bool,
    },
    /// It was not decided. A single order that is not decided makes the invocation fail.
    Error {
        /// Why: the class of the rejection, or the cause.
        error: String,
    },
}

/// The parts of a decision that a synchronous checkout needs.
#[derive(Debug, Serialize)]
pub struct DecisionReply {
    /// The id of the order.
    pub order_id: String,
    /// Deterministic id of the decision.
    pub decision_id: String,
    /// The outcome that the shop acts on.
    pub effective_outcome: String,
    /// The override that made it the effective one, if one did.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub applied_override: Option<AppliedOverride>,
    /// All outcomes, the most important first.
    pub outcomes: Vec<String>,
    /// Rules that matched.
    pub rules: Vec<String>,
    /// Whether some value or rule could not be evaluated.
    pub undetermined: bool,
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
                Box::pin(self.answer(&records, context)).await
            }
        }
    }

    /// Answers a direct invocation: one order by its decision, several by a list.
    async fn answer(
        &self,
        records: &[Record],
        context: InvocationContext,
    ) -> Result<PredictResponse, InvocationError> {
        let end = self.batcher.phase_deadlines(context.deadline).process;
        let mut replies = Vec::with_capacity(records.len());
        for record in records {
            let one = async { Box::pin(self.decide_one(&record.json()?, context)).await };
            let one = catch_panic(one);
            // A function that reaches its deadline is killed: the caller gets no reason, and the next call a cold start.
            let done = run_until(end, one).await;
            let done = done.unwrap_or_else(|| Err(not_reached_failure()));
            replies.push(OrderReply::new(done));
        }
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
        let mut orders = prepare_records(&records, ends, |record| {
            self.mapping.map_order(&record.json()?)
        });
        let read = run_until(ends.process, self.read_decisions(orders.iter().flatten())).await;
        let known = read
            .unwrap_or_else(|| Err(not_reached_failure()))
            .map(KnownDecisions::new);
        if let Ok(known) = &known {
            Box::pin(self.count(&mut orders, known, context.now, ends.process)).await;
        }
        let subjects = |index: usize| {
            let order = orders[index].iter();
            order.map(|order| order.event_id.to_string()).collect()
        };
        let process = async |index: usize, record: &Record| {
            let order = orders[index].clone()?;
            let known = known.as_ref().map_err(Clone::clone)?;
            let position = Some(record.position.clone());
            self.judge(order, position, known, context.now).await
        };
        let settle =
            async |chunk: Vec<JudgedOrder>, say: &dyn Fn(usize, Result<OrderResult, Failure>)| {
                let end = ends.end_of_writes();
                self.settle(chunk, known.as_ref().ok(), (context.now, end), say)
                    .await;
            };
        let park = async |record: &Record, rejection: &Rejection| {
            self.rejected.write(FUNCTION, record, rejection).await
        };
        self.batcher
            .run(records, ends, subjects, process, CHUNK, settle, park)
            .await
    }

    /// Decides a single order.
    ///
    /// # Errors
    /// [`Failure`]. Nothing is parked, because the caller has the order and gets the reason.
    pub async fn decide_one(
        &self,
        order: &Value,
        context: InvocationContext,
    ) -> Result<OrderResult, Failure> {
        let order = self.mapping.map_order(order)?;
        let known = KnownDecisions::new(self.read_decisions([&order]).await?);
        let mut orders = [Ok(order)];
        Box::pin(self.count(&mut orders, &known, context.now, None)).await;
        let [order] = orders;
        let judged = self.judge(order?, None, &known, context.now).await?;
        let done = Mutex::new(Err(Failure::retry("not finished")));
        // The caller of this method ends it in time.
        let times = (context.now, None);
        self.settle(vec![judged], Some(&known), times, &|_, result| {
            if let Ok(mut done) = done.lock() {
                *done = result;
            }
        })
        .await;
        done.into_inner()
            .unwrap_or_else(|_| Err(Failure::retry("not finished")))
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

    /// Stores a chunk of orders with different events: predictions, then decisions until `end`, then labels.
    async fn settle(
        &self,
        chunk: Vec<JudgedOrder>,
        known: Option<&KnownDecisions>,
        (now, end): (Timestamp, Option<Instant>),
        say: &dyn Fn(usize, Result<OrderResult, Failure>),
    ) {
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
                    if let Some(known) = known {
                        known.add(self.decision_key(&order), result.decision());
                    }
                    done.push((place, result));
                }
                Err(failure) => say(place, Err(failure)),
            }
        }
        self.apply_labels(done, now, say).await;
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
        say: &dyn Fn(usize, Result<OrderResult, Failure>),
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

impl DecisionReply {
    fn new(decision: &Decision) -> Self {
        Self {
            order_id: decision.order_id.clone(),
            decision_id: decision.decision_id.clone(),
            effective_outcome: decision.effective_outcome.clone(),
            applied_override: decision.applied_override.clone(),
            outcomes: decision.outcomes.clone(),
            rules: decision
                .verdict
                .matched_rules
                .iter()
                .map(|rule| rule.rule_id.clone())
                .collect(),
            undetermined: decision.undetermined,
        }
    }
}

impl OrderReply {
    /// Lambda logs errors, so one has the class of a rejection and not its reason, which may quote the order.
    fn new(result: Result<OrderResult, Failure>) -> Self {
        let error = match result {
            Ok(done) => return Self::Decision(Box::new(DecisionReply::new(done.decision()))),
            Err(Failure::Skipped) => return Self::Skipped { skipped: true },
            Err(Failure::Rejected(rejection)) => format!("rejected: {}", rejection.class),
            Err(Failure::Retry(retry)) => format!("retry: {}", retry.cause),
        };
        Self::Error { error }
    }
}
