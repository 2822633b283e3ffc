//! Writes a simulation as files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::Simulation;

/// Why a simulation was not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A folder or file could not be made or filled.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Writes the files of a simulation into a folder, which is created if it is missing.
///
/// `history.jsonl`, `history-chargebacks.jsonl` and `history-truth.jsonl` are the past;
/// `orders.jsonl`, `chargebacks.jsonl` and `truth.jsonl` what comes after it.
pub fn write_files(simulation: &Simulation, folder: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(folder).map_err(|cause| WriteError::Io {
        path: folder.to_owned(),
        cause,
    })?;
    write_lines(folder, "history.jsonl", &simulation.history)?;
    write_records(
        folder,
        "history-chargebacks.jsonl",
        &simulation.history_labels,
    )?;
    write_records(folder, "history-truth.jsonl", &simulation.history_truth)?;
    write_lines(folder, "orders.jsonl", &simulation.orders)?;
    write_records(folder, "chargebacks.jsonl", &simulation.chargebacks)?;
    write_records(folder, "truth.jsonl", &simulation.truth)
}

fn write_lines(folder: &Path, name: &str, lines: &[String]) -> Result<(), WriteError> {
    write_file(folder, name, |out| {
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    })
}

fn write_records<T: Serialize>(folder: &Path, name: &str, records: &[T]) -> Result<(), WriteError> {
    write_file(folder, name, |out| {
        records.iter().try_for_each(|record| {
            serde_json::to_writer(&mut *out, record)?;
            out.write_all(b"\n")
        })
    })
}

fn write_file(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    let path = folder.join(name);
    let filled = File::create(&path).map(BufWriter::new).and_then(|mut out| {
        fill(&mut out)?;
        out.flush()
    });
    filled.map_err(|cause| WriteError::Io { path, cause })
}
