//! Entity histories: models that use them, and the items that store them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::operation::get_event_prediction_metadata::GetEventPredictionMetadataOutput;
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, Entity, IngestedEventsDetail,
    IngestedEventsTimeWindow, LabelSchema, Language, ModelTypeEnum, ModelVersion,
    ModelVersionStatus, TrainingDataSchema, TrainingDataSourceEnum,
};
use engine::{Subject, TrainingRunner};
use futures::future::join_all;
use model::Attribution;
use model::history::EntityHistory;
use tempfile::TempDir;

use crate::world::World;

const TFI: ModelTypeEnum = ModelTypeEnum::TransactionFraudInsights;
pub(super) const MINUTE: i64 = 60;
pub(super) const DAY: i64 = 86_400;
/// 2026-01-05.
pub(super) const FIRST: i64 = 1_767_571_200;

pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

pub(super) fn entity(id: &str) -> Entity {
    let entity = Entity::builder().entity_type("customer").entity_id(id);
    entity.build().unwrap()
}

async fn send(client: &Client, customer: &str, id: &str, at: i64, label: Option<&str>) {
    let chance: usize = id.bytes().map(|byte| usize::from(byte) * 31 % 17).sum();
    let send = client
        .send_event()
        .event_type_name("order")
        .event_id(id)
        .event_timestamp(time(at))
        .event_variables("price", format!("{}.00", 10 + chance % 20))
        .event_variables("country", ["US", "DE"][chance % 2])
        .entities(entity(customer))
        .set_assigned_label(label.map(str::to_owned))
        .set_label_timestamp(label.map(|_| time(at + DAY)));
    send.send().await.unwrap();
}

/// A model `habits` on stored orders, ready to be trained, in a world with a bucket.
pub(super) struct Shop {
    pub(super) world: World,
    s3: aws_sdk_s3::Client,
    _folder: TempDir,
}

impl Shop {
    async fn new() -> Self {
        Self::with_types([("price", "PRICE"), ("country", "SHIPPING_COUNTRY")]).await
    }

    pub(super) async fn with_types(types: [(&str, &str); 2]) -> Self {
        let (world, s3, folder) = World::training(types).await;
        let create = world.client.create_model().model_id("habits");
        let create = create.model_type(TFI).event_type_name("order");
        create.send().await.unwrap();
        Self {
            world,
            s3,
            _folder: folder,
        }
    }

    pub(super) async fn version(&self) {
        let labels = LabelSchema::builder()
            .label_mapper("FRAUD", vec!["fraud".to_owned()])
            .label_mapper("LEGIT", vec!["legit".to_owned()]);
        let schema = TrainingDataSchema::builder()
            .model_variables("price")
            .model_variables("country")
            .label_schema(labels.build());
        let window = IngestedEventsTimeWindow::builder()
            .start_time(time(FIRST))
            .end_time(time(FIRST + 365 * DAY));
        let events =
            IngestedEventsDetail::builder().ingested_events_time_window(window.build().unwrap());
        let create = self.world.client.create_model_version().model_id("habits");
        let create = create
            .model_type(TFI)
            .training_data_schema(schema.build().unwrap())
            .training_data_source(TrainingDataSourceEnum::IngestedEvents)
            .ingested_events_detail(events.build());
        create.send().await.unwrap();
    }

    /// Trains the waiting version.
    async fn train(&self) {
        let engine = Arc::clone(&self.world.engine);
        let trainings = TrainingRunner::new(engine, self.s3.clone(), "one");
        let trained = trainings.run_one().await.unwrap().unwrap();
        assert_eq!(
            (trained.status.as_str(), trained.reason),
            ("TRAINING_COMPLETE", None)
        );
    }

    /// Trains version 1.0 and activates a detector version with it.
    pub(super) async fn deciding(&self) -> String {
        self.train().await;
        let update = self.world.client.update_model_version_status();
        let update = update.model_id("habits").model_type(TFI);
        let update = update.model_version_number("1.0");
        let update = update.status(ModelVersionStatus::Active);
        update.send().await.unwrap();
        let rule = self
            .world
            .rule("high", "$habits_insightscore >= 900", "block")
            .await;
        let model = ModelVersion::builder().model_id("habits").model_type(TFI);
        let model = model.model_version_number("1.0").build().unwrap();
        let create = self.world.client.create_detector_version();
        let create = create
            .detector_id("orders")
            .rules(rule)
            .model_versions(model);
        let version = create.send().await.unwrap().detector_version_id.unwrap();
        self.world
            .status(&version, DetectorVersionStatus::Active)
            .await;
        version
    }

    async fn score(&self, customer: &str, id: &str, at: i64) -> f32 {
        let predict = self
            .world
            .client
            .get_event_prediction()
            .detector_id("orders");
        let predict = predict
            .event_type_name("order")
            .event_id(id)
            .event_timestamp(time(at))
            .event_variables("price", "20.00")
            .event_variables("country", "US")
            .entities(entity(customer));
        let output = predict.send().await.unwrap();
        output.model_scores()[0].scores().unwrap()["habits_insightscore"]
    }

    pub(super) async fn explained(
        &self,
        version: &str,
        id: &str,
    ) -> GetEventPredictionMetadataOutput {
        let found = self
            .world
            .client
            .list_event_predictions()
            .send()
            .await
            .unwrap();
        let summary = found.event_prediction_summaries().iter();
        let summary = summary
            .into_iter()
            .find(|summary| summary.event_id() == Some(id));
        let metadata = self.world.client.get_event_prediction_metadata();
        metadata
            .event_id(id)
            .event_type_name("order")
            .detector_id("orders")
            .detector_version_id(version)
            .prediction_timestamp(summary.unwrap().prediction_timestamp().unwrap())
            .send()
            .await
            .unwrap()
    }

    /// The stored history of each customer.
    async fn profiles(&self) -> BTreeMap<String, EntityHistory> {
        let scan = self.world.dynamodb.scan();
        let scan = scan.table_name(&self.world.options.events_table);
        let scan = scan.filter_expression("sk = :sk");
        let scan = scan.expression_attribute_values(":sk", AttributeValue::S("habits".to_owned()));
        let pages = scan
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>();
        let profile = |item: std::collections::HashMap<String, AttributeValue>| {
            let (customer, profile) = (item["pk"].as_s().unwrap(), item["profile"].as_s().unwrap());
            let customer = customer.strip_prefix("habits#order#customer#").unwrap();
            (customer.to_owned(), serde_json::from_str(profile).unwrap())
        };
        pages.await.unwrap().into_iter().map(profile).collect()
    }
}

/// Stores orders that look alike, by `send`, which gets the number of a subject and of its order, the time and the label.
/// Every second subject orders five times within minutes, and all but the first are fraud; the others come back after
/// weeks.
pub(super) async fn store_bursts(subjects: i64, send: impl AsyncFn(i64, i64, i64, &'static str)) {
    for subject in 0..subjects {
        let begin = FIRST + subject * 7_919 * 37 % (120 * DAY);
        let (orders, gap) = if subject % 2 == 0 {
            (5, 3 * MINUTE)
        } else {
            (2, 25 * DAY)
        };
        for order in 0..orders {
            let label = if subject % 2 == 0 && order > 0 {
                "fraud"
            } else {
                "legit"
            };
            send(subject, order, begin + order * gap, label).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_learns_what_customers_did_before() {
    let shop = Shop::new().await;
    let client = &shop.world.client;
    store_bursts(260, async |customer, order, at, label| {
        let id = format!("{customer}-{order}");
        send(client, &format!("c{customer}"), &id, at, Some(label)).await;
    })
    .await;
    assert!(shop.profiles().await.is_empty(), "nobody asks yet");
    shop.version().await;
    let version = shop.deciding().await;
    // Events that were stored before the first model are filled in.
    let profiles = shop.profiles().await;
    assert_eq!(profiles.len(), 260);
    assert_eq!(
        (profiles["c0"].event_count(), profiles["c1"].event_count()),
        (5, 2)
    );

    let now = FIRST + 200 * DAY;
    let new = shop.score("somebody", "new-1", now).await;
    for order in 0..3 {
        send(
            client,
            "busy",
            &format!("busy-{order}"),
            now - (4 - order) * 3 * MINUTE,
            None,
        )
        .await;
    }
    let busy = shop.score("busy", "busy-now", now).await;
    assert!(busy > new + 300.0, "{busy} is not much more than {new}");
    // The prediction's event is also part of the customer's history, and the same event counts once.
    assert_eq!(shop.profiles().await["busy"].event_count(), 4);
    assert!((shop.score("busy", "busy-now", now).await - busy).abs() < f32::EPSILON);
    assert_eq!(shop.profiles().await["busy"].event_count(), 4);
    // The unknown entity has no history.
    shop.score("unknown", "guest", now).await;
    assert!(!shop.profiles().await.contains_key("unknown"));

    let metadata = shop.explained(&version, "busy-now").await;
    let evaluation = &metadata.evaluated_model_versions()[0].evaluations()[0];
    let explanations = evaluation.prediction_explanations().unwrap();
    let most = explanations
        .aggregated_variables_impact_explanations()
        .iter();
    let most = most.max_by(|a, b| {
        a.log_odds_impact()
            .partial_cmp(&b.log_odds_impact())
            .unwrap()
    });
    let most = most.unwrap();
    assert_eq!(most.event_variable_names(), ["customer"]);
    assert_eq!(most.relative_impact(), Some("5"));
    let describe = client
        .describe_model_versions()
        .model_id("habits")
        .send()
        .await
        .unwrap();
    let result = describe.model_version_details()[0]
        .training_result_v2()
        .unwrap();
    assert!(result.training_metrics_v2().unwrap().tfi().is_some());
    let importance = result.aggregated_variables_importance_metrics().unwrap();
    let first = &importance.log_odds_metrics()[0];
    assert!(
        first.aggregated_variables_importance() > 0.5,
        "{importance:?}"
    );

    // A label is added to the history, and the history is deleted with its customer.
    let label = client
        .update_event_label()
        .event_type_name("order")
        .event_id("busy-now");
    let label = label
        .assigned_label("fraud")
        .label_timestamp(time(now + DAY));
    label.send().await.unwrap();
    let features = |profile: &EntityHistory| {
        let tracked = model::history::TrackedFields::default();
        let event = tracked.build_event("next", now + 2 * DAY, &[], |_| None);
        let names = tracked.features();
        let bad = names
            .iter()
            .position(|feature| feature.name == "bad")
            .unwrap();
        profile.features(&event.event)[bad]
    };
    let profiles = shop.profiles().await;
    assert!((features(&profiles["busy"]) - 1.0).abs() < f32::EPSILON);
    let subject = Subject::Entity {
        entity_type: "customer".to_owned(),
        entity_id: "busy".to_owned(),
    };
    shop.world
        .engine
        .forget_entity_history(&subject)
        .await
        .unwrap();
    assert!(!shop.profiles().await.contains_key("busy"));
}

const WRITERS: usize = 16;
const EVENTS: usize = 1000;
const CUSTOMERS: usize = 8;

/// Sixteen processes write the events of the same customers at once; every tenth event is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_count_every_event_once() {
    let shop = Shop::new().await;
    shop.version().await;
    let writer = |writer: usize| {
        let client = shop.world.another();
        async move {
            for number in 0..EVENTS {
                let customer = format!("c{}", (writer + number) % CUSTOMERS);
                let id = format!("{writer}-{number}");
                let at = FIRST + i64::try_from(number).unwrap();
                send(&client, &customer, &id, at, None).await;
                if number % 10 == 9 {
                    send(&client, &customer, &id, at, None).await;
                }
            }
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    let profiles = shop.profiles().await;
    let counts: Vec<u64> = profiles.values().map(EntityHistory::event_count).collect();
    assert_eq!(counts, [(WRITERS * EVENTS / CUSTOMERS) as u64; CUSTOMERS]);
    let largest = profiles
        .values()
        .map(|profile| serde_json::to_string(profile).unwrap().len());
    assert!(largest.max().unwrap() <= model::history::LARGEST_HISTORY);
}

const ATI: ModelTypeEnum = ModelTypeEnum::AccountTakeoverInsights;
const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) AppleWebKit/605.1.15 Version/17.5 Safari/604.1",
];

/// A login to account `n` from the usual place of account `from`.
fn login(from: usize, id: &str) -> [(&'static str, String); 3] {
    let host = id.bytes().map(usize::from).sum::<usize>() % 250;
    let ip = format!(
        "{}.{}.{}.{host}",
        20 + from % 60,
        from / 60 % 200,
        from * 7 % 200
    );
    [
        ("ip", ip),
        ("agent", BROWSERS[from % 3].to_owned()),
        ("valid", "true".to_owned()),
    ]
}

async fn logins_event_type(client: &Client) {
    let types = [
        ("ip", "IP_ADDRESS", DataType::String, ""),
        ("agent", "USERAGENT", DataType::String, ""),
        ("valid", "ARE_CREDENTIALS_VALID", DataType::Boolean, "false"),
    ];
    let mut event_type = client
        .put_event_type()
        .name("login")
        .entity_types("customer");
    for (name, variable_type, data_type, default) in types {
        let create = client.create_variable().name(name).default_value(default);
        let create = create.data_type(data_type).data_source(DataSource::Event);
        create.variable_type(variable_type).send().await.unwrap();
        event_type = event_type.event_variables(name);
    }
    event_type.send().await.unwrap();
    let detector = client.put_detector().detector_id("logins");
    detector.event_type_name("login").send().await.unwrap();
    let create = client.create_model().model_id("takeover").model_type(ATI);
    create.event_type_name("login").send().await.unwrap();
}

/// Stores three logins of each account; some accounts are travelling.
async fn store_logins(client: &Client) {
    for account in 0..1_550 {
        for visit in 0..3 {
            let id = format!("{account}-{visit}");
            let at = FIRST
                + i64::try_from(account * 7_919 % 40 + visit * (5 + account % 15)).unwrap() * DAY;
            let mut send = client.send_event().event_type_name("login").event_id(&id);
            let travels = (account * 7 + visit * 3) % 25 == 0;
            let from = if travels { account + 5_000 } else { account };
            for (name, value) in login(from, &id) {
                send = send.event_variables(name, value);
            }
            let send = send
                .event_timestamp(time(at))
                .entities(entity(&format!("a{account}")));
            send.send().await.unwrap();
        }
    }
}

/// Creates version 1.0.
async fn logins_version(client: &Client) {
    let schema = ["ip", "agent", "valid"].map(str::to_owned).to_vec();
    let schema = TrainingDataSchema::builder().set_model_variables(Some(schema));
    let window = IngestedEventsTimeWindow::builder()
        .start_time(time(FIRST))
        .end_time(time(FIRST + 100 * DAY));
    let events =
        IngestedEventsDetail::builder().ingested_events_time_window(window.build().unwrap());
    let create = client
        .create_model_version()
        .model_id("takeover")
        .model_type(ATI);
    let create = create.training_data_schema(schema.build().unwrap());
    let create = create.training_data_source(TrainingDataSourceEnum::IngestedEvents);
    create
        .ingested_events_detail(events.build())
        .send()
        .await
        .unwrap();
}

/// Activates version 1.0 with a rule that challenges scores from 500 on.
async fn challenge(client: &Client) {
    let update = client
        .update_model_version_status()
        .model_id("takeover")
        .model_type(ATI);
    let update = update
        .model_version_number("1.0")
        .status(ModelVersionStatus::Active);
    update.send().await.unwrap();
    client.put_outcome().name("challenge").send().await.unwrap();
    let rule = client
        .create_rule()
        .detector_id("logins")
        .rule_id("stranger");
    let rule = rule
        .expression("$takeover_insightscore >= 500")
        .language(Language::Detectorpl);
    let rule = rule
        .outcomes("challenge")
        .send()
        .await
        .unwrap()
        .rule
        .unwrap();
    let model = ModelVersion::builder().model_id("takeover").model_type(ATI);
    let model = model.model_version_number("1.0").build().unwrap();
    let create = client
        .create_detector_version()
        .detector_id("logins")
        .rules(rule);
    let version = create
        .model_versions(model)
        .send()
        .await
        .unwrap()
        .detector_version_id
        .unwrap();
    let update = client
        .update_detector_version_status()
        .detector_id("logins");
    let update = update
        .detector_version_id(version)
        .status(DetectorVersionStatus::Active);
    update.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_learns_how_accounts_log_in() {
    let shop = Shop::new().await;
    let client = &shop.world.client;
    logins_event_type(client).await;
    store_logins(client).await;
    logins_version(client).await;
    shop.train().await;
    let describe = client
        .describe_model_versions()
        .model_id("takeover")
        .send()
        .await
        .unwrap();
    let result = describe.model_version_details()[0]
        .training_result_v2()
        .unwrap();
    let ati = result.training_metrics_v2().unwrap().ati().unwrap();
    assert!(
        ati.model_performance().unwrap().asi().unwrap() > 0.9,
        "{ati:?}"
    );
    assert!(
        ati.metric_data_points()[0].atodr().is_none(),
        "nobody labelled a takeover"
    );

    challenge(client).await;
    let now = FIRST + 70 * DAY;
    let score = async |account: &str, from: usize, id: &str| {
        let mut predict = client
            .get_event_prediction()
            .detector_id("logins")
            .event_id(id);
        for (name, value) in login(from, id) {
            predict = predict.event_variables(name, value);
        }
        let predict = predict.event_type_name("login").event_timestamp(time(now));
        let output = predict.entities(entity(account)).send().await.unwrap();
        let score = output.model_scores()[0].scores().unwrap()["takeover_insightscore"];
        (score, output.rule_results().len())
    };
    let (home, challenges) = score("a4", 4, "home").await;
    assert!((0.0..450.0).contains(&home) && challenges == 0, "{home}");
    let (away, challenges) = score("a4", 905, "away").await;
    assert!(away >= 500.0 && challenges == 1, "{away}");
    // The first login of an account, and a login of the unknown entity.
    for (account, id) in [("newcomer", "first"), ("unknown", "nobody")] {
        let (first, challenges) = score(account, 4, id).await;
        assert!(
            (first + 1.0).abs() < f32::EPSILON && challenges == 0,
            "{first}"
        );
    }
    let explained = shop
        .world
        .engine
        .explain_prediction("login", "first", Attribution::Path);
    let [first] = &explained.await.unwrap().models[..] else {
        panic!("one model scored")
    };
    assert!(
        first.problem.as_ref().unwrap().contains("first log-in"),
        "{first:?}"
    );
}
