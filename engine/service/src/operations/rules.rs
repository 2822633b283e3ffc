//! Rules: an expression over an event, and its outcomes.

use std::collections::BTreeSet;

use ::rules::Rule;
use protocol::page::{Page, PageRequest};
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::bundle;
use store::change::Change;
use store::listing::Listing;
use store::pinned_bundles::EventTypeBundle;
use store::records::detector::{Detector, detector_key, missing_detector};
use store::records::detector_version::find_version_using_rule;
use store::records::event_type::{EventType, event_type_key, missing_event_type};
use store::records::rule::{
    RuleReference, RuleVersion, RuleVersionCounter, rule_partition, rule_version_counter_key,
};
use store::records::simple_resource::{SimpleResource, simple_resource_key};
use store::records::tags::{Tag, Tags};
use store::records::variable::{BundledVariable, StoredVariable, variable_key};
use store::table::{Key, KeyRange};

use crate::operations::{EmptyOutput, outcomes};
use crate::services::EngineServices;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRuleInput {
    rule_id: String,
    detector_id: String,
    #[serde(flatten)]
    content: RuleVersionParts,
}

/// The content of a rule version.
#[derive(Debug, Deserialize)]
struct RuleVersionParts {
    description: Option<String>,
    expression: String,
    language: String,
    outcomes: Vec<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CreateRuleOutput {
    rule: RuleReference,
}

pub(crate) async fn create_rule(
    services: &EngineServices,
    input: CreateRuleInput,
) -> Result<CreateRuleOutput> {
    let mut change = services.account.begin_change().await?;
    let CreateRuleInput {
        rule_id,
        detector_id,
        content,
    } = input;
    let head: Option<RuleVersionCounter> = change
        .get(&rule_version_counter_key(&detector_id, &rule_id))
        .await?;
    if head.is_some() {
        // Amazon's sentence: programs that create a rule on every run compare it.
        return Err(Error::validation(
            "Failed to save rule since it already exists.",
        ));
    }
    let head = RuleVersionCounter {
        detector_id,
        rule_id,
        last_version: 0,
    };
    let created = add_rule_version(services, &mut change, head, content).await?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| created)
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateRuleVersionInput {
    rule: RuleReference,
    #[serde(flatten)]
    content: RuleVersionParts,
}

/// Creates the next version of a rule. The request names the most recent version, which is not changed: whoever names
/// another one does not know what they would replace.
pub(crate) async fn update_rule_version(
    services: &EngineServices,
    input: UpdateRuleVersionInput,
) -> Result<CreateRuleOutput> {
    let mut change = services.account.begin_change().await?;
    let RuleReference {
        detector_id,
        rule_id,
        ..
    } = &input.rule;
    let head: Option<RuleVersionCounter> = change
        .get(&rule_version_counter_key(detector_id, rule_id))
        .await?;
    let newest = find_most_recent_version(&change, detector_id, rule_id).await?;
    let (Some(head), Some(newest)) = (head, newest) else {
        return Err(input.rule.missing_error());
    };
    if newest.rule_version != input.rule.version_number() {
        return Err(outdated_version_error(&input.rule, newest.rule_version));
    }
    let created = add_rule_version(services, &mut change, head, input.content).await?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| created)
}

/// The version of a rule with the highest number; `None` if the rule does not exist.
async fn find_most_recent_version(
    change: &Change<'_>,
    detector_id: &str,
    rule_id: &str,
) -> Result<Option<RuleVersion>> {
    let (pk, prefix) = (rule_partition(detector_id), format!("{rule_id}#"));
    let newest = KeyRange::all(&pk).prefix(&prefix).newest_first().limit(1);
    Ok(change.query(newest).await?.into_iter().next())
}

/// The error for a version that is not the most recent one. Programs read the number from Amazon's first sentence.
fn outdated_version_error(named: &RuleReference, newest: u32) -> Error {
    let RuleReference {
        detector_id,
        rule_id,
        rule_version,
    } = named;
    Error::validation(format!(
        "The request names version {rule_version} of rule '{rule_id}' of detector '{detector_id}', whereas the most \
         recent version is {newest}. Name the most recent version."
    ))
}

async fn add_rule_version(
    services: &EngineServices,
    change: &mut Change<'_>,
    head: RuleVersionCounter,
    content: RuleVersionParts,
) -> Result<CreateRuleOutput> {
    let detector: Option<Detector> = change.get(&detector_key(&head.detector_id)).await?;
    let Some(detector) = detector else {
        return Err(Error::validation(format!(
            "Detector '{}' does not exist.",
            head.detector_id
        )));
    };
    check_outcomes(change, &content.outcomes).await?;
    let (rule, scores) = compile_rule(
        services,
        change,
        &detector.event_type_name,
        &content.expression,
    )
    .await?;
    change.count_resources("rule", 1, services.account.options.quotas.rules)?;
    let head = RuleVersionCounter {
        last_version: head.last_version + 1,
        ..head
    };
    let now = text::format_milliseconds(services.account.now());
    let version = RuleVersion {
        detector_id: head.detector_id.clone(),
        rule_id: head.rule_id.clone(),
        rule_version: head.last_version,
        description: content.description,
        lists: rule.lists().map(str::to_owned).collect(),
        scores,
        expression: content.expression,
        language: content.language,
        outcomes: content.outcomes,
        last_updated_time: now.clone(),
        created_time: now,
        tags: Tags::new(content.tags)?,
    };
    change.put(&version)?;
    change.put(&head)?;
    Ok(CreateRuleOutput {
        rule: version.reference(),
    })
}

async fn check_outcomes(change: &Change<'_>, names: &[String]) -> Result<()> {
    let keys: Vec<Key> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| simple_resource_key(outcomes::KIND.name, name))
        .collect::<std::collections::HashSet<_>>()
        .into_iter()
        .collect();
    let found: Vec<SimpleResource> = change.get_many(&keys).await?;
    let missing: Vec<&str> = names
        .iter()
        .filter(|name| !found.iter().any(|outcome| outcome.name == **name))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::validation(format!(
        "Outcome: {} do not exist.",
        text::join_names(missing)
    )))
}

/// Compiles an expression with the detector's event type, the account's lists, and the score variables that it uses.
async fn compile_rule(
    services: &EngineServices,
    change: &Change<'_>,
    event_type: &str,
    expression: &str,
) -> Result<(Rule, Vec<BundledVariable>)> {
    let record: Option<EventType> = change.get(&event_type_key(event_type)).await?;
    let record = record.ok_or_else(|| missing_event_type(event_type))?;
    let bundle: EventTypeBundle =
        bundle::load_bundle(&services.account.definitions, &record.bundle).await?;
    let lists = if expression.contains('@') {
        crate::operations::lists::load_list_names(change).await?
    } else {
        Vec::new()
    };
    let mut scores = find_score_variables(change, expression).await?;
    let rule = Rule::new(expression, &bundle.rule_schema(&scores, lists)).map_err(|errors| {
        Error::validation(format!("The rule's expression is not valid:\n{errors}"))
    })?;
    scores.retain(|score| rule.variables().any(|name| name == score.name));
    Ok((rule, scores))
}

/// The score variables in an expression: every word that looks like a variable and is a score variable.
async fn find_score_variables(
    change: &Change<'_>,
    expression: &str,
) -> Result<Vec<BundledVariable>> {
    let names: BTreeSet<&str> = expression
        .split('$')
        .skip(1)
        .filter_map(|after| {
            let is_of_name = |c: char| matches!(c, '0'..='9' | 'a'..='z' | '_');
            after.split(|c| !is_of_name(c)).next()
        })
        .filter(|name| !name.is_empty())
        .collect();
    let keys: Vec<Key> = names.into_iter().map(variable_key).collect();
    let found: Vec<StoredVariable> = change.get_many(&keys).await?;
    let scores = found.iter().filter(|v| v.data_source != "EVENT");
    Ok(scores.map(StoredVariable::to_bundled).collect())
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateRuleMetadataInput {
    rule: RuleReference,
    description: String,
}

pub(crate) async fn update_rule_metadata(
    services: &EngineServices,
    input: UpdateRuleMetadataInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let rule: Option<RuleVersion> = change.get(&input.rule.key()).await?;
    let mut rule = rule.ok_or_else(|| input.rule.missing_error())?;
    rule.description = Some(input.description);
    rule.last_updated_time = text::format_milliseconds(services.account.now());
    change.put(&rule)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetRulesInput {
    rule_id: Option<String>,
    detector_id: String,
    rule_version: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

/// A rule version in the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleDetail {
    #[serde(flatten)]
    reference: RuleReference,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    expression: String,
    language: String,
    outcomes: Vec<String>,
    last_updated_time: String,
    created_time: String,
    arn: String,
}

/// The rule versions that the request names. As at Amazon, an unknown detector is an error, and an unknown rule or
/// version is none: the list is empty.
pub(crate) async fn get_rules(
    services: &EngineServices,
    input: GetRulesInput,
) -> Result<impl Serialize + use<>> {
    let GetRulesInput {
        rule_id,
        detector_id,
        rule_version,
        paging,
    } = input;
    let detector: Option<Detector> = services
        .account
        .definitions
        .get(&detector_key(&detector_id))
        .await?;
    if detector.is_none() {
        return Err(missing_detector(&detector_id));
    }
    let page: Page<RuleVersion> = match (rule_id, rule_version) {
        (Some(rule_id), Some(rule_version)) => {
            let reference = RuleReference {
                detector_id,
                rule_id,
                rule_version,
            };
            Page::of_at_most_one_row(services.account.definitions.get(&reference.key()).await?)
        }
        (None, Some(_)) => {
            return Err(Error::validation("A ruleVersion needs a ruleId."));
        }
        (rule_id, None) => {
            list_rule_versions(services, &detector_id, rule_id.as_deref(), &paging).await?
        }
    };
    Ok(page::make_page_output(
        "ruleDetails",
        page.map_rows(|rule| make_rule_detail(services, rule)),
    ))
}

async fn list_rule_versions(
    services: &EngineServices,
    detector_id: &str,
    rule_id: Option<&str>,
    paging: &PageRequest,
) -> Result<Page<RuleVersion>> {
    let prefix = rule_id
        .map(|rule_id| format!("{rule_id}#"))
        .unwrap_or_default();
    let listing = Listing {
        operation: "GetRules",
        filters: "",
        pk: &rule_partition(detector_id),
        prefix: &prefix,
        default_size: 100,
    };
    listing.read_page(&services.account, paging).await
}

fn make_rule_detail(services: &EngineServices, rule: RuleVersion) -> RuleDetail {
    let reference = rule.reference();
    let path = format!(
        "{}/{}/{}",
        rule.detector_id, rule.rule_id, rule.rule_version
    );
    RuleDetail {
        arn: services.account.arn("rule", &path),
        reference,
        description: rule.description,
        expression: rule.expression,
        language: rule.language,
        outcomes: rule.outcomes,
        last_updated_time: rule.last_updated_time,
        created_time: rule.created_time,
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteRuleInput {
    rule: RuleReference,
}

/// Deletes a rule version. Rejected while a detector version has pinned it. (Amazon allows it for drafts and leaves
/// them without the rule; see the differences in the guide.)
pub(crate) async fn delete_rule(
    services: &EngineServices,
    input: DeleteRuleInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let RuleReference {
        detector_id,
        rule_id,
        rule_version,
    } = &input.rule;
    if change
        .get::<RuleVersion>(&input.rule.key())
        .await?
        .is_none()
    {
        return Ok(EmptyOutput {});
    }
    if let Some(version) = find_version_using_rule(&change, &input.rule).await? {
        return Err(Error::conflict(format!(
            "Version {rule_version} of rule '{rule_id}' is used by version {version} of detector '{detector_id}'."
        )));
    }
    change.count_resources("rule", -1, usize::MAX)?;
    change.delete(input.rule.key());
    let (pk, prefix) = (rule_partition(detector_id), format!("{rule_id}#"));
    let range = KeyRange::all(&pk).prefix(&prefix).limit(2);
    if change.query::<RuleVersion>(range).await?.len() == 1 {
        change.delete(rule_version_counter_key(detector_id, rule_id));
    }
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
