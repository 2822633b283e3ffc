//! `fraudstream evaluate`: reads the detector file, evaluates, prints.

use std::path::Path;

use clap::Args;
use evaluation::{
    DetectorFile, Evaluate, EventColumns, FileRule, FileVariable, MeasuredDetector, RulesError,
};

use super::CommandError;
use super::apply::ParameterArgs;
use super::output::print_line;
use crate::apply::{DetectorTemplate, TemplateInputs};

/// The arguments of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    evaluate: Evaluate,
    #[command(flatten)]
    parameters: ParameterArgs,
}

impl EvaluateArgs {
    /// Trains, measures, and prints the evaluation.
    pub(crate) fn run(&self) -> Result<(), CommandError> {
        let Self {
            evaluate,
            parameters,
        } = self;
        let inputs = TemplateInputs::new(parameters.parameters.clone());
        let columns = EventColumns::find(&evaluate.train, &evaluate.column_options)?;
        if !evaluate.json {
            print_line(columns.describe().trim_end())?;
        }
        let detector = evaluate.detector.as_deref();
        let detector = detector
            .map(|path| read_detector(path, &inputs))
            .transpose()?;
        let evaluation = evaluate.run(&columns, detector.as_ref())?;
        if evaluate.json {
            print_line(serde_json::to_string_pretty(&evaluation)?)
        } else {
            print_line(evaluation.to_string().trim_end())
        }
    }
}

/// Reads a detector file and compiles its rules.
fn read_detector(path: &Path, inputs: &TemplateInputs) -> Result<MeasuredDetector, RulesError> {
    let template =
        DetectorTemplate::read(path, inputs).map_err(|error| RulesError::File(error.into()))?;
    MeasuredDetector::new(to_detector_file(path.display().to_string(), &template)?)
}

/// What the evaluation needs of a template.
fn to_detector_file(path: String, template: &DetectorTemplate) -> Result<DetectorFile, RulesError> {
    let [detector] = template.detectors.as_slice() else {
        let found = template.detectors.len();
        return Err(RulesError::Detectors { file: path, found });
    };
    let variables = template
        .event_variables(detector)
        .map(|variable| FileVariable {
            name: variable.name.clone(),
            ty: variable.ty,
            default: variable.default.clone(),
        })
        .collect();
    let rules = detector
        .rules
        .iter()
        .map(|rule| FileRule {
            id: rule.id.clone(),
            expression: rule.expression.clone(),
            outcomes: rule.outcomes.clone(),
        })
        .collect();
    let scores = template.score_variables(detector).into_iter();
    Ok(DetectorFile {
        path,
        id: detector.id.clone(),
        mode: detector.mode.clone(),
        variables,
        scores: scores.map(|(name, _)| name).collect(),
        lists: template
            .lists
            .iter()
            .map(|list| (list.name.clone(), list.values()))
            .collect(),
        rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_becomes_what_is_measured() {
        let template = DetectorTemplate::parse(
            "t.yaml",
            include_str!("../apply/tests/small.yaml"),
            &TemplateInputs::default(),
        )
        .unwrap();
        let file = to_detector_file("t.yaml".to_owned(), &template).unwrap();
        let names: Vec<&str> = file
            .variables
            .iter()
            .map(|variable| variable.name.as_str())
            .collect();
        assert_eq!(names, ["price", "signed_up_at", "email"]);
        assert_eq!(
            (file.id.as_str(), file.mode.as_str()),
            ("orders", "ALL_MATCHED")
        );
        let blocked = file.lists["blocked"].as_ref().unwrap();
        assert!(blocked.contains("EVE@example.com"));
        assert_eq!(file.rules.len(), 2);
        MeasuredDetector::new(file).unwrap();
    }
}
