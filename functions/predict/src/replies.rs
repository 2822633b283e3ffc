//! What an invocation is answered with.

use serde::Serialize;
use shared::batch::BatchResponse;
use shared::decisions::{AppliedOverride, Decision};
use shared::failure::Failure;
use shared::queue_backoff::NamesFailures;

use crate::OrderResult;
use crate::http_answer::HttpAnswer;

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
    /// Of a request over HTTP: its answer.
    Http(HttpAnswer),
}

impl NamesFailures for PredictResponse {
    fn batch_response(&self) -> Option<&BatchResponse> {
        match self {
            Self::Batch(response) => Some(response),
            Self::Order(_) | Self::Orders(_) | Self::Http(_) => None,
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionReply {
    /// The id of the order.
    pub order_id: String,
    /// Deterministic id of the decision.
    pub decision_id: String,
    /// Which version of the order this is.
    pub revision: u64,
    /// When it was decided, ISO 8601 UTC.
    pub decided_at: String,
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

impl DecisionReply {
    pub(crate) fn new(decision: &Decision) -> Self {
        Self {
            order_id: decision.order_id.clone(),
            decision_id: decision.decision_id.clone(),
            revision: decision.revision,
            decided_at: decision.decided_at.clone(),
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
    pub(crate) fn new(result: Result<OrderResult, Failure>) -> Self {
        let error = match result {
            Ok(done) => return Self::Decision(Box::new(DecisionReply::new(done.decision()))),
            Err(Failure::Skipped) => return Self::Skipped { skipped: true },
            Err(Failure::Rejected(rejection)) => format!("rejected: {}", rejection.class),
            Err(Failure::Retry(retry)) => format!("retry: {}", retry.cause),
        };
        Self::Error { error }
    }
}
