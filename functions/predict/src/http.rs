//! One order in the body of a request over HTTP, its decision in the answer.
//!
//! A Lambda function URL and `fraudstream serve` answer alike. Asking again with the same order gives the same decision,
//! and whoever gets no decision in time gets the outcome to act on until then. docs/answer-in-the-call.md has the table of
//! the answers.

use serde_json::{Value, json};
use shared::batch::{InvocationContext, run_until};
use shared::decisions::{Outcomes, ServiceVerdict};
use shared::failure::{Failure, Rejection, Retry, name_cause};
use shared::http_call::HttpCall;
use shared::records::Record;

use crate::http_answer::{HttpAnswer, LARGEST_ORDER};
use crate::replies::DecisionReply;
use crate::{FUNCTION, OrderResult, PredictFunction};

/// The path that orders are posted to.
pub const DECIDE_PATH: &str = "/decide";
/// Seconds after which an order whose decision failed is worth sending again.
const SOON: &str = "1";
/// The same, if a person has to put something right first.
const LATER: &str = "30";

/// The order in a request, as a record.
///
/// # Errors
/// The answer, if the request has none.
pub fn read_order(call: HttpCall) -> Result<Record, HttpAnswer> {
    if call.path != DECIDE_PATH {
        let message = format!("orders are decided at POST {DECIDE_PATH}");
        return Err(HttpAnswer::refused(404, "not-found", &message));
    }
    if call.method != "POST" {
        let message = format!("orders are decided at POST {DECIDE_PATH}");
        let answer = HttpAnswer::refused(405, "wrong-method", &message);
        return Err(answer.with_header("allow", "POST"));
    }
    if !call.is_json() {
        let message = "send the order as JSON, with the header Content-Type: application/json";
        return Err(HttpAnswer::refused(415, "wrong-media-type", message));
    }
    if call.body.len() > LARGEST_ORDER {
        return Err(HttpAnswer::too_large());
    }
    let mut records = Record::from(call).split();
    match (records.pop(), records.len()) {
        (Some(record), 0) => Ok(record),
        (_, more) => {
            let message = format!("the body has {} orders; send one in a request", more + 1);
            Err(HttpAnswer::refused(422, "several-orders", &message))
        }
    }
}

impl PredictFunction {
    /// Answers a request by the deadline of the invocation.
    ///
    /// What is not decided by then is given up here. It is not half done: an order is decided once its decision is
    /// written, and asking again either finds that or decides.
    pub async fn answer_call(&self, call: HttpCall, context: InvocationContext) -> HttpAnswer {
        let record = match read_order(call) {
            Ok(record) => record,
            Err(answer) => return answer,
        };
        let records = [record];
        // The phases of a batch would leave the order a part of the time.
        let whole_time = InvocationContext {
            deadline: None,
            ..context
        };
        let decided = self.decide_direct(&records, whole_time);
        match run_until(context.deadline, decided).await {
            Some(results) => {
                let result = results.into_iter().next();
                self.make_answer(result.unwrap_or_else(|| Err(Failure::retry("not finished"))))
            }
            None => self.late_answer(),
        }
    }

    /// The answer to an order of which this became.
    pub fn make_answer(&self, result: Result<OrderResult, Failure>) -> HttpAnswer {
        match result {
            Ok(result) => {
                let when = match &result {
                    OrderResult::Decided(_) => "now",
                    OrderResult::Duplicate(_) => "before",
                };
                let mut body = json!({"decided": when});
                let reply = serde_json::to_value(DecisionReply::new(result.decision()));
                if let (Some(body), Ok(Value::Object(reply))) = (body.as_object_mut(), reply) {
                    body.extend(reply);
                }
                HttpAnswer::new(200, body)
            }
            Err(Failure::Skipped) => {
                HttpAnswer::new(200, json!({"decided": false, "skipped": true}))
            }
            Err(Failure::Rejected(rejection)) => answer_rejection(&rejection),
            Err(Failure::Retry(retry)) => self.answer_retry(&retry),
        }
    }

    /// The answer to an order that is not decided in time.
    pub fn late_answer(&self) -> HttpAnswer {
        let message = "there is no decision yet; act on effective_outcome, and ask again with the same order for the \
                       decision";
        HttpAnswer::refused(202, "time-out", message)
            .with_outcome(self.undetermined_outcome().as_deref())
    }

    fn answer_retry(&self, retry: &Retry) -> HttpAnswer {
        let cause = &retry.cause;
        let (message, retry_after) = if retry.set_up {
            metrics::counter!("SetUp", "function" => FUNCTION).increment(1);
            let message = format!(
                "{cause}: somebody has to put the set-up right; `fraudstream apply` makes the detector of the mapping"
            );
            (message, LATER)
        } else {
            (format!("{cause}: ask again with the same order"), SOON)
        };
        HttpAnswer::unavailable(name_cause(retry), &message, retry_after)
            .with_outcome(self.undetermined_outcome().as_deref())
    }

    /// The outcome that counts for an order of which nothing could be judged.
    fn undetermined_outcome(&self) -> Option<String> {
        let outcomes = Outcomes::combine(&self.mapping, true, &ServiceVerdict::default());
        outcomes.effective.map(|outcome| outcome.to_string())
    }
}

/// The sentence may quote the order, which the caller has.
fn answer_rejection(rejection: &Rejection) -> HttpAnswer {
    let status = match rejection.class {
        "not-json" | "empty" => 400,
        "order-changed" => 409,
        "too-large" => 413,
        "panic" => 500,
        _ => 422,
    };
    HttpAnswer::refused(status, rejection.class, &rejection.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str, media_type: Option<&str>, body: &str) -> HttpCall {
        HttpCall {
            method: method.to_owned(),
            path: path.to_owned(),
            media_type: media_type.map(str::to_owned),
            body: body.into(),
        }
    }

    #[test]
    fn a_request_has_one_order_or_is_told_what_would_be_right() {
        let json = Some("application/json");
        let large = " ".repeat(LARGEST_ORDER + 1);
        let cases = [
            (call("POST", "/decide", json, "{}"), "an order"),
            (call("POST", "/decide", json, "[{}]"), "an order"),
            (call("POST", "/decide", json, "not json"), "an order"),
            (
                call("POST", "/", json, "{}"),
                "404 not-found: orders are decided at POST /decide",
            ),
            (
                call("POST", "/decide/", json, "{}"),
                "404 not-found: orders are decided at POST /decide",
            ),
            (
                call("GET", "/decide", None, ""),
                "405 wrong-method: orders are decided at POST /decide",
            ),
            (
                call("POST", "/decide", None, "{}"),
                "415 wrong-media-type: send the order as JSON, with the header Content-Type: application/json",
            ),
            (
                call("POST", "/decide", json, &large),
                "413 too-large: an order has at most 1048576 bytes",
            ),
            (
                call("POST", "/decide", json, "[{},{}]"),
                "422 several-orders: the body has 2 orders; send one in a request",
            ),
        ];
        for (call, want) in cases {
            let shown = format!("{call:?} {} {}", call.method, call.path);
            let got = match read_order(call) {
                Ok(_) => "an order".to_owned(),
                Err(answer) => {
                    let text =
                        |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
                    format!("{} {}: {}", answer.status, text("reason"), text("message"))
                }
            };
            assert_eq!(got, want, "{shown}");
        }
    }
}
