//! K3s on Docker, as k3d lays it out: k3d lists, starts, stops and deletes our clusters, and we do so with its.
//!
//! ```text
//! given     what is found out or decided once for a cluster: token, port, network
//! network   the network, with addresses that stay where etcd remembers them
//! machine   containers made and started, the load balancer kept up to date
//! access    the kubeconfig that a server wrote, and the wait for its API
//! power     stopping and starting in an order that etcd survives
//! ```
//!
//! What the containers look like is pure, in [`crate::distribution::k3s`]. Files are copied into containers, not mounted,
//! so that the engine may be on another machine.

mod access;
mod given;
mod machine;
mod network;
mod power;

use futures::future::{BoxFuture, FutureExt as _};

use self::given::Cluster;
use super::clusters::Clusters;
use super::{Job, Maker, registry};
use crate::axis::Distribution;
use crate::distribution::k3s::label::{self, CLUSTER, ROLE};
use crate::distribution::k3s::{self as layout, Definition};
use crate::docker::{Engine, Life, Listed, labels};
use crate::error::Result;
use crate::facts::Facts;
use crate::step::{Network, Node};
use crate::world::Access;

/// Where containerd writes what it does.
const CONTAINERD_LOG: &str = "/var/lib/rancher/k3s/agent/containerd/containerd.log";

/// Makes clusters that k3d could have made.
#[derive(Default)]
pub(super) struct K3s {
    clusters: Clusters<Cluster>,
}

impl Maker for K3s {
    fn distribution(&self) -> Distribution {
        Distribution::K3s
    }

    fn cluster_of(&self, container: &Listed) -> Option<String> {
        let cluster = container.labels.get(CLUSTER)?;
        // A registry that k3d made alone has the label without a name.
        let is_member = !cluster.is_empty() && container.labels.contains_key(ROLE);
        is_member.then(|| cluster.clone())
    }

    fn is_control_plane(&self, container: &Listed) -> bool {
        container
            .labels
            .get(ROLE)
            .is_some_and(|role| role == "server")
    }

    fn network(&self, job: &Job<'_>, name: &str) -> Network {
        let mut network = match job.work.spec {
            Some(spec) => layout::network(Definition::of(spec)),
            None => Network {
                name: name.to_string(),
                ..Network::default()
            },
        };
        if name == format!("k3d-{}", job.name()) {
            network.labels.extend(job.labels());
        } else {
            // One of the user's own choice may be there before; this label says that it was not.
            let name = job.name().to_string();
            network.labels.insert(labels::NAME.to_string(), name);
        }
        network
    }

    fn ensure_network<'a>(&'a self, job: &'a Job<'a>, name: &'a str) -> BoxFuture<'a, Result<()>> {
        network::ensure(job, self.network(job, name)).boxed()
    }

    fn machine<'a>(
        &'a self,
        job: &'a Job<'a>,
        node: &'a Node,
        _: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        self.make(job, &node.name).boxed()
    }

    fn registry<'a>(
        &'a self,
        job: &'a Job<'a>,
        name: &'a str,
        upstream: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let definition = Definition::of(job.spec()?);
            if definition.registry().is_some_and(|made| made.name == name) {
                return machine::own_registry(job, definition).await;
            }
            registry::ensure(job, name, upstream).await
        }
        .boxed()
    }

    fn balancer<'a>(&'a self, job: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        self.front(job).boxed()
    }

    fn rewire<'a>(&'a self, job: &'a Job<'a>, nodes: &'a [String]) -> BoxFuture<'a, Result<()>> {
        power::rewire(job, nodes).boxed()
    }

    fn bootstrap<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        self.first(job, node).boxed()
    }

    fn join<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        self.follow(job, node).boxed()
    }

    fn remove_machine<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        self.leave(job, node).boxed()
    }

    fn access<'a>(
        &'a self,
        engine: &'a Engine,
        _: &'a str,
        members: &'a [Listed],
    ) -> BoxFuture<'a, Result<Access>> {
        access::of(engine, members).boxed()
    }

    fn start<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        power::start(job, members).boxed()
    }

    fn stop<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        power::stop(job, members).boxed()
    }

    fn journals<'a>(
        &'a self,
        engine: &'a Engine,
        member: &'a Listed,
    ) -> BoxFuture<'a, Vec<(&'static str, String)>> {
        async move {
            // The kubelet speaks in the container's own log; containerd has a file, which can be read of a stopped one, too.
            let found = engine.get_file(&member.id, CONTAINERD_LOG).await;
            let text = found.ok().flatten();
            text.map(|text| ("containerd", String::from_utf8_lossy(&text).into_owned()))
                .into_iter()
                .collect()
        }
        .boxed()
    }

    fn front(&self, _: &str, members: &[Listed]) -> Option<String> {
        let mut named = members
            .iter()
            .filter_map(|one| one.labels.get(label::FRONT));
        named.find(|front| !front.is_empty()).cloned()
    }

    fn correct(&self, members: &[Listed], facts: &mut Facts) {
        // An agent that was switched off by hand is none, so that it is switched on again. A server is never made anew in
        // place, so that one that is off still counts.
        let counts =
            |member: &Listed| member.life == Life::Running || self.is_control_plane(member);
        facts.nodes.retain(|node| {
            members
                .iter()
                .any(|member| member.name == node.name && counts(member))
        });
    }

    fn clean<'a>(&'a self, job: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        self.sweep(job).boxed()
    }
}

impl K3s {
    /// Removes what carries only k3d's labels: what k3d made of a cluster.
    async fn sweep(&self, job: &Job<'_>) -> Result<()> {
        let (engine, name) = (job.engine, job.name());
        self.clusters.forget(job.work.context).await;
        let network = format!("k3d-{name}");
        if engine.networks("app=k3d").await?.contains_key(&network) {
            engine.remove_network(&network).await?;
        }
        let label = format!("{CLUSTER}={name}");
        for volume in engine.volumes(&label).await?.into_keys() {
            engine.remove_volume(&volume).await?;
        }
        Ok(())
    }
}

/// Whether nodes become Ready without what is installed later.
fn becomes_ready(job: &Job<'_>) -> bool {
    let distro = crate::distribution::of(Distribution::K3s);
    job.work.spec.is_none_or(|spec| distro.is_ready_alone(spec))
}

/// The label that all containers of a cluster carry, with its value.
fn every(job: &Job<'_>) -> String {
    format!("{}={}", label::CLUSTER, job.name())
}
