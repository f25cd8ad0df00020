//! The containers of a cluster: servers, agents, the load balancer and the registry, as k3d makes them.

use std::collections::BTreeMap;

use super::label::{self, balancer, container, image_volume, labels, owned};
use super::{Definition, Given, Publisher, entrypoint};
use crate::secret::Secret;
use crate::spec::options::k3d::filter::Member;
use crate::spec::options::k3d::port::Published;
use crate::spec::options::k3d::volume::Volume;
use crate::step::{Attachment, Container, File, Mount, Network, Port, Restart, Source};

/// The port of the API inside.
pub const API: u16 = 6443;
/// The file that the load balancer reads.
pub const VALUES: &str = "/etc/confd/values.yaml";
/// The kubeconfig that a server writes.
pub const KUBECONFIG: &str = "/output/kubeconfig.yaml";

/// The network of a cluster.
pub fn network(definition: Definition<'_>) -> Network {
    Network {
        name: definition.network(),
        labels: BTreeMap::from([("app".into(), "k3d".into())]),
        options: BTreeMap::from([(
            "com.docker.network.bridge.enable_ip_masquerade".into(),
            "true".into(),
        )]),
        subnet: definition.subnet().map(String::from),
        ..Network::default()
    }
}

/// The container of a server or an agent.
pub fn node(definition: Definition<'_>, given: &Given, member: Member) -> Container {
    let cluster = definition.name();
    let is_first = member == Member::Server(0);
    let mut command = vec![match member {
        Member::Server(_) => "server".to_string(),
        _ => "agent".to_string(),
    }];
    command.extend(definition.args(member));
    if is_first && definition.servers() > 1 {
        command.push("--cluster-init".into());
    }
    for (key, value) in definition.node_labels(member) {
        command.push("--node-label".into());
        command.push(format!("{key}={value}"));
    }
    if let Member::Server(_) = member {
        command.push("--tls-san".into());
        command.push(given.api_host.clone());
        if definition.has_balancer() {
            command.push("--tls-san".into());
            command.push(balancer(cluster));
        }
    }
    let mut env: BTreeMap<String, Option<Secret>> = definition
        .env(member)
        .into_iter()
        .map(|(name, value)| (name, value.map(Secret::new)))
        .collect();
    env.insert("K3S_TOKEN".into(), Some(given.token.clone()));
    if !is_first {
        env.insert("K3S_URL".into(), Some(Secret::new(label::url(cluster))));
    }
    let volumes = definition.volumes(member);
    let keeps_dns = volumes
        .iter()
        .any(|volume| volume.target == "/etc/resolv.conf");
    let mut files = entrypoint::files(given, keeps_dns);
    files.extend(definition.registries_file());
    files.extend(definition.oidc_authority());
    files.extend(
        definition
            .files(member)
            .into_iter()
            .map(|(path, content)| File {
                path,
                mode: 0o644,
                content: Secret::new(content),
            }),
    );
    let mut ports: Vec<Port> = definition
        .routes()
        .into_iter()
        .filter(|route| route.by == Publisher::Node(member))
        .map(|route| port(route.port))
        .collect();
    if is_first && !definition.has_balancer() {
        ports.insert(0, api_port(definition, given));
    }
    Container {
        entrypoint: Some(vec![entrypoint::PATH.into()]),
        command: Some(command),
        ports,
        pid_mode: definition.sees_host().then(|| "host".to_string()),
        memory: definition.memory(member),
        limits: definition.limits(),
        files,
        ..base(definition, given, member, env, definition.image())
    }
}

/// The load balancer. Its [`values`] change with the nodes that run, so they are put into it apart.
pub fn load_balancer(definition: Definition<'_>, given: &Given) -> Container {
    let member = Member::Balancer;
    let env = definition
        .env(member)
        .into_iter()
        .map(|(name, value)| (name, value.map(Secret::new)))
        .collect();
    let mut ports = vec![api_port(definition, given)];
    ports.extend(
        definition
            .routes()
            .into_iter()
            .filter(|route| matches!(route.by, Publisher::Balancer(_)))
            .map(|route| port(route.port)),
    );
    Container {
        ports,
        ..base(
            definition,
            given,
            member,
            env,
            format!("ghcr.io/k3d-io/k3d-proxy:{}", label::VERSION),
        )
    }
}

/// What the load balancer reads: which port goes to whom. Only containers that run have names that it can look up.
pub fn values(definition: Definition<'_>, running: &[Member]) -> File {
    let names = |members: &mut dyn Iterator<Item = Member>| -> Vec<String> {
        members
            .filter(|member| running.contains(member))
            .map(|member| container(definition.name(), member))
            .collect()
    };
    let servers = names(&mut (0..definition.servers()).map(Member::Server));
    let mut ports = BTreeMap::from([(format!("{API}.tcp"), servers)]);
    for route in definition.routes() {
        if let Publisher::Balancer(to) = &route.by {
            let key = format!("{}.{}", route.port.container, route.port.protocol);
            ports.insert(key, names(&mut to.iter().copied()));
        }
    }
    ports.retain(|_, to| !to.is_empty());
    let mut settings = BTreeMap::from([("workerConnections".to_string(), 1024_u32)]);
    settings.extend(definition.balancer_settings());
    let content = serde_json::json!({ "ports": ports, "settings": settings });
    File {
        path: VALUES.into(),
        mode: 0o744,
        content: Secret::new(serde_saphyr::to_string(&content).unwrap_or_default()),
    }
}

/// The registry that the k3d.yaml wants made with the cluster.
pub fn registry(definition: Definition<'_>) -> Option<Container> {
    let made = definition.registry()?;
    let inner = made.inner_port();
    let mut env = BTreeMap::from([(
        "REGISTRY_STORAGE_DELETE_ENABLED".to_string(),
        Some(Secret::new("true")),
    )]);
    if let Some((upstream, user, password)) = made.upstream.clone() {
        env.insert(
            "REGISTRY_PROXY_REMOTEURL".into(),
            Some(Secret::new(upstream)),
        );
        for (name, value) in [("USERNAME", user), ("PASSWORD", password)] {
            if let Some(value) = value {
                env.insert(format!("REGISTRY_PROXY_{name}"), Some(value));
            }
        }
    }
    if inner != 5000 {
        env.insert(
            "REGISTRY_HTTP_ADDR".into(),
            Some(Secret::new(format!(":{inner}"))),
        );
    }
    let mut labels = owned(definition.name());
    for (key, value) in [
        (label::ROLE, "registry".to_string()),
        ("k3d.registry.host", made.name.clone()),
        ("k3d.registry.hostIP", made.address.clone()),
        (
            "k3s.registry.port.external",
            made.port.unwrap_or(0).to_string(),
        ),
        ("k3s.registry.port.internal", inner.to_string()),
    ] {
        labels.insert(key.into(), value);
    }
    let volumes = made
        .volumes
        .iter()
        .filter_map(|text| Volume::parse(text).ok());
    Some(Container {
        name: made.name,
        image: made.image,
        env,
        labels,
        networks: vec![attachment(definition, None)],
        ports: vec![Port {
            container: inner,
            protocol: "tcp",
            host_address: made.address,
            host: made.port,
        }],
        mounts: volumes.map(mount).collect(),
        restart: Restart::UnlessStopped,
        ..Container::default()
    })
}

/// What servers, agents and the load balancer have in common.
fn base(
    definition: Definition<'_>,
    given: &Given,
    member: Member,
    mut env: BTreeMap<String, Option<Secret>>,
    image: String,
) -> Container {
    let name = container(definition.name(), member);
    env.insert(
        "K3S_KUBECONFIG_OUTPUT".into(),
        Some(Secret::new(KUBECONFIG)),
    );
    let mut mounts: Vec<Mount> = definition.volumes(member).into_iter().map(mount).collect();
    if definition.has_image_volume() {
        mounts.push(Mount {
            source: Source::Volume(image_volume(definition.name())),
            target: "/k3d/images".into(),
            read_only: false,
            propagation: None,
        });
    }
    Container {
        hostname: Some(name.clone()),
        name,
        image,
        env,
        labels: labels(definition, given, member),
        networks: vec![attachment(definition, given.address(definition, member))],
        mounts,
        tmpfs: BTreeMap::from([
            ("/run".into(), String::new()),
            ("/var/run".into(), String::new()),
        ]),
        privileged: true,
        init: Some(true),
        user_namespace: Some("host".into()),
        restart: Restart::UnlessStopped,
        ..Container::default()
    }
}

fn attachment(definition: Definition<'_>, address: Option<String>) -> Attachment {
    Attachment {
        network: definition.network(),
        aliases: Vec::new(),
        address,
    }
}

fn api_port(definition: Definition<'_>, given: &Given) -> Port {
    let (address, _, _) = definition.api();
    Port {
        container: API,
        protocol: "tcp",
        host_address: address,
        host: Some(given.api_port),
    }
}

fn port(published: Published) -> Port {
    Port {
        container: published.container,
        protocol: published.protocol,
        host_address: published.address,
        host: published.host,
    }
}

fn mount(volume: Volume) -> Mount {
    Mount {
        source: match volume.source {
            None => Source::Anonymous,
            Some(path) if path.starts_with('/') => Source::Host(path),
            Some(name) => Source::Volume(name),
        },
        target: volume.target,
        read_only: volume.read_only,
        propagation: volume.propagation,
    }
}
