"""What the product costs as a whole: run by `make bench` after the benchmarks of the crates.

    .venv/tools/bin/python tests/python/bench.py [--only serve] [--orders 200000] [--events 1000000]

Prints one JSON line per figure, with the machine's load, so that a figure can be judged.
"""

import argparse
import contextlib
import http.server
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

import boto3
from conftest import free_port, server

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAPPING = ROOT / "config" / "mapping.yaml"
FUNCTIONS = ["predict", "ingest", "label", "forward"]
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
FRAUDSTREAM = RELEASE / "fraudstream"
LOAD = RELEASE / "examples" / "load"


def tell(**figure):
    print(json.dumps({**figure, "load": round(os.getloadavg()[0], 1)}), flush=True)


def cpu_seconds(pid):
    """Seconds that a process has computed."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid, which):
    """The memory of a process in megabytes. VmRSS: now; VmHWM: at most so far."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def zipped(path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "bootstrap")
    return len(memory.getvalue())


def first_next(bootstrap):
    """Milliseconds from the start of the process to its first request for work; nothing else answers."""
    asked = threading.Event()

    class Runtime(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.set()
            time.sleep(0.2)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {
        "PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "BUCKET": "b", "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
    }
    start = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    reached = asked.wait(10)
    elapsed = (time.perf_counter() - start) * 1000
    process.kill()
    process.wait()
    server.shutdown()
    return elapsed if reached else None


def functions():
    for name in FUNCTIONS:
        bootstrap = ROOT / "target" / "lambda" / name / "bootstrap"
        if not bootstrap.exists():
            sys.exit(f"{bootstrap} is missing: run make test, which builds the functions")
        times = sorted(first_next(bootstrap) or 1e9 for _ in range(11))
        tell(function=name, zipped_mb=round(zipped(bootstrap) / 1e6, 2), first_next_ms_median=round(times[5], 1))


def orders(path, count):
    """Distinct orders, made of the sample's."""
    samples = []
    for line in (ROOT / "events" / "orders.jsonl").read_text().splitlines():
        try:
            order = json.loads(line)
            samples += [order] if order["order_id"] and order["created_at"].endswith("Z") else []
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
    with open(path, "w") as file:
        for number in range(count):
            order = dict(samples[number % len(samples)])
            order["order_id"] = f"bench-{number}"
            order.pop("revision", None)
            file.write(json.dumps(order) + "\n")


def predicted(path, mapping):
    """What `run predict` does with a file, in a new folder: its orders, their number in a second, memory and computing time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [FRAUDSTREAM, "--home", f"{folder}/home"]
        env = os.environ | {"MAPPING_FILE": str(mapping)}
        subprocess.run([*command, "apply", "--allow-unfilled"], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen([*command, "run", "predict", path, "--json"], cwd=ROOT, env=env, stdout=subprocess.PIPE)
        output = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        summary = json.loads(output)
        return {
            "orders": summary["records"], "orders_per_s": round(summary["records"] / summary["seconds"]),
            "max_rss_mb": round(usage.ru_maxrss / 1024, 1), "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        }


def run(count):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/orders.jsonl"
        orders(path, count)
        tell(run="predict", **predicted(path, MAPPING))


def keyed_orders(path, count, orders_of_key=20):
    """Distinct orders, of which each card, device, address and customer, and its network, has about so many."""
    orders(path, count)
    lines = pathlib.Path(path).read_text().splitlines()
    with open(path, "w") as file:
        for number, line in enumerate(lines):
            order, owner = json.loads(line), number // orders_of_key
            order["customer"] |= {"id": f"cust-{owner}", "email": f"c{owner}@example.com"}
            order["payment"] = (order.get("payment") or {}) | {"card_fingerprint": f"card-{owner}"}
            order["client"] = (order.get("client") or {}) | {"device_id": f"device-{owner}", "ip": f"10.{owner >> 16 & 255}.{owner >> 8 & 255}.{owner & 255}"}
            order["shipping"] = (order.get("shipping") or {}) | {"address": f"{owner} Main St", "postal_code": "10001"}
            file.write(json.dumps(order) + "\n")


def velocity(count):
    """Goal: 1,000 orders a second with the sample's six keys of 20 orders each. The ratio is to the same orders without aggregates."""
    mapping = MAPPING.read_text()
    without = re.sub(r"^(aggregates|links):\n(?:(?:[ #].*)?\n)*", "", mapping, flags=re.MULTILINE)
    assert without.count("\n") < mapping.count("\n") - 20, "the sample mapping has no aggregates to leave out"
    with tempfile.TemporaryDirectory() as folder:
        path, plain = f"{folder}/orders.jsonl", pathlib.Path(folder) / "mapping.yaml"
        keyed_orders(path, count)
        plain.write_text(without)
        base = predicted(path, plain)
        keyed = predicted(path, MAPPING)
        ratio = {name: round(keyed[name] / base[name], 2) for name in ("orders_per_s", "cpu_s", "max_rss_mb")}
        tell(velocity="none", **base)
        tell(velocity="six keys", **keyed, ratio=ratio)


def many_rules(count):
    """The sample's detector with so many rules: its own, and copies of them with other amounts."""
    text = (ROOT / "config" / "detector.yaml").read_text()
    rule = """        - RuleId: bench_{n}
          DetectorId: orders
          Language: DETECTORPL
          Outcomes:
            - Arn: !GetAtt Review.Arn
          Expression: |-
            $order_price > {amount} and $shipping_country != $billing_country and $email_domain in ["a.example", "b{n}.example"]
"""
    own = text.count("- RuleId:")
    copies = "".join(rule.format(n=number, amount=500 + number) for number in range(count - own))
    marker = "      Rules:\n"
    assert text.count(marker) == 1, "the sample has one detector"
    return text.replace(marker, marker + copies)


def check(count):
    """Goal: a million orders and a thousand rules in a minute on two cores. The ratio is to the same orders and the sample's rules."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/orders.jsonl"
        orders(path, count)
        base = None
        for rules in [None, 1000]:
            file = pathlib.Path(folder) / "detector.yaml"
            file.write_text(many_rules(rules) if rules else (ROOT / "config" / "detector.yaml").read_text())
            begin = time.monotonic()
            process = subprocess.Popen([FRAUDSTREAM, "check", path, "--rules", file, "--json"], cwd=ROOT, stdout=subprocess.PIPE)
            report = json.loads(process.stdout.read())
            _, _, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - begin
            base = base or seconds
            tell(
                check=report["orders"], rules=len(report["rules"]), seconds=round(seconds, 1), ratio=round(seconds / base, 2),
                max_rss_mb=round(usage.ru_maxrss / 1024, 1), cpu_s=round(usage.ru_utime + usage.ru_stime, 1),
            )


def backtest(count):
    """Goal: 60 microseconds for an order and 50 rules on two cores. The ratio is to deciding the same orders."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/orders.jsonl"
        orders(path, count)
        command = [FRAUDSTREAM, "--home", f"{folder}/home"]
        subprocess.run([*command, "apply"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        begin = time.monotonic()
        subprocess.run([*command, "run", "predict", path, "--json"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        decided = time.monotonic() - begin
        draft = pathlib.Path(folder) / "draft.yaml"
        draft.write_text(many_rules(50))
        begin = time.monotonic()
        process = subprocess.Popen([*command, "backtest", "--rules", draft, "--json"], cwd=ROOT, stdout=subprocess.PIPE)
        report = json.loads(process.stdout.read())
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        judged = sum(report["orders"][kind]["orders"] for kind in ["fraud", "good", "not_known_yet"])
        tell(
            backtest=judged, rules=len(report["rules"]), seconds=round(seconds, 1), us_each=round(seconds / judged * 1e6),
            ratio=round(seconds / decided, 3), max_rss_mb=round(usage.ru_maxrss / 1024, 1),
        )


class Serve:
    """`fraudstream serve` with an event type and a detector of twenty rules, and load on it."""

    def __init__(self, process, port):
        self.process, self.address = process, f"127.0.0.1:{port}"
        self.afd = boto3.client(
            "frauddetector", endpoint_url=f"http://{self.address}", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )

    @staticmethod
    @contextlib.contextmanager
    def started(*arguments):
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            command = [FRAUDSTREAM, "--home", f"{folder}/home", "serve", "--port", port, *arguments]
            log = pathlib.Path(folder) / "log"
            with server(command, f"http://127.0.0.1:{port}/_fraudstream/health", log) as process:
                serve = Serve(process, port)
                serve.define()
                yield serve

    def define(self):
        variables = [("price", "FLOAT", "0.0"), ("items", "INTEGER", "1"), ("email", "STRING", "-"), ("ip", "STRING", "-"), ("country", "STRING", "-")]
        self.afd.batch_create_variable(variableEntries=[
            {"name": name, "dataType": kind, "dataSource": "EVENT", "defaultValue": default} for name, kind, default in variables
        ])
        self.afd.put_entity_type(name="customer")
        self.afd.put_event_type(name="order", eventVariables=[name for name, _, _ in variables], entityTypes=["customer"])
        self.afd.put_detector(detectorId="orders", eventTypeName="order")
        self.afd.put_outcome(name="review")
        rules = [
            self.afd.create_rule(
                ruleId=f"rule-{number}", detectorId="orders", language="DETECTORPL", outcomes=["review"],
                expression=f'$price > {1000 + number} and $items < 5 or regex_match(".*@trash{number}\\.example", lowercase($email)) and $country != "US"',
            )["rule"]
            for number in range(20)
        ]
        self.afd.create_detector_version(detectorId="orders", rules=rules, ruleExecutionMode="ALL_MATCHED")
        self.afd.update_detector_version_status(detectorId="orders", detectorVersionId="1", status="ACTIVE")

    def load(self, operation, body, **options):
        """Runs the load; adds what it cost the server."""
        flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        before = self.cpu()
        done = subprocess.run([LOAD, self.address, operation, json.dumps(body), *flags], check=True, stdout=subprocess.PIPE)
        figures = json.loads(done.stdout)
        return figures | {"server_cpu_us_each": round((self.cpu() - before) * 1e6 / figures["requests"], 1)}

    def predictions(self, **options):
        body = {
            "detectorId": "orders", "eventId": "e-{n}", "eventTypeName": "order", "eventTimestamp": "2026-06-01T10:15:30Z",
            "entities": [{"entityType": "customer", "entityId": "cust-42"}],
            "eventVariables": {"price": "129.99", "items": "2", "email": "Jo@example.com", "ip": "203.0.113.7", "country": "DE"},
        }
        return self.load("GetEventPrediction", body, **options)

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def memory(self, which):
        return round(memory_mb(self.process.pid, which), 1)


def serve(requests):
    """Goals: 3,000 predictions a second on two cores, store included; p99 at most 5 ms at 1,000 a second."""
    with Serve.started("--memory") as one:
        one.predictions(count=2_000, first=10**9)
        tell(serve="as fast as it can", **one.predictions(count=requests, connections=32))
        tell(serve="1,000 a second", **one.predictions(count=max(requests // 4, 1_000), first=10**8, rate=1_000, connections=32))


def stored(events):
    """Goals: reads over a million stored events within twice their time over a thousand; 200 MB of memory at most."""
    with Serve.started() as one:
        times, done = {}, 0
        for size in (1_000, events):
            filled = one.predictions(count=size - done, first=done, connections=32)
            time.sleep(2)
            for operation, body in [
                ("GetEvent", {"eventId": "e-{n}", "eventTypeName": "order"}),
                ("ListEventPredictions", {"maxResults": 50}),
                ("GetEventTypes", {"name": "order"}),
            ]:
                figures = one.load(operation, body, count=500, ids=size, connections=1)
                before = times.setdefault(operation, figures)
                ratios = {name: round(figures[name] / before[name], 2) for name in ("p50_us", "server_cpu_us_each")}
                tell(stored=size, **figures, ratio=ratios)
            tell(stored=size, filled_per_s=filled["per_s"], rss_mb=one.memory("VmRSS"), most_mb=one.memory("VmHWM"))
            done = size


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", choices=["run", "velocity", "check", "backtest", "serve", "stored", "functions"], action="append", help="measure this and not the rest")
    arguments.add_argument("--orders", type=int, default=200_000, help="the longer of the two runs")
    arguments.add_argument("--requests", type=int, default=60_000, help="predictions over HTTP")
    arguments.add_argument("--events", type=int, default=1_000_000, help="the larger number of stored events")
    arguments = arguments.parse_args()
    parts = {
        "run": lambda: (run(2_000), run(arguments.orders)),
        "velocity": lambda: velocity(max(arguments.orders // 10, 2_000)),
        "check": lambda: check(arguments.events),
        "backtest": lambda: backtest(arguments.orders),
        "serve": lambda: serve(arguments.requests),
        "stored": lambda: stored(arguments.events),
        "functions": functions,
    }
    for name, part in parts.items():
        if not arguments.only or name in arguments.only:
            part()


if __name__ == "__main__":
    main()
