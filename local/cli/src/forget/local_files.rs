//! Files of the local folder: the outcomes, and the database's free pages.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

use super::ForgetError;
use crate::subject::Traces;
use local_aws::dynamodb;
use local_aws::home::Home;

/// Rewrites the files of the local folder, after its database was closed: removes the lines about the
/// subject from the outcomes, and the free pages with deleted items from the database. Returns the
/// number of removed lines. No other process may use the folder meanwhile.
///
/// # Errors
/// [`ForgetError::Occupied`], [`ForgetError::File`], [`ForgetError::Database`].
pub fn rewrite_local_files(
    home: &Home,
    traces: &Traces,
    dry_run: bool,
) -> Result<usize, ForgetError> {
    if dry_run {
        return count_outcomes(home, traces);
    }
    let path = home.at_work_file();
    let wrong = |source| ForgetError::File {
        path: path.display().to_string(),
        source,
    };
    let at_work = File::create(&path).map_err(wrong)?;
    if at_work.try_lock().is_err() {
        return Err(ForgetError::Occupied(home.path().display().to_string()));
    }
    let forgotten = rewrite_outcomes(home, traces)?;
    dynamodb::compact_database(&home.database_file())?;
    std::fs::remove_file(&path).map_err(wrong)?;
    Ok(forgotten)
}

/// Counts the lines about the subject.
fn count_outcomes(home: &Home, traces: &Traces) -> Result<usize, ForgetError> {
    let path = home.outcomes_file();
    let Ok(file) = File::open(&path) else {
        return Ok(0);
    };
    let mut count = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|source| ForgetError::File {
            path: path.display().to_string(),
            source,
        })?;
        count += usize::from(traces.is_mentioned_in(&line));
    }
    Ok(count)
}

/// Removes the lines about the subject; returns how many there were.
fn rewrite_outcomes(home: &Home, traces: &Traces) -> Result<usize, ForgetError> {
    let path = home.outcomes_file();
    let wrong = |source| ForgetError::File {
        path: path.display().to_string(),
        source,
    };
    let Ok(file) = File::open(&path) else {
        return Ok(0);
    };
    let new = path.with_extension("new");
    let mut kept = std::io::BufWriter::new(File::create(&new).map_err(wrong)?);
    let mut forgotten = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(wrong)?;
        if traces.is_mentioned_in(&line) {
            forgotten += 1;
        } else {
            writeln!(kept, "{line}").map_err(wrong)?;
        }
    }
    kept.into_inner()
        .map_err(|error| wrong(error.into_error()))?
        .sync_all()
        .map_err(wrong)?;
    if forgotten == 0 {
        std::fs::remove_file(&new).map_err(wrong)?;
    } else {
        std::fs::rename(&new, &path).map_err(wrong)?;
    }
    Ok(forgotten)
}
