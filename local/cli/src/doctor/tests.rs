//! template.yaml has no finding; each finding has a template that differs from it in one place.

use super::*;

const TEMPLATE: &str = include_str!("../../../../template.yaml");

fn check(text: &str, parameters: &[(&str, &str)]) -> String {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let inputs = TemplateInputs::new(parameters.collect());
    match TemplateReport::check("t.yaml", text, &inputs, QUOTA) {
        Ok(report) => report.to_string(),
        Err(error) => format!("{error}\n"),
    }
}

/// The part of template.yaml from the line of the resource `id` to the next resource.
fn find_resource(id: &str) -> (usize, usize) {
    let start = TEMPLATE.find(&format!("\n  {id}:\n")).unwrap() + 1;
    let body = start + TEMPLATE[start..].find('\n').unwrap();
    let is_next = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let next = TEMPLATE[body + 1..].lines().find(is_next).unwrap();
    let end = body + 2 + TEMPLATE[body + 1..].find(&format!("\n{next}\n")).unwrap();
    (start, end)
}

/// Replaces `from` in the resource `id`, where it is once, and compares the findings, without the file and its lines.
#[track_caller]
fn broken(id: &str, from: &str, to: &str, want: &[&str]) {
    let (start, end) = find_resource(id);
    let part = &TEMPLATE[start..end];
    assert_eq!(part.matches(from).count(), 1, "`{from}` in {id}");
    let text = format!(
        "{}{}{}",
        &TEMPLATE[..start],
        part.replacen(from, to, 1),
        &TEMPLATE[end..]
    );
    compare(&text, want);
}

#[track_caller]
fn compare(text: &str, want: &[&str]) {
    let got = check(text, &[]);
    let got: Vec<String> = got
        .lines()
        .map(|line| match line.split_once(" (t.yaml:") {
            Some((head, rest)) => {
                let (_, rest) = rest.split_once(") ").unwrap();
                format!("{head} {rest}")
            }
            None => line.to_owned(),
        })
        .collect();
    assert_eq!(got, want);
}

#[test]
fn our_template_has_no_finding() {
    let good = "t.yaml: nothing found that would lose orders or money\n";
    assert_eq!(check(TEMPLATE, &[]), good);
    let amazon = [("FraudDetector", "aws"), ("MaximumRecordAge", "604800")];
    assert_eq!(check(TEMPLATE, &amazon), good);
    let with_key = [(
        "KmsKeyArn",
        "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d",
    )];
    assert_eq!(check(TEMPLATE, &with_key), good);
}

#[test]
fn a_finding_names_the_line_of_its_resource() {
    let text = TEMPLATE.replacen("MaximumRetryAttempts: -1", "MaximumRetryAttempts: 3", 1);
    let line = TEMPLATE
        .lines()
        .position(|line| line == "  PredictFromOrders:");
    let got = check(&text, &[]);
    let place = format!("error: PredictFromOrders (t.yaml:{}) ", line.unwrap() + 1);
    assert!(got.starts_with(&place), "{got}");
}

#[test]
fn sources() {
    for id in ["PredictFromOrders", "IngestFromQueue"] {
        let want = format!(
            "error: {id} does not report partial failures: Lambda takes every answer for success, and records that failed are \
             lost; set FunctionResponseTypes: [ReportBatchItemFailures]"
        );
        broken(
            id,
            "      FunctionResponseTypes: [ReportBatchItemFailures]\n",
            "",
            &[&want],
        );
    }
    broken(
        "ForwardFromDecisions",
        "MaximumRetryAttempts: -1",
        "MaximumRetryAttempts: 10",
        &[
            "error: ForwardFromDecisions gives a record up after 10 more attempts, which an outage of minutes uses up; set \
           MaximumRetryAttempts: -1, and let MaximumRecordAgeInSeconds end the attempts",
        ],
    );
    broken(
        "PredictFromOrders",
        "StartingPosition: TRIM_HORIZON",
        "StartingPosition: LATEST",
        &[
            "warning: PredictFromOrders begins with the records that come after it, so what was sent before is skipped; set \
           StartingPosition: TRIM_HORIZON",
        ],
    );
}

#[test]
fn records_that_are_given_up_reach_the_bucket() {
    let destination = "DestinationConfig: { OnFailure: { Destination: !GetAtt Bucket.Arn } }";
    let right = "set DestinationConfig: { OnFailure: { Destination: !GetAtt Bucket.Arn } }, with the bucket of the stack";
    let want = format!(
        "error: PredictFromOrders has no on-failure destination: a record that is given up is lost; {right}"
    );
    broken(
        "PredictFromOrders",
        &format!("      {destination}\n"),
        "",
        &[&want],
    );
    let want = format!(
        "warning: ForwardFromDecisions sends what it gives up to a queue or topic, which gets the place in the stream and not the \
         record; {right}"
    );
    for other in [
        "!GetAtt OrderDeadLetters.Arn",
        "!Ref Alarms",
        "!Sub 'arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:given-up'",
    ] {
        let to = destination.replace("!GetAtt Bucket.Arn", other);
        broken("ForwardFromDecisions", destination, &to, &[&want]);
    }
}

#[test]
fn a_record_leaves_the_stream_before_it_is_forgotten() {
    broken(
        "ForwardFromDecisions",
        "MaximumRecordAgeInSeconds: 82800",
        "MaximumRecordAgeInSeconds: 90000",
        &[
            "error: ForwardFromDecisions tries a record for 90000 s, and the stream forgets it after 86400 s, so that a record which \
           still fails is lost without reaching the on-failure destination; set MaximumRecordAgeInSeconds to less than 86400, or \
           keep records longer",
        ],
    );
    broken(
        "PredictFromOrders",
        "      MaximumRecordAgeInSeconds: !Ref MaximumRecordAge\n",
        "",
        &[
            "error: PredictFromOrders tries a record for as long as the stream has it, so that a record which still fails is lost \
           without reaching the on-failure destination; set MaximumRecordAgeInSeconds to less than 604800, or keep records longer",
        ],
    );
    broken(
        "Orders",
        "RetentionPeriodHours: 168",
        "RetentionPeriodHours: 24",
        &[
            "warning: Orders keeps records for 24 h: a mapping that is switched off over a weekend loses orders; set \
           RetentionPeriodHours to 72 or more; template.yaml has 168",
        ],
    );
    // The parameter can be too large for the stream.
    let text = TEMPLATE.replacen("RetentionPeriodHours: 168", "RetentionPeriodHours: 72", 1);
    let got = check(&text, &[("MaximumRecordAge", "604800")]);
    assert!(
        got.contains("tries a record for 604800 s, and the stream forgets it after 259200 s"),
        "{got}"
    );
}

#[test]
fn queues() {
    broken(
        "OrderQueue",
        "VisibilityTimeout: 360",
        "VisibilityTimeout: 359",
        &[
            "error: OrderQueue hides a message for 359 s, which is under six times the 60 s of Predict: a message comes again while \
           it is processed, and uses up its attempts; set VisibilityTimeout to 360 or more",
        ],
    );
    broken(
        "ChargebackQueue",
        "      RedrivePolicy: { deadLetterTargetArn: !GetAtt ChargebackDeadLetters.Arn, maxReceiveCount: 250 }\n",
        "",
        &[
            "error: ChargebackQueue has no dead-letter queue: a message that never succeeds is tried until it is deleted; set \
           RedrivePolicy with deadLetterTargetArn and maxReceiveCount: 250",
        ],
    );
    broken(
        "HistoryQueue",
        "maxReceiveCount: 250",
        "maxReceiveCount: 10",
        &[
            "warning: HistoryQueue may give a message up after 10 attempts in 2265 s: an outage of a day ends in the dead-letter queue; \
           set maxReceiveCount to 244 or more",
        ],
    );
    broken(
        "OrderFifo",
        "MessageRetentionPeriod: 604800",
        "MessageRetentionPeriod: 86400",
        &[
            "error: OrderFifo deletes a message after 86400 s, and its 250 attempts may take 178320 s, so that it never reaches the \
           dead-letter queue; set MessageRetentionPeriod to more than 178320, at most 1209600",
        ],
    );
    broken(
        "OrderDeadLetters",
        "MessageRetentionPeriod: 1209600",
        "MessageRetentionPeriod: 604800",
        &[
            "error: OrderDeadLetters keeps messages for 604800 s, counted from their first sending, and OrderQueue for 604800 s: a \
           message may be deleted as soon as it is moved; set MessageRetentionPeriod: 1209600",
        ],
    );
}

#[test]
fn the_time_out_of_a_function_is_its_own_or_that_of_all() {
    let text = TEMPLATE.replacen("    Timeout: 60\n", "    Timeout: 61\n", 1);
    let got = check(&text, &[]);
    assert_eq!(
        got.matches("under six times the 61 s of").count(),
        4,
        "{got}"
    );
    broken(
        "Label",
        "CodeUri: functions/label",
        "CodeUri: functions/label\n      Timeout: 120",
        &[
            "error: ChargebackQueue hides a message for 360 s, which is under six times the 120 s of Label: a message comes again \
           while it is processed, and uses up its attempts; set VisibilityTimeout to 720 or more",
        ],
    );
}

#[test]
fn tables() {
    let stream = "error: Decisions has no stream with new items, so forward cannot tell anybody of a decision; set \
                  StreamSpecification: { StreamViewType: NEW_IMAGE }";
    let from = "      StreamSpecification: { StreamViewType: NEW_IMAGE }\n";
    broken("Decisions", from, "", &[stream]);
    broken(
        "Decisions",
        from,
        &from.replace("NEW_IMAGE", "KEYS_ONLY"),
        &[stream],
    );
    for (id, expiry) in [
        ("Decisions", "expires_at"),
        ("Velocity", "expires_at"),
        ("Events", "expiresAt"),
    ] {
        let want = format!(
            "warning: {id} never deletes items that have expired: they are paid for, and personal data outlives its retention; set \
             TimeToLiveSpecification: {{ AttributeName: {expiry}, Enabled: true }}"
        );
        let from = format!("AttributeName: {expiry}, Enabled: true");
        broken(
            id,
            &from,
            &format!("AttributeName: {expiry}, Enabled: false"),
            &[&want],
        );
        broken(id, &from, "AttributeName: created, Enabled: true", &[&want]);
    }
    for id in ["Definitions", "Decisions"] {
        let want = format!(
            "warning: {id} has no point-in-time recovery: what is deleted or overwritten by mistake is lost; set \
             PointInTimeRecoverySpecification: {{ PointInTimeRecoveryEnabled: true }}"
        );
        let from = "PointInTimeRecoveryEnabled: true";
        broken(id, from, "PointInTimeRecoveryEnabled: false", &[&want]);
        let want = format!(
            "error: {id} is deleted with the stack, or if it is replaced, and what it holds is lost; set DeletionPolicy: Retain \
             and UpdateReplacePolicy: Retain"
        );
        broken(id, "    DeletionPolicy: Retain\n", "", &[&want]);
        broken(
            id,
            "UpdateReplacePolicy: Retain",
            "UpdateReplacePolicy: Delete",
            &[&want],
        );
    }
}

#[test]
fn what_feeds_forward() {
    let pattern =
        r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"kind":{"S":["decision","verdict"]}}}}"#;
    let unheard = format!(
        "error: ForwardFromDecisions has a filter that lets no INSERT of a verdict through, so nobody is told what people decide; set \
         the pattern {pattern}"
    );
    let lost = format!(
        "error: ForwardFromDecisions has a filter that lets no INSERT of a decision through, so nobody is told of a decision; set \
         the pattern {pattern}"
    );
    let more = format!(
        "warning: ForwardFromDecisions lets more through than the INSERT of decisions and verdicts, so forward is invoked for each change of a \
         label; set the pattern {pattern}"
    );
    let cases = [
        (pattern.replace("INSERT", "MODIFY"), &lost),
        (pattern.replace("decision", "label"), &lost),
        (pattern.replace(r#","verdict""#, ""), &unheard),
        (pattern.replace('[', "("), &lost),
        (
            pattern.replace(r#"["INSERT"]"#, r#"["INSERT","MODIFY"]"#),
            &more,
        ),
        (r#"{"eventName":["INSERT"]}"#.to_owned(), &more),
    ];
    for (to, want) in cases {
        broken("ForwardFromDecisions", pattern, &to, &[want]);
    }
    let filter =
        format!("      FilterCriteria:\n        Filters:\n          - Pattern: '{pattern}'\n");
    broken("ForwardFromDecisions", &filter, "", &[&more]);
    broken(
        "ForwardFromDecisions",
        "EventSourceArn: !GetAtt Decisions.StreamArn",
        "EventSourceArn: !GetAtt Velocity.StreamArn",
        &[
            "error: Decisions has a stream that nothing reads, so nobody is told of a decision; add the event source mapping of \
           forward, as template.yaml has it",
        ],
    );
}

#[test]
fn policies() {
    let name = "name the actions, as template.yaml does";
    let actions = "Action: [dynamodb:BatchGetItem]";
    for wide in ["dynamodb:*", "dynamodb:Batch*", "*"] {
        let want = format!(
            "warning: IngestRole allows `{wide}`, which is more than a function needs; {name}"
        );
        broken(
            "IngestRole",
            actions,
            &format!("Action: '{wide}'"),
            &[&want],
        );
    }
    let from = "Action: [dynamodb:BatchGetItem]\n                Resource: !GetAtt Decisions.Arn";
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/*";
    for wide in ["*", table] {
        let to = from.replace("!GetAtt Decisions.Arn", &format!("'{wide}'"));
        let want = format!(
            "warning: IngestRole allows dynamodb:BatchGetItem on `{wide}`; name the resources, such as !GetAtt Decisions.Arn"
        );
        broken("IngestRole", from, &to, &[&want]);
    }
    broken(
        "IngestRole",
        from,
        &from.replace(
            "Resource: !GetAtt Decisions.Arn",
            "NotResource: !GetAtt Events.Arn",
        ),
        &[
            "warning: IngestRole allows with NotResource whatever is not named; name what is needed, with Resource",
        ],
    );
    broken(
        "LabelRole",
        "      Policies:\n",
        "      ManagedPolicyArns: ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess']\n      Policies:\n",
        &[
            "warning: LabelRole has the policy `arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess`, which is more than a function \
           needs; write a policy that names actions and resources, as template.yaml does",
        ],
    );
    broken(
        "Label",
        "Role: !GetAtt LabelRole.Arn",
        "Policies: [{ Statement: [{ Effect: Allow, Action: 's3:*', Resource: '*' }] }]",
        &[
            "warning: Label allows `s3:*`, which is more than a function needs; name the actions, as template.yaml does",
            "warning: Label allows s3:* on `*`; name the resources, such as !GetAtt Decisions.Arn",
        ],
    );
}

/// Numbers that AWS would refuse are no reason to stop.
#[test]
fn numbers_of_any_size_are_compared() {
    let largest = i64::MAX;
    let text = TEMPLATE.replacen("    Timeout: 60\n", &format!("    Timeout: {largest}\n"), 1);
    let got = check(&text, &[]);
    assert!(
        got.contains(&format!("six times the {largest} s of")),
        "{got}"
    );
    let text = TEMPLATE
        .replace(
            "VisibilityTimeout: 360",
            &format!("VisibilityTimeout: {largest}"),
        )
        .replace(
            "RetentionPeriodHours: 168",
            &format!("RetentionPeriodHours: {largest}"),
        );
    assert_ne!(text, TEMPLATE);
    let got = check(&text, &[]);
    assert!(got.contains(&format!("may take {} s", u64::MAX)), "{got}");
}

#[test]
fn the_events_of_a_function_are_sources_too() {
    broken(
        "Ingest",
        "CodeUri: functions/ingest",
        "CodeUri: functions/ingest\n      Events: { Past: { Type: SQS, Properties: { Queue: !GetAtt HistoryDeadLetters.Arn } } }",
        &[
            "error: HistoryDeadLetters hides a message for 30 s, which is under six times the 60 s of Ingest: a message comes again \
             while it is processed, and uses up its attempts; set VisibilityTimeout to 360 or more",
            "error: HistoryDeadLetters has no dead-letter queue: a message that never succeeds is tried until it is deleted; set \
             RedrivePolicy with deadLetterTargetArn and maxReceiveCount: 250",
            "error: Ingest.Past does not report partial failures: Lambda takes every answer for success, and records that failed \
             are lost; set FunctionResponseTypes: [ReportBatchItemFailures]",
        ],
    );
}

#[test]
fn what_only_a_deployment_knows_is_noted() {
    let (start, end) = find_resource("OrderQueue");
    let queue = TEMPLATE[start..end].replace(
        "VisibilityTimeout: 360",
        "VisibilityTimeout: !ImportValue Hidden",
    );
    let text = format!("{}{queue}{}", &TEMPLATE[..start], &TEMPLATE[end..]);
    compare(
        &text,
        &[
            "not checked: `VisibilityTimeout` of OrderQueue, whose value is no number that is known here",
            "t.yaml: nothing found that would lose orders or money",
        ],
    );
}

#[test]
fn what_is_no_template_is_a_sentence() {
    let other = "t.yaml has no function with the variable DECISIONS_TABLE, so it does not deploy fraudstream; give a template such \
                 as template.yaml\n";
    let cases = [
        ("Resources: {B: {Type: 'AWS::S3::Bucket'}}", other),
        (
            "just a text",
            "t.yaml:1:1: a template is a map with the key `Resources`\n",
        ),
        (
            "order_id: 1",
            "t.yaml:1:1: `order_id` is not a section of a template; expected AWSTemplateFormatVersion, Description, \
                         Metadata, Parameters, Rules, Mappings, Conditions, Transform, Globals, Hooks, Resources, Outputs\n\
                         t.yaml:1:1: the template has no map `Resources`\n",
        ),
        (
            "",
            "t.yaml:1:1: a template is a map with the key `Resources`\n",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(check(text, &[]), want, "{text}");
    }
    let unclosed = check("Resources: {", &[]);
    assert!(unclosed.starts_with("t.yaml:1:"), "{unclosed}");
    let absent = TemplateReport::read(
        Path::new("no/such/template.yaml"),
        &TemplateInputs::default(),
        QUOTA,
    );
    let absent = absent.unwrap_err().to_string();
    assert!(
        absent.starts_with("cannot read `no/such/template.yaml`: "),
        "{absent}"
    );
    assert!(
        absent.ends_with("; give the SAM template of the deployment"),
        "{absent}"
    );
    let wrong = check(TEMPLATE, &[("FraudDetector", "azure")]);
    assert!(
        wrong.contains("is not allowed; expected engine or aws"),
        "{wrong}"
    );
}

#[test]
fn budgets_above_the_quota_of_the_account() {
    #[track_caller]
    fn compare_amazon(text: &str, parameters: &[(&str, &str)], want: &[&str]) {
        let parameters = [&[("FraudDetector", "aws")], parameters].concat();
        let got = check(text, &parameters);
        let got: Vec<&str> = got
            .lines()
            .filter(|line| line.contains("Predict"))
            .collect();
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.contains(want), "{got}");
        }
    }
    let above = "makes 30 calls a second in each of 10 environments, 300 in total, and the account has 200: the service throttles the \
                 rest; set CALLS_PER_SECOND to 20 or less";
    compare_amazon(TEMPLATE, &[("CallsPerSecond", "30")], &[above]);
    compare_amazon(
        TEMPLATE,
        &[("CallsPerSecond", "30"), ("ReservedConcurrency", "6")],
        &[],
    );
    // Each of the three functions has a budget of its own, and forward calls nobody.
    let all = check(
        TEMPLATE,
        &[("FraudDetector", "aws"), ("CallsPerSecond", "21")],
    );
    let named: Vec<&str> = all
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(named, ["Predict", "Ingest", "Label"]);
    let unlimited = TEMPLATE.replace("        CALLS_PER_SECOND: ", "        CALLS_A_SECOND: ");
    compare_amazon(&unlimited, &[], &["has no CALLS_PER_SECOND"]);
    let any = TEMPLATE.replace(
        "      ReservedConcurrentExecutions: !If",
        "      Unreserved: !If",
    );
    compare_amazon(
        &any,
        &[],
        &["makes 20 calls a second in each of any number of environments"],
    );
    let crowded = "has 10 environments, and its queues may take 12: deliveries are throttled";
    compare_amazon(TEMPLATE, &[("QueueConcurrency", "6")], &[crowded]);
    // The engine has no quota.
    let engine = check(TEMPLATE, &[("CallsPerSecond", "10000")]);
    assert!(engine.contains("nothing found"), "{engine}");
}
