//! Parameters of templates: defaults, given values and constraints.

use super::describe;

/// The label that is named by a parameter with `declaration`.
fn label_with(declaration: &str, parameters: &[(&str, &str)]) -> String {
    describe(
        &format!(
            "Parameters:\n  P: {{{declaration}}}\nResources:\n  L: {{Type: AWS::FraudDetector::Label, \
             Properties: {{Name: !Ref P}}}}"
        ),
        parameters,
    )
}

/// A parameter, the values given, and the result or the problem.
type ParameterRow = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[test]
fn values_are_defaults_or_given() {
    let rows: [ParameterRow; 9] = [
        ("Type: String, Default: a", &[], "label a"),
        ("Type: String, Default: a", &[("P", "b")], "label b"),
        (
            "Type: String",
            &[("P", "b=c")],
            "4:64: label has `=` at character 2; only 0-9, a-z, `_` and `-` are allowed",
        ),
        (
            "Type: Number, Default: 7, MinValue: 7, MaxValue: 7",
            &[],
            "label 7",
        ),
        (
            "Type: AWS::EC2::VPC::Id, Default: vpc-1",
            &[],
            "label vpc-1",
        ),
        (
            "Type: String, AllowedValues: [a, b], Default: b",
            &[],
            "label b",
        ),
        (
            "Type: String, AllowedPattern: '[a-c]+', Default: abc",
            &[],
            "label abc",
        ),
        (
            "Type: String, MinLength: 2, MaxLength: 3, NoEcho: true, Default: abc",
            &[],
            "label abc",
        ),
        (
            "Type: String, Description: d, ConstraintDescription: d",
            &[("P", "x")],
            "label x",
        ),
    ];
    for (declaration, parameters, want) in rows {
        assert_eq!(label_with(declaration, parameters), want, "{declaration}");
    }
}

#[test]
fn values_outside_of_constraints_are_refused() {
    let given = |value: &'static str| [("P", value)];
    let rows = [
        (
            "Type: String",
            [].as_slice(),
            "2:3: parameter `P` has no `Default`; give `--parameter P=VALUE`",
        ),
        (
            "Type: String, AllowedValues: [test, prod], Default: test",
            &given("x"),
            "2:3: the value given for parameter `P` `x` is not allowed; expected test or prod",
        ),
        (
            "Type: String, AllowedValues: [test, prod], Default: x",
            &[],
            "2:59: the default of parameter `P` `x` is not allowed; expected test or prod",
        ),
        (
            "Type: String, AllowedValues: [test, prod], NoEcho: true",
            &given("x"),
            "2:3: the value given for parameter `P` is not allowed; expected test or prod",
        ),
        // A pattern is matched against the whole value.
        (
            "Type: String, AllowedPattern: '[a-c]+'",
            &given("abcd"),
            "2:3: the value given for parameter `P` `abcd` does not match the pattern `[a-c]+`",
        ),
        (
            "Type: String, AllowedPattern: '(?=a)'",
            &given("a"),
            "2:3: the value given for parameter `P` cannot be checked: its `AllowedPattern` `(?=a)` is not a pattern that can be read here",
        ),
        (
            "Type: String, MinLength: 2",
            &given("a"),
            "2:3: the value given for parameter `P` `a` has 1 characters; expected at least 2",
        ),
        (
            "Type: String, MaxLength: 1",
            &given("ab"),
            "2:3: the value given for parameter `P` `ab` has 2 characters; expected at most 1",
        ),
        (
            "Type: Number, MinValue: 5",
            &given("4.5"),
            "2:3: the value given for parameter `P` `4.5` is too small; expected at least 5",
        ),
        (
            "Type: Number, MaxValue: 5, ConstraintDescription: at most five",
            &given("6"),
            "2:3: the value given for parameter `P` `6` is too large; expected at most 5 (at most five)",
        ),
        (
            "Type: Number",
            &given("many"),
            "2:3: the value given for parameter `P` `many` is not a number; expected one such as `4.01`",
        ),
        (
            "Type: List<Number>",
            &given("1, x"),
            "2:3: the value given for parameter `P` `x` is not a number; expected one such as `4.01`",
        ),
        (
            "Type: Strin",
            &given("a"),
            "2:13: `Strin` is not a type of parameters; expected String, Number, CommaDelimitedList, List<Number> or a type of AWS such as AWS::SSM::Parameter::Value<String>",
        ),
        ("Default: a", &[], "2:3: parameter `P` has no `Type`"),
        (
            "Type: String, Default: a, Minimum: 1",
            &[],
            "2:33: `Minimum` is not a key of a parameter; expected Type, Default, Description, NoEcho, AllowedValues, AllowedPattern, MinLength, MaxLength, MinValue, MaxValue, ConstraintDescription",
        ),
        (
            "Type: String, Default: a",
            &[("Q", "1")],
            "1:1: `--parameter Q`: the template has no such parameter; expected P",
        ),
        (
            "Type: String",
            &[("P", "a"), ("P", "b")],
            "1:1: `--parameter P` is given twice; give one value",
        ),
        (
            "Type: AWS::SSM::Parameter::Value<String>, Default: /x/y",
            &[],
            "4:64: the value of `P` is not known here; it is in Systems Manager's parameter store; make the parameter a `String`",
        ),
    ];
    for (declaration, parameters, want) in rows {
        assert_eq!(label_with(declaration, parameters), want, "{declaration}");
    }
}

#[test]
fn a_list_is_separated_by_commas() {
    let text = "Parameters: {Emails: {Type: CommaDelimitedList, Default: 'a@b.c, d@e.f'}}\nResources:\n  \
                B: {Type: AWS::FraudDetector::List, Properties: {Name: blocked, Elements: !Ref Emails}}";
    assert_eq!(describe(text, &[]), "list blocked [a@b.c d@e.f]");
    assert_eq!(describe(text, &[("Emails", "x")]), "list blocked [x]");
}
