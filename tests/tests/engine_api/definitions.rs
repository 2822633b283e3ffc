//! Definitions: what can be created, changed and deleted, and in which order.

use aws_sdk_frauddetector::types::RuleExecutionMode::{AllMatched, FirstMatched};
use aws_sdk_frauddetector::types::{
    DataSource, DataType, DetectorVersionStatus, Language, Rule, Tag, VariableEntry,
};

use crate::world::{World, refusal};

fn reference(id: &str, version: &str) -> Rule {
    Rule::builder()
        .detector_id("orders")
        .rule_id(id)
        .rule_version(version)
        .build()
        .unwrap()
}

#[tokio::test]
async fn what_is_put_can_be_got() {
    let world = World::with_detector().await;
    let client = &world.client;
    client
        .put_label()
        .name("fraud")
        .description("it was")
        .send()
        .await
        .unwrap();
    let labels = client.get_labels().name("fraud").send().await.unwrap();
    let label = &labels.labels()[0];
    assert_eq!(label.description(), Some("it was"));
    assert_eq!(label.created_time(), Some("2026-06-01T10:15:30.000Z"));
    assert_eq!(
        label.arn(),
        Some("arn:aws:frauddetector:us-east-1:123456789012:label/fraud")
    );

    let types = client.get_event_types().send().await.unwrap();
    let order = &types.event_types()[0];
    assert_eq!(
        order.event_variables(),
        ["price", "country", "items", "member", "since"]
    );
    assert_eq!(order.labels(), ["fraud", "legit"]);
    assert_eq!(order.event_ingestion().unwrap().as_str(), "ENABLED");
    assert!(!order.event_orchestration().unwrap().event_bridge_enabled());

    let variables = client.get_variables().name("price").send().await.unwrap();
    assert_eq!(variables.variables()[0].data_type(), Some(&DataType::Float));
    assert_eq!(variables.variables()[0].default_value(), Some("0.0"));

    let detectors = client
        .get_detectors()
        .detector_id("orders")
        .send()
        .await
        .unwrap();
    assert_eq!(detectors.detectors()[0].event_type_name(), Some("order"));
}

#[tokio::test]
async fn a_batch_of_variables_says_what_went_wrong_with_which() {
    let world = World::new().await;
    let entry = |name: &str, ty: &str| {
        let entry = VariableEntry::builder()
            .name(name)
            .data_type(ty)
            .data_source("EVENT");
        entry.default_value("0").build()
    };
    let request = world.client.batch_create_variable();
    let request = request
        .variable_entries(entry("a", "INTEGER"))
        .variable_entries(entry("b", "DATE"));
    let request = request
        .variable_entries(entry("Ä", "INTEGER"))
        .variable_entries(entry("a", "FLOAT"));
    let output = request.send().await.unwrap();
    let errors: Vec<_> = output
        .errors()
        .iter()
        .map(|e| (e.name().unwrap(), e.code()))
        .collect();
    assert_eq!(errors, [("b", 400), ("Ä", 400), ("a", 400)]);
    let get = world
        .client
        .batch_get_variable()
        .names("a")
        .names("b")
        .names("a")
        .send()
        .await
        .unwrap();
    assert_eq!(get.variables().len(), 1);
    assert_eq!(
        get.errors()[0].message(),
        Some("Variable 'b' does not exist.")
    );
}

#[tokio::test]
async fn rules_are_checked_when_they_are_made() {
    let world = World::with_detector().await;
    let create = |id: &str, text: &str, outcome: &str| {
        let request = world.client.create_rule().detector_id("orders").rule_id(id);
        request
            .expression(text)
            .language(Language::Detectorpl)
            .outcomes(outcome)
    };
    let unknown = refusal(create("r", "$prise > 1", "block").send().await);
    assert!(
        unknown.contains("`$prise`") && unknown.contains("`$price`") && unknown.contains('^'),
        "{unknown}"
    );
    let list = refusal(create("r", "$country in @nowhere", "block").send().await);
    assert!(
        list.starts_with("ValidationException") && list.contains("nowhere"),
        "{list}"
    );
    assert_eq!(
        refusal(create("r", "$price > 1", "burn").send().await),
        "ValidationException: Outcome: [burn] do not exist."
    );
    assert_eq!(
        refusal(
            create("r", "$price > 1", "block")
                .detector_id("x")
                .send()
                .await
        ),
        "ValidationException: Detector 'x' does not exist."
    );
    create("r", "$price > 1", "block").send().await.unwrap();
    assert_eq!(
        refusal(create("r", "$price > 1", "block").send().await),
        "ValidationException: Failed to save rule since it already exists."
    );
}

#[tokio::test]
async fn rules_that_do_not_exist_are_an_empty_list() {
    let world = World::with_detector().await;
    world.rule("r", "$price > 1", "block").await;
    let get = || world.client.get_rules().detector_id("orders");
    for (request, want) in [
        (get().rule_id("r"), 1),
        (get().rule_id("x"), 0),
        (get().rule_id("x").max_results(50), 0),
        (get().rule_id("x").rule_version("1"), 0),
        (get().rule_id("r").rule_version("9"), 0),
    ] {
        let found = request.send().await.unwrap();
        assert_eq!(found.rule_details().len(), want);
        assert_eq!(found.next_token(), None);
    }
    let of_nothing = get().detector_id("x").rule_id("r").send().await;
    assert_eq!(
        refusal(of_nothing),
        "ResourceNotFoundException: Detector 'x' does not exist."
    );
}

#[tokio::test]
async fn only_the_most_recent_version_of_a_rule_is_updated() {
    let world = World::with_detector().await;
    world.rule("r", "$price > 1", "block").await;
    let update = async |rule: &str, version: &str| {
        let update = world.client.update_rule_version();
        let update = update
            .rule(reference(rule, version))
            .expression("$price > 2")
            .language(Language::Detectorpl)
            .outcomes("block");
        match update.send().await {
            Ok(made) => made.rule.unwrap().rule_version,
            Err(error) => refusal::<(), _>(Err(error)),
        }
    };
    let outdated = |named: &str, newest: &str| {
        format!(
            "ValidationException: The request names version {named} of rule 'r' of detector 'orders', whereas the most \
             recent version is {newest}. Name the most recent version."
        )
    };
    for (rule, version, want) in [
        ("r", "9999", outdated("9999", "1")),
        ("r", "1", "2".to_owned()),
        ("r", "1", outdated("1", "2")),
        ("r", "2", "3".to_owned()),
        (
            "x",
            "1",
            "ResourceNotFoundException: Version 1 of rule 'x' of detector 'orders' does not exist."
                .to_owned(),
        ),
    ] {
        assert_eq!(update(rule, version).await, want);
    }
    // A number is not given out again, and the most recent version is one that exists.
    let third = world.client.delete_rule().rule(reference("r", "3"));
    third.send().await.unwrap();
    assert_eq!(update("r", "3").await, outdated("3", "2"));
    assert_eq!(update("r", "2").await, "4");
}

#[tokio::test]
async fn rule_versions() {
    let world = World::with_detector().await;
    let client = &world.client;
    world.rule("r", "$price > 1", "block").await;
    world.rule("r2", "$price > 1", "block").await;
    let update = client
        .update_rule_version()
        .rule(reference("r", "1"))
        .expression("$price > 2");
    update
        .language(Language::Detectorpl)
        .outcomes("block")
        .send()
        .await
        .unwrap();
    let metadata = client
        .update_rule_metadata()
        .rule(reference("r", "2"))
        .description("two");
    metadata.send().await.unwrap();
    let all = client
        .get_rules()
        .detector_id("orders")
        .send()
        .await
        .unwrap();
    let names: Vec<_> = all
        .rule_details()
        .iter()
        .map(|r| format!("{}.{}", r.rule_id().unwrap(), r.rule_version().unwrap()))
        .collect();
    assert_eq!(names, ["r.1", "r.2", "r2.1"]);
    let one = client
        .get_rules()
        .detector_id("orders")
        .rule_id("r")
        .send()
        .await
        .unwrap();
    assert_eq!(one.rule_details().len(), 2);
    let two = client
        .get_rules()
        .detector_id("orders")
        .rule_id("r")
        .rule_version("2")
        .send()
        .await
        .unwrap();
    assert_eq!(two.rule_details()[0].expression(), Some("$price > 2"));
    assert_eq!(two.rule_details()[0].description(), Some("two"));
    for missing in [
        refusal(client.get_rules().detector_id("x").send().await),
        refusal(
            client
                .update_rule_metadata()
                .rule(reference("r", "9"))
                .description("d")
                .send()
                .await,
        ),
    ] {
        assert!(
            missing.starts_with("ResourceNotFoundException"),
            "{missing}"
        );
    }
}

#[tokio::test]
async fn detector_versions_go_from_draft_to_active_to_inactive() {
    let world = World::with_detector().await;
    let client = &world.client;
    let rule = world.rule("r", "$price > 1", "block").await;
    let first = world.version(vec![rule.clone()], FirstMatched).await;
    let second = world.version(vec![rule.clone()], AllMatched).await;
    assert_eq!((first.as_str(), second.as_str()), ("1", "2"));
    let update = |version: &str| {
        let request = client
            .update_detector_version()
            .detector_id("orders")
            .detector_version_id(version);
        request
            .rules(rule.clone())
            .set_external_model_endpoints(Some(Vec::new()))
            .description("new")
    };
    update("1").send().await.unwrap();
    world.status("1", DetectorVersionStatus::Active).await;
    assert_eq!(
        refusal(update("1").send().await),
        "ValidationException: Only a version in status DRAFT can be updated, this one is ACTIVE."
    );
    world.status("2", DetectorVersionStatus::Active).await;
    let get = client
        .describe_detector()
        .detector_id("orders")
        .send()
        .await
        .unwrap();
    let statuses: Vec<_> = get
        .detector_version_summaries()
        .iter()
        .map(|s| s.status().unwrap().as_str())
        .collect();
    assert_eq!(statuses, ["INACTIVE", "ACTIVE"]);
    assert_eq!(
        get.detector_version_summaries()[0].description(),
        Some("new")
    );
    world.status("2", DetectorVersionStatus::Inactive).await;
    world.status("2", DetectorVersionStatus::Active).await;
    let set = |version: &str, status| {
        let request = client
            .update_detector_version_status()
            .detector_id("orders");
        request.detector_version_id(version).status(status).send()
    };
    assert_eq!(
        refusal(set("2", DetectorVersionStatus::Draft).await),
        "ValidationException: A version cannot go from status ACTIVE to DRAFT."
    );
    assert!(
        refusal(set("9", DetectorVersionStatus::Active).await)
            .starts_with("ResourceNotFoundException")
    );
    let metadata = client
        .update_detector_version_metadata()
        .detector_id("orders")
        .detector_version_id("2");
    metadata.description("kept").send().await.unwrap();
    let version = client
        .get_detector_version()
        .detector_id("orders")
        .detector_version_id("2");
    let version = version.send().await.unwrap();
    assert_eq!(version.description(), Some("kept"));
    assert_eq!(version.rule_execution_mode(), Some(&AllMatched));
    assert_eq!(version.rules(), [rule]);
}

#[tokio::test]
async fn a_version_takes_only_rules_of_its_detector_each_once() {
    let world = World::with_detector().await;
    let client = &world.client;
    client
        .put_detector()
        .detector_id("other")
        .event_type_name("order")
        .send()
        .await
        .unwrap();
    let rule = world.rule("r", "$price > 1", "block").await;
    let create = |detector: &str, rules: Vec<Rule>| {
        client
            .create_detector_version()
            .detector_id(detector)
            .set_rules(Some(rules))
            .send()
    };
    assert_eq!(
        refusal(create("other", vec![rule.clone()]).await),
        "ValidationException: Rule 'r' belongs to detector 'orders', not to detector 'other'."
    );
    assert_eq!(
        refusal(create("orders", vec![rule.clone(), rule.clone()]).await),
        "ValidationException: Rule 'r' is in the version twice."
    );
    assert_eq!(
        refusal(create("orders", vec![reference("r", "2")]).await),
        "ResourceNotFoundException: Version 2 of rule 'r' of detector 'orders' does not exist."
    );
    assert_eq!(
        refusal(create("x", vec![]).await),
        "ResourceNotFoundException: Detector 'x' does not exist."
    );
    let model = client
        .create_detector_version()
        .detector_id("orders")
        .rules(rule);
    let model = model.external_model_endpoints("endpoint").send().await;
    assert_eq!(
        refusal(model),
        "ResourceNotFoundException: External model 'endpoint' does not exist."
    );
}

#[tokio::test]
async fn an_event_type_keeps_what_rules_use() {
    let world = World::with_detector().await;
    let rule = world.rule("r", "$price > 1", "block").await;
    world.version(vec![rule], FirstMatched).await;
    let put = || {
        world
            .client
            .put_event_type()
            .name("order")
            .entity_types("customer")
    };
    assert_eq!(
        refusal(put().event_variables("country").send().await),
        "ValidationException: Version 1 of rule 'r' of detector 'orders' uses a variable that event type 'order' \
         would lose."
    );
    put().event_variables("price").send().await.unwrap();
    for (request, want) in [
        (
            put().event_variables("nope"),
            "Variable: [nope] do not exist.",
        ),
        (
            put().event_variables("price").labels("nope"),
            "Label: [nope] do not exist.",
        ),
        (
            put().event_variables("price").entity_types("nope"),
            "Entity type: [nope] do not exist.",
        ),
    ] {
        assert_eq!(
            refusal(request.send().await),
            format!("ValidationException: {want}")
        );
    }
}

#[tokio::test]
async fn everything_can_be_deleted_in_order_and_nothing_out_of_it() {
    let world = World::deciding(&[("r", "$price > 1", "block")], FirstMatched).await;
    let client = &world.client;
    let version = || {
        client
            .delete_detector_version()
            .detector_id("orders")
            .detector_version_id("1")
    };
    let rule = || client.delete_rule().rule(reference("r", "1"));
    let detector = || client.delete_detector().detector_id("orders");
    for conflict in [
        refusal(version().send().await),
        refusal(rule().send().await),
        refusal(detector().send().await),
        refusal(client.delete_outcome().name("block").send().await),
        refusal(client.delete_event_type().name("order").send().await),
        refusal(client.delete_variable().name("price").send().await),
        refusal(client.delete_entity_type().name("customer").send().await),
        refusal(client.delete_label().name("fraud").send().await),
    ] {
        assert!(conflict.starts_with("ConflictException"), "{conflict}");
    }
    world.status("1", DetectorVersionStatus::Inactive).await;
    version().send().await.unwrap();
    assert!(refusal(version().send().await).starts_with("ResourceNotFoundException"));
    rule().send().await.unwrap();
    client.delete_outcome().name("block").send().await.unwrap();
    detector().send().await.unwrap();
    client
        .delete_event_type()
        .name("order")
        .send()
        .await
        .unwrap();
    client.delete_variable().name("price").send().await.unwrap();
    client
        .delete_entity_type()
        .name("customer")
        .send()
        .await
        .unwrap();
    client.delete_label().name("fraud").send().await.unwrap();
    // Deleting again succeeds.
    rule().send().await.unwrap();
    detector().send().await.unwrap();
    client
        .delete_event_type()
        .name("order")
        .send()
        .await
        .unwrap();
    client.delete_variable().name("price").send().await.unwrap();
    client.delete_label().name("fraud").send().await.unwrap();
}

#[tokio::test]
async fn tags() {
    let world = World::with_detector().await;
    let client = &world.client;
    let arn = "arn:aws:frauddetector:us-east-1:123456789012:detector/orders";
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    client
        .tag_resource()
        .resource_arn(arn)
        .tags(tag("team", "risk"))
        .tags(tag("a", "1"))
        .send()
        .await
        .unwrap();
    client
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("a")
        .tag_keys("b")
        .send()
        .await
        .unwrap();
    let list = client
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(list.tags(), [tag("team", "risk")]);
    // The detector is unchanged.
    let detectors = client
        .get_detectors()
        .detector_id("orders")
        .send()
        .await
        .unwrap();
    assert_eq!(detectors.detectors()[0].event_type_name(), Some("order"));
    let foreign = "arn:aws:frauddetector:us-east-1:123456789012:detector/other";
    let refused = client
        .list_tags_for_resource()
        .resource_arn(foreign)
        .send()
        .await;
    assert!(refusal(refused).starts_with("ResourceNotFoundException"));
    let twice = client
        .put_label()
        .name("l")
        .tags(tag("k", "1"))
        .tags(tag("k", "2"))
        .send()
        .await;
    assert_eq!(
        refusal(twice),
        "ValidationException: A tag key may be given only once."
    );
}

#[tokio::test]
async fn variables_that_make_no_sense() {
    let world = World::new().await;
    let create = |name: &str, ty: DataType, default: &str| {
        let request = world.client.create_variable().name(name).data_type(ty);
        request
            .data_source(DataSource::Event)
            .default_value(default)
    };
    for request in [
        create("Price", DataType::Float, "0"),
        create("", DataType::Float, "0"),
        create("price", DataType::Float, ""),
        create("price", DataType::Integer, "1.5"),
        create("price", DataType::Float, "0").variable_type("EMAIL_ADDRESS"),
        create("price", DataType::Float, "0").variable_type("PRIZE"),
        create("price", DataType::Integer, "0").data_source(DataSource::ModelScore),
    ] {
        assert!(refusal(request.send().await).starts_with("ValidationException"));
    }
    create("price", DataType::Float, "0")
        .variable_type("PRICE")
        .send()
        .await
        .unwrap();
    let again = create("price", DataType::Float, "0").send().await;
    assert_eq!(
        refusal(again),
        "ValidationException: Variable 'price' already exists."
    );
    let update = world
        .client
        .update_variable()
        .name("price")
        .default_value("cheap")
        .send()
        .await;
    assert_eq!(
        refusal(update),
        "ValidationException: The default value of variable 'price' is not a valid FLOAT."
    );
}

#[tokio::test]
async fn quotas() {
    let world = World::with(|options| {
        options.quotas.labels = 2;
        options.quotas.drafts_per_detector = 1;
    })
    .await;
    world.detector().await;
    let third = world.client.put_label().name("maybe").send().await;
    assert!(refusal(third).contains("at most 2"));
    world.client.put_label().name("fraud").send().await.unwrap();
    let rule = world.rule("r", "$price > 1", "block").await;
    world.version(vec![rule.clone()], FirstMatched).await;
    let second = world
        .client
        .create_detector_version()
        .detector_id("orders")
        .rules(rule)
        .send()
        .await;
    assert!(refusal(second).contains("at most 1"));
}
