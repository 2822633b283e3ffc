//! `.fraudstream/`: where everything that runs on this machine keeps its state.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The folder of local state.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// How far a file has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Records that are done, from the beginning of the file.
    pub records: u64,
    /// Hash of these records: tells another file under the same name.
    pub hash: String,
}

impl Home {
    /// The folder at `path`, created if it is missing.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let home = Self(path.into());
        std::fs::create_dir_all(home.0.join("progress"))?;
        Ok(home)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The embedded DynamoDB.
    pub fn database(&self) -> PathBuf {
        self.0.join("dynamodb.sqlite")
    }

    /// S3: a folder a bucket.
    pub fn s3(&self) -> PathBuf {
        self.0.join("s3")
    }

    /// What was put on the event bus, one EventBridge event a line.
    pub fn outcomes(&self) -> PathBuf {
        self.0.join("outcomes.jsonl")
    }

    /// Present while a process works here: left behind, it tells that the process was killed.
    pub fn at_work(&self) -> PathBuf {
        self.0.join("at-work")
    }

    fn progress(&self, job: &str) -> PathBuf {
        self.0
            .join("progress")
            .join(format!("{}.json", shared::hash::short_hash(job.as_bytes())))
    }

    /// How far `job` had come.
    pub fn read_progress(&self, job: &str) -> Progress {
        let text = std::fs::read(self.progress(job)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Notes how far `job` has come; the old note stays whole until the new one is.
    pub fn write_progress(&self, job: &str, progress: &Progress) -> io::Result<()> {
        let path = self.progress(job);
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(progress)?)?;
        std::fs::rename(new, path)
    }
}
