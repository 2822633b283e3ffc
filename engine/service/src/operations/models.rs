//! Models: a type, an event type, and versions that were trained on its events.

use serde::{Deserialize, Serialize};

use super::page::{Listing, Page, Paging};
use super::tags::{Tag, Tags};
use super::variables::Variable;
use super::{Empty, EventType, event_type_key, page, variables};
use crate::engine::Engine;
use crate::store::{Change, Key, Range, Record};
use protocol::text;
use protocol::{Error, Result};

mod import;
mod versions;

pub use import::ImportedVersion;
pub(crate) use versions::{
    Job, LabelSchema, ModelVersion, Status, TimeWindow, TrainingDataSource,
    UnlabeledEventsTreatment, VersionReference, arn, create_version, delete_version,
    describe_versions, finish, get_version, jobs, key_of_text, trained_before, update_version,
    update_version_status,
};

const PARTITION: &str = "model";

/// What a model does, and so how it is trained.
#[expect(clippy::enum_variant_names, reason = "the names of the API")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ModelType {
    OnlineFraudInsights,
    TransactionFraudInsights,
    AccountTakeoverInsights,
}

impl ModelType {
    pub(crate) const ALL: [Self; 3] = [
        Self::OnlineFraudInsights,
        Self::TransactionFraudInsights,
        Self::AccountTakeoverInsights,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OnlineFraudInsights => "ONLINE_FRAUD_INSIGHTS",
            Self::TransactionFraudInsights => "TRANSACTION_FRAUD_INSIGHTS",
            Self::AccountTakeoverInsights => "ACCOUNT_TAKEOVER_INSIGHTS",
        }
    }
}

/// A model as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Model {
    pub(crate) model_id: String,
    pub(crate) model_type: ModelType,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    pub(crate) event_type_name: String,
    /// The highest major version given out, so that none is given out twice.
    last_major_version: u32,
    created_time: String,
    last_updated_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl Record for Model {
    fn key(&self) -> Key {
        key(self.model_type, &self.model_id)
    }
}

pub(crate) fn key(model_type: ModelType, model_id: &str) -> Key {
    Key::new(PARTITION, format!("{}#{model_id}", model_type.name()))
}

/// The variable that holds a model's score.
pub(crate) fn score_variable(model_id: &str) -> String {
    format!("{model_id}_insightscore")
}

pub(crate) async fn all(change: &Change<'_>) -> Result<Vec<Model>> {
    change.query(Range::all(PARTITION)).await
}

fn missing(model_id: &str) -> Error {
    Error::not_found(format!("Model '{model_id}' does not exist."))
}

/// Names a model in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    model_id: String,
    model_type: ModelType,
}

impl Reference {
    async fn find(&self, change: &Change<'_>) -> Result<Model> {
        let found = change.get(&key(self.model_type, &self.model_id)).await?;
        found.ok_or_else(|| missing(&self.model_id))
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
pub(crate) async fn create(engine: &Engine, input: Create) -> Result<Empty> {
    let tags = Tags::new(input.tags)?;
    let mut change = engine.change().await?;
    if with_id(&change, &input.model_id).await?.is_some() {
        let message = format!("Model '{}' already exists.", input.model_id);
        return Err(Error::validation(message));
    }
    let event_type = match input.event_type_name.as_str() {
        // DynamoDB takes no empty key; an empty name does not exist anyway.
        "" => None,
        name => change.get::<EventType>(&event_type_key(name)).await?,
    };
    if event_type.is_none() {
        let message = format!("Event type '{}' does not exist.", input.event_type_name);
        return Err(Error::validation(message));
    }
    change.count(PARTITION, 1, engine.options.quotas.models)?;
    let now = text::milliseconds(engine.now());
    let variable = Variable::score(score_variable(&input.model_id), &input.model_id, &now);
    variables::add(engine, &mut change, &variable).await?;
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
    engine.commit(change).await.map(|()| Empty {})
}

/// The model with this id: it names a variable, so no two types share one.
async fn with_id(change: &Change<'_>, model_id: &str) -> Result<Option<Model>> {
    let keys = ModelType::ALL.map(|model_type| key(model_type, model_id));
    Ok(change.many(&keys).await?.into_iter().next())
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

pub(crate) async fn get(engine: &Engine, input: Get) -> Result<impl Serialize + use<>> {
    let page = if let Some(model_id) = &input.model_id {
        Page::one(of_request(engine, model_id, input.model_type).await?)
    } else {
        let prefix = input
            .model_type
            .map(|model_type| format!("{}#", model_type.name()))
            .unwrap_or_default();
        let listing = Listing {
            operation: "GetModels",
            filters: "",
            pk: PARTITION,
            prefix: &prefix,
            usual: 10,
        };
        listing.page(engine, &input.paging).await?
    };
    Ok(page::output(
        "models",
        page.map(|model| output(engine, model)),
    ))
}

/// The model of a request that may leave its type out.
async fn of_request(
    engine: &Engine,
    model_id: &str,
    model_type: Option<ModelType>,
) -> Result<Model> {
    let keys = ModelType::ALL.map(|model_type| key(model_type, model_id));
    let found: Vec<Model> = engine.definitions.many(&keys).await?;
    found
        .into_iter()
        .find(|model| model_type.is_none_or(|wanted| model.model_type == wanted))
        .ok_or_else(|| missing(model_id))
}

fn output(engine: &Engine, model: Model) -> Output {
    let path = format!("{}/{}", model.model_type.name(), model.model_id);
    Output {
        arn: engine.arn("model", &path),
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
pub(crate) async fn update(engine: &Engine, input: Update) -> Result<Empty> {
    let mut change = engine.change().await?;
    let mut model = input.reference.find(&change).await?;
    model.description = input.description;
    model.last_updated_time = text::milliseconds(engine.now());
    change.put(&model)?;
    engine.commit(change).await.map(|()| Empty {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct Delete {
    #[serde(flatten)]
    reference: Reference,
}

/// Refused while it has versions. The variable of its score goes with it.
pub(crate) async fn delete(engine: &Engine, input: Delete) -> Result<Empty> {
    let mut change = engine.change().await?;
    let Reference {
        model_id,
        model_type,
    } = &input.reference;
    let key = key(*model_type, model_id);
    if change.get::<Model>(&key).await?.is_none() {
        return Ok(Empty {});
    }
    if !versions::of(&change, *model_type, model_id)
        .await?
        .is_empty()
    {
        let message = format!("Model '{model_id}' still has versions.");
        return Err(Error::conflict(message));
    }
    change.count(PARTITION, -1, usize::MAX)?;
    change.delete(key);
    change.count("variable", -1, usize::MAX)?;
    change.delete(variables::key(&score_variable(model_id)));
    engine.commit(change).await.map(|()| Empty {})
}
