"""How long `POST /decide` takes at a fixed rate: run by `make bench`.

    .venv/tools/bin/python tests/python/bench_decide.py [--rate 500] [--seconds 20] [--binary target/debug/fraudstream]

Orders are sent when they are due, whether the earlier ones are answered or not, and the time of an answer counts from
when its order was due: a server that falls behind cannot hide it. Goal: p99 of at most 25 ms at 500 orders a second, with
the six keys of the sample.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import tempfile
import time
import urllib.parse

from bench import FRAUDSTREAM, keyed_orders
from conftest import free_port, make_call, server

WARM_UP = 2


async def ask(connection, body):
    """Sends one order over a connection; the status of the answer and what it decided."""
    reader, writer = connection
    head = f"POST /decide HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    answer = json.loads(await reader.readexactly(length))
    return int(lines[0].split()[1]), answer["decided"]


async def send_all(address, bodies, rate, connections):
    """Sends the orders at this rate. The time and the status of each answer, and how many were answered in a second."""
    free = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection(*address))
    start = time.perf_counter() + 0.1
    answers = []

    async def one(due, body):
        connection = await free.get()
        status = await ask(connection, body)
        free.put_nowait(connection)
        answers.append(((time.perf_counter() - due) * 1000, status))

    tasks = []
    for number, body in enumerate(bodies):
        due = start + number / rate
        await asyncio.sleep(max(0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due, body)))
    await asyncio.gather(*tasks)
    return answers, len(answers) / (time.perf_counter() - start)


def measure(url, bodies, rate, connections):
    parts = urllib.parse.urlsplit(url)
    address = (parts.hostname, parts.port)
    warm = min(len(bodies) // 2, WARM_UP * rate)
    asyncio.run(send_all(address, bodies[:warm], rate, connections))
    answers, reached = asyncio.run(send_all(address, bodies[warm:], rate, connections))
    times = sorted(milliseconds for milliseconds, _ in answers)
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)]  # noqa: E731
    kinds = collections.Counter(f"{status} {decided}" for _, (status, decided) in answers)
    return {
        "orders": len(answers), "asked/s": rate, "reached/s": round(reached), "p50 ms": round(at(0.5), 1), "p99 ms": round(at(0.99), 1),
        "max ms": round(times[-1], 1), "answers": ", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())),
        "load": round(os.getloadavg()[0], 1),
    }


def print_table(rows):
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    for row in [{name: name for name in widths}, *rows]:
        print("  ".join(str(row[name]).rjust(width) for name, width in widths.items()), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, action="append", help="orders a second; may be given several times")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--binary", type=pathlib.Path, default=FRAUDSTREAM)
    options = parser.parse_args()
    rows = []
    for rate in options.rate or [500]:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            keyed_orders(folder / "orders.jsonl", rate * (options.seconds + WARM_UP))
            bodies = (folder / "orders.jsonl").read_bytes().splitlines()
            call = make_call(options.binary, folder / "home")
            call("apply", "--allow-unfilled")
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            command = [options.binary, "--home", folder / "home", "serve", "--port", port, "--decide-timeout", 10_000]
            with server(command, f"{url}/_fraudstream/health", folder / "serve.log"):
                rows.append(measure(url, bodies, rate, options.connections))
    print_table(rows)


if __name__ == "__main__":
    main()
