//! The public engine: the API, and methods for what the API has no operation for.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use bytes::Bytes;
use http::{Request, Response};
use model::Attribution;
use protocol::wire::{Reply, read_request, write_response};
use protocol::{Error, ErrorCode, Operation, Result};
use store::EngineOptions;
use store::conflict_retry::retry_on_write_conflict;
use store::records::detector::VersionRollout;
use store::records::event_type;
use store::records::forgotten::Subject;
use store::schema::{self, TableDefinition};

use crate::operations::lists::{self, ListEntry};
use crate::operations::live_versions::{self, LiveVersions};
use crate::operations::model_import::{self, ImportedModelVersion};
use crate::operations::{self, ServeOperation};
use crate::predict::{self, ExplainedPrediction, ShadowDecision};
use crate::services::EngineServices;
use crate::services::event_bus::PredictionBus;
use crate::services::external_models::ExternalModelClient;
use crate::services::forgotten::{self, FoundEvent};
use crate::services::model_cache::ModelBucket;

/// A fraud detector with the API of Amazon Fraud Detector. It can be shared behind an `Arc`.
#[derive(Debug)]
pub struct Engine {
    services: EngineServices,
    serve: ServeOperation,
}

impl Engine {
    /// An engine on the tables that `client` reaches. Nothing is read yet.
    pub fn new(options: EngineOptions, client: Client) -> Self {
        Self {
            services: EngineServices::new(options, client),
            serve: operations::serve_all,
        }
    }

    /// An engine inside a function: it serves `GetEventPrediction`, `SendEvent`, `GetEvent` and `UpdateEventLabel`. The
    /// code of the other operations is not linked into the function.
    pub fn for_function(options: EngineOptions, client: Client) -> Self {
        Self {
            services: EngineServices::new(options, client),
            serve: operations::serve_events,
        }
    }

    /// The same engine with a client for external models. Without one, a detector version with external models answers
    /// `ResourceUnavailableException`.
    #[must_use]
    pub fn with_sagemaker(mut self, client: aws_sdk_sagemakerruntime::Client) -> Self {
        self.services.sagemaker = Some(ExternalModelClient::new(client));
        self
    }

    /// The same engine with the bucket of its trained models, which are under `models/`. Without a bucket a version's
    /// models give no score, and a rule that needs one is undetermined.
    #[must_use]
    pub fn with_bucket(mut self, client: aws_sdk_s3::Client, bucket: impl Into<String>) -> Self {
        let name = bucket.into();
        let bucket = ModelBucket { client, name };
        self.services.model_cache = self.services.model_cache.with_bucket(bucket);
        self
    }

    /// Publishes `Event Prediction Result Returned` for predictions on event types with `eventBridgeEnabled` on the bus
    /// `name`, with the source of the options.
    #[must_use]
    pub fn with_event_bridge(
        mut self,
        client: aws_sdk_eventbridge::Client,
        name: impl Into<String>,
    ) -> Self {
        let source = self.services.account.options.event_source.clone();
        self.services.event_bus = Some(PredictionBus::new(client, name.into(), source));
        self
    }

    /// The tables that an engine with these options uses.
    pub fn table_definitions(options: &EngineOptions) -> Vec<TableDefinition> {
        schema::define_tables(&options.definitions_table, &options.events_table)
    }

    /// Creates the engine's tables. A table that exists is not changed.
    pub async fn create_tables(&self) -> Result<()> {
        self.services.account.create_tables().await
    }

    /// Makes sure that cached data is not older than [`EngineOptions::freshness`].
    ///
    /// A function calls it when an invocation starts: between invocations its environment is frozen and no timer runs.
    /// Without this call the first request would wait for the check.
    pub async fn refresh_definitions(&self) -> Result<()> {
        self.services.definition_cache.refresh().await
    }

    /// Writes the counts in memory to the tables, and sends what is left for the event bus. A function calls it when an
    /// invocation ends, because that may be its last.
    pub async fn flush(&self) -> Result<()> {
        self.services.flush().await
    }

    /// Answers one request. Errors of the request or of the engine are in the response.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        Self::respond(self.serve_request(&request).await)
    }

    /// Answers one request as [`Self::handle`] does, but holds back the prediction that it makes: it exists once
    /// [`Self::store_held_predictions`] has stored it. A second prediction of the event replaces a held one.
    pub async fn handle_and_hold(&self, request: Request<Bytes>) -> Response<Bytes> {
        Self::respond(self.serve_and_hold(&request).await)
    }

    /// Stores the held predictions of these events of a type, up to 25 in one call. An event without a held prediction
    /// is passed over. Returns the ids of the events whose prediction could not be stored, each with the reason; these
    /// predictions are dropped.
    pub async fn store_held_predictions(
        &self,
        event_type: &str,
        event_ids: &[String],
    ) -> Vec<(String, Error)> {
        let held = &self.services.prediction_buffer;
        let (ids, predictions): (Vec<&String>, Vec<_>) = event_ids
            .iter()
            .filter_map(|id| Some((id, held.take(event_type, id)?)))
            .unzip();
        let failed = predict::store_predictions(&self.services, predictions).await;
        failed
            .into_iter()
            .map(|(place, error)| (ids[place].clone(), error))
            .collect()
    }

    /// Drops the predictions that are still held. A function calls it when an invocation starts: what the one before
    /// has not stored will be predicted again.
    pub fn drop_held_predictions(&self) {
        self.services.prediction_buffer.clear();
    }

    fn respond(result: Result<Reply>) -> Response<Bytes> {
        if let Err(error) = &result
            && error.code() == ErrorCode::InternalServer
        {
            // Logs only our own errors, and not their messages, which may quote the request.
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(cause, "an operation failed");
        }
        write_response(result)
    }

    async fn serve_request(&self, request: &Request<Bytes>) -> Result<Reply> {
        let (operation, input) = read_request(request)?;
        retry_on_write_conflict(|| (self.serve)(&self.services, operation, &input)).await
    }

    async fn serve_and_hold(&self, request: &Request<Bytes>) -> Result<Reply> {
        let (operation, input) = read_request(request)?;
        retry_on_write_conflict(|| match operation {
            Operation::GetEventPrediction => Box::pin(operations::get_event_prediction_and_hold(
                &self.services,
                &input,
            )),
            _ => (self.serve)(&self.services, operation, &input),
        })
        .await
    }

    pub(crate) fn services(&self) -> &EngineServices {
        &self.services
    }

    /// Explains the newest prediction of an event, from the path through each tree or with exact Shapley values.
    ///
    /// # Errors
    /// The event has no prediction, or the engine's tables fail.
    pub async fn explain_prediction(
        &self,
        event_type: &str,
        event_id: &str,
        attribution: Attribution,
    ) -> Result<ExplainedPrediction> {
        predict::explain_newest_prediction(&self.services, event_type, event_id, attribution).await
    }

    /// Imports a model as the next major version of the model with this id, in status `TRAINING_COMPLETE`. `notes` say
    /// where it comes from and what its scores mean; `DescribeModelVersions` shows them.
    ///
    /// # Errors
    /// There is no model with this id, its event type lacks a variable that `model` needs, a quota is reached, or the
    /// engine's tables or its bucket fail.
    pub async fn import_model(
        &self,
        model_id: &str,
        model: &model::Model,
        notes: &[String],
    ) -> Result<ImportedModelVersion> {
        model_import::import_model(&self.services, model_id, model, notes).await
    }

    /// Which versions of a detector judge live events.
    ///
    /// # Errors
    /// There is no such detector, or the table fails.
    pub async fn load_live_versions(&self, detector: &str) -> Result<LiveVersions> {
        live_versions::load_live_versions(&self.services, detector).await
    }

    /// Lets a version judge each live event beside the one that decides, or none.
    ///
    /// # Errors
    /// The version does not exist, is the active one or cannot judge, or the table fails.
    pub async fn set_shadow(&self, detector: &str, version: Option<u32>) -> Result<()> {
        live_versions::set_shadow(&self.services, detector, version).await
    }

    /// Lets a version decide on a share of the events, or on none.
    ///
    /// # Errors
    /// As [`Self::set_shadow`].
    pub async fn set_rollout(&self, detector: &str, rollout: Option<VersionRollout>) -> Result<()> {
        live_versions::set_rollout(&self.services, detector, rollout).await
    }

    /// What a shadow said of an event in the prediction that was made at a time; `None` if none judged it.
    ///
    /// # Errors
    /// The tables fail.
    pub async fn find_shadow_decision(
        &self,
        event_type: &str,
        event_id: &str,
        made_at: &str,
    ) -> Result<Option<ShadowDecision>> {
        predict::find_shadow_decision(&self.services, event_type, event_id, made_at).await
    }

    /// Adds entries to a list, or changes the notes of entries that exist. In the API they are ordinary elements until
    /// they expire.
    ///
    /// # Errors
    /// As `UpdateList`.
    pub async fn put_list_entries(&self, list: &str, entries: &[ListEntry]) -> Result<()> {
        lists::put_list_entries(&self.services, list, entries).await
    }

    /// The entries of a list that have not expired.
    ///
    /// # Errors
    /// As `GetListElements`.
    pub async fn list_entries(&self, name: &str) -> Result<Vec<ListEntry>> {
        lists::load_list_entries(&self.services, name).await
    }

    /// Finds stored elements, by list: `is_wanted` gets the list's variable type and an element. Elements that were
    /// removed or have expired are found as long as the list's log or base contains them.
    ///
    /// # Errors
    /// The table fails.
    pub async fn find_list_elements(
        &self,
        is_wanted: impl Fn(Option<&str>, &str) -> bool,
    ) -> Result<BTreeMap<String, Vec<String>>> {
        lists::find_list_elements(&self.services, is_wanted).await
    }

    /// Removes elements from a list and from its stored earlier contents.
    ///
    /// # Errors
    /// There is no such list, or the table fails.
    pub async fn erase_list_elements(&self, list: &str, elements: &[String]) -> Result<()> {
        lists::erase_list_elements(&self.services, list, elements).await
    }

    /// The names of all event types.
    ///
    /// # Errors
    /// The table fails.
    pub async fn list_event_type_names(&self) -> Result<Vec<String>> {
        event_type::list_event_type_names(&self.services.account).await
    }

    /// Finds the events of a subject. The events of an entity are found by a scan of the whole table: nothing else
    /// needs this query, and an index would cost a write per prediction.
    ///
    /// # Errors
    /// The table fails.
    pub async fn find_events_of(&self, subject: &Subject) -> Result<Vec<FoundEvent>> {
        forgotten::find_events(&self.services.account, subject).await
    }

    /// Notes that a subject was forgotten: from now on imports reject it. If a client sends a new event of the subject
    /// or a prediction for one, it is stored as usual.
    ///
    /// # Errors
    /// The table fails.
    pub async fn note_forgotten(&self, subject: &Subject) -> Result<()> {
        forgotten::note_forgotten(&self.services.account, subject).await
    }

    /// Takes an event out of the histories of its keys, such as its device and its e-mail address; before the event is
    /// deleted, because it says which these are. What is only counted stays.
    ///
    /// # Errors
    /// The table fails.
    pub async fn forget_in_histories(&self, event_type: &str, event_id: &str) -> Result<()> {
        forgotten::forget_in_histories(&self.services, event_type, event_id).await
    }

    /// Deletes the history of an entity.
    ///
    /// # Errors
    /// The table fails.
    pub async fn forget_entity_history(&self, subject: &Subject) -> Result<()> {
        self.services.entity_histories.delete_history(subject).await
    }

    /// The stored history of an entity as JSON, by event type.
    ///
    /// # Errors
    /// The table fails.
    pub async fn describe_entity_history(
        &self,
        subject: &Subject,
    ) -> Result<BTreeMap<String, String>> {
        self.services
            .entity_histories
            .describe_histories(subject)
            .await
    }
}
