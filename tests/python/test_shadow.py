"""A version judges live orders beside the one that decides, or decides on a share of them: `shadow`, `compare`, `rollout`."""

import json
import pathlib

import pytest
from botocore.exceptions import ClientError
from conftest import ROOT, client, environment, free_port, make_call, run, server

RULE = "$cards_per_ip_1d >= 2 and $order_price < 50"
ORDERS = (ROOT / "events/orders.jsonl").read_text().splitlines()


def make_shop(fraudstream, folder):
    """A folder of state with an active version, and with a draft that blocks dear orders."""
    folder.mkdir()
    call = make_call(fraudstream, folder / "home")
    call.home = folder / "home"
    call("apply")
    text = (ROOT / "config/detector.yaml").read_text()
    assert RULE in text
    draft = folder / "draft.yaml"
    draft.write_text(text.replace(RULE, "$order_price > 300", 1))
    done = json.loads(call("apply", draft, "--no-activate", "--reason", "dear orders", "--json").stdout)
    assert any("stays a draft" in step["detail"] for step in done["steps"])
    newest = json.loads(call("history", "1", "--json").stdout)[0]
    assert "moves" not in newest
    assert [part["name"] for part in newest["parts"]] == ["cards_from_one_connection"]

    def predict(first, last):
        path = folder / f"orders-{first}.jsonl"
        path.write_text("\n".join(ORDERS[first:last]) + "\n")
        return json.loads(call("run", "predict", path, "--json").stdout)

    call.predict = predict
    return call


def refused(call, sentence, *arguments):
    done = call(*arguments, check=False)
    assert done.returncode in (1, 2), done.stdout
    assert sentence in done.stderr


def judge(call, *arguments):
    return json.loads(call(*arguments, "--json", "--maturity", "0").stdout)


def forwarded(call):
    [path] = pathlib.Path(call.home).rglob("outcomes.jsonl")
    return path.read_text()


def test_a_shadow_is_recorded_and_changes_nothing(fraudstream, tmp_path):
    call, alone = make_shop(fraudstream, tmp_path / "shadow"), make_shop(fraudstream, tmp_path / "alone")
    refused(call, "no version of detector `orders` is a shadow now", "compare")
    refused(call, "Version 9 of detector 'orders' does not exist", "shadow", "--version", "9")
    refused(call, "Version 1 of detector 'orders' is ACTIVE", "shadow", "--version", "1")
    shadow = json.loads(call("shadow", "--version", "2", "--reason", "try it", "--json").stdout)
    assert shadow == {"detector": "orders", "active": 1, "shadow": 2, "rollout": None}
    newest = json.loads(call("history", "1", "--json").stdout)[0]
    assert (newest["kind"], newest["reason"]) == ("shadow", "try it")
    refused(call, "no decision of detector `orders`", "compare")

    decided = [shop.predict(0, 1500)["decided"] for shop in (call, alone)]
    assert decided[0] == decided[1]
    for shop in (call, alone):
        shop("run", "label", "events/chargebacks.jsonl")
    # The same is decided, stored and forwarded as without it.
    assert judge(call, "backtest")["before"] == judge(alone, "backtest")["before"]
    lines = [forwarded(shop) for shop in (call, alone)]
    assert "shadow" not in lines[0]
    assert len(lines[0].splitlines()) == len(lines[1].splitlines()) > 0

    # Each order was judged, and as the version judges it again from the decision.
    compared, again = judge(call, "compare"), judge(call, "backtest", "--version", "2")
    assert compared["not_judged"] == 0
    assert compared["orders"] == again["orders"]
    assert compared["changes"] == again["changes"] != []
    assert compared["after"] == again["after"]
    assert compared["balance"] == again["balance"]
    assert compared["balance"]["verdict"] in ("better", "worse", "mixed", "not_known_yet")
    text = call("compare", "--maturity", "0").stdout
    assert "good orders: only it holds up" in text
    assert "fraud money held up +" in text
    assert "version 2 as a shadow against what was decided" in text

    # What comes after it is not judged, and is said to be left out.
    assert "shadow: none" in call("shadow", "--off").stdout
    call.predict(1500, 1600)
    refused(call, "no version of detector `orders` is a shadow now", "compare")
    after = judge(call, "compare", "--version", "2")
    assert after["not_judged"] > 0
    assert after["changes"] == compared["changes"]
    refused(call, "judged none of the", "compare", "--version", "1")


def versions_of(call, orders):
    """The version that decided each order, by customer."""
    found = {}
    for order in orders:
        shown = json.loads(call("show", order["order_id"], "--json").stdout)
        found.setdefault(order["customer"]["id"], set()).add(find_version(shown))
    return found


def find_version(value):
    """The first `detectorVersionId` in what `show` prints."""
    if isinstance(value, dict):
        if "detectorVersionId" in value:
            return value["detectorVersionId"]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for found in map(find_version, value) if found), None)
    return None


def test_a_rollout_decides_on_a_share_of_the_customers(fraudstream, tmp_path):
    call = make_shop(fraudstream, tmp_path / "shop")
    refused(call, "`10` is no share", "rollout", "--version", "2", "--share", "10")
    nine = ["rollout", "--version", "9", "--share", "10%"]
    refused(call, "detector `orders` has no version 9; it has 1 (ACTIVE), 2 (DRAFT)", *nine)
    refused(call, "is ACTIVE: it judges all", "rollout", "--version", "1", "--share", "10%")
    live = json.loads(call("rollout", "--version", "2", "--share", "40%", "--json").stdout)
    assert live["rollout"] == {"version": 2, "share": 0.4}
    call("shadow", "--version", "2")
    call.predict(0, 150)
    # What version 2 decided itself says nothing of what it would have changed.
    compared = judge(call, "compare")
    judged = sum(kind["orders"] for kind in compared["orders"].values())
    assert 0.15 < compared["not_judged"] / (judged + compared["not_judged"]) < 0.65
    call("shadow", "--off")
    lines = [json.loads(line) for line in ORDERS[:150] if line.startswith("{")]
    orders = [order for order in lines if order.get("order_id") and (order.get("customer") or {}).get("id")][:60]
    first = versions_of(call, orders)
    assert all(len(versions) == 1 for versions in first.values())
    share = sum(versions == {"2"} for versions in first.values()) / len(first)
    assert 0.15 < share < 0.65

    # Back for all, then for all the other way, and back again.
    assert "version 1 decides; shadow: none" in call("rollout", "--off").stdout
    assert "version 2 decides" in call("rollout", "--version", "2", "--share", "100%", "--reason", "good").stdout
    newest = json.loads(call("history", "1", "--json").stdout)[0]
    assert [part["name"] for part in newest["parts"]] == ["cards_from_one_connection"]
    assert (newest["kind"], newest["moves"]) == ("rollout", [{"detectorId": "orders", "before": 1, "after": 2}])
    assert json.loads(call("apply", "--rollback", "--json").stdout)["after"] == 1
    # A rollback ends a rollout.
    call("rollout", "--version", "2", "--share", "50%")
    for back in (["--rollback"], ["--rollback", "1"]):
        refused(call, "version 1 is active already: `fraudstream rollout --off`", "apply", *back)
    call("freeze", "--until", "1d", "--reason", "peak season", "--author", "ana")
    refused(call, "changes are frozen", "rollout", "--version", "2", "--share", "60%")
    refused(call, "changes are frozen", "rollout", "--off")
    call("rollout", "--off", "--break-glass", "too many blocks")
    all_of_active = ["rollout", "--version", "1", "--share", "100%", "--break-glass", "too many blocks"]
    refused(call, "version 1 of detector `orders` decides on all already", *all_of_active)
    call("rollout", "--version", "2", "--share", "5%", "--break-glass", "once more")
    assert "version 1 decides; shadow: none" in call(*all_of_active).stdout
    assert "moves" not in json.loads(call("history", "1", "--json").stdout)[0]


def test_a_version_that_judges_live_orders_is_not_deleted(fraudstream, tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    command = [fraudstream, "serve", "--port", url.rsplit(":", 1)[1], "--home", tmp_path / "served"]
    draft = tmp_path / "draft.yaml"
    draft.write_text((ROOT / "config/detector.yaml").read_text().replace(RULE, "$order_price > 300", 1))
    with server(command, f"{url}/_fraudstream/health", tmp_path / "serve.log"):
        env = environment(AWS_ENDPOINT_URL=url)
        run(fraudstream, "apply", env=env)
        run(fraudstream, "apply", draft, "--no-activate", env=env)
        detector = client("frauddetector", url)
        second = {"detectorId": "orders", "detectorVersionId": "2"}
        for start, end in (
            (["shadow", "--version", "2"], ["shadow", "--off"]),
            (["rollout", "--version", "2", "--share", "1%"], ["rollout", "--off"]),
        ):
            run(fraudstream, *start, env=env)
            with pytest.raises(ClientError, match="judges live events"):
                detector.delete_detector_version(**second)
            with pytest.raises(ClientError, match="judges live events"):
                detector.update_detector_version(**second, rules=[], externalModelEndpoints=[])
            run(fraudstream, *end, env=env)
        # What is made active needs no shadow of itself, and ends a share.
        run(fraudstream, "shadow", "--version", "2", env=env)
        run(fraudstream, "rollout", "--version", "2", "--share", "1%", env=env)
        detector.update_detector_version_status(**second, status="ACTIVE")
        live = json.loads(run(fraudstream, "rollout", "--json", env=env).stdout)
        assert live == {"detector": "orders", "active": 2, "shadow": None, "rollout": None}


@pytest.mark.parametrize("command", [["shadow"], ["compare"], ["rollout"]])
def test_amazon_has_neither(fraudstream, tmp_path, command):
    done = make_call(fraudstream, tmp_path / "home")(*command, "--fraud-detector", "amazon", check=False)
    assert done.returncode == 1
    assert "is for the engine only" in done.stderr
