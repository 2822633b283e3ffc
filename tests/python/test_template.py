"""What AWS's own tools say of the templates, before anything is deployed."""

import json
import re
import subprocess
import sys

from cfnlint.decode import cfn_yaml

from conftest import ROOT, SAM, TOOLS, environment, run

DAY = 24 * 3600


def test_sam_and_its_linter_find_nothing_in_the_template():
    assert "is a valid SAM Template" in run(SAM, "validate", "--lint", "--template", "template.yaml").stdout


def test_cfn_lint_finds_nothing_in_the_template():
    assert cfn_lint("template.yaml") == []


def test_the_detector_is_cloudformation():
    # W3696: the service takes no new customers. Whoever uses the engine does not care, whoever is one knows.
    found = cfn_lint("config/detector.yaml")
    assert {match["Rule"]["Id"] for match in found} <= {"W3696"}, found


def test_the_payloads_are_made_of_the_sample():
    run(sys.executable, "tests/python/make_events.py", "--check")


def test_the_location_files_are_what_their_script_writes():
    run(sys.executable, "tests/python/make_locations.py", "--check")


def test_only_who_maps_orders_gets_the_location_files():
    functions = resources("AWS::Serverless::Function")
    assert sorted(functions) == ["Forward", "Ingest", "Label", "Predict", "Webhook"]
    for name, function in functions.items():
        variables = function.get("Environment", {}).get("Variables", {})
        assert ("Layers" in function, "IP_LOCATION_FILES" in variables) == (name in ["Predict", "Ingest"],) * 2, name
        # A layer with new files has to make a new version, or `live` would keep the old one.
        assert ("${IpLocationLayer}" in str(function.get("VersionDescription"))) == ("Layers" in function), name


def test_every_mapping_says_what_it_does_with_failures():
    # Without ReportBatchItemFailures Lambda takes every answer for success, and failed records are lost.
    mappings = resources("AWS::Lambda::EventSourceMapping")
    assert sorted(mappings) == ["ForwardFromDecisions", "IngestFromQueue", "LabelFromQueue", "PredictFromFifo", "PredictFromOrders", "PredictFromQueue", "WebhookFromQueue"]
    for name, mapping in mappings.items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        if "StartingPosition" in mapping:
            assert mapping["MaximumRetryAttempts"] == -1, name
            assert mapping["BisectBatchOnFunctionError"] is True, name
            assert "OnFailure" in mapping["DestinationConfig"], name


def test_queues_outlast_a_day_and_no_attempt_overlaps_the_next():
    timeout = template()["Globals"]["Function"]["Timeout"]
    queues = {name: queue for name, queue in resources("AWS::SQS::Queue").items() if "RedrivePolicy" in queue}
    assert len(queues) == 5
    for name, queue in queues.items():
        visibility = queue["VisibilityTimeout"]
        assert visibility >= 6 * timeout, name
        # The functions hide a message that failed for 30 s, 60 s, and so on up to 720 s, or for half as long at least; if
        # they cannot, it is hidden for the queue's own time-out.
        delays = [min(30 * 2**attempt, 720) for attempt in range(queue["RedrivePolicy"]["maxReceiveCount"])]
        assert sum(min(delay // 2, visibility) for delay in delays) > DAY, name
        assert sum(max(delay, visibility) for delay in delays) < queue["MessageRetentionPeriod"], name


def test_whoever_reads_a_queue_may_hide_its_messages_and_no_others():
    roles, granted = resources("AWS::IAM::Role"), {}
    for name, role in roles.items():
        for policy in role["Properties"]["Policies"] if "Properties" in role else role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if "sqs:ChangeMessageVisibility" in statement.get("Action", []):
                    found = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
                    granted[name] = sorted(arn["Fn::GetAtt"][0] for arn in found)
    assert granted == {
        "PredictRole": ["OrderFifo", "OrderQueue"], "IngestRole": ["HistoryQueue"], "LabelRole": ["ChargebackQueue"],
        "WebhookRole": ["WebhookQueue"],
    }


def test_every_queue_has_a_dead_letter_queue_that_keeps_longer():
    queues = resources("AWS::SQS::Queue")
    pairs = {name: queue["RedrivePolicy"] for name, queue in queues.items() if "RedrivePolicy" in queue}
    # Every queue that a function reads has one, and no other queue does.
    read = {source(mapping) for mapping in resources("AWS::Lambda::EventSourceMapping").values()} & set(queues)
    assert read == set(pairs)
    for name, redrive in pairs.items():
        dead = queues[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        assert redrive["maxReceiveCount"] >= 250, name
        assert dead.get("FifoQueue") == queues[name].get("FifoQueue"), name
        # A message keeps the time of its first sending when it moves from a standard queue.
        assert dead["MessageRetentionPeriod"] == 14 * DAY > queues[name]["MessageRetentionPeriod"], name


def test_streams_keep_their_records_until_they_are_given_up():
    oldest = template()["Parameters"]["MaximumRecordAge"]
    kept = {name: stream["RetentionPeriodHours"] * 3600 for name, stream in resources("AWS::Kinesis::Stream").items()}
    # DynamoDB keeps its streams for 24 hours.
    kept |= dict.fromkeys(resources("AWS::DynamoDB::Table"), DAY)
    ages = {}
    for name, mapping in resources("AWS::Lambda::EventSourceMapping").items():
        if "StartingPosition" in mapping:
            assert mapping["StartingPosition"] == "TRIM_HORIZON", name
            age = mapping["MaximumRecordAgeInSeconds"]
            ages[name] = oldest["MaxValue"] if age == {"Ref": "MaximumRecordAge"} else age
            assert 60 <= ages[name] <= kept[source(mapping)], name
            # The bucket gets the records themselves; a queue would get their place in the stream.
            assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["Bucket", "Arn"]}, name
    # The stream of decisions is the shorter one: an hour before DynamoDB forgets them they go to the bucket.
    assert ages == {"PredictFromOrders": 7 * DAY, "ForwardFromDecisions": 23 * 3600}


def test_forward_hears_of_new_decisions_and_of_nothing_else():
    filters = resources("AWS::Lambda::EventSourceMapping")["ForwardFromDecisions"]["FilterCriteria"]["Filters"]
    wanted = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["decision", "verdict"]}}}}
    assert [json.loads(filter["Pattern"]) for filter in filters] == [wanted]
    assert resources("AWS::DynamoDB::Table")["Decisions"]["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_every_alarm_tells_somebody_and_is_explained():
    alarms = resources("AWS::CloudWatch::Alarm")
    text = (ROOT / "docs/operating.md").read_text()
    explained = set(re.findall(r"`(\*?\w+)`", "".join(line for line in text.splitlines() if line.startswith("| `"))))
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "Alarms"}], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        suffixes = {mark[1:] for mark in explained if mark.startswith("*")}
        assert name in explained or any(name.endswith(suffix) for suffix in suffixes), name


def test_the_dashboard_shows_metrics_that_exist():
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    code = "".join(path.read_text() for folder in ["shared/src", "functions", "engine/service/src"] for path in (ROOT / folder).rglob("*.rs"))
    counted = set(re.findall(r'metrics::\w+!\(\s*"(\w+)"', code))
    shown = set()
    for widget in widgets:
        for row in widget["properties"]["metrics"]:
            first = row[0]
            if isinstance(first, dict):
                shown |= set(re.findall(r'MetricName="(\w+)"', first["expression"]))
            elif first == "fraudstream":
                shown.add(row[1])
    assert shown <= counted, shown - counted
    # Each metric that the documentation explains for the whole of a function is in a picture, apart from those of labels.
    assert {"Done", "Decided", "RejectedByClass", "RetriedByCause", "Throttled", "CircuitOpen", "DependencyMilliseconds", "ColdStarts"} <= shown
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(set(places)) == len(places)


def test_the_bucket_is_private_and_forgets_orders():
    bucket = resources("AWS::S3::Bucket")["Bucket"]
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True
    )
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    # Models are kept: detectors use them.
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == {
        "rejected/": 90,
        "replayed/": 90,
        "aws/lambda/": 90,
    }
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules if "Prefix" not in rule] == [{"DaysAfterInitiation": 7}]


def test_nothing_is_sent_over_plain_http():
    guarded = {}
    for kind, member, service in [
        ("AWS::S3::BucketPolicy", "Bucket", "s3:*"),
        ("AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
        # A topic refuses `sns:*`; nothing but publishing carries content.
        ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
    ]:
        for name, policy in resources(kind).items():
            of = policy[member] if isinstance(policy[member], list) else [policy[member]]
            assert len(of) == 1, name
            of = of[0]["Ref"]
            [deny] = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
            assert deny["Principal"] == "*", name
            assert deny["Action"] == service, name
            assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name
            guarded[of] = deny["Resource"]
    arn = lambda name: {"Fn::GetAtt": [name, "Arn"]}  # noqa: E731
    assert guarded == {
        "Bucket": [arn("Bucket"), {"Fn::Sub": "${Bucket.Arn}/*"}],
        **{name: arn(name) for name in resources("AWS::SQS::Queue")},
        **{name: {"Ref": name} for name in resources("AWS::SNS::Topic")},
    }
    assert len(guarded) == 12


def test_what_holds_orders_is_encrypted_and_with_the_key_that_was_given():
    key, none = {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}
    assert template()["Parameters"]["KmsKeyArn"]["Default"] == ""
    assert template()["Conditions"]["HasKey"] == {"Fn::Not": [{"Fn::Equals": [key, ""]}]}

    def choice(value):
        """What a property is with a key, and without."""
        condition, given, without = value["Fn::If"]
        assert condition == "HasKey"
        return given, without

    for name, table in resources("AWS::DynamoDB::Table").items():
        # Without a key DynamoDB encrypts with its own.
        assert choice(table["SSESpecification"]) == ({"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}, none), name
    for name, queue in resources("AWS::SQS::Queue").items():
        assert choice(queue["KmsMasterKeyId"]) == (key, none), name
        assert choice(queue["SqsManagedSseEnabled"]) == (none, True), name
    for name, stream in resources("AWS::Kinesis::Stream").items():
        assert stream["StreamEncryption"]["EncryptionType"] == "KMS", name
        assert choice(stream["StreamEncryption"]["KeyId"]) == (key, "alias/aws/kinesis"), name
    for name, bucket in resources("AWS::S3::Bucket").items():
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        with_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        assert choice(rule["ServerSideEncryptionByDefault"]) == (with_key, {"SSEAlgorithm": "AES256"}), name
        assert choice(rule["BucketKeyEnabled"]) == (True, none), name
    # Whoever reads and writes them may use the key, if there is one.
    roles = resources("AWS::IAM::Role")
    assert sorted(roles) == ["ForwardRole", "IngestRole", "LabelRole", "PredictRole", "WebhookRole"]
    for name, role in roles.items():
        given = [
            statement["Fn::If"]
            for policy in role["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            if "Fn::If" in statement and "kms:Decrypt" in statement["Fn::If"][1]["Action"]
        ]
        allow = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key}
        assert given == [["HasKey", allow, none]], name


def test_tables_and_bucket_outlive_the_stack():
    kept = {name: resource for name, resource in template()["Resources"].items() if resource.get("DeletionPolicy") == "Retain"}
    assert sorted(kept) == ["Bucket", "BucketPolicy", "Decisions", "Definitions", "Events", "Velocity"]
    assert all(resource["UpdateReplacePolicy"] == "Retain" for resource in kept.values())
    for name, table in resources("AWS::DynamoDB::Table").items():
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, name
    expiry = {name: table.get("TimeToLiveSpecification", {}).get("AttributeName") for name, table in resources("AWS::DynamoDB::Table").items()}
    assert expiry == {"Decisions": "expires_at", "Events": "expiresAt", "Definitions": None, "Velocity": "expires_at"}


def test_no_policy_is_wider_than_it_must_be():
    # X-Ray and ListStreams know no resources; whatever else stands on `*` is a mistake.
    wide = set()
    for role in resources("AWS::IAM::Role").values():
        for statement in statements(role):
            assert all("*" not in action for action in statement["Action"]), statement
            if statement["Resource"] == "*":
                wide |= set(statement["Action"])
    assert wide == {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "dynamodb:ListStreams"}


def test_what_is_off_by_default_is_off_as_a_whole():
    parameters = template()["Parameters"]
    assert (parameters["DecideUrl"]["Default"], parameters["WebhookUrl"]["Default"]) == ("off", "")
    conditional = {}
    for name, resource in template()["Resources"].items():
        conditional.setdefault(resource.get("Condition"), set()).add(name)
    assert conditional["HasDecideUrl"] == {"PredictUrl", "DecideCaller"}
    assert conditional["HasWebhook"] == {name for name in template()["Resources"] if name.startswith("Webhook")}


def test_the_url_answers_signed_requests_only():
    [url] = resources("AWS::Lambda::Url").values()
    assert url == {"TargetFunctionArn": {"Ref": "Predict.Alias"}, "AuthType": "AWS_IAM"}
    [policy] = resources("AWS::IAM::ManagedPolicy").values()
    allowed = {statement["Action"]: statement["Condition"] for statement in policy["PolicyDocument"]["Statement"]}
    # AWS asks for both rights at a URL, and the second must not allow an invocation without it.
    assert allowed == {
        "lambda:InvokeFunctionUrl": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
        "lambda:InvokeFunction": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    }
    assert {statement["Resource"]["Ref"] for statement in policy["PolicyDocument"]["Statement"]} == {"Predict.Alias"}
    assert "${DecideTimeout}" in resources("AWS::Serverless::Function")["Predict"]["VersionDescription"]["Fn::Sub"]


def test_webhooks_hear_of_decisions_through_a_queue_that_only_the_rule_fills():
    rule = resources("AWS::Events::Rule")["WebhookRule"]
    assert rule["EventPattern"] == {"source": ["fraudstream"], "detail-type": ["Fraud Decision", "Decision Reviewed"]}
    arn = lambda name: {"Fn::GetAtt": [name, "Arn"]}  # noqa: E731
    [target] = rule["Targets"]
    assert (target["Arn"], target["DeadLetterConfig"]["Arn"]) == (arn("WebhookQueue"), arn("WebhookDeadLetters"))
    for queue in ["WebhookQueue", "WebhookDeadLetters"]:
        [allow, _] = resources("AWS::SQS::QueuePolicy")[f"{queue}Policy"]["PolicyDocument"]["Statement"]
        assert (allow["Principal"], allow["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
        assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": arn("WebhookRule")}}


def source(mapping):
    """The name of what a mapping reads."""
    return mapping["EventSourceArn"]["Fn::GetAtt"][0]


def cfn_lint(path):
    # Its exit code tells the level of what it found, so it is not asked for.
    command = [TOOLS / "cfn-lint", "--format", "json", "--region", "us-east-1", "--", path]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def template():
    return cfn_yaml.load(str(ROOT / "template.yaml"))


def resources(kind):
    return {name: resource.get("Properties", {}) for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def statements(role):
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            # [condition, statement, nothing]
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement
