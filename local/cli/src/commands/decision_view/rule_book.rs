//! What rules say of themselves: their descriptions and expressions at the service.

use std::collections::BTreeMap;

use aws_sdk_frauddetector::Client;
use shared::decisions::Decision;
use shared::failure::error_code;

/// The rules of a detector, by id and version.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleBook {
    rules: BTreeMap<String, BTreeMap<u32, RuleText>>,
    /// Why the rules could not be read.
    problem: Option<String>,
}

/// One version of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleText {
    pub(super) description: String,
    pub(super) expression: String,
}

impl RuleBook {
    /// Reads all rules of a detector. If they cannot be read, decisions are shown without them.
    pub(crate) async fn read(client: &Client, detector_id: &str) -> Self {
        let mut book = Self::default();
        let rules = client.get_rules().detector_id(detector_id);
        let mut pages = rules.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let code = error_code(&error);
                    book.problem =
                        Some(format!("the descriptions of rules cannot be read: {code}"));
                    break;
                }
            };
            for rule in page.rule_details() {
                let text = RuleText {
                    description: rule.description().unwrap_or_default().to_owned(),
                    expression: rule.expression().unwrap_or_default().to_owned(),
                };
                let version = rule.rule_version().and_then(|text| text.parse().ok());
                let versions = book
                    .rules
                    .entry(rule.rule_id().unwrap_or_default().to_owned());
                versions.or_default().insert(version.unwrap_or(0), text);
            }
        }
        book
    }

    /// Why it has no descriptions, if they could not be read.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// A rule as the decision used it. Amazon does not say which version that was: then it is the newest.
    pub(super) fn rule(&self, decision: &Decision, rule_id: &str) -> Option<&RuleText> {
        let versions = self.rules.get(rule_id)?;
        let mut used = decision.verdict.prediction.rules.iter();
        match used.find(|used| used.id == rule_id) {
            Some(used) => versions.get(&used.version),
            None => versions.last_key_value().map(|(_, text)| text),
        }
    }

    /// The rule with its description.
    pub(super) fn describe(&self, decision: &Decision, rule_id: &str) -> String {
        match self.rule(decision, rule_id) {
            Some(rule) if !rule.description.is_empty() => {
                format!("{rule_id}: {}", rule.description)
            }
            _ => rule_id.to_owned(),
        }
    }
}
