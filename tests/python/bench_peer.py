"""`predict` beside the same job in Python, on the same orders and the same server: a part of `make bench`.

    .venv/tools/bin/python tests/python/bench_peer.py [--rounds 3] [--records 20000] [--before FILE]

The function runs as Lambda runs it: this script is the runtime API that gives it batches of Kinesis. Only its own
processor time counts, not that of `fraudstream serve --memory`, which answers it. What is compared runs in turn; printed
are the medians of the ratios, as a table, and one JSON line per run.

The Python peer is not part of the project. Where its folder is absent, only the function is measured, and that is said.
"""

import argparse
import base64
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from bench import FRAUDSTREAM, RELEASE, ROOT, cpu_seconds, memory_mb, orders, tell
from conftest import free_port, server
from event_sources.environment import Environment

PEER = ROOT / ".." / "shared" / "peers" / "python"
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"


def batch(lines, first):
    return {"Records": [
        {
            "eventSource": "aws:kinesis", "eventID": f"shardId-000000000000:{first + n}", "eventName": "aws:kinesis:record",
            "eventVersion": "1.0", "awsRegion": "us-east-1", "eventSourceARN": ARN,
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/predict",
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": str(first + n), "data": base64.b64encode(line.encode()).decode(),
                "sequenceNumber": str(49590338271490256608559692538361571095921575989136588898 + first + n),
                "approximateArrivalTimestamp": 1545084650.987,
            },
        }
        for n, line in enumerate(lines)
    ]}


def run_function(binary, mode, port, lines, mapping=None):
    """Decides the orders. The first batch has one record and counts as start: it opens connections and reads definitions."""
    env = {
        "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "BUCKET": "fraudstream", "EVENT_BUS": "fraudstream", "RUST_LOG": "warn",
        "AWS_ACCOUNT_ID": "123456789012", "FRAUD_DETECTOR": "aws" if mode == "HTTP" else "engine",
        "DECISION_WRITES": "statements", **({"MAPPING_FILE": str(mapping)} if mapping else {}),
    }
    batches = [batch(lines[at:at + 100], at) for at in range(1, len(lines), 100)]
    start = time.perf_counter()
    function = Environment(binary, env, os.devnull)

    def decide(event):
        answer = function.invoke(event)
        if answer["batchItemFailures"]:
            sys.exit(f"{binary} failed for {answer['batchItemFailures'][:3]}")

    try:
        decide(batch(lines[:1], 0))
        first, cpu = time.perf_counter() - start, cpu_seconds(function.process.pid)
        for event in batches:
            decide(event)
        seconds, cpu = time.perf_counter() - start - first, cpu_seconds(function.process.pid) - cpu
        memory = memory_mb(function.process.pid, "VmHWM")
    finally:
        function.end()
    records = len(lines) - 1
    return {
        "records_per_cpu_s": records / cpu, "records_per_s": records / seconds, "max_rss_mb": memory, "start_to_first_decision_s": first,
    }


def run_peer(python, port, path, records):
    env = {
        "PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL_FRAUDDETECTOR": f"http://127.0.0.1:{port}", "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}",
        "DECISION_TABLE": "Decisions",
    }
    done = subprocess.run([python, "bench.py", path, "--records", str(records)], cwd=PEER, env=env, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def peer_python():
    """The peer's own environment; None where its folder is absent."""
    if not (PEER / "bench.py").exists():
        return None
    folder = ROOT / ".venv" / "peer"
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "-r", PEER / "requirements.txt"], check=True)
    return folder / "bin" / "python"


def measure(rounds, records, before):
    python = peer_python()
    if python is None:
        print(f"The Python peer is not at {PEER}: only the function is measured.", file=sys.stderr)
    binaries = {"now": RELEASE / "predict", **({"before": before} if before else {})}
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/orders.jsonl"
        orders(path, records + 1)
        texts = pathlib.Path(path).read_text().splitlines()
        mapping = ROOT / "shared" / "mapping" / "testdata" / "with-jq.yaml"
        for number in range(rounds):
            kinds = [("peer", None)] if python else []
            kinds += [(name, mode) for mode in ("HTTP", "linked in") for name in binaries]
            kinds += [("now, with jq", mode) for mode in ("HTTP", "linked in")]
            for name, mode in kinds:
                port = free_port()
                command = [FRAUDSTREAM, "--home", f"{folder}/home-{port}", "serve", "--port", str(port), "--memory"]
                url = f"http://127.0.0.1:{port}"
                with server(command, f"{url}/_fraudstream/health", pathlib.Path(folder) / "log"):
                    subprocess.run([FRAUDSTREAM, "--endpoint-url", url, "apply"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
                    if name == "peer":
                        figure = run_peer(python, port, path, records // 4)
                    else:
                        binary = binaries["now" if name.startswith("now") else name]
                        figure = run_function(binary, mode, port, texts, None if name == "now" else mapping)
                figures.setdefault((name, mode), []).append(figure)
                tell(round=number + 1, peer=name, mode=mode, **{key: round(value, 3) for key, value in figure.items()})
    return figures


GOALS = {"HTTP": 5, "linked in": 7}


def print_table(figures):
    """Figure, goal, and what was measured: ratios to the peer of the same round, and the largest memory."""
    peer = figures.get(("peer", None))
    print(f"{'':34}{'goal':>8}{'median':>10}")
    for (name, mode), runs in figures.items():
        if name == "peer":
            continue
        speed = [one["records_per_cpu_s"] for one in runs]
        print(f"{name + ', ' + mode + ': records per CPU s':<34.50}{'':>8}{statistics.median(speed):>10.0f}")
        if peer:
            ratios = [one / other["records_per_cpu_s"] for one, other in zip(speed, peer, strict=True)]
            print(f"{'  times the Python peer':<34}{'>= ' + str(GOALS[mode]):>8}{statistics.median(ratios):>10.1f}")
        print(f"{'  memory, MB':<34}{'<= 32':>8}{max(one['max_rss_mb'] for one in runs):>10.1f}")
        first = statistics.median(one["start_to_first_decision_s"] for one in runs)
        print(f"{'  start to first decision, ms':<34}{'':>8}{first * 1000:>10.1f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--records", type=int, default=20_000, help="orders of each run; the peer gets a quarter")
    arguments.add_argument("--before", type=pathlib.Path, help="the function of an earlier release, to compare with")
    arguments = arguments.parse_args()
    print_table(measure(arguments.rounds, arguments.records, arguments.before))


if __name__ == "__main__":
    main()
