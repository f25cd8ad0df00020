//! What has to hold within a kind.yaml whose fields are right by themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::roles;
use crate::diag::codes::model::{BAD_VALUE, CONTRADICTION};
use crate::error::Error;
use crate::facts::Role;
use crate::spec::document;
use crate::spec::tree::{Options, Tree};

/// What has to hold between the fields of a file whose fields are right by themselves.
pub(in crate::spec::options) fn check(file: &Options) -> Vec<Error> {
    let mut problems = Vec::new();
    let nodes = roles(file);
    if !nodes.is_empty() && nodes.iter().all(|(role, _)| *role == Role::Worker) {
        problems.push(
            Error::new(
                &CONTRADICTION,
                "the nodes are all workers, and a cluster wants a control plane",
            )
            .help("add `- role: control-plane`")
            .field("nodes"),
        );
    }
    let mut taken = BTreeMap::new();
    for (index, (_, node)) in nodes.iter().enumerate() {
        let path = format!("nodes[{index}]");
        ports(node, &path, &mut taken, &mut problems);
        yaml_patches(node, "kubeadmConfigPatches", &path, &mut problems);
        json_patches(node, &path, &mut problems);
    }
    yaml_patches(file, "kubeadmConfigPatches", "", &mut problems);
    json_patches(file, "", &mut problems);
    toml_patches(file, "containerdConfigPatches", &mut problems);
    for (index, text) in texts(file, "containerdConfigPatchesJSON6902") {
        let path = format!("containerdConfigPatchesJSON6902[{index}]");
        problems.extend(json_patch(text).err().map(|problem| problem.field(path)));
    }
    if let Some(networking) = file.get("networking").and_then(Tree::as_map) {
        check_networking(networking, &mut problems);
    }
    problems
}

/// Ports of the host that two mappings want; `0` and `-1` are chosen free of each other.
fn ports(
    node: &Options,
    path: &str,
    taken: &mut BTreeMap<(i64, String), String>,
    problems: &mut Vec<Error>,
) {
    let mappings = node
        .get("extraPortMappings")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    for (index, mapping) in mappings.iter().enumerate() {
        let Some(mapping) = mapping.as_map() else {
            continue;
        };
        let path = format!("{path}.extraPortMappings[{index}]");
        let text = |key: &str, default: &str| {
            mapping
                .get(key)
                .and_then(Tree::as_text)
                .unwrap_or(default)
                .to_string()
        };
        let address = text("listenAddress", "0.0.0.0");
        if address.parse::<IpAddr>().is_err() {
            problems.push(no_address(&address).field(format!("{path}.listenAddress")));
        }
        let port = mapping.get("hostPort").and_then(Tree::as_int).unwrap_or(0);
        if port <= 0 {
            continue;
        }
        let key = (port, text("protocol", "TCP").to_lowercase());
        if let Some(other) = taken.insert(key, path.clone()) {
            let message =
                format!("the host's port {port} is wanted twice, by `{other}` and `{path}`");
            problems.push(
                Error::new(&CONTRADICTION, message)
                    .help("give one of them another `hostPort`")
                    .field(format!("{path}.hostPort")),
            );
        }
    }
}

fn no_address(text: &str) -> Error {
    Error::new(&BAD_VALUE, format!("{text:?} is no address"))
        .help("use an address such as \"127.0.0.1\"")
}

fn texts<'a>(options: &'a Options, key: &str) -> Vec<(usize, &'a str)> {
    let list = options.get(key).and_then(Tree::as_list).unwrap_or_default();
    list.iter()
        .enumerate()
        .filter_map(|(index, text)| Some((index, text.as_text()?)))
        .collect()
}

/// The patches among the script's own options.
pub(in crate::spec::options) fn patches(options: &Options) -> Vec<Error> {
    let mut problems = Vec::new();
    yaml_patches(options, "kubeadm_patches", "", &mut problems);
    toml_patches(options, "containerd_patches", &mut problems);
    problems
}

fn yaml_patches(options: &Options, key: &str, path: &str, problems: &mut Vec<Error>) {
    let dot = if path.is_empty() { "" } else { "." };
    for (index, text) in texts(options, key) {
        let path = format!("{path}{dot}{key}[{index}]");
        match document::values(text) {
            Err(cause) => problems.push(
                Error::new(&BAD_VALUE, "the patch is no YAML")
                    .because(cause)
                    .field(path),
            ),
            Ok(documents) => {
                let has_kind = |document: &serde_json::Value| {
                    document
                        .get("kind")
                        .is_some_and(serde_json::Value::is_string)
                };
                if !documents.iter().all(has_kind) {
                    problems.push(
                        Error::new(&BAD_VALUE, "the patch does not say which kind it is for")
                            .help("add a line such as `kind: ClusterConfiguration`")
                            .field(path),
                    );
                }
            }
        }
    }
}

fn json_patches(options: &Options, path: &str, problems: &mut Vec<Error>) {
    let dot = if path.is_empty() { "" } else { "." };
    let list = options
        .get("kubeadmConfigPatchesJSON6902")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    for (index, entry) in list.iter().enumerate() {
        let text = entry
            .as_map()
            .and_then(|map| map.get("patch")?.as_text())
            .unwrap_or_default();
        let path = format!("{path}{dot}kubeadmConfigPatchesJSON6902[{index}].patch");
        problems.extend(json_patch(text).err().map(|problem| problem.field(path)));
    }
}

/// Reads the operations of a JSON patch, which may be written as YAML.
pub fn json_patch(text: &str) -> Result<json_patch::Patch, Error> {
    serde_saphyr::from_str(text).map_err(|cause| {
        Error::new(&BAD_VALUE, "this is no JSON patch")
            .because(cause)
            .help("write a list of operations, such as `- {op: add, path: /a, value: b}`")
    })
}

fn toml_patches(options: &Options, key: &str, problems: &mut Vec<Error>) {
    for (index, text) in texts(options, key) {
        if let Err(cause) = toml::from_str::<toml::Table>(text) {
            problems.push(
                Error::new(&BAD_VALUE, "the patch is no TOML")
                    .because(cause)
                    .field(format!("{key}[{index}]")),
            );
        }
    }
}

fn check_networking(networking: &Options, problems: &mut Vec<Error>) {
    let text = |key: &str| networking.get(key).and_then(Tree::as_text);
    if let Some(address) = text("apiServerAddress")
        && address.parse::<IpAddr>().is_err()
    {
        problems.push(no_address(address).field("networking.apiServerAddress"));
    }
    let family = text("ipFamily").unwrap_or("ipv4");
    for key in ["podSubnet", "serviceSubnet"] {
        if let Some(subnet) = text(key)
            && let Err(problem) = subnets(subnet, family)
        {
            problems.push(problem.field(format!("networking.{key}")));
        }
    }
}

/// Holds a subnet, or two separated by a comma, against the address family.
pub fn subnets(text: &str, family: &str) -> Result<(), Error> {
    let versions: Option<Vec<bool>> = text
        .split(',')
        .map(|part| {
            let (address, bits) = part.trim().split_once('/')?;
            let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
            let is_right = bits <= if address.is_ipv4() { 32 } else { 128 };
            is_right.then_some(address.is_ipv4())
        })
        .collect();
    let fits = match (versions.as_deref(), family) {
        (Some([true]), "ipv4") | (Some([false]), "ipv6") => true,
        (Some([first, second]), "dual") => first != second,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let help = match family {
        "dual" => "use two ranges, such as \"10.244.0.0/16,fd00:10:244::/56\"",
        "ipv6" => "use an IPv6 range, such as \"fd00:10:244::/56\"",
        _ => "use an IPv4 range, such as \"10.244.0.0/16\"",
    };
    Err(Error::new(
        &CONTRADICTION,
        format!("{text:?} does not fit the address family {family}"),
    )
    .help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: serde_json::Value) -> Vec<String> {
        crate::spec::options::problems(super::super::CLUSTER, check, &json)
    }

    #[test]
    fn takes_a_full_file() {
        let file = serde_json::json!({
            "kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": "dev",
            "nodes": [
                { "role": "control-plane", "extraPortMappings": [{ "containerPort": 80, "hostPort": 8080, "protocol": "TCP" }] },
                { "role": "worker", "labels": { "zone": "a" }, "extraMounts": [{ "hostPath": "/a", "containerPath": "/b", "readOnly": true, "propagation": "Bidirectional" }] },
            ],
            "networking": { "ipFamily": "dual", "podSubnet": "10.1.0.0/16,fd00::/56", "apiServerPort": 6443, "kubeProxyMode": "nftables", "dnsSearch": ["a.b"] },
            "featureGates": { "X": true }, "runtimeConfig": { "api/alpha": "false", "api/beta": true },
            "kubeadmConfigPatches": ["kind: ClusterConfiguration\nclusterName: x\n---\nkind: InitConfiguration\n"],
            "kubeadmConfigPatchesJSON6902": [{ "group": "kubeadm.k8s.io", "version": "v1beta3", "kind": "ClusterConfiguration", "patch": "- op: add\n  path: /a\n  value: 1\n" }],
            "containerdConfigPatches": ["[plugins.x]\n  a = 1\n"],
        });
        assert_eq!(problems(file), Vec::<String>::new());
    }

    #[test]
    fn names_what_cannot_hold_together() {
        assert_eq!(
            problems(serde_json::json!({ "nodes": [{ "role": "worker" }] })),
            ["E0209 nodes"]
        );
        let twice = serde_json::json!({ "nodes": [
            { "extraPortMappings": [{ "containerPort": 80, "hostPort": 80 }] },
            { "extraPortMappings": [{ "containerPort": 81, "hostPort": 80 }, { "containerPort": 80, "hostPort": 80, "protocol": "udp" }] },
        ] });
        assert_eq!(
            problems(twice),
            ["E0209 nodes[1].extraPortMappings[0].hostPort"]
        );
        assert_eq!(
            problems(
                serde_json::json!({ "networking": { "ipFamily": "ipv6", "podSubnet": "10.0.0.0/8", "apiServerAddress": "here" } })
            ),
            [
                "E0201 networking.apiServerAddress",
                "E0209 networking.podSubnet"
            ]
        );
        assert_eq!(
            problems(
                serde_json::json!({ "kubeadmConfigPatches": ["clusterName: x"], "containerdConfigPatches": ["a ="], "nodez": [] })
            ),
            [
                "E0203 nodez",
                "E0201 kubeadmConfigPatches[0]",
                "E0201 containerdConfigPatches[0]"
            ]
        );
    }
}
