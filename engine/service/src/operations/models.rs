//! Models: a type, an event type, and versions that were trained on its events.

use crate::operations::{Empty, variables};
use crate::services::Services;
use protocol::page::{Page, Paging};
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::event_type::{EventType, event_type_key};
use store::records::model::{
    MODEL_PARTITION, Model, ModelType, find_model, missing_model, model_key, score_variable,
};
use store::records::model_version::versions_of_model;
use store::records::tags::{Tag, Tags};
use store::records::variable::{Variable, variable_key};

/// A reference to a model in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    model_id: String,
    model_type: ModelType,
}

impl Reference {
    pub(crate) async fn find(&self, change: &Change<'_>) -> Result<Model> {
        let found = change
            .get(&model_key(self.model_type, &self.model_id))
            .await?;
        found.ok_or_else(|| missing_model(&self.model_id))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    model_id: String,
    model_type: ModelType,
    description: Option<String>,
    event_type_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates a model and the variable that holds its score.
pub(crate) async fn create(services: &Services, input: Create) -> Result<Empty> {
    let tags = Tags::new(input.tags)?;
    let mut change = services.account.change().await?;
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
    change.count(MODEL_PARTITION, 1, services.account.options.quotas.models)?;
    let now = text::milliseconds(services.account.now());
    let variable = Variable::score(score_variable(&input.model_id), &input.model_id, &now);
    variables::add(services, &mut change, &variable).await?;
    change.put(&Model {
        model_id: input.model_id,
        model_type: input.model_type,
        description: input.description,
        event_type_name: input.event_type_name,
        last_major_version: 0,
        created_time: now.clone(),
        last_updated_time: now,
        tags,
    })?;
    services.account.commit(change).await.map(|()| Empty {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Get {
    model_id: Option<String>,
    model_type: Option<ModelType>,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    model_id: String,
    model_type: ModelType,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    event_type_name: String,
    created_time: String,
    last_updated_time: String,
    arn: String,
}

pub(crate) async fn get(services: &Services, input: Get) -> Result<impl Serialize + use<>> {
    let page = if let Some(model_id) = &input.model_id {
        Page::one(of_request(services, model_id, input.model_type).await?)
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
            usual: 10,
        };
        listing.page(&services.account, &input.paging).await?
    };
    Ok(page::output(
        "models",
        page.map(|model| output(services, model)),
    ))
}

/// Finds the model of a request, in which the type may be left out.
pub(crate) async fn of_request(
    services: &Services,
    model_id: &str,
    model_type: Option<ModelType>,
) -> Result<Model> {
    let keys = ModelType::ALL.map(|model_type| model_key(model_type, model_id));
    let found: Vec<Model> = services.account.definitions.many(&keys).await?;
    found
        .into_iter()
        .find(|model| model_type.is_none_or(|wanted| model.model_type == wanted))
        .ok_or_else(|| missing_model(model_id))
}

fn output(services: &Services, model: Model) -> Output {
    let path = format!("{}/{}", model.model_type.name(), model.model_id);
    Output {
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
pub(crate) struct Update {
    #[serde(flatten)]
    reference: Reference,
    description: Option<String>,
}

/// Replaces the description.
pub(crate) async fn update(services: &Services, input: Update) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let mut model = input.reference.find(&change).await?;
    model.description = input.description;
    model.last_updated_time = text::milliseconds(services.account.now());
    change.put(&model)?;
    services.account.commit(change).await.map(|()| Empty {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct Delete {
    #[serde(flatten)]
    reference: Reference,
}

/// Deletes a model and its score variable. Rejected while it has versions.
pub(crate) async fn delete(services: &Services, input: Delete) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let Reference {
        model_id,
        model_type,
    } = &input.reference;
    let key = model_key(*model_type, model_id);
    if change.get::<Model>(&key).await?.is_none() {
        return Ok(Empty {});
    }
    if !versions_of_model(&change, *model_type, model_id)
        .await?
        .is_empty()
    {
        let message = format!("Model '{model_id}' still has versions.");
        return Err(Error::conflict(message));
    }
    change.count(MODEL_PARTITION, -1, usize::MAX)?;
    change.delete(key);
    change.count("variable", -1, usize::MAX)?;
    change.delete(variable_key(&score_variable(model_id)));
    services.account.commit(change).await.map(|()| Empty {})
}
