//! Names that pods look up: the hosts file of a k3s cluster's DNS.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::failed;
use crate::error::Result;

/// The key with the hosts file.
const HOSTS: &str = "NodeHosts";

/// Has pods find these names at these addresses; `false` if there is no DNS yet, or if it changed meanwhile.
pub async fn ensure_hosts(client: &Client, wanted: &[(String, Vec<String>)]) -> Result<bool> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), "kube-system");
    let map = api
        .get_opt("coredns")
        .await
        .map_err(|cause| failed("reading the hosts file of the DNS", cause))?;
    let Some(map) = map else {
        return Ok(false);
    };
    let there = map
        .data
        .as_ref()
        .and_then(|data| data.get(HOSTS))
        .map(String::as_str)
        .unwrap_or_default();
    let text = with(there, wanted);
    if text == there {
        return Ok(true);
    }
    let patch = json!({
        "metadata": { "resourceVersion": map.metadata.resource_version },
        "data": { HOSTS: text },
    });
    let answer = api
        .patch("coredns", &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    match answer {
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(false),
        Err(cause) => Err(failed("writing the hosts file of the DNS", cause)),
        Ok(_) => Ok(true),
    }
}

/// A hosts file with these names in it; other lines stay as they are.
fn with(there: &str, wanted: &[(String, Vec<String>)]) -> String {
    let is_named = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        words.any(|name| {
            wanted
                .iter()
                .any(|(_, names)| names.iter().any(|wanted| wanted == name))
        })
    };
    let mut lines: Vec<String> = there
        .lines()
        .filter(|line| !line.trim().is_empty() && !is_named(line))
        .map(String::from)
        .collect();
    lines.extend(
        wanted
            .iter()
            .map(|(address, names)| format!("{address} {}", names.join(" "))),
    );
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn names_are_added_once_and_others_stay() {
        let wanted = [(
            "172.18.0.1".to_string(),
            vec!["host.k3d.internal".to_string()],
        )];
        let once = with("172.18.0.2 k3d-dev-server-0\n", &wanted);
        assert_eq!(
            once,
            "172.18.0.2 k3d-dev-server-0\n172.18.0.1 host.k3d.internal\n"
        );
        assert_eq!(with(&once, &wanted), once);
        let moved = [(
            "172.19.0.1".to_string(),
            vec!["host.k3d.internal".to_string()],
        )];
        assert_eq!(
            with(&once, &moved),
            "172.18.0.2 k3d-dev-server-0\n172.19.0.1 host.k3d.internal\n"
        );
    }
}
