"""Trees beside LightGBM on the same matrices, with the same number of trees, leaves and threads.

    tests/setup.sh model
    cargo build --profile bench -p model --example train_matrix
    .venv/model/bin/python tests/python/bench_model.py [--rows 150000] [--trees 300] [--threads 1] [--repeat 3]

Prints one JSON line a data set: seconds of training (the best of the repetitions, which take turns), AUC and
recall at 1 % false positives on rows not trained on, and the machine's load. Exits with 1 if training takes
more than 1.2 times LightGBM's time or the AUC is more than 0.005 below LightGBM's.
"""

import argparse
import csv
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import lightgbm
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "data"
LEAVES, RATE = 31, 0.05


def draw(random, log_odds):
    return random.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))


def imbalanced(random, rows):
    """Half a percent of fraud."""
    x = random.normal(size=(rows, 19))
    z = x[:, 0] + 0.8 * x[:, 1] * x[:, 2] + np.abs(x[:, 3]) - 0.5 * x[:, 4] ** 2 * (x[:, 5] > 0) + 0.7 * x[:, 6]
    return x, draw(random, 4 * (z - np.quantile(z, 0.995)))


def categories(random, rows):
    """Up to 5,000 categories a column, each encoded by a noisy rate and by its count."""
    columns, z = [], np.full(rows, -3.5)
    for count in [5, 20, 100, 1000, 5000, 50, 300, 3, 2000, 10, 40, 700]:
        effect = random.normal(size=count) * 0.6
        category = np.minimum(random.zipf(1.3, rows) - 1, count - 1)
        z += effect[category]
        columns += [(effect + random.normal(size=count) * 0.4)[category], np.bincount(category, minlength=count)[category]]
    return np.stack(columns, axis=1), draw(random, z)


def missing(random, rows):
    """Up to 80 % missing, and what is missing tells something."""
    x = random.normal(size=(rows, 30))
    gone = random.random(x.shape) < random.random(30) * 0.8
    z = np.where(gone[:, 0], 1.5, x[:, 0]) + np.where(gone[:, 1], -1, x[:, 1] ** 2) + 1.2 * gone[:, 3] * (x[:, 4] > 0)
    x[gone] = np.nan
    return x, draw(random, z - 4)


def heavy_tails(random, rows):
    x = random.standard_t(1.1, size=(rows, 16)) * 1000
    z = (x[:, 8] > 5000) * 2 - (np.abs(x[:, 9]) < 300) * 1.5 + np.tanh(x[:, 10] / 2000) * 1.5 + (x[:, 1] > 10) * (x[:, 11] > 0) * 2
    return x, draw(random, z - 3.5)


def interactions(random, rows):
    x = random.random(size=(rows, 60))
    z = 4 * ((x[:, 0] > 0.5) ^ (x[:, 1] > 0.3)) + 3 * ((x[:, 2] > 0.7) & (x[:, 3] < 0.4)) + 6 * x[:, 5] * x[:, 6] * x[:, 7]
    return x, draw(random, z + 3 * np.sin(12 * x[:, 8]) - 7)


def lines(name):
    with gzip.open(SHARED / name, "rt", newline="") as file:
        return list(csv.DictReader(file))


def ipblock(random, _rows):
    """An address as its four octets and what they make together."""
    rows = lines("ipblock_rebuilt.csv.gz")
    octets = np.array([[int(part) for part in row["ip"].split(".")] for row in rows], dtype=float)
    x = np.column_stack([octets, octets @ [2**24, 2**16, 2**8, 1], octets[:, 0] * 256 + octets[:, 1]])
    order = random.permutation(len(rows))
    return x[order], np.array([row["is_ip_malign"] == "1" for row in rows])[order]


def malurl(random, _rows):
    """An address as counts of characters."""
    rows = lines("malurl_40k.csv.gz")
    counted = "./-_?=&%@0123456789aeiou"
    x = np.array([[len(row["url"]), *(row["url"].count(character) for character in counted)] for row in rows], dtype=float)
    order = random.permutation(len(rows))
    return x[order], np.array([row["type"] != "benign" for row in rows])[order]


def ranked(labels, scores):
    """AUC and recall at 1 % false positives."""
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.append(0, np.cumsum(labels)[ends]) / labels.sum()
    false = np.append(0, np.cumsum(~labels)[ends]) / (~labels).sum()
    return float(np.trapezoid(true, false)), float(np.interp(0.01, false, true))


def ours(folder, arguments):
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "examples" / "train_matrix"
    trained = [program, folder / "matrix", folder / "scores", arguments.trees, LEAVES, RATE, arguments.threads]
    return json.loads(subprocess.run([str(word) for word in trained], check=True, stdout=subprocess.PIPE).stdout)


def theirs(x, labels, arguments):
    start = time.perf_counter()
    data = lightgbm.Dataset(x, labels, params={"verbose": -1, "num_threads": arguments.threads}).construct()
    bin_s = time.perf_counter() - start
    options = {"objective": "binary", "num_leaves": LEAVES, "learning_rate": RATE, "num_threads": arguments.threads, "verbose": -1}
    start = time.perf_counter()
    model = lightgbm.train(options, data, arguments.trees)
    return model, {"bin_s": bin_s, "train_s": time.perf_counter() - start}


def compare(make, arguments):
    x, labels = make(np.random.default_rng(1), arguments.rows * 5 // 4)
    x, train = x.astype(np.float32), len(x) * 4 // 5
    taken = {"ours": [], "lightgbm": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with open(folder / "matrix", "wb") as file:
            np.array([len(x), train, x.shape[1]], dtype="<u8").tofile(file)
            labels.astype(np.uint8).tofile(file)
            np.ascontiguousarray(x.T).tofile(file)
        for _ in range(arguments.repeat):
            taken["ours"].append(ours(folder, arguments))
            model, seconds = theirs(x[:train], labels[:train], arguments)
            taken["lightgbm"].append(seconds)
        scores = {"ours": np.fromfile(folder / "scores"), "lightgbm": model.predict(x[train:])}
    figure = {"data": make.__name__, "rows": train, "columns": x.shape[1], "fraud": round(float(labels.mean()), 4)}
    for name in taken:
        auc, recall = ranked(labels[train:], scores[name])
        best = {key: round(min(run[key] for run in taken[name]), 3) for key in ("bin_s", "train_s")}
        figure[name] = {**best, "auc": round(auc, 4), "recall_at_1_percent": round(recall, 3)}
    figure["times"] = round(figure["ours"]["train_s"] / figure["lightgbm"]["train_s"], 2)
    figure["auc_above"] = round(figure["ours"]["auc"] - figure["lightgbm"]["auc"], 4)
    print(json.dumps({**figure, "load": round(os.getloadavg()[0], 1)}), flush=True)
    return figure["times"] <= 1.2 and figure["auc_above"] >= -0.005


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=150_000, help="rows to train on, where the data is made")
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    sets = [imbalanced, categories, missing, heavy_tails, interactions]
    if SHARED.exists():
        sets += [ipblock, malurl]
    else:
        print(f"skipped: ipblock and malurl, because there is no {SHARED}", file=sys.stderr)
    held = [compare(make, arguments) for make in sets]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
