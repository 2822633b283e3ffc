//! Stored predictions: which there are.
//!
//! `ListEventPredictions` reads an index by day. A day has several shards, so that no partition gets all writes. Days
//! with predictions are noted, so that days without any are not read.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use protocol::page::PageRequest;
use protocol::page_token::TokenScope;
use protocol::{Error, Result, page_token};
use serde::{Deserialize, Serialize};
use store::records::event::event_partition;
use store::records::event_type::EventType;
use store::records::prediction::{PREDICTION_SHARDS, StoredPrediction, list_predictions};
use store::schema::PREDICTIONS_INDEX;
use store::table::{Item, KeyRange, convert_sdk_error, decode_item};

use crate::event_check::parse_request_time;
use crate::services::EngineServices;
use crate::services::prediction_index::name_index_partition;

/// The default size of a page. The service model's minimum is 50, the guide says 10.
const DEFAULT_PAGE_SIZE: usize = 10;
/// The most reads of the index for one request; after that it answers with a short page.
const MAX_INDEX_READS: usize = 40;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListEventPredictionsInput {
    event_id: Option<FilterCondition>,
    event_type: Option<FilterCondition>,
    detector_id: Option<FilterCondition>,
    detector_version_id: Option<FilterCondition>,
    prediction_time_range: Option<PredictionTimeRange>,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Deserialize, Serialize)]
struct FilterCondition {
    value: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PredictionTimeRange {
    start_time: String,
    end_time: String,
}

/// A prediction in the answer of `ListEventPredictions`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventPredictionSummary {
    event_id: String,
    event_type_name: String,
    event_timestamp: String,
    prediction_timestamp: String,
    detector_id: String,
    detector_version_id: String,
    /// Its position in time order: its sort key in the index.
    #[serde(rename = "gsi1sk", skip_serializing)]
    sort_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListEventPredictionsOutput {
    event_prediction_summaries: Vec<EventPredictionSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Lists predictions, newest first.
pub(crate) async fn list_event_predictions(
    services: &EngineServices,
    input: ListEventPredictionsInput,
) -> Result<ListEventPredictionsOutput> {
    let filter = PredictionFilter::new(&input)?;
    let scope = TokenScope::new("ListEventPredictions", &filter);
    let token = input.paging.next_token.as_deref();
    let after: Option<String> =
        page_token::decode_page_token(&scope, token, services.account.now())?;
    let size = input.paging.max_results.unwrap_or(DEFAULT_PAGE_SIZE);
    let mut page = PredictionPage {
        rows: Vec::new(),
        size,
        cursor: after.unwrap_or_else(|| filter.last_sort_key()),
    };
    let more = match &filter.event_id {
        Some(event_id) => read_event_predictions(services, &filter, event_id, &mut page).await?,
        None => read_indexed_predictions(services, &filter, &mut page).await?,
    };
    let next_token = if more {
        Some(page_token::encode_page_token(
            &scope,
            &page.cursor,
            services.account.now(),
        )?)
    } else {
        None
    };
    Ok(ListEventPredictionsOutput {
        event_prediction_summaries: page.rows,
        next_token,
    })
}

/// The rows of a page so far, and the position in time order up to which was searched.
struct PredictionPage {
    rows: Vec<EventPredictionSummary>,
    size: usize,
    cursor: String,
}

impl PredictionPage {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.size
    }

    fn add(&mut self, filter: &PredictionFilter, row: EventPredictionSummary) {
        self.cursor.clone_from(&row.sort_key);
        if filter.admits(&row) {
            self.rows.push(row);
        }
    }
}

#[derive(Serialize)]
struct PredictionFilter {
    event_id: Option<String>,
    event_type: Option<String>,
    detector_id: Option<String>,
    detector_version_id: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

impl PredictionFilter {
    fn new(input: &ListEventPredictionsInput) -> Result<Self> {
        let value =
            |condition: &Option<FilterCondition>| condition.as_ref().and_then(|c| c.value.clone());
        let range = input.prediction_time_range.as_ref();
        let from = range
            .map(|range| parse_request_time("startTime", &range.start_time))
            .transpose()?;
        let until = range
            .map(|range| parse_request_time("endTime", &range.end_time))
            .transpose()?;
        if from > until {
            return Err(Error::validation(
                "The startTime of predictionTimeRange is after its endTime.",
            ));
        }
        Ok(Self {
            event_id: value(&input.event_id),
            event_type: value(&input.event_type),
            detector_id: value(&input.detector_id),
            detector_version_id: value(&input.detector_version_id),
            from,
            until,
        })
    }

    /// A position after every prediction that the filter accepts: `$` sorts after `#`.
    fn last_sort_key(&self) -> String {
        format!("{}$", self.until.as_deref().unwrap_or("9999"))
    }

    fn admits(&self, row: &EventPredictionSummary) -> bool {
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w == value);
        is(&self.event_id, &row.event_id)
            && is(&self.event_type, &row.event_type_name)
            && is(&self.detector_id, &row.detector_id)
            && is(&self.detector_version_id, &row.detector_version_id)
            && self
                .from
                .as_ref()
                .is_none_or(|from| row.prediction_timestamp >= *from)
            && self
                .until
                .as_ref()
                .is_none_or(|until| row.prediction_timestamp <= *until)
    }
}

/// The predictions of one event id, from its partitions: there is one per event type.
async fn read_event_predictions(
    services: &EngineServices,
    filter: &PredictionFilter,
    event_id: &str,
    page: &mut PredictionPage,
) -> Result<bool> {
    let types = if let Some(event_type) = &filter.event_type {
        vec![event_type.clone()]
    } else {
        let types: Vec<EventType> = services
            .account
            .definitions
            .query(KeyRange::all("event-type"))
            .await?;
        types
            .into_iter()
            .map(|event_type| event_type.name)
            .collect()
    };
    let partitions: Vec<String> = types
        .iter()
        .map(|name| event_partition(name, event_id))
        .collect();
    let found = try_join_all(
        partitions
            .iter()
            .map(|pk| list_predictions(&services.account, pk)),
    )
    .await?;
    let mut rows: Vec<EventPredictionSummary> = found
        .into_iter()
        .flatten()
        .map(summarize_prediction)
        .collect();
    rows.retain(|row| row.sort_key < page.cursor && filter.admits(row));
    rows.sort_unstable_by(|a, b| b.sort_key.cmp(&a.sort_key));
    let more = rows.len() > page.size;
    for row in rows.into_iter().take(page.size) {
        page.add(filter, row);
    }
    Ok(more)
}

fn summarize_prediction(prediction: StoredPrediction) -> EventPredictionSummary {
    EventPredictionSummary {
        event_id: prediction.event.event_id,
        event_type_name: prediction.event.event_type_name,
        event_timestamp: prediction.event.event_timestamp,
        prediction_timestamp: prediction.prediction_timestamp,
        detector_id: prediction.detector_id,
        detector_version_id: prediction.detector_version_id,
        sort_key: prediction.gsi1sk,
    }
}

/// Reads the index day by day. Returns whether there may be more.
async fn read_indexed_predictions(
    services: &EngineServices,
    filter: &PredictionFilter,
    page: &mut PredictionPage,
) -> Result<bool> {
    let days = services.prediction_index.list_days().await?;
    let mut reads = 0;
    for day in days {
        if day > page.cursor
            || filter
                .from
                .as_ref()
                .is_some_and(|from| !from.starts_with(&day) && *from > day)
        {
            continue;
        }
        loop {
            if reads == MAX_INDEX_READS {
                return Ok(true);
            }
            reads += 1;
            let slice = read_day_slice(services, &day, page).await?;
            for row in slice.rows {
                if page.is_full() {
                    return Ok(true);
                }
                page.add(filter, row);
            }
            if slice.is_last {
                break;
            }
        }
    }
    Ok(false)
}

/// The next predictions of a day from all shards, up to where every shard has been read.
struct DaySlice {
    rows: Vec<EventPredictionSummary>,
    is_last: bool,
}

async fn read_day_slice(
    services: &EngineServices,
    day: &str,
    page: &PredictionPage,
) -> Result<DaySlice> {
    let limit = page.size + 1;
    let shards = (0..PREDICTION_SHARDS).map(|shard| {
        read_shard(
            services,
            name_index_partition(day, shard),
            &page.cursor,
            limit,
        )
    });
    let shards = try_join_all(shards).await?;
    // A shard that returned a full page may have more rows just below its last one, so rows of other shards below that
    // are kept for later.
    let cut = shards
        .iter()
        .filter(|rows| rows.len() == limit)
        .filter_map(|rows| rows.last());
    let bound = cut.map(|row| row.sort_key.clone()).max();
    let mut rows: Vec<EventPredictionSummary> = shards.into_iter().flatten().collect();
    rows.retain(|row| bound.as_ref().is_none_or(|bound| row.sort_key >= *bound));
    rows.sort_unstable_by(|a, b| b.sort_key.cmp(&a.sort_key));
    Ok(DaySlice {
        rows,
        is_last: bound.is_none(),
    })
}

async fn read_shard(
    services: &EngineServices,
    pk: String,
    before: &str,
    limit: usize,
) -> Result<Vec<EventPredictionSummary>> {
    let mut items: Vec<Item> = Vec::new();
    let mut start = None;
    loop {
        let left = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
        let request = services
            .account
            .events
            .client
            .query()
            .table_name(&services.account.events.name);
        let request = request
            .index_name(PREDICTIONS_INDEX)
            .key_condition_expression("gsi1pk = :pk AND gsi1sk < :before")
            .expression_attribute_values(":pk", AttributeValue::S(pk.clone()))
            .expression_attribute_values(":before", AttributeValue::S(before.to_owned()))
            .scan_index_forward(false)
            .limit(left);
        let output = request
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(convert_sdk_error)?;
        items.extend(output.items.unwrap_or_default());
        start = output.last_evaluated_key;
        if start.is_none() || items.len() >= limit {
            return items.into_iter().map(decode_item).collect();
        }
    }
}
