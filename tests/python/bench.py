"""What the product costs as a whole: run by `make bench` after the benchmarks of the crates.

    .venv/tools/bin/python tests/python/bench.py [--orders 200000]

Prints one JSON line per figure, with the machine's load, so that a figure can be judged.
"""

import argparse
import http.server
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUNCTIONS = ["predict", "ingest", "label", "forward"]
FRAUDSTREAM = ROOT / "target" / "release" / "fraudstream"


def tell(**figure):
    print(json.dumps({**figure, "load": round(os.getloadavg()[0], 1)}), flush=True)


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


def run(count):
    with tempfile.TemporaryDirectory() as folder:
        home, path = f"{folder}/home", f"{folder}/orders.jsonl"
        orders(path, count)
        subprocess.run([FRAUDSTREAM, "--home", home, "apply"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen([FRAUDSTREAM, "--home", home, "run", "predict", path, "--json"], cwd=ROOT, stdout=subprocess.PIPE)
        output = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        summary = json.loads(output)
        tell(
            run="predict", orders=count, orders_per_s=round(summary["records"] / summary["seconds"]),
            max_rss_mb=round(usage.ru_maxrss / 1024, 1), cpu_s=round(usage.ru_utime + usage.ru_stime, 1),
        )


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--orders", type=int, default=200_000, help="the longer of the two runs")
    arguments = arguments.parse_args()
    run(2_000)
    run(arguments.orders)
    functions()


main()
