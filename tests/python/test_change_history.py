"""Every change of what decides is recorded, and can be taken back, frozen and approved."""

import json
import time

import pytest
from conftest import ROOT, client, environment, eventually, free_port, make_call, run, server

RULE = "$cards_per_ip_1d >= 2 and $order_price < 50"


@pytest.fixture
def call(fraudstream, tmp_path):
    """A folder of state in which nothing was applied yet."""
    call = make_call(fraudstream, tmp_path / "home")

    def write_draft(after):
        text = (ROOT / "config/detector.yaml").read_text()
        assert RULE in text
        path = tmp_path / "draft.yaml"
        path.write_text(text.replace(RULE, after, 1))
        return path

    call.draft = write_draft
    return call


def history(call, *arguments):
    return json.loads(call("history", "--json", *arguments).stdout)


def refused(call, sentence, *arguments):
    """The command fails with this sentence, and changes nothing."""
    before = history(call, "1000")
    done = call(*arguments, check=False)
    assert done.returncode in (1, 2), done.stdout
    assert sentence in done.stderr
    assert history(call, "1000") == before


def test_an_empty_history_is_a_sentence(call):
    assert call("history").stdout == "no change is recorded yet: `fraudstream apply` records each\n"
    assert history(call) == []
    done = call("apply", "--rollback", check=False)
    assert done.returncode == 1
    assert "the service has no detector `orders`; it has none" in done.stderr
    call("apply")
    refused(
        call,
        "the history does not say which version of detector `orders` decided before: name it with --rollback N; "
        "it has 1 (ACTIVE)",
        "apply",
        "--rollback",
    )
    refused(call, "detector `orders` has no version 9; it has 1 (ACTIVE)", "apply", "--rollback", "9")
    refused(call, "version 1 of detector `orders` is active already", "apply", "--rollback", "1")


def test_a_change_has_author_reason_difference_and_backtest(call, tmp_path):
    call("apply", USER="ana")
    [first] = history(call)
    assert (first["author"], first["state"], first["kind"]) == ("ana", "done", "apply")
    assert "reason" not in first
    assert first["moves"] == [{"detectorId": "orders", "after": 1}]
    assert {part["resource"] for part in first["parts"]} == {"rule", "variable", "outcome"}
    assert "no reason given" in call("history").stdout

    call("run", "predict", "events/orders.jsonl")
    draft = call.draft("$order_price > 300")
    backtest = tmp_path / "backtest.json"
    backtest.write_text(call("backtest", "--rules", draft, "--json", "--changes").stdout)
    call("apply", draft, "--reason", "cards from one address", "--author", "bo", "--backtest", backtest)
    newest = history(call, "1")[0]
    assert (newest["author"], newest["reason"]) == ("bo", "cards from one address")
    assert newest["moves"] == [{"detectorId": "orders", "before": 1, "after": 2}]
    [part] = newest["parts"]
    assert (part["resource"], part["name"]) == ("rule", "cards_from_one_connection")
    assert RULE in part["before"]
    assert "$order_price > 300" in part["after"]
    assert newest["backtest"]["draft"] == str(draft)
    assert "changed_orders" not in newest["backtest"]
    # The texts as they were, and not only those that changed.
    texts = {rule["ruleId"]: rule["expression"] for rule in newest["rules"]}
    assert len(texts) > 5
    assert texts["cards_from_one_connection"].strip() == "$order_price > 300"
    text = call("history").stdout
    assert "detector orders: version 1 -> 2" in text
    assert f"- {RULE}" in text
    assert "backtest: " in text
    # Nothing to do is no change.
    call("apply", draft)
    assert len(history(call)) == 2


def test_a_rollback_only_activates_and_is_recorded(call):
    call("apply")
    draft = call.draft("$order_price > 300")
    call("apply", draft)
    call("run", "predict", "events/orders.jsonl")
    started = time.monotonic()
    done = json.loads(call("apply", "--rollback", "--reason", "too many blocks", "--json").stdout)
    assert time.monotonic() - started < 5
    assert (done["before"], done["after"]) == (2, 1)
    newest = history(call, "1")[0]
    assert (newest["id"], newest["kind"], newest["reason"]) == (done["change"], "rollback", "too many blocks")
    assert [part["name"] for part in newest["parts"]] == ["cards_from_one_connection"]
    # Only the active version differs: both decide as their files do, and no version was made.
    assert json.loads(call("backtest", "--version", "2", "--json").stdout)["changes"] == []
    changed = json.loads(call("backtest", "--version", "2", "--against", "active", "--json").stdout)["changes"]
    assert changed == json.loads(call("backtest", "--rules", draft, "--against", "1", "--json").stdout)["changes"] != []
    refused(call, "has no version 3; it has 1 (ACTIVE), 2 (INACTIVE)", "apply", "--rollback", "3")
    refused(call, "detector `orders` has no version 9; it has 1 (ACTIVE), 2 (INACTIVE)", "backtest", "--version", "9")
    refused(call, "detector `orders` has no version 8", "backtest", "--against", "8")
    # Once more is back.
    done = json.loads(call("apply", "--rollback", "--json").stdout)
    assert (done["before"], done["after"]) == (1, 2)


def matched(detector):
    """The rules that match a dear order."""
    answer = detector.get_event_prediction(
        detectorId="orders", eventId="dear", eventTypeName="order", eventTimestamp="2026-06-19T10:00:00Z",
        entities=[{"entityType": "customer", "entityId": "c-1"}], eventVariables={"order_price": "5000"},
    )
    return {rule["ruleId"] for rule in answer["ruleResults"]}


def test_a_rollback_reaches_a_running_engine_within_five_seconds(fraudstream, tmp_path, call):
    url = f"http://127.0.0.1:{free_port()}"
    command = [fraudstream, "serve", "--port", url.rsplit(":", 1)[1], "--home", tmp_path / "served"]
    with server(command, f"{url}/_fraudstream/health", tmp_path / "serve.log"):
        env = environment(AWS_ENDPOINT_URL=url)
        run(fraudstream, "apply", env=env)
        run(fraudstream, "apply", call.draft("$order_price > 300"), env=env)
        detector = client("frauddetector", url)
        eventually(lambda: "cards_from_one_connection" in matched(detector), timeout=10)
        started = time.monotonic()
        done = json.loads(run(fraudstream, "apply", "--rollback", "--json", env=env).stdout)
        assert done["seconds"] < 5
        eventually(lambda: "cards_from_one_connection" not in matched(detector), timeout=10)
        assert time.monotonic() - started < 5


def test_a_freeze_refuses_changes_unless_the_glass_is_broken(call):
    call("apply")
    assert call("freeze").stdout == "changes are not frozen\n"
    refused(call, "--reason", "freeze", "--until", "2d")
    refused(call, "say --reason TEXT", "freeze", "--until", "2d", "--reason", " ")
    refused(call, "has to end in the future", "freeze", "--until", "2020-01-01", "--reason", "past")
    call("freeze", "--until", "2d", "--reason", "peak season", "--author", "ana")
    assert json.loads(call("freeze", "--json").stdout)["freeze"]["reason"] == "peak season"
    draft = call.draft("$order_price > 300")
    refused(call, "by ana (peak season); nothing was changed", "apply", draft)
    refused(call, "by ana (peak season); nothing was changed", "apply", "--rollback", "1")
    # A rehearsal is no change.
    assert "to do; nothing was sent" in call("apply", draft, "--dry-run").stdout
    call("apply", draft, "--break-glass", "card testing at 2 a.m.", "--author", "bo")
    newest = history(call, "1")[0]
    assert (newest["breakGlass"], newest["state"]) == ("card testing at 2 a.m.", "done")
    refused(call, "changes are frozen", "apply", "--rollback")
    call("freeze", "--lift", "--author", "ana", "--reason", "over")
    assert history(call, "1")[0]["steps"] == ["changes are allowed again"]
    refused(call, "changes are not frozen", "freeze", "--lift")
    call("apply", "--rollback")


def test_a_reason_is_asked_for_where_the_lead_wants_one(call):
    assert "a reason is not required" in call("policy").stdout
    call("policy", "--require-reason", "on", "--author", "ana")
    refused(call, "a change needs a reason here: say --reason TEXT", "apply")
    refused(call, "a change needs a reason here", "apply", "--reason", " ")
    call("apply", "--reason", "first rules")
    assert history(call, "1")[0]["reason"] == "first rules"
    off = ["policy", "--json", "--require-reason", "off"]
    for command in (off, ["freeze", "--until", "1d", "--reason", ""], ["shadow", "--version", "2"]):
        refused(call, "a change needs a reason here", *command)
    assert json.loads(call(*off, "--reason", "over").stdout)["reasonRequired"] is False


def test_another_person_approves(call):
    call("apply")
    call("policy", "--require-approval", "on", "--author", "lead")
    draft = call.draft("$order_price > 300")
    refused(call, "say --author NAME", "apply", draft, "--author", "")
    done = json.loads(call("apply", draft, "--author", "ana", "--json").stdout)
    change = done["change"]
    assert done["waits"] is True
    assert history(call, "1")[0]["state"] == "waiting"
    # The version is there, and does not decide.
    refused(call, "it has 1 (ACTIVE), 2 (DRAFT)", "apply", "--rollback", "9")
    refused(call, f"waits for an approval already: `fraudstream approve {change}`", "apply", draft, "--author", "ana")
    refused(call, "ana made change", "approve", change, "--author", "ana")
    refused(call, "there is no change `nothing`", "approve", "nothing", "--author", "bo")
    refused(call, "has never decided", "apply", "--rollback", "2")
    approved = json.loads(call("approve", change, "--author", "bo", "--reason", "looked at it", "--json").stdout)
    assert (approved["state"], approved["approval"]["author"]) == ("done", "bo")
    text = call("history").stdout
    assert "approved by bo" in text
    assert "reason: looked at it" in text
    refused(call, "was approved by bo", "approve", change, "--author", "cy")
    # It is the active one now, and can be taken back.
    done = json.loads(call("apply", "--rollback", "--json").stdout)
    assert (done["before"], done["after"]) == (2, 1)
    # What was made before something else became active is not approved any more.
    first = json.loads(call("apply", call.draft("$order_price > 400"), "--author", "ana", "--json").stdout)["change"]
    call("apply", call.draft("$order_price > 500"), "--author", "ana", "--break-glass", "attack")
    refused(call, "apply it again", "approve", first, "--author", "bo")
    urgent = history(call, "1")[0]
    # Not even if that was taken back: its author did not know.
    call("apply", "--rollback", "--author", "ana")
    refused(call, "apply it again", "approve", first, "--author", "bo")
    assert "nobody has approved it" in call("history").stdout
    call("approve", urgent["id"], "--author", "bo")
    assert "nobody has approved it" not in call("history").stdout


def test_what_is_no_backtest_and_no_rule_is_refused(call, tmp_path):
    call("apply")
    other = tmp_path / "other.json"
    other.write_text('{"draft": "x"}')
    refused(call, "is not what `fraudstream backtest --json` prints: it has no member `against`", "apply", "--backtest", other)
    refused(call, "nowhere.json", "apply", "--backtest", tmp_path / "nowhere.json")
    refused(call, "did you mean `$cards_per_ip_1d`", "apply", call.draft("$cards_per_ipp_1d >= 2"))


def test_amazon_keeps_no_history(call):
    for command in (["history"], ["freeze"], ["policy"], ["approve", "x"]):
        done = call(*command, "--fraud-detector", "amazon", check=False)
        assert done.returncode == 1
        assert "Amazon Fraud Detector keeps no history of changes" in done.stderr
