//! Model versions, from their events to a score and its explanation.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::operation::create_model_version::builders::CreateModelVersionFluentBuilder;
use aws_sdk_frauddetector::types::RuleExecutionMode::AllMatched;
use aws_sdk_frauddetector::types::{
    DetectorVersionStatus, ExternalEventsDetail, IngestedEventsDetail, IngestedEventsTimeWindow,
    LabelSchema, ModelTypeEnum, ModelVersion, ModelVersionDetail, ModelVersionStatus, Tag,
    TrainingDataSchema, TrainingDataSourceEnum, UnlabeledEventsTreatment,
};
use engine::{EndedTraining, TrainingRunner};
use tempfile::TempDir;

use crate::world::{World, json, matches, refusal};

const OFI: ModelTypeEnum = ModelTypeEnum::OnlineFraudInsights;
const ROLE: &str = "arn:aws:iam::123456789012:role/training";

/// A world with model `scorer` over `price` and `country`, and a bucket `files`.
struct Shop {
    world: World,
    folder: TempDir,
    s3: aws_sdk_s3::Client,
}

impl Shop {
    async fn new() -> Self {
        let types = [("price", "PRICE"), ("country", "CATEGORICAL")];
        let (world, s3, folder) = World::training(types).await;
        let create = world
            .client
            .create_model()
            .model_id("scorer")
            .model_type(OFI);
        create.event_type_name("order").send().await.unwrap();
        Self { world, folder, s3 }
    }

    fn runner(&self, worker: &str) -> TrainingRunner {
        TrainingRunner::new(Arc::clone(&self.world.engine), self.s3.clone(), worker)
    }

    async fn train(&self) -> EndedTraining {
        self.runner("one").run_one().await.unwrap().unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn version(
        &self,
        treatment: Option<UnlabeledEventsTreatment>,
    ) -> CreateModelVersionFluentBuilder {
        let labels = LabelSchema::builder()
            .label_mapper("FRAUD", vec!["fraud".to_owned()])
            .label_mapper("LEGIT", vec!["legit".to_owned()])
            .set_unlabeled_events_treatment(treatment);
        let schema = TrainingDataSchema::builder()
            .model_variables("price")
            .model_variables("country")
            .label_schema(labels.build());
        let create = self.world.client.create_model_version().model_id("scorer");
        create
            .model_type(OFI)
            .training_data_schema(schema.build().unwrap())
    }

    async fn external(&self, name: &str) {
        let detail = ExternalEventsDetail::builder()
            .data_location(format!("s3://files/{name}"))
            .data_access_role_arn(ROLE);
        let create = self
            .version(None)
            .training_data_source(TrainingDataSourceEnum::ExternalEvents);
        let create = create.external_events_detail(detail.build().unwrap());
        create.send().await.unwrap();
    }

    async fn detail(&self, number: &str) -> ModelVersionDetail {
        let describe = self
            .world
            .client
            .describe_model_versions()
            .model_id("scorer");
        let found = describe.model_version_number(number).send().await.unwrap();
        found.model_version_details.unwrap().remove(0)
    }

    async fn status(&self, number: &str, status: ModelVersionStatus) -> String {
        let update = self
            .world
            .client
            .update_model_version_status()
            .model_id("scorer");
        let update = update.model_type(OFI).model_version_number(number);
        match update.status(status).send().await {
            Ok(_) => self.detail(number).await.status.unwrap(),
            error => refusal(error),
        }
    }

    /// Activates a detector version with this model version and rules over its score.
    async fn deciding(&self, number: &str) -> String {
        let high = self
            .world
            .rule("high", "$scorer_insightscore >= 700", "block")
            .await;
        let low = self
            .world
            .rule("low", "$scorer_insightscore < 700", "approve")
            .await;
        let model = ModelVersion::builder()
            .model_id("scorer")
            .model_type(OFI)
            .model_version_number(number);
        let create = self
            .world
            .client
            .create_detector_version()
            .detector_id("orders");
        let create = create
            .rules(high)
            .rules(low)
            .rule_execution_mode(AllMatched);
        let created = create
            .model_versions(model.build().unwrap())
            .send()
            .await
            .unwrap();
        let version = created.detector_version_id.unwrap();
        self.world
            .status(&version, DetectorVersionStatus::Active)
            .await;
        version
    }
}

/// The price, the country and the label of an order: most expensive orders from FR are fraud.
fn order(number: u32) -> (String, &'static str, &'static str) {
    let random = number.wrapping_mul(2_654_435_761) >> 8;
    let cents = random % 50_000;
    let country = ["US", "DE", "FR"][(random / 50_000 % 3) as usize];
    let risky = cents > 30_000 && country == "FR";
    let luck = random / 150_000 % 10;
    let fraud = if risky {
        luck < 9
    } else {
        luck == 0 && cents.is_multiple_of(7)
    };
    let price = format!("{}.{:02}", cents / 100, cents % 100);
    (price, country, if fraud { "fraud" } else { "legit" })
}

/// A file in Amazon's format.
fn file(rows: u32) -> String {
    let mut text = "price,country,EVENT_TIMESTAMP,EVENT_LABEL\n".to_owned();
    for number in 0..rows {
        let (price, country, label) = order(number);
        let (day, hour) = (1 + number * 28 / rows, number % 24);
        let _ = writeln!(
            text,
            "{price},{country},2026-02-{day:02}T{hour:02}:00:00Z,{label}"
        );
    }
    text
}

/// Checks the result of a training from a file in `DescribeModelVersions`.
fn check_result(detail: &ModelVersionDetail) {
    let result = detail.training_result().unwrap();
    let metrics = result.training_metrics().unwrap();
    assert!(metrics.auc().unwrap() > 0.8, "{metrics:?}");
    let points = metrics.metric_data_points();
    let thresholds = points.iter().map(|point| point.threshold().unwrap());
    assert!(thresholds.eq((0_u16..=200).map(|step| f32::from(5 * step))));
    assert_eq!(points[0].fpr(), Some(1.0));
    let importance = result.variable_importance_metrics().unwrap();
    let names: Vec<_> = importance
        .log_odds_metrics()
        .iter()
        .map(|metric| (metric.variable_name(), metric.variable_type()))
        .collect();
    assert!(names.contains(&("price", "PRICE")), "{names:?}");
    let newer = detail.training_result_v2().unwrap();
    let ofi = newer.training_metrics_v2().unwrap().ofi().unwrap();
    let range = ofi
        .model_performance()
        .unwrap()
        .uncertainty_range()
        .unwrap();
    assert!(range.lower_bound_value() < range.upper_bound_value());
    let messages = result
        .data_validation_metrics()
        .unwrap()
        .file_level_messages();
    assert!(
        messages.iter().any(|m| m.title() == Some("Final labels")),
        "{messages:?}"
    );
}

/// Checks the explanation of event `risky` in `GetEventPredictionMetadata`.
async fn check_explanation(shop: &Shop, version: String, score: f32) {
    let predictions = shop
        .world
        .client
        .list_event_predictions()
        .send()
        .await
        .unwrap();
    let summary = predictions
        .event_prediction_summaries()
        .iter()
        .find(|summary| summary.event_id() == Some("risky"))
        .unwrap();
    let metadata = shop.world.client.get_event_prediction_metadata();
    let metadata = metadata
        .event_id("risky")
        .event_type_name("order")
        .detector_id("orders")
        .detector_version_id(version)
        .prediction_timestamp(summary.prediction_timestamp().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(metadata.evaluated_model_versions().len(), 1);
    let evaluated = &metadata.evaluated_model_versions()[0];
    assert_eq!(evaluated.model_version(), Some("1.0"));
    assert_eq!(evaluated.evaluations().len(), 1);
    let evaluation = &evaluated.evaluations()[0];
    assert_eq!(
        evaluation.output_variable_name(),
        Some("scorer_insightscore")
    );
    assert_eq!(
        evaluation.evaluation_score(),
        Some(format!("{score:?}").as_str())
    );
    let impacts = evaluation
        .prediction_explanations()
        .unwrap()
        .variable_impact_explanations();
    let impact = |name: &str| {
        let found = impacts
            .iter()
            .find(|i| i.event_variable_name() == Some(name))
            .unwrap();
        (
            found.relative_impact().unwrap().parse::<i32>().unwrap(),
            found.log_odds_impact().unwrap(),
        )
    };
    for name in ["price", "country"] {
        let (relative, log_odds) = impact(name);
        assert!((1..=5).contains(&relative) && log_odds > 0.0, "{impacts:?}");
    }
    let rule = &metadata.rules()[0];
    assert_eq!(
        rule.expression_with_values(),
        Some(format!("{score:?} >= 700").as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_to_a_score_and_its_explanation() {
    let shop = Shop::new().await;
    shop.write("orders.csv", &file(3000));
    shop.external("orders.csv").await;
    let waiting = shop.detail("1.0").await;
    assert_eq!(waiting.status(), Some("TRAINING_IN_PROGRESS"));
    let trained = shop.train().await;
    assert_eq!(
        (trained.status.as_str(), trained.reason),
        ("TRAINING_COMPLETE", None)
    );
    assert_eq!(shop.runner("one").run_one().await.unwrap(), None);

    let detail = shop.detail("1.0").await;
    check_result(&detail);

    assert_eq!(
        shop.status("1.0", ModelVersionStatus::Active).await,
        "ACTIVE"
    );
    let version = shop.deciding("1.0").await;
    let risky = [("price", "450.00"), ("country", "FR")];
    let output = shop.world.predict("risky", &risky).await;
    assert_eq!(matches(&output), "high: block");
    let [scores] = output.model_scores() else {
        panic!("{output:?}")
    };
    let of = scores.model_version().unwrap();
    assert_eq!(
        (of.model_id(), of.model_version_number()),
        ("scorer", "1.0")
    );
    let score = scores.scores().unwrap()["scorer_insightscore"];
    assert!(
        (700.0..=1000.0).contains(&score) && score.fract() == 0.0,
        "{score}"
    );
    let plain = [("price", "10.00"), ("country", "US")];
    assert_eq!(
        matches(&shop.world.predict("plain", &plain).await),
        "low: approve"
    );

    check_explanation(&shop, version, score).await;

    // The same events give the same model, but a minor version is another version.
    let again = shop
        .world
        .client
        .update_model_version()
        .model_id("scorer")
        .model_type(OFI);
    let detail = ExternalEventsDetail::builder()
        .data_location("s3://files/orders.csv")
        .data_access_role_arn(ROLE);
    let again = again
        .major_version_number("1")
        .external_events_detail(detail.build().unwrap());
    again.send().await.unwrap();
    assert_eq!(shop.train().await.version, "1.01");
}

/// The rows of `text` from `from` to `to`, with its header.
fn part(text: &str, from: usize, to: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let rows = lines[(1 + from)..=to].iter().map(|row| format!("{row}\n"));
    format!("{}\n{}", lines[0], rows.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_all_files_below_it() {
    let whole = file(1500);
    let shop = Shop::new().await;
    shop.write("orders.csv", &whole);
    for (name, text) in [
        ("orders/day=1/part-00000.csv", part(&whole, 0, 700).as_str()),
        ("orders/part-00001.csv", &part(&whole, 700, 1500)),
        ("orders/_SUCCESS", "done"),
        ("orders/.part-00000.csv.crc", "crc"),
        ("orders/empty.csv", ""),
        ("orders-of-others/part-00000.csv", "a\n1\n"),
        ("nothing/_SUCCESS", "done"),
        ("broken/a.csv", &part(&whole, 0, 10)),
        ("broken/b.csv", "price\n1\n"),
    ] {
        shop.write(name, text);
    }
    let outcome = async |location: &str, number: &str| {
        shop.external(location).await;
        shop.train().await;
        let detail = shop.detail(number).await;
        let result = detail.training_result.unwrap();
        if let Some(metrics) = result.training_metrics {
            return format!("AUC {:?}", metrics.auc);
        }
        let checked = result.data_validation_metrics.unwrap();
        let message = &checked.file_level_messages()[0];
        message.content().unwrap().to_owned()
    };
    let of_file = outcome("orders.csv", "1.0").await;
    assert!(of_file.starts_with("AUC Some(0."), "{of_file}");
    for (number, (location, want)) in [
        ("orders", of_file.as_str()),
        ("orders/", &of_file),
        (
            "nothing",
            "Cannot read s3://files/nothing: NoSuchKey. No folder of this name has files either.",
        ),
        (
            "broken",
            "s3://files/broken/b.csv: The file has no columns [country, EVENT_TIMESTAMP, EVENT_LABEL] in its first row.",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("{}.0", number + 2);
        assert_eq!(outcome(location, &number).await, want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_a_file_are_as_spark_writes_them() {
    let shop = Shop::new().await;
    let text = file(1500);
    let (header, rows) = text.split_once('\n').unwrap();
    let rows = rows.replace('T', " ").replace(":00Z", ":00.0");
    assert!(rows.contains(",2026-02-01 00:00:00.0,"));
    shop.write("spark.csv", &format!("{header}\n{rows}"));
    shop.external("spark.csv").await;
    let trained = shop.train().await;
    assert_eq!(
        (trained.status.as_str(), trained.reason),
        ("TRAINING_COMPLETE", None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_score_leaves_its_rules_undetermined() {
    let shop = Shop::new().await;
    shop.write("orders.csv", &file(1000));
    shop.external("orders.csv").await;
    assert_eq!(shop.train().await.status, "TRAINING_COMPLETE");
    let models = shop.folder.path().join("files/models/scorer");
    let artifact = std::fs::read_dir(&models)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&artifact).unwrap();
    let mut broken = whole.clone();
    broken[100] ^= 1;
    std::fs::write(&artifact, &broken).unwrap();
    let refused = shop.status("1.0", ModelVersionStatus::Active).await;
    assert_eq!(
        refused,
        "ValidationException: Version 1.0 of model 'scorer' cannot become ACTIVE: its artifact is not the one that \
         was trained: the checksum differs."
    );
    std::fs::write(&artifact, &whole).unwrap();
    // Another process has not seen the artifact fail yet; the artifact is damaged again after its activation.
    let activate = shop
        .world
        .another_with(|engine| engine.with_bucket(shop.s3.clone(), "files"));
    let update = activate
        .update_model_version_status()
        .model_id("scorer")
        .model_type(OFI);
    let update = update
        .model_version_number("1.0")
        .status(ModelVersionStatus::Active);
    update.send().await.unwrap();
    shop.deciding("1.0").await;
    std::fs::remove_file(&artifact).unwrap();
    let body = serde_json::json!({
        "detectorId": "orders", "eventId": "1", "eventTypeName": "order", "eventTimestamp": crate::world::EVENT_TIME,
        "entities": [{"entityType": "customer", "entityId": "unknown"}], "eventVariables": {"price": "1"},
    });
    let response = shop
        .world
        .raw("GetEventPrediction", &body.to_string())
        .await;
    assert_eq!(json(&response)["ruleResults"], serde_json::json!([]));
    assert_eq!(json(&response)["modelScores"], serde_json::json!([]));
    let how = response.headers()[engine::PREDICTION_HEADER]
        .to_str()
        .unwrap();
    let how: serde_json::Value = serde_json::from_str(how).unwrap();
    assert_eq!(how["undetermined"], serde_json::json!(["high", "low"]));
    assert_eq!(how["unscored"], serde_json::json!(["scorer"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_file_is_in_the_version() {
    let shop = Shop::new().await;
    let whole = file(400);
    let cut = whole.get(..whole.len() - 30).unwrap();
    let cases = [
        (
            "no.csv",
            None,
            "Cannot read s3://files/no.csv: NoSuchKey. No folder of this name has files either.",
        ),
        (
            "columns.csv",
            Some("price,EVENT_LABEL\n1,fraud\n"),
            "The file has no columns [country, EVENT_TIMESTAMP] in its first row.",
        ),
        (
            "cut.csv",
            Some(cut),
            "Row 400 cannot be read. The row has 2 fields, the header has 4.",
        ),
        (
            "times.csv",
            Some("price,country,EVENT_TIMESTAMP,EVENT_LABEL\n1,US,yesterday,fraud\n"),
            "Your training data set contains EVENT_TIMESTAMP with timestamps that do not conform to accepted formats. \
             Ensure the format is one of the accepted date/timestamp formats.",
        ),
        (
            "few.csv",
            Some("price,country,EVENT_TIMESTAMP,EVENT_LABEL\n1,US,2026-02-01T00:00:00Z,fraud\n"),
            "Less than 100 rows are in the dataset. Ensure there are more than 100 rows in the total dataset and at \
             least 50 rows are labeled as fraudulent.",
        ),
    ];
    for (number, (name, text, want)) in cases.into_iter().enumerate() {
        if let Some(text) = text {
            shop.write(name, text);
        }
        shop.external(name).await;
        let trained = shop.train().await;
        assert_eq!(
            (trained.status.as_str(), trained.reason.as_deref()),
            ("ERROR", Some(want))
        );
        let detail = shop.detail(&format!("{}.0", number + 1)).await;
        assert_eq!(detail.status(), Some("ERROR"));
        let validation = detail
            .training_result()
            .unwrap()
            .data_validation_metrics()
            .unwrap();
        let message = &validation.file_level_messages()[0];
        assert_eq!(
            (message.content(), message.r#type()),
            (Some(want), Some("error"))
        );
    }
    assert_eq!(
        shop.status("1.0", ModelVersionStatus::Active).await,
        "ValidationException: A model version cannot go from status ERROR to ACTIVE."
    );
}

/// Stores orders of February with labels, the last ones without.
async fn store(shop: &Shop, orders: u32, labelled: u32) {
    for number in 0..orders {
        let (price, country, label) = order(number);
        let time = format!(
            "2026-02-{:02}T{:02}:00:00Z",
            1 + number * 28 / orders,
            number % 24
        );
        let variables = [("price", price.as_str()), ("country", country)];
        let send = shop
            .world
            .event(&format!("o-{number}"), &variables)
            .event_timestamp(time);
        let send = if number < labelled {
            send.assigned_label(label)
                .label_timestamp("2026-03-20T00:00:00Z")
        } else {
            send
        };
        send.send().await.unwrap();
    }
}

async fn ingested(shop: &Shop, end: &str) {
    let window = IngestedEventsTimeWindow::builder()
        .start_time("2026-02-01T00:00:00Z")
        .end_time(end);
    let detail =
        IngestedEventsDetail::builder().ingested_events_time_window(window.build().unwrap());
    let create = shop
        .version(Some(UnlabeledEventsTreatment::Ignore))
        .training_data_source(TrainingDataSourceEnum::IngestedEvents);
    let create = create.ingested_events_detail(detail.build());
    create.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_are_learnt_from() {
    let shop = Shop::new().await;
    store(&shop, 1500, 1450).await;
    ingested(&shop, "2026-03-01T00:00:00Z").await;
    let trained = shop.train().await;
    assert_eq!(
        (trained.status.as_str(), trained.reason),
        ("TRAINING_COMPLETE", None)
    );
    let detail = shop.detail("1.0").await;
    let auc = detail
        .training_result()
        .unwrap()
        .training_metrics()
        .unwrap()
        .auc()
        .unwrap();
    assert!(auc > 0.75, "{auc}");
    let set = shop.status("1.0", ModelVersionStatus::Active).await;
    assert_eq!(set, "ACTIVE");
    // A time window without events.
    ingested(&shop, "2026-02-01T00:00:01Z").await;
    let trained = shop.train().await;
    assert_eq!(trained.status, "ERROR");
    let update = shop
        .world
        .client
        .update_model_version_status()
        .model_id("scorer")
        .model_type(OFI);
    let update = update
        .model_version_number("1.0")
        .status(ModelVersionStatus::Inactive);
    update.send().await.unwrap();
    let delete = shop
        .world
        .client
        .delete_model_version()
        .model_id("scorer")
        .model_type(OFI);
    delete.model_version_number("1.0").send().await.unwrap();
    let models = shop.folder.path().join("files/models/scorer");
    let left = std::fs::read_dir(models).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the artifact goes with its version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_was_killed_is_an_error_and_a_cancelled_one_leaves_nothing() {
    let shop = Shop::new().await;
    shop.write("orders.csv", &file(3000));
    shop.external("orders.csv").await;
    // What a killed runner leaves behind: a job with its name and a lease.
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let until = crate::world::START + 60_000;
    let update = shop.world.dynamodb.update_item().table_name("Definitions");
    update
        .key("pk", text("training-job"))
        .key("sk", text("ONLINE_FRAUD_INSIGHTS#scorer#00001.00"))
        .update_expression("SET worker = :worker, leaseUntil = :until")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":worker", text("dead"))
        .expression_attribute_values(":until", AttributeValue::N(until.to_string()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        shop.runner("one").run_one().await.unwrap(),
        None,
        "it may live"
    );
    shop.world.pass(Duration::from_secs(61));
    let ended = shop.train().await;
    assert_eq!(ended.status, "ERROR");
    assert!(
        ended
            .reason
            .unwrap()
            .starts_with("The process that trained this version ended")
    );

    shop.external("orders.csv").await;
    let runner = shop.runner("two");
    let training = tokio::spawn(async move { runner.run_one().await });
    // As soon as the runner has taken the job.
    let content = |detail: &ModelVersionDetail| {
        let result = detail.training_result()?;
        let messages = result.data_validation_metrics()?.file_level_messages();
        messages.first()?.content().map(str::to_owned)
    };
    while !content(&shop.detail("2.0").await).is_some_and(|content| content.contains('%')) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cancelled = shop
        .status("2.0", ModelVersionStatus::TrainingCancelled)
        .await;
    assert_eq!(cancelled, "TRAINING_CANCELLED");
    let trained = training.await.unwrap().unwrap().unwrap();
    assert_eq!(trained.status, "TRAINING_CANCELLED");
    assert_eq!(
        shop.detail("2.0").await.status(),
        Some("TRAINING_CANCELLED")
    );
    let models = shop.folder.path().join("files/models/scorer");
    let left = std::fs::read_dir(models).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no half model");
}

/// The messages about thresholds of rules.
fn thresholds(detail: &ModelVersionDetail) -> Vec<String> {
    let result = detail.training_result().unwrap();
    let messages = result
        .data_validation_metrics()
        .unwrap()
        .file_level_messages();
    messages
        .iter()
        .filter(|message| message.title() == Some("Events above a rule's threshold"))
        .map(|message| message.content().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraining_says_what_it_means_for_the_rules() {
    let shop = Shop::new().await;
    let text = file(1000);
    shop.write("orders.csv", &text);
    shop.external("orders.csv").await;
    shop.train().await;
    assert_eq!(thresholds(&shop.detail("1.0").await), [""; 0]);
    shop.status("1.0", ModelVersionStatus::Active).await;
    shop.deciding("1.0").await;

    // The scores that version 1.0 gives to the newest 15 % of the events.
    let mut rows: Vec<&str> = text.lines().skip(1).collect();
    rows.sort_by_key(|row| row.split(',').nth(2));
    let newest = rows.split_off(rows.len() - 150);
    let mut above = 0;
    for (number, row) in newest.iter().enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        let variables = [("price", cells[0]), ("country", cells[1])];
        let request = shop.world.prediction(&number.to_string(), &variables);
        let output = request.event_timestamp(cells[2]).send().await.unwrap();
        let score = output.model_scores()[0].scores().unwrap()["scorer_insightscore"];
        above += usize::from(score >= 700.0);
    }
    assert!((5..100).contains(&above), "{above}");

    // Later fraud is in all countries, so the new version gives other scores.
    shop.write("later.csv", &text.replace(",FR,", ",GB,"));
    shop.external("orders.csv").await;
    shop.train().await;
    let share = format!(
        "{:.2} %",
        f64::from(u8::try_from(above).unwrap()) * 100.0 / 150.0
    );
    let lines = thresholds(&shop.detail("2.0").await);
    let want = |rule: &str| {
        format!(
            "Score 700 of rule '{rule}' of detector 'orders': {share} of the newest 150 events are at or above it with \
             version 1.0, {share} with this version."
        )
    };
    assert_eq!(
        lines,
        [want("high"), want("low")],
        "the same events, the same model"
    );

    shop.external("later.csv").await;
    shop.train().await;
    let lines = thresholds(&shop.detail("3.0").await);
    let [high, _] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    // Country GB is unknown to version 1.0, the ACTIVE one.
    let (old, new) = high.split_once(" with version 1.0, ").unwrap();
    assert!(!old.contains(&share), "{high}");
    assert!(new.ends_with("with this version."), "{high}");
}

/// Creates a version from a file, with a tag that says whether labels are final or maturing.
async fn tagged(shop: &Shop, labels: &str) -> String {
    let detail = ExternalEventsDetail::builder()
        .data_location("s3://files/orders.csv")
        .data_access_role_arn(ROLE);
    let tag = Tag::builder().key("fraudstream:labels").value(labels);
    let create = shop
        .version(None)
        .training_data_source(TrainingDataSourceEnum::ExternalEvents)
        .external_events_detail(detail.build().unwrap())
        .tags(tag.build().unwrap());
    match create.send().await {
        Ok(_) => {
            let trained = shop.train().await;
            trained.reason.unwrap_or(trained.status)
        }
        error => refusal(error),
    }
}

fn contents(detail: &ModelVersionDetail) -> Vec<&str> {
    let result = detail.training_result().unwrap();
    let validation = result.data_validation_metrics().unwrap();
    let messages = validation.file_level_messages().iter();
    messages.filter_map(|message| message.content()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_says_what_labels_are() {
    const FINAL: &str = "Labels are taken as final, as asked for.";
    let shop = Shop::new().await;
    // The file has a month of events, and by default labels get 45 days to arrive.
    shop.write("orders.csv", &file(1000));
    assert_eq!(
        tagged(&shop, "perhaps").await,
        "ValidationException: The tag 'fraudstream:labels' of a model version says final or maturing."
    );
    let reason = tagged(&shop, "maturing").await;
    assert!(
        reason.starts_with("only 0 fraudulent and 0 legitimate events are old enough"),
        "{reason}"
    );
    assert_eq!(tagged(&shop, "final").await, "TRAINING_COMPLETE");
    assert_eq!(contents(&shop.detail("2.0").await)[0], FINAL);

    // A retraining uses the same settings.
    let detail = ExternalEventsDetail::builder()
        .data_location("s3://files/orders.csv")
        .data_access_role_arn(ROLE);
    let again = shop.world.client.update_model_version().model_id("scorer");
    let again = again
        .model_type(OFI)
        .major_version_number("2")
        .external_events_detail(detail.build().unwrap());
    again.send().await.unwrap();
    assert_eq!(shop.train().await.version, "2.01");
    assert_eq!(contents(&shop.detail("2.01").await)[0], FINAL);

    // The same for stored events.
    store(&shop, 1500, 1500).await;
    let window = IngestedEventsTimeWindow::builder()
        .start_time("2026-02-01T00:00:00Z")
        .end_time("2026-03-01T00:00:00Z");
    let detail =
        IngestedEventsDetail::builder().ingested_events_time_window(window.build().unwrap());
    let tag = Tag::builder().key("fraudstream:labels").value("final");
    let create = shop
        .version(Some(UnlabeledEventsTreatment::Ignore))
        .training_data_source(TrainingDataSourceEnum::IngestedEvents)
        .ingested_events_detail(detail.build())
        .tags(tag.build().unwrap());
    create.send().await.unwrap();
    assert_eq!(shop.train().await.reason, None);
    assert!(contents(&shop.detail("3.0").await).contains(&FINAL));
}
