//! Maps chargebacks, early warnings, refunds, reversals and analysts' verdicts to labels.

use event::{EventId, LabelMessage, LabelTime};
use serde_json::Value;

use crate::failure::Failure;
use crate::mapping::Mapping;
use crate::required::{check_length, read_all_required, read_required};
use crate::value_source::{Document, ValueSource};

impl Mapping {
    /// Maps one message, such as a chargeback, to a label for each order that it names, at least one.
    ///
    /// # Errors
    /// [`Failure::Rejected`] if an order id, the kind or the time cannot be read, or the table has no row for the kind and
    /// reason code; [`Failure::Skipped`] if the message brings no label.
    pub fn map_labels(&self, value: &Value) -> Result<Vec<LabelMessage>, Failure> {
        let Some(section) = &self.file.labels else {
            return Err(Failure::set_up("the mapping has no `labels` section"));
        };
        let value = self.file.no_value.blank_out(value);
        let document = Document::new(&value);
        // If it cannot be told, the message is read as a label; what is none is rejected then.
        if let Some(condition) = &section.skip_when
            && condition.holds(&document) == Ok(true)
        {
            return Err(Failure::Skipped);
        }
        let optional = |source: &Option<ValueSource>| match source {
            None => Ok(None),
            Some(source) => check_length(
                source,
                source
                    .read(&document)
                    .map_err(|problem| reject_label(source, &problem))?,
            ),
        };
        let order_ids = read_all_required(&section.event_id, &document, "event_id")?;
        let kind = read_required(&section.kind, &document, "kind")?;
        let time = read_required(&section.timestamp, &document, "timestamp")?;
        let time = LabelTime::parse(&time, &self.file.timezone.0).map_err(|error| {
            Failure::rejected(
                "bad-timestamp",
                format!("`{:?}`: {error}", section.timestamp),
            )
        })?;
        let reason_code = optional(&section.reason_code)?;
        let row = section.table.iter().find(|row| row.matches(&kind, reason_code.as_deref())).ok_or_else(|| {
            let kinds: Vec<_> = section.table.iter().map(|row| row.kind.as_str()).collect();
            Failure::rejected(
                "unknown-label-kind",
                format!("the label table has no row for kind `{kind}` and this reason code; it has {}", kinds.join(", ")),
            )
        })?;
        let source = optional(&section.source)?.unwrap_or_default();
        let mut event_ids: Vec<EventId> = order_ids.iter().map(|id| EventId::slug(id)).collect();
        event_ids.sort_unstable();
        event_ids.dedup();
        let rank = section.source_ranks.get(&source).copied().unwrap_or(0);
        let (amount, currency) = (optional(&section.amount)?, optional(&section.currency)?);
        let of = |event_id| LabelMessage {
            event_id,
            label: row.label.clone(),
            time,
            rank,
            kind: kind.clone(),
            reason_code: reason_code.clone(),
            amount: amount.clone(),
            currency: currency.clone(),
            source: source.clone(),
        };
        Ok(event_ids.into_iter().map(of).collect())
    }
}

pub(crate) fn reject_label(source: &ValueSource, problem: &str) -> Failure {
    Failure::rejected("bad-label", format!("`{source:?}`: {problem}"))
}
