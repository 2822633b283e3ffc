//! Models and their versions over the Fraud Detector API, for `train` and `import-model`.

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::types::{
    ModelTypeEnum, ModelVersionDetail, ModelVersionStatus, OfiTrainingMetricsValue,
    TfiTrainingMetricsValue,
};
use model::metrics::ConfidenceRange;
use thiserror::Error;

/// The service refuses a call.
#[derive(Debug, Error)]
#[error("{call}: {code}: {message}")]
pub(crate) struct RefusedCall {
    /// The operation.
    pub(super) call: &'static str,
    /// The exception.
    pub(super) code: String,
    /// Its message.
    pub(super) message: String,
}

/// Makes a [`RefusedCall`] of the error of a call.
pub(super) fn describe_refusal<E>(call: &'static str) -> impl Fn(SdkError<E>) -> RefusedCall
where
    E: ProvideErrorMetadata,
{
    move |error| RefusedCall {
        call,
        code: error.code().unwrap_or("no answer").to_owned(),
        message: error
            .message()
            .unwrap_or("the service was not reached")
            .to_owned(),
    }
}

/// Makes a [`RefusedCall`] of a request that the client cannot build; its inputs are the command's own.
pub(super) fn describe_build_error(error: &BuildError) -> RefusedCall {
    RefusedCall {
        call: "CreateModelVersion",
        code: "not built".to_owned(),
        message: error.to_string(),
    }
}

/// Creates a model if it is missing.
pub(super) async fn create_missing_model(
    client: &Client,
    model: &str,
    model_type: &ModelTypeEnum,
    event_type: &str,
) -> Result<(), RefusedCall> {
    let found = client
        .get_models()
        .model_id(model)
        .model_type(model_type.clone());
    match found.send().await {
        Ok(found)
            if found
                .models
                .as_ref()
                .is_some_and(|models| !models.is_empty()) =>
        {
            Ok(())
        }
        Err(error) if error.code() != Some("ResourceNotFoundException") => {
            Err(describe_refusal("GetModels")(error))
        }
        _ => client
            .create_model()
            .model_id(model)
            .model_type(model_type.clone())
            .event_type_name(event_type)
            .send()
            .await
            .map(drop)
            .map_err(describe_refusal("CreateModel")),
    }
}

/// Activates a version, so that it scores events.
pub(super) async fn activate_version(
    client: &Client,
    model: &str,
    model_type: &ModelTypeEnum,
    version: &str,
) -> Result<(), RefusedCall> {
    let update = client.update_model_version_status().model_id(model);
    let update = update
        .model_type(model_type.clone())
        .model_version_number(version);
    let updated = update.status(ModelVersionStatus::Active).send().await;
    updated
        .map(drop)
        .map_err(describe_refusal("UpdateModelVersionStatus"))
}

/// Tells how a detector file uses a model version.
pub(super) fn describe_usage(model: &str, arn: &str) -> String {
    format!(
        "\nits ARN, for AssociatedModels in the detector file: {arn}\nits score in rules: ${model}_insightscore"
    )
}

/// The area under the ROC curve with its range, of the model types that have one.
pub(super) fn find_auc_range(detail: &ModelVersionDetail) -> Option<ConfidenceRange> {
    let metrics = detail
        .training_result_v2
        .as_ref()?
        .training_metrics_v2
        .as_ref()?;
    let of_sign_ups = metrics
        .ofi()
        .and_then(OfiTrainingMetricsValue::model_performance);
    let of_sign_ups = of_sign_ups.and_then(|found| Some((found.auc?, found.uncertainty_range()?)));
    let of_orders = metrics
        .tfi()
        .and_then(TfiTrainingMetricsValue::model_performance);
    let of_orders = of_orders.and_then(|found| Some((found.auc?, found.uncertainty_range()?)));
    let (auc, range) = of_sign_ups.or(of_orders)?;
    Some(ConfidenceRange {
        value: f64::from(auc),
        low: f64::from(range.lower_bound_value),
        high: f64::from(range.upper_bound_value),
    })
}
