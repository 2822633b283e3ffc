//! Maps chargebacks, early warnings, refunds, reversals and analysts' verdicts to labels.

use event::{EventId, LabelMessage, LabelName, LabelTime};
use serde_json::Value;

use crate::failure::Failure;
use crate::mapping::Mapping;
use crate::mapping_file::LabelSection;
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
        let value = self.file.normalize_message(value);
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
        let named = section.label.as_ref().map(|it| read_label(it, &document));
        let label = match named.transpose()?.flatten() {
            Some(label) => Some(label),
            None => section.find_label(&kind, reason_code.as_deref())?,
        };
        let source = optional(&section.source)?.unwrap_or_default();
        let mut event_ids: Vec<EventId> = order_ids.iter().map(|id| EventId::slug(id)).collect();
        event_ids.sort_unstable();
        event_ids.dedup();
        let rank = section.source_ranks.get(&source).copied().unwrap_or(0);
        let (amount, currency) = (optional(&section.amount)?, optional(&section.currency)?);
        let of = |event_id| LabelMessage {
            event_id,
            label: label.clone(),
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

impl LabelSection {
    /// The label that the table gives for a kind and a reason code.
    fn find_label(&self, kind: &str, code: Option<&str>) -> Result<Option<LabelName>, Failure> {
        let row = self.table.iter().find(|row| row.matches(kind, code));
        let row = row.ok_or_else(|| {
            let kinds: Vec<_> = self.table.iter().map(|row| row.kind.as_str()).collect();
            let kinds = kinds.join(", ");
            let reason = format!(
                "the label table has no row for kind `{kind}` and this reason code; it has {kinds}"
            );
            Failure::rejected("unknown-label-kind", reason)
        })?;
        Ok(row.label.clone())
    }
}

/// A label that a message or an order says itself.
pub(crate) fn read_label(
    source: &ValueSource,
    document: &Document<'_>,
) -> Result<Option<LabelName>, Failure> {
    let text = source
        .read(document)
        .map_err(|problem| reject_label(source, &problem))?;
    text.map(|text| {
        LabelName::try_from(text.into_owned())
            .map_err(|error| reject_label(source, &error.to_string()))
    })
    .transpose()
}

pub(crate) fn reject_label(source: &ValueSource, problem: &str) -> Failure {
    Failure::rejected("bad-label", format!("`{source:?}`: {problem}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(labels: &str) -> Mapping {
        let text = format!(
            "event_type: order\ndetector: shop\n\
             event: {{id: /id, timestamp: /at, entity: {{type: customer, id: [/customer]}}}}\n\
             variables: {{price: /price}}\n\
             decision: {{outcome_priority: [review], on_undetermined: [review], on_no_match: [review]}}\n{labels}"
        );
        Mapping::parse("mapping.yaml", &text).unwrap()
    }

    fn map_label(mapping: &Mapping, message: &Value) -> String {
        match mapping.map_labels(message) {
            Ok(labels) => labels[0]
                .label
                .as_ref()
                .map_or("-", |it| it.as_str())
                .to_owned(),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn a_message_may_say_its_label_itself() {
        let mapping = mapping(
            "labels: {event_id: /id, kind: /kind, label: /label, timestamp: /at, table: [{kind: chargeback, label: fraud}]}",
        );
        let check = |message: Value, want: &str| {
            let mut whole = json!({"id": "1", "at": "2026-06-01"});
            whole
                .as_object_mut()
                .unwrap()
                .extend(message.as_object().unwrap().clone());
            assert_eq!(map_label(&mapping, &whole), want, "{whole}");
        };
        check(json!({"kind": "verdict", "label": "legit"}), "legit");
        check(json!({"kind": "chargeback", "label": "legit"}), "legit");
        check(json!({"kind": "Chargeback"}), "fraud");
        check(json!({"kind": "CHARGEBACK", "label": " "}), "fraud");
        check(
            json!({"kind": "verdict"}),
            "rejected: the label table has no row for kind `verdict` and this reason code; it has chargeback",
        );
        let refused = map_label(
            &mapping,
            &json!({"id": "1", "at": "2026-06-01", "kind": "verdict", "label": "not fraud"}),
        );
        assert!(refused.starts_with("rejected: `/label`: "), "{refused}");
    }

    #[test]
    fn a_row_may_name_a_group_of_the_schemes_codes() {
        let mapping = mapping(
            "labels: {event_id: /id, kind: /kind, reason_code: /code, timestamp: /at, table: [{kind: chargeback, reason: fraud, \
             label: fraud}, {kind: chargeback, label: null}]}",
        );
        for (code, want) in [
            ("10.4", "fraud"),
            ("F29", "fraud"),
            ("13.1", "-"),
            ("", "-"),
        ] {
            let message =
                json!({"id": "1", "at": "2026-06-01", "kind": "chargeback", "code": code});
            assert_eq!(map_label(&mapping, &message), want, "{code}");
        }
    }

    #[test]
    fn another_section_labels_makes_another_mapping() {
        let section = "{event_id: /id, kind: /kind, label: /kind, timestamp: /at, table: []}";
        let other = mapping("").with_label_section("x", section).unwrap();
        assert_ne!(other.hash(), mapping("").hash());
        assert_eq!(
            map_label(
                &other,
                &json!({"id": "1", "at": "2026-06-01", "kind": "legit"})
            ),
            "legit"
        );
        let error = mapping("")
            .with_label_section("x", "{event_id: /id}")
            .unwrap_err();
        assert!(error.to_string().starts_with("x:1:2: "), "{error}");
    }
}
