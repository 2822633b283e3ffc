"""The functions between event source mappings that kill them, repeat batches and cut them short: nothing is lost, and nothing is there twice.

Time is real, so a seed does not give the same history to the byte. What it draws is the same: orders, batches that are
repeated, and which invocations are killed.

    EVENT_SOURCES_SEED=17 pytest tests/python/test_event_sources.py -k kinesis
"""

import os

import pytest

from conftest import run
from event_sources.checks import Checks
from event_sources.lambda_service import Lambda, Troubles
from event_sources.run import Run, Settings
from event_sources.shop import Shop

SEED = int(os.environ.get("EVENT_SOURCES_SEED", "1"))
TROUBLES = Troubles(killed=80, answer_lost=20, killed_after_answer=20, little_time=20, refused=10)


@pytest.fixture(scope="module")
def simulated(fraudstream, tmp_path_factory):
    """The files of a simulated shop."""
    folder = tmp_path_factory.mktemp("simulated")
    run(fraudstream, "simulate", "--out", folder, "--seed", "7")
    return folder


# The last one asks a service that allows fewer calls a second than the environments make together.
@pytest.mark.parametrize(
    ("source", "count", "allowed"), [("kinesis", 5_000, None), ("sqs", 1_500, None), ("fifo", 500, None), ("kinesis", 600, 50)],
    ids=["kinesis", "sqs", "fifo", "quota"],
)
def test_orders_are_decided_once_whatever_happens_to_the_functions(source, count, allowed, simulated, fraudstream, bootstraps, tmp_path, request):
    settings = Settings(seed=SEED, source=source, troubles=TROUBLES, allowed=allowed)
    with Run(settings, fraudstream, bootstraps, tmp_path).started() as one:
        shop = Shop(simulated / "history.jsonl", simulated / "orders.jsonl", count, one.dice)
        one.send(shop)
        checks = Checks(one, shop).all()
        if allowed is None:  # a service like Amazon's does not say by which prediction it answered
            checks.check_snapshots(200)
        checks.check_counted_once()
        with one.undisturbed(shop) as url:
            checks.check_same_as(url)
    ended = one.lambda_service.ended
    name = request.node.callspec.id
    print(f"seed {SEED}, {name}: {one.took:.0f} s, {dict(ended)}")
    again = f"again with EVENT_SOURCES_SEED={SEED} pytest tests/python/test_event_sources.py -k {name}"
    assert not checks.violations, "\n".join([f"{len(checks.violations)} violations; {again}", *checks.violations[:20]])
    # It would prove nothing if nothing had happened.
    assert any(how.endswith("killed") for how in ended) and ended["predict done"], (again, ended)
    assert allowed is None or one.limited.throttled, (again, "no call was throttled")


class Forgetful(Lambda):
    """Takes a batch whose function was killed for done."""

    def invoke(self, mapping, batch, plan, delivery):
        failures = super().invoke(mapping, batch, plan, delivery)
        return [] if delivery.how == "killed" else failures


def test_the_checks_find_what_a_forgetful_lambda_loses(simulated, fraudstream, bootstraps, tmp_path):
    settings = Settings(seed=SEED, source="sqs", troubles=Troubles(killed=500))
    with Run(settings, fraudstream, bootstraps, tmp_path, Forgetful).started() as one:
        shop = Shop(simulated / "history.jsonl", simulated / "orders.jsonl", 600, one.dice)
        one.send(shop)
        violations = Checks(one, shop).all().violations
    for kind in ("has 0 decisions", "was not told", "has the label"):
        assert any(kind in violation for violation in violations), (kind, violations[:10])
