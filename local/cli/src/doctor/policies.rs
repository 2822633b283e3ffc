//! What the roles of the functions may do.

use super::checker::TemplateChecker;
use super::stack::{POLICIES, ROLE, StackResource};
use super::values::{find_path, list_items, read_text, read_texts};
use crate::cloudformation::node::YamlNode;

/// The services that hold orders, decisions and keys.
const DATA_SERVICES: [&str; 8] = [
    "dynamodb",
    "events",
    "frauddetector",
    "kinesis",
    "kms",
    "s3",
    "sagemaker",
    "sqs",
];
/// Their actions that know no resources, as far as a function may need them.
const WITHOUT_RESOURCE: [&str; 4] = [
    "dynamodb:ListStreams",
    "dynamodb:ListTables",
    "kinesis:ListStreams",
    "sqs:ListQueues",
];

/// Checks roles, policies, and the policies that SAM's functions have.
pub(super) fn check_policies(checker: &mut TemplateChecker<'_>) {
    let stack = checker.stack;
    for role in stack.of_type(ROLE) {
        for policy in list_items(role.properties.get("Policies")) {
            check_document(checker, role, policy.get("PolicyDocument"));
        }
        check_managed(
            checker,
            role,
            list_items(role.properties.get("ManagedPolicyArns")),
        );
    }
    for policy in POLICIES.iter().flat_map(|ty| stack.of_type(ty)) {
        check_document(checker, policy, policy.properties.get("PolicyDocument"));
    }
    for function in stack.functions() {
        let policies = list_items(stack.function_property(function, &["Policies"]));
        for policy in policies {
            check_document(checker, function, Some(policy));
        }
        check_managed(checker, function, policies);
    }
}

/// Checks the statements of a document, if it has any.
fn check_document(
    checker: &mut TemplateChecker<'_>,
    resource: &StackResource,
    document: Option<&YamlNode>,
) {
    let statements = document.and_then(|document| find_path(document, &["Statement"]));
    for statement in list_items(statements) {
        if statement.get("Effect").and_then(YamlNode::text) == Some("Allow") {
            check_statement(checker, resource, statement);
        }
    }
}

fn check_statement(
    checker: &mut TemplateChecker<'_>,
    resource: &StackResource,
    statement: &YamlNode,
) {
    for key in ["NotAction", "NotResource"] {
        if statement.get(key).is_some() {
            checker.report_warning(
                resource,
                format!("allows with {key} whatever is not named"),
                format!(
                    "name what is needed, with {}",
                    key.trim_start_matches("Not")
                ),
            );
        }
    }
    let actions = read_texts(statement.get("Action"));
    for action in actions.iter().filter(|action| action.contains('*')) {
        checker.report_warning(
            resource,
            format!("allows `{action}`, which is more than a function needs"),
            "name the actions, as template.yaml does",
        );
    }
    let resources = read_texts(statement.get("Resource"));
    let Some(wide) = resources.iter().find(|arn| is_wide(arn)) else {
        return;
    };
    let of_data = actions.iter().filter(|action| {
        let service = action.split(':').next().unwrap_or_default();
        (DATA_SERVICES.contains(&service) || *action == "*")
            && !WITHOUT_RESOURCE.contains(&action.as_str())
    });
    let of_data: Vec<&str> = of_data.map(String::as_str).collect();
    if !of_data.is_empty() {
        checker.report_warning(
            resource,
            format!("allows {} on `{wide}`", of_data.join(", ")),
            "name the resources, such as !GetAtt Decisions.Arn",
        );
    }
}

/// Whether an ARN means all resources of a service, or all tables.
fn is_wide(arn: &str) -> bool {
    arn == "*" || arn.ends_with(":::*") || arn.contains(":table/*")
}

/// Checks policies that AWS manages.
fn check_managed(
    checker: &mut TemplateChecker<'_>,
    resource: &StackResource,
    policies: &[YamlNode],
) {
    for name in policies.iter().filter_map(read_text) {
        if name.ends_with("FullAccess") || name.ends_with("AdministratorAccess") {
            checker.report_warning(
                resource,
                format!("has the policy `{name}`, which is more than a function needs"),
                "write a policy that names actions and resources, as template.yaml does",
            );
        }
    }
}
