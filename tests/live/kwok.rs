//! KWOK clusters on Docker, judged by kubectl and kwokctl where they are there.

use super::stage::Stage;

pub(super) const IMAGES: &[&str] = &[
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

fn nodes(stage: &Stage, name: &str) -> usize {
    let facts = stage.info(name);
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
    assert_eq!(stage.info(&name)["state"], "stopped");
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
    let lines = [
        ": create, ",
        "network done",
        "the API server",
        "bootstrap done",
    ];
    stage.survives_kills("kwok", &lines, definition, |stage, name| {
        assert_eq!(nodes(stage, name), 2);
    });
}

#[test]
fn parts_that_are_taken_away_by_hand_are_seen_and_brought_back() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("p");
    let script = stage.script(&definition(&name));
    stage.good(&["run", &script]);
    let part = |component: &str| format!("kwok-{name}-{component}");
    let mended = |stage: &Stage, gone: &str| {
        assert_eq!(stage.info(&name)["missing"][gone], "removed");
        assert!(stage.good(&["plan", &script]).contains(gone));
        stage.good(&["run", &script]);
        assert_eq!(nodes(stage, &name), 2);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
    };
    // The API goes on answering without these two; without the server it does not.
    let (scheduler, controller) = (part("kube-scheduler"), part("kwok-controller"));
    stage.engine(async |engine| {
        engine.stop(&controller, 0).await?;
        engine.remove(&scheduler).await
    });
    assert_eq!(stage.info(&name)["missing"][&controller], "stopped");
    mended(&stage, &scheduler);
    let server = part("kube-apiserver");
    stage.engine(async |engine| engine.remove(&server).await);
    mended(&stage, &server);

    // What the store held is lost with it: that is never mended without consent.
    let store = part("etcd");
    stage.engine(async |engine| engine.remove(&store).await);
    assert!(stage.bad(&["run", &script]).contains("wants consent"));
    stage.good(&["run", &script, "--yes"]);
    assert_eq!(nodes(&stage, &name), 2);
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kwok-{name}"));
}

#[test]
fn what_a_cluster_holds_is_saved_put_back_and_forked() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let (name, other) = (stage.name("s"), stage.name("u"));
    let script = stage.script(&definition(&name));
    stage.good(&["run", &script]);
    let map = |stage: &Stage, name: &str, verb: &[&str]| {
        let context = format!("kwok-{name}");
        let mut command = stage.command("kubectl", &["--context", &context]);
        command.args(verb).args(["configmap", "mine"]).output().ok()
    };
    let is_there = |stage: &Stage, name: &str| {
        map(stage, name, &["get"]).is_none_or(|output| output.status.success())
    };
    map(&stage, &name, &["create"]);
    let file = stage.path("saved.db").display().to_string();
    let save = ["cluster", "snapshot", "save", &name, &file];
    stage.good(&save);
    assert!(stage.bad(&save).contains("E0823"));
    map(&stage, &name, &["delete"]);
    let restore = |file: &str| {
        vec!["cluster", "snapshot", "restore", &name, "--yes", file]
            .into_iter()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    // What is no snapshot changes nothing.
    let arguments = restore(&script);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert!(stage.bad(&arguments).contains("E0823"));
    assert_eq!(nodes(&stage, &name), 2);
    let arguments = restore(&file);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    stage.good(&arguments);
    assert!(is_there(&stage, &name));
    assert_eq!(nodes(&stage, &name), 2);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));

    stage.good(&["cluster", "fork", &name, &other]);
    assert!(is_there(&stage, &other));
    assert_eq!(nodes(&stage, &other), 2);
    map(&stage, &other, &["delete"]);
    assert!(is_there(&stage, &name));
    let forked = stage.script(&definition(&other));
    assert!(stage.good(&["run", &forked]).contains("nothing to change"));
    for name in [&name, &other] {
        stage.good(&["cluster", "delete", name, "--yes"]);
        stage.is_gone(&format!("kwok-{name}"));
    }
}

#[test]
fn stages_of_the_users_drive_the_kinds_that_they_name() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("g");
    let stages = r#"
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: pods-fail }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
    - { key: '.status.phase', operator: NotIn, values: ["Failed"] }
  next: { statusTemplate: "phase: Failed\nreason: AsAsked" }
"#;
    std::fs::write(stage.path("stages.yaml"), stages).unwrap();
    let define = |file: &str| {
        stage.script(&format!(
            r#"cluster("{name}", #{{ distribution: kwok(#{{ config: "{file}" }}), provider: docker(), kubernetes: "1.35.4" }})"#
        ))
    };
    std::fs::write(
        stage.path("other.yaml"),
        "{ kind: Metric, metadata: { name: x } }",
    )
    .unwrap();
    let said = stage.bad(&["run", &define("other.yaml")]);
    assert!(
        said.contains("only a Stage of kwok.x-k8s.io is read"),
        "{said}"
    );
    let script = define("stages.yaml");
    stage.good(&["run", &script]);
    // Nodes go on as KWOK's own stages have it.
    assert_eq!(nodes(&stage, &name), 1);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    let context = format!("kwok-{name}");
    let kubectl = |arguments: &[&str]| {
        stage.tool(
            "kubectl",
            &[&["--context", context.as_str()], arguments].concat(),
        )
    };
    kubectl(&["run", "one", "--image=busybox"]);
    kubectl(&[
        "wait",
        "pod/one",
        "--for=jsonpath={.status.reason}=AsAsked",
        "--timeout=30s",
    ]);
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&context);
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
    assert_eq!(stage.info(&ours)["nodes"].as_array().unwrap().len(), 4);
    let saved = stage.path("snapshot.db").display().to_string();
    kwokctl(&["--name", &ours, "snapshot", "save", "--path", &saved]);
    kwokctl(&["stop", "cluster", "--name", &ours]);
    assert_eq!(stage.info(&ours)["state"], "stopped");
    kwokctl(&["start", "cluster", "--name", &ours, "--wait", "60s"]);
    assert_eq!(stage.info(&ours)["state"], "running");
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
    let facts = stage.info(&theirs);
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
