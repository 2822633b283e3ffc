//! The present state of the service: what a [`Template`] can define, in the template's own types.

use std::collections::BTreeMap;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::operation::get_detector_version::GetDetectorVersionOutput;
use aws_sdk_frauddetector::types::{self, DetectorVersionStatus, EventIngestion, RuleDetail};
use rules::Type;
use thiserror::Error;

use super::resource_types::Kind;
use super::template::{
    AssociatedModelVersion, AssociatedModels, DetectorTemplate, EventTypeResource, ListResource,
    RuleResource, VariableResource,
};
use crate::cloudformation::problem::LineColumn;

/// The service refused a call, or did not answer it.
#[derive(Debug, Error)]
#[error("{operation}: {message}")]
pub struct ServiceError {
    operation: &'static str,
    message: String,
}

impl ServiceError {
    pub(super) fn new(operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            operation,
            message: message.into(),
        }
    }

    /// The service's answer, or why there is none.
    pub(super) fn from_sdk_error<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match (error.code(), error.message()) {
            (Some(code), Some(message)) => Self::new(operation, format!("{code}: {message}")),
            (Some(code), None) => Self::new(operation, code),
            _ => Self::new(operation, DisplayErrorContext(error).to_string()),
        }
    }
}

type Result<T> = std::result::Result<T, ServiceError>;

/// The present state of the service.
#[derive(Debug, Default)]
pub(super) struct ServiceState {
    /// Labels, outcomes and entity types, with their descriptions.
    pub(super) named: BTreeMap<(Kind, String), Option<String>>,
    pub(super) variables: BTreeMap<String, VariableResource>,
    /// Elements are read only for the lists in the template.
    pub(super) lists: BTreeMap<String, ListResource>,
    pub(super) event_types: BTreeMap<String, EventTypeResource>,
    /// Only those in the template.
    pub(super) detectors: BTreeMap<String, DetectorState>,
}

/// The present state of a detector.
#[derive(Debug, Default)]
pub(super) struct DetectorState {
    pub(super) event_type: String,
    pub(super) description: Option<String>,
    /// The newest version of each rule.
    pub(super) rules: BTreeMap<String, (u32, RuleResource)>,
    pub(super) active: Option<DetectorVersionState>,
    /// The version with the highest number.
    pub(super) newest: Option<DetectorVersionState>,
}

/// A detector version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DetectorVersionState {
    pub(super) number: u32,
    pub(super) content: DetectorVersionContent,
}

/// What makes two versions equal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DetectorVersionContent {
    /// Rules and their versions, in order.
    pub(super) rules: Vec<(String, String)>,
    pub(super) mode: String,
    pub(super) models: AssociatedModels,
}

impl ServiceState {
    /// Reads what is compared with `template`.
    pub(super) async fn read(client: &Client, template: &DetectorTemplate) -> Result<Self> {
        let mut state = Self {
            named: read_named_resources(client).await?,
            variables: read_variables(client).await?,
            lists: read_lists(client).await?,
            event_types: read_event_types(client).await?,
            detectors: BTreeMap::new(),
        };
        for list in template.lists.iter().filter(|list| list.elements.is_some()) {
            if let Some(present) = state.lists.get_mut(&list.name) {
                present.elements = Some(read_list_elements(client, &list.name).await?);
            }
        }
        for present in read_all_detectors(client).await? {
            let id = present.detector_id().unwrap_or_default().to_owned();
            if template.detectors.iter().any(|detector| detector.id == id) {
                state
                    .detectors
                    .insert(id, read_detector_state(client, &present).await?);
            }
        }
        Ok(state)
    }
}

/// Reads all pages of a listing.
macro_rules! pages {
    ($client:ident.$operation:ident($($member:ident: $value:expr),*), $name:literal) => {
        $client.$operation()$(.$member($value))*.into_paginator().send().try_collect().await
            .map_err(|error| ServiceError::from_sdk_error($name, &error))
    };
}

async fn read_named_resources(client: &Client) -> Result<BTreeMap<(Kind, String), Option<String>>> {
    let mut found = BTreeMap::new();
    for page in pages!(client.get_entity_types(), "GetEntityTypes")? {
        let items = page.entity_types.into_iter().flatten();
        found.extend(items.map(|item| {
            (
                (Kind::EntityType, item.name.unwrap_or_default()),
                item.description,
            )
        }));
    }
    for page in pages!(client.get_labels(), "GetLabels")? {
        let items = page.labels.into_iter().flatten();
        found.extend(items.map(|item| {
            (
                (Kind::Label, item.name.unwrap_or_default()),
                item.description,
            )
        }));
    }
    for page in pages!(client.get_outcomes(), "GetOutcomes")? {
        let items = page.outcomes.into_iter().flatten();
        found.extend(items.map(|item| {
            (
                (Kind::Outcome, item.name.unwrap_or_default()),
                item.description,
            )
        }));
    }
    Ok(found)
}

pub(super) async fn read_variables(client: &Client) -> Result<BTreeMap<String, VariableResource>> {
    let pages = pages!(client.get_variables(), "GetVariables")?;
    let items = pages
        .into_iter()
        .flat_map(|page| page.variables.unwrap_or_default());
    Ok(items
        .map(convert_variable)
        .map(|variable| (variable.name.clone(), variable))
        .collect())
}

fn convert_variable(item: types::Variable) -> VariableResource {
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    VariableResource {
        ty: word(item.data_type.as_ref().map(types::DataType::as_str))
            .parse()
            .unwrap_or(Type::String),
        source: word(item.data_source.as_ref().map(types::DataSource::as_str)),
        name: item.name.unwrap_or_default(),
        default: item.default_value.unwrap_or_default(),
        variable_type: item.variable_type,
        description: item.description,
        tags: Vec::new(),
    }
}

pub(super) async fn read_lists(client: &Client) -> Result<BTreeMap<String, ListResource>> {
    let pages = pages!(client.get_lists_metadata(), "GetListsMetadata")?;
    let items = pages
        .into_iter()
        .flat_map(|page| page.lists.unwrap_or_default());
    let list = |item: types::AllowDenyList| ListResource {
        name: item.name,
        elements: None,
        variable_type: item.variable_type,
        description: item.description,
        tags: Vec::new(),
    };
    Ok(items
        .map(list)
        .map(|list| (list.name.clone(), list))
        .collect())
}

async fn read_list_elements(client: &Client, name: &str) -> Result<Vec<String>> {
    let pages = pages!(client.get_list_elements(name: name), "GetListElements")?;
    Ok(pages
        .into_iter()
        .flat_map(|page| page.elements.unwrap_or_default())
        .collect())
}

/// The elements that the lists of the template have at the service now; a list that is not there has none.
pub(crate) async fn read_present_elements(
    client: &Client,
    template: &DetectorTemplate,
) -> Result<BTreeMap<String, Vec<String>>> {
    let present = read_lists(client).await?;
    let mut elements = BTreeMap::new();
    for list in &template.lists {
        if present.contains_key(&list.name) {
            let found = read_list_elements(client, &list.name).await?;
            elements.insert(list.name.clone(), found);
        }
    }
    Ok(elements)
}

pub(super) async fn read_event_types(
    client: &Client,
) -> Result<BTreeMap<String, EventTypeResource>> {
    let pages = pages!(client.get_event_types(), "GetEventTypes")?;
    let items = pages
        .into_iter()
        .flat_map(|page| page.event_types.unwrap_or_default());
    Ok(items
        .map(convert_event_type)
        .map(|event_type| (event_type.name.clone(), event_type))
        .collect())
}

fn convert_event_type(item: types::EventType) -> EventTypeResource {
    EventTypeResource {
        name: item.name.unwrap_or_default(),
        variables: item.event_variables.unwrap_or_default(),
        labels: item.labels.unwrap_or_default(),
        entity_types: item.entity_types.unwrap_or_default(),
        ingestion: item
            .event_ingestion
            .map(|ingestion| ingestion == EventIngestion::Enabled),
        orchestration: item
            .event_orchestration
            .map(|orchestration| orchestration.event_bridge_enabled),
        description: item.description,
        tags: Vec::new(),
    }
}

pub(super) async fn read_all_detectors(client: &Client) -> Result<Vec<types::Detector>> {
    let pages = pages!(client.get_detectors(), "GetDetectors")?;
    Ok(pages
        .into_iter()
        .flat_map(|page| page.detectors.unwrap_or_default())
        .collect())
}

async fn read_detector_state(client: &Client, detector: &types::Detector) -> Result<DetectorState> {
    let id = detector.detector_id().unwrap_or_default();
    let versions = read_version_summaries(client, id).await?;
    let number = |summary: &types::DetectorVersionSummary| {
        parse_version_number(summary.detector_version_id())
    };
    let is_active = |summary: &&types::DetectorVersionSummary| {
        summary.status() == Some(&DetectorVersionStatus::Active)
    };
    let active = match versions.iter().find(is_active) {
        Some(summary) => Some(read_detector_version(client, id, number(summary)).await?),
        None => None,
    };
    let newest = match versions.iter().map(number).max() {
        Some(number) => Some(read_detector_version(client, id, number).await?),
        None => None,
    };
    Ok(DetectorState {
        event_type: detector.event_type_name().unwrap_or_default().to_owned(),
        description: detector.description().map(str::to_owned),
        rules: read_newest_rules(client, id).await?,
        active,
        newest,
    })
}

/// `DescribeDetector` has pages, but the SDK no paginator for them.
pub(super) async fn read_version_summaries(
    client: &Client,
    id: &str,
) -> Result<Vec<types::DetectorVersionSummary>> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .describe_detector()
            .detector_id(id)
            .set_next_token(token)
            .send()
            .await;
        let page =
            page.map_err(|error| ServiceError::from_sdk_error("DescribeDetector", &error))?;
        found.extend(page.detector_version_summaries.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
}

pub(super) async fn read_detector_version(
    client: &Client,
    id: &str,
    number: u32,
) -> Result<DetectorVersionState> {
    let request = client
        .get_detector_version()
        .detector_id(id)
        .detector_version_id(number.to_string());
    let output = request
        .send()
        .await
        .map_err(|error| ServiceError::from_sdk_error("GetDetectorVersion", &error))?;
    Ok(DetectorVersionState {
        number,
        content: convert_version_content(output),
    })
}

fn convert_version_content(output: GetDetectorVersionOutput) -> DetectorVersionContent {
    let model = |model: types::ModelVersion| AssociatedModelVersion {
        ty: model.model_type.as_str().to_owned(),
        id: model.model_id,
        number: model.model_version_number,
    };
    let rules = output.rules.unwrap_or_default().into_iter();
    DetectorVersionContent {
        rules: rules
            .map(|rule| (rule.rule_id, rule.rule_version))
            .collect(),
        mode: output
            .rule_execution_mode
            .map_or("FIRST_MATCHED".to_owned(), |mode| mode.as_str().to_owned()),
        models: AssociatedModels {
            versions: output
                .model_versions
                .unwrap_or_default()
                .into_iter()
                .map(model)
                .collect(),
            external: output.external_model_endpoints.unwrap_or_default(),
        },
    }
}

async fn read_newest_rules(
    client: &Client,
    id: &str,
) -> Result<BTreeMap<String, (u32, RuleResource)>> {
    let mut newest: BTreeMap<String, (u32, RuleResource)> = BTreeMap::new();
    for (version, rule) in read_rule_versions(client, id).await? {
        match newest.get(&rule.id) {
            Some((known, _)) if *known > version => {}
            _ => {
                newest.insert(rule.id.clone(), (version, rule));
            }
        }
    }
    Ok(newest)
}

/// All versions of all rules of a detector.
pub(super) async fn read_rule_versions(
    client: &Client,
    id: &str,
) -> Result<Vec<(u32, RuleResource)>> {
    let pages = pages!(client.get_rules(detector_id: id), "GetRules")?;
    let details = pages
        .into_iter()
        .flat_map(|page| page.rule_details.unwrap_or_default());
    Ok(details.map(convert_rule).collect())
}

fn convert_rule(item: RuleDetail) -> (u32, RuleResource) {
    let version = parse_version_number(item.rule_version());
    let rule = RuleResource {
        id: item.rule_id.unwrap_or_default(),
        expression: item.expression.unwrap_or_default(),
        at: LineColumn::default(),
        outcomes: item.outcomes.unwrap_or_default(),
        description: item.description,
        tags: Vec::new(),
    };
    (version, rule)
}

pub(super) fn parse_version_number(version: Option<&str>) -> u32 {
    version
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
