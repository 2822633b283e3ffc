//! How the rows of a CSV file are read: the arguments of the commands that take files of orders.

use std::collections::BTreeMap;

use clap::Args;
use csv_rows::CsvReader;
use event::{EntityTypeName, EventTypeName};
use shared::mapping::Mapping;

use super::CommandError;
use super::workspace::WorkspaceArgs;
use crate::input::{
    CsvOptions, MessageKind, RecordInput, check_row_sources, has_event_headers, is_csv,
    open_csv_file,
};

/// What a CSV file with Amazon's headers does not say itself.
#[derive(Debug, Args)]
pub(super) struct CsvArgs {
    /// CSV with Amazon's headers: event type of the rows; default the mapping's.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// CSV with Amazon's headers: detector that decides on the rows; default the mapping's.
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// CSV with Amazon's headers: entity type of rows without `ENTITY_TYPE`.
    #[arg(long, value_name = "NAME", default_value = "customer")]
    entity_type: String,
    /// CSV with Amazon's headers: a label and what it becomes, such as 1.0=fraud.
    #[arg(long = "label", value_name = "FROM=TO")]
    labels: Vec<String>,
}

impl CsvArgs {
    /// Opens a file of orders, with the mapping that reads them: that of the workspace, or one that is made of Amazon's
    /// headers.
    pub(super) fn open_orders(
        &self,
        workspace: &WorkspaceArgs,
        file: &str,
    ) -> Result<(RecordInput, Mapping), CommandError> {
        if !is_csv(file) {
            return Ok((RecordInput::open_lines(file)?, workspace.read_mapping()?));
        }
        let reader = open_csv_file(file)?;
        if has_event_headers(reader.header()) {
            let mapping = workspace.read_mapping().ok();
            let options = self.read_options(mapping.as_ref())?;
            return Ok(RecordInput::from_event_rows(file, reader, options)?);
        }
        open_message_rows(workspace, file, reader, MessageKind::Order)
    }

    /// What the arguments say of a CSV file, or else the mapping.
    pub(super) fn read_options(
        &self,
        mapping: Option<&Mapping>,
    ) -> Result<CsvOptions, CommandError> {
        let default = |name: &Option<String>, known: Option<String>, flag: &str| {
            name.clone()
                .or(known)
                .ok_or_else(|| format!("say {flag}: there is no readable mapping to take it from"))
        };
        let event_type = default(
            &self.event_type,
            mapping.map(|m| m.event_type().to_string()),
            "--event-type",
        )?;
        let detector = default(
            &self.detector,
            mapping.map(|m| m.detector().to_string()),
            "--detector",
        )?;
        Ok(CsvOptions {
            event_type: EventTypeName::try_from(event_type)?,
            detector,
            entity_type: EntityTypeName::try_from(self.entity_type.as_str())?,
            labels: parse_label_renames(&self.labels)?,
        })
    }
}

fn parse_label_renames(labels: &[String]) -> Result<BTreeMap<String, String>, CommandError> {
    labels
        .iter()
        .map(|rename| {
            let (from, to) = rename.split_once('=').ok_or_else(|| {
                format!("`--label {rename}` should be FROM=TO, such as 1.0=fraud")
            })?;
            Ok((from.to_owned(), to.to_owned()))
        })
        .collect()
}

/// The rows of a CSV file for the mapping of the workspace.
pub(super) fn open_message_rows(
    workspace: &WorkspaceArgs,
    file: &str,
    reader: CsvReader,
    kind: MessageKind,
) -> Result<(RecordInput, Mapping), CommandError> {
    let mapping = workspace.read_mapping()?;
    check_row_sources(file, workspace.mapping_path(), &mapping, kind)?;
    Ok((RecordInput::from_message_rows(reader), mapping))
}
