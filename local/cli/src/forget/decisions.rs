//! A subject's decisions and labels: deleted, or held without what belongs to the person.

use aws_sdk_dynamodb::types::AttributeValue;
use event::EventId;
use shared::decisions::Decision;
use shared::failure::{Failure, error_code};
use shared::mapping::HashedKeys;
use shared::reviews::Verdict;

use super::{Forget, ForgetError, ForgetReport, HeldOrder};
use crate::hold;
use crate::subject::{self, FoundData, FoundLabels, Traces, VariableTypes, describe_failed_call};

impl Forget<'_> {
    /// The orders that are held for now.
    pub(super) fn find_held_orders(&self, found: &FoundData) -> Vec<HeldOrder> {
        let fraud = self.finder.mapping.chargeback_labels();
        let events = found.traces.events.iter();
        let held = events.filter_map(|(event_type, event_id)| {
            let history = found.label_history(event_type, event_id);
            let (reason, until) = hold::find_hold(&history, &fraud, self.now)?;
            Some(HeldOrder {
                event_type: event_type.clone(),
                event_id: event_id.clone(),
                reason,
                until: until.to_string(),
                expires_at: until.epoch_seconds(),
            })
        });
        held.collect()
    }

    /// Keeps the hashes of a held subject, with the reason that lasts longest.
    pub(super) async fn write_holds(
        &self,
        traces: &Traces,
        held: &[HeldOrder],
    ) -> Result<(), ForgetError> {
        let events = held
            .iter()
            .map(|held| hold::hash_event(&held.event_type, &held.event_id));
        let mut hashes = traces.all_hashes();
        hashes.extend(events);
        let Some(held) = held.iter().max_by_key(|held| held.expires_at) else {
            return Ok(());
        };
        let together = AttributeValue::Ss(hashes.iter().cloned().collect());
        let expires_at = held.expires_at + hold::HASHES_KEPT_SECONDS;
        for owner in traces.owner_hashes() {
            for hash in &hashes {
                let put = self.finder.pipeline.clients.dynamodb.put_item();
                let put = put
                    .table_name(&self.finder.pipeline.decisions_table)
                    .item("pk", AttributeValue::S(hold::format_hold_key(hash)))
                    .item("sk", AttributeValue::S(hold::format_hold_sort_key(&owner)))
                    .item("kind", AttributeValue::S(hold::KIND.to_owned()))
                    .item(hold::HASHES, together.clone())
                    .item(hold::REASON, AttributeValue::S(held.reason.to_string()))
                    .item(hold::UNTIL, AttributeValue::S(held.until.clone()))
                    .item("expires_at", AttributeValue::N(expires_at.to_string()));
                let put = put.send().await;
                put.map_err(|error| {
                    describe_failed_call("keep why something is held")(error_code(&error))
                })?;
            }
        }
        Ok(())
    }

    pub(super) async fn forget_decisions(
        &self,
        found: &FoundData,
        report: &mut ForgetReport,
    ) -> Result<(), ForgetError> {
        let is_held = |event_id: &str, report: &ForgetReport| {
            report.held.iter().any(|held| held.event_id == event_id)
        };
        for (event_type, event_id) in &found.traces.events {
            if !is_held(event_id, report) {
                // A label is stored on every decision of its event, and beside them.
                report.labels += found.label_history(event_type, event_id).len();
            }
        }
        for labels in &found.labels {
            let mut held = report.held.iter();
            if held.any(|h| {
                labels
                    .pk
                    .ends_with(&format!("#{}#{}", h.event_type, h.event_id))
            }) {
                self.strip_labels(labels).await?;
                continue;
            }
            self.delete_item(&labels.pk, subject::LABELS).await?;
        }
        self.take_out_of_profiles(found).await?;
        for verdict in &found.verdicts {
            if is_held(&verdict.event_id, report) {
                self.strip_verdict(verdict).await?;
                continue;
            }
            report.verdicts += 1;
            self.delete_item(&verdict.pk, &verdict.sk).await?;
        }
        let types = self.finder.variable_types().await?;
        for decision in &found.decisions {
            if is_held(&decision.event_id, report) {
                self.strip_decision(&found.traces, &types, decision).await?;
                continue;
            }
            report.decisions += 1;
            self.delete_item(&decision.pk, &decision.sk).await?;
        }
        // If no order is held any more, nothing is kept of former holds.
        for (pk, sk) in found.held_items.iter().filter(|_| report.held.is_empty()) {
            self.delete_item(pk, sk).await?;
        }
        Ok(())
    }

    /// Takes the orders out of what is known of their keys. That comes before the decisions are deleted, because they, and the
    /// items of ingested events, name the keys.
    async fn take_out_of_profiles(&self, found: &FoundData) -> Result<(), ForgetError> {
        if self.dry_run {
            return Ok(());
        }
        let mapping = self.finder.mapping;
        let profiles = self.finder.pipeline.profiles();
        let failed = |failure: Failure| {
            describe_failed_call("take orders out of the profiles of their keys")(
                failure.to_string(),
            )
        };
        let decided = found.decisions.iter();
        let mut orders: Vec<(String, HashedKeys)> = decided
            .map(|decision| (decision.event_id.clone(), decision.velocity_keys.clone()))
            .collect();
        let events = found.traces.events.iter();
        let own_type = mapping.event_type().as_str();
        let ids = events.filter(|(event_type, _)| event_type == own_type);
        let ids: Vec<EventId> = ids
            .filter_map(|(_, event_id)| EventId::try_from(event_id.clone()).ok())
            .collect();
        for event_id in &ids {
            let keys = profiles.read_event_keys(mapping, event_id).await;
            let keys = keys.map_err(failed)?.into_iter();
            orders.extend(keys.map(|event| (event_id.to_string(), event.keys)));
        }
        let counted: Vec<_> = orders
            .iter()
            .map(|(id, keys)| (id.as_str(), keys))
            .collect();
        let forgotten = profiles.forget(mapping, &counted, self.now).await;
        forgotten.map_err(failed)?;
        for event_id in &ids {
            let deleted = profiles.delete_event_keys(mapping, event_id).await;
            deleted.map_err(failed)?;
        }
        Ok(())
    }

    /// Removes the messages that brought the labels: they may have any data.
    async fn strip_labels(&self, labels: &FoundLabels) -> Result<(), ForgetError> {
        if self.dry_run || labels.records.is_empty() {
            return Ok(());
        }
        let update = self.finder.pipeline.clients.dynamodb.update_item();
        let mut update = update
            .table_name(&self.finder.pipeline.decisions_table)
            .key("pk", AttributeValue::S(labels.pk.clone()))
            .key("sk", AttributeValue::S(subject::LABELS.to_owned()))
            .condition_expression("attribute_exists(pk)");
        let mut places = Vec::new();
        for (place, name) in labels.records.iter().enumerate() {
            update = update.expression_attribute_names(format!("#r{place}"), name);
            places.push(format!("#r{place}"));
        }
        let update = update.update_expression(format!("REMOVE {}", places.join(", ")));
        let update = update.send().await;
        update
            .map_err(|e| describe_failed_call("remove the messages of labels")(error_code(&e)))?;
        Ok(())
    }

    /// Writes a held decision without what belongs to the person.
    async fn strip_decision(
        &self,
        traces: &Traces,
        types: &VariableTypes,
        decision: &Decision,
    ) -> Result<(), ForgetError> {
        if self.dry_run {
            return Ok(());
        }
        let mut decision = decision.clone();
        traces.strip_personal_data(types, &mut decision);
        let item = serde_dynamo::to_item(&decision);
        let item =
            item.map_err(|e| describe_failed_call("write a held decision")(e.to_string()))?;
        let put = self.finder.pipeline.clients.dynamodb.put_item();
        let put = put
            .table_name(&self.finder.pipeline.decisions_table)
            .set_item(Some(item));
        // A label that is added meanwhile, or a step of a reviewer, increments a count; then the command has to be run again.
        let number = |number: u32| AttributeValue::N(number.to_string());
        let put = put.expression_attribute_values(":revision", number(decision.label_revision));
        let put = match &decision.review {
            Some(case) => put
                .condition_expression("label_revision = :revision AND review.changes = :changes")
                .expression_attribute_values(":changes", number(case.changes)),
            None => put.condition_expression(
                "label_revision = :revision AND attribute_not_exists(review)",
            ),
        };
        let put = put.send().await;
        put.map_err(|e| describe_failed_call("write a held decision")(error_code(&e)))?;
        Ok(())
    }

    /// Removes what reviewers wrote: it may be about the person.
    async fn strip_verdict(&self, verdict: &Verdict) -> Result<(), ForgetError> {
        if self.dry_run {
            return Ok(());
        }
        let update = self.finder.pipeline.clients.dynamodb.update_item();
        let update = update
            .table_name(&self.finder.pipeline.decisions_table)
            .set_key(Some(verdict.key().attributes()))
            .condition_expression("attribute_exists(pk)");
        let update = match &verdict.recheck {
            Some(_) => update
                .update_expression("REMOVE reason SET recheck.reason = :nothing")
                .expression_attribute_values(":nothing", AttributeValue::S(String::new())),
            None => update.update_expression("REMOVE reason"),
        };
        let update = update.send().await;
        update.map_err(|e| describe_failed_call("write a held verdict")(error_code(&e)))?;
        Ok(())
    }

    async fn delete_item(&self, pk: &str, sk: &str) -> Result<(), ForgetError> {
        if self.dry_run {
            return Ok(());
        }
        let delete = self.finder.pipeline.clients.dynamodb.delete_item();
        let delete = delete
            .table_name(&self.finder.pipeline.decisions_table)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        let delete = delete.send().await;
        delete.map_err(|e| describe_failed_call("delete a decision")(error_code(&e)))?;
        Ok(())
    }
}
