use serde_json::json;

use super::*;
use crate::decisions::parse_decision;

const MAPPING: &str = "
event_type: order
detector: orders
event: {id: /id, timestamp: /at, entity: {type: customer, id: [/customer]}}
variables: {price: /price}
decision:
  outcome_priority: [block, review, approve]
  on_undetermined: [review]
  on_no_match: [approve]
  reviewable: [review]
";

fn decision() -> Decision {
    let item = json!({
        "pk": "order#o-1", "sk": "decision#1", "kind": "decision", "decision_id": "order#o-1#1", "attempt_id": "a",
        "order_id": "O-1", "event_type": "order", "event_id": "o-1", "revision": 1,
        "event_timestamp": "2026-06-01T10:00:00Z", "entity_type": "customer", "entity_id": "jo", "variables": {"price": "20"},
        "detector_id": "orders", "matched_rules": [], "outcomes": ["review"], "effective_outcome": "review",
        "undetermined": false, "data_quality": [], "event_hash": "0", "mapping_hash": "0",
        "decided_at": "2026-06-01T10:00:00Z", "expires_at": 0,
        "gsi2pk": "#open#order#review#3", "gsi2sk": "000000000001000#2026-06-01T10:00:00Z#o-1#1",
    });
    *parse_decision(serde_dynamo::to_item(item).unwrap()).unwrap()
}

/// Does one step after another and gives what each said; `10:05 ana claim` is the time, the person and the step.
fn run(steps: &[&str]) -> Vec<String> {
    let mapping = Mapping::parse("mapping.yaml", MAPPING).unwrap();
    let mut decision = decision();
    let review = mapping.review();
    let said = steps.iter().map(|step| {
        let [time, who, what] = step.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{step}");
        };
        let editor = CaseEditor {
            decision: &decision,
            mapping: &mapping,
            now: Timestamp::parse(&format!("2026-06-01T{time}:00Z")).unwrap(),
        };
        let who: PersonName = who.parse().unwrap();
        let why: CaseText = "because".parse().unwrap();
        let lapse = |cause| Lapse {
            cause,
            outcome: "approve".to_owned(),
        };
        let edited = match what {
            "claim" => editor.claim(&who),
            "release" => editor.release(&who),
            "note" => editor.note(&who, &why),
            "escalate" => editor.escalate(&who, &why),
            "appeal" => editor.appeal(&who, &why),
            "block" => editor.decide(&who, &review.block, &why),
            "approve" => editor.decide(&who, &review.approve, &why),
            "sla" => editor.lapse(&lapse(VerdictCause::Sla)),
            "overflow" => editor.lapse(&lapse(VerdictCause::Overflow)),
            _ => panic!("{what}"),
        };
        match edited {
            Err(refusal) => refusal.to_string(),
            Ok(None) => "nothing to do".to_owned(),
            Ok(Some(change)) => {
                let verdict = change.verdict.as_ref();
                let verdict = verdict.map(|it| format!("{}: {}", it.verdict_id, it.outcome));
                decision.review = Some(change.case);
                match change.queue {
                    QueueChange::Stays => {}
                    QueueChange::Leaves => decision.gsi2pk = None,
                    QueueChange::Enters(key, _) => decision.gsi2pk = Some(key),
                }
                verdict.unwrap_or_else(|| "ok".to_owned())
            }
        }
    });
    said.collect()
}

#[test]
fn a_case_goes_its_way() {
    for (steps, want) in [
        (
            ["10:00 ana claim", "10:10 ana block", "10:11 ana block"].as_slice(),
            ["ok", "order#o-1#1#verdict#1: block", "nothing to do"].as_slice(),
        ),
        (
            &[
                "10:00 ana block",
                "10:01 ana claim",
                "10:02 bo block",
                "10:03 bo claim",
            ],
            &[
                "ana has not claimed order `O-1`; claim it first: `fraudstream review claim O-1 --as ana`",
                "ok",
                "order `O-1` is claimed by ana until 2026-06-01T10:16:00Z",
                "order `O-1` is claimed by ana until 2026-06-01T10:16:00Z",
            ],
        ),
        (
            &[
                "10:00 ana claim",
                "10:15 ana block",
                "10:15 bo claim",
                "10:16 ana release",
                "10:17 BO approve",
            ],
            &[
                "ok",
                "the claim of ana on order `O-1` expired at 2026-06-01T10:15:00Z; look at it again and claim it: \
                 `fraudstream review claim O-1 --as ana`",
                "ok",
                "order `O-1` is claimed by bo until 2026-06-01T10:30:00Z",
                "order#o-1#1#verdict#1: approve",
            ],
        ),
        (
            &[
                "10:00 ana claim",
                "10:10 ana claim",
                "10:20 ana escalate",
                "10:21 ana claim",
                "10:22 bo claim",
                "10:23 bo note",
                "10:24 bo block",
                "10:25 ana block",
            ],
            &[
                "ok",
                "ok",
                "ok",
                "ana has escalated order `O-1`, so somebody else has to decide it",
                "ok",
                "ok",
                "order#o-1#1#verdict#1: block",
                "order `O-1` does not wait for a verdict: bo decided `block` at 2026-06-01T10:24:00Z. \
                 `fraudstream review appeal O-1 --as NAME --reason TEXT` opens its case again",
            ],
        ),
        (
            &[
                "10:00 ana claim",
                "10:05 x sla",
                "10:15 x sla",
                "10:16 x sla",
                "10:20 cleo appeal",
                "10:21 cleo appeal",
                "10:22 ana claim",
                "10:23 ana approve",
            ],
            &[
                "ok",
                "order `O-1` is claimed by ana until 2026-06-01T10:15:00Z",
                "order#o-1#1#verdict#1: approve",
                "nothing to do",
                "ok",
                "order `O-1` waits for a verdict already; add to its case with `fraudstream review note O-1`",
                "ok",
                "order#o-1#1#verdict#2: approve",
            ],
        ),
        (
            &[
                "10:00 ana release",
                "10:01 ana escalate",
                "10:02 x overflow",
                "10:03 ana note",
            ],
            &[
                "nothing to do",
                "ana has not claimed order `O-1`; claim it first: `fraudstream review claim O-1 --as ana`",
                "order#o-1#1#verdict#1: approve",
                "ok",
            ],
        ),
    ] {
        assert_eq!(run(steps), want, "{steps:?}");
    }
}

#[test]
fn a_history_has_an_end_and_still_can_be_closed() {
    let notes = (0..=MOST_WITH_NOTES).map(|minute| format!("10:{minute:02} ana note"));
    let mut steps: Vec<String> = notes.collect();
    for hour in 11..20 {
        for step in ["ana claim", "ana block", "cleo appeal"] {
            steps.push(format!("{hour}:00 {step}"));
        }
    }
    steps.push("20:00 x sla".to_owned());
    let said = run(&steps.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(said[MOST_WITH_NOTES - 1], "ok");
    assert_eq!(
        said[MOST_WITH_NOTES],
        "the case of order `O-1` has 40 entries or more, so no note is added; decide it"
    );
    let last = said.last().unwrap();
    assert_eq!(last, "order#o-1#1#verdict#10: approve");
}
