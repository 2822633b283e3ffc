"""What docs/scale.md rests on: the bytes that an order leaves in each table and index, on the bus and in the logs, and the
processor time that it takes in the functions.

    .venv/tools/bin/python tests/python/bench_scale.py --functions target/release

Prints one JSON object for each mapping: the sample's without `aggregates:` and `links:`, and the sample's with its six keys.
Copy the figures to the `measured` part of `scale.json`, and run `scale.py --write`. Sizes do not depend on how the binaries
were built (FRAUDSTREAM_BIN may name any), times do: `--functions` names those of a release.
"""

import argparse
import gzip
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

from bench import FRAUDSTREAM, MAPPING, ROOT, cpu_seconds, orders as sample_orders
from bench_peer import batch
from conftest import Function, client, environment, free_port, server

COMMAND = pathlib.Path(os.environ.get("FRAUDSTREAM_BIN", FRAUDSTREAM)).resolve()
# How many orders each round gives to a function, and the rounds.
DRIVEN, ROUNDS = 2_100, 5
# What the template projects to the index `predictions`.
PREDICTION_INDEX = ["eventId", "eventTypeName", "eventTimestamp", "detectorId", "detectorVersionId", "predictionTimestamp"]


def value_bytes(value):
    """The size of a value, as
    docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html counts it."""
    (kind, content), = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return (len(content.lstrip("-").replace(".", "").strip("0")) + 1) // 2 + 1 + content.startswith("-")
    if kind == "B":
        return len(content)
    if kind == "L":
        return 3 + sum(1 + value_bytes(one) for one in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + value_bytes(one) for name, one in content.items())
    assert kind in ("BOOL", "NULL"), kind
    return 1


def item_bytes(item):
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def projected(item, index_keys, names):
    """The item's copy in an index that projects these attributes."""
    return {name: value for name, value in item.items() if name in {"pk", "sk", *index_keys, *names}}


def describe(sizes, unit=1024):
    """Mean bytes, and mean units: each item is rounded up by itself."""
    if not sizes:
        return {"items": 0}
    units = [-(-size // unit) for size in sizes]
    return {"items": len(sizes), "bytes": round(statistics.mean(sizes)), "units": round(statistics.mean(units), 2), "most_bytes": max(sizes)}


def scan(dynamodb, table):
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    return [item for page in pages for item in page["Items"]]


def exported(items):
    """Bytes of an item in DynamoDB's export, gzipped in one file."""
    lines = "".join(json.dumps({"Item": item}, default=lambda raw: raw.hex(), separators=(",", ":")) + "\n" for item in items)
    return round(len(gzip.compress(lines.encode())) / max(len(items), 1))


def stream_batch(items):
    """Decisions as the stream of their table delivers them."""
    return {"Records": [
        {
            "eventID": str(number), "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/Decisions/stream/2026-01-01T00:00:00.000",
            "dynamodb": {"SequenceNumber": str(10**20 + number), "NewImage": item, "StreamViewType": "NEW_IMAGE"},
        }
        for number, item in enumerate(items)
    ]}


def drive(binary, env, batches, log):
    """What an order costs a warm function: milliseconds of processor time, and the bytes that an invocation logs.
    Lambda adds three lines of its own to each invocation."""
    function = Function(binary, env, log)
    try:
        function.invoke(batches[0])
        logged, cpu = log.stat().st_size, cpu_seconds(function.process.pid)
        for event in batches[1:]:
            function.invoke(event)
        cpu = cpu_seconds(function.process.pid) - cpu
        records = sum(len(event["Records"]) for event in batches[1:])
        return {"cpu_ms": cpu / records * 1000, "log_bytes": (log.stat().st_size - logged) / (len(batches) - 1)}
    finally:
        function.end()


def drive_functions(folder, url, functions, mapping, decisions):
    """Medians of five rounds, each with new orders."""
    env = {
        "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": url, "BUCKET": "fraudstream", "EVENT_BUS": "fraudstream", "RUST_LOG": "info",
        "AWS_ACCOUNT_ID": "123456789012", "FRAUD_DETECTOR": "engine", "MAPPING_FILE": str(mapping),
    }
    figures = {}
    for number in range(ROUNDS):
        for writes in ("put-item", "statements"):
            path = folder / "more.jsonl"
            sample_orders(path, DRIVEN)
            lines = path.read_text().replace('"bench-', f'"bench-{mapping.stem}-{writes}-{number}-').splitlines()
            orders = [batch(lines[at:at + 100], at) for at in range(0, len(lines), 100)]
            figure = drive(functions / "predict", env | {"DECISION_WRITES": writes}, orders, folder / "predict.log")
            figures.setdefault(f"predict, {writes}", []).append(figure)
        stream = [stream_batch(decisions[at:at + 100]) for at in range(0, min(len(decisions), DRIVEN), 100)]
        figures.setdefault("forward", []).append(drive(functions / "forward", env, stream, folder / "forward.log"))
    return {
        name: {key: round(statistics.median(run[key] for run in runs), 3) for key in ("cpu_ms", "log_bytes")}
        for name, runs in figures.items()
    }


def measure(folder, orders, mapping, functions):
    home = folder / f"home-{mapping.stem}"
    env = environment(MAPPING_FILE=str(mapping))

    def run(*arguments):
        command = [COMMAND, "--home", home, *arguments]
        return subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    run("apply", "--allow-unfilled")
    summary = json.loads(run("run", "predict", orders, "--json"))
    outcomes = [json.loads(line) for line in (home / "outcomes.jsonl").read_text().splitlines()]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with server([COMMAND, "--home", home, "serve", "--port", port], f"{url}/_fraudstream/health", folder / "log", env=env):
        dynamodb = client("dynamodb", url)
        decisions = [item for item in scan(dynamodb, "Decisions") if item.get("kind", {}).get("S") == "decision"]
        # On the local folder predictions do not expire; on AWS they do.
        expiry = {"expiresAt": {"N": "1800000001"}}
        predictions = [expiry | item for item in scan(dynamodb, "Events") if item["sk"]["S"].startswith("prediction#")]
        profiles = [item for item in scan(dynamodb, "Velocity") if item["sk"]["S"] == "profile"]
        driven = drive_functions(folder, url, functions, mapping, decisions) if functions else None
    reviews = [item for item in decisions if "gsi2pk" in item]
    lines = [len(line.encode()) for line in orders.read_text().splitlines()]
    details = [len(json.dumps(one["detail"], separators=(",", ":")).encode()) for one in outcomes]
    index = ["gsi1pk", "gsi1sk"]
    return {
        "mapping": mapping.stem, "summary": summary,
        "record": describe(lines), "decision": describe([item_bytes(item) for item in decisions]),
        "decision_in_gsi1": describe([item_bytes(item) for item in decisions if "gsi1pk" in item]),
        "decision_in_gsi2": describe([item_bytes(item) for item in reviews]),
        "prediction": describe([item_bytes(item) for item in predictions]),
        "prediction_in_index": describe([item_bytes(projected(item, index, PREDICTION_INDEX)) for item in predictions]),
        "profile": describe([item_bytes(item) for item in profiles]),
        "detail": describe(details, 64 * 1024), "exported_prediction": exported(predictions), "functions": driven,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--orders", type=int, default=15_000, help="simulated orders that are decided")
    arguments.add_argument("--functions", type=pathlib.Path, help="the folder with the functions predict and forward; without it, they are not measured")
    arguments = arguments.parse_args()
    without = re.sub(r"^(aggregates|links):\n(?:(?:[ #].*)?\n)*", "", MAPPING.read_text(), flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        subprocess.run([COMMAND, "simulate", "--seed", "7", "--out", folder / "shop"], check=True, stdout=subprocess.DEVNULL)
        lines = [line for name in ("history", "orders") for line in (folder / "shop" / f"{name}.jsonl").read_text().splitlines()]
        orders, plain = folder / "orders.jsonl", folder / "no-keys.yaml"
        orders.write_text("\n".join(lines[-arguments.orders:]) + "\n")
        plain.write_text(without)
        for mapping in (plain, MAPPING):
            print(json.dumps(measure(folder, orders, mapping, arguments.functions)), flush=True)


if __name__ == "__main__":
    main()
