"""A run: the services of `fraudstream serve`, the functions between them and the sources, and what can be seen afterwards."""

import contextlib
import dataclasses
import json
import pathlib
import threading
import time
import urllib.parse

from conftest import client, environment, free_port, run, server
from event_sources.dice import Dice
from event_sources.environment import Environment
from event_sources.lambda_service import Lambda, Mapping, Pool, Troubles
from event_sources.queue import Queue, QueueRules
from event_sources.services import EventBus, JsonServer, LimitedCalls, call, exception
from event_sources.stream import Stream, StreamRules

ACCOUNT = "us-east-1:123456789012"
# `serve` writes a decision to its own file a moment after it is stored. So long after the last one there is no more to come.
SETTLED = 1.5


@dataclasses.dataclass
class Settings:
    """How a run is set up. `environments` are the most of each function at the same time."""

    seed: int
    source: str = "kinesis"
    shards: int = 2
    factor: int = 2
    batch_size: int = 25
    environments: dict = dataclasses.field(default_factory=lambda: {"predict": 3, "label": 2, "forward": 2})
    troubles: Troubles = dataclasses.field(default_factory=Troubles)
    time_out: float = 10.0
    # Orders a second; None sends all at once.
    rate: float | None = None
    # Calls of GetEventPrediction a second that the service allows and that each environment makes; None uses the engine in the function.
    allowed: int | None = None
    calls_per_second: int = 20
    # When a run is given up, in seconds.
    patience: float = 600.0


@contextlib.contextmanager
def serving(fraudstream, home, log):
    """`fraudstream serve` with its tables in memory and the sample's detector: its address and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with server([fraudstream, "--home", home, "serve", "--memory", "--port", port], f"{url}/_fraudstream/health", log) as process:
        run(fraudstream, "apply", "config/detector.yaml", env=environment(AWS_ENDPOINT_URL=url), timeout=120)
        yield url, process


class Tables:
    """DynamoDB, whose items are read as its JSON, without an SDK between."""

    def __init__(self, url):
        self.address, self.local = urllib.parse.urlsplit(url).netloc, threading.local()

    def call(self, operation, **request):
        status, body = call(self.address, "DynamoDB_20120810", operation, json.dumps(request), self.local)
        assert status == 200, body
        return json.loads(body)

    def scan(self, table, **request):
        """The items of a table, page by page."""
        start = {}
        while True:
            page = self.call("Scan", TableName=table, ConsistentRead=True, **request, **start)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def get(self, table, keys):
        """The items with these keys, at most 100."""
        found, requested = [], {table: {"Keys": keys, "ConsistentRead": True}}
        while requested:
            answer = self.call("BatchGetItem", RequestItems=requested)
            found += answer["Responses"][table]
            requested = answer.get("UnprocessedKeys")
        return found


class DecisionStream(Stream):
    """The stream of the table of decisions. `serve` has no streams, but it writes a line for each decision that is inserted,
    in the order of the inserts; the image is read from the table.
    """

    def __init__(self, rules, dice, tables, outcomes):
        super().__init__(rules, "decisions", dice)
        self.tables, self.file, self.begun, self.last = tables, None, "", 0.0
        self.outcomes = outcomes
        # By decision: how often it was inserted, and the image of the first time.
        self.inserted, self.first = {}, {}

    def take(self, now):
        self.read(now)
        return super().take(now)

    def is_drained(self):
        return super().is_drained() and time.time() > self.last + SETTLED

    def close(self):
        if self.file:
            self.file.close()

    def read(self, now):
        """Puts what was inserted since the last time."""
        if self.file is None:
            if not self.outcomes.exists():
                return
            self.file = open(self.outcomes)
        text = self.begun + self.file.read()
        *lines, self.begun = text.split("\n")
        ids = [json.loads(line)["detail"]["decision_id"] for line in lines]
        for first in range(0, len(ids), 100):
            self.last = now
            part = ids[first : first + 100]
            for decision_id in part:
                self.inserted[decision_id] = self.inserted.get(decision_id, 0) + 1
            images = {image["decision_id"]["S"]: image for image in self.tables.get("Decisions", [key_of(decision_id) for decision_id in part])}
            for decision_id in part:
                image = images[decision_id]
                self.first.setdefault(decision_id, image["attempt_id"]["S"])
                self.put(now, image["pk"]["S"], image, image["order_id"]["S"])


def key_of(decision_id):
    """The key of a decision: its sort key has the revision as shared/event/src/revision.rs writes it."""
    name, revision = decision_id.rsplit("#", 1)
    whole, dot, micros = revision.partition(".")
    padded = f"x{int(whole):020}{dot}{micros}" if dot or int(whole) > 99_999 else f"{int(whole):05}"
    return {"pk": {"S": name}, "sk": {"S": f"decision#{padded}"}}


class Run:
    """The services and functions of a run, for as long as the block runs."""

    def __init__(self, settings, fraudstream, bootstraps, folder, lambda_class=Lambda):
        self.settings, self.fraudstream, self.bootstraps, self.folder = settings, fraudstream, bootstraps, folder
        self.lambda_class = lambda_class
        self.dice = Dice(settings.seed)
        self.bus = EventBus(self.dice, settings.troubles.refused)
        self.queues, self.lambda_service, self.deliveries = {}, None, []

    @contextlib.contextmanager
    def started(self):
        with serving(self.fraudstream, self.folder / "home", self.folder / "serve.log") as (self.url, self.serve_process):
            self.tables = Tables(self.url)
            self.limited = LimitedCalls(self.url, self.settings.allowed) if self.settings.allowed else None
            servers = [JsonServer(self.answer)] + ([JsonServer(self.limited.answer)] if self.limited else [])
            self.env = environment(
                AWS_ENDPOINT_URL=servers[0].url, AWS_ENDPOINT_URL_DYNAMODB=self.url, AWS_ENDPOINT_URL_S3=self.url,
                AWS_ENDPOINT_URL_FRAUDDETECTOR=servers[-1].url if self.limited else self.url,
                FRAUD_DETECTOR="aws" if self.limited else "engine", BUCKET="fraudstream", EVENT_BUS="outcomes",
                AWS_ACCOUNT_ID="123456789012", RUST_LOG="warn",
                **({"CALLS_PER_SECOND": str(self.settings.calls_per_second)} if self.limited else {}),
            )
            try:
                yield self
            finally:
                for one in servers:
                    one.end()

    def answer(self, operation, body):
        """EventBridge and SQS as far as the functions call them."""
        if operation == "PutEvents":
            return self.bus.put_events(body)
        if operation == "ChangeMessageVisibilityBatch":
            return self.change_visibility(json.loads(body))
        return exception("UnknownOperationException")

    def change_visibility(self, request):
        queue, answer = self.queues[request["QueueUrl"].rsplit("/", 1)[-1]], {"Successful": [], "Failed": []}
        with self.lambda_service.changed:
            for entry in request["Entries"]:
                if queue.change_visibility(time.time(), entry["ReceiptHandle"], entry["VisibilityTimeout"]):
                    answer["Successful"].append({"Id": entry["Id"]})
                else:
                    answer["Failed"].append({"Id": entry["Id"], "SenderFault": True, "Code": "MessageNotInflight"})
        return 200, json.dumps(answer).encode()

    def make_queue(self, name, fifo=False):
        rules = QueueRules(
            f"arn:aws:sqs:{ACCOUNT}:{name}", fifo, visibility=6 * self.settings.time_out,
            # A minute is three seconds: a message that failed comes again within the run.
            second=1 / 20,
        )
        self.queues[name] = Queue(rules, name, self.dice)
        return self.queues[name]

    def send(self, shop):
        """Sends what the shop has and delivers until nothing is left."""
        settings = self.settings
        pools = {name: Pool(name, self.bootstraps[name], self.env, self.folder, most) for name, most in settings.environments.items()}
        self.pools = pools
        orders = self.make_orders()
        chargebacks = self.make_queue("chargebacks")
        rules = StreamRules(f"arn:aws:dynamodb:{ACCOUNT}:table/Decisions/stream/2026", "dynamodb", shards=2)
        self.decisions = DecisionStream(rules, self.dice, self.tables, self.folder / "home" / "outcomes.jsonl")
        mappings = [
            Mapping(orders, pools["predict"], self.deliveries.append), Mapping(chargebacks, pools["label"], self.deliveries.append),
            Mapping(self.decisions, pools["forward"], self.deliveries.append),
        ]
        self.sources = [orders, chargebacks, self.decisions]
        self.lambda_service = self.lambda_class(mappings, self.dice, settings.troubles, settings.time_out)
        self.began = time.time()
        self.sent = {}
        feeds = sorted([*self.feed_orders(shop, orders), *self.feed_messages(shop, chargebacks)], key=lambda feed: feed[0])
        try:
            self.lambda_service.run(feeds, self.began + settings.patience)
        finally:
            self.decisions.close()
        self.took = time.time() - self.began

    def make_orders(self):
        settings = self.settings
        if settings.source == "kinesis":
            rules = StreamRules(
                f"arn:aws:kinesis:{ACCOUNT}:stream/orders", shards=settings.shards, factor=settings.factor, batch_size=settings.batch_size
            )
            return Stream(rules, "orders", self.dice)
        return self.make_queue("orders.fifo" if settings.source == "fifo" else "orders", settings.source == "fifo")

    def span(self, shop):
        """How long the orders are sent, in seconds."""
        return len(shop.orders) / self.settings.rate if self.settings.rate else 0.0

    def feed_orders(self, shop, source):
        span, count = self.span(shop), len(shop.orders)

        def send(now, order):
            if order.order_id:
                self.sent[order.order_id] = now
            if isinstance(source, Stream):
                source.put(now, order.key, order.body.encode(), order.order_id)
            else:
                source.send(now, order.key, order.body, order.order_id)

        for number, order in enumerate(shop.orders):
            at = self.began + span * number / count
            if number == count // 2 and self.settings.troubles.killed and isinstance(source, Stream):
                yield at, source.reshard
            yield at, lambda now, order=order: send(now, order)

    def feed_messages(self, shop, queue):
        """Before, while and after the orders come."""
        span = max(self.span(shop) * 1.1, 10.0)
        for body in shop.messages:
            at = self.began + span * self.dice.part(f"when {body}")
            yield at, lambda now, body=body: queue.send(now, "", body)

    def decide(self, orders):
        """Decides orders, given as texts, with an environment that nothing happens to."""
        one = Environment(self.bootstraps["predict"], self.env, self.folder / "predict-undisturbed.log")
        source = Queue(QueueRules(f"arn:aws:sqs:{ACCOUNT}:undisturbed"), "undisturbed", self.dice)
        for order in orders:
            source.send(time.time(), "", order)
        try:
            while not source.is_drained():
                if batch := source.take(time.time()):
                    source.answered(time.time(), batch.ticket, [it["itemIdentifier"] for it in one.invoke(batch.event)["batchItemFailures"]])
        finally:
            one.end()

    @contextlib.contextmanager
    def undisturbed(self, shop):
        """The same orders decided by the command, one after the other, on tables of their own: the address of these."""
        file = self.folder / "orders.jsonl"
        file.write_text("".join(f"{order.body}\n" for order in shop.orders))
        with serving(self.fraudstream, self.folder / "undisturbed", self.folder / "undisturbed.log") as (url, _):
            run(self.fraudstream, "--endpoint-url", url, "run", "predict", file, timeout=1_000)
            yield url

    @staticmethod
    def read_rejected(url):
        """The records under rejected/: class and payload."""
        s3 = client("s3", url)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="fraudstream", Prefix="rejected/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        records = [json.loads(s3.get_object(Bucket="fraudstream", Key=key)["Body"].read()) for key in keys]
        return [(record["class"], record.get("payload")) for record in records]

    def logs(self):
        return sorted(pathlib.Path(self.folder).glob("*-*.log"))
