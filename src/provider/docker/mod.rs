//! The Docker provider: a cluster is a set of containers, known by their labels.
//!
//! What is the same for all distributions is here: finding clusters (ours and those of kind, k3d and kwokctl), their
//! state, removal, registries, components. What differs is a [`Maker`], one file per distribution. Nothing is kept
//! elsewhere: containers, networks and volumes carry the labels of [`crate::docker::labels`] beside the peer's own.
//!
//! To add a distribution: a file here with its [`Maker`], and a line in [`Docker::new`].

mod clusters;
mod engines;
mod evidence;
mod gc;
mod images;
mod job;
mod k3s;
mod known;
mod kwok;
mod look;
mod registry;
mod snapshot;
mod vanilla;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
pub use gc::{Leftover, Thing};
pub(super) use job::Job;

use clusters::Clusters;
use engines::Engines;
use known::Known;

use self::look::Depth;
use super::{decryption, installed};
use crate::axis::{Axis as _, Distribution};
use crate::diag::codes::model::NOT_THERE_YET;
use crate::docker::{Engine, Life, Listed, Settings, labels};
use crate::error::{Error, Result};
use crate::facts::{Facts, Lack};
use crate::k8s;
use crate::spec::{ClusterName, Spec};
use crate::state::State as Store;
use crate::step::{Action, Network, Node};
use crate::world::{Access, Contexts, Platform, Snapshots, Work};

/// How a distribution's nodes are made of containers. Every call is an ensure: doing it twice is doing it once.
pub(super) trait Maker: Send + Sync {
    /// Which distribution it makes.
    fn distribution(&self) -> Distribution;
    /// The name of the cluster that a container belongs to, by the labels of the distribution's own tool; ours carry
    /// them too. `None` for a container of anything else.
    fn cluster_of(&self, container: &Listed) -> Option<String>;
    /// Whether a container runs the control plane or a part of it.
    fn is_control_plane(&self, container: &Listed) -> bool;
    /// The network that the nodes share, with its labels and options.
    fn network(&self, job: &Job<'_>, name: &str) -> Network;
    /// Makes the network; a distribution may know other ways where the first is barred.
    fn ensure_network<'a>(&'a self, job: &'a Job<'a>, name: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { job.own_network(&self.network(job, name)).await }.boxed()
    }
    /// Runs a registry beside the cluster; `upstream` makes it a cache of another one.
    fn registry<'a>(
        &'a self,
        job: &'a Job<'a>,
        name: &'a str,
        upstream: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>> {
        registry::ensure(job, name, upstream).boxed()
    }
    /// Tells nodes that run of the registries there are now; simulated ones pull nothing.
    fn rewire<'a>(&'a self, job: &'a Job<'a>, nodes: &'a [String]) -> BoxFuture<'a, Result<()>> {
        let _ = (job, nodes);
        async { Ok(()) }.boxed()
    }
    /// Makes the load balancer that stands before the control planes.
    fn balancer<'a>(&'a self, job: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        let _ = job;
        async { Ok(()) }.boxed()
    }
    /// Makes the machine of a node and starts it.
    fn machine<'a>(
        &'a self,
        job: &'a Job<'a>,
        node: &'a Node,
        image: &'a str,
    ) -> BoxFuture<'a, Result<()>>;
    /// Starts Kubernetes on the first control plane.
    fn bootstrap<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Joins a node to the cluster.
    fn join<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Drains a node and removes its machine.
    fn remove_machine<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>>;
    /// How the cluster's API is reached from here; `members` are all its containers.
    fn access<'a>(
        &'a self,
        engine: &'a Engine,
        name: &'a str,
        members: &'a [Listed],
    ) -> BoxFuture<'a, Result<Access>>;
    /// Switches every container on, in the order they need, and repairs what changed meanwhile.
    fn start<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>>;
    /// Switches every container off.
    fn stop<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>>;
    /// Removes what is left when containers, networks and volumes are gone, such as files of the peer.
    fn clean<'a>(&'a self, job: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        let _ = job;
        async { Ok(()) }.boxed()
    }
    /// What the programs inside a container wrote down of themselves, by program, for evidence.
    fn journals<'a>(
        &'a self,
        engine: &'a Engine,
        member: &'a Listed,
    ) -> BoxFuture<'a, Vec<(&'static str, String)>> {
        let _ = (engine, member);
        async { Vec::new() }.boxed()
    }
    /// Writes down what a cluster that runs holds, as etcd's own snapshot.
    fn save<'a>(&'a self, job: &'a Job<'a>, file: File) -> BoxFuture<'a, Result<()>> {
        drop(file);
        async move { Err(snapshot::whole(job)) }.boxed()
    }
    /// Puts a snapshot in place of what a cluster holds that does not run.
    fn restore<'a>(&'a self, job: &'a Job<'a>, saved: &'a Path) -> BoxFuture<'a, Result<()>> {
        let _ = saved;
        async move { Err(snapshot::whole(job)) }.boxed()
    }
    /// Makes another cluster that holds what this one holds, and starts it.
    fn fork<'a>(&'a self, job: &'a Job<'a>, other: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        let _ = other;
        async move { Err(snapshot::whole(job)) }.boxed()
    }
    /// Clusters that are known by something else than containers.
    fn others(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// Parts of the control plane that should be there and are not, or do not run; only those that the run of a definition
    /// brings back.
    fn missing(&self, name: &str, members: &[Listed]) -> BTreeMap<String, Lack> {
        let off = members
            .iter()
            .filter(|one| self.is_control_plane(one))
            .filter(|one| matches!(one.life, Life::Created | Life::Ended));
        let mut missing: BTreeMap<String, Lack> =
            off.map(|one| (one.name.clone(), Lack::Stopped)).collect();
        // What another tool made is for that tool to bring back.
        let is_own = members
            .iter()
            .any(|one| one.labels.contains_key(labels::CLUSTER));
        if let Some(front) = self.front(name, members).filter(|_| is_own) {
            match members.iter().find(|one| one.name == front) {
                None => _ = missing.insert(front, Lack::Removed),
                Some(there) if matches!(there.life, Life::Created | Life::Ended) => {
                    missing.insert(front, Lack::Stopped);
                }
                Some(_) => {}
            }
        }
        missing
    }
    /// The load balancer that these containers of a cluster stand behind, by its name, whether it is there or not.
    fn front(&self, name: &str, members: &[Listed]) -> Option<String> {
        let _ = (name, members);
        None
    }
    /// Whether parts of a control plane that runs came back at other addresses than the others look for them at, as after
    /// a restart of the engine; starting the cluster leads them to each other.
    fn is_displaced<'a>(
        &'a self,
        engine: &'a Engine,
        members: &'a [Listed],
    ) -> BoxFuture<'a, bool> {
        let _ = (engine, members);
        async { false }.boxed()
    }
    /// Why nothing brings back what the cluster held, if that is so.
    fn loss(&self, name: &str, members: &[Listed]) -> Option<String> {
        let _ = (name, members);
        None
    }
    /// Corrects the facts by the containers that are there; by default a node without a container is none.
    fn correct(&self, members: &[Listed], facts: &mut Facts) {
        facts
            .nodes
            .retain(|node| members.iter().any(|member| member.name == node.name));
    }
}

/// Makes clusters on a Docker engine.
pub struct Docker {
    store: Store,
    engines: Engines,
    known: Clusters<Known>,
    contexts: Arc<dyn Contexts>,
    makers: Vec<Arc<dyn Maker>>,
}

impl Docker {
    /// Uses the engine that the settings lead to; `kwok` is the folder of kwokctl.
    pub fn new(
        store: Store,
        settings: Settings,
        kwok: PathBuf,
        contexts: Arc<dyn Contexts>,
    ) -> Self {
        let makers: Vec<Arc<dyn Maker>> = vec![
            Arc::new(vanilla::Vanilla),
            Arc::new(k3s::K3s::default()),
            Arc::new(kwok::Kwok::new(kwok)),
        ];
        Self {
            engines: Engines::new(settings, store.clone()),
            known: Clusters::default(),
            store,
            contexts,
            makers,
        }
    }

    /// The engine that the docker command would use; connected to when it is first needed.
    pub async fn engine(&self) -> Result<Engine> {
        self.engines.at(&engines::Place::default()).await
    }

    /// The engine of the cluster that is worked on.
    async fn engine_of(&self, work: &Work<'_>) -> Result<Engine> {
        let place = match (work.spec, work.action) {
            (Some(spec), action) if !matches!(action, Action::Remove { .. }) => {
                self.engines.settle(work.context, spec).await?
            }
            _ => self.engines.place(work.context, work.spec).await?,
        };
        self.engines.at(&place).await
    }

    fn maker(&self, distribution: Distribution) -> Result<&dyn Maker> {
        let found = self
            .makers
            .iter()
            .find(|maker| maker.distribution() == distribution);
        found.map(AsRef::as_ref).ok_or_else(|| {
            Error::new(&NOT_THERE_YET, format!("{} cannot be made on Docker yet", distribution.name()))
                .help("run the same definition simulated: add `--simulate`, or use `provider: embedded()`")
        })
    }

    /// The maker of the cluster that is worked on: by its definition, else by what is there.
    async fn maker_of(&self, work: &Work<'_>) -> Result<&dyn Maker> {
        if let Some(spec) = work.spec {
            return self.maker(spec.distribution.kind);
        }
        let found = self
            .makers
            .iter()
            .find(|maker| maker.context(work.name.as_str()) == work.context);
        match found {
            Some(maker) => Ok(maker.as_ref()),
            None => Err(Error::new(
                &NOT_THERE_YET,
                format!("{} is no cluster that Docker makes", work.context),
            )),
        }
    }

    async fn act(&self, work: &Work<'_>) -> Result<()> {
        let maker = self.maker_of(work).await?;
        let engine = self.engine_of(work).await?;
        if matches!(work.action, Action::Network { .. })
            && maker.distribution() != Distribution::Kwok
        {
            // Nodes are made by what the engine says of itself, and it takes its time to say so.
            let engine = engine.clone();
            tokio::spawn(async move { engine.info().await.map(|_| ()) });
        }
        let known = self.known.of(work.context).await;
        if matches!(
            work.action,
            Action::Balancer { .. } | Action::Bootstrap { .. } | Action::Start | Action::Stop
        ) {
            known.lose_way().await;
        }
        let job = Job {
            engine: &engine,
            work,
            maker,
            known,
        };
        let result = self.carry_out(&job).await;
        match (result, work.action) {
            (
                Err(error),
                Action::Machine { .. }
                | Action::Bootstrap { .. }
                | Action::Join { .. }
                | Action::Registry { .. }
                | Action::Balancer { .. }
                | Action::Images { .. }
                | Action::Ready { .. }
                | Action::Nodes { .. },
            ) => Err(evidence::keep(&job, &self.store, error).await),
            (result, _) => result,
        }
    }

    async fn carry_out(&self, job: &Job<'_>) -> Result<()> {
        let (engine, maker, work) = (job.engine, job.maker, job.work);
        match work.action {
            Action::Network { name } => maker.ensure_network(job, name).await,
            Action::Registry { name, upstream } => {
                maker.registry(job, name, upstream.as_deref()).await
            }
            Action::Balancer { .. } => maker.balancer(job).await,
            Action::Registries { nodes, keep } => {
                maker.rewire(job, nodes).await?;
                if let Some(hosting) = registry::hosting(&job.spec()?.settings) {
                    k8s::apply(&job.client().await?, &hosting).await?;
                }
                registry::retire(job, keep).await
            }
            Action::Images { images, nodes } => images::load(job, images, nodes).await,
            Action::Machine { node, image } => {
                engine.ensure_image(image, work.report).await?;
                maker.machine(job, node, image).await
            }
            Action::Bootstrap { node } => maker.bootstrap(job, node).await,
            Action::Join { node } => maker.join(job, node).await,
            Action::RemoveMachine { node } => maker.remove_machine(job, node).await,
            Action::Nodes { nodes, remove } => {
                k8s::ensure_nodes(&job.client().await?, nodes, remove).await
            }
            Action::Ready { nodes } => {
                k8s::wait_ready(&job.client().await?, *nodes, work.report).await
            }
            Action::Install(install) => installed::install(&job.client().await?, install).await,
            Action::Uninstall { component } => {
                installed::uninstall(&job.client().await?, component).await
            }
            Action::DecryptionKey(key) => decryption::give(&job.client().await?, key).await,
            Action::TakeDecryptionKey { namespace } => {
                decryption::take(&job.client().await?, namespace).await
            }
            Action::Start => maker.start(job, &job.members().await?).await,
            Action::Stop => maker.stop(job, &job.members().await?).await,
            Action::Remove { storage } => {
                job.remove(*storage).await?;
                self.engines.forget(work.context);
                self.known.forget(work.context).await;
                Ok(())
            }
            other => Err(cannot(other)),
        }
    }
}

impl dyn Maker + '_ {
    /// The kubeconfig context of a cluster.
    fn context(&self, name: &str) -> String {
        let checked = ClusterName::parse(name);
        checked.map_or_else(
            |_| String::new(),
            |name| {
                crate::spec::name::context(
                    &name,
                    self.distribution(),
                    crate::axis::Provider::Docker,
                )
            },
        )
    }

    /// The labels of what belongs to a cluster.
    fn labels(&self, name: &str) -> BTreeMap<String, String> {
        labels::owned(&self.context(name), name, self.distribution().name())
    }
}

impl Platform for Docker {
    fn observe<'a>(
        &'a self,
        context: &'a str,
        name: &'a ClusterName,
        spec: Option<&'a Spec>,
    ) -> BoxFuture<'a, Result<Option<Facts>>> {
        self.look(context, name, spec).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Facts>>> {
        self.look_at_all(Depth::Asked).boxed()
    }

    fn glance(&self) -> BoxFuture<'_, Result<Vec<Facts>>> {
        self.look_at_all(Depth::Glanced).boxed()
    }

    fn makes(&self, distribution: Distribution) -> Result<()> {
        self.maker(distribution).map(|_| ())
    }

    fn can(&self, action: &Action) -> Result<()> {
        match action {
            Action::ControlPlane { .. } => Err(cannot(action)),
            Action::Install(install) => installed::can(install),
            Action::DecryptionKey(key) => decryption::can(key),
            _ => Ok(()),
        }
    }

    fn perform<'a>(&'a self, work: &'a Work<'a>) -> BoxFuture<'a, Result<()>> {
        self.act(work).boxed()
    }

    fn kubeconfig<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Access>> {
        self.access(context).boxed()
    }

    fn snapshots(&self) -> Result<&dyn Snapshots> {
        Ok(self)
    }
}

fn cannot(action: &Action) -> Error {
    let word = serde_json::to_value(action)
        .ok()
        .and_then(|value| Some(value.get("action")?.as_str()?.to_string()));
    let word = word.unwrap_or_else(|| "this".into());
    Error::new(
        &NOT_THERE_YET,
        format!("the Docker provider cannot carry out the action `{word}` yet"),
    )
}
