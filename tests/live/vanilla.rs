//! Vanilla clusters on Docker, judged by kubectl and kind where they are there.

use ksail::step::{Attachment, Container};

use super::restart::Engine;
use super::stage::Stage;
use crate::home::text;

const NODE: &str = "kindest/node:v1.35.4";
pub(super) const IMAGES: &[&str] = &[NODE, "busybox:1.35.0"];

/// A web server behind a Service, with a volume that it serves from, and a pod that reaches it by name.
const WORKLOAD: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 8Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: busybox:1.35.0
        imagePullPolicy: Never
        command: [sh, -c, "echo reached >/data/index.html; exec httpd -f -p 8080 -h /data"]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: ask}
spec:
  backoffLimit: 20
  template:
    spec:
      restartPolicy: OnFailure
      containers:
      - name: ask
        image: busybox:1.35.0
        imagePullPolicy: Never
        command: [sh, -c, "wget -q -O - http://web.default.svc.cluster.local | grep reached"]
"#;

fn definition(name: &str, more: &str) -> String {
    format!(
        r#"cluster("{name}", #{{ distribution: vanilla("1.35.4"), provider: docker(), {more} }})"#
    )
}

/// The roles of the nodes, all of which are Ready.
fn roles(stage: &Stage, name: &str) -> Vec<String> {
    let facts = stage.info(name);
    let nodes = facts["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["ready"] == true), "{facts}");
    let roles = nodes.iter().map(|node| node["role"].as_str().unwrap());
    roles.map(String::from).collect()
}

#[test]
fn a_cluster_lives_its_whole_life() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("v");
    let context = format!("kind-{name}");
    let node = format!("{name}-control-plane");
    let script = stage.script(&definition(&name, ""));
    stage.good(&["run", &script]);
    assert_eq!(roles(&stage, &name), ["control-plane"]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));

    // kind's own way of putting an image into a node.
    let workload = stage.path("workload.yaml");
    std::fs::write(&workload, WORKLOAD).unwrap();
    let kubectl = |arguments: &[&str]| {
        let all = [&["--context", context.as_str()], arguments].concat();
        stage.tool("kubectl", &all)
    };
    let archive = stage.path("busybox.tar").display().to_string();
    let is_loaded = stage
        .tool("docker", &["save", "-o", &archive, "busybox:1.35.0"])
        .and_then(|_| {
            stage.tool(
                "kind",
                &["load", "image-archive", &archive, "--name", &name],
            )
        })
        .is_some();
    let judge = |at: &str| {
        if is_loaded {
            kubectl(&[
                "wait",
                "deployment/web",
                "--for=condition=Available",
                "--timeout=120s",
            ]);
            kubectl(&[
                "wait",
                "job/ask",
                "--for=condition=Complete",
                "--timeout=120s",
            ]);
            let phase = kubectl(&["get", "pvc", "data", "-o", "jsonpath={.status.phase}"]);
            assert_eq!(phase.as_deref(), Some("Bound"), "{at}");
        }
    };
    if is_loaded {
        kubectl(&["apply", "-f", &workload.display().to_string()]);
    }
    judge("at first");

    stage.good(&["cluster", "stop", &name]);
    assert_eq!(stage.info(&name)["state"], "stopped");
    stage.good(&["cluster", "start", &name]);
    judge("after a stop");
    assert!(stage.good(&["run", &script]).contains("nothing to change"));

    let volumes = stage.engine(async |engine| engine.inspect_raw(&node).await);
    let volumes: Vec<String> = volumes["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|mount| mount["Name"].as_str().map(String::from))
        .collect();
    assert!(!volumes.is_empty());
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&context);
    let left = stage
        .tool("docker", &["volume", "ls", "-q"])
        .unwrap_or_default();
    assert!(
        volumes.iter().all(|volume| !left.contains(volume)),
        "{left}"
    );
}

#[test]
fn workers_join_and_come_back() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("w");
    let script = stage.script(&definition(&name, "workers: 2"));
    stage.good(&["run", &script]);
    assert_eq!(roles(&stage, &name), ["control-plane", "worker", "worker"]);

    // A node that was removed by hand is seen and made anew.
    let worker = format!("{name}-worker2");
    stage.engine(async |engine| engine.remove(&worker).await);
    assert!(stage.good(&["plan", &script]).contains("workers"));
    stage.good(&["run", &script, "--yes"]);
    assert_eq!(roles(&stage, &name).len(), 3);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kind-{name}"));
}

#[test]
fn three_control_planes_stand_behind_a_load_balancer() {
    let Some(mut stage) = Stage::set(&[IMAGES, &["envoyproxy/envoy:v1.36.2"]].concat()) else {
        return;
    };
    let engine = Engine::of(&stage);
    let name = stage.name("h");
    let script = stage.script(&definition(&name, "control_planes: 3"));
    stage.good(&["run", &script]);
    assert_eq!(roles(&stage, &name), ["control-plane"; 3]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    // An engine that was killed gives every node another address, and they find each other again; also those of a cluster
    // that nobody wrote down anything for.
    if let Some(mut engine) = engine {
        for at in ["", "2", "3"] {
            let node = format!("{name}-control-plane{at}");
            let forget = ["rm", "/kind/ksail-peer"];
            let done = stage.engine(async |engine| engine.exec(&node, &forget, None).await);
            assert!(done.success("forgetting").is_ok());
        }
        engine.strike(&stage, "-KILL", || ());
        stage.good(&["run", &script]);
        assert_eq!(roles(&stage, &name), ["control-plane"; 3]);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
    }
    // A load balancer that was removed by hand is put back where it was, and nothing else is touched.
    let front = format!("{name}-external-load-balancer");
    let kubeconfig = || std::fs::read_to_string(stage.path("kubeconfig")).unwrap();
    let led_to = kubeconfig();
    stage.engine(async |engine| engine.remove(&front).await);
    let plan = stage.good(&["plan", &script]);
    assert!(
        plan.contains(&front) && !plan.contains("recreate"),
        "{plan}"
    );
    stage.good(&["run", &script]);
    assert_eq!(kubeconfig(), led_to);
    assert_eq!(roles(&stage, &name), ["control-plane"; 3]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "stop", &name]);
    // Somebody else takes the lowest address meanwhile, so that every node comes back with another.
    let squatter = Container {
        name: format!("{name}-squatter"),
        image: "busybox:1.35.0".into(),
        command: Some(vec!["sleep".into(), "3600".into()]),
        networks: vec![Attachment {
            network: "kind".into(),
            ..Attachment::default()
        }],
        ..Container::default()
    };
    stage.engine(async |engine| {
        engine.ensure_container(&squatter).await?;
        engine.start(&squatter.name).await
    });
    let output = stage.ksail(&["cluster", "start", &name]);
    stage.engine(async |engine| engine.remove(&squatter.name).await);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(roles(&stage, &name), ["control-plane"; 3]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kind-{name}"));
}

#[test]
fn a_killed_run_is_brought_to_its_end_by_the_next() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let lines = [
        "network done",
        "-control-plane done",
        "Checking kube-apiserver",
        "bootstrap done",
    ];
    let alone = |name: &str| definition(name, "");
    stage.survives_kills("kind", &lines, alone, |stage, name| {
        assert_eq!(roles(stage, name), ["control-plane"]);
    });
}

#[test]
fn kind_and_ksail_share_their_clusters() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    if stage.tool("kind", &["version"]).is_none() {
        return;
    }
    let (ours, theirs) = (stage.name("o"), stage.name("t"));
    let script = stage.script(&definition(&ours, ""));
    stage.good(&["run", &script]);
    assert_eq!(stage.info(&ours)["foreign"], false);
    let kind = |arguments: &[&str]| stage.tool("kind", arguments).unwrap();
    assert!(kind(&["get", "clusters"]).contains(&ours));
    assert!(kind(&["get", "nodes", "--name", &ours]).contains("-control-plane"));
    let config = kind(&["get", "kubeconfig", "--name", &ours]);
    let path = stage.path("of-kind").display().to_string();
    std::fs::write(&path, config).unwrap();
    stage.tool("kubectl", &["--kubeconfig", &path, "get", "nodes"]);
    kind(&["delete", "cluster", "--name", &ours]);
    stage.engine(async |engine| {
        assert!(
            engine
                .inspect(&format!("{ours}-control-plane"))
                .await?
                .is_none()
        );
        Ok(())
    });

    kind(&[
        "create", "cluster", "--name", &theirs, "--image", NODE, "--wait", "120s",
    ]);
    let facts = stage.info(&theirs);
    assert_eq!(facts["foreign"], true);
    assert_eq!(
        (
            &facts["state"],
            &facts["distribution"],
            &facts["kubernetes"]
        ),
        (&"running".into(), &"vanilla".into(), &"1.35.4".into())
    );
    // What kind made is used and removed by name, and never taken over by a definition.
    let script = stage.script(&definition(&theirs, "workers: 1"));
    assert!(
        stage
            .bad(&["run", &script])
            .contains("does not belong to this cluster")
    );
    stage.good(&["cluster", "stop", &theirs]);
    stage.good(&["cluster", "start", &theirs]);
    stage.good(&["cluster", "delete", &theirs, "--yes"]);
    assert!(!kind(&["get", "clusters"]).contains(&theirs));
}

#[test]
fn nodes_speak_ipv6_and_join_the_network_that_the_user_names() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("s");
    let network = format!("{name}-net");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: vanilla(#{{ ip_family: "ipv6" }}), provider: docker(#{{ network: "{network}" }}), kubernetes: "1.35.4" }})"#
    ));
    let output = stage.ksail(&["run", &script]);
    if text(&output).contains("E0841") {
        println!("skipped: the engine gives no IPv6 addresses");
        return;
    }
    assert!(output.status.success(), "{}", text(&output));
    let seen = stage.engine(async |engine| engine.expect(&format!("{name}-control-plane")).await);
    assert!(seen.addresses6.contains_key(&network), "{seen:?}");
    let context = format!("--context=kind-{name}");
    let path = "jsonpath={.items[*].status.addresses[?(@.type=='InternalIP')].address}";
    if let Some(address) = stage.tool("kubectl", &[&context, "get", "nodes", "-o", path]) {
        assert!(address.parse::<std::net::Ipv6Addr>().is_ok(), "{address}");
    }
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "stop", &name]);
    stage.good(&["cluster", "start", &name]);
    assert_eq!(roles(&stage, &name), ["control-plane"]);
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kind-{name}"));
    let left = stage.engine(async |engine| engine.network_id(&network).await);
    assert_eq!(left, None);
}
