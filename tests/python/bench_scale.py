"""What docs/scale.md rests on: the bytes that an order leaves in each table and index, on the bus and in the logs, the
calls that it takes, and the processor time.

    .venv/tools/bin/python tests/python/bench_scale.py --functions target/release

Prints one JSON object for each mapping: the sample's without `aggregates:` and `links:`, and the sample's with its six keys;
then one for training. Copy the figures to the `measured` part of `scale.json`, and run `scale.py --write`. Sizes and calls do
not depend on how the binaries were built (FRAUDSTREAM_BIN may name any), times do: `--functions` names those of a release.
"""

import argparse
import collections
import contextlib
import csv
import gzip
import http.client
import http.server
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading

from bench import FRAUDSTREAM, MAPPING, ROOT, cpu_seconds
from bench_peer import batch
from conftest import client, environment, free_port, server
from event_sources.environment import Environment

COMMAND = pathlib.Path(os.environ.get("FRAUDSTREAM_BIN", FRAUDSTREAM)).resolve()
# How many orders the functions get, after those that were decided before.
DRIVEN = 2_000
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


def count_request(counts, target, body):
    """Adds the calls of a request, the keys that it reads and the items that it writes, by table. A write that fails its
    condition counts too: it costs the same."""
    operation = target.rsplit(".", 1)[-1]
    counts[f"calls {operation}"] += 1
    for table, request in body.get("RequestItems", {}).items():
        if operation == "BatchGetItem":
            counts[f"reads {table}"] += len(request["Keys"])
        else:
            counts[f"writes {table}"] += len(request)
    for statement in body.get("Statements", []):
        table = re.search(r'"(\w+)"', statement["Statement"]).group(1)
        counts[f"writes {table}"] += 1
    for item in body.get("TransactItems", []):
        # A transaction costs twice the units.
        (write,) = item.values()
        counts[f"writes {write['TableName']}"] += 2
    if "TableName" in body:
        kind = "reads" if operation in ("GetItem", "Query") else "writes"
        counts[f"{kind} {body['TableName']}"] += 1


@contextlib.contextmanager
def counting_proxy(url, counts):
    """Passes requests on to `url`, and counts those of DynamoDB and of the bus."""
    address = url.removeprefix("http://")

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            target = self.headers.get("X-Amz-Target", "")
            if target.startswith(("DynamoDB", "AWSEvents")):
                count_request(counts, target, json.loads(body))
            upstream = http.client.HTTPConnection(address)
            headers = dict(self.headers.items()) | {"Host": address, "Connection": "close"}
            upstream.request("POST", self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_PUT = do_POST

        def log_message(self, *_):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()


def drive(binary, env, batches, log, counts=None):
    """What an order costs a warm function: milliseconds of processor time, and the bytes that an invocation logs.
    Lambda adds three lines of its own to each invocation."""
    function = Environment(binary, env, log)
    try:
        function.invoke(batches[0])
        logged, cpu = log.stat().st_size, cpu_seconds(function.process.pid)
        (counts if counts is not None else {}).clear()
        for event in batches[1:]:
            function.invoke(event)
        cpu = cpu_seconds(function.process.pid) - cpu
        records = sum(len(event["Records"]) for event in batches[1:])
        figures = {"cpu_ms": round(cpu / records * 1000, 3), "log_bytes": round((log.stat().st_size - logged) / (len(batches) - 1))}
        if counts is not None:
            figures["counts_of_an_order"] = {name: round(count / records, 3) for name, count in sorted(counts.items())}
        return figures
    finally:
        function.end()


def drive_functions(folder, url, functions, mapping, lines, decisions):
    """What new orders cost, beside those that are decided: both ways to write decisions, and forwarding."""
    env = {
        "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": url, "BUCKET": "fraudstream", "EVENT_BUS": "fraudstream", "RUST_LOG": "info",
        "AWS_ACCOUNT_ID": "123456789012", "FRAUD_DETECTOR": "engine", "MAPPING_FILE": str(mapping),
    }
    batches = [batch(lines[at:at + 100], at) for at in range(0, len(lines), 100)]
    third = len(batches) // 3
    stream = [stream_batch(decisions[at:at + 100]) for at in range(0, min(len(decisions), DRIVEN), 100)]
    counts = collections.Counter()
    with counting_proxy(url, counts) as counted:
        of_counted = drive(functions / "predict", env | {"AWS_ENDPOINT_URL": counted}, batches[:third], folder / "counted.log", counts)
    figures = {"counts_of_an_order": of_counted["counts_of_an_order"], "forward": drive(functions / "forward", env, stream, folder / "forward.log")}
    for place, writes in enumerate(["put-item", "statements"], start=1):
        some = batches[place * third:(place + 1) * third]
        figures[f"predict, {writes}"] = drive(functions / "predict", env | {"DECISION_WRITES": writes}, some, folder / "predict.log")
    return figures


def measure(folder, lines, mapping, functions):
    """Decides the orders on the local folder, gives the last of them to the functions, and measures what is stored then."""
    home, orders = folder / f"home-{mapping.stem}", folder / "orders.jsonl"
    env = environment(MAPPING_FILE=str(mapping))
    before, driven = (lines[:-DRIVEN], lines[-DRIVEN:]) if functions else (lines, [])
    orders.write_text("\n".join(before) + "\n")

    def run(*arguments):
        command = [COMMAND, "--home", home, *arguments]
        return subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    run("apply", "--allow-unfilled")
    summary = json.loads(run("run", "predict", orders, "--json"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with server([COMMAND, "--home", home, "serve", "--port", port], f"{url}/_fraudstream/health", folder / "log", env=env):
        dynamodb = client("dynamodb", url)
        decided = lambda: [item for item in scan(dynamodb, "Decisions") if item.get("kind", {}).get("S") == "decision"]
        of_functions = drive_functions(folder, url, functions, mapping, driven, decided()) if functions else None
        decisions = decided()
        # On the local folder predictions do not expire; on AWS they do.
        expiry = {"expiresAt": {"N": "1800000001"}}
        predictions = [expiry | item for item in scan(dynamodb, "Events") if item["sk"]["S"].startswith("prediction#")]
        profiles = [item for item in scan(dynamodb, "Velocity") if item["sk"]["S"] == "profile"]
    outcomes = [json.loads(line) for line in (home / "outcomes.jsonl").read_text().splitlines()]
    return {
        "mapping": mapping.stem, "orders": summary["records"], "decided": summary["decided"], "rejected": sum(summary["rejected"].values()),
        "record": describe([len(line.encode()) for line in lines]),
        "decision": describe([item_bytes(item) for item in decisions]),
        "decision_in_gsi1": describe([item_bytes(item) for item in decisions if "gsi1pk" in item]),
        "decision_in_gsi2": describe([item_bytes(item) for item in decisions if "gsi2pk" in item]),
        "prediction": describe([item_bytes(item) for item in predictions]),
        "prediction_in_index": describe([item_bytes(projected(item, ["gsi1pk", "gsi1sk"], PREDICTION_INDEX)) for item in predictions]),
        "profile": describe([item_bytes(item) for item in profiles]),
        "detail": describe([len(json.dumps(one["detail"], separators=(",", ":")).encode()) for one in outcomes], 64 * 1024),
        "exported_prediction": exported(predictions), "functions": of_functions,
    }, predictions


def measure_training(folder, predictions, rows):
    """The most memory that `train` takes for a file of so many events: those that were predicted, again and again."""
    def variables(item):
        return {name: value["S"] for name, value in item["eventVariables"]["M"].items()}

    names = sorted({name for item in predictions for name in variables(item)})
    path = folder / "training.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "EVENT_TIMESTAMP", "EVENT_LABEL", "ENTITY_ID"])
        for number in range(rows):
            item, again = predictions[number % len(predictions)], number // len(predictions)
            values = variables(item)
            if again and "email_address" in values:
                values["email_address"] = f"{again}.{values['email_address']}"
            label = "fraud" if number % 50 == 0 else "legit"
            writer.writerow([*(values.get(name, "") for name in names), item["eventTimestamp"]["S"], label, f"cust-{number // 4}"])
    command = [COMMAND, "--home", folder / f"train-{rows}"]
    subprocess.run([*command, "apply"], cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
    # A process of its own waits for it: the memory of a child counts from its fork on, when it still is that of the parent.
    wait = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    train = [sys.executable, "-c", wait, *map(str, command), "train", str(path), "--model", "size", "--json"]
    kilobytes = int(subprocess.run(train, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True).stdout)
    return {"training_rows": rows, "variables": len(names), "csv_bytes": path.stat().st_size, "max_rss_mb": round(kilobytes / 1024)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--orders", type=int, default=15_000, help="simulated orders that are decided")
    arguments.add_argument("--functions", type=pathlib.Path, help="the folder with the functions predict and forward; without it, they are not measured")
    arguments.add_argument("--training", type=int, nargs="*", default=[50_000, 200_000], help="rows of training files")
    arguments = arguments.parse_args()
    without = re.sub(r"^(aggregates|links):\n(?:(?:[ #].*)?\n)*", "", MAPPING.read_text(), flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        subprocess.run([COMMAND, "simulate", "--seed", "7", "--out", folder / "shop"], check=True, stdout=subprocess.DEVNULL)
        lines = [line for name in ("history", "orders") for line in (folder / "shop" / f"{name}.jsonl").read_text().splitlines()]
        plain = folder / "no-keys.yaml"
        plain.write_text(without)
        for mapping in (plain, MAPPING):
            figures, predictions = measure(folder, lines[-arguments.orders:], mapping, arguments.functions)
            print(json.dumps(figures), flush=True)
        for rows in arguments.training:
            print(json.dumps(measure_training(folder, predictions, rows)), flush=True)


if __name__ == "__main__":
    main()
