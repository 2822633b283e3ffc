//! Batch operations of DynamoDB that do only a part of what was asked.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::Network;
use crate::simulation::store::json_response;

/// How a statement of a `BatchExecuteStatement` fails, and whether it has its effect all the same
/// (`docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html`).
const STATEMENT_FAILURES: [(&str, bool); 5] = [
    ("ThrottlingError", false),
    ("ProvisionedThroughputExceeded", false),
    ("TransactionConflict", false),
    ("InternalServerError", false),
    ("InternalServerError", true),
];

/// Whether a request has nothing left in any table.
fn asks_for_nothing(asked: &Value, is_empty: impl Fn(&Value) -> bool) -> bool {
    let tables = asked["RequestItems"].as_object();
    tables.is_none_or(|tables| tables.values().all(is_empty))
}

impl Network {
    /// Answers `BatchGetItem` for some of the keys; the others are unprocessed
    /// (`docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html`).
    pub(super) fn get_some(
        &self,
        name: &str,
        mut asked: Value,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let mut left = json!({});
        let tables = asked["RequestItems"].as_object_mut();
        for (table, wanted) in tables.into_iter().flatten() {
            let unread = self.leave_out_some(name, &mut wanted["Keys"], |key| key);
            if !unread.is_empty() {
                left[table] = wanted.clone();
                left[table]["Keys"] = Value::Array(unread);
            }
        }
        let is_empty = |wanted: &Value| wanted["Keys"].as_array().is_none_or(Vec::is_empty);
        if asks_for_nothing(&asked, is_empty) {
            return json_response(&json!({"Responses": {}, "UnprocessedKeys": left}));
        }
        let request = request.map(|_| Bytes::from(asked.to_string()));
        let response = self.world.store.dynamodb("BatchGetItem", &asked, &request);
        if !response.status().is_success() {
            return response;
        }
        let mut answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        answer["UnprocessedKeys"] = left;
        json_response(&answer)
    }

    /// Takes about half of a list out of it, as drawn for their keys. Returns what was taken.
    fn leave_out_some(
        &self,
        name: &str,
        list: &mut Value,
        key: impl Fn(&Value) -> &Value,
    ) -> Vec<Value> {
        let is_left = |value: &Value| {
            let key = key(value);
            self.world
                .dice
                .happens(format_args!("unprocessed {key} of {name}"), 500)
        };
        let all = list.as_array().cloned().unwrap_or_default();
        let (left, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(is_left);
        *list = Value::Array(kept);
        left
    }

    /// Answers `BatchWriteItem` for some of the items; the others are unprocessed
    /// (`docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html`).
    pub(super) fn write_some(
        &self,
        name: &str,
        mut asked: Value,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let mut left = json!({});
        let tables = asked["RequestItems"].as_object_mut();
        let tables = tables.into_iter().flatten();
        for (table, writes) in tables {
            let unwritten =
                self.leave_out_some(name, writes, |write| &write["PutRequest"]["Item"]["pk"]);
            if !unwritten.is_empty() {
                left[table] = Value::Array(unwritten);
            }
        }
        let is_empty = |writes: &Value| writes.as_array().is_none_or(Vec::is_empty);
        if asks_for_nothing(&asked, is_empty) {
            return json_response(&json!({ "UnprocessedItems": left }));
        }
        let request = request.map(|_| Bytes::from(asked.to_string()));
        let response = self
            .world
            .store
            .dynamodb("BatchWriteItem", &asked, &request);
        if !response.status().is_success() {
            return response;
        }
        json_response(&json!({ "UnprocessedItems": left }))
    }

    /// Answers `BatchExecuteStatement`, of which some statements fail.
    pub(super) fn execute_some(
        &self,
        name: &str,
        mut asked: Value,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let statements = asked["Statements"].as_array().cloned().unwrap_or_default();
        let fate = |place: usize| {
            let dice = self.world.dice;
            let fails = dice.happens(format_args!("statement {place} of {name}"), 500);
            let how = format_args!("how statement {place} of {name} fails").to_string();
            fails.then(|| dice.one_of(how, &STATEMENT_FAILURES))
        };
        let fates: Vec<Option<(&str, bool)>> = (0..statements.len()).map(fate).collect();
        let has_effect = |place: usize| fates[place].is_none_or(|(_, has_effect)| has_effect);
        let executed: Vec<Value> = statements
            .into_iter()
            .enumerate()
            .filter(|(place, _)| has_effect(*place))
            .map(|(_, statement)| statement)
            .collect();
        let mut answers = Vec::new();
        if !executed.is_empty() {
            asked["Statements"] = Value::Array(executed);
            let request = request.map(|_| Bytes::from(asked.to_string()));
            let response = self
                .world
                .store
                .dynamodb("BatchExecuteStatement", &asked, &request);
            if !response.status().is_success() {
                return response;
            }
            let mut answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            answers = answer["Responses"]
                .as_array_mut()
                .map(std::mem::take)
                .unwrap_or_default();
        }
        let mut answers = answers.into_iter();
        let responses = fates.iter().map(|fate| {
            let failure = |code| json!({"Error": {"Code": code, "Message": "simulated"}});
            match fate {
                None => answers.next().unwrap_or_default(),
                Some((code, true)) => {
                    answers.next();
                    failure(*code)
                }
                Some((code, false)) => failure(*code),
            }
        });
        let responses: Vec<Value> = responses.collect();
        json_response(&json!({ "Responses": responses }))
    }
}
