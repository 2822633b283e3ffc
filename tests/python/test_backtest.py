"""A draft of the rules is judged on past decisions, and nothing is written: `fraudstream backtest`."""

import json
import pathlib

import pytest
from conftest import ROOT, make_call


@pytest.fixture(scope="module")
def call(fraudstream, tmp_path_factory):
    """A folder in which the sample's orders are decided and their chargebacks are known."""
    home = tmp_path_factory.mktemp("backtest") / "home"
    call = make_call(fraudstream, home)
    call("apply")
    call("run", "predict", "events/orders.jsonl")
    call("run", "label", "events/chargebacks.jsonl")
    call.home = home
    return call


def write_draft(folder, *changes):
    text = (ROOT / "config/detector.yaml").read_text()
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    path = folder / "draft.yaml"
    path.write_text(text)
    return path


def state_of(home):
    files = (path for path in pathlib.Path(home).rglob("*") if path.is_file() and path.suffix not in (".lock", ".sqlite-shm"))
    return {str(path): path.stat().st_size for path in files}


def test_the_active_rules_decide_as_they_did(call):
    before = state_of(call.home)
    report = json.loads(call("backtest", "--json", "--changes").stdout)
    assert report["orders"]["fraud"]["orders"] > 0
    assert (report["changes"], report["changed_orders"], report["examples"]) == ([], [], [])
    assert report["before"]["outcomes"] == report["after"]["outcomes"]
    assert state_of(call.home) == before


def test_a_draft_is_counted_against_what_was_decided(call, tmp_path):
    draft = write_draft(tmp_path, ("$cards_per_ip_1d >= 2 and $order_price < 50", "$order_price > 300"))
    report = json.loads(call("backtest", "--rules", draft, "--json", "--changes", "--maturity", "0").stdout)
    rule = next(rule for rule in report["rules"] if rule["id"] == "cards_from_one_connection")
    matched = sum(rule["matched"][kind]["orders"] for kind in ["fraud", "good", "not_known_yet"])
    assert matched > 0
    assert rule["precision"]["low"] <= rule["precision"]["share"] <= rule["precision"]["high"]
    assert {change["after"] for change in report["changes"]} == {"block"}
    assert len(report["changed_orders"]) == sum(
        sum(change["orders"][kind]["orders"] for kind in ["fraud", "good", "not_known_yet"]) for change in report["changes"]
    )
    # Against another file instead of what was decided: the same, because the active rules decided.
    against = json.loads(call("backtest", "--rules", draft, "--against", "config/detector.yaml", "--json", "--maturity", "0").stdout)
    assert against["changes"] == report["changes"]
    text = call("backtest", "--rules", draft, "--maturity", "0").stdout
    assert "fraud money missed (orders)" in text
    assert "-> block" in text


def test_the_newest_revision_of_an_order_counts(call, tmp_path):
    orders = json.loads(call("backtest", "--json").stdout)["orders"]
    order = json.loads((ROOT / "events/orders.jsonl").read_text().splitlines()[0])
    path = tmp_path / "edited.jsonl"
    path.write_text("".join(json.dumps({**order, "revision": revision}) + "\n" for revision in (7, 8)))
    summary = json.loads(call("run", "predict", path, "--json").stdout)
    assert sum(summary["decided"].values()) == 2
    again = json.loads(call("backtest", "--json").stdout)["orders"]
    assert sum(kind["orders"] for kind in again.values()) == sum(kind["orders"] for kind in orders.values())


def test_lists_have_what_was_added_since(call):
    """An entry that somebody added makes the rule match on orders of before, too."""
    assert json.loads(call("backtest", "--json").stdout)["changes"] == []
    lines = (ROOT / "events/orders.jsonl").read_text().splitlines()[:200]
    orders = [json.loads(line) for line in lines if line.startswith("{")]
    card = next(order["payment"]["card_fingerprint"] for order in orders if order["payment"].get("card_fingerprint"))
    call("list", "blocked_cards", "--add", card, "--reason", "test", "--author", "ana", "--expires", "1d")
    report = json.loads(call("backtest", "--json").stdout)
    rule = next(rule for rule in report["rules"] if rule["id"] == "blocked_card")
    assert sum(rule["matched"][kind]["orders"] for kind in ["fraud", "good", "not_known_yet"]) > 0


def test_rules_over_a_models_score_are_undetermined_where_no_model_judged(call):
    arn = "arn:aws:frauddetector:us-east-1:123456789012:model-version/TRANSACTION_FRAUD_INSIGHTS/orders_model/1.0"
    report = json.loads(call("backtest", "--parameter", f"OrdersModelArn={arn}", "--json").stdout)
    rule = next(rule for rule in report["rules"] if rule["id"] == "model_almost_certain")
    assert rule["not_computable_because_of"] == ["orders_model_insightscore"]
    assert rule["undetermined"] == sum(report["orders"][kind]["orders"] for kind in ["fraud", "good", "not_known_yet"])


def test_what_a_draft_reads_and_no_decision_has_is_named(call, tmp_path):
    variable = "        - Inline: true\n          Name: customer_id\n"
    new = variable.replace("customer_id", "never_seen") + (
        '          DataSource: EVENT\n          DataType: STRING\n          DefaultValue: ""\n'
    )
    draft = write_draft(
        tmp_path, (variable, new + variable), ("$cards_per_ip_1d >= 2 and $order_price < 50", '$never_seen == "x"')
    )
    report = json.loads(call("backtest", "--rules", draft, "--json").stdout)
    rule = next(rule for rule in report["rules"] if rule["id"] == "cards_from_one_connection")
    assert rule["not_computable_because_of"] == ["never_seen"]
    assert "cannot be told: no decision has never_seen" in call("backtest", "--rules", draft).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "2031-01-01"], "no decision of detector `orders` is in this range"),
        (["--from", "soon"], "write a day such as 2026-06-01"),
        (["--rules", "config/mapping.yaml"], "config/mapping.yaml"),
        (["--rules", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_input_is_a_sentence(call, arguments, sentence):
    done = call("backtest", *arguments, check=False)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr


def test_a_rule_that_does_not_compile(call, tmp_path):
    draft = write_draft(tmp_path, ("$cards_per_ip_1d >= 2 and $order_price < 50", "$cards_per_ipp_1d >= 2"))
    done = call("backtest", "--rules", draft, check=False)
    assert done.returncode == 1
    assert "rule `cards_from_one_connection`" in done.stderr
    assert "did you mean `$cards_per_ip_1d`" in done.stderr
