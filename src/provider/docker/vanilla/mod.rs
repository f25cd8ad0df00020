//! Vanilla on Docker: nodes that kind could have made, set up by the kubeadm inside them.
//!
//! What is written and made is decided in [`crate::distribution::vanilla`]; here it is carried out. Nodes boot side by
//! side and are prepared while they do; the pod network and storage go in while kubeadm still runs.
//!
//! ```text
//! machine    a node as a container, and the load balancer
//! registry   what containerd is told of registries
//! pki        keys and certificates, made here
//! bootstrap  kubeadm init on the first control plane
//! join       kubeadm join on the others
//! access     the way to the API
//! life       stop and start
//! peers      control planes that came back with other addresses
//! ```

mod access;
mod bootstrap;
mod join;
mod life;
mod machine;
mod network;
mod peers;
mod pki;
mod registry;

use futures::future::{BoxFuture, FutureExt as _};

use super::{Job, Maker, evidence};
use crate::axis::Distribution;
use crate::diag::codes::docker::NO_CONTAINER;
use crate::distribution::vanilla::{self, CLUSTER, NodeSettings, ROLE, Settings};
use crate::docker::{Engine, Life, Listed};
use crate::error::{Error, Result};
use crate::k8s;
use crate::step::{Network, Node};
use crate::world::Access;

/// Makes clusters that kind could have made.
pub(super) struct Vanilla;

impl Maker for Vanilla {
    fn distribution(&self) -> Distribution {
        Distribution::Vanilla
    }

    fn cluster_of(&self, container: &Listed) -> Option<String> {
        container.labels.get(CLUSTER).cloned()
    }

    fn is_control_plane(&self, container: &Listed) -> bool {
        container
            .labels
            .get(ROLE)
            .is_some_and(|role| role == "control-plane")
    }

    fn network(&self, _: &Job<'_>, name: &str) -> Network {
        vanilla::network(name, Some(0), None)
    }

    fn ensure_network<'a>(&'a self, job: &'a Job<'a>, name: &'a str) -> BoxFuture<'a, Result<()>> {
        network::ensure(job, name).boxed()
    }

    fn machine<'a>(
        &'a self,
        job: &'a Job<'a>,
        node: &'a Node,
        _: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let settings = settings(job).await?;
            let named = find(&settings, &node.name)?;
            machine::ensure(job, &settings, named).await
        }
        .boxed()
    }

    fn balancer<'a>(&'a self, job: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        async move { machine::ensure_balancer(job, &settings(job).await?).await }.boxed()
    }

    fn rewire<'a>(&'a self, job: &'a Job<'a>, nodes: &'a [String]) -> BoxFuture<'a, Result<()>> {
        registry::rewire(job, nodes).boxed()
    }

    fn bootstrap<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let settings = settings(job).await?;
            bootstrap::bootstrap(job, &settings, find(&settings, node)?).await
        }
        .boxed()
    }

    fn join<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let settings = settings(job).await?;
            join::join(job, &settings, find(&settings, node)?).await
        }
        .boxed()
    }

    fn remove_machine<'a>(&'a self, job: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let client = job.client().await?;
            let seen = job.engine.inspect(node).await?;
            // Pods of a node that is off cannot say that they have gone.
            if seen.is_some_and(|seen| seen.life == Life::Running) {
                k8s::drain(&client, node, job.work.report).await?;
            }
            job.engine.remove(node).await?;
            k8s::forget(&client, node).await
        }
        .boxed()
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
        life::start(job, members).boxed()
    }

    fn front(&self, name: &str, members: &[Listed]) -> Option<String> {
        let control = members.iter().filter(|one| self.is_control_plane(one));
        (control.count() > 1).then(|| vanilla::balancer_name(name))
    }

    fn is_displaced<'a>(
        &'a self,
        engine: &'a Engine,
        members: &'a [Listed],
    ) -> BoxFuture<'a, bool> {
        async move {
            let control: Vec<&Listed> = members
                .iter()
                .filter(|one| self.is_control_plane(one))
                .collect();
            control.len() > 1 && peers::is_moved(engine, &control).await
        }
        .boxed()
    }

    fn journals<'a>(
        &'a self,
        engine: &'a Engine,
        member: &'a Listed,
    ) -> BoxFuture<'a, Vec<(&'static str, String)>> {
        async move {
            if member
                .labels
                .get(ROLE)
                .is_none_or(|role| role == vanilla::BALANCER)
            {
                return Vec::new();
            }
            let read = ["kubelet", "containerd"].map(|unit| async move {
                let text = evidence::journal(engine, &member.id, unit).await;
                text.map(|text| (unit, text))
            });
            let found = futures::future::join_all(read).await;
            found.into_iter().flatten().collect()
        }
        .boxed()
    }

    fn stop<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        life::stop(job, members).boxed()
    }
}

/// The definition, complete, as this engine needs it.
async fn settings(job: &Job<'_>) -> Result<Settings> {
    let settings = Settings::of(job.spec()?);
    Ok(match access::elsewhere(job.engine.address()) {
        Some(host) => settings.reached_at(host),
        None => settings,
    })
}

fn find<'a>(settings: &'a Settings, node: &str) -> Result<&'a NodeSettings> {
    settings.node(node).ok_or_else(|| {
        Error::new(&NO_CONTAINER, format!("the definition has no node {node}"))
            .help("run the definition again")
    })
}
