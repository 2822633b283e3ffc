//! Drafts a mapping and a detector file from a shop's own data: what each field is for is guessed from its name, in several
//! languages, and from its values; what cannot be guessed is a question in the draft.

mod aggregate_drafts;
mod aggregate_table;
mod detector_text;
mod draft;
mod field_samples;
mod mapping_text;
mod role_variables;
mod roles;
mod status_words;
#[cfg(test)]
mod tests;
mod time_shape;
mod value_shapes;
mod yaml_text;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shared::mapping::{Mapping, MappingError};
use thiserror::Error;

use crate::apply::{DetectorTemplate, InvalidTemplate, TemplateInputs};
use crate::input::InputError;
use crate::printable::printable_value;

use draft::Draft;
use field_samples::FileSamples;

/// Why nothing was drafted.
#[derive(Debug, Error)]
pub enum InitError {
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A folder cannot be read.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A folder has no file that could be orders.
    #[error(
        "{path} has no file whose name ends in .csv, .tsv, .json, .jsonl or .ndjson, plain or .gz"
    )]
    EmptyFolder {
        /// The folder.
        path: String,
    },
    /// A file has more columns than any shop's orders.
    #[error("{path} has {columns} columns, and at most {most} are read; is it a table of orders?")]
    TooManyColumns {
        /// The file.
        path: String,
        /// How many it has.
        columns: usize,
        /// How many are read.
        most: usize,
    },
    /// The files of a folder are of different kinds.
    #[error(
        "{first} and {other} have different fields: draft from each kind of file by itself, with --out for each"
    )]
    TwoKinds {
        /// A file.
        first: String,
        /// Another one.
        other: String,
    },
    /// A file has no record.
    #[error("{path} has no records: only a header, or nothing at all")]
    Empty {
        /// The file.
        path: String,
    },
    /// No record is an object.
    #[error(
        "{path}: none of the first {records} records could be read; it should be CSV (named .csv or .tsv) or one JSON object in each line (`jq -c '.[]'` makes that of a list)"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// How many were tried.
        records: u64,
    },
    /// No field can be a variable.
    #[error(
        "no field of {path} tells orders apart, so there is nothing that rules could read; its fields are {fields}"
    )]
    NoVariables {
        /// The file.
        path: String,
        /// The fields.
        fields: String,
    },
    /// A draft would overwrite a file.
    #[error("{path} exists, and nothing is overwritten; name another folder with --out")]
    Exists {
        /// The file.
        path: String,
    },
    /// A draft cannot be written.
    #[error("{path} cannot be written: {source}")]
    Unwritable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The drafted mapping is invalid, which is a fault of fraudstream.
    #[error("the drafted mapping is invalid, please report it with the header of the file: {0}")]
    InvalidMapping(#[from] MappingError),
    /// The drafted detector file is invalid, which is a fault of fraudstream.
    #[error(
        "the drafted detector file is invalid, please report it with the header of the file: {0}"
    )]
    InvalidDetector(#[from] InvalidTemplate),
    /// A text cannot be put together.
    #[error("the draft cannot be written down: {0}")]
    Format(#[from] std::fmt::Error),
}

/// The two files of a draft, checked.
#[derive(Debug)]
pub struct ConfigDraft {
    /// The text of the mapping file.
    pub mapping: String,
    /// The text of the detector file.
    pub detector: String,
    records: u64,
    unreadable: u64,
    variables: usize,
    aggregates: usize,
    rules: usize,
}

/// What was drafted, for who asked for it.
#[derive(Debug, Serialize)]
pub struct InitSummary {
    /// Records that were looked at.
    pub records: u64,
    /// Records that could not be read.
    pub unreadable: u64,
    /// Variables that the mapping reads of an order.
    pub variables: usize,
    /// Variables of what happened before.
    pub aggregates: usize,
    /// Rules of the starter set.
    pub rules: usize,
    /// What could not be guessed.
    pub questions: Vec<String>,
    /// The files that were written.
    pub written: Vec<PathBuf>,
}

impl ConfigDraft {
    /// Drafts from a file, or from all files of a folder.
    ///
    /// # Errors
    /// [`InitError`].
    pub fn from_path(path: &str) -> Result<Self, InitError> {
        let mut samples = FileSamples::default();
        let mut first: Option<(String, HashSet<usize>)> = None;
        for file in list_files(path)? {
            samples.add_file(&file)?;
            let fields = samples.take_fields_of_file();
            match &first {
                None => first = Some((file, fields)),
                Some((first, known)) if known.intersection(&fields).count() * 2 < fields.len() => {
                    return Err(InitError::TwoKinds {
                        first: first.clone(),
                        other: file,
                    });
                }
                Some(_) => {}
            }
        }
        if samples.records == 0 {
            return Err(InitError::Empty {
                path: path.to_owned(),
            });
        }
        if samples.fields.iter().all(|field| field.filled == 0) {
            return Err(InitError::Unreadable {
                path: path.to_owned(),
                records: samples.records,
            });
        }
        let draft = Draft::make(&samples);
        if !draft.has_variables() {
            let fields = samples.fields.iter().take(20);
            let fields: Vec<String> = fields.map(|it| printable_value(&it.pointer)).collect();
            return Err(InitError::NoVariables {
                path: path.to_owned(),
                fields: fields.join(", "),
            });
        }
        let name = Path::new(path)
            .file_name()
            .map_or(path.into(), |name| name.to_string_lossy());
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let (mapping, detector) = (draft.write_mapping(&name)?, draft.write_detector(&name)?);
        // What is written can be used: nobody should have to debug a draft.
        let parsed = Mapping::parse("mapping.yaml", &mapping)?;
        let inputs = TemplateInputs::new(Vec::new());
        let template = DetectorTemplate::parse("detector.yaml", &detector, &inputs)?;
        let detectors = template.detectors.iter();
        Ok(Self {
            variables: parsed.variables().count(),
            aggregates: parsed.variables_of_the_past().count(),
            rules: detectors.map(|detector| detector.rules.len()).sum(),
            records: samples.records,
            unreadable: samples.unreadable,
            mapping,
            detector,
        })
    }

    /// Writes `mapping.yaml` and `detector.yaml` into a folder; both or neither, and over nothing.
    ///
    /// # Errors
    /// [`InitError::Exists`], [`InitError::Unwritable`].
    pub fn write_files(&self, folder: &Path) -> Result<InitSummary, InitError> {
        let files = [
            ("mapping.yaml", &self.mapping),
            ("detector.yaml", &self.detector),
        ]
        .map(|(name, text)| (folder.join(name), text));
        for (path, _) in &files {
            if path.exists() {
                return Err(InitError::Exists {
                    path: path.display().to_string(),
                });
            }
        }
        let unwritable = |path: &Path, source| InitError::Unwritable {
            path: path.display().to_string(),
            source,
        };
        fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
        let mut written = Vec::new();
        for (path, text) in files {
            if let Err(source) = write_new_file(&path, text) {
                // Half a draft would be taken for a whole one.
                for path in &written {
                    let _ = fs::remove_file(path);
                }
                return Err(unwritable(&path, source));
            }
            written.push(path);
        }
        Ok(self.summarize(written))
    }

    fn summarize(&self, written: Vec<PathBuf>) -> InitSummary {
        let lines = self
            .mapping
            .lines()
            .filter_map(|line| line.split_once("QUESTION: "));
        InitSummary {
            records: self.records,
            unreadable: self.unreadable,
            variables: self.variables,
            aggregates: self.aggregates,
            rules: self.rules,
            questions: lines.map(|(_, question)| question.to_owned()).collect(),
            written,
        }
    }
}

/// Writes a file that is not there yet. One that is there, such as a link that leads nowhere, is left as it is.
fn write_new_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = file.write_all(text.as_bytes());
    let written = written.and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// The file itself, or the files of a folder that may be orders, by name.
fn list_files(path: &str) -> Result<Vec<String>, InitError> {
    if !Path::new(path).is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| InitError::Folder {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path().display().to_string();
        let name = file.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        if [".csv", ".tsv", ".json", ".jsonl", ".ndjson"]
            .iter()
            .any(|ending| name.ends_with(ending))
        {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(InitError::EmptyFolder {
            path: path.to_owned(),
        });
    }
    Ok(files)
}
