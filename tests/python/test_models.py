"""Models on the command line: from stored events to a rule on a score, and from a CSV file to its figures."""

import datetime
import json
import math
import random
import shutil
import subprocess

import pytest
from conftest import ROOT, client, environment, eventually, free_port, server


def run(fraudstream, folder, *words, status=0, **more):
    done = subprocess.run([fraudstream, *words], cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_from_history_to_a_rule_on_a_score(fraudstream, tmp_path):
    """What docs/models.md begins with."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    run(fraudstream, tmp_path, "simulate", "--out", "shop")
    run(fraudstream, tmp_path, "apply")
    run(fraudstream, tmp_path, "run", "ingest", "shop/history.jsonl")
    run(fraudstream, tmp_path, "run", "label", "shop/history-chargebacks.jsonl")
    train = ("train", "--model", "orders_model", "--type", "TRANSACTION_FRAUD_INSIGHTS", "--unlabeled", "LEGIT", "--activate", "--json")
    trained = json.loads(run(fraudstream, tmp_path, *train))
    assert trained["status"] == "ACTIVE"
    assert trained["auc"] > 0.95, trained
    assert any(name.startswith("history of") for name, _ in trained["importance"])
    shares = [row["fpr"] for row in trained["thresholds"]]
    assert shares == sorted(shares), "a lower threshold calls more legitimate events fraud"

    detector = tmp_path / "config" / "detector.yaml"
    text = detector.read_text()
    text = text.replace(
        "      Rules:\n",
        "      Rules:\n        - RuleId: any_score\n          DetectorId: orders\n          Language: DETECTORPL\n"
        "          Outcomes:\n            - Arn: !GetAtt Review.Arn\n          Expression: $orders_model_insightscore >= 0\n", 1)
    detector.write_text(text)
    run(fraudstream, tmp_path, "apply", "--parameter", f"OrdersModelArn={trained['arn']}")
    run(fraudstream, tmp_path, "run", "predict", "shop/orders.jsonl")
    decided = [json.loads(line)["detail"] for line in (tmp_path / ".fraudstream" / "outcomes.jsonl").read_text().splitlines()]
    scored = {decision["order_id"]: decision["scores"]["orders_model_insightscore"] for decision in decided if decision.get("order_id")}
    scores = list(scored.values())
    assert len(scores) > 1900
    assert all(0 <= score <= 1000 and score == int(score) for score in scores)
    assert len(set(scores)) > 100, "a model that scores everything alike says nothing"
    matched = [rule["rule_id"] for decision in decided for rule in decision.get("matched_rules", [])]
    assert "any_score" in matched
    # What became of them: some of the new orders are an attack that the history has not seen.
    truth = {row["order_id"]: row["fraud"] for row in map(json.loads, (tmp_path / "shop" / "truth.jsonl").read_text().splitlines())}
    fraud = [score for order, score in scored.items() if truth.get(order)]
    legit = sorted((score for order, score in scored.items() if truth.get(order) is False), reverse=True)
    auc = sum((bad > good) + (bad == good) / 2 for bad in fraud for good in legit) / len(fraud) / len(legit)
    found = sum(score > legit[len(legit) // 100] for score in fraud) / len(fraud)
    assert 0.88 <= auc <= 0.96 and 0.4 <= found <= 0.7, (auc, found)

    order = next(decision for decision in decided if decision.get("scores"))
    explained = json.loads(run(fraudstream, tmp_path, "explain", order["order_id"], "--json"))
    [model] = explained["models"]
    assert model["score"] == order["scores"]["orders_model_insightscore"]
    impacts = [variable["log_odds_impact"] for variable in model["variables"]]
    assert sum(impacts) + model["expected"] == pytest.approx(model["log_odds"], abs=1e-6)
    assert impacts == sorted(impacts, key=abs, reverse=True)

    again = json.loads(run(
        fraudstream, tmp_path, "train", "--model", "orders_model", "--unlabeled", "LEGIT", "--labels", "final", "--json"))
    assert again["version"] == "2.0"
    assert "Labels are taken as final, as asked for." in again["notes"]
    [line] = [note for note in again["notes"] if note.startswith("Score 0 of rule 'any_score' of detector 'orders': 100.00 % of the newest")]
    assert line.endswith("with version 1.0, 100.00 % with this version.")


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
    auc = found["measures"]["auc"]
    assert 0 <= auc["low"] <= auc["value"] <= auc["high"] <= 1 and auc["low"] < auc["high"]
    assert " ".join(found["summary"]) in page.replace("&quot;", '"')
    assert f"AUC is {auc['value']:.4f} ({auc['low']:.4f} to {auc['high']:.4f})" in page
    for row in found["measures"]["thresholds"]:
        for figure in [row["fpr"], row["recall"], row["amount_recall"]]:
            assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    assert page.count("<svg") == 5 and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    for name in ["roc", "precision-recall", "scores", "calibration", "importance"]:
        assert (tmp_path / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert int.from_bytes((tmp_path / "report" / f"{name}.png").read_bytes()[16:20]) == 1200


def test_evaluate_leaves_out_what_is_neither_fraud_nor_legitimate(fraudstream, tmp_path):
    def status(number, row):
        return row[:5] + ["storniert" if row[5] == "1" else "offen" if number % 10 == 0 else "bezahlt"]
    (tmp_path / "orders.csv").write_text(rows(status))
    words = ["evaluate", "orders.csv", "--legit", "bezahlt", "--fraud", "storniert"]
    found = json.loads(run(fraudstream, tmp_path, *words, "--json"))
    counts = {value["value"]: (value["rows"], value["taken_as"]) for value in found["label_values"]}
    assert sum(rows for rows, _ in counts.values()) == 3000
    assert [kind for _, kind in counts.values()] == ["legit", "fraud", "left_out"]
    left_out = counts["offen"][0]
    assert found["measures"]["events"] + sum(found["training"]["blocks"]) + left_out == 3000
    text = run(fraudstream, tmp_path, *words)
    assert f"left out: `offen` ({left_out} rows)" in text
    assert f"note: {left_out} rows whose `EVENT_LABEL` is `offen` were left out" in text


def test_evaluate_gives_the_same_figures_again(fraudstream, events, tmp_path):
    def figures():
        found = json.loads(run(fraudstream, tmp_path, "evaluate", events, "--json"))
        return found["measures"]
    assert figures() == figures()


@pytest.mark.parametrize("words, sentence", [
    (["--label", "fraud"], "there is no column `fraud` for the label; it has when, amount, country, mail, is_fraud"),
    (["--label", "country"], "which value of `country` is legitimate? Say --legit VALUE or --fraud VALUE"),
    (["--label", "country", "--fraud", "ZZ"], "such as --fraud ZZ --legit CA --legit GB --legit US"),
    (["--type", "amount=MONEY"], "`MONEY` is no variable type"),
    (["--timestamp", "none", "--gap", "7d"], "--gap needs the time of each event"),
    (["--timestamp", "none", "--retrain-every", "7d"], "--retrain-every needs the time of each event"),
    (["--timestamp", "when", "--retrain-every", "1m"], "would train 100 models or more; give a longer time"),
    (["--legit", "0", "--legit", "1"], "Ensure that both fraudulent and legitimate events exceed the minimum count of 50"),
])
def test_evaluate_says_what_is_missing(fraudstream, events, tmp_path, words, sentence):
    assert sentence in run(fraudstream, tmp_path, "evaluate", events, *words, status=1)


def test_a_time_span_that_is_none_is_a_sentence(fraudstream, events, tmp_path):
    told = run(fraudstream, tmp_path, "evaluate", events, "--label-delay", "soon", status=2)
    assert "`soon` is not a time span; write days, hours or minutes, such as 7d, 12h or 30m" in told


def test_evaluate_names_a_test_that_is_none(fraudstream, events, tmp_path):
    notes = json.loads(run(fraudstream, tmp_path, "evaluate", events, events, "--timestamp", "when", "--json"))["test_notes"]
    assert [note.split(f"{events}")[0] for note in notes] == ["3000 of 3000 events of ", ""]
    assert notes[0].endswith("Measure on events that the model has not seen.")
    assert "begins (2026-01-01T00:00:00Z) before the events that train end (2026-05-13T23:00:00Z)" in notes[1]


def test_a_test_file_with_other_words_for_its_labels(fraudstream, tmp_path):
    (tmp_path / "train.csv").write_text(rows())
    (tmp_path / "test.csv").write_text(rows(lambda number, row: row[:-1] + [["echt", "betrug"][int(row[-1])]]))
    told = run(fraudstream, tmp_path, "evaluate", "train.csv", "test.csv", status=1)
    assert "test.csv: `EVENT_LABEL` has other values (`betrug` (" in told and "write them alike" in told


def test_labels_of_the_test_count_when_they_would_have_come(fraudstream, tmp_path):
    """A device is stolen for forty days, and what it did becomes known a week later."""
    chance = random.Random(7)
    stolen = {device: chance.randrange(180) for device in range(0, 300, 3)}
    lines = ["EVENT_TIMESTAMP,device_id,amount,EVENT_LABEL"]
    for number in range(9000):
        day, hour = number // 50, number % 50 * 24 // 50
        device = chance.randrange(300)
        is_stolen = 0 <= day - stolen.get(device, 999) < 40
        fraud = chance.random() < (0.7 if is_stolen else 0.01)
        moment = datetime.datetime(2026, 1, 1) + datetime.timedelta(days=day, hours=hour)
        lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},d{device},{chance.lognormvariate(3, 0.5):.2f},{int(fraud)}")
    (tmp_path / "orders.csv").write_text("\n".join(lines) + "\n")

    def measure(*words):
        found = json.loads(run(fraudstream, tmp_path, "evaluate", "orders.csv", *words, "--json"))
        return found["measures"]["auc"]["value"], found["training"]

    without, _ = measure()
    known, training = measure("--label-delay", "7d")
    assert known > without + 0.05, (known, without)
    # Those of the last week before the test cannot be learnt from: 350, but three whose labels come when it begins.
    assert training["maturity"]["immature"] == 347 and sum(training["blocks"]) == 144 * 50 - 347
    _, with_gap = measure("--label-delay", "7d", "--gap", "14d")
    assert with_gap["maturity"]["immature"] == 0 and sum(with_gap["blocks"]) == 130 * 50
    # The test begins at day 144: the last model is trained at day 171, without the fortnight before it.
    _, again = measure("--label-delay", "7d", "--gap", "14d", "--retrain-every", "9d")
    assert sum(again["blocks"]) == (171 - 14) * 50
    found = run(fraudstream, tmp_path, "evaluate", "orders.csv", "--retrain-every", "9d")
    assert "4 models in " in found and "note: nothing says when labels came" in found


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
    (rows()[:-20], "was left out. The row has "),
    (rows(put(1, "2026-01-01T00:00:00Z")), None),
    (rows(lambda number, row: row[:1] + ["31.02.2026" if number % 100 == 7 else row[1]] + row[2:]),
     "30 rows (1.00 %) were left out because their time cannot be read; the first is row 8, which has `31.02.2026`."),
    (rows(put(2, lambda number: f"{number * 7 % 400}.50 EUR")), "values are amounts with a currency, such as `0.50 EUR`: a PRICE is the number alone"),
    (rows(header="EVENT_ID,placed_at,amount,kind,note,EVENT_LABEL"), "no time: --timestamp placed_at would make one"),
    (rows(put(2, lambda number: str(number * 7919 % 100))), "no better than chance"),
], ids=["distinct", "repeated-ids", "infinities", "long", "missing", "constant", "cut", "one-time", "bad-times", "currency", "no-time", "chance"])
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
    (rows(put(1, lambda number: "" if number % 9 == 0 else f"2026-01-{number % 28 + 1:02}")), "the time of 334 of 3000 rows cannot be read (the first is row 1, which has ``); name another column with --timestamp"),
    ("PK\x03\x04 and so on", "a ZIP or Excel file; unpack it, or save it as CSV"),
    ("", "the file is empty"),
], ids=["legit", "fraud", "unlabelled", "nothing", "constant", "cut", "times", "zip", "empty"])
def test_evaluate_says_why_not(fraudstream, tmp_path, text, sentence):
    (tmp_path / "odd.csv").write_text(text)
    assert sentence in run(fraudstream, tmp_path, "evaluate", "odd.csv", status=1)


def test_evaluate_needs_a_file(fraudstream, tmp_path):
    assert "give its name, not standard input" in run(fraudstream, tmp_path, "evaluate", "-", status=1)
    assert "No such file" in run(fraudstream, tmp_path, "evaluate", "missing.csv", status=1)


DETECTOR = """
Resources:
  Shop:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: shop
      RuleExecutionMode: FIRST_MATCHED
      EventType:
        Inline: true
        Name: purchase
        EntityTypes: [{Inline: true, Name: customer}]
        Labels: [{Inline: true, Name: fraud}, {Inline: true, Name: legit}]
        EventVariables:
          - {Inline: true, Name: amount, DataType: FLOAT, DataSource: EVENT, DefaultValue: 0.0}
          - {Inline: true, Name: country, DataType: STRING, DataSource: EVENT, DefaultValue: ""}
          - {Inline: true, Name: device, DataType: STRING, DataSource: EVENT, DefaultValue: ""}
      AssociatedModels:
        - Arn: arn:aws:frauddetector:us-east-1:123456789012:model-version/ONLINE_FRAUD_INSIGHTS/shop_model/1.0
      Rules:
        - RuleId: high_score
          DetectorId: shop
          Language: DETECTORPL
          Outcomes: [{Inline: true, Name: block}]
          Expression: $shop_model_insightscore > 950
        - RuleId: country_of_thieves
          DetectorId: shop
          Language: DETECTORPL
          Outcomes: [{Inline: true, Name: stop}]
          Expression: $country == "ZZ" and $device == ""
        - RuleId: dear
          DetectorId: shop
          Language: DETECTORPL
          Outcomes: [{Inline: true, Name: review}]
          Expression: $amount > 100
"""


def test_rules_alone_are_measured_beside_the_model(fraudstream, events, tmp_path):
    (tmp_path / "detector.yaml").write_text(DETECTOR)
    words = ["evaluate", events, "--timestamp", "when", "--detector", "detector.yaml"]
    found = json.loads(run(fraudstream, tmp_path, *words, "--json"))["rules_only"]
    assert found["left_out"] == [{"rule": "high_score", "why": "needs the score `$shop_model_insightscore`"}]
    assert found["missing_columns"] == ["device"]
    rows = [line.split(",") for line in events.read_text().splitlines()[1:]]
    newest = rows[len(rows) * 8 // 10:]
    legit = sum(row[4] == "0" for row in newest)
    assert [row["outcomes"] for row in found["outcomes"]] == [["stop"], ["stop", "review"]]
    for row, called in zip(found["outcomes"], [
        [row for row in newest if row[2] == "ZZ"],
        [row for row in newest if row[2] == "ZZ" or float(row[1]) > 100],
    ]):
        fraud = sum(row[4] == "1" for row in called)
        assert row["events"] == len(called)
        assert row["fpr"] == pytest.approx((len(called) - fraud) / legit)
        assert row["recall"] == pytest.approx(fraud / (len(newest) - legit))
        assert row["precision"] == pytest.approx(fraud / len(called))
        assert row["model_recall"] > row["recall"] - 0.2
    text = run(fraudstream, tmp_path, *words, "--report", "report")
    assert "stop, review" in text
    assert "note: rule `high_score` was left out: it needs the score `$shop_model_insightscore`." in text
    assert "What the rules of shop do" in (tmp_path / "report" / "report.html").read_text()
    (tmp_path / "other.csv").write_text("a,b,fraud\n" + "1,2,0\n3,4,1\n" * 100)
    refused = run(fraudstream, tmp_path, "evaluate", "other.csv", "--detector", "detector.yaml", status=1)
    assert "other.csv has no column of the variables that the rules use: country, device, amount" in refused


# Models that their libraries trained and saved, with rows and what the libraries say of them.
MODELS = ROOT / "engine" / "model" / "tests" / "models"
FEATURES = ["price", "age", "count", "kind", "gap"]
NUMBERS = """
Resources:
  Numbers:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: numbers
      DetectorVersionStatus: ACTIVE
      RuleExecutionMode: FIRST_MATCHED
      EventType:
        Inline: true
        Name: numbers
        EntityTypes: [{Inline: true, Name: customer}]
        Labels: [{Inline: true, Name: fraud}, {Inline: true, Name: legit}]
        EventVariables:
          - {Inline: true, Name: note, DataType: STRING, DataSource: EVENT, DefaultValue: ""}
%(variables)s
      AssociatedModels: [%(models)s]
      Rules:
        - RuleId: any
          DetectorId: numbers
          Language: DETECTORPL
          Outcomes: [{Inline: true, Name: review}]
          Expression: %(rule)s
"""


def answers(name):
    found = json.loads((MODELS / f"{name}.answers.json").read_text())
    return found["rows"], found["predictions"], found["shapley"]


def named(prefix):
    return [word for at, name in enumerate(FEATURES) for word in ["--feature", f"{prefix}{at}={name}"]]


class Shop:
    """A server with an event type of five numbers, and the command line that speaks to it."""

    def __init__(self, fraudstream, url, folder):
        self.fraudstream, self.folder, self.env = fraudstream, folder, {"AWS_ENDPOINT_URL": url}
        self.detector = client("frauddetector", url)
        shutil.copytree(ROOT / "config", folder / "config")
        self.apply([], "$price > 1")

    def run(self, *words, **more):
        return run(self.fraudstream, self.folder, *words, **self.env, **more)

    def apply(self, models, rule):
        variable = "          - {Inline: true, Name: %s, DataType: FLOAT, DataSource: EVENT, DefaultValue: 0.0}"
        text = NUMBERS % {
            "variables": "\n".join(variable % name for name in FEATURES),
            "models": ", ".join(f"{{Arn: '{arn}'}}" for arn in models),
            "rule": rule,
        }
        (self.folder / "detector.yaml").write_text(text)
        self.run("apply", "detector.yaml")

    def load(self, file, *words):
        return json.loads(self.run("import-model", MODELS / file, "--event-type", "numbers", *words, "--json"))

    def use(self, imported):
        """Has the detector ask the model. The server sees what another process changed within two seconds."""
        self.apply([imported["arn"]], f"${imported['model']}_insightscore >= 0")
        eventually(lambda: imported["model"] in self.scores("probe", [1.0]), what=f"{imported['model']} scores")

    def scores(self, event_id, row):
        """The score of each model; what the row lacks, the event lacks."""
        variables = {"note": "an event has a variable"}
        variables |= {name: repr(value) for name, value in zip(FEATURES, row) if value is not None}
        answer = self.detector.get_event_prediction(
            detectorId="numbers", eventId=event_id, eventTypeName="numbers", eventTimestamp="2026-06-01T10:15:30Z",
            entities=[{"entityType": "customer", "entityId": "unknown"}], eventVariables=variables)
        return {found["modelVersion"]["modelId"]: sum(found["scores"].values()) for found in answer["modelScores"]}


@pytest.fixture(scope="module")
def shop(fraudstream, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("imports"), free_port()
    url = f"http://127.0.0.1:{port}"
    with server([fraudstream, "serve", "--port", port, "--home", folder / "home"], f"{url}/_fraudstream/health", folder / "log"):
        yield Shop(fraudstream, url, folder)


@pytest.mark.parametrize("file, prefix", [
    ("lightgbm-binary.txt", "Column_"), ("lightgbm-categories.txt", "Column_"), ("xgboost-logistic.json", "f"),
])
def test_an_imported_model_scores_as_its_library(shop, file, prefix):
    name = file.partition(".")[0]
    model = name.replace("-", "_")
    imported = shop.load(file, "--model", model, *named(prefix), "--activate")
    assert (imported["version"], imported["status"], imported["variables"]) == ("1.0", "ACTIVE", FEATURES)
    assert imported["notes"][0].endswith(f"model of 8 trees over 5 features, imported from {file}.")
    assert "1000 times the probability" in imported["notes"][1]
    [described] = shop.detector.describe_model_versions(modelId=model)["modelVersionDetails"]
    messages = described["trainingResultV2"]["dataValidationMetrics"]["fileLevelMessages"]
    assert [message["content"] for message in messages] == imported["notes"]
    shop.use(imported)
    rows, predictions, shapley = answers(name)
    for at, (row, probability) in enumerate(zip(rows, predictions)):
        scores = shop.scores(f"{model}-{at}", row)
        assert scores == {model: pytest.approx(1000 * probability, abs=0.5 + 1e-4)}
    # XGBoost predicts with 32 bits.
    close = 1e-6 if file.endswith(".txt") else 2e-6
    for at in range(0, len(rows), 20):
        words = ["explain", f"{model}-{at}", "--event-type", "numbers", "--json"]
        for exact in [[], ["--exact"]]:
            found = json.loads(shop.run(*words, *exact))
            assert found["attribution"] == ("shapley" if exact else "path")
            [found] = found["models"]
            assert found["log_odds"] == pytest.approx(math.log(predictions[at] / (1 - predictions[at])), abs=close)
            impacts = {variable["name"]: variable["log_odds_impact"] for variable in found["variables"]}
            assert sum(impacts.values()) + found["expected"] == pytest.approx(found["log_odds"], abs=1e-9)
        exact = [impacts[name] for name in FEATURES] + [found["expected"]]
        assert exact == pytest.approx(shapley[at], abs=1e-5)


def test_scores_of_an_imported_model_are_calibrated_on_labelled_events(shop):
    rows, margins, _ = answers("xgboost-logitraw")
    legit = [margin < 1 for margin in margins]
    lines = ["f0,f1,f2,f3,f4,is_fraud"]
    for row, is_legit in zip(rows, legit):
        lines.append(",".join("" if value is None else repr(value) for value in row) + ("," + "01"[not is_legit]))
    (shop.folder / "labelled.csv").write_text("\n".join(lines) + "\n")
    words = ["--model", "margins", *named("f"), "--calibrate", "labelled.csv", "--activate"]
    imported = shop.load("xgboost-logitraw.json", *words)
    assert f"measured on {sum(legit)} legitimate events of labelled.csv. There its AUC is 1.0000" in imported["notes"][1]
    shop.use(imported)
    scores = [shop.scores(f"margins-{at}", row)["margins"] for at, row in enumerate(rows)]
    above = [score >= 600 for score, is_legit in zip(scores, legit) if is_legit]
    assert sum(above) / len(above) == pytest.approx(0.10, abs=0.04)
    ranked = sorted(zip(margins, scores))
    assert all(a[1] <= b[1] for a, b in zip(ranked, ranked[1:])), "a higher margin never scores lower"
    [found] = json.loads(shop.run("explain", "margins-7", "--event-type", "numbers", "--json"))["models"]
    assert found["log_odds"] == pytest.approx(margins[7], abs=1e-6)
    assert found["score"] == scores[7]
    assert "margins 1.0: score" in shop.run("explain", "margins-7", "--event-type", "numbers", "--exact")


@pytest.mark.parametrize("file, words, sentence", [
    ("lightgbm-binary.txt", [], "Features [Column_0, Column_1, Column_2, Column_3, Column_4] of the model are not variables of "
     "event type 'numbers', which has [note, price, age, count, kind, gap]."),
    ("xgboost-regression.json", [], "predicts a value and not a probability"),
    ("xgboost-linear.json", [], "cannot be imported"),
    ("lightgbm-binary.txt", ["--feature", "Column_9=age"], "the model has no feature `Column_9`; it has Column_0"),
    ("lightgbm-binary.txt", ["--feature", "Column_0=age", "--feature", "Column_1=age"], "`age` already stands for feature `Column_0`"),
    ("make_models.py", [], "this is neither an XGBoost model in JSON"),
    ("missing.txt", [], "No such file"),
])
def test_import_model_says_what_is_wrong(shop, file, words, sentence):
    words = ["import-model", MODELS / file, "--model", "refused", "--event-type", "numbers", *words]
    assert sentence in shop.run(*words, status=1)


def test_an_imported_model_is_not_trained_again(shop):
    shop.load("xgboost-logistic.json", "--model", "as_it_is", *named("f"))
    location = {"dataLocation": "s3://files/events.csv", "dataAccessRoleArn": "arn:aws:iam::123456789012:role/training"}
    with pytest.raises(shop.detector.exceptions.ValidationException, match="was imported: it cannot be trained again"):
        shop.detector.update_model_version(
            modelId="as_it_is", modelType="ONLINE_FRAUD_INSIGHTS", majorVersionNumber="1", externalEventsDetail=location)
    version = {"modelId": "as_it_is", "modelType": "ONLINE_FRAUD_INSIGHTS", "modelVersionNumber": "1.0"}
    assert shop.detector.get_model_version(**version)["status"] == "TRAINING_COMPLETE"
    shop.detector.delete_model_version(**version)


def test_explain_says_what_is_missing(shop):
    assert "there is no prediction on order `nothing` of event type `numbers`" in shop.run(
        "explain", "nothing", "--event-type", "numbers", status=1)
