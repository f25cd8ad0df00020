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
fn a_cluster_is_found_again_when_the_docker_command_has_turned_elsewhere() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("d");
    let context = format!("kwok-{name}");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4" }})"#
    ));
    stage.good(&["run", &script]);
    let list = text(&astray(&stage, &["cluster", "list"]));
    assert!(list.contains(&name) && list.contains("Running"), "{list}");
    // Another way to the same engine is no other engine.
    let link = stage.path("linked.sock");
    let host = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".into());
    if let Some(socket) = host.strip_prefix("unix://") {
        std::os::unix::fs::symlink(socket, &link).unwrap();
        stage.move_engine(Some(format!("unix://{}", link.display())));
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
        let list = stage.good(&["cluster", "list"]);
        assert_eq!(list.matches(&context).count(), 1, "{list}");
        stage.move_engine(None);
    }
    let output = astray(&stage, &["cluster", "delete", &name, "--yes"]);
    assert!(output.status.success(), "{}", text(&output));
    stage.is_gone(&context);
}

/// Passes connections on to the engine's socket, as an engine on another machine would be reached; gives its address.
fn passage() -> Option<String> {
    let socket = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".into());
    let socket = socket.strip_prefix("unix://")?.to_string();
    // Nothing is sent: the system only says from where it would be.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    probe.connect("192.0.2.1:9").ok()?;
    let listener = std::net::TcpListener::bind((probe.local_addr().ok()?.ip(), 0)).ok()?;
    let address = listener.local_addr().ok()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(engine) = std::os::unix::net::UnixStream::connect(&socket) else {
                return;
            };
            let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
            let (mut from, mut to) = (engine, client);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    Some(format!("tcp://{address}"))
}

#[test]
fn nodes_of_another_machine_are_reached_at_its_address() {
    let Some(mut stage) = Stage::set(&["kindest/node:v1.35.4", "busybox:1.35.0"]) else {
        return;
    };
    let Some(host) = passage() else {
        println!("skipped: this machine has no address but its own loopback");
        return;
    };
    let name = stage.name("x");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: vanilla("1.35.4"), provider: docker(#{{ host: "{host}" }}), import_images: ["busybox:1.35.0"] }})"#
    ));
    let good = |arguments: &[&str]| {
        let output = astray(&stage, arguments);
        assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
        text(&output)
    };
    good(&["run", &script]);
    let info = good(&["cluster", "info", &name, "--output", "json"]);
    let ip = host.trim_start_matches("tcp://").split(':').next().unwrap();
    assert!(info.contains(&format!("https://{ip}:")), "{info}");
    assert!(good(&["run", &script]).contains("nothing to change"));
    good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kind-{name}"));
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
