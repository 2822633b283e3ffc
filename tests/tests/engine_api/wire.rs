//! The wire form, byte for byte.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use crate::world::{World, json};

#[tokio::test]
async fn an_empty_result_is_two_bytes() {
    let world = World::new().await;
    let response = world.raw("PutLabel", r#"{"name":"fraud"}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.body(), "{}");
    assert_eq!(
        response.headers()["content-type"],
        "application/x-amz-json-1.1"
    );
    assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);
}

#[tokio::test]
async fn an_error_is_in_the_header_and_in_the_body() {
    let world = World::new().await;
    let cases = [
        (
            "PutLabel",
            "{",
            400,
            "SerializationException",
            "The body is not valid JSON at line 1, column 1.",
        ),
        (
            "PutLabel",
            "{\"name\":7}",
            400,
            "SerializationException",
            "name must be a string, not a number.",
        ),
        (
            "PutLabel",
            "{\"name\":\"Fraud\"}",
            400,
            "ValidationException",
            "1 validation error detected: Value 'Fraud' at 'name' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: ^[0-9a-z_-]+$",
        ),
        (
            "Nothing",
            "{}",
            400,
            "UnknownOperationException",
            "There is no operation 'AWSHawksNestServiceFacade.Nothing'.",
        ),
    ];
    for (operation, body, status, code, message) in cases {
        let response = world.raw(operation, body).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["x-amzn-errortype"], code);
        assert_eq!(json(&response), json!({"__type": code, "message": message}));
    }
}

#[tokio::test]
async fn what_is_no_operation_at_all() {
    let world = World::new().await;
    let build = |method: Method, path: &str, target: Option<&str>, media: &str| {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media);
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        request.body(Bytes::from_static(b"{}")).unwrap()
    };
    let target = "AWSHawksNestServiceFacade.GetLabels";
    let media = "application/x-amz-json-1.1";
    for (request, code) in [
        (
            build(Method::GET, "/", Some(target), media),
            "UnknownOperationException",
        ),
        (
            build(Method::POST, "/labels", Some(target), media),
            "UnknownOperationException",
        ),
        (
            build(Method::POST, "/", None, media),
            "UnknownOperationException",
        ),
        (
            build(Method::POST, "/", Some("Other.GetLabels"), media),
            "UnknownOperationException",
        ),
        (
            build(Method::POST, "/", Some(target), "text/plain"),
            "SerializationException",
        ),
    ] {
        let response = world.engine.handle(request).await;
        assert_eq!(response.headers()["x-amzn-errortype"], code);
    }
    let response = world
        .engine
        .handle(build(Method::POST, "/", Some(target), media))
        .await;
    assert_eq!(response.body(), r#"{"labels":[]}"#);
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_depth() {
    let world = World::new().await;
    let deep = format!(
        "{{\"name\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let response = world.raw("PutLabel", &deep).await;
    assert_eq!(
        response.headers()["x-amzn-errortype"],
        "SerializationException"
    );
    let large = format!("{{\"name\":\"{}\"}}", "a".repeat(300_000));
    let response = world.raw("PutLabel", &large).await;
    assert_eq!(
        response.headers()["x-amzn-errortype"],
        "ValidationException"
    );
}

/// Amazon's quota: 5000 variables per prediction.
#[tokio::test]
async fn an_event_has_at_most_5000_variables() {
    let world = World::with_detector().await;
    for (count, want) in [
        (5_000, "Variable 'v0'"),
        (5_001, "Member must have length less than or equal to 5000"),
    ] {
        let variables: serde_json::Map<_, _> = (0..count)
            .map(|number| (format!("v{number}"), json!("1")))
            .collect();
        let body = json!({
            "eventId": "1",
            "eventTypeName": "order",
            "eventTimestamp": "2026-06-01T10:15:30Z",
            "eventVariables": variables,
            "entities": [{"entityType": "customer", "entityId": "1"}],
        });
        let response = world.raw("SendEvent", &body.to_string()).await;
        let message = json(&response)["message"].to_string();
        assert!(message.contains(want), "{count}: {message}");
    }
}

/// The service model does not limit the length of the names of variables, but the tables do.
#[tokio::test]
async fn names_that_no_table_can_hold_are_names_that_nothing_has() {
    let world = World::with_detector().await;
    let long = "a".repeat(3_000);
    for name in ["", long.as_str()] {
        let name = json!({ "name": name }).to_string();
        let delete = world.raw("DeleteVariable", &name).await;
        assert_eq!(delete.status(), 200, "{:?}", delete.body());
        let get = world.raw("GetVariables", &name).await;
        assert_eq!(json(&get)["__type"], "ResourceNotFoundException");
    }
    let names = json!({ "names": ["", long, "price", "price"] }).to_string();
    let batch = json(&world.raw("BatchGetVariable", &names).await);
    assert_eq!(batch["variables"].as_array().unwrap().len(), 1, "{batch}");
    assert_eq!(batch["errors"].as_array().unwrap().len(), 2, "{batch}");
}
