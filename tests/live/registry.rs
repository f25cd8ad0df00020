//! Registries beside clusters.

use super::stage::Stage;

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
    mirrors: ["ghcr.io=http://{name}-local-registry:5000"], local_registry: "localhost:5961",
}})"#
    ));
    stage.good(&["run", &script]);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    let running = stage.containers(&format!("ksail.dev/cluster={context}"));
    let registries: Vec<&str> = running
        .iter()
        .filter_map(|one| one.labels.get("io.ksail.registry").map(String::as_str))
        .collect();
    assert_eq!(
        registries,
        [format!("{name}-ghcr.io"), format!("{name}-local-registry")]
    );
    let answer = std::net::TcpStream::connect(("127.0.0.1", 5961));
    assert!(answer.is_ok());
    let env = stage
        .engine(async |engine| engine.expect(&format!("{name}-ghcr.io")).await)
        .env;
    assert!(
        env.contains(&format!(
            "REGISTRY_PROXY_REMOTEURL=http://{name}-local-registry:5000"
        )),
        "{env:?}"
    );
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&context);
    // The caches outlive the cluster: that is what they are for.
    let volumes = stage.engine(async |engine| engine.volumes("ksail.dev/shared=registry").await);
    assert!(volumes.contains_key("ghcr.io"), "{volumes:?}");
}
