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


@pytest.mark.parametrize(("source", "count"), [("kinesis", 5_000), ("sqs", 1_500), ("fifo", 500)])
def test_orders_are_decided_once_whatever_happens_to_the_functions(source, count, simulated, fraudstream, bootstraps, tmp_path):
    settings = Settings(seed=SEED, source=source, troubles=TROUBLES)
    with Run(settings, fraudstream, bootstraps, tmp_path).started() as one:
        shop = Shop(simulated / "history.jsonl", simulated / "orders.jsonl", count, one.dice)
        one.send(shop)
        checks = Checks(one, shop).all()
        checks.check_snapshots(200)
        checks.check_counted_once()
        with one.undisturbed(shop) as url:
            checks.check_same_as(url)
    ended = one.lambda_service.ended
    print(f"seed {SEED}, {source}: {one.took:.0f} s, {dict(ended)}")
    again = f"again with EVENT_SOURCES_SEED={SEED} pytest tests/python/test_event_sources.py -k {source}"
    assert not checks.violations, "\n".join([f"{len(checks.violations)} violations; {again}", *checks.violations[:20]])
    # It would prove nothing if nothing had happened.
    assert ended["predict killed"] and ended["predict done"], (again, ended)


class Forgetful(Lambda):
    """Takes a batch whose function was killed for done."""

    def invoke(self, mapping, batch, delivery):
        failures = super().invoke(mapping, batch, delivery)
        return [] if delivery.how == "killed" else failures


def test_the_checks_find_what_a_forgetful_lambda_loses(simulated, fraudstream, bootstraps, tmp_path):
    settings = Settings(seed=SEED, source="sqs", troubles=Troubles(killed=500))
    with Run(settings, fraudstream, bootstraps, tmp_path, Forgetful).started() as one:
        shop = Shop(simulated / "history.jsonl", simulated / "orders.jsonl", 300, one.dice)
        one.send(shop)
        violations = Checks(one, shop).all().violations
    for kind in ("has 0 decisions", "was not told", "has the label"):
        assert any(kind in violation for violation in violations), (kind, violations[:10])
