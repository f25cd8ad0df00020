//! Registries beside clusters.

use std::collections::{BTreeMap, BTreeSet};

use ksail::docker::Kept;
use ksail::secret::Secret;
use ksail::step::{Attachment, Container, File, Mount, Port, Source};

use super::stage::Stage;
use crate::home::text;

const IMAGES: &[&str] = &[
    "registry:3",
    "registry.k8s.io/etcd:3.6.10-0",
    "registry.k8s.io/kube-apiserver:v1.35.4",
    "registry.k8s.io/kube-controller-manager:v1.35.4",
    "registry.k8s.io/kube-scheduler:v1.35.4",
    "registry.k8s.io/kwok/kwok:v0.8.0",
];

#[test]
fn a_cluster_has_its_registries_and_takes_them_with_it() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("r");
    let context = format!("kwok-{name}");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{
    distribution: kwok(), provider: docker(), kubernetes: "1.35.4", workers: 1,
    mirrors: ["{name}.example=http://{name}-local-registry:5000"], local_registry: "localhost:5961",
}})"#
    ));
    stage.good(&["run", &script]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    let running = stage.containers(&format!("ksail.dev/cluster={context}"));
    let registries: BTreeSet<String> = running
        .iter()
        .filter_map(|one| one.labels.get("io.ksail.registry").cloned())
        .collect();
    let wanted = ["local-registry", &format!("{name}.example")];
    assert_eq!(registries, wanted.map(|one| format!("{name}-{one}")).into());
    let answer = std::net::TcpStream::connect(("127.0.0.1", 5961));
    assert!(answer.is_ok());
    let env = stage
        .engine(async |engine| engine.expect(&format!("{name}-{name}.example")).await)
        .env;
    assert!(
        env.contains(&format!(
            "REGISTRY_PROXY_REMOTEURL=http://{name}-local-registry:5000"
        )),
        "{env:?}"
    );
    // What another container has stays, even where everything is to go.
    let holder = Container {
        name: format!("{name}-holder"),
        image: "registry:3".into(),
        mounts: vec![Mount {
            source: Source::Volume("local-registry".into()),
            target: "/held".into(),
            read_only: true,
            propagation: None,
        }],
        ..Container::default()
    };
    stage.engine(async |engine| engine.ensure_container(&holder).await.map(|_| ()));
    let all = ["cluster", "delete", &name, "--yes", "--delete-storage"];
    stage.good(&all);
    stage.is_gone(&context);
    let kept = kept(&stage);
    stage.engine(async |engine| engine.remove(&holder.name).await);
    assert!(kept.contains_key("local-registry"), "{kept:?}");
    assert!(!kept.contains_key(&format!("{name}.example")), "{kept:?}");
}

/// The volumes of registries that are there.
fn kept(stage: &Stage) -> BTreeMap<String, Kept> {
    stage.engine(async |engine| engine.volumes("ksail.dev/shared=registry").await)
}

/// What a user of the guarded registries is let in with; it must never show.
const CANARY: &str = "canary-7f3a";
/// The same as registries keep it.
const SECRETS: &str = "me:$2b$10$7mNbSinj4v/dgX48mJyj7OJliHCHTPXJ16u1VIVbOEJ9jqc6x.LvC\n";

/// A registry that wants a password, on the network of the nodes; over TLS if it is given a certificate.
fn guarded(stage: &Stage, name: &str, tls: Option<(String, String)>) {
    let file = |path: &str, text: String| File {
        path: path.into(),
        mode: 0o644,
        content: Secret::new(text),
    };
    let mut files = vec![file("/guard/htpasswd", SECRETS.into())];
    let mut env = vec![
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "live"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "/guard/htpasswd"),
    ];
    if let Some((certificate, key)) = tls {
        env.push(("REGISTRY_HTTP_TLS_CERTIFICATE", "/guard/crt"));
        env.push(("REGISTRY_HTTP_TLS_KEY", "/guard/key"));
        files.extend([file("/guard/crt", certificate), file("/guard/key", key)]);
    }
    let container = Container {
        name: name.into(),
        image: "registry:3".into(),
        env: env
            .into_iter()
            .map(|(key, value)| (key.to_string(), Some(Secret::new(value))))
            .collect(),
        networks: vec![Attachment {
            network: "kind".into(),
            ..Attachment::default()
        }],
        ports: vec![Port {
            container: 5000,
            protocol: "tcp",
            host_address: "127.0.0.1".into(),
            host: None,
        }],
        files,
        ..Container::default()
    };
    stage.engine(async |engine| {
        engine.ensure_container(&container).await?;
        engine.start(name).await
    });
}

/// A certificate for a name, and its key.
fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_string()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn nodes_pull_through_registries_and_passwords_stay_hidden() {
    let Some(mut stage) = Stage::set(&["kindest/node:v1.35.4", "busybox:1.35.0", "registry:3"])
    else {
        return;
    };
    let name = stage.name("p");
    let (open, closed) = (format!("{name}-open"), format!("{name}-closed"));
    let node = format!("{name}-control-plane");
    let (pem, key) = certificate(&closed);
    std::fs::write(stage.path("ca.crt"), &pem).unwrap();
    let ca = stage.path("ca.crt").display().to_string();
    let script = stage.script(&format!(
        r#"let token = env("KSAIL_LIVE_TOKEN");
cluster("{name}", #{{
    distribution: vanilla("1.35.4", #{{ mounts: [#{{ host_path: "{ca}", container_path: "/etc/ssl/certs/live.crt", read_only: true }}] }}),
    provider: docker(),
    local_registry: "localhost:5962",
    mirrors: ["up.example=http://{name}-local-registry:5000", `me:${{token}}@guarded.example=http://{open}:5000`],
    registries: [`me:${{token}}@{closed}:5000`],
}})"#
    ));
    // A cache asks its upstream before it listens, so that this one has to be there.
    let network = ksail::distribution::vanilla::network("kind", Some(0), None);
    stage.engine(async |engine| engine.ensure_network(&network).await);
    guarded(&stage, &open, None);
    guarded(&stage, &closed, Some((pem, key)));
    let mut said = String::new();
    let mut run = |arguments: &[&str]| {
        let mut command = stage.command(env!("CARGO_BIN_EXE_ksail"), arguments);
        let output = command.env("KSAIL_LIVE_TOKEN", CANARY).output().unwrap();
        assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
        said += &text(&output);
    };
    run(&["plan", &script, "--output", "json"]);
    run(&["run", &script]);
    run(&["run", &script]);
    run(&["plan", &script]);
    run(&["cluster", "info", &name, "--output", "json"]);

    // What is pushed into a registry is what nodes get out of it.
    let pushed = |registry: &str, login: bool| {
        let image = format!("{registry}/pulled:1");
        if login {
            let all = ["login", "-u", "me", "-p", CANARY, registry];
            stage.tool("docker", &all)?;
        }
        stage.tool("docker", &["tag", "busybox:1.35.0", &image])?;
        stage.tool("docker", &["push", &image])?;
        stage.tool("docker", &["rmi", &image])
    };
    let port = |name: &str| {
        let port = stage.engine(async |engine| engine.published_port(name, 5000).await);
        format!("localhost:{port}")
    };
    let is_pushed = pushed("localhost:5962", false).is_some()
        && pushed(&port(&open), true).is_some()
        && pushed(&port(&closed), true).is_some();
    let pull = |image: &str| {
        let argv = ["crictl", "pull", image];
        let answer = stage.engine(async |engine| engine.exec(&node, &argv, None).await);
        assert_eq!(answer.status, 0, "{image}: {}", answer.tail());
    };
    if is_pushed {
        pull("localhost:5962/pulled:1");
        pull("up.example/pulled:1");
        pull("guarded.example/pulled:1");
        pull(&format!("{closed}:5000/pulled:1"));
    }
    for one in [&open, &closed] {
        stage.engine(async |engine| engine.remove(one).await);
    }
    // Fewer registries are a change in place, and what nodes knew of the others goes.
    let text = std::fs::read_to_string(&script).unwrap();
    let fewer = text.replace(
        &format!("registries: [`me:${{token}}@{closed}:5000`]"),
        "registries: []",
    );
    let fewer = stage.script(&fewer);
    run(&["run", &fewer]);
    let path = format!("/etc/containerd/certs.d/{closed}:5000/hosts.toml");
    let left = stage.engine(async |engine| engine.get_file(&node, &path).await);
    assert!(left.is_none());
    assert!(!said.contains(CANARY), "{said}");
    let state = stage.path("state").display().to_string();
    let found = std::process::Command::new("grep")
        .args(["-r", CANARY, &state])
        .output()
        .unwrap();
    assert!(
        found.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kind-{name}"));
    // The caches outlive the cluster: that is what they are for.
    assert!(kept(&stage).contains_key("up.example"));
}

#[test]
fn a_running_k3s_cluster_learns_of_registries() {
    let images = [
        "rancher/k3s:v1.35.4-k3s1",
        "ghcr.io/k3d-io/k3d-proxy:5.9.0",
        "registry:2",
        "registry:3",
    ];
    let Some(mut stage) = Stage::set(&images) else {
        return;
    };
    let name = stage.name("q");
    let node = format!("k3d-{name}-server-0");
    let define = |more: &str| {
        stage.script(&format!(
            r#"cluster("{name}", #{{
    distribution: k3s("1.35.4", #{{ config: #{{
        apiVersion: "k3d.io/v1alpha5", kind: "Simple",
        registries: #{{ create: #{{ name: "{name}-made", image: "registry:2", hostPort: "5963" }} }},
    }} }}),
    provider: docker(), {more}
}})"#
        ))
    };
    let script = define("");
    let plan = stage.good(&["plan", &script]);
    assert!(
        plan.contains(&format!("run the registry {name}-made")),
        "{plan}"
    );
    assert!(
        plan.contains(&format!("make the load balancer k3d-{name}-serverlb")),
        "{plan}"
    );
    stage.good(&["run", &script]);
    assert!(std::net::TcpStream::connect(("127.0.0.1", 5963)).is_ok());
    assert!(stage.good(&["run", &script]).contains("nothing to change"));

    let more =
        format!(r#"local_registry: "localhost:5964", registries: ["me:{CANARY}@reg.example"]"#);
    let script = define(&more);
    let said = stage.good(&["run", &script]);
    assert!(!said.contains(CANARY), "{said}");
    let path = "/etc/rancher/k3s/registries.yaml";
    let file = stage.engine(async |engine| engine.get_file(&node, path).await);
    let file = String::from_utf8(file.unwrap()).unwrap();
    assert!(
        file.contains("reg.example") && file.contains("localhost:5964"),
        "{file}"
    );
    assert!(std::net::TcpStream::connect(("127.0.0.1", 5964)).is_ok());
    assert!(stage.good(&["run", &script]).contains("nothing to change"));

    // Back again: the registry beside the cluster goes, the one of the k3d.yaml stays.
    let script = define("");
    stage.good(&["run", &script]);
    assert!(std::net::TcpStream::connect(("127.0.0.1", 5964)).is_err());
    assert!(std::net::TcpStream::connect(("127.0.0.1", 5963)).is_ok());
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("k3d-{name}"));
}
