//! Image layers used where they are, instead of copied for each node.
//!
//! A node image holds the layers of the control plane's images below `/var`. kind gives each node a volume there, and the
//! engine copies hundreds of megabytes into it, for every node. Here containerd keeps its own layers in a small volume,
//! and finds those of the image through links: layers never change, and an overlay may have another overlay as its lowest
//! part. All nodes share one copy, on disk and in memory. Where the engine stores images another way, `/var` is a volume.

use crate::secret::Secret;
use crate::step::File;

/// The folders that must not lie in a node's own layer: containerd's layers, and what pods and etcd write.
pub(super) const VOLUMES: &[&str] = &[
    "/var/lib/containerd-layers",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/local-path-provisioner",
    "/var/log",
];

/// What tells containerd where its layers are.
pub const PATCH: &str = "[plugins.\"io.containerd.snapshotter.v1.overlayfs\"]\n  root_path = \"/var/lib/containerd-layers\"\n";

/// Links the image's layers, once, before containerd starts.
const LINK: &str = r"#!/bin/bash
set -euo pipefail
from=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs
to=/var/lib/containerd-layers
[ ! -e $to/metadata.db ] && [ -e $from/metadata.db ] || exit 0
mkdir -p -m 0700 $to/snapshots
ln -s $from/snapshots/* $to/snapshots/
cp $from/metadata.db $to/metadata.db.new
mv $to/metadata.db.new $to/metadata.db
";

/// The files that a node needs for it, before it starts.
pub fn files() -> Vec<File> {
    let file = |path: &str, mode: u32, text: &str| File {
        path: path.into(),
        mode,
        content: Secret::new(text),
    };
    vec![
        file("/kind/link-layers", 0o755, LINK),
        file(
            "/etc/systemd/system/containerd.service.d/20-layers.conf",
            0o644,
            "[Service]\nExecStartPre=/kind/link-layers\n",
        ),
    ]
}

/// Whether an engine that stores images this way lets layers be shared.
pub fn is_layered(storage: &str, rootless: bool) -> bool {
    !rootless && ["overlay2", "overlayfs"].contains(&storage)
}
