//! Conditions and functions of templates.

use super::describe;

const LABEL: &str = "Type: AWS::FraudDetector::Label";

/// A template with the parameter `Stage`, `conditions`, and `resources` from line 5 on.
fn staged(conditions: &str, resources: &str, stage: &str) -> String {
    let text = format!(
        "Parameters: {{Stage: {{Type: String, Default: test}}}}\nConditions: {{Prod: !Equals [!Ref Stage, prod], \
         {conditions}}}\nMappings: {{Names: {{test: {{label: a, all: [a, b]}}, prod: {{label: p}}}}}}\n\
         Resources:\n{resources}"
    );
    describe(&text, &[("Stage", stage)])
}

/// What the label is called that has the name in `name`.
fn label(name: &str) -> String {
    staged(
        "",
        &format!("  X: {{{LABEL}, Properties: {{Name: x}}}}\n  L: {{{LABEL}, Properties: {{Name: {name}}}}}"),
        "test",
    )
    .replace("label x; ", "")
}

#[test]
fn a_resource_exists_if_its_condition_is_true() {
    let rows = [
        ("", "Prod", "test", ""),
        ("", "Prod", "prod", "label x"),
        ("C: !Not [!Condition Prod]", "C", "test", "label x"),
        ("C: {'Fn::Not': [{Condition: Prod}]}", "C", "prod", ""),
        (
            "C: !And [!Condition Prod, !Equals [a, a]]",
            "C",
            "prod",
            "label x",
        ),
        ("C: !And [!Condition Prod, !Equals [a, b]]", "C", "prod", ""),
        (
            "C: !Or [!Condition Prod, !Equals [a, b]]",
            "C",
            "prod",
            "label x",
        ),
        ("C: !Or [!Condition Prod, !Equals [a, b]]", "C", "test", ""),
        (
            "C: !Equals [[a, !Ref Stage], [a, test]]",
            "C",
            "test",
            "label x",
        ),
        ("C: !Equals [true, 'true']", "C", "test", "label x"),
        (
            "C: !Equals [!FindInMap [Names, !Ref Stage, label], p]",
            "C",
            "prod",
            "label x",
        ),
        // What is not known matters only where it decides.
        (
            "C: !Or [!Equals [!Ref AWS::AccountId, '1'], !Equals [a, a]]",
            "C",
            "test",
            "label x",
        ),
        (
            "C: !And [!Equals [!Ref AWS::AccountId, '1'], !Equals [a, b]]",
            "C",
            "test",
            "",
        ),
        (
            "U: !Equals [!Ref AWS::AccountId, '1'], C: !Equals [a, a]",
            "C",
            "test",
            "label x",
        ),
        (
            "C: !Equals [!Ref AWS::AccountId, '1']",
            "C",
            "test",
            "5:74: whether `X` exists cannot be decided: the value of `AWS::AccountId` is not known here; give \
             `--parameter AWS::AccountId=VALUE`",
        ),
        (
            "",
            "Prd",
            "test",
            "5:74: there is no condition `Prd`; expected Prod (in Resources.X)",
        ),
    ];
    for (conditions, condition, stage, want) in rows {
        let resource = format!("  X: {{{LABEL}, Properties: {{Name: x}}, Condition: {condition}}}");
        assert_eq!(staged(conditions, &resource, stage), want, "{conditions}");
    }
}

#[test]
fn conditions_with_a_problem_are_refused() {
    let rows = [
        (
            "C: !Condition C",
            "condition `C` depends on itself (in Conditions.C)",
        ),
        (
            "C: !Not [!Condition D], D: !Not [!Condition C]",
            "condition `C` depends on itself (in Conditions.D)",
        ),
        (
            "C: true",
            "expected a condition: Fn::And, Condition, Fn::Equals, Fn::Not, Fn::Or (in Conditions.C)",
        ),
        (
            "C: !Ref Stage",
            "expected a condition: Fn::And, Condition, Fn::Equals, Fn::Not, Fn::Or (in Conditions.C)",
        ),
        (
            "C: !Equals [a]",
            "`Fn::Equals` has a list of two values (in Conditions.C)",
        ),
        (
            "C: !And [!Condition Prod]",
            "`Fn::And` has a list of 2 to 10 conditions (in Conditions.C)",
        ),
        (
            "C: {'Fn::Not': {Condition: Prod}}",
            "`Fn::Not` has a list of one condition (in Conditions.C)",
        ),
        (
            "C: !Equals [!Ref X, a]",
            "`X` is a resource; a condition can compare parameters only (in Conditions.C)",
        ),
        (
            "C: !Equals [!Ref Stag, a]",
            "there is no parameter or resource `Stag` in this template (in Conditions.C.0)",
        ),
    ];
    for (conditions, want) in rows {
        let resource = format!("  X: {{{LABEL}, Properties: {{Name: x}}}}");
        let got = staged(conditions, &resource, "test");
        let got = got.strip_prefix("2:").and_then(|got| got.split_once(": "));
        assert_eq!(got.unwrap().1, want, "{conditions}");
    }
}

#[test]
fn lists_lose_what_does_not_exist() {
    let resources = |unless: &str| {
        format!(
            "  A: {{{LABEL}, Properties: {{Name: a}}}}\n  B: {{{LABEL}, Properties: {{Name: b}}}}\n  \
             C: {{{LABEL}, Properties: {{Name: c}}, Condition: Prod}}\n  \
             W: {{Type: AWS::FraudDetector::EntityType, Properties: {{Name: w}}}}\n  \
             V: {{Type: AWS::FraudDetector::Variable, Properties: {{Name: v, DataType: FLOAT, DataSource: EVENT, \
             DefaultValue: 0.0}}}}\n  E:\n    Type: AWS::FraudDetector::EventType\n    Properties:\n      Name: e\n      \
             EventVariables: [{{Arn: !Ref V}}]\n      EntityTypes: [{{Arn: !Ref W}}]\n      \
             Labels: [{{Arn: !Ref A}}, {{Arn: !Ref B}}, {unless}]"
        )
    };
    let maybe = resources("!If [Prod, {Arn: !Ref C}, !Ref AWS::NoValue]");
    let want = "label a; label b; entity type w; event type e (v, a b, w)";
    assert_eq!(staged("", &maybe, "test"), want);
    let want = "label a; label b; label c; entity type w; event type e (v, a b c, w)";
    assert_eq!(staged("", &maybe, "prod"), want);
    assert_eq!(
        staged("", &resources("{Arn: !Ref C}"), "test"),
        "16:57: `C` does not exist, because its condition `Prod` is false; use `Fn::If` with `AWS::NoValue` here \
         (in Resources.E.Properties.Labels.2.Arn)"
    );
}

#[test]
fn a_property_without_value_is_absent() {
    let resource = |branches: &str| {
        format!("  X: {{{LABEL}, Properties: {{Name: x, Description: !If [{branches}]}}}}")
    };
    let rows = [
        ("Prod, d, !Ref AWS::NoValue", "test", "label x"),
        ("Prod, d, !Ref AWS::NoValue", "prod", "label x `d`"),
        ("Prod, d, !If [Prod, f, g]", "test", "label x `g`"),
        (
            "Prod, d",
            "test",
            "5:79: `Fn::If` has a list: the name of a condition, a value if it is true, and one if it is false \
             (in Resources.X.Properties.Description)",
        ),
    ];
    for (branches, stage, want) in rows {
        assert_eq!(staged("", &resource(branches), stage), want, "{branches}");
    }
}

#[test]
fn functions_have_values() {
    let rows = [
        ("!Ref Stage", "label test"),
        ("!Sub 'l_${Stage}'", "label l_test"),
        ("!Sub ['${A}_${Stage}', {A: !Ref Stage}]", "label test_test"),
        ("{'Fn::Sub': ['${A}', {A: b}]}", "label b"),
        ("!Join [_, [a, !Ref Stage, c]]", "label a_test_c"),
        ("!Join ['', [a, !Ref AWS::NoValue, c]]", "label ac"),
        ("!Select [1, [a, b]]", "label b"),
        ("!Select ['0', !Split [/, a/b]]", "label a"),
        ("!FindInMap [Names, !Ref Stage, label]", "label a"),
        ("!Select [1, !FindInMap [Names, test, all]]", "label b"),
        (
            "!FindInMap [Names, dev, label, {DefaultValue: d}]",
            "label d",
        ),
        ("!Length [a, b]", "label 2"),
        // The name of another resource, out of its ARN; neither account nor region need to be known.
        (
            "!Sub ['${N}_2', {N: !Select [1, !Split [/, !Ref X]]}]",
            "label x_2",
        ),
    ];
    for (name, want) in rows {
        assert_eq!(label(name), want, "{name}");
    }
    let got = label("!Sub '${Stage}_${AWS::Region}'");
    let want =
        ": the value of `AWS::Region` is not known here; give `--parameter AWS::Region=VALUE`";
    assert!(got.ends_with(want), "{got}");
}

#[test]
fn functions_with_a_problem_are_refused() {
    let rows = [
        (
            "!Sub '${Stag}'",
            "there is no parameter or resource `Stag` in this template",
        ),
        (
            "!Sub '${X.Arn'",
            "`Fn::Sub` has `${` without `}`; write `${!` for a `${` that stays",
        ),
        (
            "!Sub [a, b, c]",
            "`Fn::Sub` has a text, or a list of a text and a map of values",
        ),
        (
            "!GetAtt X",
            "`Fn::GetAtt` has a resource and an attribute: `!GetAtt X.Arn`",
        ),
        (
            "!Join [a, b]",
            "`Fn::Join` has a delimiter and a list of texts",
        ),
        (
            "!Select [2, [a, b]]",
            "`Fn::Select` asks for item 2 of a list of 2, counted from 0",
        ),
        (
            "!FindInMap [Names, dev, label]",
            "`Mappings.Names` has no `dev`; expected test, prod",
        ),
        (
            "!FindInMap [Name, dev, label]",
            "`Mappings` has no `Name`; expected Names",
        ),
        (
            "!FindInMap [Names, dev]",
            "`Fn::FindInMap` has the name of a mapping, two keys, and may have `DefaultValue`",
        ),
        (
            "!Equals [a, b]",
            "`Fn::Equals` belongs in `Conditions`; use `Fn::If` with its name here",
        ),
        ("!Sub 'x${L}'", "the name of `L` depends on itself"),
    ];
    for (name, want) in rows {
        let got = label(name);
        let want = format!(": {want} (in Resources.L.Properties.Name)");
        assert!(
            got.starts_with("6:") && got.ends_with(&want),
            "{name}: {got}"
        );
    }
}
