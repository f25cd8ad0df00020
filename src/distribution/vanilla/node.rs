//! One node, complete: what the script, its kind.yaml and kind's defaults come to.

use std::collections::BTreeMap;

use super::super::{nodes, of};
use super::mount::{self, MountPoint};
use super::settings::{Family, free_or, texts, words};
use crate::facts::Role;
use crate::spec::options::kind;
use crate::spec::{Options, Spec, Tree};

/// A port of a node that the host publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// The node's port.
    pub container: u16,
    /// The host's port; `None` is any free one.
    pub host: Option<u16>,
    /// The host's address.
    pub address: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

/// A JSON patch with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPatch {
    /// The group and version, as `group/version`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The operations, as text.
    pub patch: String,
}

/// One node, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its image.
    pub image: String,
    /// Its labels in Kubernetes.
    pub labels: BTreeMap<String, String>,
    /// What is mounted into it.
    pub mounts: Vec<MountPoint>,
    /// What the host publishes of it, beside the API.
    pub ports: Vec<PortMapping>,
    /// Merge patches of its kubeadm documents.
    pub patches: Vec<String>,
    /// JSON patches of its kubeadm documents.
    pub json_patches: Vec<JsonPatch>,
}

/// All nodes, control planes first.
pub(super) fn all_nodes(spec: &Spec, file: &Options, family: Family) -> Vec<NodeSettings> {
    let own = &spec.distribution.options;
    let listed = kind::roles(file);
    let chosen = of(spec.distribution.kind).image(spec);
    // A version or an image that the script names wins over the file's images.
    let is_chosen = own.contains_key("image") || spec.kubernetes.is_some();
    let empty = Options::new();
    let mut seen: BTreeMap<Role, usize> = BTreeMap::new();
    let mut is_first = true;
    let mut all = Vec::new();
    for node in nodes(spec) {
        let index = seen.entry(node.role).or_default();
        let theirs = listed
            .iter()
            .filter(|(role, _)| *role == node.role)
            .nth(*index)
            .map_or(&empty, |(_, theirs)| *theirs);
        *index += 1;
        let image = theirs
            .get("image")
            .and_then(Tree::as_text)
            .filter(|_| !is_chosen);
        let mut mounts = mount::of_file(theirs);
        mounts.extend(mount::of_script(own.get("mounts")));
        let mut ports = port_mappings(theirs.get("extraPortMappings"), FILE, family);
        if is_first {
            ports.extend(port_mappings(own.get("port_mappings"), SCRIPT, family));
        }
        is_first = false;
        all.push(NodeSettings {
            image: image.map_or_else(|| chosen.clone(), String::from),
            labels: words(theirs.get("labels")),
            mounts,
            ports,
            patches: texts(theirs.get("kubeadmConfigPatches")),
            json_patches: json_patches(theirs),
            name: node.name,
            role: node.role,
        });
    }
    all
}

/// What the keys of a port mapping are called, and the address without a wish.
struct PortKeys {
    container: &'static str,
    host: &'static str,
    address: &'static str,
    open: bool,
}

const FILE: &PortKeys = &PortKeys {
    container: "containerPort",
    host: "hostPort",
    address: "listenAddress",
    open: true,
};
const SCRIPT: &PortKeys = &PortKeys {
    container: "container_port",
    host: "host_port",
    address: "listen_address",
    open: false,
};

fn port_mappings(list: Option<&Tree>, keys: &PortKeys, family: Family) -> Vec<PortMapping> {
    let list = list.and_then(Tree::as_list).unwrap_or_default();
    list.iter()
        .filter_map(Tree::as_map)
        .filter_map(|map| {
            let text = |key: &str| map.get(key).and_then(Tree::as_text);
            let default = match (keys.open, family) {
                (true, Family::V6) => "::",
                (true, _) => "0.0.0.0",
                (false, Family::V6) => "::1",
                (false, _) => "127.0.0.1",
            };
            Some(PortMapping {
                container: u16::try_from(map.get(keys.container)?.as_int()?).ok()?,
                host: map.get(keys.host).and_then(Tree::as_int).and_then(free_or),
                address: text(keys.address).unwrap_or(default).to_string(),
                protocol: match text("protocol").map(str::to_lowercase).as_deref() {
                    Some("udp") => "udp",
                    Some("sctp") => "sctp",
                    _ => "tcp",
                },
            })
        })
        .collect()
}

/// The JSON patches that a file names for a node or for all.
pub(super) fn json_patches(options: &Options) -> Vec<JsonPatch> {
    let list = options
        .get("kubeadmConfigPatchesJSON6902")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    list.iter()
        .filter_map(Tree::as_map)
        .map(|map| {
            let text = |key: &str| map.get(key).and_then(Tree::as_text).unwrap_or_default();
            JsonPatch {
                api_version: format!("{}/{}", text("group"), text("version")),
                kind: text("kind").to_string(),
                patch: text("patch").to_string(),
            }
        })
        .collect()
}
