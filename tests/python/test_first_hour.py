"""The first hour with a shop's own data, as docs/first-hour.md walks it: four feeds of different systems."""

import json

import make_feeds
import pytest
from conftest import ROOT, make_call


@pytest.fixture
def call(fraudstream, tmp_path):
    """Calls the command in a shop's folder, with the drafts that `init` writes there."""
    return make_call(fraudstream, tmp_path / "home", tmp_path)


def draft(call, tmp_path, name, content):
    """Drafts from a file, and gives its summary and the draft of its mapping."""
    (tmp_path / name).write_bytes(content)
    summary = json.loads(call("init", name, "--json").stdout)
    return summary, (tmp_path / "config" / "mapping.yaml").read_text()


def checked(call, name):
    report = json.loads(call("check", name, "--json").stdout)
    filled = {variable["name"]: variable["filled"] for variable in report["variables"]}
    return report, filled


def decide(call, name):
    """Decides on the orders of a file, and gives how many were."""
    return sum(json.loads(call("run", "predict", name, "--json").stdout)["decided"].values())


def test_a_german_shop_from_its_export_to_a_model(call, tmp_path):
    summary, mapping = draft(call, tmp_path, "bestellungen.csv", make_feeds.german_shop())
    assert summary["rules"] >= 10
    # The zone is the one thing that the file cannot say.
    assert any("which is it?" in question.lower() for question in summary["questions"])
    mapping = mapping.replace("timezone: UTC", "timezone: Europe/Berlin")
    (tmp_path / "config" / "mapping.yaml").write_text(mapping)

    report, filled = checked(call, "bestellungen.csv")
    assert (report["records"], report["orders"], report["rejected"]) == (3000, 3000, [])
    assert report["windows_1252_rows"] > 0
    names = ["order_price", "email_address", "ip_address", "device_id", "shipping_country", "customer_id", "ordered_at"]
    assert {name: filled[name] for name in names} == dict.fromkeys(names, 3000)
    assert all(variable["invalid"] == 0 for variable in report["variables"])
    assert not [rule["id"] for rule in report["rules"] if rule["cannot_fire"]]
    assert sum(report["outcomes"].values()) == 3000

    call("apply")
    # The export knows what became of the orders: its older part is history, the newer is decided.
    lines = (tmp_path / "bestellungen.csv").read_bytes().split(b"\r\n")
    (tmp_path / "alt.csv").write_bytes(b"\r\n".join([lines[0], *lines[1:2701], b""]))
    (tmp_path / "neu.csv").write_bytes(b"\r\n".join([lines[0], *lines[2701:]]))
    stored = json.loads(call("run", "ingest", "alt.csv", "--json").stdout)
    assert stored["events"] == 2700
    decided = json.loads(call("run", "predict", "neu.csv", "--json").stdout)
    assert sum(decided["decided"].values()) == 300
    assert decided["decided"]["approve"] > 200 and decided["decided"]["block"] > 0
    order = lines[2750].split(b";")[0].decode()
    shown = call("show", order).stdout
    assert "order_price" in shown and "EUR" in shown
    (tmp_path / "labels.csv").write_text(f"EVENT_ID,EVENT_LABEL,LABEL_TIMESTAMP\n{order},fraud,2026-05-01T00:00:00Z\n")
    assert json.loads(call("run", "label", "labels.csv", "--json").stdout)["labels"] == 1
    trained = call("train", "--model", "orders_model").stdout
    assert "AUC" in trained
    assert "fraud" in call("show", order).stdout


def test_webhooks_of_a_hosted_shop(call, tmp_path):
    summary, mapping = draft(call, tmp_path, "webhooks.jsonl", make_feeds.webhook_shop())
    assert "/line_items is a list of price, quantity, sku" in mapping
    report, filled = checked(call, "webhooks.jsonl")
    assert (report["orders"], report["rejected"]) == (300, [])
    names = ["order_price", "email_address", "ip_address", "user_agent", "shipping_country", "billing_country", "signed_up_at"]
    assert {name: filled[name] for name in names} == dict.fromkeys(names, 300)
    call("apply")
    assert decide(call, "webhooks.jsonl") == 300


def test_a_payment_providers_settlement_and_its_disputes(call, tmp_path):
    settlement, disputes = make_feeds.payment_provider()
    summary, mapping = draft(call, tmp_path, "settlement.csv", settlement)
    assert any("what is one" in question for question in summary["questions"])
    (tmp_path / "config" / "mapping.yaml").write_text(
        mapping.replace("rates: {}", "rates: {GBP: 1.17, CHF: 1.05}").replace("# labels:", "labels:")
        # The section in the draft's comments, with the names of the provider's columns.
        .replace("#   event_id: /order_id", "  event_id: /Merchant Reference")
        .replace("#   kind: /kind", "  kind: /Record Type")
        .replace("#   reason_code: /reason_code", "  reason_code: /Reason Code")
        .replace(
            "#   timestamp: /received_at",
            "  timestamp: /Record Date\n  amount: /Dispute Amount\n  currency: /Dispute Currency",
        )
        .replace("#   table:", "  table:")
        .replace("#     - {kind", "    - {kind")
        .replace("id: \"/PSP Reference\"", "id: \"/Merchant Reference\"")
    )
    report, filled = checked(call, "settlement.csv")
    assert (report["orders"], report["rejected"]) == (400, [])
    assert (filled["order_price"], filled["card_bin"], filled["card_fingerprint"]) == (400, 400, 400)
    # The country of a shopper is no account: one fraud would block all who live there.
    assert "customer_id" not in filled
    call("apply")
    assert decide(call, "settlement.csv") == 400
    (tmp_path / "disputes.csv").write_bytes(disputes)
    labelled = json.loads(call("run", "label", "disputes.csv", "--json").stdout)
    # The other disputes are about goods, and say nothing about fraud.
    assert (labelled["labels"], labelled["labels_kept"]) == (5, 5)
    assert labelled["label_kinds"]["chargeback"] == {
        "matched": 10,
        "unmatched": 0,
        "known_already": 0,
        "amounts": {"EUR": "200.00"},
    }
    assert call("show", "--unmatched").stdout == "every label has its order\n"
    (tmp_path / "stray.csv").write_bytes(disputes.split(b"\r\n")[0] + b"\r\n1,M-1,Chargeback,10.4,2026-02-04 08:30:00,9.50,EUR\r\n")
    assert "1 chargeback: 0 matched, 1 unmatched, 9.50 EUR" in call("run", "label", "stray.csv").stdout
    assert "m-1" in call("show", "--unmatched").stdout.lower()
    # The same rows come again next week, and change nothing.
    again = json.loads(call("run", "label", "disputes.csv", "--json", "--restart").stdout)
    assert (again["rejected"], again["label_kinds"]["chargeback"]["known_already"]) == ({}, 10)


def test_bookings_of_a_travel_site(call, tmp_path):
    _, mapping = draft(call, tmp_path, "bookings.tsv", make_feeds.travel_bookings())
    assert "/bookedAt: {time: [\"unix_ms\"]}" in mapping
    report, filled = checked(call, "bookings.tsv")
    assert (report["orders"], report["rejected"]) == (300, [])
    names = ["order_price", "email_address", "ip_address", "device_id", "phone_number", "card_fingerprint", "passengers"]
    assert {name: filled[name] for name in names} == dict.fromkeys(names, 300)
    call("apply")
    assert decide(call, "bookings.tsv") == 300


def test_check_rejects_what_the_service_would_refuse(call, tmp_path):
    draft(call, tmp_path, "bookings.tsv", make_feeds.travel_bookings(20))
    mapping = tmp_path / "config" / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("variables:\n", "variables:\n  extra: /route\n", 1))
    done = call("check", "bookings.tsv", "--strict", check=False)
    assert done.returncode == 1
    assert "20 refused, first record 1: the event type of the detector lacks variable `extra`" in done.stdout
    assert "there is no order to judge" in done.stdout


def test_check_warns_before_three_thousand_orders_are_approved(call, tmp_path):
    """Orders of another shop than the sample's: not one of its rules can fire, and `check` says so."""
    (tmp_path / "orders.jsonl").write_text('{"order_id":"o-1","created_at":"2026-06-01T10:00:00Z"}\n' * 3)
    sample = ["--mapping", ROOT / "config/mapping.yaml", "--rules", ROOT / "config/detector.yaml"]
    done = call("check", "orders.jsonl", *sample, "--strict", check=False)
    assert done.returncode == 1
    assert "cannot fire on this data: never filled: email_domain" in done.stdout
    assert "2 orders come again with the same content" in done.stdout
    assert "rules cannot fire on this data" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"Nr;Datum\n", "a.csv has no records: only a header, or nothing at all"),
        ("a.csv", b"Nr;Nr\n1;2\n", "two columns have the name `Nr`; rename one of them"),
        ("a.jsonl", b"\x00\x01\x02\n", "none of the first 1 records could be read"),
    ],
)
def test_files_that_are_no_orders(call, tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    done = call("init", name, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / "config").exists()


def test_rows_that_the_mapping_does_not_fit_stop_the_run_at_once(call, tmp_path):
    (tmp_path / "orders.csv").write_text("Bestellnummer;Betrag\nB-1;12,50\n")
    done = call("run", "predict", "orders.csv", "--mapping", ROOT / "config/mapping.yaml", check=False)
    assert done.returncode == 1
    assert "finds no id (`/order_id`)" in done.stderr
    assert "fraudstream init" in done.stderr
