//! A version that judges beside the one that decides. What it says is stored with the prediction, in the same item: no
//! record is lost, none costs a write, and nobody but who reads the prediction sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::Result;
use store::records::event::{StoredEvent, event_partition};
use store::records::prediction::{
    ModelAnswers, ShadowVerdict, StoredPrediction, list_predictions_made_at,
};

use crate::predict::verdicts::{UNDETERMINED, list_matched_rules, list_rules_with_verdict};
use crate::predict::{evaluate_rules, fill_model_answers, fill_rule_row, score_models};
use crate::services::EngineServices;
use crate::services::definition_cache::{CompiledDetector, ReadyDetector};
use crate::services::entity_history::EventInHistory;

/// What a shadow said of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowDecision {
    /// The version.
    pub version: String,
    /// The rules that matched.
    pub matched: Vec<String>,
    /// The rules that could not be evaluated.
    pub undetermined: Vec<String>,
}

/// An event as the version that decides saw it.
pub(super) struct SeenEvent<'a> {
    pub(super) event: &'a StoredEvent,
    pub(super) in_history: Option<&'a EventInHistory>,
    pub(super) answers: &'a ModelAnswers,
    pub(super) now_ms: i64,
    /// Whether it is no row of a job, which judges by the version that it was told and nothing beside it.
    pub(super) is_live: bool,
}

/// Judges a live event by the shadow of a detector, if it has one and that did not decide itself, for its share.
pub(super) async fn judge_beside(
    services: &EngineServices,
    live: &ReadyDetector,
    decides: &CompiledDetector,
    seen: &SeenEvent<'_>,
) -> Result<Option<ShadowVerdict>> {
    let number = |compiled: &CompiledDetector| compiled.version.detector_version_id;
    let is_beside = |shadow: &&Arc<ReadyDetector>| number(&shadow.compiled) != number(decides);
    match live.beside.shadow.as_ref().filter(is_beside) {
        Some(shadow) if seen.is_live => judge_in_shadow(services, decides, shadow, seen)
            .await
            .map(Some),
        _ => Ok(None),
    }
}

/// Judges an event by a shadow, from the same variables and scores. A model that only the shadow has is asked, too; an
/// external one is not, so its rules are undetermined.
async fn judge_in_shadow(
    services: &EngineServices,
    decides: &CompiledDetector,
    shadow: &ReadyDetector,
    seen: &SeenEvent<'_>,
) -> Result<ShadowVerdict> {
    let compiled = &shadow.compiled;
    let mut row = fill_rule_row(compiled, &seen.event.event_variables)?;
    let mut model_scores = BTreeMap::new();
    if has_same_models(decides, compiled) {
        fill_model_answers(seen.answers, compiled, &mut row);
    } else {
        model_scores = score_models(services, compiled, seen.event, seen.in_history).await;
        let answers = ModelAnswers {
            model_scores: model_scores.clone(),
            ..seen.answers.clone()
        };
        fill_model_answers(&answers, compiled, &mut row);
    }
    Ok(ShadowVerdict {
        detector_version_id: compiled.version.detector_version_id.to_string(),
        version_bundle: shadow.version_bundle.clone(),
        verdicts: evaluate_rules(shadow, &row, seen.now_ms),
        model_scores,
    })
}

fn has_same_models(one: &CompiledDetector, other: &CompiledDetector) -> bool {
    let versions = |compiled: &CompiledDetector| {
        let models = compiled.version.models.iter();
        models
            .map(|model| model.version.clone())
            .collect::<Vec<_>>()
    };
    versions(one) == versions(other)
}

/// What a shadow said of an event in the prediction that was made at a time; `None` if none judged it.
pub(crate) async fn find_shadow_decision(
    services: &EngineServices,
    event_type: &str,
    event_id: &str,
    made_at: &str,
) -> Result<Option<ShadowDecision>> {
    let pk = event_partition(event_type, event_id);
    let made = list_predictions_made_at(&services.account, &pk, made_at).await?;
    let mut judged = made.into_iter().filter_map(|prediction: StoredPrediction| {
        let shadow = prediction.shadow.clone()?;
        Some((prediction, shadow))
    });
    let Some((prediction, shadow)) = judged.next() else {
        return Ok(None);
    };
    let compiled = services
        .definition_cache
        .get_compiled_detector(&shadow.version_bundle, &prediction.event_type_bundle)
        .await?;
    let matched = list_matched_rules(&compiled, &shadow.verdicts);
    let undetermined = list_rules_with_verdict(&compiled, &shadow.verdicts, UNDETERMINED);
    Ok(Some(ShadowDecision {
        version: shadow.detector_version_id.clone(),
        matched: matched.map(|rule| rule.rule_id.clone()).collect(),
        undetermined: undetermined.map(|rule| rule.rule_id.clone()).collect(),
    }))
}
