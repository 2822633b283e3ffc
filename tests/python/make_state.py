"""Makes a state folder as one release leaves it, for test_upgrade.py: every kind of item that is stored, in few of each.

Run it once for a release, with that release's binary, and never again for the same one: what it writes is the proof that
later releases read what this one wrote.

    make_state.py target/release/fraudstream tests/states/0.1.0.tar.xz
"""

import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

from conftest import ROOT, client, environment, free_port, server

MODEL_RULE = """
        - RuleId: model_very_high
          DetectorId: orders
          Language: DETECTORPL
          Outcomes:
            - Arn: !GetAtt Review.Arn
          Expression: $orders_model_insightscore >= 950
"""


def choose(folder):
    """Past orders with enough fraud to train a model, the messages about them, and 30 new orders with theirs."""
    read = lambda name: [json.loads(line) for line in (folder / name).read_text().splitlines()]
    truth = {row["order_id"]: row for row in read("history-truth.jsonl")}
    history = read("history.jsonl")
    messages = read("history-chargebacks.jsonl")
    disputed = {row["order_id"] for row in messages if row["kind"] in ("chargeback", "early_warning")}
    fraud = [order for order in history if truth[order["order_id"]].get("label") == "fraud" or order["order_id"] in disputed]
    honest = [order for order in history if order["order_id"] not in disputed][::40]
    chosen = sorted(fraud[:: max(1, len(fraud) // 140)][:160] + honest, key=lambda order: order["created_at"])
    ids = {order["order_id"] for order in chosen}
    return chosen, [row for row in messages if row["order_id"] in ids]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def main(binary, archive):
    binary = pathlib.Path(binary).resolve()
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        home = folder / "state"

        def run(*arguments):
            command = [binary, *arguments, "--home", home, "--mapping", ROOT / "config/mapping.yaml"]
            done = subprocess.run([str(part) for part in command], cwd=folder, env=environment(), capture_output=True, text=True)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            return done.stdout

        run("simulate", "--seed", "7", "--out", "shop")
        history, messages = choose(folder / "shop")
        detector = folder / "detector.yaml"
        text = (ROOT / "config/detector.yaml").read_text()
        detector.write_text(text)
        run("apply", detector)
        write_lines(folder / "history.jsonl", history)
        run("run", "ingest", "history.jsonl")
        write_lines(folder / "history-labels.jsonl", messages)
        run("run", "label", "history-labels.jsonl")
        train = ("train", "--model", "orders_model", "--type", "TRANSACTION_FRAUD_INSIGHTS", "--unlabeled", "LEGIT")
        arn = json.loads(run(*train, "--variable", "order_price", "--variable", "ip_address", "--activate", "--json"))["arn"]
        head, rules = text.split("      Rules:\n", 1)
        detector.write_text(f"{head}      AssociatedModels:\n        - Arn: {arn}\n      Rules:{MODEL_RULE}{rules}")
        run("apply", detector)
        run("list", "disposable_email_domains", "--add", "old.example", "--expires", "3000d", "--reason", "fixture", "--author", "tests")

        # New orders: decided, one broken, one changed under its id; labels for some, and one for an order that is not there.
        orders = [json.loads(line) for line in (folder / "shop/orders.jsonl").read_text().splitlines()[:30]]
        write_lines(folder / "orders.jsonl", orders)
        with (folder / "orders.jsonl").open("a") as file:
            file.write('{"order_id": "ORD-broken", "created_at": "no time"}\n')
            file.write(json.dumps({**orders[0], "total": "1.00"}) + "\n")
        run("run", "predict", "orders.jsonl")
        label = {"kind": "chargeback", "reason_code": "10.4", "label_timestamp": "2026-07-15T08:00:00Z", "source": "processor"}
        labels = [{**label, "order_id": order["order_id"]} for order in orders[:4]]
        labels += [{**label, "order_id": "ORD-999999"}, {**label, "order_id": orders[1]["order_id"], "kind": "reversal"}]
        write_lines(folder / "labels.jsonl", labels)
        run("run", "label", "labels.jsonl")
        run("forget", orders[5]["order_id"])

        # A batch import that ended, through the API.
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with server([binary, "serve", "--port", port, "--home", home], f"{url}/_fraudstream/health", folder / "log", cwd=ROOT):
            afd = client("frauddetector", url)
            (event_type,) = afd.get_event_types(name="order")["eventTypes"]
            names = event_type["eventVariables"]
            rows = [["EVENT_ID", "EVENT_TIMESTAMP", "ENTITY_ID", "ENTITY_TYPE", *names]]
            for number in (1, 2):
                values = ["12.50" if name == "order_price" else "" for name in names]
                rows.append([f"imported-{number}", f"2026-05-0{number}T10:00:00Z", "cust-1", "customer", *values])
            body = "".join(",".join(row) + "\n" for row in rows)
            client("s3", url).put_object(Bucket="fraudstream", Key="jobs/orders.csv", Body=body.encode())
            afd.create_batch_import_job(
                jobId="import_1", inputPath="s3://fraudstream/jobs/orders.csv", outputPath="s3://fraudstream/jobs/",
                eventTypeName="order", iamRoleArn="arn:aws:iam::123456789012:role/jobs",
            )
            for _ in range(240):
                (job,) = afd.get_batch_import_jobs(jobId="import_1")["batchImports"]
                if job["status"].startswith(("COMPLETE", "FAILED")):
                    break
                time.sleep(0.25)
            assert job["status"] == "COMPLETE", job

        # What was sent in goes with it: a later release is sent the same again, and everything has to be known.
        with tarfile.open(archive, "w:xz") as tar:
            for name in ("state", "detector.yaml", "orders.jsonl", "labels.jsonl"):
                tar.add(folder / name, name, filter=anonymous)
            facts = {"model": arn, "orders": [order["order_id"] for order in orders], "history": len(history)}
            data = json.dumps(facts, indent=1).encode()
            entry = tarfile.TarInfo("facts.json")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    print(archive, pathlib.Path(archive).stat().st_size)


def anonymous(entry):
    """Without the owner's name and the time."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(*sys.argv[1:])
