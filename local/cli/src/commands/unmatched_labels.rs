//! Labels about orders that are neither decided nor stored: `fraudstream show --unmatched`.

use evaluation::text_table::build_text_table;
use serde::Serialize;
use shared::decisions::ItemKey;
use shared::labels::LabelEntry;
use shared::mapping::Mapping;

use super::CommandError;
use super::workspace::Workspace;
use crate::printable::printable_value;

/// Labels that a table shows; `--json` prints all.
const ROWS: usize = 100;

/// A label whose order is not known.
#[derive(Debug, Serialize)]
pub(super) struct UnmatchedLabel {
    /// The id of the order, as far as it is an id of the service.
    event_id: String,
    #[serde(flatten)]
    entry: LabelEntry,
}

/// Reads all label histories, and keeps those of orders that are neither decided nor stored at the service.
pub(super) async fn find_unmatched_labels(
    workspace: &Workspace<'_>,
    mapping: &Mapping,
) -> Result<Vec<UnmatchedLabel>, CommandError> {
    let decisions = workspace.pipeline.decisions();
    let mut unmatched = Vec::new();
    let mut after: Option<ItemKey> = None;
    loop {
        let page = decisions
            .scan_labels(mapping.event_type(), after.as_ref())
            .await?;
        for (_, event) in page.items {
            let event_id = event.event_id.as_str().try_into()?;
            let revisions = decisions.revisions(mapping.event_type(), &event_id).await?;
            if revisions.is_empty() && !is_stored(workspace, mapping, &event.event_id).await? {
                unmatched.extend(event.labels.into_values().map(|entry| UnmatchedLabel {
                    event_id: event.event_id.clone(),
                    entry,
                }));
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    unmatched.sort_by(|one, other| {
        let key =
            |label: &UnmatchedLabel| (label.entry.label_timestamp.clone(), label.event_id.clone());
        key(one).cmp(&key(other))
    });
    Ok(unmatched)
}

/// Whether the service has the event.
async fn is_stored(
    workspace: &Workspace<'_>,
    mapping: &Mapping,
    event_id: &str,
) -> Result<bool, CommandError> {
    let call = workspace.pipeline.clients.frauddetector.get_event();
    let call = call
        .event_id(event_id)
        .event_type_name(mapping.event_type().as_str());
    match call.send().await {
        Ok(_) => Ok(true),
        Err(error) => match error.into_service_error() {
            error if error.is_resource_not_found_exception() => Ok(false),
            error => Err(error.into()),
        },
    }
}

/// The labels as a table, the oldest first.
pub(super) fn describe_unmatched_labels(labels: &[UnmatchedLabel]) -> String {
    if labels.is_empty() {
        return "every label has its order\n".to_owned();
    }
    let rows = labels.iter().take(ROWS).map(|label| {
        let entry = &label.entry;
        let amount = entry.amount.clone().unwrap_or_default();
        let currency = entry.currency.clone().unwrap_or_default();
        [
            label.event_id.clone(),
            entry.label_timestamp.clone(),
            entry.kind.clone(),
            entry.reason_code.clone().unwrap_or_default(),
            format!("{amount} {currency}"),
            entry.label.clone().unwrap_or_else(|| "-".to_owned()),
        ]
        .map(|text| printable_value(&text))
        .to_vec()
    });
    let header = ["order", "known since", "kind", "code", "amount", "label"];
    let table = build_text_table(&header, rows).trim_fmt();
    let more = match labels.len().saturating_sub(ROWS) {
        0 => String::new(),
        more => format!("and {more} more; --json prints all\n"),
    };
    format!("{table}\n{more}")
}
