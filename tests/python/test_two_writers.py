"""Several processes change one set of definitions at the same time: nothing is lost, no number is given out twice.

`fraudstream apply` brings an engine of its own to the tables that `fraudstream serve` reaches, so each process here is a
writer that knows nothing of the others, as two Lambda functions or two operators are.
"""

import concurrent.futures
import re
import subprocess

from conftest import environment

WRITERS = 3

TEMPLATE = """
Resources:
  Who: {{Type: "AWS::FraudDetector::EntityType", Properties: {{Name: who_{n}}}}}
  Bad: {{Type: "AWS::FraudDetector::Label", Properties: {{Name: bad_{n}}}}}
  Good: {{Type: "AWS::FraudDetector::Label", Properties: {{Name: good_{n}}}}}
  Stop: {{Type: "AWS::FraudDetector::Outcome", Properties: {{Name: stop_{n}}}}}
  Blocked: {{Type: "AWS::FraudDetector::List", Properties: {{Name: blocked_{n}, Elements: [a, b]}}}}
  Login:
    Type: AWS::FraudDetector::EventType
    Properties:
      Name: login_{n}
      EntityTypes: [{{Arn: !GetAtt Who.Arn}}]
      Labels: [{{Arn: !GetAtt Bad.Arn}}, {{Arn: !GetAtt Good.Arn}}]
      EventVariables:
        - {{Inline: true, Name: tries_{n}, DataType: INTEGER, DataSource: EVENT, DefaultValue: "0"}}
  Logins:
    Type: AWS::FraudDetector::Detector
    Properties:
      DetectorId: logins_{n}
      DetectorVersionStatus: ACTIVE
      RuleExecutionMode: FIRST_MATCHED
      EventType: {{Arn: !GetAtt Login.Arn}}
      Rules:
        - {{RuleId: many, DetectorId: logins_{n}, Language: DETECTORPL, Outcomes: [{{Arn: !GetAtt Stop.Arn}}], Expression: "$tries_{n} > {limit}"}}
"""


def applied(fraudstream, serve, folder, n, limit):
    """Starts to apply the n-th detector."""
    path = folder / f"detector_{n}.yaml"
    path.write_text(TEMPLATE.format(n=n, limit=limit))
    command = [fraudstream, "--home", folder / f"home_{n}", "apply", path]
    return subprocess.Popen(command, env=environment(AWS_ENDPOINT_URL=serve.endpoint), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def updated(afd, reference, request):
    """Makes a new version of a rule; another writer may have made one since the most recent version was read."""
    newest = "1"
    while True:
        try:
            return afd.update_rule_version(rule=reference | {"ruleVersion": newest}, **request)["rule"]["ruleVersion"]
        except afd.exceptions.ValidationException as refused:
            (newest,) = re.findall(r"whereas the most recent version is (\d+)\.", str(refused))


def test_processes_and_threads_write_at_once(fraudstream, serve, tmp_path):
    afd = serve.client("frauddetector")
    afd.create_list(name="shared_list")
    rule = {
        "detectorId": "orders", "ruleId": "contended", "language": "DETECTORPL", "outcomes": ["review"], "expression": "$order_price > 1",
    }
    reference = afd.create_rule(**rule)["rule"]

    def new_version(number):
        request = {name: rule[name] for name in ("language", "outcomes")} | {"expression": f"$order_price > {number}"}
        version = updated(afd, reference, request)
        detector = afd.create_detector_version(detectorId="orders", rules=[{**reference, "ruleVersion": version}])["detectorVersionId"]
        afd.update_list(name="shared_list", elements=[str(number)], updateMode="APPEND")
        return version, detector

    for limit in (5, 6):
        processes = [applied(fraudstream, serve, tmp_path, n, limit) for n in range(WRITERS)]
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            made = list(threads.map(new_version, range(limit * 100, limit * 100 + 8)))
        for process in processes:
            printed, _ = process.communicate(timeout=120)
            assert process.returncode == 0, printed
        rules, detectors = zip(*made)
        assert len(set(rules)) == len(set(detectors)) == 8, made

    assert sorted(afd.get_list_elements(name="shared_list")["elements"]) == sorted(str(hundred + n) for hundred in (500, 600) for n in range(8))
    versions = [row["ruleVersion"] for row in afd.get_rules(detectorId="orders", ruleId="contended")["ruleDetails"]]
    assert sorted(map(int, versions)) == list(range(1, 18))
    for n in range(WRITERS):
        rows = afd.describe_detector(detectorId=f"logins_{n}")["detectorVersionSummaries"]
        assert {row["detectorVersionId"]: row["status"] for row in rows} == {"1": "INACTIVE", "2": "ACTIVE"}
        event = {
            "detectorId": f"logins_{n}", "eventId": "e-1", "eventTypeName": f"login_{n}", "eventTimestamp": "2026-06-01T10:15:30Z",
            "entities": [{"entityType": f"who_{n}", "entityId": "1"}],
        }
        for tries, outcomes in (("6", []), ("7", [f"stop_{n}"])):
            decided = afd.get_event_prediction(**event, eventVariables={f"tries_{n}": tries})["ruleResults"]
            assert [outcome for result in decided for outcome in result["outcomes"]] == outcomes
