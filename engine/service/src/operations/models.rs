//! Models: a type, an event type, and versions that were trained on its events.

use protocol::page::{Page, PageRequest};
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::event_type::{EventType, event_type_key};
use store::records::model::{
    ApiModelType, MODEL_PARTITION, StoredModel, find_model, missing_model, model_key,
    name_score_variable,
};
use store::records::model_version::list_model_versions;
use store::records::tags::{Tag, Tags};
use store::records::variable::{StoredVariable, variable_key};

use crate::operations::{EmptyOutput, variables};
use crate::services::EngineServices;

/// A reference to a model in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelReference {
    model_id: String,
    model_type: ApiModelType,
}

impl ModelReference {
    pub(crate) async fn load(&self, change: &Change<'_>) -> Result<StoredModel> {
        let found = change
            .get(&model_key(self.model_type, &self.model_id))
            .await?;
        found.ok_or_else(|| missing_model(&self.model_id))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateModelInput {
    model_id: String,
    model_type: ApiModelType,
    description: Option<String>,
    event_type_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates a model, and the variable that holds its score unless that was created before.
pub(crate) async fn create_model(
    services: &EngineServices,
    input: CreateModelInput,
) -> Result<EmptyOutput> {
    let tags = Tags::new(input.tags)?;
    let mut change = services.account.begin_change().await?;
    if find_model(&change, &input.model_id).await?.is_some() {
        let message = format!("Model '{}' already exists.", input.model_id);
        return Err(Error::validation(message));
    }
    let event_type = match input.event_type_name.as_str() {
        // DynamoDB rejects an empty key, and nothing has an empty name.
        "" => None,
        name => change.get::<EventType>(&event_type_key(name)).await?,
    };
    if event_type.is_none() {
        let message = format!("Event type '{}' does not exist.", input.event_type_name);
        return Err(Error::validation(message));
    }
    change.count_resources(MODEL_PARTITION, 1, services.account.options.quotas.models)?;
    let now = text::format_milliseconds(services.account.now());
    add_score_variable(services, &mut change, &input.model_id, &now).await?;
    change.put(&StoredModel {
        model_id: input.model_id,
        model_type: input.model_type,
        description: input.description,
        event_type_name: input.event_type_name,
        last_major_version: 0,
        created_time: now.clone(),
        last_updated_time: now,
        tags,
    })?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

/// Creates the variable for a model's score. One that was created for it with the data source `MODEL_SCORE` is kept as
/// it is.
async fn add_score_variable(
    services: &EngineServices,
    change: &mut Change<'_>,
    model_id: &str,
    now: &str,
) -> Result<()> {
    let score = StoredVariable::new_score(name_score_variable(model_id), model_id, now);
    let existing: Option<StoredVariable> = change.get(&variable_key(&score.name)).await?;
    let is_ready = existing.is_some_and(|existing| {
        existing.data_source == score.data_source && existing.data_type == score.data_type
    });
    if is_ready {
        return Ok(());
    }
    variables::add_variable(services, change, &score).await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetModelsInput {
    model_id: Option<String>,
    model_type: Option<ApiModelType>,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelDescription {
    model_id: String,
    model_type: ApiModelType,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    event_type_name: String,
    created_time: String,
    last_updated_time: String,
    arn: String,
}

pub(crate) async fn get_models(
    services: &EngineServices,
    input: GetModelsInput,
) -> Result<impl Serialize + use<>> {
    let page = if let Some(model_id) = &input.model_id {
        Page::of_one_row(find_requested_model(services, model_id, input.model_type).await?)
    } else {
        let prefix = input
            .model_type
            .map(|model_type| format!("{}#", model_type.name()))
            .unwrap_or_default();
        let listing = Listing {
            operation: "GetModels",
            filters: "",
            pk: MODEL_PARTITION,
            prefix: &prefix,
            default_size: 10,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    Ok(page::make_page_output(
        "models",
        page.map_rows(|model| describe_model(services, model)),
    ))
}

/// Finds the model of a request, in which the type may be left out.
pub(crate) async fn find_requested_model(
    services: &EngineServices,
    model_id: &str,
    model_type: Option<ApiModelType>,
) -> Result<StoredModel> {
    let keys = ApiModelType::ALL.map(|model_type| model_key(model_type, model_id));
    let found: Vec<StoredModel> = services.account.definitions.get_many(&keys).await?;
    found
        .into_iter()
        .find(|model| model_type.is_none_or(|wanted| model.model_type == wanted))
        .ok_or_else(|| missing_model(model_id))
}

fn describe_model(services: &EngineServices, model: StoredModel) -> ModelDescription {
    let path = format!("{}/{}", model.model_type.name(), model.model_id);
    ModelDescription {
        arn: services.account.arn("model", &path),
        model_id: model.model_id,
        model_type: model.model_type,
        description: model.description,
        event_type_name: model.event_type_name,
        created_time: model.created_time,
        last_updated_time: model.last_updated_time,
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateModelInput {
    #[serde(flatten)]
    reference: ModelReference,
    description: Option<String>,
}

/// Replaces the description.
pub(crate) async fn update_model(
    services: &EngineServices,
    input: UpdateModelInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let mut model = input.reference.load(&change).await?;
    model.description = input.description;
    model.last_updated_time = text::format_milliseconds(services.account.now());
    change.put(&model)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteModelInput {
    #[serde(flatten)]
    reference: ModelReference,
}

/// Deletes a model and its score variable. Rejected while it has versions.
pub(crate) async fn delete_model(
    services: &EngineServices,
    input: DeleteModelInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let ModelReference {
        model_id,
        model_type,
    } = &input.reference;
    let key = model_key(*model_type, model_id);
    if change.get::<StoredModel>(&key).await?.is_none() {
        return Ok(EmptyOutput {});
    }
    if !list_model_versions(&change, *model_type, model_id)
        .await?
        .is_empty()
    {
        let message = format!("Model '{model_id}' still has versions.");
        return Err(Error::conflict(message));
    }
    change.count_resources(MODEL_PARTITION, -1, usize::MAX)?;
    change.delete(key);
    change.count_resources("variable", -1, usize::MAX)?;
    change.delete(variable_key(&name_score_variable(model_id)));
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
