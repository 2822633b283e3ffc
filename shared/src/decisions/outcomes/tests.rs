use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::decisions::{MatchedRule, PredictionHeader};

const PRIORITY: [&str; 3] = ["block", "review", "approve"];
const BLOCK: [&str; 2] = ["bad_customer", "bad_card"];
const ALLOW: [&str; 2] = ["good_customer", "good_card"];
const RULES: [&str; 6] = [
    "bad_customer",
    "bad_card",
    "good_customer",
    "good_card",
    "high_amount",
    "model",
];

fn mapping() -> Mapping {
    let text = "
event_type: order
detector: orders
event: {id: /id, timestamp: /at, entity: {type: customer, id: [/customer]}}
variables: {price: {from: /price, type: FLOAT}}
decision:
  outcome_priority: [block, review, approve]
  on_undetermined: [review]
  on_no_match: [approve]
  overrides:
    block: [bad_customer, bad_card]
    allow: [good_customer, good_card]
";
    Mapping::parse("mapping.yaml", text).unwrap()
}

fn outcomes(price: &str, verdict: &ServiceVerdict) -> Outcomes {
    let order = json!({"id": "1", "at": "2026-06-01T10:15:30Z", "price": price});
    let mapping = mapping();
    let order = mapping.map_order(&order).unwrap();
    Outcomes::new(&mapping, &order, verdict)
}

/// A verdict in one line: `bad_card=block` matched with this outcome, `bad_card?` could not be evaluated, `+1` one entry
/// was left out.
fn verdict(text: &str) -> ServiceVerdict {
    let mut verdict = ServiceVerdict::default();
    for word in text.split_whitespace() {
        if let Some((rule, outcomes)) = word.split_once('=') {
            verdict.matched_rules.push(MatchedRule {
                rule_id: rule.to_owned(),
                outcomes: outcomes.split(',').map(str::to_owned).collect(),
            });
        } else if let Some(rule) = word.strip_suffix('?') {
            verdict.prediction.undetermined.push(rule.to_owned());
        } else {
            verdict.prediction.left_out = word.parse().unwrap();
        }
    }
    verdict
}

#[test]
fn entries_of_lists_outrank_rules() {
    #[track_caller]
    fn check(text: &str, want: &str) {
        let got = outcomes("5", &verdict(text));
        let by = got
            .applied_override
            .map_or(String::new(), |by| format!(" by {} {}", by.kind, by.rule));
        let effective = got.effective.unwrap();
        let all: Vec<&str> = got.all.iter().map(OutcomeName::as_str).collect();
        assert_eq!(format!("{effective}{by} of {}", all.join(",")), want);
    }
    check("high_amount=block", "block of block");
    check(
        "high_amount=block good_customer=approve",
        "approve by allow good_customer of block,approve",
    );
    check(
        "good_customer=approve bad_card=review",
        "review by block bad_card of review,approve",
    );
    // Of several entries the one with the most important outcome, then the first of the file.
    check(
        "bad_customer=review bad_card=block",
        "block by block bad_card of block,review",
    );
    check(
        "good_card=approve good_customer=approve",
        "approve by allow good_customer of approve",
    );
    // Values and rules that are undetermined do not hinder an entry ...
    check(
        "high_amount? good_customer=approve",
        "approve by allow good_customer of review,approve",
    );
    check(
        "good_card? good_customer=approve",
        "approve by allow good_customer of review,approve",
    );
    check(
        "bad_customer? bad_card=block",
        "block by block bad_card of block,review",
    );
    // ... but an allow entry has to know that no block entry matches.
    check(
        "bad_customer? good_customer=approve",
        "review of review,approve",
    );
    check(
        "bad_customer=unheard_of good_customer=approve",
        "review of review,approve",
    );
    check(
        "good_customer=approve high_amount=block +1",
        "block of block,approve",
    );
    check("good_customer=unheard_of", "review of review");
}

#[derive(Clone, Debug)]
enum State {
    NotMatched,
    Matched(Vec<&'static str>),
    Undetermined,
}

fn state() -> impl Strategy<Value = State> {
    let outcome = prop::sample::select(vec!["block", "review", "approve", "unheard_of"]);
    prop_oneof![
        2 => Just(State::NotMatched),
        3 => prop::collection::vec(outcome, 1..3).prop_map(State::Matched),
        1 => Just(State::Undetermined),
    ]
}

fn place(outcome: &str) -> Option<usize> {
    PRIORITY.iter().position(|known| *known == outcome)
}

/// The law, written a second time: the smallest (rank of the rule, place of the outcome, place in the file) decides.
fn expected(
    states: &[State],
    is_valid: bool,
    left_out: bool,
) -> (&'static str, Option<&'static str>) {
    let is_block = |rule: &str| BLOCK.contains(&rule);
    let mut candidates = Vec::new();
    let mut outcomes = Vec::new();
    let mut is_undetermined = !is_valid;
    let mut is_block_unknown = left_out;
    for (at, (rule, state)) in RULES.iter().zip(states).enumerate() {
        let known: Vec<usize> = match state {
            State::NotMatched => continue,
            State::Matched(given) => given.iter().filter_map(|name| place(name)).collect(),
            State::Undetermined => Vec::new(),
        };
        is_undetermined |= match state {
            State::Matched(given) => given.len() != known.len(),
            _ => true,
        };
        match known.iter().min() {
            None => is_block_unknown |= is_block(rule),
            Some(best) if is_block(rule) => candidates.push((0, *best, at)),
            Some(best) if ALLOW.contains(rule) => candidates.push((1, *best, at)),
            Some(_) => {}
        }
        outcomes.extend(known);
    }
    candidates.retain(|(rank, ..)| *rank == 0 || !is_block_unknown);
    if let Some((_, best, at)) = candidates.into_iter().min() {
        return (PRIORITY[best], Some(RULES[at]));
    }
    if is_undetermined {
        outcomes.push(1);
    }
    (PRIORITY[outcomes.into_iter().min().unwrap_or(2)], None)
}

proptest! {
    #[test]
    fn the_effective_outcome_follows_the_law(
        states in prop::collection::vec(state(), RULES.len()),
        is_valid: bool,
        left_out in prop::bool::weighted(0.1),
        reverse: bool,
    ) {
        let (want, by) = expected(&states, is_valid, left_out);
        let mut given = ServiceVerdict {
            prediction: PredictionHeader {
                left_out: u64::from(left_out),
                ..PredictionHeader::default()
            },
            ..ServiceVerdict::default()
        };
        for (rule, state) in RULES.iter().zip(states) {
            match state {
                State::NotMatched => {}
                State::Undetermined => given.prediction.undetermined.push((*rule).to_owned()),
                State::Matched(outcomes) => given.matched_rules.push(MatchedRule {
                    rule_id: (*rule).to_owned(),
                    outcomes: outcomes.into_iter().map(str::to_owned).collect(),
                }),
            }
        }
        // The order of the detector's rules changes nothing.
        if reverse {
            given.matched_rules.reverse();
        }
        let got = outcomes(if is_valid { "5" } else { "much" }, &given);
        prop_assert_eq!(got.effective.as_ref().map(OutcomeName::as_str), Some(want));
        prop_assert_eq!(got.applied_override.as_ref().map(|by| by.rule.as_str()), by);
        let is_block = by.map(|rule| BLOCK.contains(&rule));
        let kind = got.applied_override.map(|by| by.kind);
        prop_assert_eq!(kind.map(|kind| kind == OverrideKind::Block), is_block);
        // Nothing is dropped: every known outcome of a matched rule is kept.
        for outcome in given.matched_rules.iter().flat_map(|rule| &rule.outcomes) {
            let is_kept = got.all.iter().any(|kept| kept.as_str() == outcome);
            prop_assert_eq!(is_kept, place(outcome).is_some());
        }
    }
}
