"""CSV files as they come: rows with a comma too many, other encodings, reports of disputes."""

import base64
import gzip
import json

import pytest
from conftest import ROOT, make_call

HEADER = "EVENT_TIMESTAMP,EVENT_ID,EVENT_LABEL,LABEL_TIMESTAMP,ENTITY_ID,ENTITY_TYPE,customer_id,order_price"
DISPUTES = "Account,Merchant Reference,Record Type,CB Reason Code,Record Date\nShop,{id},Chargeback,10.4,2026-11-10 18:03:50\n"
LABELS = """
labels:
  event_id: /Merchant Reference
  kind: /Record Type
  reason_code: /CB Reason Code
  timestamp: /Record Date
  table: [{kind: CHARGEBACK, code: "10.*", label: fraud}]
"""


def row(event, note):
    return f"2026-05-01T00:00:00Z,{event},legit,2026-06-01T00:00:00Z,c1,customer,{note},10.5"


@pytest.fixture
def call(fraudstream, tmp_path):
    """A folder of state with the sample's detector, and how to call the command on it."""
    call = make_call(fraudstream, tmp_path / "home")
    call("apply", "config/detector.yaml")
    return call


def rejected(tmp_path):
    files = (tmp_path / "home/s3/fraudstream/rejected").rglob("*.json")
    return sorted((json.loads(file.read_text()) for file in files), key=lambda record: record["position"]["id"])


def test_a_row_with_a_comma_too_many_is_rejected_whole(call, tmp_path):
    broken = row("s2", "KHTML, café").encode("latin-1")
    file = tmp_path / "rows.csv"
    file.write_bytes(b"\n".join([HEADER.encode(), row("s1", '"KHTML, like"').encode(), broken, b"2026-05-01T00:00:00Z,s3", b""]))
    summary = json.loads(call("run", "ingest", file, "--json").stdout)
    assert (summary["events"], summary["rejected"]) == (1, {"bad-row": 2})
    first, second = rejected(tmp_path)
    assert first["reason"] == "row 2: The row has 9 fields, the header has 8."
    assert base64.b64decode(first["payload_base64"]) == broken
    assert second["reason"] == "row 3: The row has 2 fields, the header has 8."
    assert second["payload"] == "2026-05-01T00:00:00Z,s3"
    # The rows stay what they are, until the file is corrected.
    assert call("replay").stdout.count("correct it there") == 2
    assert [record["reason"] for record in rejected(tmp_path)] == [first["reason"], second["reason"]]
    again = json.loads(call("run", "ingest", file, "--json").stdout)
    assert (again["skipped"], again["records"]) == (3, 0)


@pytest.mark.parametrize("change, decoded", [
    (lambda text: text.encode("latin-1"), 1),
    (lambda text: text.encode("utf-8-sig"), 0),
    (lambda text: text.encode("utf-16"), 0),
    (lambda text: gzip.compress(text.replace(",", ";").encode()), 0),
], ids=["latin-1", "mark", "utf-16", "gzip-and-semicolons"])
def test_encodings(call, tmp_path, change, decoded):
    file = tmp_path / "rows.csv"
    file.write_bytes(change(HEADER + "\n" + row("l1", "José") + "\n"))
    summary = json.loads(call("run", "ingest", file, "--json").stdout)
    assert (summary["events"], summary["rejected"], summary["windows_1252_rows"]) == (1, {}, decoded)


def sample_mapping(tmp_path, labels):
    """The sample's mapping with another section of labels."""
    text = (ROOT / "config/mapping.yaml").read_text()
    before, _, after = text.partition("\nlabels:\n")
    rest = [line for line in after.splitlines() if line and line[0] not in " #"]
    assert not rest, "labels is the last section"
    file = tmp_path / "map.yaml"
    file.write_text(before + "\n" + labels)
    return file


def test_a_report_of_disputes_goes_through_the_mapping(call, tmp_path):
    order = json.loads((ROOT / "events/orders.jsonl").read_text().splitlines()[0])
    orders, report = tmp_path / "orders.jsonl", tmp_path / "report.csv"
    orders.write_text(json.dumps(order))
    report.write_text(DISPUTES.format(id=order["order_id"]))
    # The sample's mapping is for messages.
    refused = call("run", "label", report, check=False)
    assert refused.returncode == 1
    assert "finds no event_id (`/" in refused.stderr and "the columns are Account, Merchant Reference, Record Type" in refused.stderr
    mapping = str(sample_mapping(tmp_path, LABELS))
    call("run", "predict", orders, MAPPING_FILE=mapping)
    summary = json.loads(call("run", "label", report, "--json", MAPPING_FILE=mapping).stdout)
    assert (summary["labels"], summary["rejected"]) == (1, {})


@pytest.mark.parametrize("more", [("", ""), (",ip_address", ",203.0.113.1")], ids=["labels-alone", "with-a-variable"])
def test_labels_with_amazons_headers(call, tmp_path, more):
    file = tmp_path / "labels.csv"
    file.write_text(
        f"EVENT_ID,EVENT_TIMESTAMP,EVENT_LABEL,LABEL_TIMESTAMP{more[0]}\n"
        f"order-1,2026-10-31T16:03:50Z,1.0,2026-11-10T17:03:50Z{more[1]}\n"
        f",2026-10-31T16:03:50Z,fraud,2026-11-10T17:03:50Z{more[1]}\n"
    )
    summary = json.loads(call("run", "label", file, "--label", "1.0=fraud", "--json").stdout)
    # The order is not there yet; a row without an event id is no label.
    assert (summary["labels_waiting"], summary["rejected"]) == (1, {"missing-member": 1})
