//! K3s clusters on Docker, judged by kubectl and k3d where they are there.

use futures::TryStreamExt as _;
use serde_json::Value;

use super::restart::Engine;
use super::stage::Stage;

pub(super) const IMAGES: &[&str] = &[
    "rancher/k3s:v1.35.4-k3s1",
    "ghcr.io/k3d-io/k3d-proxy:5.9.0",
    WORKLOAD,
];
const WORKLOAD: &str = "busybox:1.35.0";

/// One cluster; its nodes keep pods however full the disk of the machine is.
fn definition(name: &str) -> String {
    format!(
        r#"let size = param("workers", 0, "agents");
cluster("{name}", #{{ distribution: k3s(#{{ args: ["--kubelet-arg=eviction-hard=memory.available<50Mi"] }}), provider: docker(), kubernetes: "1.35.4", workers: size }})"#
    )
}

fn nodes(stage: &Stage, name: &str) -> Vec<String> {
    let facts = stage.info(name);
    let nodes = facts["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["ready"] == true), "{facts}");
    let name = |node: &Value| node["name"].as_str().unwrap().to_string();
    nodes.iter().map(name).collect()
}

/// Gives an image of the engine to a node, since nothing can be pulled here.
fn load(stage: &Stage, node: &str) {
    stage.engine(async |engine| {
        let archive: Vec<u8> = engine
            .save(&[WORKLOAD])
            .try_fold(Vec::new(), |mut all, part| async move {
                all.extend_from_slice(&part);
                Ok(all)
            })
            .await?;
        let import = ["ctr", "-n", "k8s.io", "images", "import", "-"];
        engine
            .exec(node, &import, Some(&archive))
            .await?
            .success("the import")
    });
}

/// A deployment with a service and a claim, and a pod that reaches it by name.
const WORK: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: web
        image: busybox:1.35.0
        command: [sh, -c, "echo hello > /data/index.html; exec httpd -f -p 8080 -h /data"]
        readinessProbe: { tcpSocket: { port: 8080 } }
        volumeMounts: [{ name: data, mountPath: /data }]
      volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
"#;

#[test]
fn a_cluster_lives_its_whole_life() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("s");
    let context = format!("k3d-{name}");
    let script = stage.script(&definition(&name));
    stage.good(&["run", &script]);
    let server = format!("k3d-{name}-server-0");
    assert_eq!(nodes(&stage, &name), [server.as_str()]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    // Its nodes hold more than its API: what cannot be whole is not saved.
    let file = stage.path("saved.db").display().to_string();
    let said = stage.bad(&["cluster", "snapshot", "save", &name, &file]);
    assert!(said.contains("E0822"), "{said}");
    assert!(!stage.path("saved.db").exists());

    let kubectl = |stage: &Stage, arguments: &[&str]| {
        let all: Vec<&str> = ["--context", &context]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        stage.tool("kubectl", &all)
    };
    load(&stage, &server);
    let work = stage.path("work.yaml");
    std::fs::write(&work, WORK).unwrap();
    let available = [
        "wait",
        "deployment/web",
        "--for=condition=Available",
        "--timeout=180s",
    ];
    if kubectl(&stage, &["apply", "-f", &work.display().to_string()]).is_some() {
        kubectl(&stage, &available);
        let fetch = ["exec", "deployment/web", "--", "wget", "-qO-", "http://web"];
        assert_eq!(kubectl(&stage, &fetch).as_deref(), Some("hello\n"));
        let host = [
            "exec",
            "deployment/web",
            "--",
            "nslookup",
            "host.k3d.internal",
        ];
        kubectl(&stage, &host);
    }

    // An agent comes and goes while the rest runs on.
    let started = |stage: &Stage| stage.engine(async |engine| engine.expect(&server).await);
    let before = started(&stage).started_at;
    stage.good(&["run", &script, "--set", "workers=1"]);
    assert_eq!(nodes(&stage, &name).len(), 2);
    stage.good(&["run", &script]);
    assert_eq!(nodes(&stage, &name), [server.as_str()]);
    stage.good(&["run", &script, "--set", "workers=1"]);
    assert_eq!(started(&stage).started_at, before);

    // One that is taken away by hand is seen and made anew under its old name.
    let agent = format!("k3d-{name}-agent-0");
    stage.engine(async |engine| engine.remove(&agent).await);
    stage.good(&["run", &script, "--set", "workers=1"]);
    assert_eq!(nodes(&stage, &name).len(), 2);

    stage.good(&["cluster", "stop", &name]);
    assert_eq!(stage.info(&name)["state"], "stopped");
    stage.good(&["cluster", "start", &name]);
    assert_eq!(nodes(&stage, &name).len(), 2);
    kubectl(&stage, &available);

    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&context);
    assert!(stage.containers(&format!("k3d.cluster={name}")).is_empty());
    let volumes = stage.engine(async |engine| engine.volumes(&format!("k3d.cluster={name}")).await);
    assert!(volumes.is_empty(), "{volumes:?}");
}

#[test]
fn a_k3d_file_is_honoured_and_its_token_never_shows() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("f");
    let file = r#"
apiVersion: k3d.io/v1alpha5
kind: Simple
agents: 1
token: canary
subnet: 10.213.78.0/24
env: [{ envVar: FOO=bar, nodeFilters: ["agent:0"] }]
files: [{ source: "apiVersion: v1\nkind: Namespace\nmetadata: { name: from-file }\n", destination: k3s-manifests-custom/a.yaml, nodeFilters: ["server:0"] }]
ports: [{ port: "127.0.0.1:18087:80", nodeFilters: [loadbalancer] }]
hostAliases: [{ ip: 192.0.2.7, hostnames: [seven.example] }]
options:
  k3s:
    extraArgs: [{ arg: --disable=local-storage, nodeFilters: ["server:*"] }]
    nodeLabels: [{ label: zone=a, nodeFilters: ["agent:0"] }]
  runtime:
    labels: [{ label: mine=x, nodeFilters: [all] }]
"#;
    std::fs::write(stage.path("k3d.yaml"), file).unwrap();
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: k3s(#{{ config: "k3d.yaml" }}), provider: docker(), kubernetes: "1.35.4" }})"#
    ));
    let said = stage.good(&["run", &script]) + &stage.good(&["plan", &script, "--output", "json"]);
    assert!(!said.contains("canary"), "{said}");
    let agent = format!("k3d-{name}-agent-0");
    let seen = stage.engine(async |engine| engine.expect(&agent).await);
    assert!(seen.env.iter().any(|one| one == "FOO=bar"));
    assert_eq!(seen.labels.get("mine").map(String::as_str), Some("x"));
    let network = format!("k3d-{name}");
    assert_eq!(
        seen.addresses.get(&network).map(String::as_str),
        Some("10.213.78.130")
    );
    let values = stage.engine(async |engine| {
        engine
            .get_file(&format!("k3d-{name}-serverlb"), "/etc/confd/values.yaml")
            .await
    });
    let values = String::from_utf8(values.unwrap()).unwrap();
    let both = format!("80.tcp:\n  - k3d-{name}-server-0\n  - {agent}\n");
    assert!(values.contains(&both), "{values}");
    let jsonpath = "jsonpath={.data.NodeHosts}";
    let hosts = [
        "-n",
        "kube-system",
        "get",
        "configmap",
        "coredns",
        "-o",
        jsonpath,
    ];
    if let Some(hosts) = stage.tool("kubectl", &hosts) {
        assert!(hosts.contains("192.0.2.7 seven.example"), "{hosts}");
        let zone = stage.tool("kubectl", &["get", "nodes", "-l", "zone=a", "-o", "name"]);
        assert_eq!(zone.unwrap().trim(), format!("node/{agent}"));
        let waited = [
            "wait",
            "--for=create",
            "namespace/from-file",
            "--timeout=60s",
        ];
        stage.tool("kubectl", &waited);
    }
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("k3d-{name}"));
}

#[test]
fn a_load_balancer_that_was_removed_or_stopped_comes_back() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("b");
    let script = stage.script(&definition(&name));
    stage.good(&["run", &script]);
    let front = format!("k3d-{name}-serverlb");
    let before = stage.info(&name)["endpoint"].clone();
    for is_removed in [true, false] {
        stage.engine(async |engine| match is_removed {
            true => engine.remove(&front).await,
            false => engine.stop(&front, 0).await,
        });
        let plan = stage.good(&["plan", &script]);
        assert!(
            plan.contains(&front) && !plan.contains("recreate"),
            "{plan}"
        );
        stage.good(&["run", &script]);
        assert_eq!(nodes(&stage, &name).len(), 1);
        assert_eq!(stage.info(&name)["endpoint"], before);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
    }
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("k3d-{name}"));
}

#[test]
fn three_servers_survive_a_stop_and_the_end_of_the_engine() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let engine = Engine::of(&stage);
    let name = stage.name("h");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: k3s(), provider: docker(), kubernetes: "1.35.4", control_planes: 3 }})"#
    ));
    stage.good(&["run", &script]);
    assert_eq!(nodes(&stage, &name).len(), 3);
    stage.good(&["cluster", "stop", &name]);
    stage.good(&["cluster", "start", &name]);
    assert_eq!(nodes(&stage, &name).len(), 3);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    // An engine that was killed brings servers back in any order, and etcd finds each where it was.
    if let Some(mut engine) = engine {
        let where_they_are = |stage: &Stage| -> Vec<_> {
            let server = |index: usize| format!("k3d-{name}-server-{index}");
            let at = |index| stage.engine(async |engine| engine.expect(&server(index)).await);
            (0..3).map(|index| at(index).addresses).collect()
        };
        let before = where_they_are(&stage);
        engine.strike(&stage, "-KILL", || ());
        stage.good(&["cluster", "start", &name]);
        assert_eq!(where_they_are(&stage), before);
        assert_eq!(nodes(&stage, &name).len(), 3);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
    }
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("k3d-{name}"));
}

#[test]
fn a_killed_run_is_brought_to_its_end_by_the_next() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let lines = [
        "network done",
        "server-0 done",
        "the API server",
        "bootstrap done",
    ];
    let with_agent = |name: &str| definition(name).replace("\"workers\", 0", "\"workers\", 1");
    stage.survives_kills("k3d", &lines, with_agent, |stage, name| {
        assert_eq!(nodes(stage, name).len(), 2);
    });
}

#[test]
fn k3d_and_ksail_share_their_clusters() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    if stage.tool("k3d", &["version"]).is_none() {
        return;
    }
    let (ours, theirs) = (stage.name("o"), stage.name("t"));
    let script = stage.script(&definition(&ours));
    stage.good(&["run", &script, "--set", "workers=1"]);
    let k3d = |arguments: &[&str]| stage.tool("k3d", arguments).unwrap();
    let listed = |name: &str| -> Value {
        let all: Value = serde_json::from_str(&k3d(&["cluster", "list", "-o", "json"])).unwrap();
        let all = all.as_array().unwrap().clone();
        all.into_iter()
            .find(|one| one["name"] == *name)
            .unwrap_or_default()
    };
    let ours_there = listed(&ours);
    assert_eq!(ours_there["serversRunning"], 1, "{ours_there}");
    assert_eq!(ours_there["agentsRunning"], 1, "{ours_there}");
    assert!(k3d(&["kubeconfig", "get", &ours]).contains("certificate-authority-data"));
    k3d(&["cluster", "stop", &ours]);
    assert_eq!(stage.info(&ours)["state"], "stopped");
    k3d(&["cluster", "start", &ours]);
    // k3d waits for the servers alone.
    let ready = |name: &str| {
        let context = format!("--context=k3d-{name}");
        let wait = ["wait", "node", "--all", "--for=condition=Ready"];
        let all: Vec<&str> = [context.as_str(), "--timeout=180s"]
            .into_iter()
            .chain(wait)
            .collect();
        stage.tool("kubectl", &all);
    };
    ready(&ours);
    assert_eq!(nodes(&stage, &ours).len(), 2);
    k3d(&["cluster", "delete", &ours]);
    assert!(stage.containers(&format!("k3d.cluster={ours}")).is_empty());

    let image = ["--image", "rancher/k3s:v1.35.4-k3s1"];
    k3d(&["cluster", "create", &theirs, image[0], image[1]]);
    ready(&theirs);
    assert_eq!(nodes(&stage, &theirs).len(), 1);
    stage.good(&["cluster", "stop", &theirs]);
    stage.good(&["cluster", "start", &theirs]);
    assert_eq!(nodes(&stage, &theirs).len(), 1);
    stage.good(&["cluster", "delete", &theirs, "--yes"]);
    assert_eq!(listed(&theirs), Value::Null);
    let networks = stage.engine(async |engine| engine.networks("app=k3d").await);
    assert!(
        !networks.contains_key(&format!("k3d-{theirs}")),
        "{networks:?}"
    );
}

#[test]
fn clusters_share_a_network_that_goes_with_the_last() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let names = ["na", "nb"].map(|short| stage.name(short));
    let [one, two] = &names;
    let network = format!("{one}-net");
    // The provider's certificate authority is the API server's business, and nobody is asked for a login here.
    let authority = rcgen::generate_simple_self_signed(["id.example.com".to_string()]);
    std::fs::write(stage.path("ca.crt"), authority.unwrap().cert.pem()).unwrap();
    let script = stage.script(&format!(
        r#"let make = |name| cluster(name, #{{ distribution: k3s(), provider: docker(#{{ network: "{network}" }}), kubernetes: "1.35.4",
            oidc: #{{ issuer_url: "https://id.example.com", client_id: "k8s", ca_file: "ca.crt" }} }});
[make.call("{one}"), make.call("{two}")]"#
    ));
    stage.good(&["run", &script]);
    for name in &names {
        assert_eq!(nodes(&stage, name).len(), 1);
    }
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    // One that is switched off still needs it.
    stage.good(&["cluster", "stop", two]);
    stage.good(&["cluster", "delete", one, "--yes"]);
    stage.good(&["cluster", "start", two]);
    assert_eq!(nodes(&stage, two).len(), 1);
    stage.good(&["cluster", "delete", two, "--yes"]);
    let left = stage.engine(async |engine| engine.network_id(&network).await);
    assert_eq!(left, None);
}
