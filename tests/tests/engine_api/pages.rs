//! Pages and their tokens.

use std::time::Duration;

use crate::world::{World, refusal};

async fn labels(world: &World, count: usize) {
    for number in 0..count {
        world
            .client
            .put_label()
            .name(format!("l{number:02}"))
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn pages_end_without_a_token() {
    let world = World::new().await;
    labels(&world, 20).await;
    let first = world
        .client
        .get_labels()
        .max_results(10)
        .send()
        .await
        .unwrap();
    assert_eq!(first.labels().len(), 10);
    let second = world
        .client
        .get_labels()
        .max_results(10)
        .next_token(first.next_token().unwrap());
    let second = second.send().await.unwrap();
    assert_eq!(second.labels()[0].name(), Some("l10"));
    assert_eq!(second.labels().len(), 10);
    assert_eq!(second.next_token(), None);
    let all = world.client.get_labels().send().await.unwrap();
    assert_eq!((all.labels().len(), all.next_token()), (20, None));
}

#[tokio::test]
async fn a_token_is_for_one_operation_and_one_day() {
    let world = World::new().await;
    labels(&world, 11).await;
    let first = world
        .client
        .get_labels()
        .max_results(10)
        .send()
        .await
        .unwrap();
    let token = first.next_token().unwrap();
    let foreign = world.client.get_outcomes().next_token(token).send().await;
    assert!(refusal(foreign).starts_with("ValidationException: Invalid nextToken"));
    let forged = world.client.get_labels().next_token("10").send().await;
    assert!(refusal(forged).starts_with("ValidationException: Invalid nextToken"));
    world.pass(Duration::from_secs(24 * 3600 + 1));
    let old = world.client.get_labels().next_token(token).send().await;
    assert!(refusal(old).contains("expired"));
}

#[tokio::test]
async fn an_empty_account_lists_nothing() {
    let client = World::new().await.client;
    assert!(
        client
            .get_labels()
            .send()
            .await
            .unwrap()
            .labels()
            .is_empty()
    );
    assert!(
        client
            .get_detectors()
            .send()
            .await
            .unwrap()
            .detectors()
            .is_empty()
    );
    assert!(
        client
            .get_variables()
            .send()
            .await
            .unwrap()
            .variables()
            .is_empty()
    );
    assert!(
        client
            .get_lists_metadata()
            .send()
            .await
            .unwrap()
            .lists()
            .is_empty()
    );
    assert!(
        client
            .list_event_predictions()
            .send()
            .await
            .unwrap()
            .event_prediction_summaries()
            .is_empty()
    );
}
