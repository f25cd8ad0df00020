//! The boundary: everything outside the process, behind traits.
//!
//! Layers below hold values only; whoever has effects implements these traits and is handed out by a [`World`]. Tests
//! bring their own.

mod event;
pub mod real;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use event::{Event, Happening, Listener, Reporter, Silent};

use crate::axis::{Distribution, Provider};
use crate::diag::codes::model::NOT_THERE_YET;
use crate::error::{Error, Result};
use crate::facts::{Facts, Recorded};
use crate::spec::{ClusterName, Hook, Spec};
use crate::step::Action;

/// Everything outside the process.
pub trait World: Send + Sync {
    /// Whoever makes clusters on a provider.
    fn platform(&self, provider: Provider) -> Result<Arc<dyn Platform>>;
    /// The user's kubeconfig.
    fn contexts(&self) -> Arc<dyn Contexts>;
    /// ksail's own memory of a cluster.
    fn memory(&self) -> Arc<dyn Memory>;
    /// When clusters remove themselves.
    fn deadlines(&self) -> Arc<dyn Deadlines>;
}

/// Makes and removes clusters on one provider.
pub trait Platform: Send + Sync {
    /// Looks at one cluster; `None` if there is none. The definition, where there is one, says where it may be.
    fn observe<'a>(
        &'a self,
        context: &'a str,
        name: &'a ClusterName,
        spec: Option<&'a Spec>,
    ) -> BoxFuture<'a, Result<Option<Facts>>>;
    /// Looks at all clusters.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Facts>>>;
    /// All clusters without asking any of them: also those that hang. Nodes and components may be left out.
    fn glance(&self) -> BoxFuture<'_, Result<Vec<Facts>>> {
        self.list()
    }
    /// Whether it makes clusters of this distribution at all; asked before anything is touched.
    fn makes(&self, distribution: Distribution) -> Result<()>;
    /// Whether it can carry out an action at all; asked before anything is touched.
    fn can(&self, action: &Action) -> Result<()>;
    /// Carries out one action; doing it twice is doing it once.
    fn perform<'a>(&'a self, work: &'a Work<'a>) -> BoxFuture<'a, Result<()>>;
    /// The kubeconfig of one cluster, with its context.
    fn kubeconfig<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Access>>;
    /// What clusters hold as a thing of its own, where the provider can do that.
    fn snapshots(&self) -> Result<&dyn Snapshots> {
        Err(Error::new(
            &NOT_THERE_YET,
            "only embedded clusters, and KWOK on Docker, can be saved, put back and forked",
        ))
    }
}

/// What clusters hold: saved, put back, and the beginning of others.
pub trait Snapshots: Send + Sync {
    /// Saves what a cluster holds to a file that is not there yet.
    fn save<'a>(&'a self, context: &'a str, file: &'a Path) -> BoxFuture<'a, Result<()>>;
    /// Puts back what a file holds into a cluster that does not run.
    fn restore<'a>(&'a self, context: &'a str, file: &'a Path) -> BoxFuture<'a, Result<()>>;
    /// Makes another cluster that holds what this one holds now, and starts it.
    fn fork<'a>(
        &'a self,
        context: &'a str,
        other: &'a str,
        name: &'a ClusterName,
    ) -> BoxFuture<'a, Result<()>>;
}

/// One action on one cluster.
pub struct Work<'a> {
    /// The cluster's name.
    pub name: &'a ClusterName,
    /// Its context.
    pub context: &'a str,
    /// Its definition; `None` where a cluster is worked on by name only.
    pub spec: Option<&'a Spec>,
    /// What to do.
    pub action: &'a Action,
    /// Where progress is told.
    pub report: &'a Reporter,
    /// Whether to stop.
    pub cancel: &'a CancellationToken,
}

/// How one reaches a cluster's API.
#[derive(Clone, Debug)]
pub struct Access {
    /// Its address.
    pub server: String,
    /// The certificate authority, PEM.
    pub authority: String,
    /// The client certificate, PEM.
    pub certificate: String,
    /// The client key, PEM.
    pub key: crate::secret::Secret,
}

/// The user's kubeconfig.
pub trait Contexts: Send + Sync {
    /// Adds or replaces a context and makes it the current one.
    fn merge<'a>(&'a self, context: &'a str, access: &'a Access) -> BoxFuture<'a, Result<()>>;
    /// Removes a context with its cluster and user.
    fn remove<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Whether the context is there and leads to this server.
    fn leads_to<'a>(&'a self, context: &'a str, server: &'a str) -> BoxFuture<'a, Result<bool>>;
}

/// ksail's own memory of a cluster, in its state folder.
pub trait Memory: Send + Sync {
    /// What was written down.
    fn read<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Option<Recorded>>>;
    /// Writes it down.
    fn write<'a>(&'a self, context: &'a str, recorded: &'a Recorded) -> BoxFuture<'a, Result<()>>;
    /// Removes it.
    fn forget<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Notes what a run does; a note that cannot be kept stops nothing.
    fn note(&self, context: &str, note: &Note<'_>);
    /// Takes the right to work on a cluster.
    fn lock<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Box<dyn Guard>>>;
}

/// Has clusters removed when their time has come, also after this process has ended.
pub trait Deadlines: Send + Sync {
    /// When a cluster removes itself, in seconds since 1970.
    fn read(&self, context: &str) -> Result<Option<u64>>;
    /// Has a cluster removed after this time from now; `None` takes an earlier order back.
    fn set<'a>(&'a self, context: &'a str, after: Option<Duration>) -> BoxFuture<'a, Result<()>>;
    /// Sees to it that what was ordered before will happen, such as after the machine was switched off.
    fn keep(&self) -> Result<()>;
}

/// A line of the journal.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Note<'a> {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The step.
    pub step: &'a str,
    /// `begun`, `done` or `failed`.
    pub state: &'a str,
    /// The problem of a failed one.
    pub problem: Option<&'a str>,
}

/// A right that is given up when dropped.
pub trait Guard: Send + Sync {}

/// Calls a script back.
pub trait Hooks: Send + Sync {
    /// Runs one hook of one cluster.
    fn call<'a>(
        &'a self,
        spec: &'a Spec,
        hook: Hook,
        report: &'a Reporter,
    ) -> BoxFuture<'a, Result<()>>;
}
