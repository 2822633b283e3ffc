"""What must hold at the end of a run, whatever happened: the properties of tests/src/simulation/check, as far as a caller sees them.

Left to the simulation: that no two orders of a key are judged on the same stale state, and what a profile holds beyond the
counts that an order gets from it.
"""

import collections
import concurrent.futures
import datetime
import json

from conftest import client
from event_sources.run import Tables

# What a decision says about the past of its keys depends on the order in which orders came.
PAST = (
    "card_orders", "card_amount", "device_orders", "ip_orders", "address_orders", "email_orders", "account_orders", "emails_per", "cards_per",
    "fraud_per", "linked_", "price_to_usual",
)
COLUMNS = ["order_id", "decision_id", "attempt_id", "effective_outcome", "outcomes", "matched_rules", "decided_at", "label", "label_history"]
# What the first record of a decision and all others have to agree on.
TOLD = ["order_id", "effective_outcome", "decided_at", "outcomes"]


JUDGED = ["order_id", "decision_id", "effective_outcome", "outcomes", "matched_rules", "variables"]


def plain(value):
    """A value of DynamoDB's JSON as a plain one."""
    ((kind, inner),) = value.items()
    if kind == "L":
        return [plain(one) for one in inner]
    if kind == "M":
        return {name: plain(one) for name, one in inner.items()}
    return None if kind == "NULL" else inner


def present(variables):
    """The variables that do not depend on what came before."""
    return {name: value for name, value in variables.items() if not name.startswith(PAST)}


def read_decisions(tables, columns=COLUMNS):
    names = {f"#{number}": column for number, column in enumerate([*columns, "kind"])}
    items = tables.scan(
        "Decisions", FilterExpression="kind = :kind", ExpressionAttributeValues={":kind": {"S": "decision"}},
        ProjectionExpression=", ".join(names), ExpressionAttributeNames=names,
    )
    return [{name: plain(value) for name, value in item.items()} for item in items]


class Checks:
    """Each check adds a sentence for each violation."""

    def __init__(self, run, shop, columns=COLUMNS):
        self.run, self.shop, self.violations = run, shop, []
        self.decisions = read_decisions(run.tables, columns)
        self.by_order = collections.defaultdict(list)
        for decision in self.decisions:
            self.by_order[decision["order_id"]].append(decision)
        self.rejected = run.read_rejected(run.url)

    def expect(self, is_right, sentence):
        if not is_right:
            self.violations.append(sentence)

    def all(self):
        self.check_nothing_lost()
        self.check_decided_once()
        self.check_told()
        self.check_labels()
        for how, count in self.run.lambda_service.ended.items():
            self.expect(not how.endswith("crashed"), f"{count} times: {how}, see its logs in {self.run.folder}")
        return self

    def check_nothing_lost(self):
        """Each order has a decision, or is under rejected/ with its reason; and a clean one has its decision."""
        parked = {payload for _, payload in self.rejected}
        for order in self.shop.clean:
            self.expect(len(self.by_order[order.order_id]) == 1, f"{order.order_id} has {len(self.by_order[order.order_id])} decisions")
            self.expect(order.body not in parked, f"{order.order_id} is under rejected/")
        for order in self.shop.unclean:
            ids = ids_of(order.body)
            is_decided = bool(ids) and all(self.by_order.get(order_id) for order_id in ids)
            self.expect(is_decided or order.body in parked, f"neither decided nor rejected: {order.body[:60]}")
        sent = {order.body for order in self.shop.unclean}
        for reason, payload in self.rejected:
            self.expect(payload in sent, f"rejected as {reason}, and nobody sent it")
        for source in self.run.sources:
            self.expect(not source.given_up, f"{source.name}: {len(source.given_up)} records were given up")

    def check_decided_once(self):
        """A decision is inserted once and never replaced."""
        decided = self.run.decisions
        for decision in self.decisions:
            name = decision["decision_id"]
            self.expect(decided.inserted.get(name) == 1, f"{name} was inserted {decided.inserted.get(name)} times")
            self.expect(decided.first.get(name) == decision["attempt_id"], f"{name} was replaced")
        count = collections.Counter(decision["decision_id"] for decision in self.decisions)
        self.expect(all(number == 1 for number in count.values()), "decisions share an id")

    def check_told(self):
        """Each decision is on the bus, as it was decided and each time the same; nothing else is."""
        told = dict(self.run.bus.told)
        for decision in self.decisions:
            details = [detail for _, detail in told.pop(decision["decision_id"], [])]
            self.expect(details, f"{decision['decision_id']} was not told")
            for detail in details:
                is_same = all(detail[name] == decision[name] for name in TOLD)
                self.expect(is_same, f"{decision['decision_id']} was told as {detail}")
        self.expect(not told, f"told, and no decision: {list(told)[:3]}")

    def check_labels(self):
        """The current label of each order is that of the highest rank, and among these the newest."""
        for order_id, want in self.shop.labels.items():
            for decision in self.by_order[order_id]:
                got = (decision.get("label") or {}).get("label")
                self.expect(got == want, f"{order_id} has the label {got} instead of {want}")

    def check_counted_once(self, accounts=40):
        """A further order of an account sees each of its orders, and each of its frauds, once."""
        by_customer = collections.defaultdict(list)
        for order in self.shop.clean:
            by_customer[order.customer].append(order)
        probes, wanted = [], {}
        for customer, orders in sorted(by_customer.items(), key=lambda pair: -len(pair[1]))[:accounts]:
            last = max(orders, key=lambda order: order.created)
            later = last.created + datetime.timedelta(days=10)
            probe = json.loads(last.body) | {"order_id": f"PROBE-{customer}", "created_at": f"{later:%Y-%m-%dT%H:%M:%SZ}"}
            wanted[probe["order_id"]] = (str(len(orders)), str(sum(self.shop.labels.get(order.order_id) == "fraud" for order in orders)))
            probes.append(json.dumps(probe))
        self.run.decide(probes)
        for decision in read_decisions(self.run.tables, ["order_id", "variables"]):
            if decision["order_id"] in wanted:
                seen = tuple(decision["variables"].get(name) for name in ("account_orders_90d", "fraud_per_account_90d"))
                want = wanted.pop(decision["order_id"])
                self.expect(seen == want, f"{decision['order_id']} sees {seen} orders and frauds of its account instead of {want}")
        self.expect(not wanted, f"not decided: {list(wanted)[:3]}")

    def check_same_as(self, url):
        """An undisturbed run on other tables decides and rejects the same. What a decision knows of the past of its keys depends
        on the order in which orders came, and so may its rules; but who knows the same decides the same.
        """
        counts = collections.Counter(order_id for order in self.shop.orders for order_id in ids_of(order.body))
        once = {order_id for order_id, count in counts.items() if count == 1}

        def read(url):
            return {one["decision_id"]: one for one in read_decisions(Tables(url), JUDGED) if one["order_id"] in once}

        got, want = read(self.run.url), read(url)
        self.expect(got.keys() == want.keys(), f"decided here or undisturbed, and not in both: {sorted(got.keys() ^ want.keys())[:3]}")
        for name in got.keys() & want.keys():
            mine, other = got[name], want[name]
            self.expect(present(mine["variables"]) == present(other["variables"]), f"{name} has other variables when undisturbed")
            if mine["variables"] == other["variables"]:
                self.expect(mine == other, f"{name} is {mine['effective_outcome']} here and {other['effective_outcome']} undisturbed")
        # Of two contents of an order, the one that comes second is rejected, and that may be either.
        mine, other = (
            {payload for reason, payload in rejected if reason != "order-changed"} for rejected in (self.rejected, self.run.read_rejected(url))
        )
        self.expect(mine == other, f"{len(mine)} records are rejected here, {len(other)} undisturbed")

    def check_snapshots(self, count):
        """The stored predictions of so many decisions say the same as the decisions."""
        detector = client("frauddetector", self.run.url)
        wanted = {decision["decision_id"] for decision in self.decisions[:: max(len(self.decisions) // count, 1)]}
        columns = ["decision_id", "event_id", "prediction", "matched_rules", "variables"]
        sample = [decision for decision in read_decisions(self.run.tables, columns) if decision["decision_id"] in wanted]

        def check(decision):
            made = decision["prediction"]
            stored = detector.get_event_prediction_metadata(
                eventId=decision["event_id"], eventTypeName="order", detectorId="orders",
                detectorVersionId=made["detectorVersionId"], predictionTimestamp=made["predictionTimestamp"],
            )
            rules = [rule["ruleId"] for rule in stored["rules"] if rule["matched"]]
            decided = [rule["rule_id"] for rule in decision["matched_rules"]]
            seen = {one["name"]: one["value"] for one in stored["eventVariables"] if "value" in one}
            self.expect((rules, seen) == (decided, decision["variables"]), f"the snapshot of {decision['decision_id']} differs")

        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            list(threads.map(check, sample))
        self.expect(sample, "there is no decision to check")


def ids_of(body):
    """The order ids in a record, which may be no order at all, or a list of orders."""
    try:
        orders = json.loads(body)
    except ValueError:
        return []
    orders = orders if isinstance(orders, list) else [orders]
    return [order["order_id"] for order in orders if isinstance(order, dict) and isinstance(order.get("order_id"), str)]
