//! Event types: which variables, entities and labels an event has.

use ::rules::Rule;
use model::history::TrackedFields;
use protocol::page::{Page, PageRequest};
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::bundle;
use store::bundle::BundleReference;
use store::change::Change;
use store::listing::Listing;
use store::pinned_bundles::EventTypeBundle;
use store::records::detector::list_detectors;
use store::records::detector_version::list_pinned_rules;
use store::records::entity_history::HistorySettings;
use store::records::event::has_stored_events;
use store::records::event_type::{
    EventType, Orchestration, event_type_key, list_event_types, missing_event_type,
};
use store::records::model::list_models;
use store::records::simple_resource::{SimpleResource, simple_resource_key};
use store::records::tags::{Tag, Tags};
use store::records::variable::{StoredVariable, variable_key};
use store::table::Key;

use crate::operations::{EmptyOutput, NameInput, entity_types, labels};
use crate::services::EngineServices;
use crate::services::statistics::EventTotals;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutEventTypeInput {
    name: String,
    description: Option<String>,
    event_variables: Vec<String>,
    #[serde(default)]
    labels: Vec<String>,
    entity_types: Vec<String>,
    event_ingestion: Option<String>,
    event_orchestration: Option<Orchestration>,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates an event type or replaces it. If the request does not contain the settings of ingestion or orchestration,
/// they stay as they were.
pub(crate) async fn put_event_type(
    services: &EngineServices,
    input: PutEventTypeInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let before: Option<EventType> = change.get(&event_type_key(&input.name)).await?;
    if before.is_none() {
        change.count_resources("event-type", 1, services.account.options.quotas.event_types)?;
    }
    let mut event_type = merge_event_type(services, input, before.as_ref())?;
    check_referenced_names(&change, &event_type).await?;
    let variables = load_event_variables(&change, &event_type).await?;
    let resolved = build_event_type_bundle(&event_type, &variables);
    if before.is_some_and(|before| removes_variables(&before, &event_type)) {
        check_pinned_rules(&change, &resolved).await?;
    }
    event_type.bundle = bundle::save_bundle(&services.account.definitions, &resolved).await?;
    change.put(&event_type)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

fn merge_event_type(
    services: &EngineServices,
    input: PutEventTypeInput,
    before: Option<&EventType>,
) -> Result<EventType> {
    let now = text::format_milliseconds(services.account.now());
    let ingestion = || before.map_or_else(|| "ENABLED".to_owned(), |b| b.event_ingestion.clone());
    let off = Orchestration {
        event_bridge_enabled: false,
    };
    let orchestration = before.map_or(off, |before| before.event_orchestration);
    Ok(EventType {
        name: input.name,
        description: input.description,
        event_variables: remove_duplicates(input.event_variables),
        labels: remove_duplicates(input.labels),
        entity_types: remove_duplicates(input.entity_types),
        event_ingestion: input.event_ingestion.unwrap_or_else(ingestion),
        event_orchestration: input.event_orchestration.unwrap_or(orchestration),
        created_time: before.map_or_else(|| now.clone(), |before| before.created_time.clone()),
        last_updated_time: now,
        tags: match before {
            Some(before) => before.tags.clone(),
            None => Tags::new(input.tags)?,
        },
        history_settings: before.and_then(|before| before.history_settings.clone()),
        bundle: BundleReference::default(),
    })
}

/// Removes duplicate names and keeps the order.
fn remove_duplicates(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

async fn check_referenced_names(change: &Change<'_>, event_type: &EventType) -> Result<()> {
    let kinds = [
        (&labels::KIND, &event_type.labels),
        (&entity_types::KIND, &event_type.entity_types),
    ];
    for (kind, names) in kinds {
        let keys = make_keys(names, |name| simple_resource_key(kind.name, name));
        let found: Vec<SimpleResource> = change.get_many(&keys).await?;
        let missing = names
            .iter()
            .filter(|name| !found.iter().any(|named| named.name == **name));
        refuse_missing(kind.title, missing)?;
    }
    Ok(())
}

/// The keys of names. DynamoDB rejects an empty key, and nothing has an empty name, so empty names are left out.
fn make_keys(names: &[String], key: impl Fn(&str) -> Key) -> Vec<Key> {
    names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| key(name))
        .collect()
}

fn refuse_missing<'a>(title: &str, missing: impl Iterator<Item = &'a String>) -> Result<()> {
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::validation(format!(
        "{title}: {} do not exist.",
        text::join_names(missing)
    )))
}

/// The variables of an event type, in order.
async fn load_event_variables(
    change: &Change<'_>,
    event_type: &EventType,
) -> Result<Vec<StoredVariable>> {
    let names = &event_type.event_variables;
    let found: Vec<StoredVariable> = change.get_many(&make_keys(names, variable_key)).await?;
    let missing = names
        .iter()
        .filter(|name| !found.iter().any(|v| v.name == **name));
    refuse_missing("Variable", missing)?;
    let computed: Vec<&str> = found
        .iter()
        .filter(|v| v.data_source != "EVENT")
        .map(|v| v.name.as_str())
        .collect();
    if !computed.is_empty() {
        let message = format!(
            "An event does not bring variables of models: {}.",
            text::join_names(computed)
        );
        return Err(Error::validation(message));
    }
    Ok(found)
}

fn build_event_type_bundle(
    event_type: &EventType,
    variables: &[StoredVariable],
) -> EventTypeBundle {
    let variable = |name: &String| {
        let variable = variables.iter().find(|variable| variable.name == *name)?;
        Some(variable.to_bundled())
    };
    EventTypeBundle {
        name: event_type.name.clone(),
        ingestion: event_type.event_ingestion == "ENABLED",
        orchestration: event_type.event_orchestration.event_bridge_enabled,
        entity_types: event_type.entity_types.clone(),
        labels: event_type.labels.clone(),
        variables: event_type
            .event_variables
            .iter()
            .filter_map(variable)
            .collect(),
        // Models are trained on stored events only, so histories are kept only for those.
        history_settings: event_type
            .history_settings
            .clone()
            .filter(|_| event_type.event_ingestion == "ENABLED"),
    }
}

/// Starts to keep entity histories for a model: the tracked fields of all variables, the labels that mean fraud, and the
/// keys beside the entity if the model looks at them.
pub(crate) async fn track_histories(
    services: &EngineServices,
    change: &mut Change<'_>,
    name: &str,
    fraud: &[String],
    with_keys: bool,
) -> Result<()> {
    let found: Option<EventType> = change.get(&event_type_key(name)).await?;
    let mut event_type = found.ok_or_else(|| missing_event_type(name))?;
    let variables = load_event_variables(change, &event_type).await?;
    let typed = variables.iter().filter_map(|variable| {
        let kind = variable.variable_type.as_deref()?.parse().ok()?;
        Some(model::Variable::new(variable.name.as_str(), kind))
    });
    let typed: Vec<model::Variable> = typed.collect();
    let before = event_type.history_settings.clone();
    let chosen = TrackedFields::new(&typed, event_type.entity_types.get(1..).unwrap_or_default());
    let settings = event_type
        .history_settings
        .get_or_insert_with(|| HistorySettings {
            tracked_fields: chosen.clone().without_keys(),
            fraud: Vec::new(),
        });
    if with_keys {
        settings.tracked_fields = settings.tracked_fields.clone().with_keys_of(chosen);
    }
    let news = fraud.iter().filter(|label| !settings.fraud.contains(label));
    let news: Vec<String> = news.cloned().collect();
    settings.fraud.extend(news);
    if event_type.history_settings != before {
        let resolved = build_event_type_bundle(&event_type, &variables);
        event_type.bundle = bundle::save_bundle(&services.account.definitions, &resolved).await?;
        change.put(&event_type)?;
    }
    Ok(())
}

fn removes_variables(before: &EventType, after: &EventType) -> bool {
    before
        .event_variables
        .iter()
        .any(|name| !after.event_variables.contains(name))
}

/// Rejects the removal of a variable that is used by a rule of a detector version.
async fn check_pinned_rules(change: &Change<'_>, event_type: &EventTypeBundle) -> Result<()> {
    for detector in list_detectors(change).await? {
        if detector.event_type_name != event_type.name {
            continue;
        }
        for rule in list_pinned_rules(change, &detector.detector_id).await? {
            let schema = event_type.rule_schema(&rule.scores, rule.lists.iter().cloned());
            if Rule::new(&rule.expression, &schema).is_err() {
                return Err(Error::validation(format!(
                    "Version {} of rule '{}' of detector '{}' uses a variable that event type '{}' would lose.",
                    rule.rule_version, rule.rule_id, rule.detector_id, event_type.name
                )));
            }
        }
    }
    Ok(())
}

/// Writes new bundles for the event types that have a variable, because it changes.
pub(crate) async fn renew_event_type_bundles(
    services: &EngineServices,
    change: &mut Change<'_>,
    changed: &StoredVariable,
) -> Result<()> {
    for mut event_type in list_event_types(change).await? {
        if !event_type.event_variables.contains(&changed.name) {
            continue;
        }
        let mut variables = load_event_variables(change, &event_type).await?;
        variables.retain(|variable| variable.name != changed.name);
        variables.push(changed.clone());
        let resolved = build_event_type_bundle(&event_type, &variables);
        event_type.bundle = bundle::save_bundle(&services.account.definitions, &resolved).await?;
        change.put(&event_type)?;
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetEventTypesInput {
    name: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventTypeOutput {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    event_variables: Vec<String>,
    labels: Vec<String>,
    entity_types: Vec<String>,
    event_ingestion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingested_event_statistics: Option<EventTotals>,
    event_orchestration: Orchestration,
    last_updated_time: String,
    created_time: String,
    arn: String,
}

pub(crate) async fn get_event_types(
    services: &EngineServices,
    input: GetEventTypesInput,
) -> Result<impl Serialize + use<>> {
    let page: Page<EventType> = if let Some(name) = &input.name {
        let found = services
            .account
            .definitions
            .get(&event_type_key(name))
            .await?;
        Page::of_one_row(found.ok_or_else(|| missing_event_type(name))?)
    } else {
        let listing = Listing {
            operation: "GetEventTypes",
            filters: "",
            pk: "event-type",
            prefix: "",
            default_size: 10,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    let mut rows = Vec::with_capacity(page.rows.len());
    for event_type in page.rows {
        rows.push(make_event_type_output(services, event_type).await?);
    }
    Ok(page::make_page_output(
        "eventTypes",
        Page {
            rows,
            next_token: page.next_token,
        },
    ))
}

async fn make_event_type_output(
    services: &EngineServices,
    event_type: EventType,
) -> Result<EventTypeOutput> {
    Ok(EventTypeOutput {
        ingested_event_statistics: services.statistics.load_totals(&event_type.name).await?,
        arn: services.account.arn("event-type", &event_type.name),
        name: event_type.name,
        description: event_type.description,
        event_variables: event_type.event_variables,
        labels: event_type.labels,
        entity_types: event_type.entity_types,
        event_ingestion: event_type.event_ingestion,
        event_orchestration: event_type.event_orchestration,
        last_updated_time: event_type.last_updated_time,
        created_time: event_type.created_time,
    })
}

/// Deletes an event type. Rejected while a detector or a model uses it, and while it has stored events.
pub(crate) async fn delete_event_type(
    services: &EngineServices,
    input: NameInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let detectors = list_detectors(&change).await?;
    if let Some(user) = detectors
        .iter()
        .find(|detector| detector.event_type_name == input.name)
    {
        let message = format!(
            "Event type '{}' is used by detector '{}'.",
            input.name, user.detector_id
        );
        return Err(Error::conflict(message));
    }
    let models = list_models(&change).await?;
    if let Some(user) = models
        .iter()
        .find(|model| model.event_type_name == input.name)
    {
        let message = format!(
            "Event type '{}' is used by model '{}'.",
            input.name, user.model_id
        );
        return Err(Error::conflict(message));
    }
    let key = event_type_key(&input.name);
    if change.get::<EventType>(&key).await?.is_some() {
        // Asked last, because it reads the table of events.
        if has_stored_events(&services.account, &input.name).await? {
            return Err(Error::conflict(format!(
                "Event type '{}' has stored events: delete them first, with DeleteEventsByEventType or DeleteEvent.",
                input.name
            )));
        }
        change.count_resources("event-type", -1, usize::MAX)?;
        change.delete(key);
        services.account.commit_change(change).await?;
    }
    Ok(EmptyOutput {})
}
