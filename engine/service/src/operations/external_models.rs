//! External models: SageMaker endpoints that a detector version uses.

use protocol::page::{Page, PageRequest};
use protocol::{Error, ErrorCode, Result, page, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::detector_version::find_version_using_endpoint;
use store::records::event_type::{EventType, event_type_key};
use store::records::external_model::{
    EXTERNAL_MODEL_PARTITION, ExternalModel, ExternalModelStatus, InputConfiguration,
    OutputConfiguration, external_model_key, missing_external_model,
};
use store::records::tags::{Tag, Tags};

use crate::operations::EmptyOutput;
use crate::operations::version_bundle::{bundle_external_model, renew_detector_version_bundles};
use crate::services::EngineServices;
use crate::services::external_models::InputTemplate;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutExternalModelInput {
    model_endpoint: String,
    model_source: String,
    invoke_model_endpoint_role_arn: String,
    input_configuration: InputConfiguration,
    output_configuration: OutputConfiguration,
    model_endpoint_status: ExternalModelStatus,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates an external model or replaces it. Detector versions that use it are updated at once.
pub(crate) async fn put_external_model(
    services: &EngineServices,
    input: PutExternalModelInput,
) -> Result<EmptyOutput> {
    check_role(services, &input.invoke_model_endpoint_role_arn)?;
    let mut change = services.account.begin_change().await?;
    let before: Option<ExternalModel> = change
        .get(&external_model_key(&input.model_endpoint))
        .await?;
    let now = text::format_milliseconds(services.account.now());
    let (created_time, tags) = match before {
        Some(before) => (before.created_time, before.tags),
        None => (now.clone(), Tags::new(input.tags)?),
    };
    let model = ExternalModel {
        model_endpoint: input.model_endpoint,
        model_source: input.model_source,
        invoke_model_endpoint_role_arn: input.invoke_model_endpoint_role_arn,
        input_configuration: input.input_configuration,
        output_configuration: input.output_configuration,
        model_endpoint_status: input.model_endpoint_status,
        last_updated_time: now,
        created_time,
        tags,
    };
    let event_type = find_event_type(&change, &model).await?;
    check_input_configuration(&model, event_type.as_ref())?;
    let bundled = bundle_external_model(&change, &model).await?;
    if model.model_endpoint_status == ExternalModelStatus::Dissociated {
        refuse_if_used(&change, &model.model_endpoint).await?;
    } else {
        renew_detector_version_bundles(services, &mut change, &bundled).await?;
    }
    // Written last, see `Change::commit`.
    change.put(&model)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

/// Checks that the role belongs to this account. (The engine calls the endpoint with its own credentials; see the
/// differences in the guide.)
fn check_role(services: &EngineServices, arn: &str) -> Result<()> {
    let mut parts = arn.splitn(6, ':');
    let parts: [Option<&str>; 6] = std::array::from_fn(|_| parts.next());
    let [
        Some("arn"),
        Some(partition),
        Some("iam"),
        Some(""),
        Some(account),
        Some(role),
    ] = parts
    else {
        return Err(Error::validation(
            "The invokeModelEndpointRoleArn is not the ARN of a role.",
        ));
    };
    if !partition.starts_with("aws") || !role.starts_with("role/") {
        return Err(Error::validation(
            "The invokeModelEndpointRoleArn is not the ARN of a role.",
        ));
    }
    if account != services.account.options.account {
        return Err(Error::new(
            ErrorCode::AccessDenied,
            format!(
                "The role of invokeModelEndpointRoleArn must be one of account {}.",
                services.account.options.account
            ),
        ));
    }
    Ok(())
}

async fn find_event_type(change: &Change<'_>, model: &ExternalModel) -> Result<Option<EventType>> {
    let Some(name) = &model.input_configuration.event_type_name else {
        return Ok(None);
    };
    let found = change.get(&event_type_key(name)).await?;
    found
        .ok_or_else(|| Error::validation(format!("Event type '{name}' does not exist.")))
        .map(Some)
}

fn check_input_configuration(model: &ExternalModel, event_type: Option<&EventType>) -> Result<()> {
    let input = &model.input_configuration;
    let Some(template) = input.template()? else {
        return Ok(());
    };
    let template = InputTemplate::new(template)?;
    template.check_format(input.format)?;
    let Some(event_type) = event_type else {
        return Err(Error::validation(
            "An inputConfiguration with useEventVariables needs an eventTypeName.",
        ));
    };
    let unknown: Vec<&str> = template
        .variables()
        .filter(|name| !event_type.event_variables.iter().any(|v| v == name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::validation(format!(
        "The template names variables {} that are not included in event type '{}'.",
        text::join_names(unknown),
        event_type.name
    )))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetExternalModelsInput {
    model_endpoint: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

/// An external model in the answer: as stored, without tags, with its ARN.
#[derive(Debug, Serialize)]
struct ExternalModelOutput {
    #[serde(flatten)]
    model: ExternalModel,
    arn: String,
}

pub(crate) async fn get_external_models(
    services: &EngineServices,
    input: GetExternalModelsInput,
) -> Result<impl Serialize + use<>> {
    let page: Page<ExternalModel> = if let Some(endpoint) = &input.model_endpoint {
        let found = match endpoint.as_str() {
            "" => None,
            endpoint => {
                services
                    .account
                    .definitions
                    .get(&external_model_key(endpoint))
                    .await?
            }
        };
        Page::of_one_row(found.ok_or_else(|| missing_external_model(endpoint))?)
    } else {
        let listing = Listing {
            operation: "GetExternalModels",
            filters: "",
            pk: EXTERNAL_MODEL_PARTITION,
            prefix: "",
            default_size: 10,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    let output = |model: ExternalModel| ExternalModelOutput {
        arn: services
            .account
            .arn(EXTERNAL_MODEL_PARTITION, &model.model_endpoint),
        model: ExternalModel {
            tags: Tags::default(),
            ..model
        },
    };
    Ok(page::make_page_output(
        "externalModels",
        page.map_rows(output),
    ))
}

async fn refuse_if_used(change: &Change<'_>, endpoint: &String) -> Result<()> {
    match find_version_using_endpoint(change, endpoint).await? {
        None => Ok(()),
        Some((detector, version)) => Err(Error::conflict(format!(
            "External model '{endpoint}' is used by version {version} of detector '{detector}'."
        ))),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeleteExternalModelInput {
    model_endpoint: String,
}

/// Deletes an external model. Rejected while a detector version uses it.
pub(crate) async fn delete_external_model(
    services: &EngineServices,
    input: DeleteExternalModelInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let key = external_model_key(&input.model_endpoint);
    if change.get::<ExternalModel>(&key).await?.is_none() {
        return Ok(EmptyOutput {});
    }
    refuse_if_used(&change, &input.model_endpoint).await?;
    change.delete(key);
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
