//! Registries beside clusters: the local one, and pull-through caches whose store outlives them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Job;
use crate::docker::{Tail, labels};
use crate::error::Result;
use crate::secret::Secret;
use crate::spec::Tree;
use crate::spec::registry::{LOCAL_PORT, Mirror, Registry};
use crate::step::{Attachment, Container, Mount, Port, Restart, Source};

/// The image of a registry.
const IMAGE: &str = "registry:3";
/// The label of a registry, with its name.
const REGISTRY: &str = "io.ksail.registry";
/// Where a registry keeps what it has.
const STORE: &str = "/var/lib/registry";
/// How long a registry may say nothing before it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a registry on the cluster's network; `upstream` makes it a cache of another one.
pub(super) async fn ensure(job: &Job<'_>, name: &str, upstream: Option<&str>) -> Result<()> {
    let engine = job.engine;
    let network = crate::distribution::of(job.maker.distribution()).network(job.spec()?);
    let container = container(job, name, upstream, &network)?;
    engine
        .ensure_image(&container.image, job.work.report)
        .await?;
    for mount in &container.mounts {
        if let Source::Volume(volume) = &mount.source {
            engine
                .ensure_volume(volume, &labels::shared("registry"))
                .await?;
        }
    }
    let id = engine.ensure_container(&container).await?.same(name)?;
    engine.start(&id).await?;
    engine
        .wait_line(&id, Tail::All, PATIENCE, |line| {
            line.contains("listening on")
        })
        .await
        .map(|_| ())
}

fn container(
    job: &Job<'_>,
    name: &str,
    upstream: Option<&str>,
    network: &str,
) -> Result<Container> {
    let mut all = job.labels();
    all.insert(REGISTRY.into(), name.into());
    let mut env: BTreeMap<String, Option<Secret>> = BTreeMap::new();
    let mut ports = Vec::new();
    let volume = match upstream {
        Some(upstream) => {
            let mirror = mirror(job, upstream)?;
            env.insert(
                "REGISTRY_PROXY_REMOTEURL".into(),
                Some(Secret::new(upstream)),
            );
            if let Some(who) = mirror
                .as_ref()
                .and_then(|mirror| mirror.credentials.as_ref())
            {
                env.insert(
                    "REGISTRY_PROXY_USERNAME".into(),
                    Some(Secret::new(who.username.as_str())),
                );
                env.insert("REGISTRY_PROXY_PASSWORD".into(), Some(who.password.clone()));
            }
            // Shared by all clusters: what one has pulled no other pulls again.
            mirror.map_or_else(
                || name.to_string(),
                |mirror| mirror.host.replace(['/', ':'], "-"),
            )
        }
        None => {
            ports.push(Port {
                container: 5000,
                protocol: "tcp",
                host_address: "127.0.0.1".into(),
                host: Some(local_port(job)?),
            });
            "local-registry".to_string()
        }
    };
    Ok(Container {
        name: name.into(),
        image: IMAGE.into(),
        labels: all,
        env,
        ports,
        networks: vec![Attachment {
            network: network.into(),
            ..Attachment::default()
        }],
        mounts: vec![Mount {
            source: Source::Volume(volume),
            target: STORE.into(),
            read_only: false,
            propagation: None,
        }],
        restart: Restart::UnlessStopped,
        ..Container::default()
    })
}

/// The mirror of the definition that has this upstream.
fn mirror(job: &Job<'_>, upstream: &str) -> Result<Option<Mirror>> {
    let mirrors = job
        .spec()?
        .settings
        .get("mirrors")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    let mirrors = mirrors
        .iter()
        .filter_map(|mirror| Mirror::parse(mirror.as_text()?).ok());
    Ok(mirrors
        .into_iter()
        .find(|mirror| mirror.upstream == upstream))
}

fn local_port(job: &Job<'_>) -> Result<u16> {
    let asked = job
        .spec()?
        .settings
        .get("local_registry")
        .and_then(Tree::as_text)
        .map(Registry::parse);
    Ok(asked
        .transpose()?
        .map_or(LOCAL_PORT, |registry| registry.port))
}
