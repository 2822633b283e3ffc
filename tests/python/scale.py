"""What an order costs, and what breaks first when there are many: the tables of docs/scale.md, computed from scale.json.

    python3 tests/python/scale.py                # prints them
    python3 tests/python/scale.py --write        # writes them into docs/scale.md
    python3 tests/python/scale.py --orders-a-day 20000000 --peak 5

The inputs are in scale.json beside it: sizes, counts and times that bench_scale.py measured, list prices and quotas with the
page that each was read on, what is assumed, and constants of the code, which test_scale.py compares with the code.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import re

INPUTS = pathlib.Path(__file__).with_name("scale.json")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "scale.md"
MILLION, GB, DAY = 1_000_000, 1 << 30, 86_400
HOURS_OF_MONTH = 730
# Lambda gives a function one processor for this much memory, and the same share of one for less:
# docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html.
MB_OF_PROCESSOR = 1769
# With the sample's keys.
KEYS_MEASURED = 6


@dataclasses.dataclass
class Inputs:
    """scale.json, by its parts; a price in dollars, everything else as a number."""

    prices: dict
    quotas: dict
    assumed: dict
    settings: dict
    constants: dict
    measured: dict
    raw: dict

    @staticmethod
    def load(path=INPUTS):
        raw = json.loads(path.read_text())
        values = lambda part, name: {key: entry[name] for key, entry in raw[part].items()}
        return Inputs(
            prices=values("prices", "usd"), quotas=values("quotas", "value"), assumed=values("assumed", "value"),
            settings=raw["settings"], constants=values("constants", "value"), measured=raw["measured"], raw=raw,
        )

    def months_kept(self):
        return self.settings["retention_days"] * 24 / HOURS_OF_MONTH


@dataclasses.dataclass
class Item:
    """What an order reads, writes and leaves in a table or an index: units, and stored bytes."""

    name: str
    table: str
    size: float
    writes: float = 0.0
    reads: float = 0.0
    stored: float = 0.0
    is_index: bool = False


def sized(inputs, name, keys):
    """Bytes and write units of an item for an order with so many keys: measured for none and six, worked out for others."""
    none, six = (inputs.measured[mapping][name] for mapping in ("no-keys", "six-keys"))
    if keys == 0:
        return none["bytes"], none["units"]
    if keys == KEYS_MEASURED:
        return six["bytes"], six["units"]
    size = none["bytes"] + (six["bytes"] - none["bytes"]) * keys / KEYS_MEASURED
    return size, math.ceil(size / 1024)


def review_share(inputs):
    decided = inputs.measured["no-keys"]["decided"]
    return decided["review"] / sum(decided.values())


def order_items(inputs, keys, batch=None, reviewed=None):
    """All that one order does in DynamoDB, as `predict` and the engine do it, in batches of so many orders.

    A conditional write costs the same when its condition fails, a transaction twice, and a consistent read of an item that
    is not there one unit.
    """
    batch = batch or inputs.settings["batch"]
    reviewed = review_share(inputs) if reviewed is None else reviewed
    overhead = inputs.assumed["index_overhead"]
    size, units = sized(inputs, "decision", keys)
    predicted, prediction_units = sized(inputs, "prediction", keys)
    listed, listed_units = sized(inputs, "prediction_in_index", keys)
    items = [
        Item("decision, looked for and written", "Decisions", size, writes=units, reads=1, stored=size + overhead),
        Item("decision, in the index by entity", "Decisions gsi1", size, writes=units, stored=size + overhead, is_index=True),
        Item("decision, in the index of reviews", "Decisions gsi2", size, writes=units * reviewed, is_index=True),
        Item("labels that came before, looked for", "Decisions", 0, reads=2),
        Item("prediction", "Events", predicted, writes=prediction_units, stored=predicted + overhead),
        Item("prediction, in the index by day", "Events predictions", listed, writes=listed_units, stored=listed + overhead, is_index=True),
        # Once an invocation: two ends of the span of times, and the counters in a transaction.
        Item("counters of events", "Events", 0, writes=4 / batch),
    ]
    if keys:
        counts = inputs.measured["six-keys"]["functions"]["counts_of_an_order"]
        together = inputs.constants["orders_counted_together"]
        # What was counted has the generation of each 50 orders in it, which does not grow with the keys.
        reads = counts["reads Velocity"] - 1 / together
        profile = inputs.measured["six-keys"]["profile"]
        of_key = keys / KEYS_MEASURED
        items += [
            Item("profiles of the keys and of links", "Velocity", profile["bytes"], writes=counts["writes Velocity"] * of_key * profile["units"],
                 reads=reads * of_key),
            Item("generation of the profiles", "Velocity", 0, reads=1 / min(batch, together)),
        ]
    return items


def item_dollars(inputs, item):
    """For a million orders."""
    return item.writes * inputs.prices["write_unit"] + item.reads * inputs.prices["read_unit"]


def table_units(inputs, keys, batch=None):
    """Write and read units of an order, by table and index."""
    units = {}
    for item in order_items(inputs, keys, batch):
        writes, reads = units.get(item.table, (0.0, 0.0))
        units[item.table] = (writes + item.writes, reads + item.reads)
    return units


def rounds(inputs, keys, batch):
    """How often an invocation of `predict` waits for DynamoDB, one call after the other; calls at the same time are one.

    The decisions that exist; for each 50 orders with keys the profiles, their writes and two rounds of links; predictions,
    decisions and labels of the chunks, which overlap; and three writes of counters.
    """
    counted = math.ceil(batch / inputs.constants["orders_counted_together"]) * 4 if keys else 0
    return 1 + counted + 3 + 3


def predict_seconds(inputs, keys, memory_mb, batch):
    """How long an invocation of `predict` takes: it computes, and it waits."""
    mapping = "six-keys" if keys else "no-keys"
    cpu = inputs.measured[mapping]["functions"]["predict, put-item"]["cpu_ms"] * inputs.assumed["cpu_of_arm64"]
    slower = max(MB_OF_PROCESSOR / memory_mb, 1)
    return (batch * cpu * slower + rounds(inputs, keys, batch) * inputs.assumed["call_ms"]) / 1000


def forward_seconds(inputs, memory_mb, batch):
    cpu = inputs.measured["six-keys"]["functions"]["forward"]["cpu_ms"] * inputs.assumed["cpu_of_arm64"]
    requests = math.ceil(batch / inputs.constants["entries_in_put_events"])
    return (batch * cpu * max(MB_OF_PROCESSOR / memory_mb, 1) + requests * inputs.assumed["put_events_ms"]) / 1000


def lambda_dollars(inputs, seconds, memory_mb, batch):
    """For a million orders."""
    invocations = MILLION / batch
    return invocations * (seconds * memory_mb / 1024 * inputs.prices["lambda_gb_second"] + inputs.prices["lambda_request"] / MILLION)


def kinesis_dollars(inputs):
    """For a million orders, without the hours of the stream."""
    record = inputs.measured["six-keys"]["record"]
    rounded, raw = record["units"] * 1024 * MILLION / GB, record["bytes"] * MILLION / GB
    kept_months = (inputs.settings["stream_retention_hours"] - 24) / HOURS_OF_MONTH
    return rounded * inputs.prices["kinesis_in"] + raw * inputs.prices["kinesis_out"] + rounded * kept_months * inputs.prices["kinesis_kept"]


def log_dollars(inputs, batch):
    """Logs and traces, for a million orders."""
    functions = inputs.measured["six-keys"]["functions"]
    logged = sum(functions[name]["log_bytes"] + inputs.assumed["lambda_log_bytes"] for name in ("predict, put-item", "forward"))
    invocations = MILLION / batch
    traces = 2 * invocations * inputs.assumed["trace_share"]
    return invocations * logged / GB * inputs.prices["log_gb"] + traces * inputs.prices["trace"] / MILLION


def order_dollars(inputs, keys):
    """What a million orders cost while they come, by service."""
    settings = inputs.settings
    batch, predict_mb, forward_mb = settings["batch"], settings["predict_memory_mb"], settings["forward_memory_mb"]
    predict = lambda_dollars(inputs, predict_seconds(inputs, keys, predict_mb, batch), predict_mb, batch)
    forward = lambda_dollars(inputs, forward_seconds(inputs, forward_mb, batch), forward_mb, batch)
    return {
        "DynamoDB, reads and writes": sum(item_dollars(inputs, item) for item in order_items(inputs, keys)),
        "EventBridge": inputs.measured["six-keys"]["detail"]["units"] * inputs.prices["bus_event"],
        "Kinesis, on demand": kinesis_dollars(inputs),
        f"Lambda, `predict` at {predict_mb:,} MB": predict,
        f"Lambda, `forward` at {forward_mb:,} MB": forward,
        "logs and traces": log_dollars(inputs, batch),
        "S3, rejected records": inputs.measured["rejected_share"] * inputs.prices["s3_put"],
    }


def kept_dollars(inputs, keys):
    """What it costs to keep a million orders until they expire: storage, and point-in-time recovery."""
    items = order_items(inputs, keys)
    stored = sum(item.stored for item in items) * MILLION / GB
    recovered = sum(item.stored for item in items if not item.is_index) * MILLION / GB
    months = inputs.months_kept()
    return stored * months * inputs.prices["table_storage"], recovered * months * inputs.prices["table_recovery"]


@dataclasses.dataclass
class Limit:
    """At how many orders a second something ends, in full batches and one order at a time; what is done about it. A limit
    with `only_if` ends there only then."""

    name: str
    full: float
    single: float
    remedy: str
    only_if: bool = False


def quota_limits(inputs, keys):
    """What a quota of the account or of a service ends."""
    quotas, batch = inputs.quotas, inputs.settings["batch"]
    units = [table_units(inputs, keys, size) for size in (batch, 1)]

    def table(name):
        ends = [min(quotas["table_units"] / of_order for of_order in one[name] if of_order) for one in units]
        return Limit(f"table `{name}`: 40,000 units", *ends, "raise the quota of the table")

    environments = [quotas["environments"] / environment_seconds(inputs, keys, size) for size in (batch, 1)]
    record = inputs.measured["six-keys"]["record"]["bytes"]
    same = lambda name, ends, remedy, only_if=False: Limit(name, ends, ends, remedy, only_if)
    velocity_writes = units[0]["Velocity"][0]
    new_stream = min(quotas["new_stream_bytes"] / record, quotas["shard_records"] * quotas["new_stream_bytes"] / quotas["shard_bytes"])
    return [
        table("Velocity"), table("Decisions"), table("Events"),
        same("`PutEvents`, if each entry counts", quotas["put_events"], "raise the quota; until then outcomes are late, and none is lost for 23 hours"),
        same("delivery to one target of the bus", quotas["rule_invocations"], "raise the quota; each further target counts again"),
        Limit("environments of `predict` and `forward`", *environments, "raise the quota"),
        same("stream of orders, on demand", quotas["stream_bytes"] / record, "raise the quota, or use two streams"),
        same("a new table `Velocity`", quotas["new_table_writes"] / velocity_writes, "warm throughput before the launch, or traffic that grows", True),
        same("a new stream", new_stream, "provisioned shards, or traffic that grows", True),
        same("`rejected/`, when everything is rejected", quotas["prefix_puts"], "nothing: S3 divides the prefix under load, and records wait on the stream", True),
    ]


def partition_limits(inputs, keys):
    """What a single item or key of an index ends, which DynamoDB cannot divide."""
    quotas, constants, batch = inputs.quotas, inputs.constants, inputs.settings["batch"]
    writes, reads = quotas["partition_writes"], quotas["partition_reads"]
    review = sized(inputs, "decision", keys)[1]
    listed = sized(inputs, "prediction_in_index", keys)[1]
    worst = inputs.assumed["worst_review_share"]
    of_reviews = lambda share: constants["review_shards"] * writes / (review * share)
    together = min(batch, constants["orders_counted_together"])
    predictions = constants["prediction_shards"] * writes / listed
    counters = constants["statistics_shards"] * writes / 4
    in_turn = constants["statistics_shards"] * 1000 / inputs.assumed["transaction_ms"]
    usual, bad = of_reviews(review_share(inputs)), of_reviews(worst)
    return [
        Limit("index of predictions: 8 keys a day", predictions, predictions,
              "more shards (`PREDICTION_SHARDS`: first for reading, a release later for writing), or no such index: only `ListEventPredictions` reads it"),
        Limit("index of reviews: 8 keys a day and outcome", usual, usual, "more shards (`REVIEW_SHARDS`, in the same way)"),
        Limit(f"index of reviews, with {worst:.0%} in review", bad, bad, "take the rule back: nobody works on so many reviews", True),
        Limit("counters of events: units of 8 items", counters * batch, counters, "the same"),
        Limit("counters of events: one transaction at a time on each of 8 items", in_turn * batch, in_turn,
              "full batches; more shards (`SHARDS` in `statistics.rs`). Until then invocations wait for each other, and some counts are written later"),
        Limit("item `generations` of the profiles", reads * together, reads, "full batches; read it every two seconds, as definitions are"),
    ]


def limits(inputs, keys=KEYS_MEASURED):
    """What ends with the template and the code as they are: the first to end first, and then what ends only in some cases."""
    found = quota_limits(inputs, keys) + partition_limits(inputs, keys)
    return sorted(found, key=lambda limit: (limit.only_if, limit.full, limit.single))


def environment_seconds(inputs, keys, batch):
    """How long an order keeps an environment busy, in `predict` and in `forward`, which always has full batches."""
    settings = inputs.settings
    predict = predict_seconds(inputs, keys, settings["predict_memory_mb"], batch) / batch
    return predict + forward_seconds(inputs, settings["forward_memory_mb"], settings["batch"]) / settings["batch"]


@dataclasses.dataclass
class Load:
    """A day: how many orders, and how many in each second of its peak."""

    orders_a_day: float
    peak_factor: float

    @property
    def mean(self):
        return self.orders_a_day / DAY

    @property
    def peak(self):
        return self.mean * self.peak_factor


def shards(inputs, load):
    """Shards that take the peak: by records, and by bytes."""
    quotas = inputs.quotas
    record = inputs.measured["six-keys"]["record"]["bytes"]
    return math.ceil(load.peak / quotas["shard_records"]), math.ceil(load.peak * record / quotas["shard_bytes"])


# ---- The tables ----


def number(value, digits=3):
    """A number with so many significant digits: figures are not more exact than their inputs."""
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{round(value, places):,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if places > 0 else text


def cents(value):
    return f"{value:,.2f}" if value >= 0.005 else "0.00"


def price(dollars):
    """A list price, as exact as it is: $0.20, $0.625, $0.0000133334."""
    cents_at_least = f"{dollars:,.2f}"
    return "$" + (cents_at_least if float(cents_at_least.replace(",", "")) == dollars else f"{dollars:,.10f}".rstrip("0"))


def markdown(header, rows):
    line = lambda cells: "| " + " | ".join(cells).replace("  ", " ") + " |"
    return "\n".join([line(header), "|" + "---|" * len(header), *(line(row) for row in rows)])


def tabulate_measured(inputs, _load):
    names = {
        "record": "order, a record of the stream", "decision": "decision", "prediction": "prediction, with its event",
        "prediction_in_index": "prediction, in the index by day", "profile": "profile of a key", "detail": "detail on the bus",
        "exported_prediction": "prediction in DynamoDB's export, gzip",
    }
    rows = []
    for name, words in names.items():
        both = []
        for mapping in ("no-keys", "six-keys"):
            figure = inputs.measured[mapping][name]
            size = figure.get("bytes") if isinstance(figure, dict) else figure
            both.append(f"{size:,}" if size else "")
        rows.append([f"{words}, bytes", *both])
    for name, words in {"predict, put-item": "`predict`", "predict, statements": "`predict` with `DecisionWrites=statements`", "forward": "`forward`"}.items():
        both = [inputs.measured[mapping]["functions"][name] for mapping in ("no-keys", "six-keys")]
        rows.append([f"{words}, processor milliseconds", *(f"{figure['cpu_ms']:.2f}" for figure in both)])
        if name != "predict, statements":
            rows.append([f"{words}, bytes of logs an invocation", *(f"{figure['log_bytes']:,}" for figure in both)])
    return markdown(["of an order", "without keys", "with 6 keys"], rows)


def tabulate_dynamodb(inputs, _load):
    columns = [order_items(inputs, keys) for keys in (0, 6, 12)]
    blank = lambda value, words: words if value else ""
    rows = []
    for item in columns[2]:
        same = [next((other for other in column if other.name == item.name), None) for column in columns]
        none, six, twelve = same
        writes = "; ".join(dict.fromkeys(f"{one.writes:.2f}" for one in same if one and one.writes))
        reads = "; ".join(dict.fromkeys(number(one.reads) for one in same if one and one.reads))
        sizes = "; ".join(dict.fromkeys(f"{one.size:,.0f}" for one in same if one and one.size))
        rows.append([item.name, sizes, writes, reads, *(blank(one, cents(item_dollars(inputs, one)) if one else "") for one in (none, six, twelve))])
    sums = [sum(item_dollars(inputs, item) for item in column) for column in columns]
    rows.append(["**together**", "", "", "", *(f"**{cents(total)}**" for total in sums)])
    return markdown(["", "bytes", "write units", "read units", "dollars without keys", "with 6 keys", "with 12 keys"], rows)


def tabulate_services(inputs, _load):
    columns = [order_dollars(inputs, keys) for keys in (0, 6, 12)]
    rows = [[name, *(cents(column[name]) for column in columns)] for name in columns[0]]
    rows.append(["**together, while orders come**", *(f"**{cents(sum(column.values()))}**" for column in columns)])
    kept = [kept_dollars(inputs, keys) for keys in (0, 6, 12)]
    days = inputs.settings["retention_days"]
    rows.append([f"DynamoDB, storage for {days} days", *(cents(storage) for storage, _ in kept)])
    rows.append([f"point-in-time recovery for {days} days", *(cents(recovery) for _, recovery in kept)])
    rows.append(["**together, until they expire**", *(f"**{cents(sum(column.values()) + sum(one))}**" for column, one in zip(columns, kept, strict=True))])
    return markdown(["dollars for a million orders", "without keys", "with 6 keys", "with 12 keys"], rows)


def tabulate_lambda(inputs, _load):
    rows = []
    for memory in (512, 1024, MB_OF_PROCESSOR):
        cells = [f"{memory:,} MB"]
        for batch in (inputs.settings["batch"], 1):
            seconds = predict_seconds(inputs, KEYS_MEASURED, memory, batch)
            cells += [number(seconds * 1000, 2), number(lambda_dollars(inputs, seconds, memory, batch), 2)]
        rows.append(cells)
    return markdown(["`predict`, 6 keys", "ms for a batch of 100", "dollars for a million", "ms for one order", "dollars for a million"], rows)


def tabulate_amazon(inputs, _load):
    ours = sum(order_dollars(inputs, KEYS_MEASURED).values())
    kept = ours + sum(kept_dollars(inputs, KEYS_MEASURED))
    rows = [
        ["fraudstream with its engine and 6 keys, while orders come", number(ours)],
        [f"the same, and kept for {inputs.settings['retention_days']} days", number(kept)],
        ["Amazon Fraud Detector, rules alone", number(inputs.prices["amazon_rules_only"])],
        ["Amazon Fraud Detector, with a model", number(inputs.prices["amazon_with_model"])],
    ]
    return markdown(["for a million orders", "dollars"], rows)


def tabulate_load(inputs, load):
    by_records, by_bytes = shards(inputs, load)
    units = table_units(inputs, KEYS_MEASURED)
    record = inputs.measured["six-keys"]["record"]["bytes"]
    batch = inputs.settings["batch"]
    predict = predict_seconds(inputs, KEYS_MEASURED, inputs.settings["predict_memory_mb"], batch)
    forward = forward_seconds(inputs, inputs.settings["forward_memory_mb"], batch)
    logged = sum(inputs.measured["six-keys"]["functions"][name]["log_bytes"] for name in ("predict, put-item", "forward"))
    rates = [load.mean, load.peak]
    rows = [["orders a second", *(number(rate) for rate in rates)]]
    rows.append(["bytes a second into the stream, MB", *(number(rate * record / 1e6) for rate in rates)])
    rows.append([f"shards: {by_records} by records, {by_bytes} by bytes", "", str(max(by_records, by_bytes))])
    rows.append([f"batches at a time of `predict`, {number(predict * 1000, 2)} ms each", *(str(math.ceil(rate / batch * predict)) for rate in rates)])
    rows.append([f"batches at a time of `forward`, {number(forward * 1000, 2)} ms each", *(str(math.ceil(rate / batch * forward)) for rate in rates)])
    for table, (writes, reads) in units.items():
        name, _, index = table.partition(" ")
        words = f"index `{index}` of `{name}`" if index else f"table `{name}`"
        rows.append([f"{words}, write units a second", *(number(rate * writes) for rate in rates)])
        if reads:
            rows.append([f"{words}, read units a second", *(number(rate * reads) for rate in rates)])
    # The stream of a table has a shard for each partition.
    of_partition = inputs.quotas["partition_writes"] / units["Decisions"][0]
    rows.append(["orders a second: of one partition of `Decisions`, so of one shard of its stream, at most", "", number(of_partition)])
    rows.append(["orders a second: that one environment of `forward` sends", "", number(batch / forward)])
    rows.append(["orders a second: that one environment of `predict` does", "", number(batch / predict)])
    rows.append(["entries for `PutEvents` a second", *(number(rate) for rate in rates)])
    rows.append(["objects under `rejected/` a second", *(number(rate * inputs.measured["rejected_share"], 2) for rate in rates)])
    rows.append(["logs, MB a second", *(number(rate / batch * logged / 1e6, 2) for rate in rates)])
    return markdown(["", "mean", "peak"], rows)


def tabulate_limits(inputs, load):
    rows = []
    for limit in limits(inputs):
        reached = "before the mean" if limit.full < load.mean else "before the peak" if limit.full < load.peak else "after the peak"
        name = f"*only then:* {limit.name}" if limit.only_if else limit.name
        rows.append([name, number(limit.full), number(limit.single), reached, limit.remedy])
    return markdown(["what ends", "at orders a second, in batches of 100", "one at a time", "that is", "what is done about it"], rows)


def day_dollars(inputs, load, keys=KEYS_MEASURED):
    """What a day's orders cost while they come, by service; and what it costs to keep them until they expire, which is also
    what a day costs as soon as the first orders expire."""
    millions = load.orders_a_day / MILLION
    hours = 24 * inputs.prices["kinesis_hour"]
    come = {name: dollars * millions for name, dollars in order_dollars(inputs, keys).items()}
    come["Kinesis, on demand"] += hours
    return come, sum(kept_dollars(inputs, keys)) * millions


def tabulate_day(inputs, load):
    come, kept = day_dollars(inputs, load)
    days = inputs.settings["retention_days"]
    stored = sum(item.stored for item in order_items(inputs, KEYS_MEASURED)) * load.orders_a_day * days
    rows = [[name, number(dollars)] for name, dollars in come.items()]
    rows.append(["**together, while orders come**", f"**{number(sum(come.values()))}**"])
    rows.append([f"storage and recovery of {days} days, {number(stored / 1e15, 2)} PB", number(kept)])
    return markdown(["with 6 keys", "dollars a day"], rows)


def tabulate_training(inputs, load):
    measured = inputs.measured["training"]
    few, many = measured["few"], measured["many"]
    row = (many["max_rss_mb"] - few["max_rss_mb"]) * (1 << 20) / (many["training_rows"] - few["training_rows"])
    row_of_file, file_gb = many["csv_bytes"] / many["training_rows"], inputs.constants["training_file_gb"]
    memory_rows = inputs.assumed["training_machine_gb"] * GB / row
    exported = inputs.measured["six-keys"]["exported_prediction"]
    stored = inputs.measured["six-keys"]["prediction"]["bytes"]
    of_day = load.orders_a_day
    rows = [
        [f"memory of an event with {many['variables']} variables, bytes", number(row)],
        [f"events that fit into {inputs.assumed['training_machine_gb']} GB of memory", number(memory_rows, 2)],
        ["rows that the trees can take", number(1 << inputs.constants["training_row_bits"], 2)],
        [f"events in one file of {file_gb} GB, {number(row_of_file, 2)} bytes each", number(file_gb * GB / row_of_file, 2)],
        [f"minutes of {number(of_day, 1)} orders a day that fit into memory", number(memory_rows / of_day * 24 * 60, 2)],
        ["a day's predictions in DynamoDB's export, TB, gzip", number(of_day * exported / 1e12, 2)],
        ["dollars to export them", number(of_day * stored / GB * inputs.prices["table_export"], 2)],
    ]
    return markdown(["", ""], rows)


def tabulate_pages(inputs, _load):
    """Prices and quotas by the page that they were read on."""
    pages = {}
    for part, value, words in (("prices", "usd", "per"), ("quotas", "value", "what")):
        for entry in inputs.raw[part].values():
            if entry["page"]:
                figure = f"{price(entry[value])} for a {entry[words]}" if part == "prices" else f"{entry[value]:,} {entry[words]}"
                pages.setdefault(entry["page"], []).append(figure)
    return markdown(["page", ""], [[page, "; ".join(figures)] for page, figures in pages.items()])


def tabulate_assumed(inputs, _load):
    rows = [[entry["why"], f"{entry['value']:,}", f"`{name}`"] for name, entry in inputs.raw["assumed"].items()]
    for part, value, words in (("prices", "usd", "per"), ("quotas", "value", "what")):
        unread = ((name, entry) for name, entry in inputs.raw[part].items() if not entry["page"])
        rows += [[entry[words], price(entry[value]) if part == "prices" else f"{entry[value]:,}", f"`{name}`"] for name, entry in unread]
    return markdown(["what", "value", "name in `scale.json`"], rows)


TABLES = {
    "measured": tabulate_measured, "dynamodb": tabulate_dynamodb, "services": tabulate_services, "lambda": tabulate_lambda, "amazon": tabulate_amazon,
    "load": tabulate_load, "limits": tabulate_limits, "day": tabulate_day, "training": tabulate_training, "pages": tabulate_pages, "assumed": tabulate_assumed,
}


def filled(text, inputs, load):
    """The page with its tables, each between its marks."""
    for name, table in TABLES.items():
        begin, end = f"<!-- table {name} -->\n", f"\n<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"docs/scale.md has not once the marks {begin.strip()} and {end.strip()}")
        inside = re.compile(re.escape(begin) + ".*?" + re.escape(end.lstrip("\n")), re.DOTALL)
        text = inside.sub(lambda _: begin + table(inputs, load) + end, text)
    return text


def positive(text):
    """A number above zero, of the command line."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return value


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--orders-a-day", type=positive, default=1e9, metavar="N")
    arguments.add_argument("--peak", type=positive, metavar="TIMES", help="how many times the mean the peak is")
    arguments.add_argument("--write", action="store_true", help="write the tables of a billion orders a day into docs/scale.md")
    arguments = arguments.parse_args()
    inputs = Inputs.load()
    if arguments.write:
        PAGE.write_text(filled(PAGE.read_text(), inputs, Load(1e9, inputs.assumed["peak_factor"])))
        return
    load = Load(arguments.orders_a_day, arguments.peak or inputs.assumed["peak_factor"])
    print("\n\n".join(f"{name}\n\n{table(inputs, load)}" for name, table in TABLES.items()))


if __name__ == "__main__":
    main()
