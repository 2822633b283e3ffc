"""The functions between event source mappings, under load: run by `make bench`.

    .venv/tools/bin/python tests/python/bench_event_sources.py [--only kills|limit|engine] [--orders 100000] [--seed 1]

- kills: so many orders while environments are killed, batches repeated and cut short; the properties of a run must hold.
- limit: 10 shards and a factor of 10 against a service that allows 200 calls of GetEventPrediction a second; ten
  environments have 20 calls a second each, as in template.yaml. Nothing may be lost, and no second be above the limit.
- engine: the engine in the function; how long from the record to the outcome on the bus, and where the time goes.

Takes `fraudstream` from FRAUDSTREAM_BIN, or target/release, and the functions from BUILT_FUNCTIONS, or target/lambda.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from conftest import ROOT
from event_sources.checks import COLUMNS, Checks
from event_sources.dice import Dice
from event_sources.environment import cpu_seconds
from event_sources.lambda_service import Troubles
from event_sources.run import Run, Settings
from event_sources.shop import Shop

RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
FRAUDSTREAM = pathlib.Path(os.environ.get("FRAUDSTREAM_BIN", RELEASE / "fraudstream")).resolve()
FUNCTIONS = pathlib.Path(os.environ.get("BUILT_FUNCTIONS", ROOT / "target" / "lambda")).resolve()
KILLS = Troubles(killed=50, answer_lost=10, killed_after_answer=10, little_time=10, refused=10)
ENVIRONMENTS = {"predict": 4, "label": 2, "forward": 2}
# What Amazon allows in an account, and how template.yaml divides it.
ALLOWED, RESERVED, CALLS_PER_SECOND = 200, 10, 20


def percentiles(values):
    values = sorted(values)
    return [f"{values[min(int(len(values) * part), len(values) - 1)] * 1000:,.0f} ms" for part in (0.5, 0.99)] if values else ["-", "-"]


def print_table(title, rows):
    width = max(len(name) for name, *_ in rows)
    print(f"\n{title}")
    for name, *values in rows:
        print(f"  {name:<{width}}  " + "  ".join(f"{value:>12}" for value in values), flush=True)


def measure(settings, shop_files, count):
    """A run and its checks."""
    bootstraps = {name: FUNCTIONS / name / "bootstrap" for name in ENVIRONMENTS}
    with tempfile.TemporaryDirectory() as folder:
        with Run(settings, FRAUDSTREAM, bootstraps, pathlib.Path(folder)).started() as one:
            shop = Shop(shop_files / "history.jsonl", shop_files / "orders.jsonl", count, Dice(settings.seed))
            one.send(shop)
            one.serve_cpu = cpu_seconds(one.serve_process.pid)
            checks = Checks(one, shop, COLUMNS).all()
        one.dependencies = read_dependencies(one.logs())
    return one, checks


def read_dependencies(logs):
    """How long calls took, in seconds, by function: its own metric DependencyMilliseconds."""
    found = collections.defaultdict(list)
    for log in logs:
        for line in log.read_text().splitlines():
            if '"DependencyMilliseconds":' in line and line.startswith("{"):
                took = json.loads(line)["DependencyMilliseconds"]
                found[log.name.rsplit("-", 1)[0]] += [ms / 1000 for ms in (took if isinstance(took, list) else [took])]
    return found


def stages(one):
    """How long each order spent where, in seconds: from the record to the outcome, and the parts of that."""
    began, answered, forwarded = {}, {}, {}
    for delivery in one.deliveries:
        for name in delivery.tags if delivery.how == "done" else []:
            if delivery.function == "predict":
                began.setdefault(name, delivery.began)
                answered.setdefault(name, delivery.answered)
            elif delivery.function == "forward":
                forwarded.setdefault(name, delivery.began)
    told = {detail["order_id"]: min(at for at, _ in times) for times in one.bus.told.values() for _, detail in times[:1]}
    sent = {order_id: at for order_id, at in one.sent.items() if order_id in told and order_id in forwarded}
    return {
        "from the record to the outcome": [told[name] - at for name, at in sent.items()],
        "- until predict gets it: polls, and others of its lane": [began[name] - at for name, at in sent.items()],
        "- in predict": [answered[name] - began[name] for name in sent],
        "- until forward gets the decision: polls of its stream": [forwarded[name] - answered[name] for name in sent],
        "- in forward, until the bus has it": [told[name] - forwarded[name] for name in sent],
    }


def cost_rows(one, count):
    rows = [("orders", f"{count:,}"), ("seconds", f"{one.took:.0f}"), ("orders a second", f"{count / one.took:,.0f}")]
    computed = [(name, pool.cpu) for name, pool in one.pools.items()] + [("fraudstream serve", one.serve_cpu)]
    return rows + [(f"computing time of {name} for an order", f"{seconds / count * 1e6:,.0f} us") for name, seconds in computed]


def verdict_rows(checks):
    return [("violations", str(len(checks.violations)))] + [("", violation) for violation in checks.violations[:10]]


def kills(files, options):
    settings = Settings(options.seed, shards=4, factor=2, batch_size=100, environments=ENVIRONMENTS, troubles=KILLS, patience=3_600)
    one, checks = measure(settings, files, options.orders)
    ended = sorted(one.lambda_service.ended.items())
    rows = cost_rows(one, options.orders) + [(f"invocations: {how}", str(count)) for how, count in ended] + verdict_rows(checks)
    print_table(f"kills, seed {options.seed}", rows)
    return checks.violations


def limit(files, options):
    count = options.orders // 10
    environments = ENVIRONMENTS | {"predict": RESERVED}
    settings = Settings(
        options.seed, shards=10, factor=10, batch_size=100, environments=environments, time_out=60.0, allowed=ALLOWED,
        calls_per_second=options.calls_per_second, patience=3_600,
    )
    one, checks = measure(settings, files, count)
    calls = one.limited
    per_second = calls.per_second()
    checks.expect(max(per_second, default=0) <= ALLOWED, f"a second with {max(per_second, default=0)} calls")
    rows = cost_rows(one, count) + [
        ("calls of GetEventPrediction", f"{len(calls.passed) + len(calls.throttled):,}"),
        ("calls that were throttled", f"{len(calls.throttled):,}"),
        ("the most calls within any second, wherever it begins", str(calls.most_in_a_second())),
        ("calls in a second of the clock, least and most", str(min(per_second, default=0)), str(max(per_second, default=0))),
    ]
    print_table(f"limit: {ALLOWED} calls a second; {RESERVED} environments with {options.calls_per_second} each", rows + verdict_rows(checks))
    return checks.violations


def engine(files, options):
    count = options.orders // 10
    settings = Settings(options.seed, shards=4, factor=2, batch_size=100, environments=ENVIRONMENTS, rate=options.rate, time_out=60.0, patience=3_600)
    one, checks = measure(settings, files, count)
    rows = [(f"{'':<12}", "p50", "p99")] + [(name, *percentiles(values)) for name, values in stages(one).items()]
    rows += [(f"a call from {name} to a service", *percentiles(values)) for name, values in one.dependencies.items()]
    print_table(f"engine: {options.rate} orders a second", rows + cost_rows(one, count) + verdict_rows(checks))
    return checks.violations


def main():
    parts = {"kills": kills, "limit": limit, "engine": engine}
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", choices=parts, action="append", help="measure this and not the rest")
    arguments.add_argument("--orders", type=int, default=100_000, help="orders of `kills`; the others have a tenth")
    arguments.add_argument("--rate", type=int, default=100, help="orders a second of `engine`")
    arguments.add_argument("--calls-per-second", type=int, default=CALLS_PER_SECOND, help="of each environment of `limit`")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    missing = [path for path in (FRAUDSTREAM, FUNCTIONS / "predict" / "bootstrap") if not path.exists()]
    if missing:
        sys.exit(f"{missing[0]} is missing: run make test, which builds the functions, and cargo build --release -p fraudstream")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([FRAUDSTREAM, "simulate", "--out", folder, "--seed", "7"], check=True, stdout=subprocess.DEVNULL)
        violations = [one for name, part in parts.items() if not options.only or name in options.only for one in part(pathlib.Path(folder), options)]
    sys.exit(f"{len(violations)} violations" if violations else 0)


if __name__ == "__main__":
    main()
