//! ksail's own memory on disk: one folder a cluster, below `~/.ksail` or `$KSAIL_HOME`.
//!
//! ```text
//! clusters/CONTEXT/
//!   recorded.json   what the last finished run wrote down
//!   journal.jsonl   what runs did, step by step
//!   engine.json     the Docker engine it is on
//!   expires.json    when it removes itself, if it does
//!   lock            held by the run that works on the cluster
//!   embedded/       the folder of an embedded control plane
//! owner             who this memory is among others, on engines that several users share
//! runs/             what failed runs left for a look
//! ```

mod expiry;
mod files;
mod journal;
pub mod lock;

use std::fs::File;
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, FutureExt as _};

pub use expiry::Expiry;
pub use files::write_whole;

use crate::diag::codes::state::{BROKEN_STATE, CLUSTER_BUSY, STATE_UNWRITABLE};
use crate::error::{Error, Result};
use crate::facts::Recorded;
use crate::world::{Guard, Memory, Note};
use lock::Lock;

/// The state folder.
#[derive(Clone, Debug)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// Uses this folder; it is made when something is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a cluster.
    pub fn cluster(&self, context: &str) -> PathBuf {
        self.root.join("clusters").join(context)
    }

    /// Whether a run has worked on a cluster and did not come to its end, or the cluster is still there.
    pub fn has_journal(&self, context: &str) -> bool {
        self.cluster(context).join(journal::FILE).exists()
    }

    /// The folder that evidence of a failed run is kept in; it outlives the cluster.
    pub fn run(&self, name: &str) -> PathBuf {
        self.root.join("runs").join(name)
    }

    /// Who this memory is among others: an id that is made up once and stays.
    pub fn owner(&self) -> Result<String> {
        let path = self.root.join("owner");
        let read = || Some(std::fs::read_to_string(&path).ok()?.trim().to_string());
        if let Some(owner) = read().filter(|owner| !owner.is_empty()) {
            return Ok(owner);
        }
        let owner = uuid::Uuid::new_v4().to_string();
        write_whole(&path, owner.as_bytes()).map_err(|cause| unwritable(&path, cause))?;
        // Of two that make one up at once, the one that is there counts.
        Ok(read().unwrap_or(owner))
    }

    /// The contexts that have a folder, in order.
    pub fn contexts(&self) -> Result<Vec<String>> {
        let folder = self.root.join("clusters");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(unreadable(&folder, cause)),
        };
        let mut contexts: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        contexts.sort();
        Ok(contexts)
    }

    fn read_recorded(&self, context: &str) -> Result<Option<Recorded>> {
        let path = self.cluster(context).join("recorded.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(unreadable(&path, cause)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|cause| unreadable(&path, cause))
    }

    fn take_lock(&self, context: &str) -> Result<File> {
        let folder = self.cluster(context);
        std::fs::create_dir_all(&folder).map_err(|cause| unwritable(&folder, cause))?;
        let path = folder.join("lock");
        match lock::take(&path).map_err(|cause| unwritable(&path, cause))? {
            Lock::Taken(file) => Ok(file),
            Lock::HeldBy(holder) => {
                let message = format!("the process {holder} works on {context}");
                Err(Error::new(&CLUSTER_BUSY, message).help("wait for it to end, or end it"))
            }
        }
    }
}

impl Memory for State {
    fn read<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Option<Recorded>>> {
        async move { self.read_recorded(context) }.boxed()
    }

    fn write<'a>(&'a self, context: &'a str, recorded: &'a Recorded) -> BoxFuture<'a, Result<()>> {
        async move {
            let path = self.cluster(context).join("recorded.json");
            let text = serde_json::to_string_pretty(recorded).unwrap_or_default();
            write_whole(&path, text.as_bytes()).map_err(|cause| unwritable(&path, cause))
        }
        .boxed()
    }

    fn forget<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let folder = self.cluster(context);
            match std::fs::remove_dir_all(&folder) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    Err(unwritable(&folder, cause))
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn note(&self, context: &str, note: &Note<'_>) {
        journal::append(&self.cluster(context), note);
    }

    fn lock<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Box<dyn Guard>>> {
        async move {
            self.take_lock(context)
                .map(|file| Box::new(Held(file)) as Box<dyn Guard>)
        }
        .boxed()
    }
}

/// The lock of a cluster; given up when dropped or when the process ends.
struct Held(#[allow(dead_code, reason = "held for its lock")] File);

impl Guard for Held {}

fn unreadable(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(&BROKEN_STATE, format!("{} cannot be read", path.display()))
        .because(cause)
        .help("move it away, or delete the cluster it belongs to")
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(
        &STATE_UNWRITABLE,
        format!("{} cannot be written", path.display()),
    )
    .because(cause)
    .help("check the folder's owner, its mode and the free space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn remembers_and_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        assert_eq!(state.read("embedded-dev").await.unwrap(), None);
        let recorded = Recorded {
            finished: true,
            ..Recorded::default()
        };
        state.write("embedded-dev", &recorded).await.unwrap();
        assert_eq!(state.read("embedded-dev").await.unwrap(), Some(recorded));
        assert_eq!(state.contexts().unwrap(), ["embedded-dev"]);
        state.forget("embedded-dev").await.unwrap();
        state.forget("embedded-dev").await.unwrap();
        assert!(state.contexts().unwrap().is_empty());
    }

    #[test]
    fn its_owner_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let owner = State::new(folder.path()).owner().unwrap();
        assert_eq!(State::new(folder.path()).owner().unwrap(), owner);
        assert_ne!(
            State::new(folder.path().join("other")).owner().unwrap(),
            owner
        );
    }

    #[tokio::test]
    async fn names_a_broken_file_and_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        let path = state.cluster("x").join("recorded.json");
        write_whole(&path, b"{\"finished\": tr").unwrap();
        let error = state.read("x").await.unwrap_err();
        assert_eq!(error.code().id, "E0601");
        assert!(error.message().contains("recorded.json"));
        assert!(path.exists());
    }

    #[tokio::test]
    async fn one_run_to_a_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        let held = state.lock("x").await.unwrap();
        let Err(error) = state.lock("x").await else {
            panic!("locked twice")
        };
        assert_eq!(error.code().id, "E0603");
        drop(held);
        assert!(state.lock("x").await.is_ok());
    }
}
