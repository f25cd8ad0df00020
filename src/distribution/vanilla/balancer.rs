//! The load balancer before several control planes: Envoy, told its targets through files that it watches.

use serde_json::json;

use super::settings::{Family, Settings};

/// The image of the load balancer.
pub const IMAGE: &str = "docker.io/envoyproxy/envoy:v1.36.2";
/// The folder of its files.
pub(super) const FOLDER: &str = "/home/envoy";

/// What the container runs: it begins without targets and is given them later.
pub(super) fn command(cluster: &str, name: &str) -> Vec<String> {
    let source = |kind: &str| json!({ "resource_api_version": "V3", "path_config_source": { "path": format!("{FOLDER}/{kind}.yaml") } });
    let bootstrap = json!({
        "node": { "cluster": cluster, "id": name },
        "dynamic_resources": { "cds_config": source("cds"), "lds_config": source("lds") },
        "admin": {
            "access_log": [{
                "name": "envoy.access_loggers.stdout",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog" },
            }],
            "address": { "socket_address": { "address": "0.0.0.0", "port_value": 10000 } },
        },
    });
    // JSON is YAML, and free of single quotes as long as names are.
    let script = format!(
        "mkdir -p {FOLDER} && echo -en '{bootstrap}' >{FOLDER}/envoy.yaml && \
         for kind in cds lds; do [ -f {FOLDER}/$kind.yaml ] || echo 'resources: []' >{FOLDER}/$kind.yaml; done && \
         while true; do envoy -c {FOLDER}/envoy.yaml && break; sleep 1; done"
    );
    vec!["bash".into(), "-c".into(), script]
}

/// The cluster of targets (`cds.yaml`).
pub(super) fn targets(settings: &Settings) -> String {
    let is_v6 = settings.family == Family::V6;
    let endpoints: Vec<_> = settings
        .control_planes()
        .map(|node| {
            json!({ "endpoint": { "address": { "socket_address": { "address": node.name, "port_value": super::kubeadm::PORT } } } })
        })
        .collect();
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": "kube_apiservers",
        "connect_timeout": "0.25s",
        "type": "STRICT_DNS",
        "lb_policy": "ROUND_ROBIN",
        // Where less than half of its targets are well, Envoy tries them all; here one is well at first, and the others
        // do not even listen.
        "common_lb_config": { "healthy_panic_threshold": { "value": 0 } },
        "dns_lookup_family": if is_v6 { "AUTO" } else { "V4_PREFERRED" },
        "health_checks": [{
            "timeout": "3s", "interval": "2s", "unhealthy_threshold": 2, "healthy_threshold": 1,
            "initial_jitter": "0s", "no_traffic_interval": "3s", "always_log_health_check_failures": true,
            "always_log_health_check_success": false, "event_log_path": "/dev/stdout",
            "http_health_check": { "path": "/healthz" },
            "transport_socket_match_criteria": { "tls_mode": "true" },
        }],
        "transport_socket_matches": [{
            "name": "tls_mode",
            "match": { "tls_mode": "true" },
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                    "common_tls_context": { "validation_context": { "trust_chain_verification": "ACCEPT_UNTRUSTED" } },
                },
            },
        }],
        "load_assignment": {
            "cluster_name": "kube_apiservers",
            "endpoints": [{ "lb_endpoints": endpoints }],
        },
    });
    json!({ "resources": [resource] }).to_string()
}

/// The listener (`lds.yaml`).
pub(super) fn listener(settings: &Settings) -> String {
    let address = if settings.family == Family::V6 {
        "::"
    } else {
        "0.0.0.0"
    };
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "listener_apiserver",
        "address": { "socket_address": { "address": address, "port_value": super::kubeadm::PORT } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "ingress_tcp",
                "cluster": "kube_apiservers",
            },
        }] }],
    });
    json!({ "resources": [resource] }).to_string()
}

/// The command that puts both in place; Envoy notices files that are renamed, and wants the targets first.
pub fn update(settings: &Settings) -> Vec<String> {
    let write = |kind: &str, text: String| {
        format!(
            "printf '%s' '{text}' >{FOLDER}/{kind}.yaml.tmp && chmod 0666 {FOLDER}/{kind}.yaml.tmp && mv {FOLDER}/{kind}.yaml.tmp {FOLDER}/{kind}.yaml"
        )
    };
    let script = format!(
        "mkdir -p {FOLDER} && {} && {}",
        write("cds", targets(settings)),
        write("lds", listener(settings))
    );
    vec!["bash".into(), "-c".into(), script]
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::spec;
    use super::*;

    #[test]
    fn leads_to_every_control_plane() {
        let settings = Settings::of(&spec(json!({ "control_planes": 3 }), json!({})));
        let targets: serde_json::Value = serde_json::from_str(&targets(&settings)).unwrap();
        let endpoints = &targets["resources"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"];
        assert_eq!(endpoints.as_array().unwrap().len(), 3);
        assert_eq!(
            endpoints[2]["endpoint"]["address"]["socket_address"]["address"],
            "dev-control-plane3"
        );
        assert!(!update(&settings)[2].contains("''"));
    }
}
