//! External models: their records, and predictions that call a SageMaker endpoint over HTTP.

use std::sync::{Arc, Mutex};

use aws_sdk_frauddetector::operation::put_external_model::builders::PutExternalModelFluentBuilder;
use aws_sdk_frauddetector::primitives::Blob;
use aws_sdk_frauddetector::types::RuleExecutionMode::AllMatched;
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, ModelEndpointDataBlob, ModelEndpointStatus,
    ModelInputConfiguration, ModelInputDataFormat, ModelOutputConfiguration, ModelOutputDataFormat,
    ModelSource, Rule,
};
use bytes::Bytes;
use local_aws::clients;
use local_aws::serve::{self, Services};
use local_aws::service::Service;
use serde_json::json;

use crate::world::{EVENT_TIME, World, json, matches, refusal};

const ROLE: &str = "arn:aws:iam::123456789012:role/sagemaker";

/// A fake SageMaker: answers for every endpoint with the same status and body, and keeps the last request.
#[derive(Clone, Default)]
struct Endpoint {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    fn says(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    /// `path content-type accept body` of the last request.
    fn asked(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }

    fn answer(&self, request: &http::Request<Bytes>) -> http::Response<Bytes> {
        let header = |name: &str| {
            let value = request.headers().get(name);
            value
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        self.asked.lock().unwrap().push(format!(
            "{} {} {} {}",
            request.uri().path(),
            header("content-type"),
            header("accept"),
            String::from_utf8_lossy(request.body())
        ));
        let (status, body) = self.answer.lock().unwrap().clone();
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
    }

    /// Listens on loopback for as long as the test runs; returns the address.
    async fn listen(&self) -> String {
        let this = self.clone();
        let service = Service::new(move |request| {
            let this = this.clone();
            async move { this.answer(&request) }
        });
        let services = Services {
            frauddetector: service.clone(),
            dynamodb: service.clone(),
            s3: service.clone(),
            eventbridge: service,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = std::future::pending();
        tokio::spawn(serve::serve_connections(
            listener,
            services,
            serve::ServeOptions::default(),
            stop,
        ));
        format!("http://{address}")
    }
}

struct Setting {
    world: World,
    endpoint: Endpoint,
}

/// Creates a detector, the variables `score` and `class` of external models, and an endpoint.
async fn setting() -> Setting {
    let endpoint = Endpoint::default();
    let url = endpoint.listen().await;
    let sagemaker = clients::connect_sagemaker("us-east-1", Some(&url)).await;
    let world = World::built(|_| {}, |engine| engine.with_sagemaker(sagemaker)).await;
    world.detector().await;
    for (name, data_type, default) in [
        ("score", DataType::Float, "0.0"),
        ("class", DataType::String, ""),
    ] {
        let create = world
            .client
            .create_variable()
            .name(name)
            .data_type(data_type);
        let create = create.data_source(DataSource::ExternalModelScore);
        create.default_value(default).send().await.unwrap();
    }
    Setting { world, endpoint }
}

fn csv_input(template: &str) -> ModelInputConfiguration {
    ModelInputConfiguration::builder()
        .event_type_name("order")
        .format(ModelInputDataFormat::Csv)
        .use_event_variables(true)
        .csv_input_template(template)
        .build()
        .unwrap()
}

fn csv_output(map: &[(&str, &str)]) -> ModelOutputConfiguration {
    let mut output = ModelOutputConfiguration::builder().format(ModelOutputDataFormat::Csv);
    for (index, variable) in map {
        output = output.csv_index_to_variable_map(*index, *variable);
    }
    output.build().unwrap()
}

fn put(world: &World) -> PutExternalModelFluentBuilder {
    world
        .client
        .put_external_model()
        .model_endpoint("xgb-V1")
        .model_source(ModelSource::Sagemaker)
        .invoke_model_endpoint_role_arn(ROLE)
        .input_configuration(csv_input("{{price}},{{country}},{{items}}"))
        .output_configuration(csv_output(&[("0", "score")]))
        .model_endpoint_status(ModelEndpointStatus::Associated)
}

async fn deciding(world: &World, rules: &[(&str, &str)]) -> String {
    let mut references: Vec<Rule> = Vec::new();
    for (id, expression) in rules {
        references.push(world.rule(id, expression, "review").await);
    }
    let create = world.client.create_detector_version().detector_id("orders");
    let create = create
        .set_rules(Some(references))
        .rule_execution_mode(AllMatched);
    let created = create
        .external_model_endpoints("xgb-V1")
        .send()
        .await
        .unwrap();
    let version = created.detector_version_id.unwrap();
    world.status(&version, DetectorVersionStatus::Active).await;
    version
}

#[tokio::test]
async fn the_records() {
    let Setting { world, .. } = setting().await;
    let client = &world.client;
    let cases = [
        (
            put(&world).invoke_model_endpoint_role_arn("arn:aws:iam::999999999999:role/other"),
            "AccessDeniedException: The role of invokeModelEndpointRoleArn must be one of account 123456789012.",
        ),
        (
            put(&world).invoke_model_endpoint_role_arn("me"),
            "ValidationException: The invokeModelEndpointRoleArn is not the ARN of a role.",
        ),
        (
            put(&world).input_configuration(csv_input("{{price}},{{nothing}}")),
            "ValidationException: The template names variables [nothing] that are not included in event type 'order'.",
        ),
        (
            put(&world).output_configuration(csv_output(&[("0", "price")])),
            "ValidationException: Variable 'price' must have the data source EXTERNAL_MODEL_SCORE to hold a model's answer.",
        ),
        (
            put(&world).output_configuration(csv_output(&[("first", "score")])),
            "ValidationException: The csvIndexToVariableMap maps the index of a column, which counts from 0, not 'first'.",
        ),
        (
            put(&world).output_configuration(csv_output(&[])),
            "ValidationException: The format of the outputConfiguration needs a csvIndexToVariableMap.",
        ),
    ];
    for (request, want) in cases {
        assert_eq!(refusal(request.send().await), want);
    }
    let unknown = client
        .get_external_models()
        .model_endpoint("xgb-V1")
        .send()
        .await;
    assert_eq!(
        refusal(unknown),
        "ResourceNotFoundException: External model 'xgb-V1' does not exist."
    );
    put(&world).send().await.unwrap();
    put(&world).send().await.unwrap();
    let got = client.get_external_models().send().await.unwrap();
    let [model] = got.external_models() else {
        panic!("{got:?}")
    };
    assert_eq!(
        model.arn(),
        Some("arn:aws:frauddetector:us-east-1:123456789012:external-model/xgb-V1")
    );
    let input = model.input_configuration().unwrap();
    assert_eq!(
        input.csv_input_template(),
        Some("{{price}},{{country}},{{items}}")
    );
    let variable = client.delete_variable().name("score").send().await;
    assert_eq!(
        refusal(variable),
        "ConflictException: Variable 'score' holds the answer of external model 'xgb-V1'."
    );

    let dissociated = put(&world).model_endpoint_status(ModelEndpointStatus::Dissociated);
    dissociated.send().await.unwrap();
    let rule = world.rule("r", "$score > 0.9", "review").await;
    let create = || {
        let create = client.create_detector_version().detector_id("orders");
        create
            .rules(rule.clone())
            .external_model_endpoints("xgb-V1")
    };
    assert_eq!(
        refusal(create().send().await),
        "ValidationException: External model 'xgb-V1' is DISSOCIATED: only one that is ASSOCIATED can be used."
    );
    put(&world).send().await.unwrap();
    create().send().await.unwrap();
    let used =
        "ConflictException: External model 'xgb-V1' is used by version 1 of detector 'orders'.";
    let dissociated = put(&world).model_endpoint_status(ModelEndpointStatus::Dissociated);
    assert_eq!(refusal(dissociated.send().await), used);
    let delete = client.delete_external_model().model_endpoint("xgb-V1");
    assert_eq!(refusal(delete.send().await), used);
    // With another variable, the rule would lose the one that it reads.
    let other = put(&world).output_configuration(csv_output(&[("0", "class")]));
    assert!(refusal(other.send().await).starts_with("ValidationException: Version 1 of rule 'r'"));
}

#[tokio::test]
async fn csv_there_and_back() {
    let Setting { world, endpoint } = setting().await;
    let output = csv_output(&[("0", "score"), ("1", "class")]);
    put(&world)
        .output_configuration(output)
        .send()
        .await
        .unwrap();
    let rules = [
        ("high", "$score > 0.9"),
        ("bad", "$class == \"bad\""),
        ("none", "$score == null"),
    ];
    let version = deciding(&world, &rules).await;
    endpoint.says(200, "0.97,bad\n");
    let output = world
        .predict("1", &[("price", "12.5"), ("country", "a \"b\", c")])
        .await;
    assert_eq!(matches(&output), "high: review, bad: review");
    assert_eq!(
        endpoint.asked(),
        "/endpoints/xgb-V1/invocations text/csv text/csv 12.5,\"a \"\"b\"\", c\",1"
    );
    let [answer] = output.external_model_outputs() else {
        panic!("{output:?}")
    };
    let model = answer.external_model().unwrap();
    assert_eq!(model.model_endpoint(), Some("xgb-V1"));
    assert_eq!(model.model_source(), Some(&ModelSource::Sagemaker));
    let outputs = answer.outputs().unwrap();
    assert_eq!(
        (outputs["score"].as_str(), outputs["class"].as_str()),
        ("0.97", "bad\n")
    );

    // A text that is not a number: the raw cell is returned, and the rule gets null.
    endpoint.says(200, "n/a,ok");
    let output = world.predict("2", &[("price", "1")]).await;
    assert_eq!(matches(&output), "none: review");

    let predictions = world.client.list_event_predictions().send().await.unwrap();
    let first = predictions
        .event_prediction_summaries()
        .iter()
        .find(|summary| summary.event_id() == Some("1"))
        .unwrap();
    let metadata = world.client.get_event_prediction_metadata();
    let metadata = metadata
        .event_id("1")
        .event_type_name("order")
        .detector_id("orders")
        .detector_version_id(version)
        .prediction_timestamp(first.prediction_timestamp().unwrap())
        .send()
        .await
        .unwrap();
    let [evaluated] = metadata.evaluated_external_models() else {
        panic!("{metadata:?}")
    };
    assert_eq!(evaluated.use_event_variables(), Some(true));
    assert_eq!(evaluated.input_variables().unwrap()["items"], "1");
    assert_eq!(evaluated.output_variables().unwrap()["score"], "0.97");
    assert_eq!(
        metadata.rules()[0].expression_with_values(),
        Some("0.97 > 0.9")
    );
}

#[tokio::test]
async fn json_there_and_back() {
    let Setting { world, endpoint } = setting().await;
    let input = ModelInputConfiguration::builder()
        .event_type_name("order")
        .format(ModelInputDataFormat::Json)
        .use_event_variables(true)
        .json_input_template(r#"{"n":[{{price}},{{items}}],"c":"{{country}}","m":{{member}}}"#);
    let output = ModelOutputConfiguration::builder()
        .format(ModelOutputDataFormat::Jsonlines)
        .json_key_to_variable_map("probability", "score")
        .json_key_to_variable_map("label", "class");
    put(&world)
        .input_configuration(input.build().unwrap())
        .output_configuration(output.build().unwrap())
        .send()
        .await
        .unwrap();
    deciding(&world, &[("high", "$score > 0.9 and $class == \"bad\"")]).await;
    endpoint.says(200, "{\"probability\": 0.97, \"label\": \"bad\"}\n");
    // An absent variable has its default; an explicit null stays null.
    let body = json!({
        "detectorId": "orders", "eventId": "2", "eventTypeName": "order", "eventTimestamp": EVENT_TIME,
        "entities": [{"entityType": "customer", "entityId": "unknown"}],
        "eventVariables": {"items": null, "country": "D\"E"},
    });
    let response = world.raw("GetEventPrediction", &body.to_string()).await;
    assert_eq!(json(&response)["ruleResults"][0]["ruleId"], "high");
    assert_eq!(
        json(&response)["externalModelOutputs"],
        json!([{
            "externalModel": {"modelEndpoint": "xgb-V1", "modelSource": "SAGEMAKER"},
            "outputs": {"class": "bad", "score": "0.97"},
        }])
    );
    assert_eq!(
        endpoint.asked(),
        r#"/endpoints/xgb-V1/invocations application/json application/jsonlines {"n":[0.0,null],"c":"D\"E","m":false}"#
    );
}

#[tokio::test]
async fn bytes_are_passed_through() {
    let Setting { world, endpoint } = setting().await;
    let input = ModelInputConfiguration::builder().use_event_variables(false);
    put(&world)
        .input_configuration(input.build().unwrap())
        .send()
        .await
        .unwrap();
    deciding(&world, &[("high", "$score > 0.9")]).await;
    endpoint.says(200, "0.91");
    let prediction = || world.prediction("1", &[("price", "1")]);
    assert_eq!(
        refusal(prediction().send().await),
        "ValidationException: External model 'xgb-V1' needs its bytes in externalModelEndpointDataBlobs."
    );
    let blob = ModelEndpointDataBlob::builder()
        .byte_buffer(Blob::new("\u{1}picture"))
        .content_type("image/png");
    let output = prediction().external_model_endpoint_data_blobs("xgb-V1", blob.build());
    assert_eq!(matches(&output.send().await.unwrap()), "high: review");
    assert_eq!(
        endpoint.asked(),
        "/endpoints/xgb-V1/invocations image/png text/csv \u{1}picture"
    );
}

#[tokio::test]
async fn an_endpoint_that_fails_makes_the_prediction_unavailable() {
    let Setting { world, endpoint } = setting().await;
    put(&world).send().await.unwrap();
    deciding(&world, &[("high", "$score > 0.9")]).await;
    let ask = || world.prediction("1", &[("price", "1")]).send();
    let of_the_model = |status: u16| {
        let body = json!({"__type": "ModelError", "OriginalStatusCode": status, "OriginalMessage": "secret"});
        (424, body.to_string())
    };
    let refused = |code: &str| {
        (
            400,
            json!({"__type": code, "message": "secret"}).to_string(),
        )
    };
    for (status, body) in [
        (
            424,
            r#"{"message":"the model said: secret value"}"#.to_owned(),
        ),
        of_the_model(500),
        of_the_model(503),
        // Neither status says that the input is invalid.
        of_the_model(408),
        of_the_model(429),
        // The error for an endpoint that does not exist.
        refused("ValidationError"),
        refused("AccessDeniedException"),
        refused("ThrottlingException"),
        (500, r#"{"__type":"InternalFailure"}"#.to_owned()),
    ] {
        endpoint.says(status, &body);
        let refused = refusal(ask().await);
        assert!(
            refused.starts_with(
                "ResourceUnavailableException: External model 'xgb-V1' could not be asked"
            ),
            "{status} {body}: {refused}"
        );
        assert!(!refused.contains("secret"), "{refused}");
    }
    // There was no decision, so nothing is stored.
    let predictions = world.client.list_event_predictions().send().await.unwrap();
    assert!(predictions.event_prediction_summaries().is_empty());
    let without = World::with_detector().await;
    let create = without.client.create_variable().name("score");
    let create = create.data_type(DataType::Float).default_value("0.0");
    let create = create.data_source(DataSource::ExternalModelScore);
    create.send().await.unwrap();
    put(&without).send().await.unwrap();
    deciding(&without, &[("high", "$score > 0.9")]).await;
    let refused = refusal(without.prediction("1", &[("price", "1")]).send().await);
    assert!(
        refused.starts_with("ResourceUnavailableException: "),
        "{refused}"
    );
}

#[tokio::test]
async fn a_change_of_an_external_model_is_followed() {
    let Setting { world, endpoint } = setting().await;
    put(&world).send().await.unwrap();
    deciding(&world, &[("high", "$score > 0.9")]).await;
    endpoint.says(200, "0.1,0.95");
    assert_eq!(matches(&world.predict("1", &[("price", "1")]).await), "");
    let output = csv_output(&[("1", "score")]);
    put(&world)
        .output_configuration(output)
        .send()
        .await
        .unwrap();
    assert_eq!(
        matches(&world.predict("2", &[("price", "1")]).await),
        "high: review"
    );
}

/// The model cannot score one event. The prediction continues without it and reports that, whether a rule needs the
/// score or not.
#[tokio::test]
async fn a_model_that_cannot_judge_an_event_leaves_it_undetermined() {
    let Setting { world, endpoint } = setting().await;
    put(&world).send().await.unwrap();
    deciding(
        &world,
        &[
            ("high", "$score > 0.9"),
            ("large", "$price > 100"),
            ("unscored", "$score == null"),
        ],
    )
    .await;
    let refused = |status: u16| {
        json!({"__type": "ModelError", "OriginalStatusCode": status, "OriginalMessage": "secret"})
            .to_string()
    };
    for (number, (status, body)) in [
        (424, refused(400)),
        (424, refused(415)),
        (424, refused(422)),
        (424, refused(499)),
        // An answer that cannot be read.
        (200, String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        endpoint.says(status, &body);
        let request = json!({
            "detectorId": "orders", "eventId": number.to_string(), "eventTypeName": "order",
            "eventTimestamp": EVENT_TIME, "eventVariables": {"price": "500"},
            "entities": [{"entityType": "customer", "entityId": "unknown"}],
        });
        let response = world.raw("GetEventPrediction", &request.to_string()).await;
        let answer = json(&response);
        let rules = answer["ruleResults"].as_array().unwrap().iter();
        let rules: Vec<_> = rules.map(|rule| rule["ruleId"].as_str().unwrap()).collect();
        assert_eq!(rules, ["large", "unscored"], "{status} {body}");
        assert_eq!(answer["externalModelOutputs"], json!([]));
        let header = response.headers()[engine::PREDICTION_HEADER]
            .to_str()
            .unwrap();
        let header: serde_json::Value = serde_json::from_str(header).unwrap();
        assert_eq!(header["undetermined"], json!(["model:xgb-V1", "high"]));
        assert_eq!(header["unscored"], json!(["xgb-V1"]));
    }
    endpoint.says(200, "0.97");
    let output = world.predict("well", &[("price", "1")]).await;
    assert_eq!(matches(&output), "high: review");
}
