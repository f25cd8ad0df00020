//! The configuration that kubeadm reads on a node: five documents, as kind lays them out, with the user's patches.

use serde_json::{Map, Value, json};

use super::node::NodeSettings;
use super::patch;
use super::settings::{Family, Settings};
use crate::distribution::controller_manager::REQUESTS;
use crate::error::Result;
use crate::facts::Role;
use crate::spec::Version;

/// Where kubeadm's configuration is on every node.
pub const PATH: &str = "/kind/kubeadm.conf";
/// The token that nodes join with; the API is reachable from this machine only.
pub(super) const TOKEN: &str = "abcdef.0123456789abcdef";
/// Where a node finds the cluster that it joins. By token alone it would wait until the control plane has signed what
/// everybody may read, and look again only every five seconds.
pub const DISCOVERY: &str = "/kind/discovery.conf";
/// The port of the API inside.
pub const PORT: u16 = 6443;

/// What is known of a node only once it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its IPv4 address.
    pub v4: Option<String>,
    /// Its IPv6 address.
    pub v6: Option<String>,
    /// Whether its engine runs without root.
    pub rootless: bool,
    /// Whether its machine has the first version of control groups.
    pub old_cgroups: bool,
}

impl Place {
    /// The addresses of the node in the order that the cluster wants.
    fn addresses(&self, settings: &Settings) -> Vec<String> {
        let (v4, v6) = (self.v4.clone(), self.v6.clone());
        match settings.family {
            Family::V4 => v4.into_iter().collect(),
            Family::V6 => v6.into_iter().collect(),
            Family::Dual
                if settings
                    .service_subnet
                    .starts_with(|c: char| c.is_ascii_digit())
                    && !first(&settings.service_subnet).contains(':') =>
            {
                v4.into_iter().chain(v6).collect()
            }
            Family::Dual => v6.into_iter().chain(v4).collect(),
        }
    }
}

fn first(subnets: &str) -> &str {
    subnets.split(',').next().unwrap_or_default()
}

/// Writes the configuration of one node. The version is that of the node's image.
pub fn config(
    settings: &Settings,
    node: &NodeSettings,
    version: &Version,
    place: &Place,
) -> Result<String> {
    let form = Form::of(version);
    let mut documents = vec![
        cluster(settings, version, form),
        init(settings, node, place, form),
        join(settings, node, place, form),
        kubelet(settings, version, place),
    ];
    if settings.proxy_mode != "none" {
        documents.push(proxy(settings, place));
    }
    patch::merge(&mut documents, &settings.patches)?;
    patch::apply(&mut documents, &settings.json_patches)?;
    patch::merge(&mut documents, &node.patches)?;
    patch::apply(&mut documents, &node.json_patches)?;
    for document in &mut documents {
        // A patch that brings its own way of discovery means it; kubeadm takes only one.
        if document.pointer("/discovery/bootstrapToken").is_some()
            && let Some(Value::Object(discovery)) = document.get_mut("discovery")
        {
            discovery.remove("file");
        }
    }
    let texts = documents
        .iter()
        .map(|document| serde_saphyr::to_string(document).unwrap_or_default());
    Ok(texts.collect::<Vec<_>>().join("---\n"))
}

/// What a node that joins is told of the cluster: where it is, and who vouches for it (PEM).
pub fn discovery(settings: &Settings, authority: &str) -> String {
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let server = format!("https://{}:{PORT}", settings.endpoint());
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "", "cluster": { "server": server, "certificate-authority-data": authority } }],
    });
    serde_saphyr::to_string(&content).unwrap_or_default()
}

/// The form of kubeadm's documents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Beta3,
    Beta4,
}

impl Form {
    fn of(version: &Version) -> Self {
        if (version.major, version.minor) >= (1, 36) {
            Self::Beta4
        } else {
            Self::Beta3
        }
    }

    fn api(self) -> &'static str {
        match self {
            Self::Beta3 => "kubeadm.k8s.io/v1beta3",
            Self::Beta4 => "kubeadm.k8s.io/v1beta4",
        }
    }

    /// Arguments: a map, later a list.
    fn arguments(self, arguments: Vec<(String, String)>) -> Value {
        match self {
            Self::Beta3 => arguments
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect::<Map<_, _>>()
                .into(),
            Self::Beta4 => arguments
                .into_iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect(),
        }
    }
}

fn joined<V: ToString>(map: &std::collections::BTreeMap<String, V>) -> String {
    let pairs: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={}", value.to_string()))
        .collect();
    pairs.join(",")
}

fn cluster(settings: &Settings, version: &Version, form: Form) -> Value {
    let gates = || {
        let gates = joined(&settings.feature_gates);
        (!gates.is_empty()).then(|| ("feature-gates".to_string(), gates))
    };
    let is_v6 = settings.family == Family::V6;
    let bind = |address: &str| is_v6.then(|| ("bind-address".to_string(), address.to_string()));
    let mut server = vec![(
        "runtime-config".to_string(),
        joined(&settings.runtime_config),
    )];
    server.extend(gates());
    server.extend(settings.api_arguments.clone());
    let mut manager: Vec<(String, String)> = gates().into_iter().collect();
    manager.push(("enable-hostpath-provisioner".into(), "true".into()));
    let requests = REQUESTS.map(|(name, value)| (name.to_string(), value.to_string()));
    manager.extend(requests);
    manager.extend(bind("::"));
    let mut scheduler: Vec<(String, String)> = gates().into_iter().collect();
    scheduler.extend(bind("::1"));
    json!({
        "kind": "ClusterConfiguration",
        "apiVersion": form.api(),
        "kubernetesVersion": format!("v{version}"),
        "clusterName": settings.name,
        "controlPlaneEndpoint": format!("{}:{PORT}", settings.endpoint()),
        "apiServer": {
            "certSANs": settings.api_names(),
            "extraArgs": form.arguments(server),
        },
        "controllerManager": { "extraArgs": form.arguments(manager) },
        "scheduler": { "extraArgs": form.arguments(scheduler) },
        "networking": {
            "podSubnet": settings.pod_subnet,
            "serviceSubnet": settings.service_subnet,
        },
    })
}

fn registration(settings: &Settings, node: &NodeSettings, place: &Place, form: Form) -> Value {
    let arguments = vec![
        ("node-ip".to_string(), place.addresses(settings).join(",")),
        (
            "provider-id".to_string(),
            format!("kind://docker/{}/{}", settings.name, node.name),
        ),
        ("node-labels".to_string(), joined(&node.labels)),
    ];
    let mut registration = json!({
        "criSocket": "unix:///run/containerd/containerd.sock",
        "kubeletExtraArgs": form.arguments(arguments),
    });
    if settings.is_alone() {
        // Pods run on the only node there is; without the taint there is none to take away later.
        registration["taints"] = json!([]);
    }
    registration
}

fn endpoint(settings: &Settings, place: &Place) -> Value {
    let address = place
        .addresses(settings)
        .into_iter()
        .next()
        .unwrap_or_default();
    json!({ "advertiseAddress": address, "bindPort": PORT })
}

fn init(settings: &Settings, node: &NodeSettings, place: &Place, form: Form) -> Value {
    let mut skipped = vec!["preflight"];
    if settings.proxy_mode == "none" {
        skipped.push("addon/kube-proxy");
    }
    json!({
        "kind": "InitConfiguration",
        "apiVersion": form.api(),
        "bootstrapTokens": [{ "token": TOKEN }],
        "localAPIEndpoint": endpoint(settings, place),
        "nodeRegistration": registration(settings, node, place, form),
        "skipPhases": skipped,
    })
}

fn join(settings: &Settings, node: &NodeSettings, place: &Place, form: Form) -> Value {
    let mut document = json!({
        "kind": "JoinConfiguration",
        "apiVersion": form.api(),
        "nodeRegistration": registration(settings, node, place, form),
        "discovery": {
            "file": { "kubeConfigPath": DISCOVERY },
            "tlsBootstrapToken": TOKEN,
        },
        "skipPhases": ["preflight"],
    });
    if node.role == Role::ControlPlane {
        document["controlPlane"] = json!({ "localAPIEndpoint": endpoint(settings, place) });
    }
    document
}

fn kubelet(settings: &Settings, version: &Version, place: &Place) -> Value {
    let driver = if (version.major, version.minor) < (1, 24) {
        "cgroupfs"
    } else {
        "systemd"
    };
    let mut document = json!({
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "cgroupDriver": driver,
        "cgroupRoot": "/kubelet",
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
        },
    });
    if settings.family == Family::V6 {
        document["address"] = json!("::");
        document["healthzBindAddress"] = json!("::");
    }
    if place.old_cgroups && (version.major, version.minor) >= (1, 35) {
        // From this version on the kubelet refuses to start on such a machine unless it is told to.
        document["failCgroupV1"] = json!(false);
    }
    let mut gates = settings.feature_gates.clone();
    if place.rootless {
        gates.insert("KubeletInUserNamespace".into(), true);
    }
    if !gates.is_empty() {
        document["featureGates"] = json!(gates);
    }
    document
}

fn proxy(settings: &Settings, place: &Place) -> Value {
    let mut conntrack = json!({ "maxPerCore": 0 });
    if settings.proxy_mode == "nftables" && !place.rootless {
        conntrack["tcpBeLiberal"] = json!(true);
    }
    if place.rootless {
        conntrack["tcpEstablishedTimeout"] = json!("0s");
        conntrack["tcpCloseWaitTimeout"] = json!("0s");
    }
    let mut document = json!({
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "mode": settings.proxy_mode,
        "iptables": { "minSyncPeriod": "1s" },
        "conntrack": conntrack,
    });
    if !settings.feature_gates.is_empty() {
        document["featureGates"] = json!(settings.feature_gates);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::spec;
    use super::*;

    fn documents(
        settings: serde_json::Value,
        options: serde_json::Value,
        node: usize,
        version: &str,
    ) -> Vec<Value> {
        let settings = Settings::of(&spec(settings, options));
        let place = Place {
            v4: Some("172.18.0.2".into()),
            v6: Some("fc00::2".into()),
            ..Place::default()
        };
        let version = Version::parse(version).unwrap();
        let text = config(&settings, &settings.nodes[node], &version, &place).unwrap();
        serde_saphyr::from_multiple(&text).unwrap()
    }

    #[test]
    fn one_node_keeps_no_taint_and_speaks_v1beta3() {
        let all = documents(json!({}), json!({}), 0, "1.35.4");
        assert_eq!(all.len(), 5);
        assert_eq!(all[0]["apiVersion"], "kubeadm.k8s.io/v1beta3");
        assert_eq!(all[0]["kubernetesVersion"], "v1.35.4");
        assert_eq!(all[0]["controlPlaneEndpoint"], "dev-control-plane:6443");
        assert_eq!(
            all[0]["apiServer"]["certSANs"],
            json!(["localhost", "127.0.0.1"])
        );
        assert_eq!(all[0]["apiServer"]["extraArgs"]["runtime-config"], "");
        assert_eq!(
            all[0]["controllerManager"]["extraArgs"],
            json!({ "enable-hostpath-provisioner": "true", "kube-api-qps": "100", "kube-api-burst": "200" })
        );
        assert_eq!(all[1]["nodeRegistration"]["taints"], json!([]));
        assert_eq!(
            all[1]["nodeRegistration"]["kubeletExtraArgs"],
            json!({ "node-ip": "172.18.0.2", "provider-id": "kind://docker/dev/dev-control-plane", "node-labels": "" })
        );
        assert_eq!(
            all[2]["controlPlane"]["localAPIEndpoint"]["advertiseAddress"],
            "172.18.0.2"
        );
        assert_eq!(all[4]["mode"], "iptables");
    }

    #[test]
    fn arguments_are_lists_from_1_36_on_and_workers_join_by_the_balancer() {
        let all = documents(
            json!({ "control_planes": 3, "workers": 1 }),
            json!({ "feature_gates": { "A": true }, "ip_family": "dual", "kube_proxy_mode": "none" }),
            3,
            "1.36.1",
        );
        assert_eq!(all.len(), 4);
        assert_eq!(all[0]["apiVersion"], "kubeadm.k8s.io/v1beta4");
        assert_eq!(
            all[0]["apiServer"]["extraArgs"],
            json!([{ "name": "runtime-config", "value": "" }, { "name": "feature-gates", "value": "A=true" }])
        );
        assert_eq!(
            all[0]["networking"]["podSubnet"],
            "10.244.0.0/16,fd00:10:244::/56"
        );
        assert_eq!(
            all[1]["skipPhases"],
            json!(["preflight", "addon/kube-proxy"])
        );
        assert!(all[1]["nodeRegistration"].get("taints").is_none());
        assert!(all[2].get("controlPlane").is_none());
        assert_eq!(
            all[2]["discovery"],
            json!({ "file": { "kubeConfigPath": DISCOVERY }, "tlsBootstrapToken": TOKEN })
        );
        assert_eq!(
            all[2]["nodeRegistration"]["kubeletExtraArgs"][0]["value"],
            "172.18.0.2,fc00::2"
        );
        assert_eq!(all[3]["featureGates"], json!({ "A": true }));
    }

    #[test]
    fn patches_of_the_cluster_come_before_those_of_the_node() {
        let file = json!({
            "nodes": [{ "kubeadmConfigPatches": ["kind: ClusterConfiguration\nclusterName: of-node\n"] }],
            "kubeadmConfigPatches": ["kind: ClusterConfiguration\nclusterName: of-cluster\nx: 1\n", "kind: KubeletConfiguration\nserverTLSBootstrap: true\n"],
        });
        let all = documents(json!({}), json!({ "config": file }), 0, "1.35.4");
        let own = json!({ "kubeadm_patches": ["kind: JoinConfiguration\ndiscovery: {bootstrapToken: {token: a.b}}\n"] });
        let patched = documents(json!({}), own, 0, "1.35.4");
        assert!(patched[2]["discovery"].get("file").is_none());
        assert_eq!(
            (&all[0]["clusterName"], &all[0]["x"]),
            (&json!("of-node"), &json!(1))
        );
        assert_eq!(all[3]["serverTLSBootstrap"], true);
    }
}
