//! What a KWOK cluster holds is what its etcd holds: saved in etcd's own format, put back, given to another cluster.
//!
//! etcd's own program reads and writes snapshots, inside containers of etcd's image: nothing of it is on this machine.

use std::fs::File;
use std::path::Path;

use super::{Kwok, components};
use crate::diag::codes::docker::{BAD_SNAPSHOT, FOREIGN_FILE, NO_SNAPSHOT};
use crate::docker::{Engine, Life, Tail, labels};
use crate::error::{Error, Result};
use crate::provider::docker::Job;
use crate::step::Container;

/// Where etcd keeps its data in a container.
const DATA: &str = "/etcd-data";
/// Where a snapshot is while it is written or read.
const FILE: &str = "/snapshot.db";
/// How far revisions go on from those of the snapshot, so that no client takes an old object for a new one.
const GAP: u32 = 1_000_000_000;

/// Where a snapshot is.
#[derive(Clone, Copy)]
enum Saved<'a> {
    /// In a file of this machine.
    Here(&'a Path),
    /// In a container, where etcd wrote it.
    In(&'a str),
}

/// Writes down what a running etcd holds.
pub(super) async fn saved(job: &Job<'_>, file: File) -> Result<()> {
    let etcd = snap(job).await?;
    if job.engine.copy_out(&etcd, FILE, file).await? {
        return Ok(());
    }
    Err(Error::new(
        &BAD_SNAPSHOT,
        format!("{etcd} wrote no snapshot"),
    ))
}

/// Has a running etcd write a snapshot into its container; gives the container.
async fn snap(job: &Job<'_>) -> Result<String> {
    let etcd = components::container_name(job.name(), "etcd");
    if job.engine.expect(&etcd).await?.life != Life::Running {
        let message = format!("{} does not run", job.name());
        return Err(Error::new(&BAD_SNAPSHOT, message).help(format!(
            "start it first: `ksail cluster start {}`",
            job.name()
        )));
    }
    let save = ["etcdctl", "snapshot", "save", FILE];
    job.engine
        .exec(&etcd, &save, None)
        .await?
        .success("etcdctl snapshot save")?;
    Ok(etcd)
}

/// Gives an etcd that was not started yet what another container holds.
pub(super) async fn give(engine: &Engine, from: &str, etcd: &str) -> Result<()> {
    if engine.copy_across(from, DATA, etcd, "/").await? {
        return Ok(());
    }
    Err(Error::new(&BAD_SNAPSHOT, format!("{from} has no {DATA}")).help("start the cluster first"))
}

impl Kwok {
    /// Gives a cluster that does not run another etcd, which holds what was saved.
    pub(super) async fn put_back(&self, job: &Job<'_>, saved: &Path) -> Result<()> {
        let members = job.members().await?;
        let is_own = |one: &crate::docker::Listed| one.labels.contains_key(labels::CLUSTER);
        if !members.iter().any(is_own) {
            let message = format!("{} was made by kwokctl", job.name());
            return Err(Error::new(&NO_SNAPSHOT, message).help(format!(
                "put it back with kwokctl: `kwokctl --name {} snapshot restore`",
                job.name()
            )));
        }
        let folder = self.folder(job.name());
        let images = folder.images()?;
        let files = folder.ensure(&images, &folder.stages()?, &[])?;
        let all = components::containers(job.name(), &job.labels(), &images, &files);
        let etcd = components::container_name(job.name(), "etcd");
        let etcd = all.into_iter().find(|one| one.name == etcd);
        let etcd = etcd.ok_or_else(|| {
            Error::new(&FOREIGN_FILE, format!("{} has no etcd", job.name()))
                .help("delete the cluster and run again")
        })?;
        let reader = read(job, &etcd, Saved::Here(saved)).await?;
        let replace = async {
            // Only now that the snapshot is known to be good does the old store go.
            job.engine.remove(&etcd.name).await?;
            job.engine.ensure_container(&etcd).await?.same(&etcd.name)?;
            give(job.engine, &reader, &etcd.name).await
        };
        let replaced = replace.await;
        let removed = job.engine.remove(&reader).await;
        replaced.and(removed)
    }

    /// Makes another cluster that holds what this one holds, and starts it.
    pub(super) async fn forked(&self, job: &Job<'_>, other: &Job<'_>) -> Result<()> {
        let (engine, folder) = (job.engine, self.folder(job.name()));
        let (images, stages) = (folder.images()?, folder.stages()?);
        let etcd = components::container_name(job.name(), "etcd");
        let mut reader = None;
        if engine.expect(&etcd).await?.life == Life::Running {
            let etcd = snap(job).await?;
            let mut container = Container {
                name: components::container_name(other.name(), "etcd"),
                labels: other.labels(),
                ..Container::default()
            };
            container.image = images.get("etcd").cloned().unwrap_or_default();
            reader = Some(read(other, &container, Saved::In(&etcd)).await?);
        }
        // What a stopped etcd left on its disk is whole.
        let data = reader.as_ref().unwrap_or(&etcd);
        let network = components::project(other.name());
        other
            .own_network(&super::Maker::network(self, other, &network))
            .await?;
        self.raise(other, &images, &stages, Some(data)).await?;
        if let Some(reader) = &reader {
            engine.remove(reader).await?;
        }
        self.start_all(other, &other.members().await?).await
    }
}

/// A container whose etcd folder holds what was saved, read by etcd's own program; whoever is done with it removes it.
async fn read(job: &Job<'_>, etcd: &Container, saved: Saved<'_>) -> Result<String> {
    let name = format!("{}-reader", etcd.name);
    let mut command: Vec<String> = ["snapshot", "restore", FILE]
        .iter()
        .map(|word| (*word).to_string())
        .collect();
    command.extend(
        components::arguments(job.name(), "etcd")
            .into_iter()
            .filter(|argument| {
                ["--name=", "--data-dir=", "--initial-"]
                    .iter()
                    .any(|flag| argument.starts_with(flag))
            }),
    );
    if !etcd.image.contains(":3.5.") {
        command.extend([format!("--bump-revision={GAP}"), "--mark-compacted".into()]);
    }
    let reader = Container {
        name: name.clone(),
        image: etcd.image.clone(),
        entrypoint: Some(vec!["etcdutl".into()]),
        command: Some(command),
        labels: job.labels(),
        ..Container::default()
    };
    match run(job.engine, &reader, saved).await {
        Ok(()) => Ok(name),
        Err(problem) => match job.engine.remove(&name).await {
            Ok(()) => Err(problem),
            Err(also) => Err(problem.also([also])),
        },
    }
}

async fn run(engine: &Engine, reader: &Container, saved: Saved<'_>) -> Result<()> {
    // One that an earlier run left half-way has read something else.
    engine.remove(&reader.name).await?;
    engine.ensure_container(reader).await?.same(&reader.name)?;
    match saved {
        Saved::Here(file) => engine.copy_in(&reader.name, FILE, file).await?,
        Saved::In(container) => {
            engine
                .copy_across(container, FILE, &reader.name, "/")
                .await?;
        }
    }
    engine.start(&reader.name).await?;
    let status = engine.finish(&reader.name).await?;
    let refused = |why: String| {
        Error::new(&BAD_SNAPSHOT, "etcd cannot read the snapshot")
            .because(why)
            .help("is it a file of `ksail cluster snapshot save` for a KWOK cluster on Docker?")
    };
    if status != 0 {
        let log = engine.logs(&reader.name, Tail::Lines(5)).await;
        return Err(refused(log.unwrap_or_default().trim().to_string()));
    }
    Ok(())
}
