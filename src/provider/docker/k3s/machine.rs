//! Containers of nodes: made, started, joined, taken away; and the load balancer that follows them.

use std::time::Duration;

use futures::future::{FutureExt as _, try_join_all};

use super::{K3s, access, becomes_ready, every};
use crate::diag::codes::docker::{CONTAINER_ENDED, NO_CONTAINER, PORT_TAKEN};
use crate::distribution::k3s::{self as layout, Definition, Given, label};
use crate::docker::{Ensured, Life, Tail};
use crate::error::{Error, Result};
use crate::k8s;
use crate::provider::docker::{Job, registry};
use crate::spec::options::k3d::filter::Member;
use crate::step::Container;

/// How long a node's log may say nothing new.
const PATIENCE: Duration = Duration::from_mins(3);
/// How many ports are tried.
const PORTS: usize = 20;
/// How often a joining server may end: etcd takes in one member at a time and turns others away until then.
const ENDS: usize = 10;
/// How often it is looked whether the DNS is there.
const PACE: Duration = Duration::from_millis(100);
/// How long the API may take to answer whether a node's old password is to be forgotten.
const MOMENT: Duration = Duration::from_secs(5);
/// The name that nodes and pods know the engine's host by.
const HOST: &str = "host.k3d.internal";

impl K3s {
    /// Makes the container of a node. Agents are started at once: they wait for the server by themselves.
    pub(super) async fn make(&self, job: &Job<'_>, name: &str) -> Result<()> {
        let definition = Definition::of(job.spec()?);
        let member = member(definition, name)?;
        if definition.has_image_volume() {
            let mut labels = label::owned(job.name());
            labels.extend(job.labels());
            let volume = label::image_volume(job.name());
            job.engine.ensure_volume(&volume, &labels).await?;
        }
        let cluster = self.clusters.of(job.work.context).await;
        let given = cluster.given(job).await?;
        if member == Member::Server(0) {
            let (_, ()) =
                tokio::try_join!(node(job, definition, &given, member), join(job, definition))?;
            return Ok(());
        }
        let (_, is_new) = node(job, definition, &given, member).await?;
        if let Member::Agent(_) = member {
            if is_new && cluster.was_running(job).await? {
                forget(job, name).await;
            }
            job.engine.start(name).await?;
        }
        Ok(())
    }

    /// Makes the container of the load balancer; it starts with the first server.
    pub(super) async fn front(&self, job: &Job<'_>) -> Result<()> {
        let given = self.clusters.of(job.work.context).await.given(job).await?;
        balancer(job, Definition::of(job.spec()?), &given).await
    }

    /// Starts the first server and the load balancer, and waits until the API answers.
    pub(super) async fn first(&self, job: &Job<'_>, name: &str) -> Result<()> {
        let spec = job.spec()?;
        let definition = Definition::of(spec);
        let heavy = job.engine.heavy().await?;
        self.raise(job, definition, name).await?;
        let client = access::wait(job, name).await?;
        drop(heavy);
        if has_dns(definition) {
            let known = hosts(
                definition,
                &self.clusters.of(job.work.context).await.given(job).await?,
            );
            let (client, known) = (&client, known.as_slice());
            let ask =
                || async move { Ok(k8s::ensure_hosts(client, known).await?.then_some(())) }.boxed();
            job.engine
                .until(&every(job), "the cluster's DNS", PACE, PATIENCE, ask)
                .await?;
        }
        let hosting = hosting(definition).or_else(|| registry::hosting(&spec.settings));
        if let Some(registry) = hosting {
            k8s::apply(&client, &registry).await?;
        }
        Ok(())
    }

    /// Starts the first server and the load balancer on a port that is free.
    async fn raise(&self, job: &Job<'_>, definition: Definition<'_>, name: &str) -> Result<()> {
        let cluster = self.clusters.of(job.work.context).await;
        let front = if definition.has_balancer() {
            label::balancer(job.name())
        } else {
            name.to_string()
        };
        let there = job.engine.inspect(name).await?;
        let is_fresh = there.is_none_or(|seen| seen.life == Life::Created);
        for _ in 0..PORTS {
            // The load balancer looks its servers up by name, and a name is known once its container runs.
            job.engine
                .start(name)
                .await
                .map_err(|error| unless_fixed(definition, error))?;
            let answer = if definition.has_balancer() {
                self.balance(job, definition, &[]).await?;
                job.engine.start(&front).await
            } else {
                Ok(())
            };
            match answer {
                // Only a server that holds nothing yet is made anew.
                Err(error)
                    if is_fresh
                        && error.code().id == PORT_TAKEN.id
                        && definition.api().1.is_none() =>
                {
                    // Both carry the port they were made with: others take their places.
                    try_join_all([name, front.as_str()].map(|one| job.engine.remove(one))).await?;
                    cluster.move_port().await?;
                    tokio::try_join!(self.make(job, name), self.front(job))?;
                }
                answer => return answer,
            }
        }
        Err(
            Error::new(&PORT_TAKEN, "no free port was found for the API")
                .help("name one: `config: #{ kubeAPI: #{ hostPort: 6550 } }`"),
        )
    }

    /// Joins a server or an agent.
    pub(super) async fn follow(&self, job: &Job<'_>, name: &str) -> Result<()> {
        let definition = Definition::of(job.spec()?);
        let is_server = matches!(member(definition, name)?, Member::Server(_));
        if is_server {
            server(job, name).await?;
        } else {
            job.engine.start(name).await?;
        }
        let client = job.client().await?;
        // The next server joins while this one still comes to be Ready.
        let must_be_ready = !is_server && becomes_ready(job);
        tokio::select! {
            ended = alive(job, name) => return Err(ended),
            joined = k8s::wait_node(&client, name, must_be_ready, job.work.report) => joined?,
        }
        if definition.has_balancer() {
            self.balance(job, definition, &[]).await?;
        }
        Ok(())
    }

    /// Drains a node and removes its container.
    pub(super) async fn leave(&self, job: &Job<'_>, name: &str) -> Result<()> {
        let client = job.client().await?;
        k8s::drain(&client, name, job.work.report).await?;
        let spec = job.work.spec.map(Definition::of);
        if let Some(definition) = spec.filter(|definition| definition.has_balancer()) {
            self.balance(job, definition, &[name]).await?;
        }
        job.engine.remove(name).await?;
        k8s::forget(&client, name).await
    }

    /// Tells the load balancer which nodes run, but for those that are about to leave.
    async fn balance(
        &self,
        job: &Job<'_>,
        definition: Definition<'_>,
        leaving: &[&str],
    ) -> Result<()> {
        let cluster = self.clusters.of(job.work.context).await;
        let _held = cluster.balancer.lock().await;
        let name = label::balancer(job.name());
        let members = job.members().await?;
        let running: Vec<Member> = members
            .iter()
            .filter(|one| one.life == Life::Running && !leaving.contains(&one.name.as_str()))
            .filter_map(|one| label::member(job.name(), &one.name))
            .collect();
        let file = layout::values(definition, &running);
        let there = job.engine.get_file(&name, layout::VALUES).await?;
        if there.as_deref() == Some(file.content.expose().as_bytes()) {
            return Ok(());
        }
        job.engine.put_files(&name, &[file]).await
    }
}

/// Which member of the cluster a node is.
fn member(definition: Definition<'_>, name: &str) -> Result<Member> {
    label::member(definition.name(), name).ok_or_else(|| {
        Error::new(
            &NO_CONTAINER,
            format!("{name} is no node of {}", definition.name()),
        )
        .help("this is a mistake of ksail's own; please report it")
    })
}

/// The container of a node, and whether it is new.
async fn node(
    job: &Job<'_>,
    definition: Definition<'_>,
    given: &Given,
    member: Member,
) -> Result<(String, bool)> {
    let mut container = layout::node(definition, given, member);
    if !given.network.gateway.is_empty() {
        container.extra_hosts = hosts(definition, given)
            .iter()
            .flat_map(|(address, names)| names.iter().map(move |name| format!("{name}:{address}")))
            .collect();
    }
    have(job, container).await
}

async fn balancer(job: &Job<'_>, definition: Definition<'_>, given: &Given) -> Result<()> {
    if !definition.has_balancer() {
        return Ok(());
    }
    let container = layout::load_balancer(definition, given);
    job.engine
        .ensure_image(&container.image, job.work.report)
        .await?;
    have(job, container).await.map(|_| ())
}

/// The registry that the k3d.yaml wants made with the cluster.
pub(super) async fn own_registry(job: &Job<'_>, definition: Definition<'_>) -> Result<()> {
    let engine = job.engine;
    if let Some(container) = layout::registry(definition) {
        engine
            .ensure_image(&container.image, job.work.report)
            .await?;
        let name = container.name.clone();
        have(job, container).await?;
        engine.start(&name).await?;
    }
    Ok(())
}

/// Takes the registries that the k3d.yaml names into the cluster's network.
async fn join(job: &Job<'_>, definition: Definition<'_>) -> Result<()> {
    let engine = job.engine;
    let place = crate::step::Attachment {
        network: definition.network(),
        ..crate::step::Attachment::default()
    };
    for (name, _) in definition.used_registries() {
        engine.expect(&name).await?;
        engine.connect_network(&name, &place).await?;
    }
    Ok(())
}

/// A container with the cluster's labels; one that differs and was never started is made again.
async fn have(job: &Job<'_>, mut container: Container) -> Result<(String, bool)> {
    let engine = job.engine;
    container.labels.extend(job.labels());
    let name = container.name.clone();
    let mut answer = engine.ensure_container(&container).await?;
    if let Ensured::Differs(id) = &answer
        && engine.expect(id).await?.life == Life::Created
    {
        engine.remove(id).await?;
        answer = engine.ensure_container(&container).await?;
    }
    let is_new = matches!(answer, Ensured::Made(_));
    Ok((answer.same(&name)?, is_new))
}

/// Starts a server that joins, and waits until it is a member.
async fn server(job: &Job<'_>, name: &str) -> Result<()> {
    let _heavy = job.engine.heavy().await?;
    job.engine.start(name).await?;
    let is_up = |line: &str| line.to_ascii_lowercase().contains("k3s is up and running");
    let mut ends = 0;
    loop {
        match job.engine.wait_line(name, Tail::All, PATIENCE, is_up).await {
            Err(error) if error.code().id == CONTAINER_ENDED.id && ends < ENDS => {
                // The engine brings it back; what it says from then on is a new stream of the same log.
                ends += 1;
                access::wait_running(job, name).await?;
            }
            answer => return answer.map(|_| ()),
        }
    }
}

/// Comes back when a container ended or says nothing new.
pub(super) async fn alive(job: &Job<'_>, name: &str) -> Error {
    match job
        .engine
        .wait_line(name, Tail::Lines(0), PATIENCE, |_| false)
        .await
    {
        Err(error) => error,
        Ok(line) => Error::new(
            &CONTAINER_ENDED,
            format!("{name} ended its log with {line:?}"),
        ),
    }
}

/// A port that the user named is not tried elsewhere.
fn unless_fixed(definition: Definition<'_>, error: Error) -> Error {
    if error.code().id == PORT_TAKEN.id && !definition.has_balancer() {
        return error.help("name another one: `config: #{ kubeAPI: #{ hostPort: 6550 } }`");
    }
    error
}

/// Has a running cluster forget the password of an earlier node of this name, which would have the new one refused.
async fn forget(job: &Job<'_>, name: &str) {
    let work = async { k8s::forget(&job.client().await?, name).await };
    // A cluster that does not answer yet knows of no such node.
    let _ = tokio::time::timeout(MOMENT, work).await;
}

/// Whether k3s brings the DNS.
fn has_dns(definition: Definition<'_>) -> bool {
    let args = definition.args(Member::Server(0));
    let is_off = |arg: &String| arg.starts_with("--disable") && arg.contains("coredns");
    !args.iter().any(is_off)
}

/// Names that nodes and pods know: address and names.
fn hosts(definition: Definition<'_>, given: &Given) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = definition
        .aliases()
        .into_iter()
        .map(|(address, names)| {
            (
                address.to_string(),
                names.into_iter().map(String::from).collect(),
            )
        })
        .collect();
    if !given.network.gateway.is_empty() {
        all.push((given.network.gateway.clone(), vec![HOST.to_string()]));
    }
    all
}

/// Tells tools where the cluster's registry is on the host.
fn hosting(definition: Definition<'_>) -> Option<serde_json::Value> {
    let made = definition.registry()?;
    let port = made.port?;
    let (name, inner) = (&made.name, made.inner_port());
    Some(registry::told(&format!(
        "host: \"localhost:{port}\"\nhostFromContainerRuntime: \"{name}:{port}\"\nhostFromClusterNetwork: \"{name}:{inner}\"\n"
    )))
}
