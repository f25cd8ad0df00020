//! KWOK clusters on Docker, judged by kubectl and kwokctl where they are there.

use serde_json::Value;

use super::stage::Stage;

const IMAGES: &[&str] = &[
    "registry.k8s.io/etcd:3.6.10-0",
    "registry.k8s.io/kube-apiserver:v1.35.4",
    "registry.k8s.io/kube-controller-manager:v1.35.4",
    "registry.k8s.io/kube-scheduler:v1.35.4",
    "registry.k8s.io/kwok/kwok:v0.8.0",
];

fn definition(name: &str) -> String {
    format!(
        r#"let size = param("workers", 2, "nodes");
cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4", workers: size }})"#
    )
}

fn info(stage: &Stage, name: &str) -> Value {
    let output = stage.ksail(&["cluster", "info", name, "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn nodes(stage: &Stage, name: &str) -> usize {
    let facts = info(stage, name);
    let nodes = facts["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["ready"] == true), "{facts}");
    nodes.len()
}

#[test]
fn a_cluster_lives_its_whole_life() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("a");
    let context = format!("kwok-{name}");
    let script = stage.script(&definition(&name));
    stage.good(&["run", &script]);
    assert_eq!(nodes(&stage, &name), 2);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));

    // Whatever runs in it is simulated, and says that it runs.
    let kubectl = |stage: &Stage, arguments: &[&str]| {
        let all: Vec<&str> = ["--context", &context]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        stage.tool("kubectl", &all)
    };
    let wait = [
        "wait",
        "deployment/web",
        "--for=condition=Available",
        "--timeout=30s",
    ];
    if kubectl(
        &stage,
        &[
            "create",
            "deployment",
            "web",
            "--image=nginx",
            "--replicas=3",
        ],
    )
    .is_some()
    {
        kubectl(&stage, &wait);
    }

    stage.good(&["run", &script, "--set", "workers=5"]);
    assert_eq!(nodes(&stage, &name), 5);
    stage.good(&["run", &script]);
    assert_eq!(nodes(&stage, &name), 2);

    stage.good(&["cluster", "stop", &name]);
    assert_eq!(info(&stage, &name)["state"], "stopped");
    stage.good(&["cluster", "start", &name]);
    assert_eq!(nodes(&stage, &name), 2);
    kubectl(&stage, &wait);
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&context);
    assert!(!stage.path("kwok/clusters").join(&name).exists());
}

#[test]
fn a_killed_run_is_brought_to_its_end_by_the_next() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    for (short, line) in [
        ("k1", ": create, "),
        ("k2", "network done"),
        ("k3", "the API server"),
        ("k4", "bootstrap done"),
    ] {
        let name = stage.name(short);
        let script = stage.script(&definition(&name));
        stage.kill_at(&["run", &script], line);
        stage.good(&["run", &script]);
        assert_eq!(nodes(&stage, &name), 2, "{line}");
        assert!(
            stage.good(&["run", &script]).contains("nothing to change"),
            "{line}"
        );
        stage.good(&["cluster", "delete", &name, "--yes"]);
        stage.is_gone(&format!("kwok-{name}"));
    }
}

#[test]
fn kwokctl_and_ksail_share_their_clusters() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    if stage.tool("kwokctl", &["--version"]).is_none() {
        return;
    }
    let (ours, theirs) = (stage.name("o"), stage.name("t"));
    let script = stage.script(&definition(&ours));
    stage.good(&["run", &script]);
    let kwokctl = |arguments: &[&str]| stage.tool("kwokctl", arguments).unwrap();
    assert!(kwokctl(&["get", "clusters"]).contains(&ours));
    kwokctl(&["--name", &ours, "scale", "node", "--replicas", "4"]);
    assert_eq!(info(&stage, &ours)["nodes"].as_array().unwrap().len(), 4);
    let saved = stage.path("snapshot.db").display().to_string();
    kwokctl(&["--name", &ours, "snapshot", "save", "--path", &saved]);
    kwokctl(&["stop", "cluster", "--name", &ours]);
    assert_eq!(info(&stage, &ours)["state"], "stopped");
    kwokctl(&["start", "cluster", "--name", &ours, "--wait", "60s"]);
    assert_eq!(info(&stage, &ours)["state"], "running");
    kwokctl(&["delete", "cluster", "--name", &ours]);
    assert!(
        stage
            .containers(&format!("ksail.dev/cluster=kwok-{ours}"))
            .is_empty()
    );

    let made = stage
        .command(
            "kwokctl",
            &[
                "create",
                "cluster",
                "--name",
                &theirs,
                "--runtime",
                "docker",
                "--wait",
                "60s",
            ],
        )
        .env("KWOK_KUBE_VERSION", "v1.35.4")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", crate::home::text(&made));
    let facts = info(&stage, &theirs);
    assert_eq!(
        (
            &facts["state"],
            &facts["distribution"],
            &facts["kubernetes"]
        ),
        (&"running".into(), &"kwok".into(), &"1.35.4".into())
    );
    stage.good(&["cluster", "stop", &theirs]);
    stage.good(&["cluster", "start", &theirs]);
    stage.good(&["cluster", "delete", &theirs, "--yes"]);
    assert!(
        stage
            .containers(&format!("com.docker.compose.project=kwok-{theirs}"))
            .is_empty()
    );
    assert!(!stage.path("kwok/clusters").join(&theirs).exists());
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let Some(mut stage) = Stage::set(&[IMAGES, &["busybox:1.35.0"]].concat()) else {
        return;
    };
    let name = stage.name("f");
    let foreign = ksail::step::Container {
        name: format!("kwok-{name}-etcd"),
        image: "busybox:1.35.0".into(),
        command: Some(vec!["sleep".into(), "600".into()]),
        labels: [("ksail.dev/shared".to_string(), "live-test".to_string())].into(),
        ..ksail::step::Container::default()
    };
    stage.engine(async |engine| engine.ensure_container(&foreign).await);
    let script = stage.script(&definition(&name));
    let said = stage.bad(&["run", &script]);
    assert!(said.contains("E0814"), "{said}");
    let left = stage.engine(async |engine| engine.inspect(&foreign.name).await);
    assert!(left.is_some());
    stage.engine(async |engine| engine.remove(&foreign.name).await);
    stage.is_gone(&format!("kwok-{name}"));
}

#[test]
fn a_failing_creation_keeps_its_evidence_and_nothing_else() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("e");
    // A version of KWOK whose image is not there and cannot be pulled.
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: kwok(#{{ version: "0.8.9" }}), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    ));
    let said = stage.bad(&["run", &script]);
    assert!(said.contains("E0810") || said.contains("E0809"), "{said}");
    assert!(said.contains("kwok/kwok:v0.8.9"), "{said}");
    stage.is_gone(&format!("kwok-{name}"));
}
