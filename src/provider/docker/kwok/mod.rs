//! KWOK on Docker, as kwokctl lays it out: five containers and a folder below `~/.kwok/clusters`, so that kwokctl uses
//! our clusters and we use its.
//!
//! ```text
//! folder      the files of a cluster: kwok.yaml, kubeconfigs, keys
//! components  pure: the five containers and their arguments
//! stages      what simulated nodes and pods go through: KWOK's own or the user's
//! keys        the certificate authority and the one certificate everything shows
//! snapshot    what etcd holds: saved, put back, given to another cluster
//! ```
//!
//! Files are copied into the containers, not mounted, so that the engine may be on another machine.

mod components;
mod folder;
mod keys;
mod snapshot;
mod stages;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all, try_join_all};

use self::components::{COMPONENTS, Images, PROJECT};
use self::folder::Folder;
use super::{Job, Maker};
use crate::axis::Distribution;
use crate::diag::codes::docker::PORT_TAKEN;
use crate::diag::codes::model::NOT_THERE_YET;
use crate::docker::{Engine, Ensured, Life, Listed, labels};
use crate::error::{Error, Result};
use crate::facts::{Facts, Lack};
use crate::k8s::{self, Health};
use crate::step::{Container, Network, Node};
use crate::world::{Access, Happening};

/// How often the API server is asked whether it is ready.
const PACE: Duration = Duration::from_millis(40);
/// How long the API server may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// From when on a server that is not ready is looked at.
const SETTLED: Duration = Duration::from_secs(5);
/// How many ports are tried.
const PORTS: usize = 50;

/// Makes clusters that kwokctl could have made.
pub(super) struct Kwok {
    /// The folder of kwokctl.
    home: PathBuf,
}

impl Kwok {
    /// Uses the folder of kwokctl.
    pub(super) fn new(home: PathBuf) -> Self {
        Self { home }
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(&self.home, name)
    }

    /// Makes the containers and starts etcd and the API server on a port that is free.
    ///
    /// `data` is a container that holds what etcd is to begin with.
    async fn raise(
        &self,
        job: &Job<'_>,
        images: &Images,
        stages: &str,
        data: Option<&str>,
    ) -> Result<()> {
        let (engine, name) = (job.engine, job.name());
        let folder = self.folder(name);
        try_join_all(
            images
                .values()
                .map(|image| engine.ensure_image(image, job.work.report)),
        )
        .await?;
        let mut tried = folder.ports_of_others()?;
        for _ in 0..PORTS {
            let files = folder.ensure(images, stages, &tried)?;
            let containers = components::containers(name, &job.labels(), images, &files);
            let server = components::container_name(name, "kube-apiserver");
            let etcd = components::container_name(name, "etcd");
            let (first, others): (Vec<&Container>, Vec<&Container>) = containers
                .iter()
                .partition(|one| one.name == etcd || one.name == server);
            let store = async {
                for one in first.iter().filter(|one| one.name == etcd) {
                    self.have(job, one).await?;
                }
                if let Some(data) = data {
                    snapshot::give(engine, data, &etcd).await?;
                }
                engine.start(&etcd).await
            };
            let api = async {
                for one in first.iter().filter(|one| one.name == server) {
                    self.have(job, one).await?;
                }
                engine.start(&server).await
            };
            // Neither is dropped half way where the other fails; what else there is to make would only hold them up.
            let (store, api) = tokio::join!(store, api);
            store?;
            match api {
                Err(error) if error.code().id == PORT_TAKEN.id => {
                    // The container keeps the port it was made with: another one takes its place.
                    engine.remove(&server).await?;
                    tried.push(files.port);
                }
                answer => {
                    answer?;
                    // A request that is dropped may still be carried out, after everything was taken back.
                    let made = join_all(others.iter().map(|one| self.have(job, one))).await;
                    return made.into_iter().collect();
                }
            }
        }
        Err(
            Error::new(&PORT_TAKEN, "no free port was found for the API server")
                .help("stop what uses the ports below 32767"),
        )
    }

    /// One container; one that differs and holds nothing is made again.
    async fn have(&self, job: &Job<'_>, container: &Container) -> Result<()> {
        let holds_data = container.name.ends_with("-etcd");
        match job.engine.ensure_container(container).await? {
            Ensured::Differs(id) if !holds_data => {
                job.engine.remove(&id).await?;
                job.engine
                    .ensure_container(container)
                    .await?
                    .same(&container.name)
                    .map(|_| ())
            }
            answer => answer.same(&container.name).map(|_| ()),
        }
    }

    /// Waits until the API server is this far.
    async fn wait(&self, job: &Job<'_>, wanted: Health) -> Result<()> {
        let client = k8s::connect(&self.folder(job.name()).access()?).await?;
        let server = components::container_name(job.name(), "kube-apiserver");
        job.work.report.tell(Happening::Waiting {
            on: "the API server".into(),
            saw: "it starts".into(),
        });
        let began = std::time::Instant::now();
        let label = format!("{PROJECT}={}", components::project(job.name()));
        let (client, server) = (&client, server.as_str());
        let ask = || {
            async move {
                if k8s::health(client).await >= wanted {
                    return Ok(Some(()));
                }
                if began.elapsed() < SETTLED {
                    return Ok(None);
                }
                // A server that cannot start is brought back again and again: three times is no accident.
                match job.engine.inspect(server).await? {
                    Some(seen) if seen.restarts <= 2 && seen.life != Life::Created => Ok(None),
                    _ => Err(job.engine.ended(server).await),
                }
            }
            .boxed()
        };
        job.engine
            .until(&label, "the API server", PACE, PATIENCE, ask)
            .await
    }

    async fn start_all(&self, job: &Job<'_>, members: &[Listed]) -> Result<()> {
        let named = |component: &str| {
            let name = components::container_name(job.name(), component);
            members.iter().filter(move |one| one.name == name)
        };
        for component in ["etcd", "kube-apiserver"] {
            try_join_all(named(component).map(|one| job.engine.start(&one.name))).await?;
        }
        // The controllers are administrators: they can work while the server still sets up everyone else's rights.
        self.wait(job, Health::Answers).await?;
        let others = try_join_all(members.iter().map(|one| job.engine.start(&one.name)));
        tokio::try_join!(others, self.wait(job, Health::Ready)).map(|_| ())
    }
}

impl Maker for Kwok {
    fn distribution(&self) -> Distribution {
        Distribution::Kwok
    }

    fn cluster_of(&self, container: &Listed) -> Option<String> {
        let project = container.labels.get(PROJECT)?;
        let name = project.strip_prefix("kwok-")?;
        let component = container
            .name
            .strip_prefix(project.as_str())?
            .strip_prefix('-')?;
        (COMPONENTS.contains(&component) || self.folder(name).exists()).then(|| name.to_string())
    }

    fn is_control_plane(&self, container: &Listed) -> bool {
        container.name.ends_with("-kube-apiserver") || container.name.ends_with("-etcd")
    }

    fn network(&self, job: &Job<'_>, name: &str) -> Network {
        let mut labels = job.labels();
        labels.insert(PROJECT.into(), name.into());
        Network {
            name: name.into(),
            labels,
            ..Network::default()
        }
    }

    fn machine<'a>(
        &'a self,
        job: &'a Job<'a>,
        node: &'a Node,
        _: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let spec = job.spec()?;
            let images = components::images(spec, &node.version);
            self.raise(job, &images, &stages::of(spec), None).await
        }
        .boxed()
    }

    fn bootstrap<'a>(&'a self, job: &'a Job<'a>, _: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { self.start_all(job, &job.members().await?).await }.boxed()
    }

    fn join<'a>(&'a self, _: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { Err(one_machine(node)) }.boxed()
    }

    fn remove_machine<'a>(&'a self, _: &'a Job<'a>, node: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { Err(one_machine(node)) }.boxed()
    }

    fn access<'a>(
        &'a self,
        _: &'a Engine,
        name: &'a str,
        _: &'a [Listed],
    ) -> BoxFuture<'a, Result<Access>> {
        async move { self.folder(name).access() }.boxed()
    }

    fn start<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        self.start_all(job, members).boxed()
    }

    fn stop<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        async move {
            // The store last, and with time to write; the others hold nothing.
            let (etcd, others): (Vec<&Listed>, Vec<&Listed>) =
                members.iter().partition(|one| one.name.ends_with("-etcd"));
            try_join_all(others.iter().map(|one| job.engine.stop(&one.name, 0))).await?;
            try_join_all(etcd.iter().map(|one| job.engine.stop(&one.name, 5)))
                .await
                .map(|_| ())
        }
        .boxed()
    }

    fn clean<'a>(&'a self, job: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        async move {
            // kwokctl's own network has the project's label and none of ours.
            let project = components::project(job.name());
            let label = format!("{PROJECT}={project}");
            for name in job.engine.networks(&label).await?.keys() {
                job.engine.remove_network(name).await?;
            }
            self.folder(job.name()).remove()
        }
        .boxed()
    }

    fn save<'a>(&'a self, job: &'a Job<'a>, file: File) -> BoxFuture<'a, Result<()>> {
        snapshot::saved(job, file).boxed()
    }

    fn restore<'a>(&'a self, job: &'a Job<'a>, saved: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.put_back(job, saved).boxed()
    }

    fn fork<'a>(&'a self, job: &'a Job<'a>, other: &'a Job<'a>) -> BoxFuture<'a, Result<()>> {
        self.forked(job, other).boxed()
    }

    fn others(&self) -> Result<Vec<String>> {
        folder::clusters(&self.home)
    }

    fn correct(&self, _: &[Listed], _: &mut Facts) {}

    fn missing(&self, name: &str, members: &[Listed]) -> BTreeMap<String, Lack> {
        // What kwokctl made has the parts that its user chose, and it is for kwokctl to bring them back.
        if !members
            .iter()
            .any(|one| one.labels.contains_key(labels::CLUSTER))
        {
            return BTreeMap::new();
        }
        let lack = |component: &&str| {
            let part = components::container_name(name, component);
            let lack = match members
                .iter()
                .find(|one| one.name == part)
                .map(|it| it.life)
            {
                None => Lack::Removed,
                Some(Life::Created | Life::Ended) => Lack::Stopped,
                Some(Life::Running | Life::Returning) => return None,
            };
            Some((part, lack))
        };
        COMPONENTS.iter().filter_map(lack).collect()
    }

    fn loss(&self, name: &str, members: &[Listed]) -> Option<String> {
        let store = components::container_name(name, "etcd");
        let is_there = members.iter().any(|one| one.name == store);
        (!is_there).then(|| format!("{store} was removed, with all that the cluster held"))
    }
}

fn one_machine(node: &str) -> Error {
    Error::new(
        &NOT_THERE_YET,
        format!("{node} is no machine of its own: nodes of KWOK are simulated"),
    )
}
