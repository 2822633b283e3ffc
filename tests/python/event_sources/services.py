"""What the driver itself answers to the functions: the event bus, the visibility of messages, and calls with a limit."""

import collections
import http.client
import json
import threading
import time
import urllib.parse

from event_sources.loopback import Handler, LoopbackServer


class JsonServer(LoopbackServer):
    """AWS's JSON protocols, in which X-Amz-Target names the operation: `answer` takes it and a body, and returns a status and a body."""

    def __init__(self, answer):
        class Call(Handler):
            def do_POST(self):
                body = self.read_body()
                status, answered = answer(self.headers.get("X-Amz-Target", "").rsplit(".", 1)[-1], body)
                self.answer(status, answered, {"Content-Type": "application/x-amz-json-1.1"})

        super().__init__(Call)


def exception(name, status=400):
    return status, json.dumps({"__type": name, "message": "as the test wants it"}).encode()


class EventBus:
    """EventBridge: keeps each entry with the time when it came, and refuses some entries and some calls."""

    def __init__(self, dice, refuses):
        self.dice, self.refuses, self.calls = dice, refuses, 0
        self.lock = threading.Lock()
        self.told = collections.defaultdict(list)
        self.refused = 0

    def put_events(self, body):
        now, entries = time.time(), json.loads(body)["Entries"]
        answers = []
        with self.lock:
            self.calls += 1
            call = self.calls
            if self.refuses and self.dice.happens(f"PutEvents {call} is throttled", 30):
                return exception("ThrottlingException")
            for place, entry in enumerate(entries):
                detail = json.loads(entry["Detail"])
                if self.refuses and self.dice.happens(f"PutEvents {call} entry {place} fails", 20):
                    self.refused += 1
                    answers.append({"ErrorCode": "InternalFailure", "ErrorMessage": "as the test wants it"})
                else:
                    self.told[detail["decision_id"]].append((now, detail))
                    answers.append({"EventId": f"{call}-{place}"})
        failed = sum("ErrorCode" in answer for answer in answers)
        return 200, json.dumps({"FailedEntryCount": failed, "Entries": answers}).encode()


class LimitedCalls:
    """Amazon's service with its quota: at most `limit` calls of GetEventPrediction within any second are passed on to a server,
    and the others are throttled. Other operations have quotas of their own, which nothing here comes near.
    """

    def __init__(self, url, limit):
        self.address, self.limit = urllib.parse.urlsplit(url).netloc, limit
        self.lock, self.local = threading.Lock(), threading.local()
        self.passed, self.throttled = [], []

    def answer(self, operation, body):
        if operation == "GetEventPrediction" and not self.admit(time.time()):
            return exception("ThrottlingException")
        return call(self.address, "AWSHawksNestServiceFacade", operation, body, self.local)

    def admit(self, now):
        with self.lock:
            is_full = len(self.passed) >= self.limit and self.passed[-self.limit] > now - 1.0
            (self.throttled if is_full else self.passed).append(now)
        return not is_full

    def per_second(self):
        """How many calls came in each second of the clock, throttled ones included, without the first and the last second."""
        counts = collections.Counter(int(at) for at in self.passed + self.throttled)
        return [count for _, count in sorted(counts.items())][1:-1]

    def most_in_a_second(self):
        """The most calls within any second, wherever it begins, throttled ones included."""
        calls = sorted(self.passed + self.throttled)
        most = first = 0
        for last, at in enumerate(calls):
            while calls[first] <= at - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most


def call(address, target, operation, body, local):
    """A call in AWS's JSON protocol over a connection that the thread keeps."""
    for attempt in (1, 2):
        connection = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = http.client.HTTPConnection(address, timeout=60)
        headers = {
            "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{target}.{operation}",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/service/aws4_request, SignedHeaders=host, Signature=0",
        }
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            local.connection = None
            if attempt == 2:
                raise
    raise AssertionError("unreachable")
