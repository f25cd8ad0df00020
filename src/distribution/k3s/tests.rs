//! Whole containers by value: what a definition and a k3d.yaml come to.

use serde_json::{Value, json};

use super::*;
use crate::axis::{Distribution, Provider};
use crate::spec::{DistributionSpec, Draft, Options, ProviderSpec, Tree, check};

fn spec(options: &Value, settings: &Value) -> Spec {
    let map = |value: &Value| Tree::from_json(value).as_map().unwrap().clone();
    check(&Draft {
        name: "dev".into(),
        distribution: Some(DistributionSpec {
            kind: Distribution::K3s,
            options: map(options),
        }),
        provider: Some(ProviderSpec {
            kind: Provider::Docker,
            options: Options::new(),
        }),
        settings: map(settings),
        ..Draft::default()
    })
    .unwrap()
}

fn given() -> Given {
    Given {
        token: Secret::new("canary"),
        api_port: 6550,
        api_host: "0.0.0.0".into(),
        network: Shared {
            id: "n1".into(),
            range: "172.18.0.0/16".into(),
            gateway: "172.18.0.1".into(),
            is_external: false,
            is_fixed: false,
        },
        has_cgroup2: true,
    }
}

fn command(container: &crate::step::Container) -> String {
    container.command.clone().unwrap().join(" ")
}

fn exposed(container: &crate::step::Container, name: &str) -> Option<String> {
    let value = container.env.get(name)?.as_ref()?;
    Some(value.expose().to_string())
}

/// What ksail adds: without it no pod has an address in the first five seconds.
const REQUESTS: &str = "--kube-controller-manager-arg=kube-api-qps=100 --kube-controller-manager-arg=kube-api-burst=200";

#[test]
fn one_server_is_as_k3d_makes_it() {
    let spec = spec(&json!({}), &json!({ "kubernetes": "1.35.4" }));
    let definition = Definition::of(&spec);
    let server = node(definition, &given(), Member::Server(0));
    assert_eq!(server.name, "k3d-dev-server-0");
    assert_eq!(server.image, "rancher/k3s:v1.35.4-k3s1");
    assert_eq!(
        command(&server),
        format!("server {REQUESTS} --tls-san 0.0.0.0 --tls-san k3d-dev-serverlb")
    );
    assert_eq!(exposed(&server, "K3S_TOKEN").as_deref(), Some("canary"));
    assert_eq!(exposed(&server, "K3S_URL"), None);
    assert!(server.ports.is_empty() && server.privileged);
    let labels: Vec<String> = server
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        labels,
        [
            "app=k3d",
            "k3d.cluster=dev",
            "k3d.cluster.imageVolume=k3d-dev-images",
            "k3d.cluster.network=k3d-dev",
            "k3d.cluster.network.external=false",
            "k3d.cluster.network.id=n1",
            "k3d.cluster.network.iprange=172.18.0.0/16",
            "k3d.cluster.token=canary",
            "k3d.cluster.url=https://k3d-dev-server-0:6443",
            "k3d.role=server",
            "k3d.server.api.host=0.0.0.0",
            "k3d.server.api.hostIP=0.0.0.0",
            "k3d.server.api.port=6550",
            "k3d.server.loadbalancer=k3d-dev-serverlb",
            "k3d.version=v5.9.0",
        ]
    );
    let balancer = load_balancer(definition, &given());
    assert_eq!(balancer.ports.len(), 1);
    assert_eq!(balancer.ports[0].host, Some(6550));
    assert_eq!(
        values(definition, &[Member::Server(0)]).content.expose(),
        "ports:\n  6443.tcp:\n  - k3d-dev-server-0\nsettings:\n  workerConnections: 1024\n"
    );
}

#[test]
fn several_servers_have_etcd_and_join_the_first() {
    let spec = spec(&json!({}), &json!({ "control_planes": 3, "workers": 1 }));
    let definition = Definition::of(&spec);
    let first = node(definition, &given(), Member::Server(0));
    let second = node(definition, &given(), Member::Server(1));
    let agent = node(definition, &given(), Member::Agent(0));
    assert!(command(&first).starts_with(&format!("server {REQUESTS} --cluster-init ")));
    assert!(command(&second).contains(REQUESTS));
    assert_eq!(first.labels["k3d.server.init"], "true");
    assert_eq!(second.labels["k3d.server.init"], "false");
    let url = Some("https://k3d-dev-server-0:6443".to_string());
    assert_eq!(exposed(&second, "K3S_URL"), url);
    assert_eq!(exposed(&agent, "K3S_URL"), url);
    assert_eq!(command(&agent), "agent");
    assert!(!agent.labels.contains_key("k3d.server.api.port"));
}

#[test]
fn a_k3d_file_reaches_the_containers_it_names() {
    let file = json!({
        "servers": 1, "agents": 2, "subnet": "172.28.0.0/16", "image": "rancher/k3s:x",
        "kubeAPI": { "host": "k.example", "hostIP": "127.0.0.1" },
        "volumes": [{ "volume": "/data:/data:ro", "nodeFilters": ["agent:0"] }],
        "env": [{ "envVar": "A=b=c", "nodeFilters": ["agent:1"] }],
        "ports": [{ "port": "8080:80", "nodeFilters": ["loadbalancer"] }, { "port": "9000:9000", "nodeFilters": ["agent:1:direct"] },
                  { "port": "9443:443", "nodeFilters": ["agent:*"] }],
        "files": [{ "source": "a: 1\n", "destination": "k3s-manifests-custom/a.yaml", "nodeFilters": ["server:*"] }],
        "options": {
            "k3s": { "extraArgs": [{ "arg": "--disable=traefik", "nodeFilters": ["server:*"] }], "nodeLabels": [{ "label": "zone=a", "nodeFilters": ["agent:1"] }] },
            "runtime": { "ulimits": [{ "name": "nofile", "soft": 1024, "hard": 4096 }], "agentsMemory": "1g", "labels": [{ "label": "mine=x", "nodeFilters": ["server:0", "loadbalancer"] }] },
            "k3d": { "loadbalancer": { "configOverrides": ["settings.defaultProxyTimeout=900"] } },
        },
    });
    let spec = spec(
        &json!({ "config": file, "args": ["--debug"], "disable": ["servicelb"] }),
        &json!({}),
    );
    assert_eq!((spec.control_planes, spec.workers), (1, 2));
    let definition = Definition::of(&spec);
    let mut given = given();
    given.network.gateway = "172.28.0.1".into();
    given.api_host = "k.example".into();
    let server = node(definition, &given, Member::Server(0));
    let agents = [0, 1].map(|index| node(definition, &given, Member::Agent(index)));
    assert_eq!(
        command(&server),
        format!(
            "server --disable=traefik --debug --disable=servicelb {REQUESTS} --tls-san k.example --tls-san k3d-dev-serverlb"
        )
    );
    assert_eq!(command(&agents[1]), "agent --node-label zone=a");
    assert_eq!(server.image, "rancher/k3s:x");
    assert_eq!(server.labels["mine"], "x");
    let custom = "/var/lib/rancher/k3s/server/manifests/custom/a.yaml";
    assert!(
        server
            .files
            .iter()
            .any(|file| file.path == custom && file.content.expose() == "a: 1\n")
    );
    assert!(!agents[0].files.iter().any(|file| file.path == custom));
    let addresses =
        [&server, &agents[0], &agents[1]].map(|node| node.networks[0].address.clone().unwrap());
    assert_eq!(addresses, ["172.28.128.0", "172.28.128.2", "172.28.128.3"]);
    assert_eq!(agents[0].mounts[0].target, "/data");
    assert_eq!(agents[1].mounts[0].target, "/k3d/images");
    assert_eq!(exposed(&agents[1], "A").as_deref(), Some("b=c"));
    assert_eq!(agents[1].ports[0].host, Some(9000));
    assert_eq!(agents[0].memory, Some(1 << 30));
    let limits: Vec<_> = agents[0]
        .limits
        .iter()
        .map(|limit| (limit.name.as_str(), limit.hard))
        .collect();
    assert_eq!(limits, [("nofile", 4096)]);
    let balancer = load_balancer(definition, &given);
    let hosts: Vec<_> = balancer.ports.iter().map(|port| port.host).collect();
    assert_eq!(hosts, [Some(6550), Some(8080), Some(9443)]);
    let all: Vec<Member> = definition.members().collect();
    assert_eq!(
        values(definition, &all).content.expose(),
        "ports:\n  443.tcp:\n  - k3d-dev-agent-0\n  - k3d-dev-agent-1\n  6443.tcp:\n  - k3d-dev-server-0\n  80.tcp:\n  - k3d-dev-server-0\n  - k3d-dev-agent-0\n  - k3d-dev-agent-1\nsettings:\n  defaultProxyTimeout: 900\n  workerConnections: 1024\n"
    );
}

#[test]
fn what_the_user_says_to_the_controller_manager_stays() {
    let line = |options: &Value| {
        let spec = spec(options, &json!({}));
        command(&node(Definition::of(&spec), &given(), Member::Server(0)))
    };
    let own = line(&json!({ "args": ["--kube-controller-manager-arg=kube-api-qps=5"] }));
    assert!(own.contains("=kube-api-qps=5 --kube-controller-manager-arg=kube-api-burst=200 "));
    // Arguments of the command line would take the place of those in a configuration file.
    for options in [
        json!({ "args": ["--config", "/mine.yaml"] }),
        json!({ "config": { "volumes": [{ "volume": "/mine:/etc/rancher/k3s" }] } }),
        json!({ "config": { "env": [{ "envVar": "K3S_CONFIG_FILE=/mine.yaml" }] } }),
        json!({ "config": { "files": [{ "source": "a: 1", "destination": "/etc/rancher/k3s/config.yaml.d/a.yaml" }] } }),
    ] {
        assert!(!line(&options).contains("kube-api"), "{options}");
    }
    let other = json!({ "config": { "volumes": [{ "volume": "/mine:/etc/rancher/k3s/registries.yaml" }] } });
    assert!(line(&other).contains(REQUESTS));
}

#[test]
fn ksails_own_options_win_over_the_file() {
    let file = json!({ "servers": 1, "agents": 2, "image": "rancher/k3s:x" });
    let options = json!({ "config": file, "image": "rancher/k3s:y" });
    let spec = spec(&options, &json!({ "workers": 1 }));
    assert_eq!((spec.control_planes, spec.workers), (1, 1));
    assert_eq!(Definition::of(&spec).image(), "rancher/k3s:y");
}

#[test]
fn without_a_load_balancer_the_first_server_publishes() {
    let file = json!({ "options": { "k3d": { "disableLoadbalancer": true } }, "ports": [{ "port": "8080:80", "nodeFilters": ["server:0:direct"] }] });
    let spec = spec(&json!({ "config": file }), &json!({}));
    let server = node(Definition::of(&spec), &given(), Member::Server(0));
    let ports: Vec<_> = server
        .ports
        .iter()
        .map(|port| (port.host, port.container))
        .collect();
    assert_eq!(ports, [(Some(6550), 6443), (Some(8080), 80)]);
    assert_eq!(
        command(&server),
        format!("server {REQUESTS} --tls-san 0.0.0.0")
    );
    assert_eq!(server.labels["k3d.server.loadbalancer"], "");
}

#[test]
fn nodes_learn_of_every_registry() {
    let file = json!({ "registries": {
        "create": { "name": "reg", "hostPort": 5001, "proxy": { "remoteURL": "https://quay.io" } }, "use": ["k3d-other:5000"],
        "config": "mirrors:\n  docker.io:\n    endpoint: [http://mine:1]\n" } });
    let settings = json!({ "mirrors": ["docker.io", "ghcr.io"], "local_registry": "localhost:5055", "registries": ["me:canary@reg.example"] });
    let spec = spec(&json!({ "config": file }), &settings);
    let definition = Definition::of(&spec);
    let text = definition.registries().unwrap();
    let read: Value = serde_saphyr::from_str(text.expose()).unwrap();
    assert_eq!(
        read,
        json!({
            "configs": { "reg.example": { "auth": { "username": "me", "password": "canary" } } },
            "mirrors": {
                "docker.io": { "endpoint": ["http://mine:1"] },
                "ghcr.io": { "endpoint": ["http://dev-ghcr.io:5000", "https://ghcr.io"] },
                "quay.io": { "endpoint": ["http://reg:5000", "https://quay.io"] },
                "reg:5000": { "endpoint": ["http://reg:5000"] },
                "reg:5001": { "endpoint": ["http://reg:5000"] },
                "k3d-other:5000": { "endpoint": ["http://k3d-other:5000"] },
                "localhost:5055": { "endpoint": ["http://dev-local-registry:5000"] },
                "dev-local-registry:5000": { "endpoint": ["http://dev-local-registry:5000"] },
            },
        })
    );
    let made = registry(definition).unwrap();
    assert_eq!(made.labels["k3s.registry.port.external"], "5001");
    assert_eq!(made.ports[0].host, Some(5001));
}

#[test]
fn a_token_never_shows() {
    let file = json!({ "token": "canary" });
    let mut tree = Tree::from_json(&file).as_map().unwrap().clone();
    crate::spec::options::k3d::conceal(&mut tree);
    let mut spec = spec(&json!({}), &json!({}));
    spec.distribution
        .options
        .insert("config".into(), Tree::Map(tree));
    assert_eq!(Definition::of(&spec).token(), Some(Secret::new("canary")));
    assert!(!format!("{spec:?}").contains("canary"));
}
