//! An engine that refuses, falls silent or dies while a cluster is made: a proxy before its socket plays it.

use super::proxy::{Fault, Proxy};
use super::stage::Stage;

const KWOK: &[&str] = &[
    "registry.k8s.io/etcd:3.6.10-0",
    "registry.k8s.io/kube-apiserver:v1.35.4",
    "registry.k8s.io/kube-controller-manager:v1.35.4",
    "registry.k8s.io/kube-scheduler:v1.35.4",
    "registry.k8s.io/kwok/kwok:v0.8.0",
    "busybox:1.35.0",
];
fn definition(name: &str) -> String {
    format!(
        r#"cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    )
}

#[test]
fn what_the_engine_refuses_is_told_and_nothing_is_left() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("x");
    let script = stage.script(&definition(&name));
    // It has no label of ksail's, and a name like one of the cluster's.
    let bystander = format!("kwok-{name}-bystander");
    stage.tool(
        "docker",
        &["create", "--name", &bystander, "busybox:1.35.0", "true"],
    );
    let create = ["POST", "/containers/create", "kube-scheduler"];
    let start = ["POST", "-etcd/start", "HTTP"];
    let network = ["POST", "/networks/create", "HTTP"];
    for (words, status, answer, code) in [
        (create, 500, "write /x: no space left on device", "E0812"),
        (create, 500, "something broke", "E0807"),
        (create, 400, "invalid mount config", "E0808"),
        (
            create,
            409,
            "Conflict. The container name \"/x\" is already in use by container \"1\"",
            "E0814",
        ),
        (start, 404, "No such container: x", "E0819"),
        (start, 500, "operation not permitted", "E0820"),
        (network, 429, "too many requests", "E0807"),
        (
            network,
            500,
            "could not find an available, non-overlapping IPv4 address pool",
            "E0813",
        ),
    ] {
        proxy.fail(&words, 0, usize::MAX, Fault::Answer(status, answer));
        let said = stage.bad(&["run", &script]);
        assert!(said.contains(code), "{status} {answer}\n{said}");
        assert!(said.contains("cluster.rhai:1:"), "{said}");
        assert!(proxy.heal() > 0);
        stage.is_gone(&format!("kwok-{name}"));
        assert!(!stage.path("kwok/clusters").join(&name).exists());
    }
    let left = stage.engine(async |engine| engine.inspect(&bystander).await);
    stage.engine(async |engine| engine.remove(&bystander).await);
    assert!(left.is_some() || stage.tool("docker", &["--version"]).is_none());
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("y");
    let script = stage.script(&definition(&name));
    let busy = Fault::Answer(429, "too many requests");
    let broken = Fault::Answer(503, "not now");
    proxy.fail(&["POST", "/networks/create"], 0, 1, busy);
    proxy.fail(&["POST", "-etcd/start"], 0, 1, broken);
    // The engine makes the container, and its answer gets lost on the way.
    let created = ["POST", "/containers/create", "kube-controller-manager"];
    proxy.fail(&created, 0, 1, Fault::Silence);
    stage.good(&["run", &script]);
    assert_eq!(proxy.heal(), 3);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kwok-{name}"));
}

#[test]
fn an_engine_that_dies_in_the_middle_is_told_and_the_next_run_goes_on() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("z");
    let script = stage.script(&definition(&name));
    for words in [
        ["POST", "/networks/create"],
        ["POST", "/containers/create"],
        ["POST", "-kube-apiserver/start"],
        ["POST", "-kwok-controller/start"],
    ] {
        proxy.fail(&words, 0, 1, Fault::Death);
        let said = stage.bad(&["run", &script]);
        assert!(said.contains("E0806") || said.contains("E0801"), "{said}");
        assert!(said.contains("run again"), "{said}");
        assert_eq!(proxy.heal(), 1, "{words:?}\n{said}");
        stage.good(&["run", &script]);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
        stage.good(&["cluster", "delete", &name, "--yes"]);
        stage.is_gone(&format!("kwok-{name}"));
    }
}

/// The folder of evidence that an error names.
fn evidence(stage: &Stage, said: &str) -> std::path::PathBuf {
    let runs = stage.path("state/runs");
    let mut all = std::fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let named = all.find(|path| said.contains(&path.display().to_string()));
    named.unwrap_or_else(|| panic!("no folder is named:\n{said}"))
}

fn holds(folder: &std::path::Path, file: &str, words: &str) {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    assert!(text.contains(words), "{file} lacks {words:?}:\n{text}");
}

#[test]
fn a_failing_creation_keeps_what_its_containers_said() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("v");
    let script = stage.script(&definition(&name));
    let broken = Fault::Answer(500, "operation not permitted");
    proxy.fail(&["POST", "-kwok-controller/start"], 0, usize::MAX, broken);
    let said = stage.bad(&["run", &script]);
    proxy.heal();
    stage.is_gone(&format!("kwok-{name}"));
    let folder = evidence(&stage, &said);
    let part = |component: &str, end: &str| format!("kwok-{name}-{component}.{end}");
    holds(&folder, "problem.txt", "operation not permitted");
    holds(&folder, &part("etcd", "log"), "\"level\":\"info\"");
    holds(&folder, &part("kube-apiserver", "log"), "secure_serving");
    holds(
        &folder,
        &part("kube-apiserver", "json"),
        "\"Running\": true",
    );
    holds(&folder, &part("kwok-controller", "json"), "\"created\"");
    let started = format!("start {}", part("etcd", "").trim_end_matches('.'));
    holds(&folder, "engine-events.txt", &started);
    holds(&folder, "nodes.json", "NodeList");
}

#[test]
fn a_failing_node_leaves_the_journals_of_what_runs_in_it() {
    let Some(mut stage) = Stage::set(&["kindest/node:v1.35.4"]) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let denied = || Fault::Answer(500, "operation not permitted");
    let name = stage.name("n");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: vanilla(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    ));
    proxy.fail(&["POST", "/exec", "kubeadm join"], 0, usize::MAX, denied());
    let said = stage.bad(&["run", &script]);
    assert!(proxy.heal() > 0, "{said}");
    stage.is_gone(&format!("kind-{name}"));
    let folder = evidence(&stage, &said);
    holds(&folder, &format!("{name}-control-plane.log"), "systemd");
    holds(
        &folder,
        &format!("{name}-control-plane.containerd.log"),
        "containerd",
    );
    holds(
        &folder,
        &format!("{name}-control-plane.kubelet.log"),
        "kubelet",
    );
}

#[test]
fn a_failing_agent_leaves_the_journal_of_its_containerd() {
    let Some(mut stage) = Stage::set(super::k3s::IMAGES) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let denied = || Fault::Answer(500, "operation not permitted");
    let name = stage.name("m");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: k3s(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    ));
    // Agents are started early; the second start is the one that joins.
    proxy.fail(&["POST", "-agent-0/start"], 1, usize::MAX, denied());
    let said = stage.bad(&["run", &script]);
    assert!(proxy.heal() > 0, "{said}");
    stage.is_gone(&format!("k3d-{name}"));
    let folder = evidence(&stage, &said);
    holds(&folder, &format!("k3d-{name}-server-0.log"), "k3s");
    holds(
        &folder,
        &format!("k3d-{name}-server-0.containerd.log"),
        "containerd",
    );
    holds(&folder, "nodes.json", "NodeList");
}

#[test]
fn what_somebody_froze_in_a_container_does_not_keep_it() {
    let Some(stage) = Stage::set(&["busybox:1.35.0"]) else {
        return;
    };
    let container = ksail::step::Container {
        name: format!("live{}-frozen", std::process::id()),
        image: "busybox:1.35.0".into(),
        command: Some(
            ["sh", "-c", "sleep 600 & sleep 600"]
                .map(String::from)
                .into(),
        ),
        labels: ksail::docker::labels::shared("live-test"),
        ..ksail::step::Container::default()
    };
    let id = stage.engine(async |engine| {
        let made = engine.ensure_container(&container).await?;
        engine.start(&container.name).await?;
        made.same(&container.name)
    });
    let seen = stage.engine(async |engine| engine.inspect_raw(&id).await);
    let first = seen["State"]["Pid"].as_u64().unwrap();
    let own = std::path::Path::new("/sys/fs/cgroup/freezer/docker").join(&id);
    let below = own.join("below");
    let children = format!("/proc/{first}/task/{first}/children");
    let child = std::fs::read_to_string(children).unwrap_or_default();
    let is_frozen = std::fs::create_dir(&below)
        .and_then(|()| {
            let child = child.split_whitespace().next().unwrap_or_default();
            std::fs::write(below.join("cgroup.procs"), child)
        })
        .and_then(|()| std::fs::write(below.join("freezer.state"), "FROZEN"));
    stage.engine(async |engine| engine.remove(&id).await);
    let left = stage.engine(async |engine| engine.list(&[]).await);
    let left: Vec<&str> = left.iter().map(|one| one.name.as_str()).collect();
    assert!(
        !left.iter().any(|one| one.starts_with(&container.name)),
        "{left:?}"
    );
    if let Err(problem) = is_frozen {
        println!("skipped: no cgroups of the first version to freeze: {problem}");
    }
}
