//! Lists, and rules that see their edits.

use std::time::Duration;

use aws_sdk_frauddetector::types::ListUpdateMode::{self, Append, Remove, Replace};
use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use aws_sdk_frauddetector::types::{DataType, DetectorVersionStatus};

use engine::ListEntry;

use crate::world::{World, matches, refusal};

async fn update(world: &World, elements: &[&str], mode: ListUpdateMode) {
    let elements = elements.iter().map(|&e| e.to_owned()).collect();
    let request = world
        .client
        .update_list()
        .name("blocked")
        .set_elements(Some(elements));
    request.update_mode(mode).send().await.unwrap();
}

async fn elements(world: &World) -> String {
    let output = world
        .client
        .get_list_elements()
        .name("blocked")
        .send()
        .await
        .unwrap();
    output.elements().join(" ")
}

async fn deciding() -> World {
    let world = World::with_detector().await;
    world
        .client
        .create_list()
        .name("blocked")
        .elements("KP")
        .elements("KP")
        .send()
        .await
        .unwrap();
    let rule = world.rule("blocked", "$country in @blocked", "block").await;
    let version = world.version(vec![rule], FirstMatched).await;
    world.status(&version, DetectorVersionStatus::Active).await;
    world
}

#[tokio::test]
async fn a_rule_sees_every_edit() {
    let world = deciding().await;
    let decide = async |country: &str| matches(&world.predict("1", &[("country", country)]).await);
    assert_eq!(decide("KP").await, "blocked: block");
    assert_eq!(decide("SY").await, "");
    update(&world, &["SY", "KP"], Append).await;
    assert_eq!(elements(&world).await, "KP SY");
    assert_eq!(decide("SY").await, "blocked: block");
    update(&world, &["KP", "XX"], Remove).await;
    assert_eq!(elements(&world).await, "SY");
    assert_eq!(decide("KP").await, "");
    update(&world, &[], Replace).await;
    assert_eq!(elements(&world).await, "");
    assert_eq!(decide("SY").await, "");
}

#[tokio::test]
async fn many_edits_become_a_new_base() {
    let world = deciding().await;
    for number in 0..120 {
        update(&world, &[&format!("C{number:03}")], Append).await;
    }
    let output = world
        .client
        .get_list_elements()
        .name("blocked")
        .send()
        .await
        .unwrap();
    assert_eq!(output.elements().len(), 121);
    let another = world.another();
    let output = another
        .get_list_elements()
        .name("blocked")
        .send()
        .await
        .unwrap();
    assert_eq!(output.elements().len(), 121);
    assert_eq!(
        matches(&world.predict("1", &[("country", "C119")]).await),
        "blocked: block"
    );
}

#[tokio::test]
async fn a_long_list_in_pages() {
    let world = World::new().await;
    let all: Vec<String> = (0..20_000).map(|number| format!("{number:0320}")).collect();
    let create = world
        .client
        .create_list()
        .name("blocked")
        .set_elements(Some(all.clone()));
    create.send().await.unwrap();
    let mut got = Vec::new();
    let mut token = None;
    loop {
        let request = world
            .client
            .get_list_elements()
            .name("blocked")
            .max_results(5000);
        let page = request.set_next_token(token).send().await.unwrap();
        got.extend(page.elements().to_vec());
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(got, all);
}

#[tokio::test]
async fn what_a_list_refuses() {
    let world = deciding().await;
    let client = &world.client;
    let again = client.create_list().name("blocked").send().await;
    assert_eq!(
        refusal(again),
        "ValidationException: List 'blocked' already exists."
    );
    let numbers = client
        .create_list()
        .name("n")
        .variable_type("NUMERIC")
        .send()
        .await;
    assert!(refusal(numbers).starts_with("ValidationException: 'NUMERIC' is not"));
    let no_mode = client
        .update_list()
        .name("blocked")
        .elements("A")
        .send()
        .await;
    assert!(refusal(no_mode).contains("updateMode"));
    client
        .update_list()
        .name("blocked")
        .variable_type("IP_ADDRESS")
        .send()
        .await
        .unwrap();
    let other = client
        .update_list()
        .name("blocked")
        .variable_type("EMAIL_ADDRESS")
        .send()
        .await;
    assert!(refusal(other).contains("cannot be changed"));
    let used = client.delete_list().name("blocked").send().await;
    assert_eq!(
        refusal(used),
        "ConflictException: List 'blocked' is used by rule 'blocked'."
    );
    for missing in [
        refusal(client.get_list_elements().name("x").send().await),
        refusal(client.get_lists_metadata().name("x").send().await),
        refusal(client.update_list().name("x").send().await),
    ] {
        assert_eq!(
            missing,
            "ResourceNotFoundException: List 'x' does not exist."
        );
    }
    client.delete_list().name("x").send().await.unwrap();
    let spaces = client
        .create_list()
        .name("s")
        .elements(" secret")
        .send()
        .await;
    assert!(!refusal(spaces).contains("secret"));
    let metadata = client.get_lists_metadata().send().await.unwrap();
    assert_eq!(metadata.lists()[0].variable_type(), Some("IP_ADDRESS"));
    assert_eq!(
        metadata.lists()[0].arn(),
        Some("arn:aws:frauddetector:us-east-1:123456789012:list/blocked")
    );
}

fn entry(element: &str, expires: Option<&str>) -> ListEntry {
    ListEntry {
        element: element.to_owned(),
        expires: expires.map(|time| time.parse().unwrap()),
        reason: Some("reshipping".to_owned()),
        author: Some("ana".to_owned()),
    }
}

/// The entries of a list with their expiry: `KP, SY until 2026-06-01T11:00:00Z`.
async fn entries(world: &World) -> String {
    let entries = world.engine.list_entries("blocked").await.unwrap();
    let line = |entry: ListEntry| match entry.expires {
        Some(time) => format!(
            "{} until {time} by {}",
            entry.element,
            entry.author.unwrap()
        ),
        None => entry.element,
    };
    entries.into_iter().map(line).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn an_entry_may_expire() {
    let world = World::with(|options| options.freshness = Duration::ZERO).await;
    world.detector().await;
    let create = world.client.create_list().name("blocked").elements("KP");
    create.send().await.unwrap();
    let rule = world.rule("blocked", "$country in @blocked", "block").await;
    let version = world.version(vec![rule], FirstMatched).await;
    world.status(&version, DetectorVersionStatus::Active).await;
    let decide = async |country: &str| matches(&world.predict("1", &[("country", country)]).await);

    let given = [entry("SY", Some("2026-06-01T11:00:00Z")), entry("IR", None)];
    world
        .engine
        .put_list_entries("blocked", &given)
        .await
        .unwrap();
    // In the API they are ordinary elements.
    assert_eq!(elements(&world).await, "IR KP SY");
    assert_eq!(decide("SY").await, "blocked: block");
    let known = "IR, KP, SY until 2026-06-01T11:00:00Z by ana";
    assert_eq!(entries(&world).await, known);
    // An element that exists is not added again and keeps its expiry.
    update(&world, &["SY", "KP"], Append).await;
    assert_eq!(entries(&world).await, known);

    world.pass(Duration::from_hours(1));
    assert_eq!(decide("SY").await, "");
    assert_eq!(decide("IR").await, "blocked: block");
    assert_eq!(elements(&world).await, "IR KP");
    assert_eq!(entries(&world).await, "IR, KP");
    // After it is added again, it does not expire.
    update(&world, &["SY"], Append).await;
    world.pass(Duration::from_hours(1));
    assert_eq!(decide("SY").await, "blocked: block");
    assert_eq!(entries(&world).await, "IR, KP, SY");
    update(&world, &["KP"], Replace).await;
    assert_eq!(entries(&world).await, "KP");
}

#[tokio::test]
async fn entries_that_are_refused() {
    let world = deciding().await;
    let put = async |list: &str, element: &str| {
        let given = [entry(element, None)];
        let put = world.engine.put_list_entries(list, &given).await;
        put.unwrap_err().to_string()
    };
    assert_eq!(
        put("x", "a").await,
        "ResourceNotFoundException: List 'x' does not exist."
    );
    let refused = put("blocked", " secret").await;
    assert!(refused.contains("'elements.1.member'") && !refused.contains("secret"));
}

#[tokio::test]
async fn e_mail_addresses_and_phone_numbers_have_one_spelling() {
    let world = World::with_detector().await;
    let client = &world.client;
    for name in ["email", "phone"] {
        world.variable(name, DataType::String, "").await;
    }
    let put = client
        .put_event_type()
        .name("order")
        .entity_types("customer");
    let put = put.event_variables("email").event_variables("phone");
    put.event_variables("country").send().await.unwrap();
    for (name, ty, element) in [
        ("emails", "EMAIL_ADDRESS", "Jo@Example.com"),
        ("phones", "PHONE_NUMBER", "+1 (415) 555-0100"),
    ] {
        let create = client.create_list().name(name).elements(element);
        create.variable_type(ty).send().await.unwrap();
    }
    client
        .create_list()
        .name("plain")
        .elements("Jo@Example.com")
        .send()
        .await
        .unwrap();
    let rules = vec![
        world.rule("email", "$email in @emails", "block").await,
        world.rule("phone", "$phone in @phones", "block").await,
        world.rule("exact", "$email in @plain", "review").await,
    ];
    let version = world.version(rules, FirstMatched).await;
    world.status(&version, DetectorVersionStatus::Active).await;
    for (variable, value, want) in [
        ("email", "jo@example.COM", "email: block"),
        ("email", "Jo@Example.com", "email: block"),
        ("email", "jo@example.org", ""),
        ("phone", "14155550100", "phone: block"),
        ("phone", "0014155550100", "phone: block"),
        ("phone", "4155550100", ""),
    ] {
        let got = matches(&world.predict("1", &[(variable, value)]).await);
        assert_eq!(got, want, "{variable} {value}");
    }
    // Elements are shown as they were given, and a list without a type compares exactly.
    let shown = client
        .get_list_elements()
        .name("emails")
        .send()
        .await
        .unwrap();
    assert_eq!(shown.elements(), ["Jo@Example.com"]);
    let update = client.update_list().name("emails").update_mode(Replace);
    update.set_elements(Some(Vec::new())).send().await.unwrap();
    let exact = world.predict("1", &[("email", "Jo@Example.com")]).await;
    assert_eq!(matches(&exact), "exact: review");
    let other = world.predict("1", &[("email", "jo@example.com")]).await;
    assert_eq!(matches(&other), "");
    // The type may be set later.
    let update = client
        .update_list()
        .name("plain")
        .variable_type("EMAIL_ADDRESS");
    update.send().await.unwrap();
    let other = world.predict("1", &[("email", "jo@example.com")]).await;
    assert_eq!(matches(&other), "exact: review");
}

/// Every mode, with the largest list.
#[tokio::test]
async fn a_list_of_100_000_in_every_mode() {
    let world = World::new().await;
    let names = |range: std::ops::Range<u32>| range.map(|n| format!("e{n:06}")).collect::<Vec<_>>();
    let create = world.client.create_list().name("blocked");
    create
        .set_elements(Some(names(0..99_999)))
        .send()
        .await
        .unwrap();
    let edit = async |elements: Vec<String>, mode: ListUpdateMode| {
        let request = world.client.update_list().name("blocked").update_mode(mode);
        request.set_elements(Some(elements)).send().await
    };
    let count = async || world.engine.list_entries("blocked").await.unwrap().len();
    edit(names(99_990..100_000), Append).await.unwrap();
    assert_eq!(count().await, 100_000);
    let one_more = edit(names(100_000..100_001), Append).await;
    assert_eq!(
        refusal(one_more),
        "ValidationException: A list may have at most 100000 elements."
    );
    edit(names(50_000..150_000), Replace).await.unwrap();
    assert_eq!(count().await, 100_000);
    edit(names(0..100_000), Remove).await.unwrap();
    assert_eq!(count().await, 50_000);
    edit(names(0..50_000), Append).await.unwrap();
    assert_eq!(count().await, 100_000);
    edit(names(0..150_000)[..100_000].to_vec(), Remove)
        .await
        .unwrap();
    assert_eq!(count().await, 50_000);
    let another = world
        .another()
        .get_list_elements()
        .name("blocked")
        .max_results(500);
    assert_eq!(another.send().await.unwrap().elements()[0], "e100000");
}
