//! Reviews: queues, claims, verdicts by several people at once, their labels and their events.

use std::sync::Arc;

use event::Timestamp;
use futures::future::join_all;
use local_aws::fault::Fault;
use local_aws::local_stack::Pipeline;
use serde_json::{Value, json};
use shared::batch::Batcher;
use shared::decisions::{APPEALS, Decision};
use shared::mapping::Mapping;
use shared::reviews::{
    CaseEditor, CaseText, Edited, PersonName, ReviewError, Reviews, Verdict, VerdictCause,
    plan_settlement,
};

use crate::world::{MAPPING, World, now, order, orders};

/// What people do, over the table of a world.
struct Desk {
    reviews: Reviews,
    mapping: Arc<Mapping>,
    pipeline: Pipeline,
    now: Timestamp,
}

impl Desk {
    fn new(world: &World) -> Self {
        Self::with_settings(world, "")
    }

    /// `settings` are lines of `decision.review`.
    fn with_settings(world: &World, settings: &str) -> Self {
        let review = format!("reviewable: [review]\n  review: {{amount: order_price{settings}}}");
        let mapping = MAPPING.replace("reviewable: [review]", &review);
        Self {
            reviews: Reviews::new(world.pipeline.decisions()),
            mapping: Arc::new(Mapping::parse("mapping.yaml", &mapping).unwrap()),
            pipeline: world.pipeline.clone(),
            now: Timestamp::parse("2026-07-01T10:00:00Z").unwrap(),
        }
    }

    fn at(&self, time: &str) -> Self {
        Self {
            reviews: self.reviews.clone(),
            mapping: Arc::clone(&self.mapping),
            pipeline: self.pipeline.clone(),
            now: Timestamp::parse(time).unwrap(),
        }
    }

    async fn change(
        &self,
        decision: &Decision,
        edit: impl Fn(CaseEditor<'_>) -> Edited,
    ) -> Result<Decision, ReviewError> {
        let key = decision.key();
        self.reviews
            .change(&key, &self.mapping, self.now, edit)
            .await
    }

    async fn claim(&self, decision: &Decision, who: &str) -> Result<Decision, ReviewError> {
        let who = person(who);
        self.change(decision, |editor| editor.claim(&who)).await
    }

    async fn block(&self, decision: &Decision, who: &str) -> Result<Decision, ReviewError> {
        let (who, reason) = (person(who), text("stolen card"));
        let effect = &self.mapping.review().block;
        self.change(decision, |editor| editor.decide(&who, effect, &reason))
            .await
    }

    async fn appeal(&self, decision: &Decision) -> Result<Decision, ReviewError> {
        let (who, reason) = (person("cleo"), text("the customer called"));
        self.change(decision, |editor| editor.appeal(&who, &reason))
            .await
    }

    async fn apply_labels(&self) -> Result<usize, shared::failure::Failure> {
        let labels = self.pipeline.labels(&self.mapping);
        let batcher = Batcher::new("label", self.pipeline.budget);
        let applied = self
            .reviews
            .apply_verdict_labels(&self.mapping, &labels, &batcher)
            .await?;
        match applied.failures.into_iter().next() {
            Some((_, failure)) => Err(failure),
            None => Ok(applied.count),
        }
    }

    async fn waiting(&self, most: usize) -> Vec<String> {
        let queues = Reviews::queues(&self.mapping);
        let cases = self
            .reviews
            .waiting(&self.mapping, &queues, most, self.now)
            .await;
        cases.unwrap().into_iter().map(|it| it.order_id).collect()
    }

    async fn verdicts(&self, order_id: &str) -> Vec<Verdict> {
        let verdicts = self.reviews.verdicts_of_event("order", order_id);
        verdicts.await.unwrap()
    }
}

fn person(name: &str) -> PersonName {
    name.parse().unwrap()
}

fn text(text: &str) -> CaseText {
    text.parse().unwrap()
}

/// Decides orders with these prices: above 1000 they wait for a review, above 5000 they are blocked.
async fn decided(world: &World, desk: &Desk, prices: &[u32]) -> Vec<Decision> {
    let batch: Vec<Value> = (0..)
        .zip(prices)
        .map(|(n, price): (u32, _)| order(&format!("o-{n}"), &price.to_string()))
        .collect();
    let predict = world.pipeline.predict(Arc::clone(&desk.mapping), None);
    predict.handle(orders(&batch), now()).await.unwrap();
    let mut all = Vec::new();
    for n in 0..prices.len() {
        all.extend(world.decisions(&format!("o-{n}")).await);
    }
    all
}

/// The events on the bus about verdicts.
fn reviewed(world: &World) -> Vec<Value> {
    let mut events = world.outcomes();
    events.retain(|event| event["detail-type"] == "Decision Reviewed");
    events
}

#[tokio::test]
async fn a_verdict_closes_the_case_is_forwarded_and_becomes_a_label() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let [decision] = &decided(&world, &desk, &[1500]).await[..] else {
        panic!("one decision");
    };
    world.forward().handle(world.stream(), now()).await.unwrap();
    desk.claim(decision, "ana").await.unwrap();
    let closed = desk.block(decision, "ana").await.unwrap();
    assert_eq!(
        (closed.is_waiting(), closed.current_outcome()),
        (false, "block")
    );
    assert_eq!(desk.apply_labels().await.unwrap(), 1);
    assert_eq!(desk.apply_labels().await.unwrap(), 0);

    world.forward().handle(world.stream(), now()).await.unwrap();
    let events = reviewed(&world);
    let want = json!({
        "version": 1, "verdict_id": "order#o-0#1#verdict#1", "decision_id": "order#o-0#1", "order_id": "o-0",
        "event_type": "order", "event_id": "o-0", "revision": 1, "number": 1, "outcome_before": "review",
        "effective_outcome": "block", "is_appeal": false, "cause": "person", "reviewer": "ana",
        "reviewed_at": "2026-07-01T10:00:00Z",
    });
    assert_eq!(
        events
            .iter()
            .map(|event| &event["detail"])
            .collect::<Vec<_>>(),
        [&want]
    );
    let [stored] = &world.decisions("o-0").await[..] else {
        panic!("one decision");
    };
    let label = stored.label.as_ref().unwrap();
    assert_eq!(
        (
            label.label.as_deref(),
            label.rank,
            label.source.as_str(),
            label.kind.as_str()
        ),
        (Some("fraud"), 3, "analyst", "verdict")
    );
    assert_eq!(
        world.event("o-0").await.unwrap().current_label.as_deref(),
        Some("fraud")
    );
    // The decision stays what it was.
    assert_eq!(stored.effective_outcome, "review");
    let unchanged = Decision {
        review: None,
        label: None,
        label_history: decision.label_history.clone(),
        label_revision: 0,
        gsi2pk: decision.gsi2pk.clone(),
        gsi2sk: decision.gsi2sk.clone(),
        ..stored.clone()
    };
    assert_eq!(&unchanged, decision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_people_decide_a_case_once() {
    for people in [2, 16] {
        let world = World::new().await;
        let desk = Desk::new(&world);
        let decision = decided(&world, &desk, &[1500]).await.remove(0);
        drop(world.stream());
        // All look at the case, and try to claim it and to decide it at the same time, each again and again.
        let desk = Arc::new(desk);
        let tries = (0..people).map(|n| {
            let (desk, decision) = (Arc::clone(&desk), decision.clone());
            tokio::spawn(async move {
                let name = format!("person-{n}");
                let claimed = desk.claim(&decision, &name).await;
                let decided = desk.block(&decision, &name).await;
                drop(desk.apply_labels().await);
                (claimed.is_ok(), decided.is_ok())
            })
        });
        let results: Vec<(bool, bool)> = join_all(tries)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let decided = results.iter().filter(|(_, decided)| *decided).count();
        assert_eq!(decided, 1, "{people}: {results:?}");
        assert!(
            results.iter().all(|(claimed, decided)| claimed >= decided),
            "{results:?}"
        );
        assert_eq!(desk.verdicts("o-0").await.len(), 1);
        world.forward().handle(world.stream(), now()).await.unwrap();
        assert_eq!(reviewed(&world).len(), 1);
        desk.apply_labels().await.unwrap();
        assert_eq!(world.decisions("o-0").await[0].label_history.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_person_in_sixteen_windows_decides_once() {
    let world = World::new().await;
    let desk = Arc::new(Desk::new(&world));
    let decision = decided(&world, &desk, &[1500]).await.remove(0);
    drop(world.stream());
    desk.claim(&decision, "ana").await.unwrap();
    // The claim is the same, so only the condition of the write keeps two verdicts apart.
    let tries = (0..16).map(|_| {
        let (desk, decision) = (Arc::clone(&desk), decision.clone());
        tokio::spawn(async move { desk.block(&decision, "ana").await })
    });
    for result in join_all(tries).await {
        // The same verdict again is no error.
        assert_eq!(result.unwrap().unwrap().current_outcome(), "block");
    }
    assert_eq!(desk.verdicts("o-0").await.len(), 1);
    assert_eq!(
        world.decisions("o-0").await[0]
            .review
            .as_ref()
            .unwrap()
            .verdicts,
        1
    );
    world.forward().handle(world.stream(), now()).await.unwrap();
    assert_eq!(reviewed(&world).len(), 1);
}

#[tokio::test]
async fn a_verdict_whose_answer_is_lost_stands_once() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let decision = decided(&world, &desk, &[1500]).await.remove(0);
    drop(world.stream());
    desk.claim(&decision, "ana").await.unwrap();
    world.faults.inject("TransactWriteItems", Fault::TimeOut, 9);
    let lost = desk.block(&decision, "ana").await;
    world.faults.clear();
    assert!(matches!(lost, Err(ReviewError::Failed(_))), "{lost:?}");
    desk.block(&decision, "ana").await.unwrap();
    assert_eq!(desk.verdicts("o-0").await.len(), 1);
}

#[tokio::test]
async fn a_label_that_an_interrupted_command_left_is_applied_by_the_next() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let decision = decided(&world, &desk, &[1500]).await.remove(0);
    desk.claim(&decision, "ana").await.unwrap();
    desk.block(&decision, "ana").await.unwrap();
    world.faults.inject("UpdateEventLabel", Fault::Throttle, 9);
    desk.apply_labels().await.unwrap_err();
    world.faults.clear();
    assert_eq!(desk.apply_labels().await.unwrap(), 1);
    assert_eq!(
        world.event("o-0").await.unwrap().current_label.as_deref(),
        Some("fraud")
    );
    assert_eq!(world.decisions("o-0").await[0].label_history.len(), 1);
}

#[tokio::test]
async fn a_label_that_comes_after_an_appeal_leaves_it_open() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let decision = decided(&world, &desk, &[1500]).await.remove(0);
    desk.claim(&decision, "ana").await.unwrap();
    desk.block(&decision, "ana").await.unwrap();
    // The command that blocked it ended before the label.
    let later = desk.at("2026-07-01T10:05:00Z");
    later.appeal(&decision).await.unwrap();
    let last = desk.at("2026-07-01T10:10:00Z");
    assert_eq!(last.apply_labels().await.unwrap(), 1);
    assert_eq!(last.waiting(9).await, ["o-0"]);
}

#[tokio::test]
async fn an_appeal_opens_a_decided_case_again_and_old_labels_leave_it_open() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let all = decided(&world, &desk, &[6000, 1500, 10]).await;
    assert_eq!(desk.waiting(9).await, ["o-1"]);
    for decision in [&all[0], &all[2]] {
        desk.appeal(decision).await.unwrap();
    }
    // What a person says is wrong has all its money at stake, and the other case half of it.
    assert_eq!(desk.waiting(9).await, ["o-0", "o-1", "o-2"]);
    // The very same step again, because its answer was lost, changes nothing.
    desk.appeal(&all[0]).await.unwrap();
    let later = desk.at("2026-07-01T10:01:00Z");
    let twice = later.appeal(&all[0]).await.unwrap_err().to_string();
    assert!(
        twice.starts_with("order `o-0` waits for a verdict already"),
        "{twice}"
    );

    desk.claim(&all[1], "ana").await.unwrap();
    desk.block(&all[1], "ana").await.unwrap();
    desk.apply_labels().await.unwrap();
    let later = desk.at("2026-07-02T10:00:00Z");
    later.appeal(&all[1]).await.unwrap();
    // The label of the first verdict comes again: it was known before the appeal.
    let verdict = json!({
        "order_id": "o-1", "kind": "verdict", "reason_code": "fraud", "source": "processor",
        "label_timestamp": "2026-07-01T09:00:00Z",
    });
    world
        .label()
        .handle(crate::world::sqs(&[&verdict]), now())
        .await
        .unwrap();
    assert_eq!(later.waiting(9).await, ["o-0", "o-1", "o-2"]);
    later.claim(&all[1], "bo").await.unwrap();
    let (bo, reason) = (person("bo"), text("the card is theirs"));
    let effect = &later.mapping.review().approve;
    let approved = later
        .change(&all[1], |editor| editor.decide(&bo, effect, &reason))
        .await
        .unwrap();
    later.apply_labels().await.unwrap();
    assert_eq!(approved.current_outcome(), "approve");
    let [first, second] = &later.verdicts("o-1").await[..] else {
        panic!("two verdicts");
    };
    assert_eq!(
        (first.is_appeal, second.is_appeal, second.number),
        (false, true, 2)
    );
    assert_eq!(second.outcome_before, "block");
    let label = world.decisions("o-1").await[0].label.clone().unwrap();
    assert_eq!(label.label.as_deref(), Some("legit"));
}

#[tokio::test]
async fn a_chargeback_closes_a_case_that_somebody_works_on() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let decision = decided(&world, &desk, &[1500]).await.remove(0);
    desk.claim(&decision, "ana").await.unwrap();
    let chargeback = json!({
        "order_id": "o-0", "kind": "chargeback", "reason_code": "10.4", "source": "processor",
        "label_timestamp": "2026-07-01T00:00:00Z",
    });
    world
        .label()
        .handle(crate::world::sqs(&[&chargeback]), now())
        .await
        .unwrap();
    let refused = desk.block(&decision, "ana").await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "order `o-0` does not wait for a verdict: it is `review`, and a label came at 2026-07-01T00:00:00Z. \
         `fraudstream review appeal o-0 --as NAME --reason TEXT` opens its case again"
    );
    assert!(desk.waiting(9).await.is_empty());
}

#[tokio::test]
async fn queues_are_read_by_loss_however_many_wait() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let prices: Vec<u32> = (0..300).map(|n| 1001 + (n * 7919) % 3000).collect();
    decided(&world, &desk, &prices).await;
    let mut want: Vec<(u32, String)> = prices
        .iter()
        .zip(0..)
        .map(|(price, n): (_, u32)| (*price, format!("o-{n}")))
        .collect();
    want.sort_by(|a, b| b.cmp(a));
    let want: Vec<String> = want.into_iter().map(|(_, id)| id).collect();
    for most in [0, 1, 10, 299, 300, 500] {
        let got = desk.waiting(most).await;
        assert_eq!(got, want[..most.min(300)], "{most}");
    }
    // A list of ten asks each shard of both queues once, and a few of them twice.
    let before = world.faults.count_calls("Query");
    desk.waiting(10).await;
    let calls = world.faults.count_calls("Query") - before;
    assert!((16..=24).contains(&calls), "{calls}");
}

#[tokio::test]
async fn what_waits_too_long_and_what_finds_no_room_is_closed_without_a_label() {
    let world = World::new().await;
    let desk = Desk::with_settings(
        &world,
        ", sla: {review: {within: 4h, then: challenge}, block: {within: 1d, then: block}}, reviews_per_day: 3, overflow: approve",
    );
    let all = decided(&world, &desk, &[1500, 1100, 3000, 2000, 1200, 6000]).await;
    desk.appeal(&all[5]).await.unwrap();
    // Decided at midnight: at three nobody is late, and only three cases may wait, the appeal among them.
    let three = desk.at("2026-07-01T03:00:00Z");
    three.claim(&all[1], "ana").await.unwrap();
    assert_eq!(
        settle(&three).await,
        [("o-3", "approve"), ("o-0", "approve"), ("o-4", "approve")].map(own)
    );
    assert_eq!(three.waiting(9).await, ["o-5", "o-2", "o-1"]);
    assert!(settle(&three).await.is_empty());
    // At four both reviews are late, and Ana no longer works on hers.
    let four = desk.at("2026-07-01T04:00:00Z");
    assert_eq!(
        settle(&four).await,
        [("o-2", "challenge"), ("o-1", "challenge")].map(own)
    );
    assert_eq!(four.waiting(9).await, ["o-5"]);
    let next_day = desk.at("2026-07-02T10:00:01Z");
    assert_eq!(settle(&next_day).await, [own(("o-5", "block"))]);
    assert_eq!(desk.apply_labels().await.unwrap(), 0);
    assert!(world.decisions("o-0").await[0].label.is_none());
    let causes = desk.verdicts("o-0").await;
    assert_eq!(causes[0].cause, VerdictCause::Overflow);
    drop(world.forward().handle(world.stream(), now()).await);
    assert_eq!(reviewed(&world).len(), 6);
}

fn own((id, outcome): (&str, &str)) -> (String, String) {
    (id.to_owned(), outcome.to_owned())
}

/// Settles, and gives what was closed with which outcome.
async fn settle(desk: &Desk) -> Vec<(String, String)> {
    let queues = Reviews::queues(&desk.mapping);
    let cases = desk
        .reviews
        .waiting(&desk.mapping, &queues, usize::MAX, desk.now)
        .await
        .unwrap();
    let plan = plan_settlement(desk.mapping.review(), cases, desk.now);
    let mut closed = Vec::new();
    for (case, lapse) in plan.lapses {
        let changed = desk
            .reviews
            .change(&case.key, &desk.mapping, desk.now, |editor| {
                editor.lapse(&lapse)
            })
            .await
            .unwrap();
        assert!(!changed.is_waiting());
        closed.push((case.order_id, lapse.outcome));
    }
    closed
}

#[tokio::test]
async fn reviews_of_an_earlier_release_are_taken_into_the_queues() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let all = decided(&world, &desk, &[1500, 2500]).await;
    // As releases before queues wrote them.
    let update = world.clients.dynamodb.update_item();
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let update = update
        .table_name(local_aws::local_stack::DECISIONS)
        .set_key(Some(all[0].key().attributes()))
        .update_expression("SET gsi2pk = :pk, gsi2sk = :sk")
        .expression_attribute_values(":pk", text("review#2026-06-01#3"))
        .expression_attribute_values(":sk", text("2026-06-01T10:15:30Z#o-0#1"));
    update.send().await.unwrap();
    assert_eq!(desk.waiting(9).await, ["o-1"]);
    let decisions = world.pipeline.decisions();
    let of_day = decisions
        .open_reviews(
            &"order".parse().unwrap(),
            &"review".parse().unwrap(),
            "2026-06-01",
            9,
        )
        .await
        .unwrap();
    assert_eq!(of_day.len(), 2);
    for (day, want) in [("2026-06-02", 0), ("2026-06-01", 1), ("2026-06-01", 0)] {
        let adopted = desk.reviews.adopt_day(&desk.mapping, day).await.unwrap();
        assert_eq!(adopted, want, "{day}");
    }
    assert_eq!(desk.waiting(9).await, ["o-1", "o-0"]);
    let queues = [APPEALS];
    let appeals = desk.reviews.waiting(&desk.mapping, &queues, 9, desk.now);
    assert!(appeals.await.unwrap().is_empty());
}
