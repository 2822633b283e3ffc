//! Collects what is found in a template.

use super::finding::{Finding, FindingSeverity, TemplateReport};
use super::stack::{StackResource, StackTemplate};
use super::values::read_number;
use crate::cloudformation::node::YamlNode;
use crate::cloudformation::problem::LineColumn;

/// A template and what has been found in it.
pub(super) struct TemplateChecker<'a> {
    pub(super) stack: &'a StackTemplate,
    findings: Vec<Finding>,
    notes: Vec<String>,
}

impl<'a> TemplateChecker<'a> {
    pub(super) fn new(stack: &'a StackTemplate) -> Self {
        Self {
            stack,
            findings: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a finding about the resource `id`, which is at `at`.
    pub(super) fn report_at(
        &mut self,
        severity: FindingSeverity,
        (id, at): (&str, LineColumn),
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let finding = Finding {
            severity,
            resource: id.to_owned(),
            line: at.line,
            problem: problem.into(),
            advice: advice.into(),
        };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Adds a finding that loses records or decisions.
    pub(super) fn report_error(
        &mut self,
        resource: &StackResource,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let place = (resource.id.as_str(), resource.at);
        self.report_at(FindingSeverity::Error, place, problem, advice);
    }

    /// Adds a finding of the other kind.
    pub(super) fn report_warning(
        &mut self,
        resource: &StackResource,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let place = (resource.id.as_str(), resource.at);
        self.report_at(FindingSeverity::Warning, place, problem, advice);
    }

    /// A number in the properties of the resource `id`, or `default`, which AWS takes if there is none. A number that only a
    /// deployment knows is noted.
    pub(super) fn read_setting(
        &mut self,
        id: &str,
        properties: &YamlNode,
        key: &str,
        default: i64,
    ) -> Option<i64> {
        let Some(value) = properties.get(key) else {
            return Some(default);
        };
        let number = read_number(value);
        if number.is_none() {
            let note = format!("`{key}` of {id}, whose value is no number that is known here");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        number
    }

    /// The report, with the findings in the order of the file.
    pub(super) fn into_report(self, file: &str) -> TemplateReport {
        let mut findings = self.findings;
        findings.sort_by_key(|finding| finding.line);
        TemplateReport {
            file: file.to_owned(),
            findings,
            notes: self.notes,
        }
    }
}
