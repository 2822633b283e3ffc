//! Why an order of a forgotten subject is kept for a time: if every fraud were forgotten on request, the
//! same person could start again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use event::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use shared::hash::to_hex;
use shared::labels::{LabelEntry, current_label};

/// How many seconds after the time of its label a dispute or fraud is a reason to hold an order: as
/// long as card schemes allow a dispute to take.
const HOLD_SECONDS: i64 = 540 * 86_400;

/// Starts each hash, so that it is not taken for an id.
const HASH_PREFIX: &str = "sha256-";

/// Why an order is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// A chargeback or a request for documents without a later reversal.
    OpenDispute,
    /// Its current label is one that the mapping gives for chargebacks.
    ConfirmedFraud,
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenDispute => "its dispute is open",
            Self::ConfirmedFraud => "it is confirmed fraud",
        })
    }
}

/// The kind of the items that keep hashes; see [`key`] and [`sort`].
pub(crate) const KIND: &str = "held";

/// The attribute with all hashes that were kept together.
pub(crate) const HASHES: &str = "hashes";

/// The attribute with the reason.
pub(crate) const REASON: &str = "reason";

/// The attribute with the end of the hold, ISO 8601 UTC.
pub(crate) const UNTIL: &str = "until";

/// How many seconds after the hold its hashes are kept: they find the elements of lists that can then
/// be forgotten.
pub(crate) const HASHES_KEPT_SECONDS: i64 = 365 * 86_400;

/// The partition key of the items that keep a hash of a held subject.
pub(crate) fn format_hold_key(hash: &str) -> String {
    format!("held#{hash}")
}

/// The sort key of the item that keeps a hash for `owner`, the hash of the held subject: several held
/// subjects may share a value.
pub(crate) fn format_hold_sort_key(owner: &str) -> String {
    format!("{KIND}#{owner}")
}

/// The owner in a sort key.
pub(crate) fn parse_owner(sort: &str) -> Option<&str> {
    sort.strip_prefix(KIND)?.strip_prefix('#')
}

/// The hash that is kept of an event's name.
pub(crate) fn hash_event(event_type: &str, event_id: &str) -> String {
    hash_value(&format!("{event_type}#{event_id}"))
}

/// The hash that is kept of an id or a value: its SHA-256.
pub(crate) fn hash_value(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("{HASH_PREFIX}{}", to_hex(&digest))
}

/// Whether a text is such a hash already.
pub(crate) fn is_hash(text: &str) -> bool {
    text.starts_with(HASH_PREFIX)
}

/// Why an order with this label history is held at `now`, and until when. `fraud` has the labels that
/// mean fraud.
pub fn find_hold(
    history: &BTreeMap<String, LabelEntry>,
    fraud: &BTreeSet<String>,
    now: Timestamp,
) -> Option<(HoldReason, Timestamp)> {
    let is = |entry: &LabelEntry, kinds: &[&str]| {
        kinds
            .iter()
            .any(|kind| entry.kind.eq_ignore_ascii_case(kind))
    };
    let newest = |kinds: &[&str]| {
        let entries = history.values().filter(|entry| is(entry, kinds));
        let times = entries.filter_map(|entry| Timestamp::parse(&entry.label_timestamp).ok());
        times.max()
    };
    let disputed = newest(&["chargeback", "retrieval"]);
    let reversed = newest(&["reversal"]);
    let open = disputed.filter(|disputed| reversed.is_none_or(|reversed| reversed < *disputed));
    let label = current_label(history);
    let confirmed = label.filter(|entry| entry.label.as_deref().is_some_and(|l| fraud.contains(l)));
    let confirmed = confirmed.and_then(|entry| Timestamp::parse(&entry.label_timestamp).ok());
    let holds = [
        (HoldReason::ConfirmedFraud, confirmed),
        (HoldReason::OpenDispute, open),
    ];
    holds
        .into_iter()
        .filter_map(|(hold, time)| {
            let until = time?.epoch_seconds() + HOLD_SECONDS;
            let until = Timestamp::from_epoch_seconds(until).ok()?;
            (until > now).then_some((hold, until))
        })
        // If both end at the same time, the dispute.
        .max_by_key(|(_, until)| *until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn disputes_and_frauds_hold() {
        let now: Timestamp = "2026-06-30T00:00:00Z".parse().unwrap();
        let dispute = "open_dispute until 2027-";
        let fraud = "confirmed_fraud until 2027-";
        for (history, want) in [
            ("", "-"),
            ("chargeback - 2026-06-01", dispute),
            ("Chargeback fraud 2026-06-01", dispute),
            ("retrieval - 2026-06-01", dispute),
            ("refund - 2026-06-01", "-"),
            ("early_warning fraud 2026-06-01", fraud),
            ("verdict legit 2026-06-01", "-"),
            (
                "chargeback fraud 2026-06-01, reversal legit 2026-06-20",
                "-",
            ),
            (
                "chargeback fraud 2026-06-01, reversal legit 2026-05-20",
                dispute,
            ),
            ("chargeback - 2024-06-01", "-"),
            ("verdict fraud 2024-06-01", "-"),
        ] {
            let entries = history.split(", ").filter(|entry| !entry.is_empty());
            let history_of = entries.map(|entry| {
                let parts: Vec<&str> = entry.split(' ').collect();
                let label = Some(parts[1]).filter(|label| *label != "-");
                let time = format!("{}T00:00:00Z", parts[2]);
                let entry: LabelEntry = serde_json::from_value(json!({
                    "label": label, "label_timestamp": time, "rank": 0, "kind": parts[0], "source": "",
                }))
                .unwrap();
                (entry.id(), entry)
            });
            let found = find_hold(
                &history_of.collect(),
                &BTreeSet::from(["fraud".to_owned()]),
                now,
            );
            let text = found.map_or("-".to_owned(), |(hold, until)| {
                let reason = serde_json::to_value(hold).unwrap();
                format!("{} until {until}", reason.as_str().unwrap())
            });
            assert!(text.starts_with(want), "{history}: {text}");
        }
    }
}
