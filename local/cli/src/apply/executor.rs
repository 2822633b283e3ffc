//! Carries out a plan: a call for each step, one after the other.

use std::collections::BTreeMap;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::types::{
    self, DetectorVersionStatus, EventIngestion, EventOrchestration, Language, ListUpdateMode,
    RuleExecutionMode, VariableEntry,
};

use super::ApplyError;
use super::plan::{ApplyPlan, PlanCall, PlanStep};
use super::resource_types::Kind;
use super::service_state::{DetectorVersionContent, ServiceError};
use super::template::{
    AssociatedModelVersion, DetectorResource, EventTypeResource, ListResource, NamedResource,
    ResourceTag, RuleResource, VariableResource,
};

/// The most variables that one call creates.
const VARIABLES: usize = 25;

/// Carries out the steps of `plan`, and calls `on_step` for each one that is done.
///
/// Stops at the first error, which names its step. A new plan then has the remaining steps.
pub async fn execute_plan(
    client: &Client,
    plan: &ApplyPlan,
    mut on_step: impl FnMut(&PlanStep),
) -> Result<(), ApplyError> {
    let mut executor = Executor {
        client,
        versions: BTreeMap::new(),
    };
    let mut rest = plan.steps.as_slice();
    while let Some(first) = rest.first() {
        let variables = next_variable_batch(rest);
        let (now, later) = rest.split_at(variables.len().max(1));
        if variables.is_empty() {
            let done = executor
                .execute_step(first)
                .await
                .map_err(|error| make_step_error(first, error))?;
            on_step(&done);
        } else {
            executor
                .execute_variable_batch(now, &variables, &mut on_step)
                .await?;
        }
        rest = later;
    }
    Ok(())
}

/// The variables that the next call can create together: those with the same tags.
fn next_variable_batch(steps: &[PlanStep]) -> Vec<&VariableResource> {
    let created = steps.iter().map_while(|step| match &step.call {
        PlanCall::CreateVariable(variable) => Some(variable),
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

fn make_step_error(step: &PlanStep, source: ServiceError) -> ApplyError {
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

type CallResult = Result<(), ServiceError>;

/// The answer to `operation`, or its error.
fn check_answer<T, E>(
    operation: &'static str,
    result: Result<T, SdkError<E>>,
) -> Result<T, ServiceError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    result.map_err(|error| ServiceError::from_sdk_error(operation, &error))
}

/// What the SDK's builder returned, or its error.
fn check_build<T>(what: &'static str, result: Result<T, BuildError>) -> Result<T, ServiceError> {
    result.map_err(|error| ServiceError::new(what, error.to_string()))
}

impl Executor<'_> {
    /// Carries out a step, and returns it as done: a version may have got another number.
    async fn execute_step(&mut self, step: &PlanStep) -> Result<PlanStep, ServiceError> {
        let detector = step.detector.as_deref().unwrap_or_default();
        let mut done = step.clone();
        match &step.call {
            PlanCall::PutNamed(kind, named) => self.put_named(*kind, named).await?,
            PlanCall::CreateVariable(_) => {}
            PlanCall::UpdateVariable(variable) => self.update_variable(variable).await?,
            PlanCall::CreateList(list) => self.create_list(list).await?,
            PlanCall::UpdateList(list) => self.update_list(list).await?,
            PlanCall::PutEventType(event_type) => self.put_event_type(event_type).await?,
            PlanCall::PutDetector(detector) => self.put_detector(detector).await?,
            PlanCall::CreateRule(rule) => self.create_rule(detector, rule).await?,
            PlanCall::UpdateRule(rule, version) => {
                self.update_rule(detector, rule, *version).await?;
            }
            PlanCall::CreateVersion { content, activate } => {
                done.name = self.create_version(detector, content).await?;
                if *activate {
                    activate_version(self.client, detector, &done.name).await?;
                }
            }
            PlanCall::Activate => activate_version(self.client, detector, &step.name).await?,
        }
        Ok(done)
    }

    async fn put_named(&self, kind: Kind, named: &NamedResource) -> CallResult {
        let NamedResource {
            name,
            description,
            tags,
        } = named.clone();
        let tags = Some(build_tags(&tags)?);
        match kind {
            Kind::Label => {
                let call = self
                    .client
                    .put_label()
                    .name(name)
                    .set_description(description)
                    .set_tags(tags);
                check_answer("PutLabel", call.send().await).map(drop)
            }
            Kind::Outcome => {
                let call = self
                    .client
                    .put_outcome()
                    .name(name)
                    .set_description(description)
                    .set_tags(tags);
                check_answer("PutOutcome", call.send().await).map(drop)
            }
            _ => {
                let call = self
                    .client
                    .put_entity_type()
                    .name(name)
                    .set_description(description)
                    .set_tags(tags);
                check_answer("PutEntityType", call.send().await).map(drop)
            }
        }
    }

    /// Creates variables. The service may create some and refuse others.
    async fn execute_variable_batch(
        &self,
        steps: &[PlanStep],
        variables: &[&VariableResource],
        on_step: &mut impl FnMut(&PlanStep),
    ) -> Result<(), ApplyError> {
        let Some(first) = steps.first() else {
            return Ok(());
        };
        let refused = self
            .create_variables(variables)
            .await
            .map_err(|error| make_step_error(first, error))?;
        let mut result = Ok(());
        for step in steps {
            match refused
                .iter()
                .find(|refusal| refusal.name() == Some(&step.name))
            {
                None => on_step(step),
                Some(refusal) if result.is_ok() => {
                    let message = refusal.message().unwrap_or("refused without a reason");
                    result = Err(make_step_error(
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
        let entries = variables
            .iter()
            .map(|variable| build_variable_entry(variable))
            .collect();
        let tags = variables
            .first()
            .map(|variable| build_tags(&variable.tags))
            .transpose()?;
        let call = self
            .client
            .batch_create_variable()
            .set_variable_entries(Some(entries))
            .set_tags(tags);
        let output = check_answer("BatchCreateVariable", call.send().await)?;
        Ok(output.errors.unwrap_or_default())
    }

    async fn update_variable(&self, variable: &VariableResource) -> CallResult {
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
        check_answer("UpdateVariable", call.send().await).map(drop)
    }

    async fn create_list(&self, list: &ListResource) -> CallResult {
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
            .set_tags(Some(build_tags(&tags)?));
        check_answer("CreateList", call.send().await).map(drop)
    }

    async fn update_list(&self, list: &ListResource) -> CallResult {
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
        check_answer("UpdateList", call.send().await).map(drop)
    }

    async fn put_event_type(&self, event_type: &EventTypeResource) -> CallResult {
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
        let orchestration = event_type
            .orchestration
            .map(build_event_orchestration)
            .transpose()?;
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
        let call = call.set_tags(Some(build_tags(&tags)?));
        check_answer("PutEventType", call.send().await).map(drop)
    }

    async fn put_detector(&self, detector: &DetectorResource) -> CallResult {
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
            .set_tags(Some(build_tags(&tags)?));
        check_answer("PutDetector", call.send().await).map(drop)
    }

    async fn create_rule(&mut self, detector: &str, rule: &RuleResource) -> CallResult {
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
            .set_tags(Some(build_tags(&tags)?));
        let output = check_answer("CreateRule", call.send().await)?;
        self.keep_rule_version(output.rule);
        Ok(())
    }

    async fn update_rule(
        &mut self,
        detector: &str,
        rule: &RuleResource,
        version: u32,
    ) -> CallResult {
        let RuleResource {
            id,
            expression,
            outcomes,
            description,
            tags,
            ..
        } = rule.clone();
        let present = build_rule_reference(detector, &id, &version.to_string())?;
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
            .set_tags(Some(build_tags(&tags)?));
        let output = check_answer("UpdateRuleVersion", call.send().await)?;
        self.keep_rule_version(output.rule);
        Ok(())
    }

    /// Keeps the version that the service gave to a rule.
    fn keep_rule_version(&mut self, rule: Option<types::Rule>) {
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
        content: &DetectorVersionContent,
    ) -> Result<String, ServiceError> {
        let pin = |(id, planned): &(String, String)| {
            let given = self.versions.get(&(detector.to_owned(), id.clone()));
            build_rule_reference(detector, id, given.unwrap_or(planned))
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
            call = call.model_versions(build_model_version(version)?);
        }
        for endpoint in &content.models.external {
            call = call.external_model_endpoints(endpoint);
        }
        let output = check_answer("CreateDetectorVersion", call.send().await)?;
        Ok(output.detector_version_id.unwrap_or_default())
    }
}

/// Makes a version active, and nothing else.
pub(crate) async fn activate_version(client: &Client, detector: &str, version: &str) -> CallResult {
    let call = client
        .update_detector_version_status()
        .detector_id(detector)
        .detector_version_id(version);
    check_answer(
        "UpdateDetectorVersionStatus",
        call.status(DetectorVersionStatus::Active).send().await,
    )
    .map(drop)
}

fn build_variable_entry(variable: &VariableResource) -> VariableEntry {
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

fn build_event_orchestration(on: bool) -> Result<EventOrchestration, ServiceError> {
    check_build(
        "EventOrchestration",
        EventOrchestration::builder()
            .event_bridge_enabled(on)
            .build(),
    )
}

fn build_tags(tags: &[ResourceTag]) -> Result<Vec<types::Tag>, ServiceError> {
    let tag = |(key, value): &ResourceTag| {
        check_build("Tag", types::Tag::builder().key(key).value(value).build())
    };
    tags.iter().map(tag).collect()
}

fn build_rule_reference(
    detector: &str,
    rule: &str,
    version: &str,
) -> Result<types::Rule, ServiceError> {
    check_build(
        "Rule",
        types::Rule::builder()
            .detector_id(detector)
            .rule_id(rule)
            .rule_version(version)
            .build(),
    )
}

fn build_model_version(
    version: &AssociatedModelVersion,
) -> Result<types::ModelVersion, ServiceError> {
    let builder = types::ModelVersion::builder()
        .model_id(&version.id)
        .model_version_number(&version.number);
    check_build(
        "ModelVersion",
        builder.model_type(version.ty.as_str().into()).build(),
    )
}
