"""How long `fraudstream review list` takes when very many cases wait, beside few.

    tests/setup.sh tools
    cargo build --workspace --release --bin fraudstream
    .venv/tools/bin/python tests/python/bench_reviews.py [--binary target/release/fraudstream] [--cases 100000]

Decides the sample orders, copies one decision that waits until so many wait, and measures the whole command: opening the folder, listing
fifty cases, ending. Prints one JSON line a size: the number of cases, and the fastest of five runs in seconds. Exits with 1 if the
list of very many takes five times as long as the list of few.
"""

import argparse
import concurrent.futures
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from conftest import ROOT, client, environment, free_port, server

FEW = 100
SHARDS = 8
BATCH = 25


def call(binary, home, *arguments):
    command = [str(binary), "--home", str(home), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True).stdout


def make_copies(decision, numbers):
    """Copies of a decision under other ids, with other losses."""
    for number in numbers:
        order = f"copy-{number:07}"
        place = f"{random.Random(number).randrange(10_000_000):015}#2026-06-01T00:00:00Z#{order}#1"
        text = {
            "pk": f"order#{order}", "decision_id": f"order#{order}#1", "order_id": order, "event_id": order,
            "gsi2pk": f"#open#order#review#{number % SHARDS}", "gsi2sk": place,
        }
        yield decision | {name: {"S": value} for name, value in text.items()}


def fill(home, binary, folder, known, count):
    """Writes the cases from `known` on until `count` wait."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [binary, "--home", home, "serve", "--port", url.rpartition(":")[2]]
    with server(command, url, folder / "serve.log"):
        dynamodb = client("dynamodb", url)
        pages = dynamodb.get_paginator("scan").paginate(TableName="Decisions")
        waiting = (item for page in pages for item in page["Items"] if "gsi2pk" in item)
        decision = next(item for item in waiting if item["kind"]["S"] == "decision")

        def write(start):
            numbers = range(start, min(start + BATCH, count))
            writes = [{"PutRequest": {"Item": item}} for item in make_copies(decision, numbers)]
            assert not dynamodb.batch_write_item(RequestItems={"Decisions": writes})["UnprocessedItems"]

        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            list(threads.map(write, range(known, count, BATCH)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/fraudstream")
    parser.add_argument("--cases", type=int, default=100_000)
    options = parser.parse_args()
    binary = options.binary.resolve()
    fastest = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        home = folder / "home"
        call(binary, home, "apply", "config/detector.yaml")
        call(binary, home, "run", "predict", "events/orders.jsonl")
        known = 0
        for count in [FEW, options.cases]:
            fill(home, binary, folder, known, count)
            known = count
            for what in [["list"], ["list", "--by", "time"]]:
                times = []
                for _ in range(5):
                    start = time.perf_counter()
                    listed = json.loads(call(binary, home, "review", *what, "--limit", "50", "--json"))
                    times.append(time.perf_counter() - start)
                name = " ".join(what)
                fastest[count, name] = min(times)
                line = {"cases": count, "command": name, "listed": len(listed["cases"]), "seconds": round(min(times), 3)}
                print(json.dumps(line), flush=True)
    slower = fastest[options.cases, "list"] / fastest[FEW, "list"]
    print(json.dumps({"times_slower": round(slower, 2)}))
    return int(slower > 5)


if __name__ == "__main__":
    sys.exit(main())
