//! `/metrics`: what the server holds, in the format that Prometheus reads.
//!
//! The names are those of the real server, so that dashboards find them; what isn't counted here isn't shown. To add a
//! metric, write a line for it below.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::embedded::server::Server;

/// All metrics.
pub(super) fn text(server: &Server) -> String {
    let mut out = String::new();
    let describe = |out: &mut String, name: &str, help: &str| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
    };
    describe(
        &mut out,
        "apiserver_storage_objects",
        "[STABLE] Number of stored objects by resource.",
    );
    let mut seen = BTreeSet::new();
    for kind in server.registry().all() {
        if !kind.allows("list") || !seen.insert(kind.bucket().to_owned()) {
            continue;
        }
        let count = server.list(&kind, "").objects.len();
        let (group, plural) = (&kind.group, &kind.plural);
        let _ = writeln!(
            out,
            "apiserver_storage_objects{{group=\"{group}\",resource=\"{plural}\"}} {count}"
        );
    }
    describe(
        &mut out,
        "etcd_debugging_mvcc_current_revision",
        "The revision of the store.",
    );
    let revision = server.store().revision();
    let _ = writeln!(out, "etcd_debugging_mvcc_current_revision {revision}");
    describe(
        &mut out,
        "kubernetes_build_info",
        "[ALPHA] The version that this server shows.",
    );
    let version = &server.settings().version;
    let _ = writeln!(out, "kubernetes_build_info{{git_version=\"{version}\"}} 1");
    out
}
