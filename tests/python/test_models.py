"""Models on the command line: from stored events to a rule on a score, and from a CSV file to its figures."""

import json
import random
import shutil
import subprocess

import pytest
from conftest import ROOT, environment


def run(fraudstream, folder, *words, status=0):
    done = subprocess.run([fraudstream, *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def lines(path, most):
    with open(path) as file:
        return [line for _, line in zip(range(most), file)]


def test_from_history_to_a_rule_on_a_score(fraudstream, tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    run(fraudstream, tmp_path, "simulate", "--out", "shop")
    shop = tmp_path / "shop"
    (tmp_path / "history.jsonl").write_text("".join(lines(shop / "history.jsonl", 10_000)))
    (tmp_path / "orders.jsonl").write_text("".join(lines(shop / "orders.jsonl", 300)))
    run(fraudstream, tmp_path, "apply")
    run(fraudstream, tmp_path, "run", "ingest", "history.jsonl")
    run(fraudstream, tmp_path, "run", "label", "shop/history-chargebacks.jsonl")
    trained = json.loads(run(fraudstream, tmp_path, "train", "--model", "orders_model", "--unlabeled", "LEGIT", "--activate", "--json"))
    assert trained["status"] == "ACTIVE"
    # Simulated fraud is hard, and a third of the history is little: it has to be far better than chance.
    assert trained["auc"] > 0.8, trained
    shares = [row["fpr"] for row in trained["thresholds"]]
    assert shares == sorted(shares), "a lower threshold calls more legitimate events fraud"

    detector = tmp_path / "config" / "detector.yaml"
    text = detector.read_text()
    text = text.replace(
        "      RuleExecutionMode: ALL_MATCHED\n",
        f"      RuleExecutionMode: ALL_MATCHED\n      AssociatedModels:\n        - Arn: {trained['arn']}\n", 1)
    text = text.replace(
        "      Rules:\n",
        "      Rules:\n        - RuleId: any_score\n          DetectorId: orders\n          Language: DETECTORPL\n"
        "          Outcomes:\n            - Arn: !GetAtt Review.Arn\n          Expression: $orders_model_insightscore >= 0\n", 1)
    detector.write_text(text)
    run(fraudstream, tmp_path, "apply")
    run(fraudstream, tmp_path, "run", "predict", "orders.jsonl")
    decided = [json.loads(line)["detail"] for line in (tmp_path / ".fraudstream" / "outcomes.jsonl").read_text().splitlines()]
    scores = [decision["scores"]["orders_model_insightscore"] for decision in decided if decision.get("order_id")]
    assert len(scores) > 250
    assert all(0 <= score <= 1000 and score == int(score) for score in scores)
    assert len(set(scores)) > 100, "a model that scores everything alike says nothing"
    matched = [rule["rule_id"] for decision in decided for rule in decision.get("matched_rules", [])]
    assert "any_score" in matched


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    chance = random.Random(5)
    rows = ["when,amount,country,mail,is_fraud"]
    for number in range(3000):
        fraud = chance.random() < 0.1
        country = chance.choice(["US", "CA", "GB"]) if not fraud or chance.random() < 0.4 else "ZZ"
        amount = chance.lognormvariate(5 if fraud else 3.5, 0.6)
        mail = f"user{chance.randrange(800)}@{'drop.example' if fraud and chance.random() < 0.5 else 'mail.example'}"
        day, hour = divmod(number, 24)
        rows.append(f"2026-{day // 28 + 1:02}-{day % 28 + 1:02} {hour:02}:00:00,{amount:.2f},{country},{mail},{int(fraud)}")
    path = tmp_path_factory.mktemp("events") / "events.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_evaluate_needs_nothing_but_the_file(fraudstream, events, tmp_path):
    found = json.loads(run(
        fraudstream, tmp_path, "evaluate", events, "--timestamp", "when", "--report", "report", "--scores", "scores.csv", "--json"))
    kinds = {column["name"]: column["type"] for column in found["columns"]}
    assert kinds == {"amount": "PRICE", "country": "BILLING_COUNTRY", "mail": "EMAIL_ADDRESS"}
    assert found["measures"]["auc"]["value"] > 0.9
    assert found["measures"]["auc"]["value"] > found["measures"]["best_look_up"]["auc"]
    assert found["divided"] == "the newest fifth by time"
    scores = (tmp_path / "scores.csv").read_text().splitlines()
    assert scores[0] == "row,fraud,score,log_odds"
    assert len(scores) - 1 == found["measures"]["events"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<svg") == 5 and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    for name in ["roc", "precision-recall", "scores", "calibration", "importance"]:
        assert (tmp_path / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_gives_the_same_figures_again(fraudstream, events, tmp_path):
    def figures():
        found = json.loads(run(fraudstream, tmp_path, "evaluate", events, "--json"))
        return found["measures"]
    assert figures() == figures()


@pytest.mark.parametrize("words, sentence", [
    (["--label", "fraud"], "there is no column `fraud` for the label; it has when, amount, country, mail, is_fraud"),
    (["--label", "country"], "which value of `country` is legitimate? Say --legit VALUE"),
    (["--type", "amount=MONEY"], "`MONEY` is no variable type"),
    (["--legit", "0", "--legit", "1"], "Ensure that both fraudulent and legitimate events exceed the minimum count of 50"),
])
def test_evaluate_says_what_is_missing(fraudstream, events, tmp_path, words, sentence):
    assert sentence in run(fraudstream, tmp_path, "evaluate", events, *words, status=1)


def rows(change=lambda number, row: row, many=3000, header="EVENT_ID,EVENT_TIMESTAMP,amount,kind,note,EVENT_LABEL"):
    """A file of events whose amount tells fraud, each row changed by `change`."""
    chance = random.Random(3)
    lines = [header]
    for number in range(many):
        fraud = chance.random() < 0.1
        second = chance.randrange(200 * 86400)
        time = f"2026-{second // 86400 // 28 % 12 + 1:02}-{second // 86400 % 28 + 1:02}T{second // 3600 % 24:02}:00:00Z"
        row = [f"e{number}", time, f"{chance.lognormvariate(4.5 if fraud else 3.5, 0.5):.2f}", chance.choice("abc"), f"note {number}", str(int(fraud))]
        lines.append(",".join(change(number, row)))
    return "\n".join(lines) + "\n"


def put(place, value):
    """Puts a value, or what a function makes of the row's number, in a column of every row."""
    def change(number, row):
        row[place] = value(number) if callable(value) else value
        return row
    return change


@pytest.mark.parametrize("text, note", [
    # 100,000 categories, so that no two rows have the same.
    (rows(put(3, lambda number: f"kind{number * 33}"), 5000), None),
    (rows(put(0, lambda number: f"e{number // 2}")), "rows to train on have an EVENT_ID that another row has"),
    (rows(put(2, lambda number: ["NaN", "Infinity", "-inf", "1e999", "12.5"][number % 5] if number % 3 == 0 else f"{number % 97}.5")), None),
    (rows(put(4, lambda number: f"{number} " + "word%20é " * 900)), None),
    (rows(put(3, "")), None),
    (rows(put(3, "same")), None),
    (rows()[:-20], "1 rows do not have the header's columns"),
    (rows(put(1, "2026-01-01T00:00:00Z")), None),
    (rows(put(2, lambda number: str(number * 7919 % 100))), "no better than chance"),
], ids=["distinct", "repeated-ids", "infinities", "long", "missing", "constant", "cut", "one-time", "chance"])
def test_evaluate_takes_odd_files(fraudstream, tmp_path, text, note):
    (tmp_path / "odd.csv").write_text(text)
    found = run(fraudstream, tmp_path, "evaluate", "odd.csv", "--scores", "scores.csv", "--model", "model")
    assert "AUC" in found
    assert note is None or note in found
    with open(tmp_path / "scores.csv") as file:
        scores = [float(row.split(",")[3]) for row in list(file)[1:]]
    assert len(set(scores)) > 1, "a model that scores everything alike says nothing"


@pytest.mark.parametrize("text, sentence", [
    (rows(put(5, "0")), "Fewer than 50 rows are labeled as fraudulent events."),
    (rows(put(5, "fraud")), "`EVENT_LABEL` holds nothing but `fraud`; events of two kinds are needed"),
    (rows(put(5, "")), "`EVENT_LABEL` holds nothing; events of two kinds are needed"),
    (rows(lambda number, row: [row[0], row[1], "", "", "", row[5]]), "Dataset must contain at least 1 variables suitable for training."),
    (rows(lambda number, row: [row[0], row[1], "1", "a", "same", row[5]]), "Dataset must contain at least 1 variables suitable for training."),
    (rows(lambda number, row: row if number % 2 else row[:4]), "rows do not have the 6 columns of the header (the first is row 1)"),
    (rows(put(1, lambda number: "" if number % 9 == 0 else f"2026-01-{number % 28 + 1:02}")), "EVENT_TIMESTAMP with missing values"),
    ("PK\x03\x04 and so on", "a ZIP or Excel file; unpack it, or save it as CSV"),
    ("", "there are no rows under the header"),
], ids=["legit", "fraud", "unlabelled", "nothing", "constant", "cut", "times", "zip", "empty"])
def test_evaluate_says_why_not(fraudstream, tmp_path, text, sentence):
    (tmp_path / "odd.csv").write_text(text)
    assert sentence in run(fraudstream, tmp_path, "evaluate", "odd.csv", status=1)


def test_evaluate_needs_a_file(fraudstream, tmp_path):
    assert "give its name, not standard input" in run(fraudstream, tmp_path, "evaluate", "-", status=1)
    assert "No such file" in run(fraudstream, tmp_path, "evaluate", "missing.csv", status=1)
