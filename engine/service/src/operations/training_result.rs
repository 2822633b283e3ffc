//! The results of a training in the answer of `DescribeModelVersions`.

use model::{Importance, TakeoverFigures, ThresholdRow, TrainingMessage, TrainingReport};
use serde::{Deserialize, Serialize};
use store::records::model::ApiModelType;

use crate::services::entity_history;

/// The result of a training, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrainingOutcome {
    pub(crate) messages: Vec<TrainingMessage>,
    /// The metrics, if there is a model.
    pub(crate) report: Option<TrainingReport>,
}

impl TrainingOutcome {
    pub(crate) fn from_messages(messages: Vec<TrainingMessage>) -> Self {
        Self {
            messages,
            report: None,
        }
    }
}

/// The older of the two shapes of results.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrainingResult {
    data_validation_metrics: DataValidationMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_metrics: Option<TrainingMetrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable_importance_metrics: Option<VariableImportanceMetrics>,
}

/// The newer shape, with a block for each model type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrainingResultV2 {
    data_validation_metrics: DataValidationMetrics,
    #[serde(rename = "trainingMetricsV2", skip_serializing_if = "Option::is_none")]
    training_metrics: Option<TrainingMetricsV2>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable_importance_metrics: Option<VariableImportanceMetrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregated_variables_importance_metrics: Option<AggregatedVariablesImportanceMetrics>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DataValidationMetrics {
    file_level_messages: Vec<FileMessage>,
    field_level_messages: Vec<FieldMessage>,
}

#[derive(Debug, Serialize)]
struct FileMessage {
    title: String,
    content: String,
    #[serde(rename = "type")]
    level: model::Severity,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FieldMessage {
    field_name: String,
    identifier: String,
    title: String,
    content: String,
    #[serde(rename = "type")]
    level: model::Severity,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TrainingMetrics {
    auc: f64,
    metric_data_points: Vec<MetricDataPoint>,
}

#[derive(Debug, Serialize)]
struct TrainingMetricsV2 {
    #[serde(skip_serializing_if = "Option::is_none")]
    ofi: Option<FraudPerformance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tfi: Option<FraudPerformance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ati: Option<LoginPerformance>,
}

/// The metrics of a login model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginPerformance {
    metric_data_points: Vec<LoginPoint>,
    model_performance: LoginModelPerformance,
}

/// At one threshold: the share of logins that are challenged, of anomalies that are found, and of takeovers that are
/// found.
#[derive(Debug, Serialize)]
struct LoginPoint {
    cr: f64,
    adr: f64,
    threshold: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    atodr: Option<f64>,
}

/// How well the model separates anomalies from other logins, from 0.5 to 1.
#[derive(Debug, Serialize)]
struct LoginModelPerformance {
    asi: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FraudPerformance {
    metric_data_points: Vec<MetricDataPoint>,
    model_performance: ModelPerformance,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelPerformance {
    auc: f64,
    uncertainty_range: UncertaintyRange,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UncertaintyRange {
    lower_bound_value: f64,
    upper_bound_value: f64,
}

#[derive(Debug, Serialize)]
struct MetricDataPoint {
    fpr: f64,
    precision: f64,
    tpr: f64,
    threshold: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VariableImportanceMetrics {
    log_odds_metrics: Vec<LogOddsMetric>,
}

/// The importance of the entity history, by the variables that it is about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedVariablesImportanceMetrics {
    log_odds_metrics: Vec<AggregatedLogOddsMetric>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedLogOddsMetric {
    variable_names: Vec<String>,
    aggregated_variables_importance: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogOddsMetric {
    variable_name: String,
    variable_type: &'static str,
    variable_importance: f64,
}

impl TrainingResult {
    pub(crate) fn new(outcome: &TrainingOutcome) -> Self {
        let report = outcome.report.as_ref();
        Self {
            data_validation_metrics: make_validation_metrics(&outcome.messages),
            training_metrics: report.map(|report| TrainingMetrics {
                auc: report.auc.value,
                metric_data_points: list_metric_points(report),
            }),
            variable_importance_metrics: report.map(make_importance_metrics),
        }
    }
}

impl TrainingResultV2 {
    pub(crate) fn new(outcome: &TrainingOutcome, model_type: ApiModelType) -> Self {
        let report = outcome.report.as_ref();
        let metrics = |report: &TrainingReport| {
            let of = |wanted| (model_type == wanted).then(|| make_performance(report));
            TrainingMetricsV2 {
                ofi: of(ApiModelType::OnlineFraudInsights),
                tfi: of(ApiModelType::TransactionFraudInsights),
                ati: report
                    .logins
                    .as_ref()
                    .map(|logins| make_login_performance(report, logins)),
            }
        };
        Self {
            data_validation_metrics: make_validation_metrics(&outcome.messages),
            training_metrics: report.map(metrics),
            variable_importance_metrics: report.map(make_importance_metrics),
            aggregated_variables_importance_metrics: report.and_then(make_aggregated_metrics),
        }
    }
}

fn make_validation_metrics(messages: &[TrainingMessage]) -> DataValidationMetrics {
    let mut validation = DataValidationMetrics {
        file_level_messages: Vec::new(),
        field_level_messages: Vec::new(),
    };
    for TrainingMessage {
        level,
        field,
        title,
        content,
    } in messages.iter().cloned()
    {
        match field {
            None => validation.file_level_messages.push(FileMessage {
                title,
                content,
                level,
            }),
            Some(field_name) => validation.field_level_messages.push(FieldMessage {
                identifier: field_name.clone(),
                field_name,
                title,
                content,
                level,
            }),
        }
    }
    validation
}

fn list_metric_points(report: &TrainingReport) -> Vec<MetricDataPoint> {
    let point = |row: &ThresholdRow| MetricDataPoint {
        fpr: row.fpr,
        precision: row.precision,
        tpr: row.tpr,
        threshold: row.threshold,
    };
    let mut points: Vec<MetricDataPoint> = report.thresholds.iter().map(point).collect();
    // Reports of releases before have them from the highest.
    points.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    points
}

fn make_performance(report: &TrainingReport) -> FraudPerformance {
    FraudPerformance {
        metric_data_points: list_metric_points(report),
        model_performance: ModelPerformance {
            auc: report.auc.value,
            uncertainty_range: UncertaintyRange {
                lower_bound_value: report.auc.low,
                upper_bound_value: report.auc.high,
            },
        },
    }
}

fn make_login_performance(report: &TrainingReport, logins: &TakeoverFigures) -> LoginPerformance {
    let found = logins.takeovers_found.as_ref();
    let point = |(place, row): (usize, &ThresholdRow)| LoginPoint {
        cr: row.fpr,
        adr: row.tpr,
        threshold: row.threshold,
        atodr: found.and_then(|found| found.get(place).copied()),
    };
    let mut points: Vec<LoginPoint> = report.thresholds.iter().enumerate().map(point).collect();
    // As in `list_metric_points`.
    points.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    LoginPerformance {
        metric_data_points: points,
        model_performance: LoginModelPerformance {
            asi: report.auc.value.clamp(0.5, 1.0),
        },
    }
}

fn make_importance_metrics(report: &TrainingReport) -> VariableImportanceMetrics {
    let metric = |importance: &Importance| LogOddsMetric {
        variable_name: importance.variable.clone(),
        variable_type: importance.kind.map_or("DATETIME", |kind| kind.as_str()),
        variable_importance: importance.share,
    };
    VariableImportanceMetrics {
        log_odds_metrics: select_importances(report, false).map(metric).collect(),
    }
}

fn select_importances(
    report: &TrainingReport,
    of_history: bool,
) -> impl Iterator<Item = &Importance> {
    let importance = report.importance.iter();
    importance.filter(move |importance| importance.is_history == of_history)
}

fn make_aggregated_metrics(
    report: &TrainingReport,
) -> Option<AggregatedVariablesImportanceMetrics> {
    let metric = |importance: &Importance| AggregatedLogOddsMetric {
        variable_names: entity_history::list_feature_parts(
            None,
            importance.history_key.as_deref(),
            &importance.variable,
        ),
        aggregated_variables_importance: importance.share,
    };
    let log_odds_metrics: Vec<_> = select_importances(report, true).map(metric).collect();
    (!log_odds_metrics.is_empty())
        .then_some(AggregatedVariablesImportanceMetrics { log_odds_metrics })
}
