//! A node as a container: made, given its files, started, and waited for until it is a machine.
//!
//! Whatever can be written before the container starts is: containerd reads its patched configuration at its first
//! start and need not be restarted. Only kubeadm's configuration waits for the address.

use std::net::TcpListener;
use std::time::Duration;

use super::super::Job;
use super::registry;
use crate::diag::codes::docker::{BAD_NODE_IMAGE, CONTAINER_DIFFERS, NO_IPV6, PORT_TAKEN};
use crate::distribution::vanilla::{
    self, BALANCER_IMAGE, CONFIG_PATH, Family, Host, NodeSettings, Place, Settings,
};
use crate::docker::{Ensured, Life, Seen, Tail};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::spec::Version;
use crate::step::{Container, File};

/// How long a node's log may be silent while it boots.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often another free port is tried.
const TRIES: usize = 4;
/// The file of the first control plane that holds the port on the host of the load balancer before it.
const FRONT: &str = "/kind/ksail-front";
/// containerd's configuration in a node.
const CONTAINERD: &str = "/etc/containerd/config.toml";

/// Makes the machine of a node.
pub(super) async fn ensure(job: &Job<'_>, settings: &Settings, node: &NodeSettings) -> Result<()> {
    job.engine
        .ensure_image(&node.image, job.work.report)
        .await?;
    let host = host(job, settings).await?;
    let mut container = vanilla::container(settings, node, &host);
    container.labels.extend(job.labels());
    let before = up(job, &mut container, Some((settings, node, &host)), None).await?;
    if before == Before::New {
        job.known.note_new(&node.name).await;
    }
    if before != Before::Running {
        let is_up = |line: &str| {
            line.contains("detected cgroup v1") || {
                line.split_once("Reached target")
                    .is_some_and(|(_, rest)| rest.contains("Multi-User System"))
            }
        };
        // The line of an earlier start stands in the log, too; the node was off then, and comes up all the same.
        job.engine
            .wait_line(&node.name, Tail::All, PATIENCE, is_up)
            .await?;
    }
    configure(job, settings, node).await
}

/// Makes the load balancer before several control planes and leads it to them.
pub(super) async fn ensure_balancer(job: &Job<'_>, settings: &Settings) -> Result<()> {
    job.engine
        .ensure_image(BALANCER_IMAGE, job.work.report)
        .await?;
    let mut container = vanilla::balancer(settings, BALANCER_IMAGE);
    container.labels.extend(job.labels());
    let first = settings.control_planes().next();
    let first = first.map(|node| node.name.as_str()).unwrap_or_default();
    // One that is put back takes its old port again if it can: kubeconfigs lead there.
    let had = front(job, first).await?;
    up(job, &mut container, None, had).await?;
    let command = vanilla::update_balancer(settings);
    let argv: Vec<&str> = command.iter().map(String::as_str).collect();
    job.engine
        .exec(&container.name, &argv, None)
        .await?
        .success("leading the load balancer to the control planes")?;
    super::life::remember(job, &container.name).await?;
    let port = container.ports.first().and_then(|port| port.host);
    match port.filter(|port| Some(*port) != had) {
        Some(port) if job.engine.inspect(first).await?.is_some() => {
            job.engine.put_files(first, &[front_file(port)]).await
        }
        _ => Ok(()),
    }
}

/// Keeps the port of the load balancer on the host.
pub(super) fn front_file(port: u16) -> File {
    file(FRONT, 0o644, port.to_string())
}

/// The port on the host that the load balancer had.
async fn front(job: &Job<'_>, first: &str) -> Result<Option<u16>> {
    let kept = read(job, first, FRONT).await?;
    Ok(kept.and_then(|text| text.trim().parse().ok()))
}

/// What a container was before it was made to run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It never ran.
    New,
    /// It ran once.
    Off,
    /// It ran.
    Running,
}

/// Has a container run with fixed ports; one of a node gets its files first. A port that nobody named is the one it has,
/// else the one it `had`, else a free one. Says what it was before.
async fn up(
    job: &Job<'_>,
    container: &mut Container,
    node: Option<(&Settings, &NodeSettings, &Host)>,
    had: Option<u16>,
) -> Result<Before> {
    let name = container.name.clone();
    let open: Vec<usize> = (0..container.ports.len())
        .filter(|index| {
            container
                .ports
                .get(*index)
                .is_some_and(|port| port.host.is_none())
        })
        .collect();
    for attempt in 1.. {
        let there = job.engine.inspect(&name).await?;
        fix_ports(
            container,
            &open,
            there.as_ref(),
            had.filter(|_| attempt == 1),
        );
        let is_fresh = there.as_ref().is_none_or(|seen| seen.life == Life::Created);
        let id = match job.engine.ensure_container(container).await? {
            Ensured::Made(id) | Ensured::Kept(id) => id,
            Ensured::Differs(id) if is_fresh => {
                // It never ran: nothing is lost with it.
                job.engine.remove(&id).await?;
                continue;
            }
            Ensured::Differs(_) => {
                return Err(Error::new(
                    &CONTAINER_DIFFERS,
                    format!("the container {name} was made from another definition"),
                )
                .help("delete the cluster and run again"));
            }
        };
        if there.is_some_and(|seen| seen.life == Life::Running) {
            return Ok(Before::Running);
        }
        if is_fresh && let Some((settings, node, host)) = node {
            prepare(job, settings, node, host, &id).await?;
        }
        // By its name: that is what an error says.
        match job.engine.start(&name).await {
            Err(problem)
                if problem.code().id == PORT_TAKEN.id && !open.is_empty() && attempt < TRIES =>
            {
                // Somebody was faster with a port that nobody asked for: another one will do.
                job.engine.remove(&id).await?;
            }
            answer => {
                let before = if is_fresh { Before::New } else { Before::Off };
                return answer.map(|()| before);
            }
        }
    }
    Ok(Before::Off)
}

/// Gives ports that nobody named the number they have, or had, or a free one: it stays the same over restarts.
fn fix_ports(container: &mut Container, open: &[usize], there: Option<&Seen>, had: Option<u16>) {
    for index in open {
        let Some(port) = container.ports.get_mut(*index) else {
            continue;
        };
        let has = there.and_then(|seen| {
            let same = seen.ports.iter().find(|bound| {
                bound.container == port.container
                    && bound.protocol == port.protocol
                    && bound.host_address == port.host_address
            });
            same.map(|bound| bound.host)
        });
        // On another machine than the engine's this is a guess; the engine says if it is wrong.
        port.host = has.or(had).or_else(|| {
            let listener = TcpListener::bind((port.host_address.as_str(), 0)).ok()?;
            Some(listener.local_addr().ok()?.port())
        });
    }
}

/// What a node gets before it starts for the first time.
async fn prepare(
    job: &Job<'_>,
    settings: &Settings,
    node: &NodeSettings,
    host: &Host,
    id: &str,
) -> Result<()> {
    let mut files = registry::files(job.spec()?)?;
    let mut patches = settings.containerd_patches.clone();
    if settings.shares_images && host.layered {
        files.extend(vanilla::layer_files());
        patches.insert(0, vanilla::LAYERS_PATCH.into());
    }
    if !patches.is_empty() || !settings.containerd_json_patches.is_empty() {
        let text = read(job, id, CONTAINERD)
            .await?
            .ok_or_else(|| lacks(&node.image, CONTAINERD))?;
        let patched =
            vanilla::patch_containerd(&text, &patches, &settings.containerd_json_patches)?;
        files.extend(patched.map(|text| file(CONTAINERD, 0o644, text)));
    }
    job.engine.put_files(id, &files).await
}

/// Writes kubeadm's configuration, which wants the node's address.
async fn configure(job: &Job<'_>, settings: &Settings, node: &NodeSettings) -> Result<()> {
    let version = version(job, node).await?;
    let place = place(job, settings, &node.name).await?;
    let text = vanilla::config(settings, node, &version, &place)?;
    job.engine
        .put_files(&node.name, &[file(CONFIG_PATH, 0o644, text)])
        .await
}

/// The Kubernetes version that a node's image says it has.
async fn version(job: &Job<'_>, node: &NodeSettings) -> Result<Version> {
    let text = read(job, &node.name, "/kind/version")
        .await?
        .ok_or_else(|| lacks(&node.image, "/kind/version"))?;
    // What follows a hyphen names a build, such as `-rc.1`.
    let plain = text.trim().split(['-', '+']).next().unwrap_or_default();
    Version::parse(plain).map_err(|cause| lacks(&node.image, "a version").because(cause))
}

/// Where a running node is.
pub(super) async fn place(job: &Job<'_>, settings: &Settings, node: &str) -> Result<Place> {
    let seen = job.engine.expect(node).await?;
    let v4 = seen.addresses.get(&settings.network).cloned();
    let v6 = seen.addresses6.get(&settings.network).cloned();
    if settings.family != Family::V4 && v6.is_none() {
        return Err(no_ipv6(node));
    }
    let info = job.engine.info().await?;
    Ok(Place {
        v4,
        v6,
        rootless: info.rootless,
        old_cgroups: info.cgroups == "1",
    })
}

fn no_ipv6(node: &str) -> Error {
    Error::new(&NO_IPV6, format!("the engine gave {node} no IPv6 address"))
        .help("remove the network `kind` once no cluster uses it, or leave `ip_family` out")
}

async fn host(job: &Job<'_>, settings: &Settings) -> Result<Host> {
    let info = job.engine.info().await?;
    let subnet = job.engine.network_subnet(&settings.network).await?;
    let mut proxies = std::collections::BTreeMap::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_lowercase()));
        if let Some(value) = value.ok().filter(|value| !value.is_empty()) {
            proxies.insert(name.to_string(), value);
        }
    }
    if proxies.keys().all(|name| name == "NO_PROXY") {
        proxies.clear();
    }
    Ok(Host {
        rootless: info.rootless,
        device_mapper: ["btrfs", "zfs", "devicemapper"].contains(&info.storage.as_str()),
        layered: vanilla::is_layered(&info.storage, info.rootless),
        proxies,
        subnets: subnet.into_iter().map(|(subnet, _)| subnet).collect(),
    })
}

/// Reads a text of a node; `None` if it is not there.
pub(super) async fn read(job: &Job<'_>, node: &str, path: &str) -> Result<Option<String>> {
    let bytes = job.engine.get_file(node, path).await?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn file(path: &str, mode: u32, text: impl Into<String>) -> File {
    File {
        path: path.into(),
        mode,
        content: Secret::new(text),
    }
}

fn lacks(image: &str, what: &str) -> Error {
    Error::new(&BAD_NODE_IMAGE, format!("the image {image} has no {what}"))
        .help("use a node image, such as kindest/node, or leave `image` out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_node_lacks() {
        assert_eq!(no_ipv6("dev-worker").code().id, "E0841");
        let problem = lacks("busybox", "/kind/version");
        assert_eq!(problem.code().id, "E0840");
        assert_eq!(problem.message(), "the image busybox has no /kind/version");
    }

    #[test]
    fn a_port_that_a_container_has_is_kept() {
        let port = |host| crate::step::Port {
            container: 6443,
            protocol: "tcp",
            host_address: "127.0.0.1".into(),
            host,
        };
        let mut container = Container {
            ports: vec![port(Some(7)), port(None)],
            ..Container::default()
        };
        fix_ports(&mut container, &[1], None, None);
        assert_eq!(container.ports[0].host, Some(7));
        assert!(container.ports[1].host.is_some_and(|port| port > 0));
        fix_ports(&mut container, &[1], None, Some(9));
        assert_eq!(container.ports[1].host, Some(9));
    }
}
