//! The budgets of calls of Amazon Fraud Detector against the quota of the account, and how many environments they count on.

use super::checker::TemplateChecker;
use super::sources::EventSource;
use super::stack::StackResource;
use super::values::{find_path, read_number, read_text};
use crate::cloudformation::node::{NodeValue, YamlNode};

/// The calls a second that an account has in a region, unless its quota was raised.
pub(crate) const QUOTA: u32 = 200;

/// Checks each function that calls Amazon's service.
pub(super) fn check_budgets(
    checker: &mut TemplateChecker<'_>,
    sources: &[EventSource<'_>],
    quota: u32,
) {
    let stack = checker.stack;
    for function in stack.functions() {
        if variable(checker, function, "FRAUD_DETECTOR").as_deref() == Some("aws")
            && calls_service(checker, function)
        {
            check_calls(checker, function, quota);
            check_environments(checker, function, sources);
        }
    }
}

/// The value of a variable of a function.
fn variable(checker: &TemplateChecker<'_>, function: &StackResource, name: &str) -> Option<String> {
    let path = ["Environment", "Variables", name];
    read_text(checker.stack.function_property(function, &path)?)
}

/// Whether the role of the function, or its own policies, allow a call of the service. One that is not in the template may.
fn calls_service(checker: &TemplateChecker<'_>, function: &StackResource) -> bool {
    let stack = checker.stack;
    let role = stack.function_property(function, &["Role"]);
    let policies = stack.function_property(function, &["Policies"]);
    match (stack.find_referred(role), policies) {
        (Some(role), _) => mentions_service(&role.properties),
        (None, Some(policies)) => mentions_service(policies),
        (None, None) => role.is_some(),
    }
}

fn mentions_service(node: &YamlNode) -> bool {
    match &node.value {
        NodeValue::List(items) => items.iter().any(mentions_service),
        NodeValue::Map(entries) => entries.iter().any(|entry| mentions_service(&entry.node)),
        _ => read_text(node).is_some_and(|text| text.starts_with("frauddetector:")),
    }
}

/// Checks that all environments of a function together stay within the quota.
fn check_calls(checker: &mut TemplateChecker<'_>, function: &StackResource, quota: u32) {
    let calls = variable(checker, function, "CALLS_PER_SECOND");
    let Some(calls) = calls.and_then(|calls| calls.parse::<u64>().ok()) else {
        return checker.report_warning(
            function,
            "has no CALLS_PER_SECOND: each of its environments calls Amazon's service as often as it can, and is throttled",
            format!("set CALLS_PER_SECOND, so that times ReservedConcurrentExecutions it is at most {quota}"),
        );
    };
    let Some(reserved) = read_reserved(checker, function) else {
        return checker.report_warning(
            function,
            format!("makes {calls} calls a second in each of any number of environments, and the account has {quota}"),
            format!("set ReservedConcurrentExecutions to {} or less", u64::from(quota) / calls.max(1)),
        );
    };
    let all = calls.saturating_mul(reserved);
    if all > u64::from(quota) {
        checker.report_warning(
            function,
            format!(
                "makes {calls} calls a second in each of {reserved} environments, {all} in total, and the account has {quota}: the \
                 service throttles the rest"
            ),
            format!(
                "set CALLS_PER_SECOND to {} or less; if the quota was raised, say it with --quota",
                u64::from(quota) / reserved.max(1)
            ),
        );
    }
}

/// Checks that the queues of a function take no more environments than it has: a delivery that is throttled counts as an
/// attempt.
fn check_environments(
    checker: &mut TemplateChecker<'_>,
    function: &StackResource,
    sources: &[EventSource<'_>],
) {
    let Some(reserved) = read_reserved(checker, function) else {
        return;
    };
    let of_function = sources
        .iter()
        .filter(|source| source.function.is_some_and(|other| other.id == function.id));
    let most = |source: &EventSource<'_>| {
        let path = ["ScalingConfig", "MaximumConcurrency"];
        let most = find_path(source.settings, &path).and_then(read_number)?;
        u64::try_from(most).ok()
    };
    let taken: u64 = of_function.filter_map(most).fold(0, u64::saturating_add);
    if taken > reserved {
        checker.report_warning(
            function,
            format!(
                "has {reserved} environments, and its queues may take {taken}: deliveries are throttled, and each uses up an attempt \
                 of its messages"
            ),
            format!("lower MaximumConcurrency of its queues to {reserved} together, or raise ReservedConcurrentExecutions"),
        );
    }
}

fn read_reserved(checker: &TemplateChecker<'_>, function: &StackResource) -> Option<u64> {
    let path = ["ReservedConcurrentExecutions"];
    let reserved = checker.stack.function_property(function, &path)?;
    u64::try_from(read_number(reserved)?).ok()
}
