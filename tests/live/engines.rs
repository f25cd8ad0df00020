//! Engines that a definition names.

use std::process::Output;

use super::stage::Stage;
use crate::home::text;

const IMAGES: &[&str] = &[
    "registry.k8s.io/etcd:3.6.10-0",
    "registry.k8s.io/kube-apiserver:v1.35.4",
    "registry.k8s.io/kube-controller-manager:v1.35.4",
    "registry.k8s.io/kube-scheduler:v1.35.4",
    "registry.k8s.io/kwok/kwok:v0.8.0",
];

/// Runs ksail where the docker command would find no engine.
fn astray(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = stage.command(env!("CARGO_BIN_EXE_ksail"), arguments);
    let absent = stage.path("absent.sock");
    command.env("DOCKER_HOST", format!("unix://{}", absent.display()));
    command.output().unwrap()
}

#[test]
fn a_cluster_is_found_again_on_the_engine_that_its_definition_names() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let host = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".into());
    let name = stage.name("e");
    let context = format!("kwok-{name}");
    let define = |options: &str| {
        stage.script(&format!(
            r#"cluster("{name}", #{{ distribution: kwok(), provider: docker({options}), kubernetes: "1.35.4" }})"#
        ))
    };
    let good = |arguments: &[&str]| {
        let output = astray(&stage, arguments);
        assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
        text(&output)
    };
    let script = define("");
    assert!(text(&astray(&stage, &["run", &script])).contains("E0801"));
    let script = define(&format!(r#"#{{ host: "{host}" }}"#));
    good(&["run", &script]);
    assert!(good(&["run", &script]).contains("nothing to change"));
    let list = good(&["cluster", "list"]);
    assert!(list.contains(&name) && list.contains("Running"), "{list}");
    good(&["cluster", "stop", &name]);
    good(&["cluster", "start", &name]);
    // A definition that names another engine would make the cluster anew.
    let other = define("");
    let plan = good(&["plan", &other]);
    assert!(plan.contains("provider.host"), "{plan}");
    good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&context);
}

#[test]
fn what_another_tool_made_is_known_as_foreign() {
    let Some(mut stage) = Stage::set(&["busybox:1.35.0"]) else {
        return;
    };
    let name = stage.name("f");
    let container = ksail::step::Container {
        name: format!("{name}-control-plane"),
        image: "busybox:1.35.0".into(),
        labels: [
            ("io.x-k8s.kind.cluster".to_string(), name.clone()),
            (
                "io.x-k8s.kind.role".to_string(),
                "control-plane".to_string(),
            ),
        ]
        .into(),
        ..ksail::step::Container::default()
    };
    stage.engine(async |engine| engine.ensure_container(&container).await);
    let output = stage.ksail(&["cluster", "list", "--output", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = all
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == name.as_str());
    assert_eq!(found.unwrap()["foreign"], true, "{all}");
    // Named, it is removed as any other.
    stage.good(&["cluster", "delete", &name, "--yes"]);
    let left = stage.engine(async |engine| engine.inspect(&container.name).await);
    assert!(left.is_none());
}
