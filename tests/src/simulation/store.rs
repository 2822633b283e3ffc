//! The services behind the network: DynamoDB, S3 and an event bus, in memory and in the thread of the simulation.
//!
//! DynamoDB is two databases: one for writes, and a replica that gets them two seconds later. Reads that are not
//! strongly consistent, and all reads of an index, use the replica
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use local_aws::dynamodb::{DynamoDb, read_inserted_item};
use local_aws::local_stack::{DECISIONS, VELOCITY};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::history::Clock;

/// How late the replica is, in milliseconds.
const LAG_MS: u64 = 2_000;

/// A change of an item of the decisions table, as in its stream.
#[derive(Clone, Debug)]
pub struct Change {
    /// `INSERT` or `MODIFY`.
    pub event_name: &'static str,
    /// The partition key; changes of one key stay in order.
    pub key: String,
    /// The item after the change, in DynamoDB's JSON.
    pub new_image: Value,
}

/// A write of the profile of a key.
#[derive(Clone, Debug)]
pub struct ProfileWrite {
    /// When it was written, in milliseconds of the day.
    pub at: u64,
    /// How often the profile was written until then.
    pub revision: u64,
    /// The profile in its binary form.
    pub profile: Vec<u8>,
}

/// The services.
pub struct Store {
    clock: Clock,
    leader: DynamoDb,
    follower: DynamoDb,
    state: Mutex<State>,
    /// Notified of every change of the decisions table.
    pub changed: Notify,
}

#[derive(Default)]
struct State {
    /// Writes that the replica does not have yet, with their times.
    behind: VecDeque<(u64, Request<Bytes>)>,
    changes: Vec<Change>,
    /// The writes of each profile in their order, by partition key.
    profile_writes: BTreeMap<String, Vec<ProfileWrite>>,
    /// Decisions that replaced another one.
    replaced: Vec<String>,
    /// Each with the time at which it was first put.
    objects: BTreeMap<String, (u64, Bytes)>,
    /// The `detail` of each event on the bus, with its time.
    outcomes: Vec<Value>,
}

impl Store {
    /// Creates empty services.
    ///
    /// # Errors
    /// The embedded database cannot be opened.
    pub fn new(clock: Clock) -> Result<Arc<Self>, local_aws::dynamodb::OpenDatabaseError> {
        Ok(Arc::new(Self {
            clock,
            leader: DynamoDb::in_memory()?,
            follower: DynamoDb::in_memory()?,
            state: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes of decisions since the last call.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.state().changes)
    }

    /// Decisions that a later put replaced; there should be none.
    pub fn replaced(&self) -> Vec<String> {
        self.state().replaced.clone()
    }

    /// The writes of each profile in their order, by partition key.
    pub fn profile_writes(&self) -> BTreeMap<String, Vec<ProfileWrite>> {
        self.state().profile_writes.clone()
    }

    /// The objects of the bucket by key, each with the time at which it was first put.
    pub fn objects(&self) -> BTreeMap<String, (u64, Bytes)> {
        self.state().objects.clone()
    }

    /// The `detail` of each event on the bus.
    pub fn outcomes(&self) -> Vec<Value> {
        self.state().outcomes.clone()
    }

    /// Answers a request of DynamoDB with this body.
    pub fn dynamodb(
        &self,
        operation: &str,
        body: &Value,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        let is_write = !matches!(
            operation,
            "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems" | "DescribeTable"
        );
        if !is_write && may_be_stale(operation, body) {
            self.catch_up_to(self.clock.now().saturating_sub(LAG_MS));
            return self.follower.answer(request);
        }
        if !is_write {
            return self.leader.answer(request);
        }
        if operation == "BatchExecuteStatement" {
            return self.execute_statements(body, request);
        }
        let watched = Self::watched(operation, body);
        let before = watched.as_ref().and_then(|key| self.item(DECISIONS, key));
        let response = self.leader.answer(request);
        if response.status().is_success() {
            let write = (self.clock.now(), request.clone());
            self.state().behind.push_back(write);
            if let Some(key) = watched {
                self.tell(operation, &key, before.is_some());
            }
        }
        response
    }

    /// Answers `BatchExecuteStatement`: every statement that inserts a decision is in the stream, and every write of a
    /// profile is noted.
    fn execute_statements(&self, body: &Value, request: &Request<Bytes>) -> Response<Bytes> {
        let response = self.leader.answer(request);
        if !response.status().is_success() {
            return response;
        }
        self.state()
            .behind
            .push_back((self.clock.now(), request.clone()));
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let statements = body["Statements"].as_array().into_iter().flatten();
        let answers = answer["Responses"].as_array().into_iter().flatten();
        for (statement, answer) in statements.zip(answers) {
            if !answer["Error"].is_null() {
                continue;
            }
            if let Some(key) = find_inserted_key(statement) {
                self.tell("Insert", &key, false);
            }
            if let Some(key) = find_profile_key(statement) {
                self.note_profile(&key);
            }
        }
        response
    }

    /// The key of the decisions table that a write changes.
    ///
    /// # Panics
    /// If the write changes several: the stream here would miss them.
    fn watched(operation: &str, body: &Value) -> Option<Value> {
        if !matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") {
            let is_several = matches!(operation, "BatchWriteItem" | "TransactWriteItems");
            let writes_decisions = is_several && body.to_string().contains("\"Decisions\"");
            assert!(
                !writes_decisions,
                "the simulated stream knows no {operation}"
            );
            return None;
        }
        if body["TableName"] != DECISIONS {
            return None;
        }
        let item = if operation == "PutItem" {
            &body["Item"]
        } else {
            &body["Key"]
        };
        Some(json!({"pk": item["pk"], "sk": item["sk"]}))
    }

    fn note_profile(&self, key: &Value) {
        let Some(item) = self.item(VELOCITY, key) else {
            return;
        };
        let text = |name: &str, kind: &str| item[name][kind].as_str().unwrap_or_default();
        let write = ProfileWrite {
            at: self.clock.now(),
            revision: text("revision", "N").parse().unwrap_or_default(),
            profile: BASE64.decode(text("profile", "B")).unwrap_or_default(),
        };
        let mut state = self.state();
        let writes = state.profile_writes.entry(text("pk", "S").to_owned());
        writes.or_default().push(write);
    }

    fn item(&self, table: &str, key: &Value) -> Option<Value> {
        let body = json!({"TableName": table, "Key": key, "ConsistentRead": true});
        let mut request = Request::new(Bytes::from(body.to_string()));
        let target = http::HeaderValue::from_static("DynamoDB_20120810.GetItem");
        request.headers_mut().insert("x-amz-target", target);
        let mut answer: Value = serde_json::from_slice(self.leader.answer(&request).body()).ok()?;
        let item = answer["Item"].take();
        item.is_object().then_some(item)
    }

    fn tell(&self, operation: &str, key: &Value, was_there: bool) {
        let text = |name: &str| key[name]["S"].as_str().unwrap_or_default().to_owned();
        let mut state = self.state();
        if operation == "PutItem" && was_there && text("sk").starts_with("decision#") {
            state
                .replaced
                .push(format!("{} {}", text("pk"), text("sk")));
        }
        drop(state);
        let Some(new_image) = self.item(DECISIONS, key) else {
            return;
        };
        self.state().changes.push(Change {
            event_name: if was_there { "MODIFY" } else { "INSERT" },
            key: text("pk"),
            new_image,
        });
        self.changed.notify_one();
    }

    /// Applies the writes up to a time to the replica.
    fn catch_up_to(&self, time: u64) {
        loop {
            let next = {
                let mut state = self.state();
                let is_due = state.behind.front().is_some_and(|(at, _)| *at <= time);
                if is_due {
                    state.behind.pop_front()
                } else {
                    None
                }
            };
            let Some((_, request)) = next else {
                return;
            };
            self.follower.answer(&request);
        }
    }

    /// Applies all writes to the replica, as happens after some time without writes.
    pub fn settle(&self) {
        self.catch_up_to(u64::MAX);
    }

    /// Answers `PutObject` for the object with this key.
    pub fn put_object(&self, key: &str, body: Bytes) -> Response<Bytes> {
        let now = self.clock.now();
        let mut state = self.state();
        let object = state
            .objects
            .entry(key.to_owned())
            .or_insert((now, Bytes::new()));
        object.1 = body;
        drop(state);
        let mut response = Response::new(Bytes::new());
        let etag = http::HeaderValue::from_static("\"d41d8cd98f00b204e9800998ecf8427e\"");
        response.headers_mut().insert(http::header::ETAG, etag);
        response
    }

    /// Answers `PutEvents`; `fails` returns whether the entry with an index fails. The answer has one entry for each of
    /// the request, in the same order (docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
    pub fn put_events(&self, body: &[u8], fails: impl Fn(usize) -> bool) -> Response<Bytes> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let entries = request["Entries"].as_array().cloned().unwrap_or_default();
        let mut results = Vec::with_capacity(entries.len());
        let mut failed = 0;
        for (place, entry) in entries.iter().enumerate() {
            if fails(place) {
                failed += 1;
                let code = "InternalFailure";
                results.push(json!({"ErrorCode": code, "ErrorMessage": "Unexpected error."}));
                continue;
            }
            let detail = entry["Detail"].as_str().unwrap_or_default();
            let detail = serde_json::from_str(detail).unwrap_or_default();
            let mut state = self.state();
            state.outcomes.push(detail);
            results.push(json!({"EventId": format!("event-{}", state.outcomes.len())}));
        }
        json_response(&json!({"FailedEntryCount": failed, "Entries": results}))
    }
}

/// The key of the decision that a statement inserts.
pub fn find_inserted_key(statement: &Value) -> Option<Value> {
    let parameters = statement["Parameters"].as_array()?;
    let item = read_inserted_item(statement["Statement"].as_str()?, parameters, DECISIONS);
    let item = item.ok()??;
    Some(json!({"pk": item["pk"], "sk": item["sk"]}))
}

/// The key of the profile that a statement writes.
pub fn find_profile_key(statement: &Value) -> Option<Value> {
    let is_of_profiles = statement["Statement"].as_str()?.contains(VELOCITY);
    let parameters = statement["Parameters"].as_array()?;
    let sk = parameters.iter().position(|it| it["S"] == "profile");
    let pk = sk.filter(|_| is_of_profiles)?.checked_sub(1)?;
    Some(json!({"pk": parameters[pk], "sk": parameters[pk + 1]}))
}

/// An answer of a JSON service.
pub fn json_response(body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    let media_type = http::HeaderValue::from_static("application/x-amz-json-1.1");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, media_type);
    response
}

/// An exception of a JSON service.
pub fn exception(status: StatusCode, code: &str) -> Response<Bytes> {
    let mut response = json_response(&json!({"__type": code, "message": "simulated"}));
    *response.status_mut() = status;
    response
}

/// Whether a read may be answered by the replica: it is not strongly consistent, or it reads an index.
fn may_be_stale(operation: &str, body: &Value) -> bool {
    match operation {
        "DescribeTable" | "TransactGetItems" => false,
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object();
            let mut tables = tables.into_iter().flat_map(|tables| tables.values());
            tables.any(|table| table["ConsistentRead"] != true)
        }
        _ => body["IndexName"].is_string() || body["ConsistentRead"] != true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Calls an operation and returns its answer.
    fn call(store: &Store, operation: &str, value: &Value) -> Value {
        let request = Request::new(Bytes::from(value.to_string()));
        let (mut parts, body) = request.into_parts();
        let target = format!("DynamoDB_20120810.{operation}");
        parts
            .headers
            .insert("x-amz-target", target.parse().unwrap());
        let response = store.dynamodb(operation, value, &Request::from_parts(parts, body));
        assert!(response.status().is_success(), "{operation}: {response:?}");
        serde_json::from_slice(response.body()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_asks_for_no_consistency_is_behind() {
        let store = Store::new(Clock::new()).unwrap();
        let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
        let table = json!({
            "TableName": DECISIONS, "KeySchema": key, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
            ],
        });
        call(&store, "CreateTable", &table);
        let key = json!({"pk": {"S": "order#1"}, "sk": {"S": "decision#1"}});
        call(
            &store,
            "PutItem",
            &json!({"TableName": DECISIONS, "Item": key}),
        );
        let is_there = |consistent: bool| {
            let get = json!({"TableName": DECISIONS, "Key": key, "ConsistentRead": consistent});
            call(&store, "GetItem", &get)["Item"].is_object()
        };
        tokio::time::advance(Duration::from_millis(1_900)).await;
        assert!(is_there(true));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert!(is_there(false));
        call(
            &store,
            "DeleteItem",
            &json!({"TableName": DECISIONS, "Key": key}),
        );
        assert!(!is_there(true));
        assert!(is_there(false), "it was there two seconds ago");
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_fails_is_not_on_the_bus() {
        let store = Store::new(Clock::new()).unwrap();
        let entry = |id: &str| json!({"Detail": json!({"decision_id": id}).to_string()});
        let body = json!({"Entries": [entry("a"), entry("b"), entry("c")]}).to_string();
        let answer = store.put_events(body.as_bytes(), |place| place == 1);
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(answer["FailedEntryCount"], 1);
        assert_eq!(answer["Entries"][1]["ErrorCode"], "InternalFailure");
        let outcomes = store.outcomes();
        let ids: Vec<&Value> = outcomes.iter().map(|it| &it["decision_id"]).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
