//! Registries beside clusters: the local one, and pull-through caches whose store outlives them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{FutureExt as _, try_join_all};

use serde_json::{Value, json};

use super::Job;
use crate::docker::{Life, Tail, labels};
use crate::error::Result;
use crate::secret::Secret;
use crate::spec::registry::{LOCAL_PORT, Mirror, Registry};
use crate::spec::{Options, Tree};
use crate::step::{Attachment, Container, Mount, Port, Restart, Source};

/// The image of a registry.
const IMAGE: &str = "registry:3";
/// The label of a registry, with its name.
const REGISTRY: &str = "io.ksail.registry";
/// Where a registry keeps what it has.
const STORE: &str = "/var/lib/registry";
/// What a registry says when it can be used.
const LISTENS: &str = "listening on";
/// How often its log is looked at.
const PACE: Duration = Duration::from_millis(100);
/// How long a registry may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a registry on the cluster's network; `upstream` makes it a cache of another one.
pub(super) async fn ensure(job: &Job<'_>, name: &str, upstream: Option<&str>) -> Result<()> {
    let engine = job.engine;
    let spec = job.spec()?;
    let network = crate::distribution::of(job.maker.distribution()).network(spec);
    let container = container(&spec.settings, job.labels(), name, upstream, &network)?;
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
    engine.ensure_container(&container).await?.same(name)?;
    engine.start(name).await?;
    let label = format!("{REGISTRY}={name}");
    let ask = || {
        async move {
            let seen = engine.expect(name).await?;
            if seen.life == Life::Running && engine.logs(name, Tail::All).await?.contains(LISTENS) {
                return Ok(Some(()));
            }
            // A cache ends when its upstream cannot be looked up, and the engine brings it back: once is no failure.
            if seen.restarts > 3 {
                return Err(engine.ended(name).await);
            }
            Ok(None)
        }
        .boxed()
    };
    engine.until(&label, name, PACE, PATIENCE, ask).await
}

/// Tells tools where the local registry is on this machine, in the object that they look for; none where there is no such
/// registry.
pub(super) fn hosting(settings: &Options) -> Option<Value> {
    let is_asked = match settings.get("local_registry")? {
        Tree::Bool(answer) => *answer,
        Tree::Text(text) => !Registry::parse(text).ok()?.is_external(),
        _ => false,
    };
    let port = is_asked.then(|| local_port(settings).ok())??;
    Some(told(&format!("host: \"localhost:{port}\"\n")))
}

/// The object that tells tools where a registry is.
pub(super) fn told(lines: &str) -> Value {
    let text = format!("{lines}help: \"https://kind.sigs.k8s.io/docs/user/local-registry/\"\n");
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "local-registry-hosting", "namespace": "kube-public" },
        "data": { "localRegistryHosting.v1": text },
    })
}

/// Removes the registries of a cluster but for those that stay.
pub(super) async fn retire(job: &Job<'_>, keep: &[String]) -> Result<()> {
    let all = job.everything().await?;
    let gone = all.iter().filter(|one| {
        let name = one.labels.get(REGISTRY);
        name.is_some_and(|name| !keep.contains(name))
    });
    try_join_all(gone.map(|one| job.engine.remove(&one.id)))
        .await
        .map(|_| ())
}

/// The container of a registry.
fn container(
    settings: &Options,
    mut labels: BTreeMap<String, String>,
    name: &str,
    upstream: Option<&str>,
    network: &str,
) -> Result<Container> {
    labels.insert(REGISTRY.into(), name.into());
    let mut env: BTreeMap<String, Option<Secret>> = BTreeMap::new();
    let mut ports = Vec::new();
    let volume = match upstream {
        Some(upstream) => {
            let mut set = |key: &str, value: Secret| env.insert(key.to_string(), Some(value));
            set("REGISTRY_PROXY_REMOTEURL", Secret::new(upstream));
            let mirror = mirror(settings, upstream);
            if let Some(who) = mirror
                .as_ref()
                .and_then(|mirror| mirror.credentials.clone())
            {
                set("REGISTRY_PROXY_USERNAME", Secret::new(who.username));
                set("REGISTRY_PROXY_PASSWORD", who.password);
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
                host: Some(local_port(settings)?),
            });
            "local-registry".to_string()
        }
    };
    Ok(Container {
        name: name.into(),
        image: IMAGE.into(),
        labels,
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
fn mirror(settings: &Options, upstream: &str) -> Option<Mirror> {
    let mirrors = settings
        .get("mirrors")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    mirrors
        .iter()
        .filter_map(|mirror| Mirror::parse(mirror.as_text()?).ok())
        .find(|mirror| mirror.upstream == upstream)
}

fn local_port(settings: &Options) -> Result<u16> {
    let asked = settings
        .get("local_registry")
        .and_then(Tree::as_text)
        .map(Registry::parse);
    Ok(asked
        .transpose()?
        .map_or(LOCAL_PORT, |registry| registry.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_into_the_environment_and_nowhere_else() {
        let mut settings = Options::default();
        let mirrors = vec![Tree::Text("me:canary@ghcr.io".into())];
        settings.insert("mirrors".into(), Tree::List(mirrors));
        let made = container(
            &settings,
            BTreeMap::new(),
            "dev-ghcr.io",
            Some("https://ghcr.io"),
            "kind",
        )
        .unwrap();
        let value = |name: &str| made.env.get(name).cloned().flatten();
        assert_eq!(value("REGISTRY_PROXY_PASSWORD").unwrap().expose(), "canary");
        assert_eq!(value("REGISTRY_PROXY_USERNAME").unwrap().expose(), "me");
        assert!(!format!("{made:?}").contains("canary"));
        assert_eq!(
            made.mounts.first().unwrap().source,
            Source::Volume("ghcr.io".into())
        );
        assert!(made.ports.is_empty());
    }

    #[test]
    fn only_a_registry_of_this_machine_is_told_of() {
        let told = |value: Tree| {
            let settings = [("local_registry".to_string(), value)].into();
            hosting(&settings).map(|object| object["data"]["localRegistryHosting.v1"].to_string())
        };
        let host = |port: u16| format!("host: \\\"localhost:{port}\\\"");
        assert!(told(Tree::Bool(true)).unwrap().contains(&host(LOCAL_PORT)));
        assert!(
            told(Tree::Text("localhost:5961".into()))
                .unwrap()
                .contains(&host(5961))
        );
        assert_eq!(told(Tree::Text("ghcr.io/me".into())), None);
        assert_eq!(told(Tree::Bool(false)), None);
    }

    #[test]
    fn the_local_registry_is_published_to_this_machine_alone() {
        let mut settings = Options::default();
        settings.insert("local_registry".into(), Tree::Text("localhost:5961".into()));
        let made = container(&settings, BTreeMap::new(), "dev", None, "kind").unwrap();
        let port = made.ports.first().unwrap();
        assert_eq!(
            (port.host_address.as_str(), port.host),
            ("127.0.0.1", Some(5961))
        );
    }
}
