//! Folders of the host inside nodes, from both ways to write them.

use crate::spec::{Options, Tree};

/// A folder of the host in a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The host's path.
    pub host: String,
    /// The node's path.
    pub container: String,
    /// Whether the node may only read it.
    pub read_only: bool,
    /// `rshared`, `rslave` or neither.
    pub propagation: Option<&'static str>,
    /// Whether SELinux labels are changed.
    pub relabel: bool,
}

/// The `extraMounts` of a node in a kind.yaml.
pub(super) fn of_file(node: &Options) -> Vec<MountPoint> {
    maps(node.get("extraMounts"))
        .filter_map(|map| {
            let text = |key: &str| map.get(key).and_then(Tree::as_text);
            let answer = |key: &str| map.get(key).and_then(Tree::as_bool).unwrap_or(false);
            Some(MountPoint {
                host: text("hostPath")?.to_string(),
                container: text("containerPath")?.to_string(),
                read_only: answer("readOnly"),
                propagation: match text("propagation") {
                    Some("Bidirectional") => Some("rshared"),
                    Some("HostToContainer") => Some("rslave"),
                    _ => None,
                },
                relabel: answer("selinuxRelabel"),
            })
        })
        .collect()
}

/// The option `mounts` of the script.
pub(super) fn of_script(list: Option<&Tree>) -> Vec<MountPoint> {
    maps(list)
        .filter_map(|map| {
            let text = |key: &str| Some(map.get(key)?.as_text()?.to_string());
            Some(MountPoint {
                host: text("host_path")?,
                container: text("container_path")?,
                read_only: map
                    .get("read_only")
                    .and_then(Tree::as_bool)
                    .unwrap_or(false),
                propagation: None,
                relabel: false,
            })
        })
        .collect()
}

fn maps(list: Option<&Tree>) -> impl Iterator<Item = &Options> {
    let list = list.and_then(Tree::as_list).unwrap_or_default();
    list.iter().filter_map(Tree::as_map)
}
