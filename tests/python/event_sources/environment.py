"""One environment of a function: its process, and Lambda's Runtime API in front of it.

docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and lambda-runtime-environment.html: an environment has one invocation at
a time, is frozen when it asks for the next one and there is none, and is replaced after a crash or a time-out.
"""

import dataclasses
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time
import uuid

from event_sources.loopback import Handler, LoopbackServer

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
# How long a process may take until it asks for its first invocation.
START = 60


@dataclasses.dataclass
class Plan:
    """What happens to an invocation, beside what the function does. Times are in seconds from its beginning."""

    time_out: float = 60.0
    # When the process is killed.
    kill_after: float | None = None
    # The answer arrives and is lost, and the process is killed.
    loses_answer: bool = False
    # The process is killed when its answer has arrived.
    kill_when_answered: bool = False


@dataclasses.dataclass
class Ended:
    """How an invocation ended: `response` and `error` are what the function said. Otherwise it said nothing: `killed` and
    `timed out` are our doing, and `crashed` is its own.
    """

    how: str
    body: object = None


def cpu_seconds(pid):
    """Seconds that a process has computed; 0 where there is no /proc."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Environment:
    """A process of a function. `freezes`: it is stopped while it has no invocation, as Lambda does."""

    def __init__(self, bootstrap, env, log, name="f", freezes=False):
        self.name, self.freezes, self.is_frozen, self.is_alive, self.cpu = name, freezes, False, True, 0.0
        self.lock = threading.Lock()
        self.waiting, self.answers, self.ready = queue.Queue(), queue.Queue(), threading.Event()
        self.plan = Plan()
        self.server = LoopbackServer(self.make_handler())
        lambda_env = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}", "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
        }
        # The lock, because the process may ask for its first invocation before this is done.
        with self.lock, open(log, "a") as output:
            self.process = subprocess.Popen([bootstrap], env=env | lambda_env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def make_handler(environment):
        class Runtime(Handler):
            def do_GET(self):
                environment.ready.set()
                environment.freeze()
                body = environment.waiting.get()
                if body is None:
                    self.close_connection = True
                    return
                now, request = time.time(), uuid.uuid4()
                self.answer(200, body, {
                    "Content-Type": "application/json", "Lambda-Runtime-Aws-Request-Id": request,
                    "Lambda-Runtime-Deadline-Ms": int((now + environment.plan.time_out) * 1000),
                    "Lambda-Runtime-Invoked-Function-Arn": ARN + environment.name,
                    "Lambda-Runtime-Trace-Id": f"Root=1-{int(now):08x}-{request.hex[:24]};Parent={request.hex[:16]};Sampled=0",
                })

            def do_POST(self):
                # .../invocation/ID/response, .../invocation/ID/error or init/error
                environment.answers.put(Ended(self.path.rsplit("/", 1)[-1], self.read_body()))
                self.answer(202)

        return Runtime

    def freeze(self):
        with self.lock:
            if self.freezes and self.is_alive and self.waiting.empty():
                self.process.send_signal(signal.SIGSTOP)
                self.is_frozen = True

    def thaw_with(self, body):
        with self.lock:
            self.waiting.put(body)
            if self.is_frozen:
                self.process.send_signal(signal.SIGCONT)
                self.is_frozen = False

    def starts(self):
        """Waits until the process asks for its first invocation; False if it ends, or does not ask in time."""
        end = time.monotonic() + START
        while not self.ready.wait(0.2):
            if self.process.poll() is not None or time.monotonic() > end:
                return False
        return True

    def run(self, event, plan=Plan()):
        """One invocation to its end. After `killed`, `timed out` or `crashed` the environment is over."""
        if not self.starts():
            self.end()
            return Ended("not started")
        self.plan = plan
        self.thaw_with(json.dumps(event).encode())
        began = time.monotonic()
        limit = plan.time_out if plan.kill_after is None else min(plan.kill_after, plan.time_out)
        ended = None
        while ended is None:
            left = began + limit - time.monotonic()
            try:
                ended = self.answers.get(timeout=min(max(left, 0.001), 0.5))
            except queue.Empty:
                if self.process.poll() is not None:
                    ended = Ended("crashed")
                elif left <= 0:
                    ended = Ended("killed" if limit < plan.time_out else "timed out")
        if ended.how in ("crashed", "killed", "timed out"):
            self.end()
        if plan.loses_answer:
            ended = Ended("killed")
        if plan.loses_answer or plan.kill_when_answered:
            self.end()
        if ended.how in ("response", "error"):
            ended.body = json.loads(ended.body)
        return ended

    def invoke(self, event):
        """The response to an event that nothing happens to."""
        ended = self.run(event)
        assert ended.how == "response", ended
        return ended.body

    def end(self):
        with self.lock:
            if not self.is_alive:
                return
            self.is_alive = False
            self.cpu = cpu_seconds(self.process.pid)
            self.process.kill()
        self.process.wait()
        self.waiting.put(None)
        self.server.end()
