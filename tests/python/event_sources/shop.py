"""The orders and chargebacks of a run, and what has to become of them."""

import dataclasses
import datetime
import json

# Orders of one customer, and so of one card and device, on average.
ORDERS_OF_CUSTOMER = 8
# Kind, reason code, source, rank of the source and label of a message, as config/mapping.yaml has them.
MESSAGES = [
    ("chargeback", "10.4", "processor", 3, "fraud"),
    ("chargeback", "13.1", "processor", 3, None),
    ("early_warning", "fraud", "scheme", 2, "fraud"),
    ("reversal", "won", "processor", 3, "legit"),
    ("refund", "fraud_suspected", "shop", 1, "fraud"),
    ("refund", "returned", "shop", 1, None),
    ("verdict", "legit", "analyst", 4, "legit"),
    ("verdict", "fraud", "analyst", 4, "fraud"),
]


@dataclasses.dataclass
class Order:
    """An order as it is sent. A clean one has to be decided; another one may be rejected."""

    key: str
    body: str
    order_id: str | None = None
    customer: str | None = None
    created: datetime.datetime | None = None


class Shop:
    """So many orders made of a simulated shop's: `history` gives the clean ones, `unclean` those that came with mistakes."""

    def __init__(self, history, unclean, count, dice):
        self.dice = dice
        lines = history.read_text().splitlines()
        unclean = unclean.read_text().splitlines()[: count * 2 // 5]
        clean = count - len(unclean)
        customers = max(clean // ORDERS_OF_CUSTOMER, 1)
        self.clean = [self.make_order(json.loads(lines[number % len(lines)]), number, customers) for number in range(clean)]
        self.unclean = [Order(f"u-{dice.between(f'key of {number}', 0, 500)}", line) for number, line in enumerate(unclean)]
        self.by_id = {order.order_id: order for order in self.clean}
        # Mixed, so that orders with mistakes are in the batches of the others.
        rank = {id(order): dice.part(f"place of {number}") for number, order in enumerate(self.unclean)}
        rank |= {id(order): number / len(self.clean) for number, order in enumerate(self.clean)}
        self.orders = sorted(self.clean + self.unclean, key=lambda order: rank[id(order)])
        self.labels = {}
        self.messages = [message for order in self.clean if dice.happens(f"{order.order_id} has labels", 100) for message in self.label(order)]

    def make_order(self, order, number, customers):
        owner = self.dice.between(f"customer of {number}", 0, customers)
        order["order_id"] = f"ES-{number:06}"
        order.pop("revision", None)
        order["customer"] |= {"id": f"es-{owner}", "email": f"es{owner}@example.com"}
        order["client"]["device_id"] = f"es-device-{owner}"
        if "card_fingerprint" in order["payment"]:
            order["payment"]["card_fingerprint"] = f"es-card-{owner}"
        created = datetime.datetime.fromisoformat(order["created_at"].replace("Z", "+00:00"))
        return Order(f"es-{owner}", json.dumps(order), order["order_id"], f"es-{owner}", created)

    def label(self, order):
        """Messages about an order; notes the label that must be the current one: of the highest rank the newest."""
        best = None
        for number in range(1 + self.dice.between(f"messages about {order.order_id}", 0, 3)):
            name = f"message {number} about {order.order_id}"
            kind, code, source, rank, label = self.dice.one_of(name, MESSAGES)
            at = order.created + datetime.timedelta(days=1 + number, seconds=self.dice.between(f"time of {name}", 0, 86_400))
            if label:
                best = max(best or (0,), (rank, at, label))
            yield json.dumps({
                "order_id": order.order_id, "kind": kind, "reason_code": code, "source": source,
                "label_timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "amount": "10.00", "currency": "USD",
            })
        self.labels[order.order_id] = best and best[2]
