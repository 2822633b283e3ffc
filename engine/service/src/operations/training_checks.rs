//! What a model version must have before it is trained: a source, a schema, variables, labels and a free quota.

use std::collections::HashSet;

use protocol::limits::VARIABLES_PER_MODEL;
use protocol::s3_location::S3Location;
use protocol::{Error, Result, text};
use store::change::Change;
use store::records::event_type::{EventType, event_type_key, missing_event_type};
use store::records::model::{ApiModelType, StoredModel};
use store::records::model_version::{
    IngestedEvents, LabelSchema, TRAINING_JOBS, TimeWindow, TrainingDataSchema, TrainingDataSource,
    TrainingDetails, TrainingJob, list_model_versions,
};
use store::records::variable::{StoredVariable, variable_key};
use store::table::{Key, KeyRange};

use crate::event_check::parse_request_time;
use crate::services::EngineServices;

/// Checks that the model type may use this data source, and that the request says where the events are.
pub(crate) fn check_training_source(
    model_type: ApiModelType,
    source: TrainingDataSource,
    details: &TrainingDetails,
) -> Result<()> {
    let lacking = match source {
        TrainingDataSource::ExternalEvents if model_type != ApiModelType::OnlineFraudInsights => {
            return Err(Error::validation(format!(
                "A model of type {} learns from stored events: its trainingDataSource must be INGESTED_EVENTS.",
                model_type.name()
            )));
        }
        TrainingDataSource::ExternalEvents if details.external_events_detail.is_none() => {
            "EXTERNAL_EVENTS needs an externalEventsDetail"
        }
        TrainingDataSource::IngestedEvents if details.ingested_events_detail.is_none() => {
            "INGESTED_EVENTS needs an ingestedEventsDetail"
        }
        TrainingDataSource::ExternalEvents => {
            let detail = details.external_events_detail.as_ref();
            let location = detail.map(|detail| detail.data_location.as_str());
            return S3Location::parse_folder("dataLocation", location.unwrap_or_default())
                .map(|_| ());
        }
        TrainingDataSource::IngestedEvents => return check_time_window(details),
    };
    Err(Error::validation(format!(
        "The trainingDataSource {lacking}."
    )))
}

fn check_time_window(details: &TrainingDetails) -> Result<()> {
    let Some(IngestedEvents {
        ingested_events_time_window,
    }) = &details.ingested_events_detail
    else {
        return Ok(());
    };
    let TimeWindow {
        start_time,
        end_time,
    } = ingested_events_time_window;
    if parse_request_time("startTime", start_time)? >= parse_request_time("endTime", end_time)? {
        return Err(Error::validation(
            "The startTime of ingestedEventsTimeWindow is not before its endTime.",
        ));
    }
    Ok(())
}

/// Checks the variables and labels that a version is trained on.
pub(crate) async fn check_training_schema(
    change: &Change<'_>,
    model: &StoredModel,
    schema: &TrainingDataSchema,
) -> Result<()> {
    let event_type: Option<EventType> = change.get(&event_type_key(&model.event_type_name)).await?;
    let event_type = event_type.ok_or_else(|| missing_event_type(&model.event_type_name))?;
    check_variables(change, model, &event_type, &schema.model_variables).await?;
    check_labels(model, &event_type, schema.label_schema.as_ref())
}

async fn check_variables(
    change: &Change<'_>,
    model: &StoredModel,
    event_type: &EventType,
    names: &[String],
) -> Result<()> {
    let once: HashSet<&String> = names.iter().collect();
    if once.len() < names.len() {
        return Err(Error::validation(
            "A variable is in modelVariables more than once.",
        ));
    }
    let keys: Vec<Key> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| variable_key(name))
        .collect();
    let found: Vec<StoredVariable> = change.get_many(&keys).await?;
    let variable = |name: &&String| found.iter().find(|variable| variable.name == **name);
    refuse_names(
        names.iter().filter(|name| variable(name).is_none()),
        |names| {
            // The wording is Amazon's.
            Error::not_found(format!("VariableIds: {names} do not exist."))
        },
    )?;
    let included = |name: &&String| event_type.event_variables.contains(*name);
    refuse_names(names.iter().filter(|name| !included(name)), |names| {
        Error::validation(format!(
            "Variables {names} are not included in event type '{}'.",
            event_type.name
        ))
    })?;
    let typed = |name: &&String| variable(name).is_some_and(|v| v.variable_type.is_some());
    refuse_names(names.iter().filter(|name| !typed(name)), |names| {
        Error::validation(format!(
            "Variables {names} have no variable type: a model learns only from variables that have one."
        ))
    })?;
    if !VARIABLES_PER_MODEL.contains(&names.len()) {
        let (least, most) = VARIABLES_PER_MODEL.into_inner();
        return Err(Error::validation(format!(
            "A model learns from {least} to {most} variables, not from {}.",
            names.len()
        )));
    }
    match model.model_type {
        ApiModelType::AccountTakeoverInsights => check_login_variables(names, &found),
        _ => Ok(()),
    }
}

/// Returns an error about these names if there are any.
pub(crate) fn refuse_names<'a>(
    names: impl Iterator<Item = &'a String>,
    error: impl FnOnce(String) -> Error,
) -> Result<()> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(error(text::join_names(names)))
}

/// Checks the variables of a login: an address, a browser, and whether the password was right.
fn check_login_variables(names: &[String], variables: &[StoredVariable]) -> Result<()> {
    for wanted in ["IP_ADDRESS", "USERAGENT", "ARE_CREDENTIALS_VALID"] {
        let is = |variable: &&StoredVariable| {
            names.contains(&variable.name) && variable.variable_type.as_deref() == Some(wanted)
        };
        if variables.iter().filter(is).count() != 1 {
            return Err(Error::validation(format!(
                "A model of type ACCOUNT_TAKEOVER_INSIGHTS needs exactly one variable of type {wanted}."
            )));
        }
    }
    Ok(())
}

fn check_labels(
    model: &StoredModel,
    event_type: &EventType,
    schema: Option<&LabelSchema>,
) -> Result<()> {
    let mapper = schema.and_then(|schema| schema.label_mapper.as_ref());
    let Some(mapper) = mapper else {
        return match model.model_type {
            ApiModelType::AccountTakeoverInsights => Ok(()),
            _ => Err(Error::validation(
                "The labelSchema needs a labelMapper that says which labels are FRAUD and which are LEGIT.",
            )),
        };
    };
    if let Some(other) = mapper
        .keys()
        .find(|key| !["FRAUD", "LEGIT"].contains(&key.as_str()))
    {
        let message = format!("The labelMapper maps FRAUD and LEGIT, not '{other}'.");
        return Err(Error::validation(message));
    }
    for class in ["FRAUD", "LEGIT"] {
        if mapper.get(class).is_none_or(Vec::is_empty) {
            let message = format!("The labelMapper needs at least one label for {class}.");
            return Err(Error::validation(message));
        }
    }
    let mut seen = HashSet::new();
    if let Some(twice) = mapper.values().flatten().find(|label| !seen.insert(*label)) {
        let message = format!("Label '{twice}' is in the labelMapper more than once.");
        return Err(Error::validation(message));
    }
    let unknown = |label: &&String| !event_type.labels.contains(*label);
    refuse_names(mapper.values().flatten().filter(unknown), |names| {
        Error::validation(format!(
            "Labels {names} are not included in event type '{}'.",
            event_type.name
        ))
    })
}

/// Checks the quotas: versions of the model, and trainings at the same time.
pub(crate) async fn check_training_quotas(
    services: &EngineServices,
    change: &Change<'_>,
    model: &StoredModel,
) -> Result<()> {
    let limits = &services.account.options.quotas;
    let jobs: Vec<TrainingJob> = change.query(KeyRange::all(TRAINING_JOBS)).await?;
    let ours =
        |job: &TrainingJob| job.model_type == model.model_type && job.model_id == model.model_id;
    if jobs.iter().any(ours) {
        // The wording is Amazon's; it allows one training per model at a time.
        return Err(Error::validation(
            "Simultaneous training for the same major version not allowed.",
        ));
    }
    if jobs.len() >= limits.trainings {
        return Err(Error::validation(format!(
            "At most {} model versions may be in training at once.",
            limits.trainings
        )));
    }
    check_version_quota(services, change, model).await
}

/// Checks the quota of versions per model.
pub(crate) async fn check_version_quota(
    services: &EngineServices,
    change: &Change<'_>,
    model: &StoredModel,
) -> Result<()> {
    let limits = &services.account.options.quotas;
    let versions = list_model_versions(change, model.model_type, &model.model_id)
        .await?
        .len();
    if versions >= limits.versions_per_model {
        return Err(Error::validation(format!(
            "A model may have at most {} versions.",
            limits.versions_per_model
        )));
    }
    Ok(())
}
