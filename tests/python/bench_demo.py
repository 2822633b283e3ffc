"""How good the sample's decisions are on shops that nobody tuned them to: run by `make bench`.

    .venv/tools/bin/python tests/python/bench_demo.py [--shops 20] [--new-orders 20000] [--first-seed 1001]

Runs `fraudstream demo` for each seed. Prints one JSON line for each shop and state, then a table: figure, goal, and what was
reached with the rules alone, with velocity and links, and with the model.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

SHARES = [
    "fraud_money_not_approved_share",
    "good_orders_blocked_share",
    "good_orders_touched_share",
    "good_orders_challenged_share",
    "reviewed_share",
    "review_precision",
]


def lower_quartile(values):
    """The value that three quarters of the shops reach."""
    return statistics.quantiles(values, n=4, method="inclusive")[0]


# What a figure is, how it is made of those of the shops, and what it must reach.
FIGURES = [
    ("fraud money not approved, median", "fraud_money_not_approved_share", statistics.median, ">= 0.75"),
    ("fraud money not approved, worst quarter", "fraud_money_not_approved_share", lower_quartile, ">= 0.65"),
    ("good orders blocked, median", "good_orders_blocked_share", statistics.median, "<= 0.001"),
    ("good orders challenged, median", "good_orders_challenged_share", statistics.median, "<= 0.015"),
    ("good orders touched, median", "good_orders_touched_share", statistics.median, ""),
    ("orders reviewed, median", "reviewed_share", statistics.median, "<= 0.005"),
    ("reviews that are fraud, median", "review_precision", statistics.median, ">= 0.3"),
]


def run_demo(fraudstream, seed, new_orders):
    with tempfile.TemporaryDirectory() as home:
        command = [fraudstream, "--home", home, "demo", "--json", "--seed", str(seed), "--new-orders", str(new_orders)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["states"]


def is_reached(value, goal):
    relation, limit = goal.split()
    return value >= float(limit) if relation == ">=" else value <= float(limit)


def print_table(states):
    """`states`: the name of each state, and its reports, one for each shop."""
    print(f"{'figure':<42}{'goal':>10}" + "".join(f"{name:>26}" for name in states))
    for figure, share, combine, goal in FIGURES:
        row = f"{figure:<42}{goal:>10}"
        for reports in states.values():
            value = combine([report[share] for report in reports])
            mark = "" if not goal or is_reached(value, goal) else " missed"
            row += f"{f'{value:.4f}{mark}':>26}"
        print(row)
    row = f"{'links of ring orders / of honest ones':<52}"
    for reports in states.values():
        row += f"{describe_links(reports):>26}"
    print(row)


def describe_links(reports):
    """The share of the ring's orders, and of the honest ones, that share a key with another account."""
    shares = []
    for pattern in ["slow_ring", "honest"]:
        linked = sum(report["linked"].get(pattern, [0, 0])[0] for report in reports)
        orders = sum(report["linked"].get(pattern, [0, 0])[1] for report in reports)
        shares.append(f"{linked / orders:.3f}" if orders else "-")
    return " / ".join(shares)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shops", type=int, default=20)
    parser.add_argument("--new-orders", type=int, default=20_000)
    parser.add_argument("--first-seed", type=int, default=1001, help="no rule or threshold was chosen on seeds from 1001 on")
    parser.add_argument("--binary", default=RELEASE / "fraudstream")
    args = parser.parse_args()
    states = {}
    for seed in range(args.first_seed, args.first_seed + args.shops):
        begin = time.monotonic()
        for report in run_demo(args.binary, seed, args.new_orders):
            states.setdefault(report["name"], []).append(report)
            figures = {share: round(report[share], 4) for share in SHARES}
            load = round(os.getloadavg()[0], 1)
            line = {"seed": seed, "state": report["name"], **figures, "linked": report["linked"], "load": load}
            print(json.dumps({**line, "seconds": round(time.monotonic() - begin)}), flush=True)
    print_table(states)


if __name__ == "__main__":
    main()
