//! A K3s cluster's definition as its containers need it: ksail's own options, then the k3d.yaml, then what k3d does.
//!
//! Everything here was checked when the definition was read, so what cannot be read is taken for not given.

use std::collections::BTreeMap;

use super::super::controller_manager::REQUESTS;
use super::super::oidc;
use crate::axis::{Component, Slot};
use crate::spec::options::k3d::filter::{Filter, Member, Way};
use crate::spec::options::k3d::port::Published;
use crate::spec::options::k3d::volume::Volume;
use crate::spec::options::k3d::{self, at};
use crate::spec::{Options, Part, Spec, Tree};
use crate::step::{File, Limit};

/// Where servers find the certificate authority of the identity provider.
const OIDC_AUTHORITY: &str = "/etc/rancher/k3s/oidc-ca.crt";

/// Where k3s reads what is not on its command line; more is in a folder of this name and `.d`.
const CONFIGURATION: &str = "/etc/rancher/k3s/config.yaml";

/// A definition, read.
#[derive(Clone, Copy)]
pub struct Definition<'a> {
    spec: &'a Spec,
    file: Option<&'a Options>,
}

/// A port and who publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The port.
    pub port: Published,
    /// Who publishes it.
    pub by: Publisher,
}

/// Who publishes a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// One node itself.
    Node(Member),
    /// The load balancer, which passes it on to these.
    Balancer(Vec<Member>),
}

impl<'a> Definition<'a> {
    /// Reads the definition of a cluster.
    pub fn of(spec: &'a Spec) -> Self {
        let file = spec
            .distribution
            .options
            .get("config")
            .and_then(Tree::as_map);
        Self { spec, file }
    }

    /// The cluster's name.
    pub fn name(self) -> &'a str {
        self.spec.name.as_str()
    }

    /// The definition that it is read from.
    pub fn spec(self) -> &'a Spec {
        self.spec
    }

    /// How many servers there are.
    pub fn servers(self) -> u32 {
        self.spec.control_planes
    }

    /// Every node: the servers, then the agents.
    pub fn members(self) -> impl Iterator<Item = Member> {
        let servers = (0..self.spec.control_planes).map(Member::Server);
        servers.chain((0..self.spec.workers).map(Member::Agent))
    }

    /// What the file says at a path such as `options.k3d.wait`.
    pub(super) fn file(self, path: &str) -> Option<&'a Tree> {
        at(self.file?, path)
    }

    fn option(self, key: &str) -> Option<&'a Tree> {
        self.spec.distribution.options.get(key)
    }

    fn text(self, path: &str) -> Option<&'a str> {
        self.file(path).and_then(Tree::as_text)
    }

    fn is_on(self, path: &str) -> bool {
        self.file(path).and_then(Tree::as_bool).unwrap_or(false)
    }

    /// The node image.
    pub fn image(self) -> String {
        let own = self.option("image").and_then(Tree::as_text);
        // A Kubernetes version that the script asks for is ksail's own option, so it wins over the file's image.
        let file = self
            .text("image")
            .filter(|_| self.spec.kubernetes.is_none());
        own.or(file).map_or_else(
            || {
                format!(
                    "rancher/k3s:v{}-k3s1",
                    crate::distribution::kubernetes(self.spec)
                )
            },
            String::from,
        )
    }

    /// The network's name.
    pub fn network(self) -> String {
        let asked = self.spec.provider.options.get("network");
        let asked = asked.and_then(Tree::as_text).or(self.text("network"));
        asked.map_or_else(|| format!("k3d-{}", self.name()), String::from)
    }

    /// The network's addresses, where they are given; servers have fixed addresses then.
    pub fn subnet(self) -> Option<&'a str> {
        self.text("subnet")
    }

    /// The token, where one is given.
    pub fn token(self) -> Option<crate::secret::Secret> {
        match self.file("token") {
            Some(Tree::Secret(secret)) => Some(secret.clone()),
            Some(Tree::Text(text)) => Some(crate::secret::Secret::new(text.as_str())),
            _ => None,
        }
    }

    /// Whether a load balancer stands before the servers.
    pub fn has_balancer(self) -> bool {
        !self.is_on("options.k3d.disableLoadbalancer")
    }

    /// Whether nodes share a volume for images.
    pub fn has_image_volume(self) -> bool {
        !self.is_on("options.k3d.disableImageVolume")
    }

    /// Whether nodes see the host's processes.
    pub fn sees_host(self) -> bool {
        self.is_on("options.runtime.hostPidMode")
    }

    /// The API's address and port on the host, where they are given, and the host name that leads there.
    pub fn api(self) -> (String, Option<u16>, Option<&'a str>) {
        let address = match self.text("kubeAPI.hostIP") {
            None => "0.0.0.0",
            Some("localhost") => "127.0.0.1",
            Some(address) => address,
        };
        let port = k3d::port_number(self.file("kubeAPI.hostPort"))
            .ok()
            .flatten();
        (address.to_string(), port, self.text("kubeAPI.host"))
    }

    /// The most memory of a node, in bytes.
    pub fn memory(self, member: Member) -> Option<i64> {
        let key = match member {
            Member::Server(_) => "options.runtime.serversMemory",
            Member::Agent(_) => "options.runtime.agentsMemory",
            Member::Balancer => return None,
        };
        k3d::memory(self.text(key)?)
    }

    /// Limits of the processes in every node.
    pub fn limits(self) -> Vec<Limit> {
        let list = self
            .file("options.runtime.ulimits")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        list.iter()
            .filter_map(|entry| {
                let entry = entry.as_map()?;
                Some(Limit {
                    name: entry.get("name")?.as_text()?.to_string(),
                    soft: entry.get("soft")?.as_int()?,
                    hard: entry.get("hard")?.as_int()?,
                })
            })
            .collect()
    }

    /// The entries of a list in the file that are for a container, as the text of `key`.
    fn entries(self, path: &str, key: &str, member: Member) -> Vec<&'a str> {
        let list = self.file(path).and_then(Tree::as_list).unwrap_or_default();
        list.iter()
            .filter_map(Tree::as_map)
            .filter(|entry| {
                let filters = filters(entry);
                // Without a filter an entry is for every node; only what names the load balancer is for that.
                match member {
                    Member::Balancer => filters.iter().any(|filter| filter.picks(member)),
                    _ => filters.is_empty() || filters.iter().any(|filter| filter.picks(member)),
                }
            })
            .filter_map(|entry| entry.get(key).and_then(Tree::as_text))
            .collect()
    }

    /// The environment of a container.
    pub fn env(self, member: Member) -> BTreeMap<String, Option<String>> {
        self.entries("env", "envVar", member)
            .into_iter()
            .map(|text| match text.split_once('=') {
                Some((name, value)) => (name.to_string(), Some(value.to_string())),
                None => (text.to_string(), None),
            })
            .collect()
    }

    /// What is mounted into a container.
    pub fn volumes(self, member: Member) -> Vec<Volume> {
        let entries = self.entries("volumes", "volume", member);
        entries
            .into_iter()
            .filter_map(|text| Volume::parse(text).ok())
            .collect()
    }

    /// Labels of a container.
    pub fn labels(self, member: Member) -> BTreeMap<String, String> {
        pairs(self.entries("options.runtime.labels", "label", member))
    }

    /// Labels of a Kubernetes node.
    pub fn node_labels(self, member: Member) -> BTreeMap<String, String> {
        pairs(self.entries("options.k3s.nodeLabels", "label", member))
    }

    /// The files of a node as path and content.
    pub fn files(self, member: Member) -> Vec<(String, &'a str)> {
        let targets = self.entries("files", "destination", member);
        let contents = self.entries("files", "source", member);
        let targets = targets.into_iter().map(k3d::volume::expand);
        targets.zip(contents).collect()
    }

    /// Names of the host's file that nodes and pods know: address and names.
    pub fn aliases(self) -> Vec<(&'a str, Vec<&'a str>)> {
        let list = self
            .file("hostAliases")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        list.iter()
            .filter_map(Tree::as_map)
            .filter_map(|entry| {
                let names = entry.get("hostnames")?.as_list()?;
                Some((
                    entry.get("ip")?.as_text()?,
                    names.iter().filter_map(Tree::as_text).collect(),
                ))
            })
            .collect()
    }

    /// The arguments of a node's k3s that the user gave or that the definition implies.
    pub fn args(self, member: Member) -> Vec<String> {
        let mut args: Vec<String> = self
            .entries("options.k3s.extraArgs", "arg", member)
            .into_iter()
            .map(String::from)
            .collect();
        let own = match member {
            Member::Server(_) => "args",
            _ => "agent_args",
        };
        let more = self.option(own).and_then(Tree::as_list).unwrap_or_default();
        args.extend(more.iter().filter_map(Tree::as_text).map(String::from));
        if let Member::Server(_) = member {
            for implied in self.implied() {
                if !args.contains(&implied) {
                    args.push(implied);
                }
            }
            if !self.has_configuration(&args, member) {
                for (name, value) in REQUESTS {
                    if !args.iter().any(|arg| arg.contains(name)) {
                        args.push(format!("--kube-controller-manager-arg={name}={value}"));
                    }
                }
            }
        }
        args
    }

    /// Whether a server may read a configuration file of the user's. What the command line says to the controller manager
    /// takes the place of all that such a file says to it.
    fn has_configuration(self, args: &[String], member: Member) -> bool {
        let volumes = self.volumes(member).into_iter().map(|volume| volume.target);
        let files = self.files(member).into_iter().map(|(path, _)| path);
        let holds =
            |path: &String| CONFIGURATION.starts_with(path) || path.starts_with(CONFIGURATION);
        volumes.chain(files).any(|path| holds(&path))
            || self.env(member).contains_key("K3S_CONFIG_FILE")
            || args
                .iter()
                .any(|arg| arg.starts_with("--config") || arg.starts_with("-c"))
    }

    /// The certificate authority of the identity provider, as a file of a server.
    pub(super) fn oidc_authority(self) -> Option<File> {
        oidc::authority(self.spec).map(|pem| File {
            path: OIDC_AUTHORITY.into(),
            mode: 0o644,
            content: crate::secret::Secret::new(pem),
        })
    }

    /// What components and settings ask of the servers.
    fn implied(self) -> Vec<String> {
        let mut args = Vec::new();
        let off = self
            .option("disable")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        args.extend(
            off.iter()
                .filter_map(Tree::as_text)
                .map(|name| format!("--disable={name}")),
        );
        for (name, value) in oidc::arguments(self.spec) {
            args.push(format!("--kube-apiserver-arg={name}={value}"));
        }
        if oidc::authority(self.spec).is_some() {
            args.push(format!(
                "--kube-apiserver-arg=oidc-ca-file={OIDC_AUTHORITY}"
            ));
        }
        if let Some(cni) = self.spec.in_slot(Slot::Cni) {
            args.push("--flannel-backend=none".into());
            args.push("--disable-network-policy".into());
            if cni.part == Part::Known(Component::Cilium) {
                args.push("--disable=traefik".into());
            }
        }
        args
    }

    /// Settings of the load balancer beside k3d's own.
    pub(super) fn balancer_settings(self) -> Vec<(String, u32)> {
        let path = "options.k3d.loadbalancer.configOverrides";
        let list = self.file(path).and_then(Tree::as_list).unwrap_or_default();
        list.iter()
            .filter_map(|text| text.as_text()?.strip_prefix("settings.")?.split_once('='))
            .filter_map(|(key, value)| Some((key.to_string(), value.parse().ok()?)))
            .collect()
    }

    /// Every published port of the user's.
    pub fn routes(self) -> Vec<Route> {
        let mut routes = Vec::new();
        let list = self
            .file("ports")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        for entry in list.iter().filter_map(Tree::as_map) {
            let text = entry
                .get("port")
                .and_then(Tree::as_text)
                .unwrap_or_default();
            for port in k3d::port::parse(text).unwrap_or_default() {
                routes.push(Route {
                    by: self.publisher(&filters(entry)),
                    port,
                });
            }
        }
        let own = self
            .option("port_mappings")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        for entry in own.iter().filter_map(Tree::as_map) {
            routes.extend(mapping(entry).map(|port| Route {
                by: self.publisher(&[]),
                port,
            }));
        }
        routes
    }

    fn publisher(self, filters: &[Filter]) -> Publisher {
        let direct = filters
            .iter()
            .find(|filter| filter.way == Some(Way::Direct));
        let one = direct.and_then(|filter| self.members().find(|member| filter.picks(*member)));
        if let Some(member) = one {
            return Publisher::Node(member);
        }
        if !self.has_balancer() {
            return Publisher::Node(Member::Server(0));
        }
        let is_all = filters.is_empty() || filters.iter().any(Filter::is_balancer);
        let picked = self
            .members()
            .filter(|member| is_all || filters.iter().any(|filter| filter.picks(*member)));
        Publisher::Balancer(picked.collect())
    }
}

fn filters(entry: &Options) -> Vec<Filter> {
    let list = entry
        .get("nodeFilters")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    list.iter()
        .filter_map(|text| Filter::parse(text.as_text()?).ok())
        .collect()
}

fn pairs(texts: Vec<&str>) -> BTreeMap<String, String> {
    let pair = |text: &str| match text.split_once('=') {
        Some((key, value)) => (key.to_string(), value.to_string()),
        None => (text.to_string(), String::new()),
    };
    texts.into_iter().map(pair).collect()
}

/// A row of ksail's own option `port_mappings`.
fn mapping(entry: &Options) -> Option<Published> {
    let number = |key: &str| {
        entry
            .get(key)
            .and_then(Tree::as_int)
            .and_then(|n| u16::try_from(n).ok())
    };
    let text = |key: &str| entry.get(key).and_then(Tree::as_text);
    Some(Published {
        address: text("listen_address").unwrap_or("127.0.0.1").to_string(),
        host: number("host_port").filter(|port| *port > 0),
        container: number("container_port")?,
        protocol: match text("protocol") {
            Some("UDP") => "udp",
            Some("SCTP") => "sctp",
            _ => "tcp",
        },
    })
}
