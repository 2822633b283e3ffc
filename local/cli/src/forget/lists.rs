//! A subject's elements of lists.

use std::collections::BTreeSet;

use aws_sdk_frauddetector::types::ListUpdateMode;
use shared::failure::error_code;
use shared::mapping::OverrideKind;

use super::{Forget, ForgetError, ForgetReport};
use crate::subject::{FoundData, describe_failed_call};

impl Forget<'_> {
    /// Removes the subject's elements from lists. The engine's lists keep a log of their changes, so the
    /// elements are removed from the log, too.
    pub(super) async fn forget_lists(
        &self,
        found: &FoundData,
        report: &mut ForgetReport,
    ) -> Result<(), ForgetError> {
        let client = &self.finder.pipeline.clients.frauddetector;
        let is_held = !report.held.is_empty();
        let blocking = if is_held || found.traces.is_any_protected() {
            self.find_blocking_lists().await?
        } else {
            BTreeSet::new()
        };
        for (list, elements) in &found.list_elements {
            // Elements for which another subject is held are kept in any case.
            let is_kept = |element: &String| {
                blocking.contains(list) && (is_held || found.traces.is_protected(element))
            };
            let (kept, elements): (Vec<String>, Vec<String>) =
                elements.iter().cloned().partition(is_kept);
            if !kept.is_empty() {
                let count = kept.len();
                let what = format!(
                    "list {list}, which blocks: {count} elements, as long as an order is held"
                );
                report.remains.push(what);
            }
            if elements.is_empty() {
                continue;
            }
            report.list_entries += elements.len();
            if self.dry_run {
                continue;
            }
            if let Some(engine) = self.finder.engine {
                engine.erase_list_elements(list, &elements).await?;
                continue;
            }
            let update = client.update_list().name(list);
            let update = update
                .update_mode(ListUpdateMode::Remove)
                .set_elements(Some(elements));
            let update = update.send().await;
            update
                .map_err(|e| describe_failed_call(format!("change list {list}"))(error_code(&e)))?;
        }
        Ok(())
    }

    /// The lists that block: a rule with the most important outcome, or a block entry of the mapping's `overrides`, tests
    /// them with `in @list`.
    async fn find_blocking_lists(&self) -> Result<BTreeSet<String>, ForgetError> {
        let client = &self.finder.pipeline.clients.frauddetector;
        let mapping = self.finder.mapping;
        let (detector, worst) = (mapping.detector(), mapping.outcome_priority().first());
        let rules = client.get_rules().detector_id(detector.as_str());
        let mut pages = rules.into_paginator().send();
        let mut lists = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| describe_failed_call("read the rules")(error_code(&e)))?;
            for rule in page.rule_details() {
                let mut outcomes = rule.outcomes().iter();
                let has_worst =
                    outcomes.any(|outcome| worst.is_some_and(|worst| worst.as_str() == outcome));
                let mut blocking = mapping.overrides(OverrideKind::Block);
                if has_worst || blocking.any(|id| rule.rule_id() == Some(id.as_str())) {
                    lists.extend(find_tested_lists(rule.expression().unwrap_or_default()));
                }
            }
        }
        Ok(lists)
    }
}

/// The lists that an expression tests with `in @list`, but not with `not in`.
fn find_tested_lists(expression: &str) -> BTreeSet<String> {
    let places = expression.match_indices('@').filter_map(|(at, _)| {
        let before = expression.get(..at)?.trim_end().strip_suffix("in")?;
        if before.trim_end().ends_with("not") {
            return None;
        }
        let name = expression.get(at + 1..)?;
        let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
        name.split(is_end).next().map(str::to_owned)
    });
    places.collect()
}
