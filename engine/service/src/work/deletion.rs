//! The deletion of an event type's events: a scan of the table of events.
//!
//! Deletes events, labels and entity histories. Predictions are kept, as when one event is deleted without its audit
//! history; their events no longer count as stored.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::{Error, Result};
use store::records::entity_history::{ENTITY_HISTORY_SORT_KEY, entity_history_partition};
use store::records::event::event_partition;
use store::records::prediction::StoredPrediction;
use store::table::{Item, Key, convert_sdk_error, decode_item, text_attribute};

use crate::operations::events;
use crate::services::EngineServices;
use crate::work::{AT_ONCE, JobRun, JobStopReason};

/// Items read in one step, of any event type.
const SCAN_PAGE_ITEMS: i32 = 1000;

pub(super) async fn run_deletion(job_run: &mut JobRun<'_>) -> Result<(), JobStopReason> {
    let event_type = job_run.job.event_type_name.clone();
    loop {
        let (items, after) = scan_events(job_run, &event_type).await?;
        let services = job_run.services();
        let work: Vec<_> = items
            .into_iter()
            .map(|item| delete_event_item(services, &event_type, item))
            .collect();
        let deleted: Vec<bool> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
        job_run.state.processed += deleted.into_iter().filter(|deleted| *deleted).count() as u64;
        let is_last = after.is_none();
        job_run.state.position.after = after;
        job_run.services().flush().await?;
        job_run.save_progress(None).await?;
        if is_last {
            break;
        }
    }
    job_run
        .services()
        .statistics
        .delete_time_span(&event_type)
        .await?;
    Ok(())
}

/// Deletes the part of an item that belongs to an event. Returns whether it was the event itself.
async fn delete_event_item(
    services: &EngineServices,
    event_type: &str,
    item: Item,
) -> Result<bool, Error> {
    let text = |name: &str| text_attribute(&item, name).cloned();
    let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
        return Ok(false);
    };
    if matches!(sk.as_str(), "event" | "label") {
        let is_event = sk == "event";
        return Ok(
            events::delete_event_item(services, event_type, &Key::new(pk, sk)).await? && is_event,
        );
    }
    if sk == ENTITY_HISTORY_SORT_KEY {
        services.account.events.delete(&Key::new(pk, sk)).await?;
        return Ok(false);
    }
    let prediction: StoredPrediction = decode_item(item)?;
    if prediction.stored {
        events::mark_as_not_stored(services, &prediction).await?;
    }
    Ok(false)
}

type ScanPosition = Option<(String, String)>;

/// The next items of the event type, and the key to continue after.
async fn scan_events(
    job_run: &JobRun<'_>,
    event_type: &str,
) -> Result<(Vec<Item>, ScanPosition), JobStopReason> {
    let table = &job_run.services().account.events;
    let start = job_run.state.position.after.as_ref();
    let start = start.map(|(pk, sk)| Key::new(pk, sk).attributes());
    let request = table
        .client
        .scan()
        .table_name(&table.name)
        .limit(SCAN_PAGE_ITEMS);
    let output = request
        .filter_expression("begins_with(pk, :events) OR begins_with(pk, :histories)")
        .expression_attribute_values(
            ":events",
            AttributeValue::S(event_partition(event_type, "")),
        )
        .expression_attribute_values(
            ":histories",
            AttributeValue::S(entity_history_partition(event_type, "")),
        )
        .set_exclusive_start_key(start)
        .send()
        .await
        .map_err(convert_sdk_error)?;
    let text = |item: &Item, name: &str| text_attribute(item, name).cloned();
    let after = output.last_evaluated_key;
    let after = after.and_then(|key| Some((text(&key, "pk")?, text(&key, "sk")?)));
    Ok((output.items.unwrap_or_default(), after))
}
