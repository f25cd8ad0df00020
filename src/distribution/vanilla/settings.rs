//! What a cluster's options come to: the script's own, then its kind.yaml, then kind's defaults.
//!
//! [`Settings`] are complete: nothing further down looks at options again. To add an option: its row in `spec::options`,
//! a field here and the line that reads it.

use std::collections::BTreeMap;

use super::super::oidc;
use super::node::{JsonPatch, NodeSettings, all_nodes, json_patches};
use crate::axis::Slot;
use crate::facts::Role;
use crate::spec::{Options, Spec, Tree};

/// The address family of pods, services and the API's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

/// One cluster, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's name.
    pub name: String,
    /// Its nodes, control planes first.
    pub nodes: Vec<NodeSettings>,
    /// The network that nodes join.
    pub network: String,
    /// The address family.
    pub family: Family,
    /// The host's address of the API.
    pub api_address: String,
    /// Whether somebody chose that address.
    is_address_chosen: bool,
    /// The engine's host where it is another machine than this one.
    pub remote: Option<String>,
    /// The host's port of the API; `None` is any free one.
    pub api_port: Option<u16>,
    /// The addresses of pods.
    pub pod_subnet: String,
    /// The addresses of services.
    pub service_subnet: String,
    /// Whether nodes share the image layers that the node image holds, where the engine can.
    pub shares_images: bool,
    /// Whether the node image's own pod network is installed.
    pub default_cni: bool,
    /// How services are reached; `none` is without kube-proxy.
    pub proxy_mode: String,
    /// Search domains of the nodes; `None` leaves the host's.
    pub dns_search: Option<Vec<String>>,
    /// Feature gates.
    pub feature_gates: BTreeMap<String, bool>,
    /// API groups that are switched on or off.
    pub runtime_config: BTreeMap<String, String>,
    /// Further arguments of the API server.
    pub api_arguments: BTreeMap<String, String>,
    /// The certificate authority of the identity provider, PEM.
    pub oidc_authority: Option<String>,
    /// Files for containerd about registries, by their paths such as `ghcr.io/hosts.toml`.
    pub mirror_files: BTreeMap<String, String>,
    /// Merge patches of all nodes' kubeadm documents.
    pub patches: Vec<String>,
    /// JSON patches of all nodes' kubeadm documents.
    pub json_patches: Vec<JsonPatch>,
    /// TOML merged into containerd's configuration.
    pub containerd_patches: Vec<String>,
    /// JSON patches of containerd's configuration.
    pub containerd_json_patches: Vec<String>,
}

impl Settings {
    /// Reads a definition.
    pub fn of(spec: &Spec) -> Self {
        let own = &spec.distribution.options;
        let empty = Options::new();
        let file = own.get("config").and_then(Tree::as_map).unwrap_or(&empty);
        let networking = file
            .get("networking")
            .and_then(Tree::as_map)
            .unwrap_or(&empty);
        let text = |key: &str, theirs: &str| {
            let value = own.get(key).or_else(|| networking.get(theirs));
            value.and_then(Tree::as_text).map(String::from)
        };
        let family = match text("ip_family", "ipFamily").as_deref() {
            Some("ipv6") => Family::V6,
            Some("dual") => Family::Dual,
            _ => Family::V4,
        };
        let port = own
            .get("api_server_port")
            .or_else(|| networking.get("apiServerPort"));
        let dns = own
            .get("dns_search")
            .or_else(|| networking.get("dnsSearch"));
        let is_disabled = networking
            .get("disableDefaultCNI")
            .and_then(Tree::as_bool)
            .unwrap_or(false);
        let default_cni = own
            .get("default_cni")
            .and_then(Tree::as_bool)
            .unwrap_or(!is_disabled && spec.in_slot(Slot::Cni).is_none());
        let (pods, services) = match family {
            Family::V4 => ("10.244.0.0/16", "10.96.0.0/16"),
            Family::V6 => ("fd00:10:244::/56", "fd00:10:96::/112"),
            Family::Dual => (
                "10.244.0.0/16,fd00:10:244::/56",
                "10.96.0.0/16,fd00:10:96::/112",
            ),
        };
        let loopback = if family == Family::V6 {
            "::1"
        } else {
            "127.0.0.1"
        };
        let mut patches = texts(file.get("kubeadmConfigPatches"));
        patches.extend(texts(own.get("kubeadm_patches")));
        let mut containerd_patches = texts(file.get("containerdConfigPatches"));
        containerd_patches.extend(features(spec));
        containerd_patches.extend(texts(own.get("containerd_patches")));
        let mut feature_gates = gates(file.get("featureGates"));
        feature_gates.extend(gates(own.get("feature_gates")));
        let mut runtime_config = words(file.get("runtimeConfig"));
        runtime_config.extend(words(own.get("runtime_config")));
        Self {
            name: spec.name.to_string(),
            nodes: all_nodes(spec, file, family),
            network: network(spec),
            family,
            is_address_chosen: text("api_server_address", "apiServerAddress").is_some(),
            remote: None,
            api_address: text("api_server_address", "apiServerAddress")
                .unwrap_or_else(|| loopback.to_string()),
            api_port: port.and_then(Tree::as_int).and_then(free_or),
            pod_subnet: text("pod_subnet", "podSubnet").unwrap_or_else(|| pods.to_string()),
            service_subnet: text("service_subnet", "serviceSubnet")
                .unwrap_or_else(|| services.to_string()),
            shares_images: own.get("share_images").and_then(Tree::as_bool) != Some(false),
            default_cni,
            proxy_mode: text("kube_proxy_mode", "kubeProxyMode")
                .unwrap_or_else(|| "iptables".to_string()),
            dns_search: dns.map(|dns| texts(Some(dns))),
            feature_gates,
            runtime_config,
            api_arguments: api_arguments(spec),
            oidc_authority: oidc::authority(spec),
            mirror_files: mirror_files(own),
            patches,
            json_patches: json_patches(file),
            containerd_patches,
            containerd_json_patches: texts(file.get("containerdConfigPatchesJSON6902")),
        }
    }

    /// The same on an engine of another machine, whose loopback nobody reaches from here: unless an address was chosen,
    /// the API is published on all of that machine's.
    #[must_use]
    pub fn reached_at(mut self, host: String) -> Self {
        if !self.is_address_chosen {
            let all = if self.family == Family::V6 {
                "::"
            } else {
                "0.0.0.0"
            };
            self.api_address = all.to_string();
        }
        self.remote = Some(host);
        self
    }

    /// What the API is called from outside, so that its certificate says so.
    pub fn api_names(&self) -> Vec<String> {
        let mut names = vec!["localhost".to_string(), self.api_address.clone()];
        names.extend(self.remote.clone());
        names
    }

    /// The node of a name.
    pub fn node(&self, name: &str) -> Option<&NodeSettings> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The control planes.
    pub fn control_planes(&self) -> impl Iterator<Item = &NodeSettings> {
        self.nodes
            .iter()
            .filter(|node| node.role == Role::ControlPlane)
    }

    /// Whether a load balancer stands before several control planes.
    pub fn is_balanced(&self) -> bool {
        self.control_planes().count() > 1
    }

    /// The name of the load balancer's container.
    pub fn balancer(&self) -> String {
        super::balancer_name(&self.name)
    }

    /// The host that nodes reach the API at: the load balancer, or the only control plane.
    pub fn endpoint(&self) -> String {
        if self.is_balanced() {
            return self.balancer();
        }
        format!("{}-control-plane", self.name)
    }

    /// Whether a patch is about what certificates say and which phases run, so that only kubeadm knows.
    pub fn patches_cluster(&self) -> bool {
        const ABOUT: [&str; 2] = ["ClusterConfiguration", "InitConfiguration"];
        let of_nodes = self.nodes.iter().flat_map(|node| &node.patches);
        let is_about = |text: &String| ABOUT.iter().any(|kind| text.contains(kind));
        let json = self.nodes.iter().flat_map(|node| &node.json_patches);
        self.patches.iter().chain(of_nodes).any(is_about)
            || self
                .json_patches
                .iter()
                .chain(json)
                .any(|patch| ABOUT.contains(&patch.kind.as_str()))
    }

    /// Whether pods may run on control planes because there is no other node.
    pub fn is_alone(&self) -> bool {
        self.nodes.len() == 1
    }
}

/// The network of the provider's option; without it the one that all clusters share.
pub(super) fn network(spec: &Spec) -> String {
    let asked = spec.provider.options.get("network").and_then(Tree::as_text);
    asked.unwrap_or(super::NETWORK).to_string()
}

/// A port where 0 and −1 mean any free one.
pub(super) fn free_or(port: i64) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}

/// What settings of the cluster ask of containerd.
fn features(spec: &Spec) -> Vec<String> {
    let is_on = |key: &str| spec.settings.get(key).and_then(Tree::as_bool) == Some(true);
    let mut patches = Vec::new();
    if is_on("image_verification") {
        patches.push(
            "[plugins.\"io.containerd.image-verifier.v1.bindir\"]\n  bin_dir = \"/opt/image-verifier/bin\"\n  max_verifiers = 10\n  per_verifier_timeout = \"10s\"\n"
                .to_string(),
        );
    }
    if is_on("cdi") {
        patches.push("[plugins.\"io.containerd.grpc.v1.cri\"]\n  enable_cdi = true\n".to_string());
    }
    patches
}

/// Where the API server finds the certificate authority of the identity provider: kubeadm mounts this folder into it.
pub const OIDC_AUTHORITY: &str = "/etc/kubernetes/pki/oidc-ca.crt";

fn api_arguments(spec: &Spec) -> BTreeMap<String, String> {
    let mut all = oidc::arguments(spec);
    if oidc::authority(spec).is_some() {
        all.insert("oidc-ca-file".into(), OIDC_AUTHORITY.into());
    }
    all
}

/// Files of `mirrors_dir`, by their paths below it.
fn mirror_files(own: &Options) -> BTreeMap<String, String> {
    words(own.get("mirrors_dir"))
}

pub(super) fn texts(list: Option<&Tree>) -> Vec<String> {
    let list = list.and_then(Tree::as_list).unwrap_or_default();
    list.iter()
        .filter_map(Tree::as_text)
        .map(String::from)
        .collect()
}

fn gates(map: Option<&Tree>) -> BTreeMap<String, bool> {
    let map = map.and_then(Tree::as_map).into_iter().flatten();
    map.filter_map(|(name, on)| Some((name.clone(), on.as_bool()?)))
        .collect()
}

/// A map whose values are texts or booleans.
pub(super) fn words(map: Option<&Tree>) -> BTreeMap<String, String> {
    let map = map.and_then(Tree::as_map).into_iter().flatten();
    map.filter_map(|(name, value)| {
        let text = match value {
            Tree::Text(text) => text.clone(),
            Tree::Bool(answer) => answer.to_string(),
            _ => return None,
        };
        Some((name.clone(), text))
    })
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::node::PortMapping;
    use super::*;
    use crate::axis::{Distribution, Provider};
    use crate::spec::{DistributionSpec, Draft, ProviderSpec, check};

    /// A cluster with these settings and options.
    pub(crate) fn spec(settings: serde_json::Value, options: serde_json::Value) -> Spec {
        let map = |json: &serde_json::Value| Tree::from_json(json).as_map().cloned().unwrap();
        let draft = Draft {
            name: "dev".into(),
            distribution: Some(DistributionSpec {
                kind: Distribution::Vanilla,
                options: map(&options),
            }),
            provider: Some(ProviderSpec {
                kind: Provider::Docker,
                options: Options::new(),
            }),
            settings: map(&settings),
            ..Draft::default()
        };
        check(&draft).unwrap()
    }

    #[test]
    fn defaults_are_kinds() {
        let settings = Settings::of(&spec(
            serde_json::json!({ "kubernetes": "1.35.4" }),
            serde_json::json!({}),
        ));
        assert_eq!(settings.endpoint(), "dev-control-plane");
        assert_eq!(settings.nodes[0].image, "kindest/node:v1.35.4");
        assert_eq!(
            (settings.pod_subnet.as_str(), settings.proxy_mode.as_str()),
            ("10.244.0.0/16", "iptables")
        );
        assert!(settings.default_cni && settings.is_alone() && !settings.is_balanced());
    }

    #[test]
    fn the_script_wins_over_the_file_and_the_file_over_defaults() {
        let file = serde_json::json!({
            "nodes": [
                { "role": "control-plane", "image": "a:1" },
                { "role": "worker", "image": "b:1", "labels": { "zone": "a" } },
                { "role": "worker", "extraPortMappings": [{ "containerPort": 80, "hostPort": -1, "protocol": "UDP" }] },
            ],
            "networking": { "podSubnet": "10.1.0.0/16", "serviceSubnet": "10.2.0.0/16", "disableDefaultCNI": true },
            "featureGates": { "A": true, "B": true },
        });
        let options = serde_json::json!({ "config": file, "pod_subnet": "10.9.0.0/16", "feature_gates": { "B": false } });
        let settings = Settings::of(&spec(serde_json::json!({}), options.clone()));
        let names: Vec<&str> = settings
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(names, ["dev-control-plane", "dev-worker", "dev-worker2"]);
        assert_eq!(settings.nodes[1].image, "b:1");
        assert_eq!(
            settings.nodes[2].ports[0],
            PortMapping {
                container: 80,
                host: None,
                address: "0.0.0.0".into(),
                protocol: "udp"
            }
        );
        assert_eq!(settings.pod_subnet, "10.9.0.0/16");
        assert_eq!(settings.service_subnet, "10.2.0.0/16");
        assert_eq!(
            settings.feature_gates,
            [("A".to_string(), true), ("B".to_string(), false)].into()
        );
        assert!(!settings.default_cni);
        let counted = Settings::of(&spec(
            serde_json::json!({ "workers": 1, "control_planes": 3, "kubernetes": "1.35.4" }),
            options,
        ));
        assert_eq!(counted.nodes.len(), 4);
        assert_eq!(counted.nodes[3].image, "kindest/node:v1.35.4");
        assert_eq!(counted.endpoint(), "dev-external-load-balancer");
    }
}
