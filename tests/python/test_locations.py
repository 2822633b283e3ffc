"""`locate` in the mapping: country, network and distance of an IP address, in rules, out of files that the user brings."""

import json
import subprocess

import pytest
from conftest import ROOT, environment, run

FILES = f"{ROOT}/tests/locations/city.mmdb,{ROOT}/tests/locations/asn.mmdb"

MAPPING = """
event_type: order
detector: orders
event: {id: /order_id, timestamp: /created_at, entity: {type: customer, id: [/customer]}}
variables:
  buyer: /customer
  ip_country: {from: /ip, locate: country}
  ip_asn: {from: /ip, locate: asn}
  ip_to_shipping_km: {from: /ip, locate: {km_to: {latitude: /shipping/latitude, longitude: /shipping/longitude}}, type: FLOAT}
  ip_to_last_ip_km: {from: /ip, locate: {km_to: /last_ip}, type: FLOAT, on_invalid: omit}
decision: {outcome_priority: [block, review, challenge, approve], on_undetermined: [review], on_no_match: [approve]}
"""

LOCATED = {"ip_country": ("STRING", ""), "ip_asn": ("STRING", ""), "ip_to_shipping_km": ("FLOAT", "0.0"), "ip_to_last_ip_km": ("FLOAT", "0.0")}
VARIABLES = LOCATED | {"buyer": ("STRING", "")}
RULES = {
    "abroad": ('$ip_country == "JP"', "challenge"),
    "hosting": ('$ip_asn == "64497"', "review"),
    "far_from_delivery": ("$ip_to_shipping_km > 8000", "block"),
    "travelled": ("$ip_to_last_ip_km > 900", "challenge"),
}
OUTCOMES = ["block", "review", "challenge", "approve"]

LONDON = {"latitude": 51.5074, "longitude": "-0.1278"}


def detector():
    """The variables and a rule for each that is located, as a CloudFormation template."""
    inline = [
        {"Inline": True, "Name": name, "DataSource": "EVENT", "DataType": kind, "DefaultValue": default}
        for name, (kind, default) in VARIABLES.items()
    ]
    rules = [
        {
            "RuleId": name, "DetectorId": "orders", "Language": "DETECTORPL", "Expression": expression,
            "Outcomes": [{"Arn": {"Fn::GetAtt": [outcome.title(), "Arn"]}}],
        }
        for name, (expression, outcome) in RULES.items()
    ]
    event_type = {
        "Name": "order", "EventVariables": inline,
        "EntityTypes": [{"Inline": True, "Name": "customer"}],
        "Labels": [{"Inline": True, "Name": "fraud"}, {"Inline": True, "Name": "legit"}],
    }
    resources = {outcome.title(): {"Type": "AWS::FraudDetector::Outcome", "Properties": {"Name": outcome}} for outcome in OUTCOMES}
    resources["Type"] = {"Type": "AWS::FraudDetector::EventType", "Properties": event_type}
    resources["Detector"] = {
        "Type": "AWS::FraudDetector::Detector",
        "Properties": {
            "DetectorId": "orders", "DetectorVersionStatus": "ACTIVE", "RuleExecutionMode": "ALL_MATCHED",
            "EventType": {"Arn": {"Fn::GetAtt": ["Type", "Arn"]}}, "Rules": rules,
        },
    }
    ingestion = {"EventTypes": {"order": {"EventIngestion": "ENABLED"}}}
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Metadata": {"fraudstream": ingestion}, "Resources": resources})


@pytest.fixture
def shop(fraudstream, tmp_path):
    """The mapping and the detector, and how to call the command on them."""
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "detector.yaml").write_text(detector())
    command = [str(fraudstream), "--home", str(tmp_path / "home"), "--mapping", str(tmp_path / "mapping.yaml")]
    run(*command, "apply", tmp_path / "detector.yaml")

    def call(*arguments, **variables):
        return subprocess.run([*command, *map(str, arguments)], cwd=ROOT, env=environment(**variables), capture_output=True, text=True, timeout=300)

    return call


@pytest.fixture
def decide(shop, tmp_path):
    """Decisions on orders, by id."""

    def decide(orders, *options, **variables):
        path = tmp_path / "orders.jsonl"
        path.write_text("".join(json.dumps({"created_at": "2026-06-01T10:15:30Z", "customer": "c"} | order) + "\n" for order in orders))
        done = shop("run", "predict", path, "--json", *options, **variables)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rejected"] == {}
        return {order["order_id"]: json.loads(shop("show", order["order_id"], "--json").stdout)[0] for order in orders}

    return decide


def told(decision):
    """What was found out, the rules that matched, and what was wrong."""
    rules = sorted(rule["rule_id"] for rule in decision["matched_rules"])
    located = {name: value for name, value in decision["variables"].items() if name in LOCATED}
    return located, rules, {quality["variable"]: quality["problem"] for quality in decision["data_quality"]}


def test_rules_ask_where_an_address_is(decide):
    orders = [
        {"order_id": "near", "ip": "203.0.113.7", "shipping": LONDON},
        {"order_id": "far", "ip": "198.18.3.4", "shipping": LONDON, "last_ip": "203.0.113.9"},
        {"order_id": "hosting", "ip": "::ffff:198.19.3.4", "last_ip": "198.19.200.1"},
        {"order_id": "tokyo", "ip": "2001:db8::7"},
        {"order_id": "private", "ip": "10.0.0.1", "shipping": LONDON},
        {"order_id": "wrong", "ip": "203.0.113.7:443", "shipping": LONDON},
        {"order_id": "none"},
    ]
    decided = decide(orders, "--ip-locations", FILES)
    found = {order_id: told(decision) for order_id, decision in decided.items()}
    assert found["near"] == ({"ip_country": "GB", "ip_to_shipping_km": "0"}, [], {})
    assert found["far"] == (
        {"ip_country": "US", "ip_asn": "64496", "ip_to_shipping_km": "8329", "ip_to_last_ip_km": "8329"},
        ["far_from_delivery", "travelled"], {},
    )
    assert found["hosting"] == ({"ip_country": "DE", "ip_asn": "64497", "ip_to_last_ip_km": "0"}, ["hosting"], {})
    assert found["tokyo"] == ({"ip_country": "JP"}, ["abroad"], {})
    assert found["private"] == found["none"] == ({}, [], {})
    assert found["wrong"] == ({}, [], dict.fromkeys(LOCATED, "is not an IP address"))
    outcomes = {order_id: decision["effective_outcome"] for order_id, decision in decided.items()}
    assert outcomes["far"] == "block" and outcomes["wrong"] == "review" and outcomes["near"] == "approve"


def test_without_files_orders_are_reviewed_and_the_decision_says_why(decide):
    order = {"order_id": "far", "ip": "198.18.3.4", "shipping": LONDON, "last_ip": "203.0.113.9"}
    decision = decide([order])["far"]
    assert decision["effective_outcome"] == "review"
    needed = {quality["variable"]: quality["problem"] for quality in decision["data_quality"]}
    assert needed["ip_country"] == "needs an IP location file of type City or Country, and none is given"
    assert needed["ip_asn"] == "needs an IP location file of type ASN, and none is given"


def test_the_files_can_come_from_the_environment(decide):
    decision = decide([{"order_id": "tokyo", "ip": "2001:db8::7"}], IP_LOCATION_FILES=FILES)["tokyo"]
    assert decision["variables"]["ip_country"] == "JP"


def test_an_address_that_moved_does_not_make_another_order(decide):
    order = {"order_id": "far", "ip": "198.18.3.4", "shipping": LONDON}
    first = decide([order], "--ip-locations", FILES)["far"]
    # Delivered again when the files are gone, and so the event is another one.
    assert decide([order], "--restart")["far"] == first


def test_a_file_that_cannot_be_used_ends_in_a_sentence(shop, tmp_path):
    (tmp_path / "broken.mmdb").write_text("country,ip\n")
    cases = {"broken.mmdb": "is no IP location file (.mmdb), or a broken one", "nowhere.mmdb": "No such file or directory"}
    for name, sentence in cases.items():
        done = shop("run", "predict", "events/orders.jsonl", "--ip-locations", tmp_path / name)
        assert done.returncode != 0 and "panicked" not in done.stderr
        assert f"{name}: {sentence}" in done.stderr, done.stderr
