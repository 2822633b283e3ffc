//! The mapping and the detector file: what one says and the other lacks would refuse orders, or decide nothing.

use std::collections::BTreeSet;

use event::{OutcomeName, VariableName};
use shared::mapping::Mapping;

use super::finding::FindingSeverity::{Error, Warning};
use super::finding::{Finding, FindingSeverity, TemplateReport};
use crate::apply::{DetectorTemplate, MappedDetector};
use crate::cloudformation::problem::LineColumn;

/// Compares a mapping with a detector file.
pub fn check_pair(mapping: &Mapping, template: &DetectorTemplate) -> TemplateReport {
    let mut pair = PairChecker {
        mapping,
        template,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    pair.check();
    TemplateReport {
        file: template.file.clone(),
        findings: pair.findings,
        notes: pair.notes,
    }
}

struct PairChecker<'a> {
    mapping: &'a Mapping,
    template: &'a DetectorTemplate,
    findings: Vec<Finding>,
    notes: Vec<String>,
}

/// Where a finding goes that is about the whole file.
const WHOLE_FILE: LineColumn = LineColumn { line: 1, column: 1 };

impl PairChecker<'_> {
    fn report(
        &mut self,
        severity: FindingSeverity,
        (resource, at): (&str, LineColumn),
        problem: String,
        advice: &str,
    ) {
        self.findings.push(Finding {
            severity,
            resource: resource.to_owned(),
            line: at.line,
            problem,
            advice: advice.to_owned(),
        });
    }

    fn check(&mut self) {
        let (mapping, template) = (self.mapping, self.template);
        let id = mapping.detector().as_str();
        let place = (id, WHOLE_FILE);
        let mut detectors = template.detectors.iter();
        let Some(detector) = detectors.find(|detector| detector.id == id) else {
            let problem =
                "is the detector of the mapping, and not in this file: no order is decided"
                    .to_owned();
            return self.report(Error, place, problem, "name the same detector in both");
        };
        let event_type = mapping.event_type().as_str();
        if detector.event_type != event_type {
            let problem = format!(
                "decides events of type `{}`, and the mapping makes events of type `{event_type}`: the service refuses every order",
                detector.event_type
            );
            return self.report(Error, place, problem, "name the same event type in both");
        }
        self.check_event_type();
        self.check_rules();
        let outcomes: BTreeSet<&str> = mapping
            .outcome_priority()
            .iter()
            .map(OutcomeName::as_str)
            .collect();
        for rule in &detector.rules {
            let unknown = rule
                .outcomes
                .iter()
                .filter(|name| !outcomes.contains(name.as_str()));
            for outcome in unknown {
                let problem = format!(
                    "has the outcome `{outcome}`, which outcome_priority of the mapping lacks: its orders are undetermined"
                );
                let advice = "add it to outcome_priority";
                self.report(Warning, (&rule.id, rule.at), problem, advice);
            }
        }
    }

    /// The service refuses an event with a variable, or a label, that its type lacks.
    fn check_event_type(&mut self) {
        let (mapping, template) = (self.mapping, self.template);
        let name = mapping.event_type().as_str();
        let mut event_types = template.event_types.iter();
        let Some(event_type) = event_types.find(|event_type| event_type.name == name) else {
            let note = format!("the event type `{name}`, which is not in this file");
            return self.notes.push(note);
        };
        let filled = mapping.variables().chain(mapping.variables_of_the_past());
        let filled: BTreeSet<&str> = filled.map(VariableName::as_str).collect();
        for variable in filled {
            if !event_type.variables.iter().any(|known| known == variable) {
                let problem = format!(
                    "lacks the variable `{variable}`, which the mapping fills: the service refuses every order that has it"
                );
                let advice = "add the variable to the event type, or remove it from the mapping";
                self.report(Error, (name, WHOLE_FILE), problem, advice);
            }
        }
        for label in mapping.chargeback_labels() {
            if !event_type.labels.contains(&label) {
                let problem = format!(
                    "lacks the label `{label}`, which the mapping gives for chargebacks: the service refuses them"
                );
                let advice = "add the label to the event type, or change the table of labels";
                self.report(Error, (name, WHOLE_FILE), problem, advice);
            }
        }
    }

    /// A rule that reads what is never filled cannot match, and neither can one that is missing.
    fn check_rules(&mut self) {
        let mapped = MappedDetector::new(self.mapping);
        match mapped.find_unfilled_rules(self.template) {
            Ok(unfilled) => {
                for rule in unfilled {
                    let names = rule.variables.join(", ");
                    let problem = format!("reads {names}, which the mapping never fills: it cannot match");
                    let advice = "fill the variables in the mapping, or change the rule";
                    self.report(Error, (&rule.id, rule.at), problem, advice);
                }
            }
            Err(_) => self.notes.push(
                "the rules, which need what is not in this file or are invalid; fraudstream apply --dry-run says which".to_owned(),
            ),
        }
        for missing in mapped.find_missing(self.template) {
            let advice = "add the rule to the detector, or remove it from overrides";
            self.report(Error, (&missing.rule, WHOLE_FILE), missing.message, advice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::TemplateInputs;

    const MAPPING: &str = include_str!("../../../../config/mapping.yaml");
    const DETECTOR: &str = include_str!("../../../../config/detector.yaml");

    /// The findings after replacing a text, which is there, in the mapping or in the detector file.
    #[track_caller]
    fn broken(in_mapping: bool, from: &str, to: &str) -> Vec<String> {
        let (mut mapping, mut detector) = (MAPPING.to_owned(), DETECTOR.to_owned());
        let text = if in_mapping {
            &mut mapping
        } else {
            &mut detector
        };
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
        // The settings of reviews name outcomes, too, and an unknown one is refused before.
        let mapping = mapping.replace("then: challenge", "then: approve");
        let mapping = mapping.replace("overflow: challenge", "overflow: approve");
        let mapping = Mapping::parse("mapping.yaml", &mapping).unwrap();
        let template = DetectorTemplate::parse("d.yaml", &detector, &TemplateInputs::default());
        let report = check_pair(&mapping, &template.unwrap()).to_string();
        report.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_files_of_the_repository_agree() {
        assert_eq!(
            broken(true, "detector: orders", "detector: orders"),
            ["d.yaml: nothing found that would lose orders or money"]
        );
    }

    #[test]
    fn names_that_differ_decide_nothing() {
        assert_eq!(
            broken(true, "detector: orders", "detector: other"),
            [
                "error: other (d.yaml:1) is the detector of the mapping, and not in this file: no order is decided; name the same \
                 detector in both"
            ]
        );
        assert_eq!(
            broken(true, "event_type: order\n", "event_type: purchase\n"),
            [
                "error: orders (d.yaml:1) decides events of type `order`, and the mapping makes events of type `purchase`: the \
                 service refuses every order; name the same event type in both"
            ]
        );
    }

    #[track_caller]
    fn finds(in_mapping: bool, from: &str, to: &str, want: &str) {
        let got = broken(in_mapping, from, to);
        assert!(got.iter().any(|line| line.contains(want)), "{got:#?}");
    }

    #[test]
    fn each_part_that_the_other_file_lacks_is_a_finding() {
        // The mapping no longer fills what a rule reads.
        finds(
            true,
            "  payment_attempts: {from: /payment/attempts, type: FLOAT}\n",
            "",
            "reads $payment_attempts, which the mapping never fills: it cannot match",
        );
        finds(
            true,
            "variables:\n  # who\n",
            "variables:\n  shoe_size: /customer/shoe_size\n",
            "error: order (d.yaml:1) lacks the variable `shoe_size`, which the mapping fills",
        );
        finds(
            false,
            "      Name: fraud\n",
            "      Name: stolen\n",
            "error: order (d.yaml:1) lacks the label `fraud`, which the mapping gives for chargebacks",
        );
        finds(
            true,
            "outcome_priority: [block, review, challenge, approve]",
            "outcome_priority: [block, review, approve]",
            "has the outcome `challenge`, which outcome_priority of the mapping lacks: its orders are undetermined",
        );
    }
}
