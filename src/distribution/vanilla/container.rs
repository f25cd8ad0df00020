//! The containers of a cluster: its nodes, and the load balancer before several control planes.

use std::collections::BTreeMap;

use super::balancer as envoy;
use super::mount::MountPoint;
use super::node::NodeSettings;
use super::settings::{Family, Settings};
use super::store;
use crate::facts::Role;
use crate::secret::Secret;
use crate::step::{Attachment, Container, Mount, Port, Restart, Source};

/// The label with the cluster's name.
pub const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// The label with what the container is for.
pub const ROLE: &str = "io.x-k8s.kind.role";
/// What the load balancer is for.
pub const BALANCER: &str = "external-load-balancer";
/// The network of all clusters.
pub const NETWORK: &str = "kind";

/// What the machine that containers run on is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Whether the engine runs without root.
    pub rootless: bool,
    /// Whether nodes need the device mapper's folder to know their file system.
    pub device_mapper: bool,
    /// Whether image layers can be used where they are in the node image instead of being copied for each node.
    pub layered: bool,
    /// Proxies that nodes use, by the name of the variable, upper case.
    pub proxies: BTreeMap<String, String>,
    /// The subnets of the network, which need no proxy.
    pub subnets: Vec<String>,
}

/// The container of a node.
pub fn node(settings: &Settings, node: &NodeSettings, host: &Host) -> Container {
    let mut mounts = vec![bind("/lib/modules", "/lib/modules", true)];
    let volumes = if settings.shares_images && host.layered {
        store::VOLUMES
    } else {
        &["/var"]
    };
    mounts.extend(volumes.iter().map(|target| Mount {
        source: Source::Anonymous,
        target: (*target).into(),
        read_only: false,
        propagation: None,
    }));
    if host.device_mapper && !host.rootless {
        mounts.push(bind("/dev/mapper", "/dev/mapper", false));
    }
    mounts.extend(node.mounts.iter().map(extra_mount));
    let mut sysctls = BTreeMap::new();
    if settings.family != Family::V4 {
        sysctls.insert("net.ipv6.conf.all.disable_ipv6".into(), "0".into());
        sysctls.insert("net.ipv6.conf.all.forwarding".into(), "1".into());
    }
    let mut ports: Vec<Port> = node
        .ports
        .iter()
        .map(|port| Port {
            container: port.container,
            protocol: port.protocol,
            host_address: port.address.clone(),
            host: port.host,
        })
        .collect();
    if node.role == Role::ControlPlane {
        ports.push(api_port(settings, !settings.is_balanced()));
    }
    Container {
        privileged: true,
        security: vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()],
        tmpfs: [
            ("/tmp".into(), String::new()),
            ("/run".into(), String::new()),
        ]
        .into(),
        env: environment(settings, node, host),
        mounts,
        sysctls,
        ports,
        devices: if host.rootless {
            vec!["/dev/fuse".into()]
        } else {
            Vec::new()
        },
        ..base(settings, &node.name, &node.image, role(node.role))
    }
}

/// The name of a cluster's load balancer.
pub fn balancer_name(cluster: &str) -> String {
    format!("{cluster}-{BALANCER}")
}

/// The container of the load balancer.
pub fn balancer(settings: &Settings, image: &str) -> Container {
    let name = settings.balancer();
    Container {
        command: Some(envoy::command(&settings.name, &name)),
        ports: vec![api_port(settings, true)],
        ..base(settings, &name, image, BALANCER)
    }
}

/// The value of the label [`ROLE`].
pub fn role(role: Role) -> &'static str {
    match role {
        Role::ControlPlane => "control-plane",
        Role::Worker => "worker",
    }
}

/// What every container of a cluster has.
fn base(settings: &Settings, name: &str, image: &str, role: &str) -> Container {
    Container {
        name: name.to_string(),
        image: image.to_string(),
        hostname: Some(name.to_string()),
        labels: [
            (CLUSTER.to_string(), settings.name.clone()),
            (ROLE.to_string(), role.to_string()),
        ]
        .into(),
        networks: vec![Attachment {
            network: settings.network.clone(),
            ..Attachment::default()
        }],
        cgroup_namespace: Some("private".into()),
        restart: Restart::OnFailure(1),
        tty: true,
        init: Some(false),
        ..Container::default()
    }
}

/// The port of the API: where the user asked for it, or on loopback beside the load balancer.
fn api_port(settings: &Settings, is_front: bool) -> Port {
    let loopback = if settings.family == Family::V6 {
        "::1"
    } else {
        "127.0.0.1"
    };
    Port {
        container: super::kubeadm::PORT,
        protocol: "tcp",
        host_address: if is_front {
            settings.api_address.clone()
        } else {
            loopback.to_string()
        },
        host: settings.api_port.filter(|_| is_front),
    }
}

fn bind(host: &str, target: &str, read_only: bool) -> Mount {
    Mount {
        source: Source::Host(host.into()),
        target: target.into(),
        read_only,
        propagation: None,
    }
}

fn extra_mount(mount: &MountPoint) -> Mount {
    Mount {
        propagation: mount.propagation.or(mount.relabel.then_some("Z")),
        ..bind(&mount.host, &mount.container, mount.read_only)
    }
}

fn environment(
    settings: &Settings,
    node: &NodeSettings,
    host: &Host,
) -> BTreeMap<String, Option<Secret>> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        env.insert(name.to_string(), Some(Secret::new(value)));
    };
    if node.role == Role::ControlPlane {
        set("KUBECONFIG", "/etc/kubernetes/admin.conf".into());
    }
    if let Some(domains) = &settings.dns_search {
        set("KIND_DNS_SEARCH", domains.join(" "));
    }
    for (name, value) in &host.proxies {
        set(name, value.clone());
        set(&name.to_lowercase(), value.clone());
    }
    if host.proxies.keys().any(|name| name != "NO_PROXY") {
        let direct = without_proxy(settings, host);
        set("NO_PROXY", direct.clone());
        set("no_proxy", direct);
    }
    env
}

/// Whom nodes reach without a proxy: everything of the cluster itself.
fn without_proxy(settings: &Settings, host: &Host) -> String {
    let mut all = host.subnets.clone();
    all.extend(host.proxies.get("NO_PROXY").cloned());
    all.push(settings.service_subnet.clone());
    all.push(settings.pod_subnet.clone());
    all.extend(settings.nodes.iter().map(|node| node.name.clone()));
    if settings.is_balanced() {
        all.push(settings.balancer());
    }
    all.extend([".svc", ".svc.cluster", ".svc.cluster.local"].map(String::from));
    all.retain(|part| !part.is_empty());
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::spec;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_what_kind_would_make() {
        let settings = Settings::of(&spec(
            json!({ "workers": 1 }),
            json!({ "api_server_port": 6000, "port_mappings": [{ "container_port": 80, "host_port": 8080 }], "mounts": [{ "host_path": "/a", "container_path": "/b" }] }),
        ));
        let control = node(&settings, &settings.nodes[0], &Host::default());
        assert_eq!(control.hostname.as_deref(), Some("dev-control-plane"));
        assert_eq!(control.labels[CLUSTER], "dev");
        assert_eq!(control.labels[ROLE], "control-plane");
        assert!(control.privileged && control.tty && control.init == Some(false));
        assert_eq!(control.cgroup_namespace.as_deref(), Some("private"));
        let ports: Vec<_> = control
            .ports
            .iter()
            .map(|port| (port.host_address.as_str(), port.host, port.container))
            .collect();
        assert_eq!(
            ports,
            [
                ("127.0.0.1", Some(8080), 80),
                ("127.0.0.1", Some(6000), 6443)
            ]
        );
        let worker = node(&settings, &settings.nodes[1], &Host::default());
        assert!(worker.ports.is_empty() && !worker.env.contains_key("KUBECONFIG"));
        assert!(worker.mounts.iter().any(|mount| mount.target == "/b"));
        assert!(
            worker
                .mounts
                .iter()
                .any(|mount| mount.source == Source::Anonymous && mount.target == "/var")
        );
    }

    #[test]
    fn the_balancer_takes_the_port_of_several_control_planes() {
        let settings = Settings::of(&spec(
            json!({ "control_planes": 3 }),
            json!({ "api_server_port": 6000 }),
        ));
        let control = node(&settings, &settings.nodes[0], &Host::default());
        assert_eq!(control.ports[0].host, None);
        let front = balancer(&settings, "envoy");
        assert_eq!(front.ports[0].host, Some(6000));
        assert!(!front.privileged && front.mounts.is_empty());
    }

    #[test]
    fn proxies_leave_the_cluster_out() {
        let settings = Settings::of(&spec(json!({ "workers": 1 }), json!({})));
        let host = Host {
            proxies: [
                ("HTTP_PROXY".to_string(), "http://p".to_string()),
                ("NO_PROXY".to_string(), "a".to_string()),
            ]
            .into(),
            subnets: vec!["172.18.0.0/16".into()],
            ..Host::default()
        };
        let container = node(&settings, &settings.nodes[1], &host);
        let env = |name: &str| container.env[name].as_ref().unwrap().expose().to_string();
        assert_eq!(env("http_proxy"), "http://p");
        assert_eq!(
            env("NO_PROXY"),
            "172.18.0.0/16,a,10.96.0.0/16,10.244.0.0/16,dev-control-plane,dev-worker,.svc,.svc.cluster,.svc.cluster.local"
        );
    }
}
