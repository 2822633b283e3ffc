"""`fraudstream` as a person uses it: files, wrong files, interruptions, and nothing told to the log."""

import json
import resource
import signal
import subprocess
import time

import pytest
from conftest import ROOT, environment, lines, run

SENTINEL = "sentinel-4711"


@pytest.fixture
def home(tmp_path, fraudstream):
    """A folder of state with the sample's detector, and how to call the command on it."""
    folder = tmp_path / "home"

    def call(*arguments, check=True, env=None, **more):
        command = [str(fraudstream), "--home", str(folder), *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, env=env or environment(), capture_output=True, text=True, timeout=300, **more)
        assert not check or done.returncode == 0, done.stderr
        return done

    call("apply", "config/detector.yaml")
    call.folder = folder
    call.command = [str(fraudstream), "--home", str(folder)]
    return call


def decided(folder):
    """Decision ids on the bus: each decision is forwarded once it is stored."""
    return [json.loads(line)["detail"]["decision_id"] for line in (folder / "outcomes.jsonl").read_text().splitlines()]


def test_the_demo_reports_as_text_and_as_json(fraudstream, tmp_path):
    report = json.loads(run(fraudstream, "--home", tmp_path, "demo", "--json", timeout=600).stdout)
    truth = lines("events/truth.jsonl")
    alone, with_past, with_model = report["states"]
    assert [state["name"] for state in report["states"]] == ["rules alone", "with velocity and links", "and with a model"]
    for state in report["states"]:
        orders = sum(volume["orders"] for side in ("fraud", "good") for volume in state[side].values())
        assert state["undecided"] == 0
        assert orders + state["duplicates"] + len(state["rejected"]) == len((ROOT / "events/orders.jsonl").read_text().splitlines())
        assert sum(volume["orders"] for volume in state["fraud"].values()) >= sum(line["fraud"] for line in truth)
        missed = state["fraud"].get("approve", {"cents": 0})["cents"]
        money = sum(volume["cents"] for volume in state["fraud"].values())
        assert state["fraud_money_not_approved_share"] == pytest.approx(1 - missed / money)
        for share in ("good_orders_blocked_share", "good_orders_touched_share", "reviewed_share", "review_precision"):
            assert 0 <= state[share] <= 1, share
    # The rules that see the past are in the second state only.
    past = {"linked_to_fraud", "cards_from_one_connection", "shared_with_other_accounts"}
    ids = [{rule["rule_id"] for rule in state["rules"]} for state in report["states"]]
    assert not past & ids[0] and past <= ids[1] and ids[0] < ids[1]
    # The model replaces rules on the order alone: they touched many good orders.
    assert {"linked_to_fraud", "model_likely"} <= ids[2] and "model_likely" not in ids[1]
    assert "failed_avs_high_value" in ids[1] and "failed_avs_high_value" not in ids[2]
    assert with_model["good_orders_touched_share"] < with_past["good_orders_touched_share"]
    assert with_past["linked"]["slow_ring"][0] > 0
    text = run(fraudstream, "--home", tmp_path, "demo", timeout=600).stdout
    for part in ["fraud money missed", "good orders touched", "reviews a day", "pattern of fraud", "judged differently", "the dearest miss", "records rejected", "undecided 0", "a second", "next"]:
        assert part in text, part
    # Another shop, and the state that is left can be asked.
    home = tmp_path / "demo/with-model"
    run(fraudstream, "--home", home, "show", "--review", "2026-06-20")
    [decision] = json.loads(run(fraudstream, "--home", home, "show", "ORD-030100", "--json").stdout)
    assert "orders_model_insightscore" in decision["scores"]
    explained = run(fraudstream, "--home", home, "explain", "ORD-030100").stdout
    assert "orders_model 1.0: score" in explained and "matching" in explained


def test_a_killed_run_goes_on_and_decides_nothing_twice(home, tmp_path):
    process = subprocess.Popen([*home.command, "run", "predict", "events/orders.jsonl"], cwd=ROOT, env=environment())
    outcomes = home.folder / "outcomes.jsonl"
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None and (not outcomes.exists() or outcomes.stat().st_size < 50_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    summary = json.loads(home("run", "predict", "events/orders.jsonl", "--json").stdout)
    # Delivery is at least once, so an id may be told twice; the decisions are those of a run that nobody killed.
    whole = tmp_path / "whole"
    for arguments in (["apply"], ["run", "predict", "events/orders.jsonl"]):
        run(home.command[0], "--home", whole, *arguments)
    assert set(decided(home.folder)) == set(decided(whole))
    assert len(decided(whole)) == len(set(decided(whole)))
    assert summary["skipped"] + summary["records"] == 2000
    again = json.loads(home("run", "predict", "events/orders.jsonl", "--json").stdout)
    assert (again["skipped"], again["records"]) == (2000, 0)


def test_an_interrupted_run_says_so_and_goes_on(home):
    process = subprocess.Popen(
        [*home.command, "run", "predict", "events/orders.jsonl"], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    outcomes = home.folder / "outcomes.jsonl"
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None and (not outcomes.exists() or outcomes.stat().st_size < 20_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "run the same command again to continue" in output
    home("run", "predict", "events/orders.jsonl")
    assert len(decided(home.folder)) == len(set(decided(home.folder)))


def test_wrong_input_ends_in_a_sentence(home, tmp_path):
    broken_mapping = tmp_path / "mapping.yaml"
    broken_mapping.write_text((ROOT / "config/mapping.yaml").read_text().replace("on_no_match: [approve]", "on_no_match: [aprove]"))
    broken_detector = tmp_path / "detector.yaml"
    broken_detector.write_text((ROOT / "config/detector.yaml").read_text().replace("$order_price", "$order_prise", 1))
    cases = [
        (["run", "predict", "nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["--mapping", broken_mapping, "run", "predict", "events/orders.jsonl"], "`on_no_match` names `aprove`, which `outcome_priority` lacks"),
        (["apply", broken_detector], "did you mean `$order_price`"),
        (["apply", tmp_path / "none.yaml"], "none.yaml"),
        (["show", "NOBODY"], "there is no decision on order `NOBODY`"),
        (["run", "predict", "events/orders.jsonl", "--detector-version", "latest"], "detector version"),
        (["list", "freight_forwarder_zips", "--add", "97201", "--author", "ana"], "missing: --reason, --expires. For example: fraudstream list freight_forwarder_zips --add 97201 --reason"),
        (["list", "freight_forwarder_zips", "--add-from", tmp_path / "none.txt"], "none.txt: No such file"),
    ]
    for arguments, sentence in cases:
        done = home(*arguments, check=False)
        assert done.returncode != 0, arguments
        assert sentence in done.stderr, f"{arguments}: {done.stderr}"
        assert "panicked" not in done.stderr


def test_an_endpoint_that_is_down_loses_nothing(home, tmp_path):
    orders = tmp_path / "orders.jsonl"
    orders.write_text("".join((ROOT / "events/orders.jsonl").read_text().splitlines(keepends=True)[:3]))
    done = home("--endpoint-url", "http://127.0.0.1:9", "run", "predict", orders, check=False)
    assert done.returncode != 0
    assert "record 1 could not be processed" in done.stderr and "run the same command again" in done.stderr


def test_a_disk_that_is_full_ends_in_a_sentence_and_the_next_run_goes_on(home):
    def full():
        # No file may grow beyond this, and who tries gets an error, as on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    done = home("run", "predict", "events/orders.jsonl", check=False, preexec_fn=full)
    assert done.returncode != 0 and "panicked" not in done.stderr, done.stderr
    assert "run the same command again to continue" in done.stderr, done.stderr
    home("run", "predict", "events/orders.jsonl")
    assert len(set(decided(home.folder))) > 1900


def test_a_folder_that_cannot_be_used_ends_in_a_sentence(fraudstream, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    done = subprocess.run([str(fraudstream), "--home", str(file / "home"), "apply"], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode != 0 and "file/home" in done.stderr and "panicked" not in done.stderr


def test_rejected_records_are_replayed_once_mended(home, tmp_path):
    good = lines("events/orders.jsonl")[0]
    orders = tmp_path / "orders.jsonl"
    orders.write_text(json.dumps({**good, "created_at": "2026-06-30 10:15"}) + "\nnot json\n")
    strict = tmp_path / "strict.yaml"
    strict.write_text((ROOT / "config/mapping.yaml").read_text().replace("id: /order_id", "id: /number", 1))
    summary = json.loads(home("--mapping", strict, "run", "predict", orders, "--json").stdout)
    assert summary["rejected"] == {"missing-member": 1, "not-json": 1}
    dry = json.loads(home("replay", "--dry-run", "--json").stdout)
    assert sorted(one["would_succeed"] for one in dry) == [False, True]
    assert not any(one["done"] for one in dry)
    told = {one["would_succeed"]: one["now"] for one in dry}
    assert told[True] == "would be decided"
    assert told[False].startswith("would be refused again: ") and "not JSON" in told[False]
    text = home("replay", "--dry-run").stdout
    assert "of 2 rejected records 1 would succeed, 1 would be refused again, 0 cannot be told" in text
    assert not (home.folder / "outcomes.jsonl").exists() or not decided(home.folder), "a dry run decides nothing"
    replayed = json.loads(home("replay", "--json").stdout)
    assert sorted(one["done"] for one in replayed) == [False, True]
    assert "not JSON" in next(one["now"] for one in replayed if not one["done"])
    left = json.loads(home("replay", "--json").stdout)
    assert [one["done"] for one in left] == [False]
    assert good["order_id"] in home("show", good["order_id"]).stdout
    again = tmp_path / "again.jsonl"
    again.write_text(json.dumps({**good, "total": "1.00"}) + "\n")
    home("run", "predict", again)
    changed = json.loads(home("replay", "rejected/predict/", "--dry-run", "--json").stdout)
    assert any("with other content" in one["now"] and one["would_succeed"] is False for one in changed), changed


@pytest.fixture
def strict_mapping(tmp_path):
    """A mapping under which no order has an id."""
    path = tmp_path / "strict.yaml"
    path.write_text((ROOT / "config/mapping.yaml").read_text().replace("id: /order_id", "id: /number", 1))
    return path


def rejected_objects(folder):
    return [path for path in folder.rglob("*.json") if "rejected" in path.parts]


def write_orders(path, many, first=0):
    text = (ROOT / "events/orders.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join(text[first:first + many]))
    return path


def test_a_run_whose_records_are_all_refused_stops_and_keeps_none(home, tmp_path, strict_mapping):
    orders = write_orders(tmp_path / "orders.jsonl", 80)
    done = home("--mapping", strict_mapping, "run", "predict", orders, check=False)
    assert done.returncode == 3, done.stderr
    assert "the first 50 records were all refused for one reason (missing-member)" in done.stderr
    assert "record 1:\n  {" in done.stdout and "has no id: `/number`" in done.stdout, done.stdout
    assert "event.id                     /number  finds nothing" in done.stdout, done.stdout
    assert rejected_objects(home.folder) == []
    summary = home("--mapping", strict_mapping, "run", "predict", orders, "--json", check=False)
    assert summary.returncode == 3
    stopped = json.loads(summary.stdout)
    assert stopped["skipped"] == 0 and stopped["all_refused"]["refused"] == 50
    # With the mended mapping everything is decided.
    mended = json.loads(home("run", "predict", orders, "--json").stdout)
    assert mended["skipped"] == 0 and mended["records"] == 80 and "all_refused" not in mended
    # One order of the sample is sent twice with different content.
    assert sum(mended["decided"].values()) + mended["duplicates"] == 79 and mended["rejected"] == {"order-changed": 1}, mended


def test_a_run_that_is_told_to_keep_going_keeps_what_is_refused(home, tmp_path, strict_mapping):
    orders = write_orders(tmp_path / "orders.jsonl", 80)
    summary = json.loads(home("--mapping", strict_mapping, "run", "predict", orders, "--keep-going", "--json").stdout)
    assert summary["rejected"] == {"missing-member": 80}
    assert len(rejected_objects(home.folder)) == 80


@pytest.mark.parametrize("ends_with", ["a good order", "another reason", "nothing"])
def test_what_was_held_is_kept_when_the_run_goes_on(home, tmp_path, ends_with):
    refused = [f'{{"number": {number}}}' for number in range(45)]
    last = {"a good order": [(ROOT / "events/orders.jsonl").read_text().splitlines()[0]], "another reason": ["not json"], "nothing": []}
    many = refused + last[ends_with] + (refused if ends_with != "nothing" else [])
    orders = tmp_path / "orders.jsonl"
    orders.write_text("\n".join(many) + "\n")
    summary = json.loads(home("run", "predict", orders, "--json").stdout)
    assert sum(summary["rejected"].values()) == len(rejected_objects(home.folder)) == len(many) - (ends_with == "a good order")
    assert json.loads(home("run", "predict", orders, "--json").stdout)["skipped"] == len(many)


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(home, tmp_path):
    orders = write_orders(tmp_path / "orders.jsonl", 60)
    home("run", "predict", orders)
    number = lines("events/orders.jsonl")[0]["order_id"]
    csv = tmp_path / "events.csv"
    csv.write_text("amount,country,is_fraud\n" + "".join(f"{row % 97}.5,{'NOFR'[row % 2 * 2:][:2]},{int(row % 9 == 0)}\n" for row in range(900)))
    for arguments in [
        ["show", number], ["show", number, "--json"], ["explain", number], ["replay", "--dry-run"], ["subject", "--order", number],
        ["list", "freight_forwarder_zips"], ["jobs"], ["apply", "--dry-run"], ["simulate", "--out", tmp_path / "shop"],
        ["evaluate", csv], ["run", "predict", orders], ["forget", number, "--dry-run"],
    ]:
        command = [*home.command, *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # Closed before the command writes: its first line finds nobody.
        process.stdout.close()
        told = process.stderr.read()
        status = process.wait(timeout=300)
        if arguments[0] == "explain":
            # Without a model there is an error to tell, and no output.
            assert "panicked" not in told
            continue
        assert (told, status) == ("", 141), arguments


def test_simulate_tells_a_person_and_a_program(home, tmp_path):
    shop = tmp_path / "shop"
    assert home("simulate", "--out", shop, "--seed", 5).stdout == f"wrote the files of a simulated shop to {shop}, with seed 5\n"
    assert json.loads(home("simulate", "--out", shop, "--json").stdout)["out"] == str(shop)


def test_labels_and_lists_are_shown(home):
    home("run", "predict", "events/orders.jsonl")
    summary = json.loads(home("run", "label", "events/chargebacks.jsonl", "--json").stdout)
    # Chargebacks after today are not known yet; what waits or is applied adds up with what is rejected.
    assert summary["labels"] + summary["labels_kept"] + summary["labels_waiting"] + sum(summary["rejected"].values()) == summary["records"]
    assert summary["labels"] > 10
    labelled = next(line["order_id"] for line in lines("events/chargebacks.jsonl") if line["label_timestamp"] < "2026-07-20")
    text = home("show", labelled).stdout
    assert "label " in text and "forwarded   yes" in text
    reviews = home("show", "--review", "2026-06-30").stdout
    assert "review" in reviews
    decision = json.loads(home("show", labelled, "--json").stdout)[0]
    if decision["entity_id"] != "unknown":
        assert labelled in home("show", "--entity", f"{decision['entity_type']}/{decision['entity_id']}").stdout


def test_what_is_allowed_outranks_rules_and_is_shown(home, tmp_path):
    home("run", "predict", "events/orders.jsonl")
    (review,) = [line for line in home("show", "--review", "2026-06-30").stdout.splitlines()[1:2]]
    order_id = review.split()[0]
    (decision,) = json.loads(home("show", order_id, "--json").stdout)
    assert decision["effective_outcome"] == "review" and "override" not in decision
    # The same day under a mapping with an allow entry, and another state.
    mapping = tmp_path / "mapping.yaml"
    text = (ROOT / "config/mapping.yaml").read_text()
    mapping.write_text(text.replace("allow: [allowed_customer]", "allow: [allowed_customer, allowed_address, vip]", 1))
    detector = tmp_path / "detector.yaml"
    rule = """
        - RuleId: allowed_address
          DetectorId: orders
          Language: DETECTORPL
          Description: Buyers that we know
          Outcomes: [{Arn: !GetAtt Approve.Arn}]
          Expression: $email_address in @allowed_addresses
"""
    new_list = "  Allowed:\n    Type: AWS::FraudDetector::List\n    Properties: {Name: allowed_addresses, VariableType: EMAIL_ADDRESS}\n"
    text = (ROOT / "config/detector.yaml").read_text().replace("      Rules:\n", f"      Rules:{rule}", 1)
    detector.write_text(text.replace("Resources:\n", f"Resources:\n{new_list}", 1))

    def call(*arguments):
        return run(home.command[0], "--home", tmp_path / "other", "--mapping", mapping, *arguments).stdout

    assert "warning: rule vip: `overrides` of the mapping names it" in call("apply", detector)
    addresses = tmp_path / "addresses.txt"
    addresses.write_text(f"{decision['variables']['email_address']}\n\njo@example.com\n")
    notes = ["--reason", "wholesale", "--author", "ana", "--expires", "30d"]
    assert call("list", "allowed_addresses", "--add-from", addresses, *notes) == "2 added, 2 in the list\n"
    for entry in json.loads(call("list", "allowed_addresses", "--json")):
        assert (entry["reason"], entry["author"]) == ("wholesale", "ana") and entry["expires"]
    call("run", "predict", "events/orders.jsonl")
    (allowed,) = json.loads(call("show", order_id, "--json"))
    assert allowed["effective_outcome"] == "approve" and "review" in allowed["outcomes"]
    assert allowed["override"] == {"rule": "allowed_address", "kind": "allow"}
    shown = call("show", order_id).splitlines()
    assert shown[0].startswith(f"order {order_id}, {allowed['variables']['order_price']} USD, of customer ")
    assert shown[1] == "  decision    approve (also review)"
    assert shown[2] == "  override    allow entry, by rule allowed_address: Buyers that we know"
    assert "email_address is in list allowed_addresses" in shown[3] and "reason wholesale, author ana" in shown[3]
    assert shown[4].startswith("  overruled   review: ")


def test_the_reviews_with_most_at_stake_come_first(home):
    home("run", "predict", "events/orders.jsonl")
    reviews = json.loads(home("show", "--review", "2026-06-30", "--json").stdout)
    amounts = [float(decision["variables"]["order_price"]) for decision in reviews]
    assert len(amounts) > 2 and amounts == sorted(amounts, reverse=True)


def test_no_value_reaches_the_log_at_any_level(home, tmp_path):
    order = lines("events/orders.jsonl")[0]
    members = ["email", "phone", "id"]
    order["order_id"] = "log-1"
    order["customer"] = {name: f"{SENTINEL}-{name}@example.com" for name in members} | {"signed_up_at": SENTINEL}
    for part in ["billing", "shipping", "client"]:
        order[part] = {name: f"{SENTINEL} {name}" for name in order[part]}
    refused = {**order, "order_id": "log-2", "items": [{"quantity": SENTINEL, "unit_price": SENTINEL, "category": SENTINEL}]}
    records = [json.dumps(order), json.dumps(refused), json.dumps({**order, "order_id": "log-3", "created_at": SENTINEL}), f'{{"{SENTINEL}"', json.dumps({**order, "total": "1"})]
    path = tmp_path / "orders.jsonl"
    path.write_text("\n".join(records) + "\n")
    for function in ["predict", "ingest", "label"]:
        done = home("run", function, path, env=environment(RUST_LOG="trace"))
        assert "record rejected" in done.stderr, "the log must be there for its silence to mean something"
        assert SENTINEL not in done.stdout + done.stderr, function
