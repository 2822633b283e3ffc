//! Lists, and rules that see their edits.

use aws_sdk_frauddetector::types::DetectorVersionStatus;
use aws_sdk_frauddetector::types::ListUpdateMode::{self, Append, Remove, Replace};
use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;

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
