"""Servers for the tests: each on a free loopback port, ready when it answers, ended by its own process id."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import types
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venv" / "tools" / "bin"
SAM = ROOT / ".venv" / "sam" / "bin" / "sam"
MINISTACK = ROOT / ".venv" / "ministack" / "bin" / "ministack"
FUNCTIONS = ["predict", "ingest", "label", "forward"]
# Of these, `webhook` is deployed only where there is a receiver.
ALL_FUNCTIONS = [*FUNCTIONS, "webhook"]
REGION = "us-east-1"
HOST = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout.split("host: ")[1].split()[0]
ARCHITECTURE = "arm64" if HOST.startswith("aarch64") else "x86_64"
# What `cargo lambda build --release` compiles with. `cargo lambda watch` has other defaults and would compile
# the AWS SDK once more; said in words, both share one target directory.
TARGET_CPU = {"x86_64": "haswell", "arm64": "neoverse-n1"}[ARCHITECTURE]


def environment(**more):
    """The environment of every process here: no credentials of whoever runs the tests, and no way to AWS."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **inherited,
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "SAM_CLI_TELEMETRY": "0",
        # The machine that builds is the machine that runs, so Zig has nothing to do.
        "CARGO_LAMBDA_COMPILER": "cargo",
        **more,
    }


def make_call(fraudstream, home, cwd=ROOT):
    """A function that calls the command on a folder of state, from a folder; a failure shows what it said."""

    def call(*arguments, check=True, **env):
        command = [str(fraudstream), "--home", str(home), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=environment() | env, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, done.stderr
        return done

    return call


def run(*command, cwd=ROOT, env=None, timeout=3000):
    """Runs a command to its end; a failure shows all it printed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env or environment(), timeout=timeout, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


def eventually(ask, timeout=60, what=None):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            pytest.fail(f"not within {timeout} s: {what or ask.__doc__ or ask}; the last answer was {answer!r}", pytrace=False)
        time.sleep(0.25)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    """Whether an HTTP server is there, whatever it answers."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def server(command, url, log, cwd=ROOT, env=None, timeout=60):
    """A process that serves `url`, for as long as the block runs."""
    with open(log, "w") as output:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + timeout
        while not answers(url):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{command[0]} did not start:\n{log.read_text()[-4000:]}", pytrace=False)
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def client(service, endpoint):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
    )


def lines(path):
    """The objects of a file; the sample orders hold a few lines that are none, on purpose."""
    values = []
    for line in (ROOT / path).read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            values.append(json.loads(line))
    return [value for value in values if isinstance(value, dict)]


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def fraudstream():
    """The command line: FRAUDSTREAM_BIN, or built here.

    All binaries and tests in one go: cargo then picks the features that `cargo test` picked.
    """
    if given := os.environ.get("FRAUDSTREAM_BIN"):
        return pathlib.Path(given).resolve()
    run("cargo", "build", "--workspace", "--bins", "--tests", "--locked")
    return ROOT / "target" / "debug" / "fraudstream"


@pytest.fixture(scope="session")
def bootstraps():
    """The functions as Lambda runs them, by name: those in the folder BUILT_FUNCTIONS, which is like `target/lambda`, or built here.

    One folder after the other, as `sam build` does.
    """
    if given := os.environ.get("BUILT_FUNCTIONS"):
        return {name: pathlib.Path(given).resolve() / name / "bootstrap" for name in ALL_FUNCTIONS}
    for name in ALL_FUNCTIONS:
        run("cargo", "lambda", "build", "--release", "--locked", "--bin", name, cwd=ROOT / "functions" / name)
    return {name: ROOT / "target" / "lambda" / name / "bootstrap" for name in ALL_FUNCTIONS}


@pytest.fixture(scope="session")
def ministack(logs):
    """AWS on loopback. Functions run as processes of this machine, with the rights of their roles (AUTH)."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", MINISTACK_HOST="127.0.0.1", LAMBDA_EXECUTOR="local", AUTH="true",
        AWS_ENDPOINT_URL=url,
    )
    with server([MINISTACK], f"{url}/_ministack/health", logs / "ministack.log", env=env):
        yield url


def without_policies_of_resources(template):
    """The template without the policies that refuse plain HTTP, which MiniStack keeps to and listens on."""
    policy = r"AWS::(?:S3::Bucket|SQS::Queue|SNS::Topic)Policy"
    left, count = re.subn(rf"^  \w+:\n    Type: {policy}\n(?:    .*\n)+", "", template, flags=re.MULTILINE)
    assert count > 0
    return left


def with_rights_for_statements(template):
    """The template with the right to the call itself, which MiniStack asks for where AWS asks for that to each statement."""
    statement = r"(              - Effect: Allow\n)(                Action: \[.*PartiQLInsert.*\]\n)(                Resource: .*\n)"
    call = r"\g<1>                Action: [dynamodb:BatchExecuteStatement]\n                Resource: '*'\n"
    changed, count = re.subn(statement, rf"\g<0>{call}", template)
    assert count > 0
    return changed


@pytest.fixture(scope="session")
def stack(ministack, fraudstream, bootstraps, logs):
    """template.yaml deployed, with the sample's detector applied to the engine's tables."""
    env = environment(AWS_ENDPOINT_URL=ministack)
    template = logs / "template.yaml"
    text = without_policies_of_resources((ROOT / "template.yaml").read_text())
    template.write_text(with_rights_for_statements(text))

    def deploy(*changed):
        parameters = ["--parameter-overrides", f"Architecture={ARCHITECTURE}", *changed]
        run(SAM, "build", "--template-file", template, "--base-dir", ROOT, *parameters, env=env)
        run(
            SAM, "deploy", "--stack-name", "fraudstream", "--resolve-s3", "--capabilities", "CAPABILITY_IAM",
            "--no-confirm-changeset", "--no-progressbar", *parameters, env=env, timeout=300,
        )

    deploy()
    described = client("cloudformation", ministack).describe_stacks(StackName="fraudstream")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Stacks"][0]["Outputs"]}
    operator = env | {
        "DEFINITIONS_TABLE": outputs["DefinitionsTable"],
        "EVENTS_TABLE": outputs["EventsTable"],
        "DECISIONS_TABLE": outputs["DecisionsTable"],
        "VELOCITY_TABLE": outputs["VelocityTable"],
        "BUCKET": outputs["BucketName"],
        "EVENT_BUS": outputs["OutcomeBusName"],
    }
    run(fraudstream, "apply", "config/detector.yaml", env=operator, timeout=120)
    return types.SimpleNamespace(outputs=outputs, env=operator, deploy=deploy, client=lambda service: client(service, ministack))


@pytest.fixture(scope="session")
def serve(fraudstream, logs, tmp_path_factory):
    """`fraudstream serve`: Fraud Detector, DynamoDB, S3 and EventBridge on one port, with the sample's detector."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("serve")
    command = [fraudstream, "serve", "--port", port, "--home", folder, "--faults"]
    with server(command, f"{url}/_fraudstream/health", logs / "serve.log"):
        env = environment(AWS_ENDPOINT_URL=url)
        run(fraudstream, "apply", "config/detector.yaml", env=env, timeout=120)
        yield types.SimpleNamespace(endpoint=url, folder=folder, env=env, client=lambda service: client(service, url))
