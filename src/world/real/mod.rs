//! The machine: the only place that wires the real clients together.

mod contexts;
pub mod reaper;

use std::path::PathBuf;
use std::sync::Arc;

pub use contexts::Files;

use self::reaper::Bell;
use super::{Contexts, Deadlines, Memory, Platform, World};
use crate::axis::{Axis, Provider};
use crate::diag::codes::model::NOT_THERE_YET;
use crate::docker::Settings;
use crate::error::{Error, Result};
use crate::provider::{Docker, Embedded};
use crate::state::State;

/// Where things are on this machine; whoever starts ksail finds out and says so.
#[derive(Clone, Debug)]
pub struct Places {
    /// ksail's state folder.
    pub state: PathBuf,
    /// The ksail binary, which serves embedded clusters.
    pub program: PathBuf,
    /// The files of the user's kubeconfig, in order.
    pub kubeconfig: Vec<PathBuf>,
    /// Where the Docker engine is.
    pub docker: Settings,
    /// The folder of kwokctl, which its clusters and ours share.
    pub kwok: PathBuf,
}

/// The real world.
pub struct Machine {
    state: State,
    contexts: Arc<dyn Contexts>,
    bell: Arc<Bell>,
    embedded: Arc<Embedded>,
    docker: Arc<Docker>,
    files: Files,
}

impl Machine {
    /// Wires the world together; nothing is touched yet.
    pub fn new(places: Places) -> Self {
        let state = State::new(places.state);
        let bell = Bell::new(
            state.clone(),
            places.program.clone(),
            places.kubeconfig.clone(),
        );
        let files = Files::new(places.kubeconfig);
        let contexts: Arc<dyn Contexts> = Arc::new(files.clone());
        let embedded = Arc::new(Embedded::new(
            state.clone(),
            places.program,
            contexts.clone(),
        ));
        let docker = Arc::new(Docker::new(
            state.clone(),
            places.docker,
            places.kwok,
            contexts.clone(),
        ));
        Self {
            state,
            contexts,
            bell: Arc::new(bell),
            embedded,
            docker,
            files,
        }
    }

    /// The Docker provider.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The user's kubeconfig on disk.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// ksail's own memory on disk.
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl World for Machine {
    fn platform(&self, provider: Provider) -> Result<Arc<dyn Platform>> {
        match provider {
            Provider::Embedded => Ok(self.embedded.clone()),
            Provider::Docker => Ok(self.docker.clone()),
            other => Ok(Arc::new(Absent(other))),
        }
    }

    fn contexts(&self) -> Arc<dyn Contexts> {
        self.contexts.clone()
    }

    fn memory(&self) -> Arc<dyn Memory> {
        Arc::new(self.state.clone())
    }

    fn deadlines(&self) -> Arc<dyn Deadlines> {
        self.bell.clone()
    }
}

/// A provider that plans and cannot yet be carried out: it sees no clusters and says of every action that it is not there.
struct Absent(Provider);

impl Absent {
    fn error(&self) -> Error {
        Error::new(
            &NOT_THERE_YET,
            format!("the {} provider cannot carry out plans yet", self.0.name()),
        )
        .help("run the same definition simulated: add `--simulate`, or use `provider: embedded()`")
    }
}

impl Platform for Absent {
    fn observe<'a>(
        &'a self,
        _: &'a str,
        _: &'a crate::spec::ClusterName,
        _: Option<&'a crate::spec::Spec>,
    ) -> futures::future::BoxFuture<'a, Result<Option<crate::facts::Facts>>> {
        Box::pin(async { Ok(None) })
    }

    fn list(&self) -> futures::future::BoxFuture<'_, Result<Vec<crate::facts::Facts>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn makes(&self, _: crate::axis::Distribution) -> Result<()> {
        Err(self.error())
    }

    fn can(&self, _: &crate::step::Action) -> Result<()> {
        Err(self.error())
    }

    fn perform<'a>(&'a self, _: &'a super::Work<'a>) -> futures::future::BoxFuture<'a, Result<()>> {
        Box::pin(async { Err(self.error()) })
    }

    fn kubeconfig<'a>(
        &'a self,
        _: &'a str,
    ) -> futures::future::BoxFuture<'a, Result<super::Access>> {
        Box::pin(async { Err(self.error()) })
    }
}
