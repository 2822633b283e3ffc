//! The training data of a version: files of events, or stored events of a time window.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;
use model::{
    Dataset, EventLabel, EventRow, LabelsAre, Severity, TrainingMessage, TrainingOptions, Variable,
    VariableType,
};
use protocol::{Error, Result};
use store::records::entity_history::list_history_entities;
use store::records::event::{StoredEvent, StoredLabel, event_partition};
use store::records::event_type::{EventType, event_type_key};
use store::records::model::ApiModelType;
use store::records::model_version::{ModelVersion, TimeWindow, TrainingDataSource};
use store::records::prediction::{StoredPrediction, is_prediction_key};
use store::records::variable::{StoredVariable, variable_key};
use store::table::{Item, Key, convert_sdk_error, decode_item, text_attribute};

use crate::event_check::parse_request_time;
use crate::predict;
use crate::services::{EngineServices, entity_history};
use crate::work::training::rows::{LabelMapping, push_row};
use crate::work::training::{TrainingStopReason, TrainingTracker, events_file, new_message};

/// Items read with one request.
const SCAN_PAGE_ITEMS: i32 = 1000;

/// The variables that a login model uses; it ignores all others, as at Amazon. A session is new each time, so it tells
/// nothing about its account.
const LOGIN_VARIABLE_TYPES: [VariableType; 4] = [
    VariableType::IpAddress,
    VariableType::UserAgent,
    VariableType::AreCredentialsValid,
    VariableType::Fingerprint,
];

/// The events to train on, the training settings, and messages about the data.
pub(super) struct TrainingInput {
    pub(super) dataset: Dataset,
    pub(super) options: TrainingOptions,
    pub(super) notes: Vec<TrainingMessage>,
}

/// Reads the training data of a version.
pub(super) async fn read_training_data(
    services: &EngineServices,
    s3: &aws_sdk_s3::Client,
    version: &ModelVersion,
    tracker: &Arc<TrainingTracker>,
) -> Result<TrainingInput, TrainingStopReason> {
    let variables = load_variables(services, version).await?;
    let labels = LabelMapping::new(version);
    tracker.set_step("Reading events", 0.0);
    let mut options = TrainingOptions {
        model_type: match version.model_type {
            ApiModelType::OnlineFraudInsights => model::ModelType::OnlineFraudInsights,
            ApiModelType::TransactionFraudInsights => model::ModelType::TransactionFraudInsights,
            ApiModelType::AccountTakeoverInsights => model::ModelType::AccountTakeoverInsights,
        },
        label_values: labels.names(),
        unlabelled: labels.treatment,
        ..TrainingOptions::default()
    };
    match version.training_data_source {
        TrainingDataSource::ExternalEvents => {
            let sources = events_file::open_events_files(s3, version).await?;
            let tracker = Arc::clone(tracker);
            // Reading requests the next range of the object, which blocks.
            let read =
                move || events_file::read_events_files(&sources, &variables, &labels, &tracker);
            let runtime = tokio::runtime::Handle::current();
            let read = tokio::task::spawn_blocking(move || {
                let _runtime = runtime.enter();
                read()
            });
            let mut file = read.await.map_err(Error::internal)??;
            // A file of Amazon's form has labels without times, so all labels are used.
            if !file.has_label_times {
                options.labels_are = LabelsAre::Final;
            }
            if let Some(asked) = version.label_maturity() {
                options.labels_are = asked;
                file.notes = vec![describe_label_maturity(asked)];
            }
            Ok(TrainingInput {
                dataset: file.dataset,
                options,
                notes: file.notes,
            })
        }
        TrainingDataSource::IngestedEvents => {
            options.unlabelled = Some(labels.treatment.unwrap_or_default());
            options.as_of = Some(services.account.now().as_second());
            options.labels_are = version.label_maturity().unwrap_or_default();
            let dataset =
                read_stored_events(services, version, variables, &labels, tracker).await?;
            Ok(TrainingInput {
                dataset,
                options,
                notes: version
                    .label_maturity()
                    .map(describe_label_maturity)
                    .into_iter()
                    .collect(),
            })
        }
    }
}

fn describe_label_maturity(labels_are: LabelsAre) -> TrainingMessage {
    let (title, content) = match labels_are {
        LabelsAre::Final => ("Final labels", "Labels are taken as final, as asked for."),
        LabelsAre::Maturing => (
            "Maturing labels",
            "Labels are given the time to come, as asked for.",
        ),
    };
    new_message(Severity::Info, title, content)
}

async fn load_variables(
    services: &EngineServices,
    version: &ModelVersion,
) -> Result<Vec<Variable>, TrainingStopReason> {
    let names = &version.training_data_schema.model_variables;
    let keys: Vec<Key> = names.iter().map(|name| variable_key(name)).collect();
    let found: Vec<StoredVariable> = services.account.definitions.get_many(&keys).await?;
    let variable = |name: &String| {
        let variable_type = found
            .iter()
            .find(|variable| variable.name == *name)
            .and_then(|variable| variable.variable_type.as_deref()?.parse().ok());
        let variable_type = variable_type.ok_or_else(|| {
            let content = format!("Variable '{name}' is gone, or has no variable type any more.");
            TrainingStopReason::with_message("Unknown variable", content)
        })?;
        Ok(Variable::new(name.as_str(), variable_type))
    };
    let mut variables: Vec<Variable> = names
        .iter()
        .map(variable)
        .collect::<Result<_, TrainingStopReason>>()?;
    if version.model_type == ApiModelType::AccountTakeoverInsights {
        variables.retain(|variable| LOGIN_VARIABLE_TYPES.contains(&variable.kind));
    }
    Ok(variables)
}

/// The items of one event in the table.
#[derive(Default)]
struct StoredEventItems {
    pk: String,
    sent: Option<StoredEvent>,
    label: Option<StoredLabel>,
    /// The earliest prediction, which does not have facts that were learned later.
    predicted: Option<StoredPrediction>,
}

impl StoredEventItems {
    fn add_item(&mut self, item: Item, sk: &str) -> Result<()> {
        match sk {
            "event" => self.sent = Some(decode_item(item)?),
            "label" => self.label = Some(decode_item(item)?),
            _ if is_prediction_key(sk) => {
                let prediction: StoredPrediction = decode_item(item)?;
                let later = |first: &StoredPrediction| {
                    first.prediction_timestamp <= prediction.prediction_timestamp
                };
                if prediction.stored && !self.predicted.as_ref().is_some_and(later) {
                    self.predicted = Some(prediction);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads the stored events of the version's time window: a scan of the table of events, in which all items of one event
/// are consecutive.
async fn read_stored_events(
    services: &EngineServices,
    version: &ModelVersion,
    variables: Vec<Variable>,
    labels: &LabelMapping,
    tracker: &TrainingTracker,
) -> Result<Dataset, TrainingStopReason> {
    let window = TrainingWindow::new(version)?;
    let table = &services.account.events;
    let prefix = event_partition(&version.event_type_name, "");
    let mut dataset = Dataset::new(variables);
    if version.model_type != ApiModelType::OnlineFraudInsights {
        let event_type: Option<EventType> = services
            .account
            .definitions
            .get(&event_type_key(&version.event_type_name))
            .await?;
        if let Some(settings) = event_type
            .as_ref()
            .and_then(|event_type| event_type.history_settings.as_ref())
        {
            dataset = dataset.with_tracked_fields(settings.tracked_fields.clone());
        }
    }
    let mut kept = StoredEventItems::default();
    let mut start = None;
    loop {
        if tracker.is_cancelled() {
            return Err(TrainingStopReason::Cancelled);
        }
        let request = table
            .client
            .scan()
            .table_name(&table.name)
            .limit(SCAN_PAGE_ITEMS);
        let output = request
            .filter_expression("begins_with(pk, :prefix)")
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.clone()))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(convert_sdk_error)?;
        for item in output.items.unwrap_or_default() {
            let text = |name: &str| text_attribute(&item, name).cloned();
            let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
                continue;
            };
            if pk != kept.pk {
                let before = std::mem::replace(
                    &mut kept,
                    StoredEventItems {
                        pk,
                        ..StoredEventItems::default()
                    },
                );
                add_event(services, &mut dataset, &window, labels, before).await?;
            }
            kept.add_item(item, &sk)?;
        }
        start = output.last_evaluated_key;
        if start.is_none() {
            add_event(services, &mut dataset, &window, labels, kept).await?;
            return Ok(dataset);
        }
    }
}

/// The time window of the events to train on, in seconds since 1970.
struct TrainingWindow {
    from: i64,
    until: i64,
}

impl TrainingWindow {
    fn new(version: &ModelVersion) -> Result<Self, TrainingStopReason> {
        let detail = version.details.ingested_events_detail.as_ref();
        let Some(TimeWindow {
            start_time,
            end_time,
        }) = detail.map(|detail| &detail.ingested_events_time_window)
        else {
            return Err(TrainingStopReason::with_message(
                "No time window",
                "The version has no time window.",
            ));
        };
        let seconds = |member: &str, text: &str| -> Result<i64> {
            let moment = parse_request_time(member, text)?;
            let moment: jiff::Timestamp = moment.parse().map_err(Error::internal)?;
            Ok(moment.as_second())
        };
        Ok(Self {
            from: seconds("startTime", start_time)?,
            until: seconds("endTime", end_time)?,
        })
    }
}

/// Adds an event: as in its earliest prediction, otherwise as it is stored.
async fn add_event(
    services: &EngineServices,
    dataset: &mut Dataset,
    window: &TrainingWindow,
    labels: &LabelMapping,
    kept: StoredEventItems,
) -> Result<(), TrainingStopReason> {
    let StoredEventItems {
        sent,
        label,
        predicted,
        ..
    } = kept;
    let label_of = labels.classify(label.as_ref().map(|label| label.current_label.as_str()));
    let blocked = match &predicted {
        Some(prediction) if label_of == EventLabel::Unlabelled => {
            predict::was_blocked(services, prediction).await?
        }
        _ => false,
    };
    let Some(event) = predicted.map(|prediction| prediction.event).or(sent) else {
        return Ok(());
    };
    let seconds = |text: &str| Timestamp::parse(text).ok().map(Timestamp::epoch_seconds);
    let event_time = seconds(&event.event_timestamp);
    if !event_time.is_some_and(|time| (window.from..=window.until).contains(&time)) {
        return Ok(());
    }
    let value = |name: &str| event.event_variables.get(name).and_then(Option::as_deref);
    let values: Vec<Option<&str>> = dataset
        .variables()
        .iter()
        .map(|variable| value(&variable.name))
        .collect();
    let entities = list_history_entities(&event);
    let tracked = dataset
        .tracked_fields()
        .and_then(|tracked_fields| entity_history::build_tracked_event(tracked_fields, &event));
    let row = EventRow {
        values: &values,
        event_time,
        // With histories, the entity is the one whose history is meant.
        entity: match &tracked {
            Some(tracked) => tracked.keys.first().and_then(Option::as_deref),
            None => entities.first().map(String::as_str),
        },
        tracked: tracked.as_ref(),
        label: label_of,
        label_time: label.and_then(|label| seconds(&label.label_timestamp)),
        blocked,
        ..EventRow::default()
    };
    push_row(dataset, &row)
}
