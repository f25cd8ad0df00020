//! What runs in a node before k3s: the mends that containers need to be nodes.
//!
//! The scripts have k3d's names, because k3d puts its own in their place when it starts a cluster of ours.

use super::Given;
use crate::secret::Secret;
use crate::step::File;

/// The path of the script that a node begins with.
pub(super) const PATH: &str = "/bin/k3d-entrypoint.sh";

/// Runs every mend, then becomes k3s. A mend that fails ends the node: its log is what the user needs to see.
const BEGIN: &str = r#"#!/bin/sh
set -u
log=/var/log/k3d-entrypoints.log
for mend in /bin/k3d-entrypoint-*.sh; do
  [ -x "$mend" ] || continue
  if ! "$mend" >>"$log" 2>&1; then
    echo "level=fatal msg=\"$mend failed\"" >&2
    tail -n 20 "$log" >&2
    exit 1
  fi
done
exec /bin/k3s "$@"
"#;

/// Moves all processes into a group of their own, because a group with processes hands no controllers on.
const CGROUP: &str = r#"#!/bin/sh
root=/sys/fs/cgroup
[ -f "$root/cgroup.controllers" ] || exit 0
mkdir -p "$root/init" || exit 1
for pid in $(cat "$root/cgroup.procs"); do
  # One that ended meanwhile cannot be moved.
  echo "$pid" >"$root/init/cgroup.procs" 2>/dev/null || true
done
for controller in $(cat "$root/cgroup.controllers"); do
  echo "+$controller" >"$root/cgroup.subtree_control" || true
done
"#;

/// Volumes of pods travel only where the root is shared.
const MOUNTS: &str = r"#!/bin/sh
mount --make-rshared /
";

/// The engine's DNS answers on an address of the node's own loopback, which pods cannot reach: it is moved to the
/// network's gateway, for what the node sends and for what pods send through it.
const DNS: &str = r#"#!/bin/sh
gateway=GATEWAY
grep -q '^nameserver 127\.0\.0\.11' /etc/resolv.conf || exit 0
command -v iptables-save >/dev/null || exit 0
iptables-save \
  | sed -e "s/-d 127\.0\.0\.11/-d $gateway/g" \
        -e "s/--to-source :53/--to-source $gateway:53/g" \
        -e 's/^-A OUTPUT \(.*-j DOCKER_OUTPUT\)$/-A OUTPUT \1\n-A PREROUTING \1/' \
  | iptables-restore || exit 1
# The file is mounted: its content can be replaced, the file itself cannot.
content=$(sed -e "s/^nameserver 127\.0\.0\.11/nameserver $gateway/" /etc/resolv.conf)
printf '%s\n' "$content" >/etc/resolv.conf
"#;

/// The scripts of a node; `keeps_dns` where the user brings a resolv.conf.
pub(super) fn files(given: &Given, keeps_dns: bool) -> Vec<File> {
    let script = |name: &str, content: String| File {
        path: format!("/bin/k3d-entrypoint{name}.sh"),
        mode: 0o744,
        content: Secret::new(content),
    };
    let mut files = vec![script("", BEGIN.into()), script("-mounts", MOUNTS.into())];
    if given.has_cgroup2 {
        files.push(script("-cgroupv2", CGROUP.into()));
    }
    if !keeps_dns && !given.network.gateway.is_empty() {
        files.push(script(
            "-dns",
            DNS.replace("GATEWAY", &given.network.gateway),
        ));
    }
    files
}
