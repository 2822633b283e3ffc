//! `fraudstream import-model`: a model of XGBoost or LightGBM as a version of a model here.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::ModelTypeEnum;
use clap::Args;
use engine::Engine;
use model::import::{self, LibraryModel, ModelOutput};
use model::metrics::Ranking;
use model::{EventLabel, Model, Variable, VariableType};
use serde::Serialize;
use thiserror::Error;

use super::CommandError;
use super::model_versions::{RefusedCall, activate_version, create_missing_model, describe_usage};
use super::output::print_result;
use super::workspace::{Backend, WorkspaceArgs};
use evaluation::{ColumnOptions, EventColumns, RowNotes, TableError};
use local_aws::dynamodb::Durability;

/// The fewest legitimate events on which a scale can be measured, as in training.
const FEWEST_LEGIT: usize = 50;

/// Why a model was not imported.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what its library writes, or the kind of model is not supported.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: String,
        /// Why.
        source: import::LibraryModelError,
    },
    /// A `--feature` that cannot be parsed, or that names a feature the model does not have.
    #[error("--feature {said}: {why}")]
    Feature {
        /// The argument.
        said: String,
        /// What is wrong with it.
        why: String,
    },
    /// The model predicts a value, not log-odds.
    #[error(
        "{path}: the model predicts a value and not a probability, so its scores need a scale: use --calibrate with a file of labelled events"
    )]
    NoScale {
        /// The file.
        path: String,
    },
    /// The events to calibrate on.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file of events has no column for a feature.
    #[error("{path} has no columns for the model's features {}", features.join(", "))]
    NoColumn {
        /// The file of events.
        path: String,
        /// The features.
        features: Vec<String>,
    },
    /// The file has too few legitimate events.
    #[error("{path}: {legit} legitimate events; a scale needs at least {FEWEST_LEGIT}")]
    TooFew {
        /// The file of events.
        path: String,
        /// How many there are.
        legit: usize,
    },
    /// The service refuses a call.
    #[error(transparent)]
    Api(#[from] RefusedCall),
    /// The engine refuses the model.
    #[error("{}", .0.message())]
    Engine(#[from] engine::Error),
}

/// The arguments of `import-model`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportModelArgs {
    /// XGBoost model in JSON, or LightGBM model in text.
    file: PathBuf,
    /// The model that gets the version; created if it is missing.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Event type of a model that is created; default the mapping's.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// A feature and the variable it stands for, such as `f0=order_price`; default the variable of the same name.
    #[arg(long = "feature", value_name = "FEATURE=VARIABLE")]
    features: Vec<String>,
    /// CSV of labelled events that the model was not trained on: scores then mean what they mean for models trained
    /// here. Without it a score is 1000 times the probability.
    #[arg(long, value_name = "FILE")]
    calibrate: Option<PathBuf>,
    /// Column of the label in that file; default `EVENT_LABEL`, or a column with a usual name of a label.
    #[arg(long, value_name = "COLUMN", requires = "calibrate")]
    label: Option<String>,
    /// A label value that means legitimate, as for `evaluate`; default the values that usually do.
    #[arg(long = "legit", value_name = "VALUE", requires = "calibrate")]
    legit: Vec<String>,
    /// A label value that means fraud, as for `evaluate`.
    #[arg(long = "fraud", value_name = "VALUE", requires = "calibrate")]
    fraud: Vec<String>,
    /// Activate the version.
    #[arg(long)]
    activate: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The imported version.
#[derive(Debug, Serialize)]
pub(crate) struct ImportedModel {
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// Its status.
    pub status: &'static str,
    /// Its ARN, for `AssociatedModels` in a template.
    pub arn: String,
    /// The features as variables.
    pub variables: Vec<String>,
    /// Its origin, and what its scores mean.
    pub notes: Vec<String>,
}

/// A feature of the model and the variable it stands for.
struct NamedFeature {
    name: String,
    variable: String,
}

impl ImportModelArgs {
    /// Imports the model, and prints the version that it became.
    pub(crate) async fn run(&self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        if workspace.fraud_detector == Backend::Aws {
            return Err("Amazon's service takes no model files; put a SageMaker endpoint behind it with `aws frauddetector put-external-model`".into());
        }
        let mapping = workspace.read_mapping()?;
        let workspace = workspace
            .open(Durability::PowerLoss, Backend::Engine)
            .await?;
        let engine = workspace.open_engine().await;
        let client = &workspace.pipeline.clients.frauddetector;
        let imported = self
            .import(client, &engine, mapping.event_type().as_str())
            .await;
        drop(engine);
        workspace.close().await?;
        let imported = imported?;
        print_result(self.json, &imported, format_args!("{imported}\n"))
    }

    /// Imports and describes the version; `event_type` is the mapping's.
    async fn import(
        &self,
        client: &Client,
        engine: &Engine,
        event_type: &str,
    ) -> Result<ImportedModel, ImportError> {
        let (library, imported) = read_model_file(&self.file)?;
        let features = self.name_features(&imported)?;
        let mut notes = vec![format!(
            "{library} model of {} trees over {} features, imported from {}.",
            imported.forest.trees(),
            features.len(),
            file_name(&self.file)
        )];
        notes.extend(imported.notes.iter().cloned());
        let model = self.build_model(&imported, &features, &mut notes)?;
        let event_type = self.event_type.as_deref().unwrap_or(event_type);
        let model_type = ModelTypeEnum::OnlineFraudInsights;
        create_missing_model(client, &self.model, &model_type, event_type).await?;
        let version = engine.import_model(&self.model, &model, &notes).await?;
        if self.activate {
            activate_version(client, &self.model, &model_type, &version.version).await?;
        }
        Ok(ImportedModel {
            model: version.model_id,
            version: version.version,
            status: if self.activate {
                "ACTIVE"
            } else {
                "TRAINING_COMPLETE"
            },
            arn: version.arn,
            variables: features
                .into_iter()
                .map(|feature| feature.variable)
                .collect(),
            notes,
        })
    }

    fn name_features(&self, imported: &LibraryModel) -> Result<Vec<NamedFeature>, ImportError> {
        let as_named = |name: &String| NamedFeature {
            name: name.clone(),
            variable: name.clone(),
        };
        let mut features: Vec<NamedFeature> = imported.features.iter().map(as_named).collect();
        for said in &self.features {
            let wrong = |why: String| ImportError::Feature {
                said: said.clone(),
                why,
            };
            let (name, variable) = said.rsplit_once('=').ok_or_else(|| {
                wrong("write FEATURE=VARIABLE, such as f0=order_price".to_owned())
            })?;
            let feature = features.iter_mut().find(|feature| feature.name == name);
            let feature = feature.ok_or_else(|| {
                wrong(format!(
                    "the model has no feature `{name}`; it has {}",
                    imported.features.join(", ")
                ))
            })?;
            variable.clone_into(&mut feature.variable);
        }
        let mut taken: HashMap<&str, &str> = HashMap::new();
        for NamedFeature { name, variable } in &features {
            if let Some(other) = taken.insert(variable, name) {
                return Err(ImportError::Feature {
                    said: format!("{name}={variable}"),
                    why: format!("`{variable}` already stands for feature `{other}`"),
                });
            }
        }
        Ok(features)
    }

    /// Builds the model, with the scale of its scores.
    fn build_model(
        &self,
        imported: &LibraryModel,
        features: &[NamedFeature],
        notes: &mut Vec<String>,
    ) -> Result<Model, ImportError> {
        let variable =
            |feature: &NamedFeature| Variable::new(&feature.variable, VariableType::Numeric);
        let variables: Vec<Variable> = features.iter().map(variable).collect();
        let shown = self.file.display().to_string();
        // The forest has as many features as the file names.
        let model = |legit: Option<&[f64]>| {
            let model = Model::from_forest(variables.clone(), imported.forest.clone(), legit);
            let model = model.map_err(|_| ImportError::Format {
                path: shown.clone(),
                source: import::LibraryModelError::Unknown,
            })?;
            Ok(model.with_categories(imported.categories.clone()))
        };
        let plain = model(None)?;
        let Some(path) = &self.calibrate else {
            if imported.output == ModelOutput::Value {
                return Err(ImportError::NoScale { path: shown });
            }
            notes.push(
                "Its scores are 1000 times the probability of fraud, and not the share of legitimate events as for models \
                 trained here: the same threshold means something else. Calibrate it on labelled events to have them mean \
                 the same."
                    .to_owned(),
            );
            return Ok(plain);
        };
        let columns = self.find_columns(path)?;
        notes.extend(columns.left_out_notes());
        let (scored, row_notes) = score_labelled_events(path, &columns, &plain, features)?;
        notes.extend(row_notes.describe(Path::new(&file_name(path))));
        let legit: Vec<f64> = scored
            .iter()
            .filter(|(_, fraud)| !fraud)
            .map(|(log_odds, _)| *log_odds)
            .collect();
        if legit.len() < FEWEST_LEGIT {
            return Err(ImportError::TooFew {
                path: path.display().to_string(),
                legit: legit.len(),
            });
        }
        let ranking = Ranking::new(scored);
        let figures = if ranking.fraud() > 0 {
            format!(
                " There its AUC is {:.4} and its recall at 1 % false positives {:.1} %; if it was trained on them, these \
                 figures are too good.",
                ranking.auc(),
                ranking.recall_at(0.01) * 100.0
            )
        } else {
            String::new()
        };
        notes.push(format!(
            "Its scores say how many legitimate events score as high, measured on {} legitimate events of {}.{figures}",
            legit.len(),
            file_name(path)
        ));
        model(Some(&legit))
    }

    /// The columns of the file of labelled events.
    fn find_columns(&self, path: &Path) -> Result<EventColumns, TableError> {
        let said = ColumnOptions {
            label: self.label.clone(),
            legit: self.legit.clone(),
            fraud: self.fraud.clone(),
            ..ColumnOptions::default()
        };
        EventColumns::find(path, &said)
    }
}

/// Log-odds of each labelled event of a file, and whether it was fraud; and what there is to say of its rows.
fn score_labelled_events(
    path: &Path,
    columns: &EventColumns,
    model: &Model,
    features: &[NamedFeature],
) -> Result<(Vec<(f64, bool)>, RowNotes), ImportError> {
    let table = columns.table(path);
    let headers = table.read_headers()?;
    let place = |feature: &NamedFeature| {
        let column = |name: &str| headers.iter().position(|header| header == name);
        column(&feature.variable).or_else(|| column(&feature.name))
    };
    let missing: Vec<String> = features
        .iter()
        .filter(|feature| place(feature).is_none())
        .map(|feature| feature.variable.clone())
        .collect();
    if !missing.is_empty() {
        return Err(ImportError::NoColumn {
            path: path.display().to_string(),
            features: missing,
        });
    }
    let places: Vec<usize> = features.iter().filter_map(place).collect();
    let mut scored = Vec::new();
    let notes = table.for_each_event(|event| {
        let fraud = match event.row.label {
            EventLabel::Fraud => true,
            EventLabel::Legit => false,
            EventLabel::Unlabelled | EventLabel::Unknown => return Ok(()),
        };
        let values: Vec<Option<&str>> = places.iter().map(|at| event.cell(*at)).collect();
        scored.push((model.score(&values, None, &[]).log_odds, fraud));
        Ok::<(), TableError>(())
    })?;
    Ok((scored, notes))
}

/// A file's name, for notes that others read.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Reads a model file, and names the library that wrote it.
fn read_model_file(path: &Path) -> Result<(&'static str, LibraryModel), ImportError> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| ImportError::Io {
        path: shown.clone(),
        source,
    })?;
    import::read_model(&bytes).map_err(|source| ImportError::Format {
        path: shown,
        source,
    })
}

impl fmt::Display for ImportedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.model, self.version, self.status)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        f.write_str(&describe_usage(&self.model, &self.arn))
    }
}
