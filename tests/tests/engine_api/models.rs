//! Models and their versions: life cycle, version numbers, and dependencies.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::operation::create_model_version::builders::CreateModelVersionFluentBuilder;
use aws_sdk_frauddetector::types::RuleExecutionMode::AllMatched;
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, IngestedEventsDetail, IngestedEventsTimeWindow,
    LabelSchema, ModelTypeEnum, ModelVersion, ModelVersionStatus, Tag, TrainingDataSchema,
    TrainingDataSourceEnum,
};

use crate::world::{World, matches, refusal};

const OFI: ModelTypeEnum = ModelTypeEnum::OnlineFraudInsights;

/// A detector, and the model `scorer` with variables that have variable types.
async fn with_model() -> World {
    let world = World::with_detector().await;
    let client = &world.client;
    for (name, variable_type) in [("price", "PRICE"), ("country", "CATEGORICAL")] {
        let update = client.update_variable().name(name);
        update.variable_type(variable_type).send().await.unwrap();
    }
    model(&world, "scorer").await;
    world
}

async fn model(world: &World, id: &str) {
    let create = world.client.create_model().model_id(id).model_type(OFI);
    create.event_type_name("order").send().await.unwrap();
}

fn schema(variables: &[&str], mapper: &[(&str, &[&str])]) -> TrainingDataSchema {
    let mut labels = LabelSchema::builder();
    for (class, names) in mapper {
        let names = names.iter().map(ToString::to_string).collect();
        labels = labels.label_mapper(*class, names);
    }
    TrainingDataSchema::builder()
        .set_model_variables(Some(variables.iter().map(ToString::to_string).collect()))
        .label_schema(labels.build())
        .build()
        .unwrap()
}

fn window(start: &str, end: &str) -> IngestedEventsDetail {
    let window = IngestedEventsTimeWindow::builder()
        .start_time(start)
        .end_time(end);
    IngestedEventsDetail::builder()
        .ingested_events_time_window(window.build().unwrap())
        .build()
}

const MAPPER: &[(&str, &[&str])] = &[("FRAUD", &["fraud"]), ("LEGIT", &["legit"])];

fn version(world: &World, id: &str) -> CreateModelVersionFluentBuilder {
    let create = world.client.create_model_version().model_id(id);
    create
        .model_type(OFI)
        .training_data_source(TrainingDataSourceEnum::IngestedEvents)
        .training_data_schema(schema(&["price", "country"], MAPPER))
        .ingested_events_detail(window("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"))
}

/// Sets the status as a training does at its end; no operation can do that.
async fn trained(world: &World, id: &str, key: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let sk = format!("ONLINE_FRAUD_INSIGHTS#{id}#{key}");
    let update = world.dynamodb.update_item().table_name("Definitions");
    update
        .key("pk", text("model-version"))
        .key("sk", text(&sk))
        .update_expression("SET #status = :status")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", text("TRAINING_COMPLETE"))
        .condition_expression("attribute_exists(pk)")
        .send()
        .await
        .unwrap();
    let delete = world.dynamodb.delete_item().table_name("Definitions");
    let delete = delete.key("pk", text("training-job")).key("sk", text(&sk));
    delete.send().await.unwrap();
}

async fn set(world: &World, number: &str, status: ModelVersionStatus) -> String {
    let update = world
        .client
        .update_model_version_status()
        .model_id("scorer");
    let update = update.model_type(OFI).model_version_number(number);
    match update.status(status).send().await {
        Ok(_) => status_of(world, number).await,
        error => refusal(error),
    }
}

async fn status_of(world: &World, number: &str) -> String {
    let get = world.client.get_model_version().model_id("scorer");
    let get = get.model_type(OFI).model_version_number(number);
    get.send().await.unwrap().status.unwrap()
}

fn pinned(number: &str) -> ModelVersion {
    ModelVersion::builder()
        .model_id("scorer")
        .model_type(OFI)
        .model_version_number(number)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_model_comes_and_goes_with_the_variable_of_its_score() {
    let world = World::with_detector().await;
    let client = &world.client;
    let create = || client.create_model().model_id("scorer").model_type(OFI);
    assert_eq!(
        refusal(create().event_type_name("nothing").send().await),
        "ValidationException: Event type 'nothing' does not exist."
    );
    let tag = Tag::builder().key("team").value("risk").build().unwrap();
    let created = create().event_type_name("order").tags(tag);
    created.description("first").send().await.unwrap();
    assert_eq!(
        refusal(create().event_type_name("order").send().await),
        "ValidationException: Model 'scorer' already exists."
    );
    let other = create().model_type(ModelTypeEnum::TransactionFraudInsights);
    assert_eq!(
        refusal(other.event_type_name("order").send().await),
        "ValidationException: Model 'scorer' already exists."
    );

    let models = client.get_models().model_id("scorer").send().await.unwrap();
    let found = &models.models()[0];
    assert_eq!(found.event_type_name(), Some("order"));
    assert_eq!(found.description(), Some("first"));
    let arn = found.arn().unwrap();
    assert_eq!(
        arn,
        "arn:aws:frauddetector:us-east-1:123456789012:model/ONLINE_FRAUD_INSIGHTS/scorer"
    );
    let tags = client.list_tags_for_resource().resource_arn(arn);
    assert_eq!(tags.send().await.unwrap().tags()[0].value(), "risk");

    let score = || client.get_variables().name("scorer_insightscore").send();
    let variable = score().await.unwrap().variables.unwrap().remove(0);
    assert_eq!(variable.data_source, Some(DataSource::ModelScore));
    assert_eq!(variable.data_type, Some(DataType::Float));
    let delete = client.delete_variable().name("scorer_insightscore").send();
    assert_eq!(
        refusal(delete.await),
        "ConflictException: Variable 'scorer_insightscore' belongs to a model and goes with it."
    );
    let of_event = client.delete_event_type().name("order").send().await;
    assert!(refusal(of_event).starts_with("ConflictException: "));

    let delete = || client.delete_model().model_id("scorer").model_type(OFI);
    delete().send().await.unwrap();
    delete().send().await.unwrap();
    assert_eq!(
        refusal(score().await),
        "ResourceNotFoundException: Variable 'scorer_insightscore' does not exist."
    );
    let gone = client.get_models().model_id("scorer").send().await;
    assert_eq!(
        refusal(gone),
        "ResourceNotFoundException: Model 'scorer' does not exist."
    );
}

#[tokio::test]
async fn the_variable_of_a_score_may_be_there_before_its_model() {
    let world = World::with_detector().await;
    let client = &world.client;
    let create_variable = async |name: &str, data_type: DataType| {
        let create = client.create_variable().name(name).data_type(data_type);
        let create = create.data_source(DataSource::ModelScore);
        create.default_value("0").description("ours").send().await
    };
    let create_model = async |id: &str| {
        let create = client.create_model().model_id(id).model_type(OFI);
        create.event_type_name("order").send().await
    };
    let describe = async |name: &str| {
        let found = client.get_variables().name(name).send().await.ok()?;
        let variable = &found.variables()[0];
        Some(variable.description().unwrap_or_default().to_owned())
    };
    let delete_variable = async |name: &str| client.delete_variable().name(name).send().await;

    create_variable("scorer_insightscore", DataType::Float)
        .await
        .unwrap();
    world
        .rule("high", "$scorer_insightscore > 900", "block")
        .await;
    create_model("scorer").await.unwrap();
    assert_eq!(
        describe("scorer_insightscore").await.as_deref(),
        Some("ours")
    );
    assert_eq!(
        refusal(delete_variable("scorer_insightscore").await),
        "ConflictException: Variable 'scorer_insightscore' belongs to a model and goes with it."
    );
    let delete_model = client.delete_model().model_id("scorer").model_type(OFI);
    delete_model.send().await.unwrap();
    assert_eq!(describe("scorer_insightscore").await, None);

    // Without a model it is deleted like any other variable.
    for name in ["other_insightscore", "no_score_by_name", "_insightscore"] {
        create_variable(name, DataType::Float).await.unwrap();
        delete_variable(name).await.unwrap();
        assert_eq!(describe(name).await, None, "{name}");
    }
    // A score is a FLOAT, and a variable of events is not one of scores.
    assert_eq!(
        refusal(create_variable("third_insightscore", DataType::Integer).await),
        "ValidationException: Variable 'third_insightscore' with the data source MODEL_SCORE must have the data type FLOAT."
    );
    world
        .variable("third_insightscore", DataType::Float, "0")
        .await;
    assert_eq!(
        refusal(create_model("third").await),
        "ValidationException: Variable 'third_insightscore' already exists."
    );
}

#[tokio::test]
async fn models_are_listed_by_type_and_page() {
    let world = World::with_detector().await;
    for id in ["a", "b", "c"] {
        model(&world, id).await;
    }
    let create = world.client.create_model().model_id("t");
    let create = create.model_type(ModelTypeEnum::TransactionFraudInsights);
    create.event_type_name("order").send().await.unwrap();
    let ids = |models: &[aws_sdk_frauddetector::types::Model]| {
        let ids = models.iter().map(|model| model.model_id().unwrap());
        ids.collect::<Vec<_>>().join(" ")
    };
    let get = || world.client.get_models();
    let first = get().max_results(2).send().await.unwrap();
    assert_eq!(ids(first.models()), "a b");
    let rest = get().set_next_token(first.next_token).max_results(2);
    let rest = rest.send().await.unwrap();
    assert_eq!(
        (ids(rest.models()).as_str(), rest.next_token()),
        ("c t", None)
    );
    let ofi = get().model_type(OFI).send().await.unwrap();
    assert_eq!(ids(ofi.models()), "a b c");
    let wrong = get().model_type(OFI).model_id("t").send().await;
    assert!(refusal(wrong).starts_with("ResourceNotFoundException: "));
}

#[tokio::test]
async fn what_a_version_learns_from_is_checked() {
    let world = with_model().await;
    let with = |variables: &[&str], mapper| {
        version(&world, "scorer").training_data_schema(schema(variables, mapper))
    };
    let cases = [
        (
            with(&["price", "EVENT_TIMESTAMP"], MAPPER),
            "ResourceNotFoundException: VariableIds: [EVENT_TIMESTAMP] do not exist.",
        ),
        (
            with(&["price", "scorer_insightscore"], MAPPER),
            "ValidationException: Variables [scorer_insightscore] are not included in event type 'order'.",
        ),
        (
            with(&["price", "items"], MAPPER),
            "ValidationException: Variables [items] have no variable type: a model learns only from variables \
             that have one.",
        ),
        (
            with(&["price"], MAPPER),
            "ValidationException: A model learns from 2 to 100 variables, not from 1.",
        ),
        (
            with(&["price", "country"], &[("FRAUD", &["fraud"])]),
            "ValidationException: The labelMapper needs at least one label for LEGIT.",
        ),
        (
            with(
                &["price", "country"],
                &[("FRAUD", &["fraud"]), ("LEGIT", &["fine"])],
            ),
            "ValidationException: Labels [fine] are not included in event type 'order'.",
        ),
        (
            version(&world, "scorer").training_data_source(TrainingDataSourceEnum::ExternalEvents),
            "ValidationException: The trainingDataSource EXTERNAL_EVENTS needs an externalEventsDetail.",
        ),
        (
            version(&world, "scorer")
                .ingested_events_detail(window("2026-06-01T00:00:00Z", "2026-01-01T00:00:00Z")),
            "ValidationException: The startTime of ingestedEventsTimeWindow is not before its endTime.",
        ),
        (
            version(&world, "nothing"),
            "ResourceNotFoundException: Model 'nothing' does not exist.",
        ),
    ];
    for (request, want) in cases {
        assert_eq!(refusal(request.send().await), want);
    }
}

#[tokio::test]
async fn numbers_and_statuses() {
    let world = with_model().await;
    let client = &world.client;
    let created = version(&world, "scorer").send().await.unwrap();
    assert_eq!(created.model_version_number(), Some("1.0"));
    assert_eq!(created.status(), Some("TRAINING_IN_PROGRESS"));
    assert_eq!(
        refusal(version(&world, "scorer").send().await),
        "ValidationException: Simultaneous training for the same major version not allowed."
    );
    assert_eq!(
        set(&world, "1.0", ModelVersionStatus::Active).await,
        "ValidationException: A model version cannot go from status TRAINING_IN_PROGRESS to ACTIVE."
    );
    let cancelled = set(&world, "1.0", ModelVersionStatus::TrainingCancelled).await;
    assert_eq!(cancelled, "TRAINING_CANCELLED");

    let again = |major: &str| {
        let update = client
            .update_model_version()
            .model_id("scorer")
            .model_type(OFI);
        update
            .major_version_number(major)
            .ingested_events_detail(window("2026-02-01T00:00:00Z", "2026-06-01T00:00:00Z"))
    };
    let minor = again("1").send().await.unwrap();
    assert_eq!(minor.model_version_number(), Some("1.01"));
    trained(&world, "scorer", "00001.01").await;
    assert_eq!(
        refusal(again("2").send().await),
        "ResourceNotFoundException: Major version 2 of model 'scorer' does not exist."
    );
    let second = version(&world, "scorer").send().await.unwrap();
    assert_eq!(second.model_version_number(), Some("2.0"));

    assert_eq!(
        set(&world, "1.01", ModelVersionStatus::Active).await,
        "ACTIVE"
    );
    let delete = |number: &str| {
        let delete = client.delete_model_version().model_id("scorer");
        delete.model_type(OFI).model_version_number(number)
    };
    assert_eq!(
        refusal(delete("1.01").send().await),
        "ConflictException: Version 1.01 of model 'scorer' is ACTIVE."
    );
    // As at Amazon, a deactivated version has the same status as after its training.
    let stopped = set(&world, "1.01", ModelVersionStatus::Inactive).await;
    assert_eq!(stopped, "TRAINING_COMPLETE");
    assert_eq!(
        refusal(delete("2.0").send().await),
        "ConflictException: Version 2.0 of model 'scorer' is TRAINING_IN_PROGRESS."
    );
    delete("1.01").send().await.unwrap();
    delete("1.01").send().await.unwrap();

    let details = client.describe_model_versions().model_id("scorer");
    let details = details.send().await.unwrap();
    let numbers: Vec<_> = details
        .model_version_details()
        .iter()
        .map(|detail| {
            (
                detail.model_version_number().unwrap(),
                detail.status().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        numbers,
        [
            ("1.0", "TRAINING_CANCELLED"),
            ("2.0", "TRAINING_IN_PROGRESS")
        ]
    );
    let detail = &details.model_version_details()[1];
    assert_eq!(
        detail.arn(),
        Some(
            "arn:aws:frauddetector:us-east-1:123456789012:model-version/ONLINE_FRAUD_INSIGHTS/scorer/2.0"
        )
    );
    let model = client.delete_model().model_id("scorer").model_type(OFI);
    assert_eq!(
        refusal(model.send().await),
        "ConflictException: Model 'scorer' still has versions."
    );
}

#[tokio::test]
async fn two_writers_never_give_out_one_number_twice() {
    let world = with_model().await;
    for id in ["second", "third"] {
        model(&world, id).await;
    }
    let (one, two) = (world.another(), world.another());
    let ask = |client: &aws_sdk_frauddetector::Client, id: &str| {
        let from = version(&world, id);
        let create = client.create_model_version().model_id(id).model_type(OFI);
        create
            .set_training_data_source(from.get_training_data_source().clone())
            .set_training_data_schema(from.get_training_data_schema().clone())
            .set_ingested_events_detail(from.get_ingested_events_detail().clone())
            .send()
    };
    let (a, b) = tokio::join!(ask(&one, "scorer"), ask(&two, "scorer"));
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1);
    // The account allows three trainings at the same time.
    let (a, b) = tokio::join!(ask(&one, "second"), ask(&two, "third"));
    assert!(a.is_ok() && b.is_ok());
    model(&world, "fourth").await;
    assert_eq!(
        refusal(ask(&one, "fourth").await),
        "ValidationException: At most 3 model versions may be in training at once."
    );
}

#[tokio::test]
async fn a_detector_version_pins_model_versions() {
    let world = with_model().await;
    let client = &world.client;
    version(&world, "scorer").send().await.unwrap();
    let risky = world
        .rule("risky", "$scorer_insightscore > 900", "block")
        .await;
    let rest = world.rule("rest", "$price >= 0", "approve").await;
    let create = |model: Option<ModelVersion>| {
        let create = client.create_detector_version().detector_id("orders");
        create
            .rules(risky.clone())
            .rules(rest.clone())
            .rule_execution_mode(AllMatched)
            .set_model_versions(model.map(|model| vec![model]))
    };
    let without = refusal(create(None).send().await);
    assert!(
        without.starts_with("ValidationException: Version 1 of rule 'risky' uses a variable"),
        "{without}"
    );
    assert_eq!(
        refusal(create(Some(pinned("3.0"))).send().await),
        "ResourceNotFoundException: Version 3.0 of model 'scorer' does not exist."
    );
    assert_eq!(
        refusal(create(Some(pinned("1.0"))).send().await),
        "ValidationException: Version 1.0 of model 'scorer' is TRAINING_IN_PROGRESS: only one that is ACTIVE can be used."
    );
    trained(&world, "scorer", "00001.00").await;
    set(&world, "1.0", ModelVersionStatus::Active).await;
    let twice = create(Some(pinned("1.0"))).model_versions(pinned("1.0"));
    assert_eq!(
        refusal(twice.send().await),
        "ValidationException: Model 'scorer' is in the version twice."
    );
    let made = create(Some(pinned("1.00"))).send().await.unwrap();
    let id = made.detector_version_id.unwrap();
    let get = client.get_detector_version().detector_id("orders");
    let got = get.detector_version_id(&id).send().await.unwrap();
    assert_eq!(got.model_versions()[0].model_version_number(), "1.0");
    world.status(&id, DetectorVersionStatus::Active).await;

    assert_eq!(
        set(&world, "1.0", ModelVersionStatus::Inactive).await,
        "ConflictException: Version 1.0 of model 'scorer' is used by version 1 of detector 'orders'."
    );
    // The event type may change while a rule reads a score.
    world.variable("more", DataType::String, "").await;
    let put = client
        .put_event_type()
        .name("order")
        .entity_types("customer");
    let put = put.event_variables("price").event_variables("more");
    put.send().await.unwrap();
    // If a score could not be computed, its rule is undetermined, and the other rules are evaluated.
    let output = world.predict("1", &[("price", "5")]).await;
    assert_eq!(matches(&output), "rest: approve");
    assert!(output.model_scores().is_empty());
}

#[tokio::test]
async fn a_rule_may_not_speak_of_a_score_that_no_model_has() {
    let world = with_model().await;
    world
        .rule("risky", "$scorer_insightscore > 900", "block")
        .await;
    let create = world
        .client
        .create_rule()
        .detector_id("orders")
        .rule_id("r");
    let create = create
        .expression("$other_insightscore > 900")
        .outcomes("block");
    let create = create.language(aws_sdk_frauddetector::types::Language::Detectorpl);
    let refused = refusal(create.send().await);
    assert!(
        refused.contains("there is no variable `$other_insightscore`"),
        "{refused}"
    );
    let event = world
        .event("1", &[("scorer_insightscore", "1000")])
        .send()
        .await;
    assert_eq!(
        refusal(event),
        "ValidationException: Variable 'scorer_insightscore' is not included in event type 'order'."
    );
}

#[tokio::test]
async fn the_encryption_key() {
    let world = World::new().await;
    let client = &world.client;
    let get = || client.get_kms_encryption_key().send();
    assert_eq!(
        refusal(get().await),
        "ResourceNotFoundException: No encryption key has been put."
    );
    let put = |arn: &str| {
        client
            .put_kms_encryption_key()
            .kms_encryption_key_arn(arn)
            .send()
    };
    let arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    put(arn).await.unwrap();
    let key = get().await.unwrap().kms_key.unwrap();
    assert_eq!(key.kms_encryption_key_arn(), Some(arn));
    assert_eq!(
        refusal(put(&arn.replace("us-east-1", "eu-west-1")).await),
        "ValidationException: The key must be in region us-east-1."
    );
    put("DEFAULT").await.unwrap();
    assert!(get().await.is_err());
}
