//! Carries out a plan: a call for each step, one after the other.

use std::collections::BTreeMap;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::types::{
    self, DetectorVersionStatus, EventIngestion, EventOrchestration, Language, ListUpdateMode,
    RuleExecutionMode, VariableEntry,
};

use super::ApplyError;
use super::make_plan::{Call, Plan, Step};
use super::resource_types::Kind;
use super::service_state::{Content, ServiceError};
use super::template::{
    AssociatedModelVersion, DetectorResource, EventTypeResource, ListResource, NamedResource,
    ResourceTag, RuleResource, VariableResource,
};

/// The most variables that one call creates.
const VARIABLES: usize = 25;

/// Carries out the steps of `plan`, and calls `on_step` for each one that is done.
///
/// Stops at the first error, which names its step. A new plan then has the remaining steps.
pub async fn execute(
    client: &Client,
    plan: &Plan,
    mut on_step: impl FnMut(&Step),
) -> Result<(), ApplyError> {
    let mut executor = Executor {
        client,
        versions: BTreeMap::new(),
    };
    let mut rest = plan.steps.as_slice();
    while let Some(first) = rest.first() {
        let variables = batch(rest);
        let (now, later) = rest.split_at(variables.len().max(1));
        if variables.is_empty() {
            let done = executor
                .step(first)
                .await
                .map_err(|error| failed(first, error))?;
            on_step(&done);
        } else {
            executor.variables(now, &variables, &mut on_step).await?;
        }
        rest = later;
    }
    Ok(())
}

/// The variables that the next call can create together: those with the same tags.
fn batch(steps: &[Step]) -> Vec<&VariableResource> {
    let created = steps.iter().map_while(|step| match &step.call {
        Call::CreateVariable(variable) => Some(variable),
        _ => None,
    });
    let mut variables: Vec<&VariableResource> = created.take(VARIABLES).collect();
    let shared = variables
        .iter()
        .take_while(|variable| variable.tags == variables[0].tags)
        .count();
    variables.truncate(shared);
    variables
}

fn failed(step: &Step, source: ServiceError) -> ApplyError {
    ApplyError::Step {
        step: step.to_string(),
        source,
    }
}

struct Executor<'a> {
    client: &'a Client,
    /// The versions that the service gave to rules, by detector and rule.
    versions: BTreeMap<(String, String), String>,
}

type Done = Result<(), ServiceError>;

/// The answer to `operation`, or its error.
fn answered<T, E>(
    operation: &'static str,
    result: Result<T, SdkError<E>>,
) -> Result<T, ServiceError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    result.map_err(|error| ServiceError::of(operation, &error))
}

/// What the SDK's builder returned, or its error.
fn built<T>(what: &'static str, result: Result<T, BuildError>) -> Result<T, ServiceError> {
    result.map_err(|error| ServiceError::new(what, error.to_string()))
}

impl Executor<'_> {
    /// Carries out a step, and returns it as done: a version may have got another number.
    async fn step(&mut self, step: &Step) -> Result<Step, ServiceError> {
        let detector = step.detector.as_deref().unwrap_or_default();
        let mut done = step.clone();
        match &step.call {
            Call::PutNamed(kind, named) => self.put_named(*kind, named).await?,
            Call::CreateVariable(_) => {}
            Call::UpdateVariable(variable) => self.update_variable(variable).await?,
            Call::CreateList(list) => self.create_list(list).await?,
            Call::UpdateList(list) => self.update_list(list).await?,
            Call::PutEventType(event_type) => self.put_event_type(event_type).await?,
            Call::PutDetector(detector) => self.put_detector(detector).await?,
            Call::CreateRule(rule) => self.create_rule(detector, rule).await?,
            Call::UpdateRule(rule, version) => self.update_rule(detector, rule, *version).await?,
            Call::CreateVersion { content, activate } => {
                done.name = self.create_version(detector, content).await?;
                if *activate {
                    self.activate(detector, &done.name).await?;
                }
            }
            Call::Activate => self.activate(detector, &step.name).await?,
        }
        Ok(done)
    }

    async fn put_named(&self, kind: Kind, named: &NamedResource) -> Done {
        let NamedResource {
            name,
            description,
            tags,
        } = named.clone();
        let tags = Some(tag_list(&tags)?);
        match kind {
            Kind::Label => {
                let call = self
                    .client
                    .put_label()
                    .name(name)
                    .set_description(description)
                    .set_tags(tags);
                answered("PutLabel", call.send().await).map(drop)
            }
            Kind::Outcome => {
                let call = self
                    .client
                    .put_outcome()
                    .name(name)
                    .set_description(description)
                    .set_tags(tags);
                answered("PutOutcome", call.send().await).map(drop)
            }
            _ => {
                let call = self
                    .client
                    .put_entity_type()
                    .name(name)
                    .set_description(description)
                    .set_tags(tags);
                answered("PutEntityType", call.send().await).map(drop)
            }
        }
    }

    /// Creates variables. The service may create some and refuse others.
    async fn variables(
        &self,
        steps: &[Step],
        variables: &[&VariableResource],
        on_step: &mut impl FnMut(&Step),
    ) -> Result<(), ApplyError> {
        let Some(first) = steps.first() else {
            return Ok(());
        };
        let refused = self
            .create_variables(variables)
            .await
            .map_err(|error| failed(first, error))?;
        let mut result = Ok(());
        for step in steps {
            match refused
                .iter()
                .find(|refusal| refusal.name() == Some(&step.name))
            {
                None => on_step(step),
                Some(refusal) if result.is_ok() => {
                    let message = refusal.message().unwrap_or("refused without a reason");
                    result = Err(failed(
                        step,
                        ServiceError::new("BatchCreateVariable", message),
                    ));
                }
                Some(_) => {}
            }
        }
        result
    }

    async fn create_variables(
        &self,
        variables: &[&VariableResource],
    ) -> Result<Vec<types::BatchCreateVariableError>, ServiceError> {
        let entries = variables.iter().map(|variable| entry(variable)).collect();
        let tags = variables
            .first()
            .map(|variable| tag_list(&variable.tags))
            .transpose()?;
        let call = self
            .client
            .batch_create_variable()
            .set_variable_entries(Some(entries))
            .set_tags(tags);
        let output = answered("BatchCreateVariable", call.send().await)?;
        Ok(output.errors.unwrap_or_default())
    }

    async fn update_variable(&self, variable: &VariableResource) -> Done {
        let VariableResource {
            name,
            default,
            description,
            variable_type,
            ..
        } = variable.clone();
        let call = self
            .client
            .update_variable()
            .name(name)
            .default_value(default);
        let call = call
            .set_description(description)
            .set_variable_type(variable_type);
        answered("UpdateVariable", call.send().await).map(drop)
    }

    async fn create_list(&self, list: &ListResource) -> Done {
        let ListResource {
            name,
            elements,
            variable_type,
            description,
            tags,
        } = list.clone();
        let call = self
            .client
            .create_list()
            .name(name)
            .set_elements(elements)
            .set_variable_type(variable_type);
        let call = call
            .set_description(description)
            .set_tags(Some(tag_list(&tags)?));
        answered("CreateList", call.send().await).map(drop)
    }

    async fn update_list(&self, list: &ListResource) -> Done {
        let ListResource {
            name,
            elements,
            variable_type,
            description,
            ..
        } = list.clone();
        let elements = elements.filter(|elements| !elements.is_empty());
        let mode = elements.is_some().then_some(ListUpdateMode::Append);
        let call = self
            .client
            .update_list()
            .name(name)
            .set_elements(elements)
            .set_update_mode(mode);
        let call = call
            .set_variable_type(variable_type)
            .set_description(description);
        answered("UpdateList", call.send().await).map(drop)
    }

    async fn put_event_type(&self, event_type: &EventTypeResource) -> Done {
        let EventTypeResource {
            name,
            variables,
            labels,
            entity_types,
            description,
            tags,
            ..
        } = event_type.clone();
        let ingestion = event_type.ingestion.map(|on| {
            if on {
                EventIngestion::Enabled
            } else {
                EventIngestion::Disabled
            }
        });
        let orchestration = event_type.orchestration.map(orchestration).transpose()?;
        let call = self
            .client
            .put_event_type()
            .name(name)
            .set_event_variables(Some(variables));
        let call = call
            .set_labels(Some(labels))
            .set_entity_types(Some(entity_types))
            .set_description(description);
        let call = call
            .set_event_ingestion(ingestion)
            .set_event_orchestration(orchestration);
        let call = call.set_tags(Some(tag_list(&tags)?));
        answered("PutEventType", call.send().await).map(drop)
    }

    async fn put_detector(&self, detector: &DetectorResource) -> Done {
        let DetectorResource {
            id,
            event_type,
            description,
            tags,
            ..
        } = detector.clone();
        let call = self
            .client
            .put_detector()
            .detector_id(id)
            .event_type_name(event_type);
        let call = call
            .set_description(description)
            .set_tags(Some(tag_list(&tags)?));
        answered("PutDetector", call.send().await).map(drop)
    }

    async fn create_rule(&mut self, detector: &str, rule: &RuleResource) -> Done {
        let RuleResource {
            id,
            expression,
            outcomes,
            description,
            tags,
            ..
        } = rule.clone();
        let call = self
            .client
            .create_rule()
            .detector_id(detector)
            .rule_id(id)
            .expression(expression);
        let call = call
            .language(Language::Detectorpl)
            .set_outcomes(Some(outcomes));
        let call = call
            .set_description(description)
            .set_tags(Some(tag_list(&tags)?));
        let output = answered("CreateRule", call.send().await)?;
        self.given(output.rule);
        Ok(())
    }

    async fn update_rule(&mut self, detector: &str, rule: &RuleResource, version: u32) -> Done {
        let RuleResource {
            id,
            expression,
            outcomes,
            description,
            tags,
            ..
        } = rule.clone();
        let present = reference(detector, &id, &version.to_string())?;
        let call = self
            .client
            .update_rule_version()
            .rule(present)
            .expression(expression);
        let call = call
            .language(Language::Detectorpl)
            .set_outcomes(Some(outcomes));
        let call = call
            .set_description(description)
            .set_tags(Some(tag_list(&tags)?));
        let output = answered("UpdateRuleVersion", call.send().await)?;
        self.given(output.rule);
        Ok(())
    }

    /// Keeps the version that the service gave to a rule.
    fn given(&mut self, rule: Option<types::Rule>) {
        if let Some(types::Rule {
            detector_id,
            rule_id,
            rule_version,
            ..
        }) = rule
        {
            self.versions.insert((detector_id, rule_id), rule_version);
        }
    }

    /// Creates a detector version and returns its number.
    async fn create_version(
        &self,
        detector: &str,
        content: &Content,
    ) -> Result<String, ServiceError> {
        let pin = |(id, planned): &(String, String)| {
            let given = self.versions.get(&(detector.to_owned(), id.clone()));
            reference(detector, id, given.unwrap_or(planned))
        };
        let rules = content
            .rules
            .iter()
            .map(pin)
            .collect::<Result<Vec<_>, _>>()?;
        let call = self
            .client
            .create_detector_version()
            .detector_id(detector)
            .set_rules(Some(rules));
        let mut call = call.rule_execution_mode(RuleExecutionMode::from(content.mode.as_str()));
        for version in &content.models.versions {
            call = call.model_versions(model(version)?);
        }
        for endpoint in &content.models.external {
            call = call.external_model_endpoints(endpoint);
        }
        let output = answered("CreateDetectorVersion", call.send().await)?;
        Ok(output.detector_version_id.unwrap_or_default())
    }

    async fn activate(&self, detector: &str, version: &str) -> Done {
        let call = self
            .client
            .update_detector_version_status()
            .detector_id(detector)
            .detector_version_id(version);
        answered(
            "UpdateDetectorVersionStatus",
            call.status(DetectorVersionStatus::Active).send().await,
        )
        .map(drop)
    }
}

fn entry(variable: &VariableResource) -> VariableEntry {
    let VariableResource {
        name,
        ty,
        source,
        default,
        variable_type,
        description,
        ..
    } = variable.clone();
    let entry = VariableEntry::builder()
        .name(name)
        .data_type(ty.to_string())
        .data_source(source);
    entry
        .default_value(default)
        .set_description(description)
        .set_variable_type(variable_type)
        .build()
}

fn orchestration(on: bool) -> Result<EventOrchestration, ServiceError> {
    built(
        "EventOrchestration",
        EventOrchestration::builder()
            .event_bridge_enabled(on)
            .build(),
    )
}

fn tag_list(tags: &[ResourceTag]) -> Result<Vec<types::Tag>, ServiceError> {
    let tag = |(key, value): &ResourceTag| {
        built("Tag", types::Tag::builder().key(key).value(value).build())
    };
    tags.iter().map(tag).collect()
}

fn reference(detector: &str, rule: &str, version: &str) -> Result<types::Rule, ServiceError> {
    built(
        "Rule",
        types::Rule::builder()
            .detector_id(detector)
            .rule_id(rule)
            .rule_version(version)
            .build(),
    )
}

fn model(version: &AssociatedModelVersion) -> Result<types::ModelVersion, ServiceError> {
    let builder = types::ModelVersion::builder()
        .model_id(&version.id)
        .model_version_number(&version.number);
    built(
        "ModelVersion",
        builder.model_type(version.ty.as_str().into()).build(),
    )
}
