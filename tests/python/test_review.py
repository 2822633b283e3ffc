"""An analyst's day: what waits, claims, verdicts, appeals, and what a lead sees of it."""

import json

import jsonschema
import pytest
from conftest import ROOT, client, free_port, make_call, server

SCHEMA = json.loads((ROOT / "docs/schemas/decision-reviewed-1.json").read_text())


def make_order(order_id, total, customer="cust-1", card="card-1"):
    """An order of the sample mapping; from 1,000 USD on it waits for a review."""
    return {
        "order_id": order_id,
        "created_at": "2026-06-01T10:15:30Z",
        "total": total,
        "customer": {"id": customer, "email": f"{customer}@example.com"},
        "payment": {"card": card},
    }


MAPPING = """
event_type: order
detector: orders
event: {id: /order_id, timestamp: /created_at, entity: {type: customer, id: [/customer/id]}}
variables:
  order_price: {from: /total, type: FLOAT, required: true}
aggregates:
  keys: {card: /payment/card}
  variables: {card_orders_1d: {count: {by: card, within: 1d}}}
decision:
  outcome_priority: [block, review, challenge, approve]
  on_undetermined: [review]
  on_no_match: [approve]
  reviewable: [review]
REVIEW
labels:
  event_id: /order_id
  kind: /kind
  timestamp: /at
  source: /source
  source_ranks: {analyst: 4, processor: 3}
  table: [{kind: chargeback, label: fraud}]
"""
REVIEW = "  review: {amount: order_price, sla: {review: {within: 4h, then: challenge}}, reviews_per_day: 40, overflow: challenge, recheck: 1}"
DETECTOR = """
Resources:
  Customer: {Type: AWS::FraudDetector::EntityType, Properties: {Name: customer}}
  Fraud: {Type: AWS::FraudDetector::Label, Properties: {Name: fraud}}
  Legit: {Type: AWS::FraudDetector::Label, Properties: {Name: legit}}
  Price: {Type: AWS::FraudDetector::Variable, Properties: {Name: order_price, DataType: FLOAT, DataSource: EVENT, DefaultValue: "0"}}
  Cards: {Type: AWS::FraudDetector::Variable, Properties: {Name: card_orders_1d, DataType: FLOAT, DataSource: EVENT, DefaultValue: "0"}}
  Block: {Type: AWS::FraudDetector::Outcome, Properties: {Name: block}}
  Review: {Type: AWS::FraudDetector::Outcome, Properties: {Name: review}}
  Challenge: {Type: AWS::FraudDetector::Outcome, Properties: {Name: challenge}}
  Approve: {Type: AWS::FraudDetector::Outcome, Properties: {Name: approve}}
  Order:
    Type: AWS::FraudDetector::EventType
    Properties:
      Name: order
      EntityTypes: [{Arn: !GetAtt Customer.Arn}]
      EventVariables: [{Arn: !GetAtt Price.Arn}, {Arn: !GetAtt Cards.Arn}]
      Labels: [{Arn: !GetAtt Fraud.Arn}, {Arn: !GetAtt Legit.Arn}]
  Orders:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: orders
      DetectorVersionStatus: ACTIVE
      RuleExecutionMode: ALL_MATCHED
      EventType: {Arn: !GetAtt Order.Arn}
      Rules:
        - {RuleId: very_dear, DetectorId: orders, Language: DETECTORPL, Expression: $order_price > 5000, Outcomes: [{Arn: !GetAtt Block.Arn}]}
        - {RuleId: dear, DetectorId: orders, Language: DETECTORPL, Expression: $order_price >= 1000, Outcomes: [{Arn: !GetAtt Review.Arn}]}
"""


@pytest.fixture
def shop(fraudstream, tmp_path):
    """A folder of state with decided orders, and a function that calls `review`."""
    mapping = tmp_path / "mapping.yaml"
    call = make_call(fraudstream, tmp_path / "home")

    def write_mapping(review=REVIEW):
        mapping.write_text(MAPPING.replace("REVIEW", review))

    def decide(*orders):
        file = tmp_path / "orders.jsonl"
        file.write_text("".join(json.dumps(order) + "\n" for order in orders))
        call("run", "predict", file, "--mapping", mapping)

    def review(*arguments, **more):
        return call("--mapping", mapping, "review", *arguments, **more)

    write_mapping()
    detector = tmp_path / "detector.yaml"
    detector.write_text(DETECTOR)
    call("--mapping", mapping, "apply", detector)
    review.call, review.decide, review.write_mapping, review.mapping = call, decide, write_mapping, mapping
    review.outcomes = tmp_path / "home" / "outcomes.jsonl"
    decide(
        make_order("A-1", 1500),
        make_order("A-2", 3000, "cust-2"),
        make_order("A-3", 1200, "cust-3", "card-3"),
        make_order("A-4", 9000, "cust-4", "card-4"),
        make_order("A-5", 20, "cust-5", "card-5"),
    )
    return review


def waiting(review, *arguments):
    return [case["order_id"] for case in json.loads(review("list", "--json", *arguments).stdout)["cases"]]


def reviewed(review):
    events = [json.loads(line) for line in review.outcomes.read_text().splitlines()]
    return [event["detail"] for event in events if event["detail-type"] == "Decision Reviewed"]


def refused(review, sentence, *arguments):
    """The command fails with this sentence, and what waits stays as it was."""
    before = (waiting(review), len(reviewed(review)))
    done = review(*arguments, check=False)
    assert done.returncode in (1, 2), done.stdout
    assert sentence in done.stderr
    assert (waiting(review), len(reviewed(review))) == before


def test_a_day_of_an_analyst(shop):
    assert waiting(shop) == ["A-2", "A-1", "A-3"]
    assert waiting(shop, "--limit", "1") == ["A-2"]
    assert waiting(shop, "--outcome", "block") == []
    table = shop("list").stdout.splitlines()
    assert table[0].split() == ["order", "now", "expected", "loss", "amount", "risk", "can", "be", "stopped", "verdict", "due", "who"]
    assert table[1].split()[:5] == ["A-2", "review", "1500.00", "3000.00", "0.50"]

    shown = shop("next", "--as", "ana").stdout
    assert shown.startswith("order A-2, ") and "claimed by ana until " in shown
    assert "A-1" in shown.split("related orders")[1] and "card" in shown.split("related orders")[1]
    refused(shop, "order `A-2` is claimed by ana until ", "claim", "A-2", "--as", "bo")
    refused(shop, "order `A-2` is claimed by ana until ", "block", "A-2", "--as", "bo", "--reason", "stolen")
    assert shop("next", "--as", "bo").stdout.startswith("order A-1, ")
    shop("note", "A-2", "--as", "ana", "--text", "the phone number is dead")
    assert shop("block", "A-2", "--as", "ana", "--reason", "stolen card").stdout == "order A-2: review -> block\n"
    # The command again changes nothing.
    shop("block", "A-2", "--as", "ana", "--reason", "stolen card")
    [event] = reviewed(shop)
    jsonschema.Draft202012Validator(SCHEMA).validate(event)
    assert set(event) == set(SCHEMA["properties"])
    assert (event["outcome_before"], event["effective_outcome"], event["reviewer"]) == ("review", "block", "ana")
    assert "stolen" not in json.dumps(event)

    shown = shop.call("--mapping", shop.mapping, "show", "A-2").stdout
    for line in ["label now   fraud", "outcome now block", "ana noted: the phone number is dead", "ana decided block: stolen card"]:
        assert line in shown, shown
    [decision] = json.loads(shop.call("--mapping", shop.mapping, "show", "A-2", "--json").stdout)
    assert (decision["effective_outcome"], decision["label"]["rank"]) == ("review", 4)

    # Bo cannot decide, and Ana does.
    shop("escalate", "A-1", "--as", "bo", "--reason", "above my limit")
    refused(shop, "Bo has escalated order `A-1`", "claim", "A-1", "--as", "Bo")
    shop("claim", "A-1", "--as", "ana")
    shop("release", "A-1", "--as", "ana")
    assert waiting(shop) == ["A-1", "A-3"]

    # Customer service hears from two customers.
    refused(shop, "waits for a verdict already", "appeal", "A-1", "--as", "cleo", "--reason", "the customer called")
    shop("appeal", "A-4", "--as", "cleo", "--reason", "the customer called")
    shop("appeal", "A-5", "--as", "cleo", "--reason", "the customer wants to know")
    assert waiting(shop) == ["A-4", "A-1", "A-3", "A-5"]
    shop("claim", "A-4", "--as", "bo")
    assert shop("approve", "A-4", "--as", "bo", "--reason", "a wedding").stdout == "order A-4: block -> approve\n"
    assert reviewed(shop)[-1]["is_appeal"] is True

    stats = json.loads(shop("stats", "--json").stdout)
    assert stats["waiting"] == {"review": 2, "approve": 1} and stats["appeals"] == 1 and stats["escalated"] == 1
    assert stats["verdicts"] == {"ana": {"block": 1}, "bo": {"approve": 1}} and stats["rechecks"] == 2
    assert "2 by people, of which 2 changed the outcome" in shop("stats").stdout


def test_a_ring_is_decided_together(shop):
    refused(shop, "these 2 orders would be `block`", "block", "A-1", "--ring", "--as", "ana", "--reason", "a ring")
    shop("claim", "A-2", "--as", "bo")
    done = shop("block", "A-1", "--ring", "--as", "ana", "--reason", "a ring", "--yes", check=False)
    assert done.returncode == 1 and "1 of 2 orders were not decided" in done.stderr
    assert "order A-1: review -> block\n" in done.stdout and "order A-2: not decided: order `A-2` is claimed by bo" in done.stdout
    shop("release", "A-2", "--as", "bo")
    shop("block", "A-2", "A-3", "--as", "ana", "--reason", "a ring", "--yes")
    assert waiting(shop) == [] and len(reviewed(shop)) == 3
    assert shop("next", "--as", "ana").stdout == "nothing waits that nobody works on\n"
    assert "A-2" in shop("related", "A-1", "--all").stdout


def test_a_second_person_gives_a_verdict_again(shop):
    shop("claim", "A-1", "--as", "ana")
    shop("block", "A-1", "--as", "ana", "--reason", "stolen")
    assert "A-1" in shop("recheck").stdout and "block" not in shop("recheck").stdout
    again = ["recheck", "A-1", "--verdict", "approve", "--reason", "known customer", "--as"]
    refused(shop, "so another person has to give it again", *again, "ANA")
    assert "you say approve, ana decided block" in shop(*again, "bo").stdout
    refused(shop, "no verdict on order `A-1` waits for a second person", *again, "cleo")
    stats = json.loads(shop("stats", "--json").stdout)
    assert (stats["rechecks"], stats["rechecks_done"], stats["rechecks_disagree"]) == (1, 1, 1)
    # It has no effect.
    assert len(reviewed(shop)) == 1

    shown = shop("practice", "--as", "dana").stdout
    assert shown.startswith("order A-1, ") and "stolen" not in shown and "label now   none" in shown
    answered = shop("practice", "A-1", "--as", "dana", "--verdict", "block").stdout
    assert answered.startswith("you agree: you say block, ana decided block (stolen)")
    refused(shop, "there is no case to practise on", "practice", "--as", "ana")


def test_what_nobody_decides_is_settled(shop):
    assert json.loads(shop("settle", "--json").stdout)["waiting"] == 3
    shop.write_mapping("  review: {amount: order_price, reviews_per_day: 1, overflow: challenge}")
    assert waiting(shop) == ["A-2"]
    assert "more wait than `reviews_per_day` allows" in shop("list").stdout
    assert "0 closed" not in shop("settle", "--dry-run").stdout and reviewed(shop) == []
    settled = json.loads(shop("settle", "--json").stdout)
    assert (settled["overflowed"], settled["past_sla"], settled["waiting"]) == (2, 0, 1)
    assert {(event["cause"], event["reviewer"], event["effective_outcome"]) for event in reviewed(shop)} == {
        ("overflow", None, "challenge")
    }
    assert json.loads(shop("stats", "--json").stdout)["overflowed"] == 2
    assert json.loads(shop("settle", "--json").stdout)["overflowed"] == 0


def test_a_verdict_that_a_killed_process_did_not_forward_is_forwarded_once(shop):
    shop("claim", "A-1", "--as", "ana")
    shop("block", "A-1", "--as", "ana", "--reason", "stolen")
    lines = shop.outcomes.read_text().splitlines(keepends=True)
    [told] = [line for line in lines if '"Decision Reviewed"' in line]
    # A process that is killed leaves its mark, and here also a verdict that nobody was told.
    for left in [[line for line in lines if line != told], lines]:
        shop.outcomes.write_text("".join(left))
        (shop.outcomes.parent / "at-work").touch()
        assert waiting(shop) == ["A-2", "A-3"]
        assert [event["verdict_id"] for event in reviewed(shop)] == [json.loads(told)["detail"]["verdict_id"]]
        assert len(shop.outcomes.read_text().splitlines()) == len(lines)


def test_wrong_input_says_what_would_be_right(shop):
    reason = ["--reason", "because"]
    refused(shop, "there is no decision on order `B-9` of event type `order`", "show", "B-9")
    refused(shop, "there is no decision on order `B-9`", "block", "B-9", "--as", "ana", *reason)
    refused(shop, "ana has not claimed order `A-1`; claim it first: `fraudstream review claim A-1 --as ana`", "block", "A-1", "--as", "ana", *reason)
    refused(shop, "order `A-5` does not wait for a verdict: it is `approve`", "claim", "A-5", "--as", "ana")
    refused(shop, "there is no outcome `perhaps`; the mapping has `block`, `review`", "list", "--outcome", "perhaps")
    refused(shop, "it is empty; write your name, such as ana", "claim", "A-1", "--as", " ")
    refused(shop, "it is empty; write why, in a sentence", "block", "A-1", "--as", "ana", "--reason", "")
    refused(shop, "the following required arguments were not provided", "block", "A-1", "--as", "ana")
    shop.write_mapping("  review: {block: {outcome: deny, label: fraud}}")
    done = shop("list", check=False)
    assert done.returncode == 1 and "`block` names `deny`, which `outcome_priority` lacks" in done.stderr
    # Without the section everything has its default.
    shop.write_mapping("")
    assert sorted(waiting(shop)) == ["A-1", "A-2", "A-3"]
    assert "so nothing is closed" in shop("settle").stdout


def test_forgotten_orders_have_no_case(shop):
    shop("claim", "A-3", "--as", "ana")
    shop("approve", "A-3", "--as", "ana", "--reason", "jo at the phone")
    kept = json.loads(shop.call("--mapping", shop.mapping, "subject", "--order", "A-3", "--json").stdout)
    assert [verdict["reason"] for verdict in kept["verdicts"]] == ["jo at the phone"]
    report = json.loads(shop.call("--mapping", shop.mapping, "forget", "A-3", "--json").stdout)
    assert (report["decisions"], report["verdicts"]) == (1, 1)
    files = [file for file in shop.outcomes.parent.glob("*") if file.is_file()]
    assert shop.outcomes in files and all(b"jo at the phone" not in file.read_bytes() for file in files)
    assert reviewed(shop) == []
    assert json.loads(shop("stats", "--json").stdout)["verdicts"] == {}


def test_over_a_port_it_is_the_same(shop, fraudstream, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [fraudstream, "--home", shop.outcomes.parent, "--mapping", shop.mapping, "serve", "--port", port]
    with server(command, url, tmp_path / "serve.log"):
        remote = ["--endpoint-url", url]
        assert [case["order_id"] for case in json.loads(shop("list", "--json", *remote).stdout)["cases"]] == ["A-2", "A-1", "A-3"]
        shop("next", "--as", "ana", *remote)
        shop("approve", "A-2", "--as", "ana", "--reason", "known", *remote)
        items = client("dynamodb", url).scan(TableName="Decisions")["Items"]
        assert [item["order_id"]["S"] for item in items if item.get("kind") == {"S": "verdict"}] == ["A-2"]
    assert [event["effective_outcome"] for event in reviewed(shop)] == ["approve"]
