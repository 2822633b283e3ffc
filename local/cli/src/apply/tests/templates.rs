//! What templates may say, and what is wrong with others.

use super::super::{DetectorTemplate, TemplateInputs};

/// A template with one good resource of each kind, and `resource` after them.
#[track_caller]
fn check(resource: &str, want: &str) {
    let text = format!("{}\n{resource}\n", include_str!("small.yaml").trim_end());
    let got = match DetectorTemplate::parse("t.yaml", &text, &TemplateInputs::default()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    // Lines are counted from the end of the good ones.
    let lines = include_str!("small.yaml").trim_end().lines().count();
    let want = match want.split_once(':') {
        Some((line, rest)) => {
            format!("t.yaml:{}:{rest}", lines + line.parse::<usize>().unwrap())
        }
        None => String::new(),
    };
    assert_eq!(got, want, "{resource}");
}

#[test]
fn resources() {
    check(
        "  X: {Type: AWS::FraudDetector::Label, Properties: {Name: x}}",
        "",
    );
    check("  X: {Type: 'AWS::S3::Bucket', Anything: 1}", "");
    check(
        "  X: {Type: 'AWS::FraudDetector::Model'}",
        "1:13: `AWS::FraudDetector::Model` is not a resource type that `apply` knows; \
        expected one of AWS::FraudDetector::EntityType, AWS::FraudDetector::Label, AWS::FraudDetector::Outcome, \
        AWS::FraudDetector::Variable, AWS::FraudDetector::List, AWS::FraudDetector::EventType, \
        AWS::FraudDetector::Detector",
    );
    check(
        "  X: {Type: AWS::FraudDetector::Label}",
        "1:3: resource `X` has no `Properties`",
    );
    check(
        "  X: {Type: AWS::FraudDetector::Label, Conditions: Y, Properties: {Name: x}}",
        "1:40: `Conditions` is not an attribute of a resource that `apply` can read; expected Type, Properties, \
         Condition, DependsOn, CreationPolicy, UpdatePolicy, DeletionPolicy, UpdateReplacePolicy, Metadata",
    );
}

#[test]
fn properties() {
    let label = |properties: &str| {
        format!("  X: {{Type: AWS::FraudDetector::Label, Properties: {properties}}}")
    };
    check(
        &label("{Name: x, Descr: y}"),
        "1:62: `Descr` is not a property of a label; expected Name, Description, Tags",
    );
    check(&label("{Description: y}"), "1:52: a label needs `Name`");
    check(
        &label("{Name: Fraud}"),
        "1:59: label has `F` at character 1; only 0-9, a-z, `_` and `-` are allowed",
    );
    check(
        &label("{Name: fraud}"),
        "1:59: label `fraud` is defined twice, first at 13:24; refer to the first one",
    );
    check(
        &label("{Name: !Ref Nothing}"),
        "1:64: there is no parameter or resource `Nothing` in this template (in Resources.X.Properties.Name)",
    );
    check(
        &label("{Name: !Cidr [a, 1, 8]}"),
        "1:65: `Fn::Cidr` is not a function that can be evaluated here; write the value, or use Ref, Fn::GetAtt, \
         Fn::Sub, Fn::Join, Fn::Select, Fn::Split, Fn::If, Fn::FindInMap, Fn::ImportValue, Fn::Base64, Fn::Length \
         (in Resources.X.Properties.Name)",
    );
    check(&label("{Name: !Ref Stage}"), "");
}

#[test]
fn values() {
    let variable = |properties: &str| {
        format!(
            "  X:\n    Type: AWS::FraudDetector::Variable\n    Properties: {{Name: x, {properties}}}"
        )
    };
    check(
        &variable("DataType: FLOAT, DataSource: EVENT, DefaultValue: 0.0"),
        "",
    );
    check(
        &variable("DataType: DECIMAL, DataSource: EVENT, DefaultValue: 0.0"),
        "3:37: `DECIMAL` is not a data type, expected STRING, INTEGER, FLOAT, BOOLEAN or DATETIME",
    );
    check(
        &variable("DataType: FLOAT, DataSource: EVENT, DefaultValue: none"),
        "3:77: the default is not a valid FLOAT: expected a finite number such as `4.01`",
    );
    check(
        &variable("DataType: FLOAT, DataSource: MODEL, DefaultValue: 0.0"),
        "3:56: `MODEL` is not allowed here; expected EVENT or EXTERNAL_MODEL_SCORE",
    );
    check(
        &variable("DataType: FLOAT, DefaultValue: 0.0"),
        "3:17: a variable needs `DataSource`",
    );
}

#[test]
fn references() {
    let event_type = |labels: &str| {
        format!(
            "  X:\n    Type: AWS::FraudDetector::EventType\n    Properties:\n      Name: x\n      \
             EventVariables: [{{Arn: !Ref Price}}]\n      EntityTypes: [{{Arn: !GetAtt [Customer, Arn]}}]\n      \
             Labels: [{{Arn: !GetAtt Fraud.Arn}}, {labels}]"
        )
    };
    check(&event_type("{Arn: !Sub '${Legit.Arn}'}"), "");
    check(&event_type("{Inline: true, Name: x}"), "");
    check(
        &event_type("{Arn: 'arn:aws:frauddetector:us-east-1:123456789012:label/x'}"),
        "",
    );
    check(
        &event_type("{Inline: false, Name: legit, Arn: !Ref Legit}"),
        "",
    );
    check(&event_type("{Name: x, Arn: !ImportValue X}"), "");
    check(
        &event_type(
            "{Arn: !Sub 'arn:${AWS::Partition}:frauddetector:${AWS::Region}:${AWS::AccountId}:label/x'}",
        ),
        "",
    );
    check(
        &event_type("{Name: x, Arn: !Ref Legit}"),
        "7:49: `Name` is `x`, but `Arn` is of `legit`; make them the same",
    );
    check(
        &event_type("{Arn: !GetAtt Legt.Arn}"),
        "7:56: there is no resource `Legt` in this template (in Resources.X.Properties.Labels.1.Arn)",
    );
    check(
        &event_type("{Arn: !GetAtt Price.Arn}"),
        "7:56: `Price` is a variable, expected a label",
    );
    check(
        &event_type("{Arn: !GetAtt Legit.Name}"),
        "7:56: the value of `Legit.Name` is not known here; only a deployment has it; write the value",
    );
    check(
        &event_type("!GetAtt Legit.Arn"),
        "7:50: expected `Arn: !GetAtt X.Arn`, or a label with `Inline: true`",
    );
    check(
        &event_type("{Arn: !Ref Fraud}"),
        "7:42: label `fraud` is in the list twice",
    );
    check(
        &event_type("{Arn: 'arn:aws:frauddetector:us-east-1:123456789012:outcome/x'}"),
        "7:48: this is not the ARN of a label; write `!GetAtt X.Arn`",
    );
}

#[test]
fn rules() {
    let detector = |rule: &str| {
        format!(
            "  X:\n    Type: AWS::FraudDetector::Detector\n    Properties:\n      DetectorId: x\n      \
             EventType: {{Arn: !GetAtt Order.Arn}}\n      Rules:\n        - {{Language: DETECTORPL, \
             Outcomes: [{{Arn: !Ref Block}}], {rule}}}"
        )
    };
    check(
        &detector("RuleId: a, DetectorId: x, Expression: $price > 1"),
        "",
    );
    check(
        &detector("RuleId: a, DetectorId: y, Expression: $price > 1"),
        "7:88: rule `a` names detector `y`, but is in detector `x`",
    );
    check(
        &detector("RuleId: a, DetectorId: x"),
        "7:11: a rule needs `Expression`",
    );
    check(
        &detector("RuleId: a, DetectorId: x, Expression: $price > 1, Outcome: b"),
        "7:115: `Outcome` is not a property of a rule; expected RuleId, DetectorId, Expression, Language, Outcomes, \
         Description, Tags",
    );
}

#[test]
fn metadata() {
    let with = |metadata: &str| {
        let text = format!(
            "Metadata:\n  fraudstream: {metadata}\n{}",
            include_str!("small.yaml")
        );
        DetectorTemplate::parse("t.yaml", &text, &TemplateInputs::default())
            .map_err(|error| error.to_string())
    };
    let template = with("{EventTypes: {order: {EventIngestion: ENABLED}}}").unwrap();
    assert_eq!(template.event_types[0].ingestion, Some(true));
    assert_eq!(template.event_types[0].orchestration, None);
    let template = with("{Variables: {signed_up_at: {DataType: DATETIME}}}").unwrap();
    assert_eq!(template.variables[1].ty, rules::Type::DateTime);
    let cases = [
        (
            "{Variables: {signed_up: {DataType: DATETIME}}}",
            "the template defines no variable `signed_up`",
        ),
        (
            "{EventTypes: {odrer: {}}}",
            "the template defines no event type `odrer`",
        ),
        (
            "{Variables: {price: {DataType: INTEGER}}}",
            "the default is not a valid INTEGER: expected a whole \
          number from -9223372036854775808 to 9223372036854775807",
        ),
        (
            "{EventTypes: {order: {EventIngestion: on}}}",
            "`on` is not allowed here; expected ENABLED or DISABLED",
        ),
        (
            "{EventTypes: {order: {EventOrchestration: true}}}",
            "metadata of an event type is a map with EventBridgeEnabled",
        ),
        (
            "{Variable: {}}",
            "`Variable` is not a key of `fraudstream`; expected EventTypes, Variables",
        ),
    ];
    for (metadata, want) in cases {
        let error = with(metadata).unwrap_err();
        assert!(
            error.starts_with("t.yaml:2:") && error.ends_with(&format!(": {want}")),
            "{error}"
        );
    }
}

#[test]
fn what_is_left_alone_is_noted() {
    let text = format!(
        "Transform: AWS::LanguageExtensions\nRules: {{R: {{Assertions: []}}}}\n{}\n  F: {{Type: 'AWS::Lambda::Function'}}\n  \
         M: {{Type: 'AWS::CDK::Metadata'}}",
        include_str!("small.yaml").trim_end()
    );
    let template = DetectorTemplate::parse("t.yaml", &text, &TemplateInputs::default()).unwrap();
    let want = [
        "`Transform` is left alone: macros run in CloudFormation, so what they would change is not seen here",
        "left alone: 2 resources of other services: AWS::Lambda::Function `F`, AWS::CDK::Metadata `M`",
    ];
    assert_eq!(template.notes, want);
}

#[test]
fn assertions_are_checked_where_they_can_be() {
    let check = |assertion: &str, stage: &str| {
        let text = format!(
            "Parameters: {{Stage: {{Type: String}}, V: {{Type: 'AWS::SSM::Parameter::Value<String>', Default: /v}}}}\n\
             Rules: {{R: {{Assertions: [{{Assert: {assertion}, AssertDescription: no.}}]}}}}\nResources: {{}}"
        );
        let inputs = TemplateInputs::new(vec![("Stage".to_owned(), stage.to_owned())]);
        match DetectorTemplate::parse("t.yaml", &text, &inputs) {
            Ok(template) => template.notes.join("; "),
            Err(error) => error
                .to_string()
                .split_once(": ")
                .map_or(String::new(), |(_, message)| message.to_owned()),
        }
    };
    let is_false = "the assertion is false: no. (in Rules.R)";
    let of_aws = "rule of CloudFormation `R` is left alone: the value of ";
    let rows = [
        ("{'Fn::Contains': [[a, b], !Ref Stage]}", "a", String::new()),
        (
            "{'Fn::Contains': [[a, b], !Ref Stage]}",
            "c",
            is_false.to_owned(),
        ),
        (
            "{'Fn::EachMemberIn': [[!Ref Stage], [a, b]]}",
            "b",
            String::new(),
        ),
        (
            "{'Fn::EachMemberIn': [[!Ref Stage], [a, b]]}",
            "c",
            is_false.to_owned(),
        ),
        (
            "{'Fn::EachMemberEquals': [[a, a], !Ref Stage]}",
            "a",
            String::new(),
        ),
        (
            "{'Fn::EachMemberEquals': [[a, b], !Ref Stage]}",
            "a",
            is_false.to_owned(),
        ),
        ("{'Fn::Equals': [!Ref Stage, a]}", "b", is_false.to_owned()),
        (
            "{'Fn::Not': [{'Fn::Contains': [['1', '2'], !Ref V]}]}",
            "a",
            format!(
                "{of_aws}`V` is not known here; it is in Systems Manager's parameter store; make the parameter a `String`"
            ),
        ),
        (
            "{'Fn::EachMemberIn': [{'Fn::ValueOfAll': ['AWS::EC2::VPC::Id', Tags.D]}, {'Fn::RefAll': 'AWS::EC2::VPC::Id'}]}",
            "a",
            format!(
                "{of_aws}`Fn::ValueOfAll` is not known here; only AWS knows the resources of an account"
            ),
        ),
    ];
    for (assertion, stage, want) in rows {
        assert_eq!(check(assertion, stage), want, "{assertion}");
    }
}
