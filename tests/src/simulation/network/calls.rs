//! What a call is about: its name for the history and the dice.

use std::fmt;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::Service;
use crate::simulation::store::{find_inserted_key, find_profile_key};

/// A call, with its name for the history and the dice.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) service: Service,
    pub(super) operation: String,
    /// The subject of the call: table and key, object or event.
    pub(super) subject: String,
    /// The JSON body; null for S3.
    pub(super) body: Value,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.subject)
    }
}

impl Call {
    pub(super) fn new(request: &Request<Bytes>) -> Self {
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok());
        let Some((service, operation)) = target.and_then(|target| target.split_once('.')) else {
            return Self {
                service: Service::S3,
                operation: "PutObject".to_owned(),
                subject: request.uri().path().trim_start_matches('/').to_owned(),
                body: Value::Null,
            };
        };
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let service = match service {
            "AWSEvents" => Service::EventBridge,
            "AWSHawksNestServiceFacade" => Service::FraudDetector,
            "AmazonSQS" => Service::Sqs,
            _ => Service::DynamoDb,
        };
        let subject = match service {
            Service::DynamoDb => subject_in_tables(operation, &body),
            Service::EventBridge => decisions_in(&body),
            Service::Sqs => receipts_in(&body).collect::<Vec<_>>().join(" "),
            _ => body["eventId"].as_str().unwrap_or_default().to_owned(),
        };
        Self {
            service,
            operation: operation.to_owned(),
            subject,
            body,
        }
    }
}

/// The table and the partition keys in a request of DynamoDB.
fn subject_in_tables(operation: &str, body: &Value) -> String {
    fn pk(item: &Value) -> &str {
        item["pk"]["S"].as_str().unwrap_or_default()
    }
    let table = body["TableName"].as_str().unwrap_or_default();
    match operation {
        "PutItem" => format!("{table} {}", pk(&body["Item"])),
        "Query" => {
            let key = &body["ExpressionAttributeValues"][":pk"]["S"];
            format!("{table} {}", key.as_str().unwrap_or_default())
        }
        "BatchGetItem" => {
            let mut keys: Vec<&str> = Vec::new();
            for table in body["RequestItems"]
                .as_object()
                .into_iter()
                .flat_map(|it| it.values())
            {
                keys.extend(table["Keys"].as_array().into_iter().flatten().map(pk));
            }
            keys.sort_unstable();
            keys.dedup();
            keys.join(" ")
        }
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            let keys = tables.flat_map(|(table, writes)| {
                let writes = writes.as_array().into_iter().flatten();
                writes.map(move |write| format!("{table} {}", pk(&write["PutRequest"]["Item"])))
            });
            let mut keys: Vec<String> = keys.collect();
            keys.sort_unstable();
            keys.join(" ")
        }
        "BatchExecuteStatement" => {
            let statements = body["Statements"].as_array().into_iter().flatten();
            let keys =
                statements.filter_map(|it| find_inserted_key(it).or_else(|| find_profile_key(it)));
            let mut keys: Vec<String> = keys.map(|key| pk(&key).to_owned()).collect();
            keys.sort_unstable();
            keys.join(" ")
        }
        "TransactWriteItems" => {
            let items = body["TransactItems"].as_array().into_iter().flatten();
            let actions = items
                .filter_map(Value::as_object)
                .flat_map(|item| item.values());
            let keys = actions.map(|action| {
                let item = if action["Item"].is_object() {
                    &action["Item"]
                } else {
                    &action["Key"]
                };
                pk(item)
            });
            keys.collect::<Vec<_>>().join(" ")
        }
        _ => format!("{table} {}", pk(&body["Key"])),
    }
}

fn decisions_in(body: &Value) -> String {
    let entries = body["Entries"].as_array().into_iter().flatten();
    let ids = entries.filter_map(|entry| {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str()?).ok()?;
        Some(detail["decision_id"].as_str()?.to_owned())
    });
    ids.collect::<Vec<_>>().join(" ")
}

fn receipts_in(body: &Value) -> impl Iterator<Item = &str> {
    let entries = body["Entries"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["ReceiptHandle"].as_str())
}
