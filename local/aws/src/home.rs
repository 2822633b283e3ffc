//! `.fraudstream/`: the folder in which everything that runs on this machine keeps its state. Only the
//! user who runs it may read it: it has orders, labels and elements of lists.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The folder cannot be used.
#[derive(Debug, Error)]
#[error("cannot use {path} as the state folder: {source}")]
pub struct HomeError {
    path: String,
    source: io::Error,
}

/// The folder of local state.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// How far a file has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    /// Records that are done, from the beginning of the file.
    pub records: u64,
    /// Hash of these records: it differs if another file has the same name.
    pub hash: String,
}

impl Home {
    /// Opens the folder at `path`, and creates it if it is missing. Only this user may read it, and all
    /// files that the process creates from now on. Permissions of an earlier release are restricted.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let home = Self(path.into());
        private::create_files_privately();
        std::fs::create_dir_all(home.0.join("progress"))
            .and_then(|()| private::restrict_our_files(&home.0))
            .map_err(|source| HomeError {
                path: home.0.display().to_string(),
                source,
            })?;
        Ok(home)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The embedded DynamoDB.
    pub fn database_file(&self) -> PathBuf {
        self.0.join("dynamodb.sqlite")
    }

    /// S3: a folder for each bucket.
    pub fn s3_folder(&self) -> PathBuf {
        self.0.join("s3")
    }

    /// What was put on the event bus: one EventBridge event per line.
    pub fn outcomes_file(&self) -> PathBuf {
        self.0.join("outcomes.jsonl")
    }

    /// Exists while a process uses the folder. If it is left, the process was killed.
    pub fn at_work_file(&self) -> PathBuf {
        self.0.join("at-work")
    }

    fn progress_file(&self, job: &str) -> PathBuf {
        self.0
            .join("progress")
            .join(format!("{}.json", shared::hash::short_hash(job.as_bytes())))
    }

    /// Reads the progress of `job`.
    pub fn read_progress(&self, job: &str) -> FileProgress {
        let text = std::fs::read(self.progress_file(job)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Stores the progress of `job`; the old file stays until the new one is complete.
    pub fn write_progress(&self, job: &str, progress: &FileProgress) -> io::Result<()> {
        let path = self.progress_file(job);
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(progress)?)?;
        std::fs::rename(new, path)
    }
}

/// File permissions.
#[cfg(unix)]
mod private {
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use rustix::fs::Mode;

    /// The names of our files and folders. Any other name belongs to the user, who may have given an
    /// existing folder as `--home`.
    const OURS: [&str; 6] = [
        "at-work",
        "demo",
        "outcomes.jsonl",
        "outcomes.new",
        "progress",
        "s3",
    ];
    /// How the names of the database's files begin.
    const DATABASE: &str = "dynamodb.sqlite";

    /// Sets the umask, because the database and S3 create their files themselves.
    pub(super) fn create_files_privately() {
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
    }

    /// Removes the permissions of other users from our files in a folder, and from the folder itself if
    /// it has no other files. Files in subfolders are protected by these.
    pub(super) fn restrict_our_files(folder: &Path) -> io::Result<()> {
        let mut shared = false;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if OURS.contains(&&*name) || name.starts_with(DATABASE) {
                restrict_file(&entry.path())?;
            } else {
                shared = true;
            }
        }
        if shared {
            Ok(())
        } else {
            restrict_file(folder)
        }
    }

    fn restrict_file(path: &Path) -> io::Result<()> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // Another process has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mode = metadata.permissions().mode();
        let own = mode & 0o7700;
        if mode & 0o7777 == own {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(own)).map_err(|error| {
            let path = path.display();
            let why = format!("other users may read {path}, and that cannot be changed: {error}");
            io::Error::new(error.kind(), why)
        })
    }
}

/// On other systems a folder in the user's own directory is readable by the user alone.
#[cfg(not(unix))]
mod private {
    pub(super) fn create_files_privately() {}

    pub(super) fn restrict_our_files(_: &std::path::Path) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use aws_sdk_eventbridge::types::PutEventsRequestEntry;

    use super::*;
    use crate::dynamodb::Durability;
    use crate::local_stack::{self, LocalStack};

    /// The permissions of a folder and of all that is in it, by the path within.
    fn modes(root: &Path) -> BTreeMap<String, String> {
        let mut modes = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(path) = open.pop() {
            let metadata = fs::metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mode = metadata.permissions().mode() & 0o777;
            modes.insert(name, format!("{mode:o}"));
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).unwrap();
                open.extend(entries.map(|entry| entry.unwrap().path()));
            }
        }
        modes
    }

    /// Everything that writes into the folder, at work on it.
    async fn fill(home: &Home) -> BTreeMap<String, String> {
        let stack = LocalStack::open(home, Durability::Kill).await.unwrap();
        let clients = &stack.clients;
        clients
            .frauddetector
            .put_label()
            .name("fraud")
            .send()
            .await
            .unwrap();
        let put = clients.s3.put_object().bucket(local_stack::BUCKET);
        let put = put
            .key("rejected/predict/1.json")
            .body(b"{}".to_vec().into());
        put.send().await.unwrap();
        let event = PutEventsRequestEntry::builder()
            .source("fraudstream")
            .detail_type("decision")
            .detail("{}");
        let put = clients.eventbridge.put_events().entries(event.build());
        put.send().await.unwrap();
        home.write_progress("job", &FileProgress::default())
            .unwrap();
        let modes = modes(home.path());
        stack.close().await.unwrap();
        modes
    }

    #[tokio::test]
    async fn nobody_else_may_read_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path().join("home")).unwrap();
        let modes = fill(&home).await;
        for name in [
            "",
            "at-work",
            "dynamodb.sqlite",
            "dynamodb.sqlite-shm",
            "dynamodb.sqlite-wal",
            "outcomes.jsonl",
            "progress",
            "s3/fraudstream/rejected/predict/1.json",
        ] {
            assert!(modes.contains_key(name), "{name} is not in {modes:?}");
        }
        for (name, mode) in &modes {
            assert!(mode == "600" || mode == "700", "`{name}` has {mode}");
        }
    }

    #[tokio::test]
    async fn what_an_earlier_release_left_open_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let home = Home::open(&path).unwrap();
        fill(&home).await;
        for name in modes(&path).keys() {
            let path = path.join(name);
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        Home::open(&path).unwrap();
        for (name, want) in [
            ("", "700"),
            ("dynamodb.sqlite", "600"),
            ("outcomes.jsonl", "600"),
            ("progress", "700"),
            ("s3", "700"),
        ] {
            assert_eq!(modes(&path)[name], want, "{name}");
        }
    }

    /// `--home /tmp` must not take /tmp from everybody else.
    #[tokio::test]
    async fn a_folder_with_files_of_others_stays_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        fs::create_dir(&path).unwrap();
        for (name, mode) in [
            ("notes.txt", 0o644),
            ("progress.md", 0o644),
            ("outcomes.jsonl", 0o644),
            ("", 0o755),
        ] {
            let path = path.join(name);
            if !path.exists() {
                fs::write(&path, "").unwrap();
            }
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        Home::open(&path).unwrap();
        let got = modes(&path);
        for (name, want) in [
            ("", "755"),
            ("notes.txt", "644"),
            ("progress.md", "644"),
            ("outcomes.jsonl", "600"),
            ("progress", "700"),
        ] {
            assert_eq!(got[name], want, "{name}");
        }
    }
}
