//! The embedded provider: a cluster is a detached ksail process that serves a Kubernetes API on loopback.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use super::{decryption, installed};
use crate::axis::{Distribution, Provider};
use crate::diag::codes::model::NOT_THERE_YET;
use crate::diag::codes::run::NO_SUCH_CLUSTER;
use crate::diag::codes::state::{BROKEN_STATE, STATE_UNWRITABLE};
use crate::embedded::audit::Policy;
use crate::embedded::home::{Home, Identity};
use crate::embedded::{process, snapshot};
use crate::error::{Error, Result};
use crate::facts::{Facts, State};
use crate::k8s;
use crate::spec::{ClusterName, Spec};
use crate::state::{State as Store, write_whole};
use crate::step::Action;
use crate::world::{Access, Contexts, Memory as _, Platform, Snapshots, Work};

/// How many clusters are looked at at once.
const LOOKS: usize = 16;
/// How long a cluster on this very machine may take to answer before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes clusters inside ksail's own processes.
pub struct Embedded {
    store: Store,
    /// The ksail binary that serves them.
    program: PathBuf,
    contexts: Arc<dyn Contexts>,
}

/// What ksail knows of an embedded cluster beside what its API shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    name: String,
    distribution: Distribution,
}

impl Embedded {
    /// Keeps clusters in this state folder and serves them with this program.
    pub fn new(store: Store, program: PathBuf, contexts: Arc<dyn Contexts>) -> Self {
        Self {
            store,
            program,
            contexts,
        }
    }

    fn home(&self, context: &str) -> PathBuf {
        self.store.cluster(context).join("embedded")
    }

    fn card_path(&self, context: &str) -> PathBuf {
        self.store.cluster(context).join("cluster.json")
    }

    fn read_card(&self, context: &str) -> Result<Option<Card>> {
        let path = self.card_path(context);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(broken(&path, cause)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|cause| broken(&path, cause))
    }

    fn write_card(&self, context: &str, card: &Card) -> Result<()> {
        let path = self.card_path(context);
        let text = serde_json::to_string_pretty(card).unwrap_or_default();
        write_whole(&path, text.as_bytes()).map_err(|cause| {
            Error::new(
                &STATE_UNWRITABLE,
                format!("{} cannot be written", path.display()),
            )
            .because(cause)
        })
    }

    fn open(&self, context: &str) -> Result<Home> {
        Home::open(&self.home(context))
    }

    async fn client(&self, context: &str) -> Result<kube::Client> {
        k8s::connect(&access(&self.open(context)?)?).await
    }

    /// What the state folder tells, without asking the cluster; running is one whose process holds its lock.
    async fn peek(&self, context: &str, name: &ClusterName) -> Result<Option<Facts>> {
        let Some(card) = self.read_card(context)? else {
            return Ok(None);
        };
        let mut facts = Facts {
            recorded: self.store.read(context).await?,
            ..Facts::unseen(name, context, card.distribution, Provider::Embedded)
        };
        // A card without a home is a creation that was cut off before the first key.
        if !self.home(context).exists() {
            return Ok(Some(facts));
        }
        let home = self.open(context)?;
        facts.endpoint = Some(home.url());
        facts.kubernetes = Some(home.config().kubernetes.trim_start_matches('v').to_string());
        facts.has_context = self
            .contexts
            .leads_to(context, &home.url())
            .await
            .unwrap_or(false);
        if process::status(&home) != process::State::Stopped {
            facts.state = State::Running;
        }
        Ok(Some(facts))
    }

    async fn look(&self, context: &str, name: &ClusterName) -> Result<Option<Facts>> {
        let Some(mut facts) = self.peek(context, name).await? else {
            return Ok(None);
        };
        if facts.state == State::Running {
            let client = self.client(context).await?;
            let asked = async { tokio::try_join!(k8s::nodes(&client), k8s::components(&client)) };
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(Ok((nodes, components))) => {
                    facts.nodes = nodes;
                    facts.components = components;
                }
                Ok(Err(problem)) => {
                    facts.state = State::Broken(format!("its API does not answer: {problem}"));
                }
                Err(_) => {
                    let message = format!("its API has not answered in {} s", PATIENCE.as_secs());
                    facts.state = State::Broken(message);
                }
            }
        }
        Ok(Some(facts))
    }

    /// Every cluster's name and context.
    fn names(&self) -> Result<Vec<(ClusterName, String)>> {
        let mut names = Vec::new();
        for context in self.store.contexts()? {
            if let Some(card) = self.read_card(&context)? {
                names.push((ClusterName::parse(&card.name)?, context));
            }
        }
        Ok(names)
    }

    async fn act(&self, work: &Work<'_>) -> Result<()> {
        let context = work.context;
        match work.action {
            Action::ControlPlane {
                kubernetes,
                distribution,
                port,
                audit,
            } => {
                let card = Card {
                    name: work.name.to_string(),
                    distribution: *distribution,
                };
                // Written first: whatever is begun can be found again.
                if self.read_card(context)?.is_none() {
                    self.write_card(context, &card)?;
                }
                let folder = self.home(context);
                let home = if folder.exists() {
                    Home::open(&folder)?
                } else {
                    let identity = Identity {
                        name: card.name,
                        kubernetes: kubernetes.clone(),
                        port: *port,
                    };
                    Home::create(&folder, &identity)?
                };
                if let Some(policy) = audit {
                    // Refused before anything runs by it.
                    Policy::read(policy)?;
                    home.set_audit_policy(policy)?;
                }
                self.start(home).await
            }
            Action::Start => self.start(self.open(context)?).await,
            Action::Stop => self.stop(context).await,
            Action::Remove { .. } => {
                if self.home(context).exists() {
                    self.stop(context).await?;
                }
                let folder = self.home(context);
                remove_folder(&folder)?;
                let card = self.card_path(context);
                match std::fs::remove_file(&card) {
                    Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                        Err(unremovable(&card, cause))
                    }
                    _ => Ok(()),
                }
            }
            Action::Nodes { nodes, remove } => {
                k8s::ensure_nodes(&self.client(context).await?, nodes, remove).await
            }
            Action::Ready { nodes } => {
                k8s::wait_ready(&self.client(context).await?, *nodes, work.report).await
            }
            Action::Install(install) => {
                installed::install(&self.client(context).await?, install).await
            }
            Action::Uninstall { component } => {
                installed::uninstall(&self.client(context).await?, component).await
            }
            Action::DecryptionKey(key) => decryption::give(&self.client(context).await?, key).await,
            Action::TakeDecryptionKey { namespace } => {
                decryption::take(&self.client(context).await?, namespace).await
            }
            other => Err(cannot(other)),
        }
    }

    async fn start(&self, home: Home) -> Result<()> {
        let program = self.program.clone();
        blocking(move || process::start(&home, &program)).await
    }

    async fn stop(&self, context: &str) -> Result<()> {
        let home = self.open(context)?;
        blocking(move || process::stop(&home)).await
    }
}

impl Platform for Embedded {
    fn observe<'a>(
        &'a self,
        context: &'a str,
        name: &'a ClusterName,
        _: Option<&'a Spec>,
    ) -> BoxFuture<'a, Result<Option<Facts>>> {
        self.look(context, name).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Facts>>> {
        async move {
            let names = self.names()?;
            // Each look is several requests: they go side by side.
            let looks = names.iter().map(|(name, context)| self.look(context, name));
            let looks: Vec<_> = looks.collect();
            let found: Vec<Option<Facts>> = futures::stream::iter(looks)
                .buffered(LOOKS)
                .try_collect()
                .await?;
            Ok(found.into_iter().flatten().collect())
        }
        .boxed()
    }

    fn glance(&self) -> BoxFuture<'_, Result<Vec<Facts>>> {
        async move {
            let mut found = Vec::new();
            for (name, context) in self.names()? {
                found.extend(self.peek(&context, &name).await?);
            }
            Ok(found)
        }
        .boxed()
    }

    fn makes(&self, _: Distribution) -> Result<()> {
        Ok(())
    }

    fn can(&self, action: &Action) -> Result<()> {
        match action {
            Action::Network { .. }
            | Action::Registry { .. }
            | Action::Registries { .. }
            | Action::Balancer { .. }
            | Action::Images { .. }
            | Action::Machine { .. }
            | Action::RemoveMachine { .. }
            | Action::Bootstrap { .. }
            | Action::Join { .. } => Err(cannot(action)),
            Action::Install(install) => installed::can(install),
            Action::DecryptionKey(key) => decryption::can(key),
            _ => Ok(()),
        }
    }

    fn perform<'a>(&'a self, work: &'a Work<'a>) -> BoxFuture<'a, Result<()>> {
        self.act(work).boxed()
    }

    fn kubeconfig<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Access>> {
        async move {
            if self.read_card(context)?.is_none() {
                let message = format!("there is no cluster {context}");
                return Err(Error::new(&NO_SUCH_CLUSTER, message));
            }
            access(&self.open(context)?)
        }
        .boxed()
    }

    fn snapshots(&self) -> Result<&dyn Snapshots> {
        Ok(self)
    }
}

impl Snapshots for Embedded {
    fn save<'a>(&'a self, context: &'a str, file: &'a Path) -> BoxFuture<'a, Result<()>> {
        async move {
            let (home, file) = (self.open(context)?, file.to_owned());
            blocking(move || snapshot::save(&home, &file)).await
        }
        .boxed()
    }

    fn restore<'a>(&'a self, context: &'a str, file: &'a Path) -> BoxFuture<'a, Result<()>> {
        async move {
            let (home, file) = (self.open(context)?, file.to_owned());
            blocking(move || snapshot::restore(&home, &file)).await
        }
        .boxed()
    }

    fn fork<'a>(
        &'a self,
        context: &'a str,
        other: &'a str,
        name: &'a ClusterName,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let home = self.open(context)?;
            let Some(mut card) = self.read_card(context)? else {
                let message = format!("there is no cluster {context}");
                return Err(Error::new(&NO_SUCH_CLUSTER, message));
            };
            card.name = name.to_string();
            // Written first, as for any new cluster: whatever is begun can be found again.
            self.write_card(other, &card)?;
            let identity = Identity {
                name: card.name,
                kubernetes: home.config().kubernetes.clone(),
                port: None,
            };
            let folder = self.home(other);
            blocking(move || snapshot::fork(&home, &folder, &identity).map(drop)).await?;
            self.start(self.open(other)?).await
        }
        .boxed()
    }
}

fn access(home: &Home) -> Result<Access> {
    let (certificate, key) = home.admin()?;
    Ok(Access {
        server: home.url(),
        authority: home.authority()?,
        certificate,
        key,
    })
}

fn cannot(action: &Action) -> Error {
    let word = serde_json::to_value(action)
        .ok()
        .and_then(|value| Some(value.get("action")?.as_str()?.to_string()));
    let word = word.unwrap_or_else(|| "this".into());
    Error::new(
        &NOT_THERE_YET,
        format!("the embedded provider does not know the action `{word}`"),
    )
}

fn broken(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(&BROKEN_STATE, format!("{} cannot be read", path.display())).because(cause)
}

fn unremovable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(
        &STATE_UNWRITABLE,
        format!("{} cannot be removed", path.display()),
    )
    .because(cause)
}

/// Removes a cluster's folder; renamed first, so that a removal that is cut off leaves nothing that looks whole.
fn remove_folder(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let dying = folder.with_file_name(".removed");
    let _ = std::fs::remove_dir_all(&dying);
    std::fs::rename(folder, &dying).map_err(|cause| unremovable(folder, cause))?;
    std::fs::remove_dir_all(&dying).map_err(|cause| unremovable(&dying, cause))
}

/// Runs what blocks on a thread of its own.
async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(cause) => Err(Error::new(
            &crate::diag::codes::embedded::NOT_STARTED,
            "the work on the server's process was cut off",
        )
        .because(cause)),
    }
}
