//! Clients that nobody wrote for ksail, against the embedded API: a kube-rs controller, Helm, a controller-runtime program.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::await_condition;
use kube::runtime::watcher;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tokio::process::Command;

use ksail::embedded::InProcess;

use crate::control_plane::on_a_cluster;

async fn copy(source: Arc<ConfigMap>, client: Arc<kube::Client>) -> Result<Action, kube::Error> {
    let sources: Api<ConfigMap> = Api::default_namespaced((*client).clone());
    let copies: Api<Secret> = Api::default_namespaced((*client).clone());
    if source.labels().get("copy").is_none() {
        return Ok(Action::await_change());
    }
    let done = finalizer(&sources, "example.com/copied", source, async |event| {
        let (name, owner) = match &event {
            Event::Apply(source) => (source.name_any(), source.controller_owner_ref(&())),
            Event::Cleanup(_) => return Ok(Action::await_change()),
        };
        let copy: Secret = serde_json::from_value(json!({
            "metadata": {"name": name, "ownerReferences": [owner]}, "stringData": {"key": "value"},
        }))
        .map_err(kube::Error::SerdeError)?;
        match copies.create(&PostParams::default(), &copy).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other?),
        }
        Ok::<_, kube::Error>(Action::await_change())
    });
    Ok(done
        .await
        .unwrap_or_else(|_| Action::requeue(Duration::from_millis(10))))
}

#[test]
fn a_kube_controller_owns_and_cleans_up() {
    on_a_cluster(1, |cluster| async move {
        owns_and_cleans_up(cluster.client()).await;
        // The same program says the same of a real server, if there is one to ask.
        if let Ok(real) = std::env::var("KSAIL_TEST_REAL_KUBECONFIG") {
            owns_and_cleans_up(client_of(Path::new(&real)).await).await;
        }
    });
}

/// A client of the cluster that a kubeconfig with everything in it names.
async fn client_of(kubeconfig: &Path) -> kube::Client {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let text = |at: &str| value.pointer(at).unwrap().as_str().unwrap().to_owned();
    let data = |at: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text(at));
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    let access = ksail::world::Access {
        server: text("/clusters/0/cluster/server"),
        authority: data("/clusters/0/cluster/certificate-authority-data"),
        certificate: data("/users/0/user/client-certificate-data"),
        key: ksail::secret::Secret::new(data("/users/0/user/client-key-data")),
    };
    ksail::k8s::connect(&access).await.unwrap()
}

async fn owns_and_cleans_up(client: kube::Client) {
    let sources: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let copies: Api<Secret> = Api::default_namespaced(client.clone());
    let controller = Controller::new(sources.clone(), watcher::Config::default())
        .owns(copies.clone(), watcher::Config::default())
        .run(
            copy,
            |_, _, _| Action::requeue(Duration::from_millis(10)),
            Arc::new(client),
        );
    let task = tokio::spawn(controller.for_each(|_| async {}));
    let source: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "source", "labels": {"copy": "true"}}}))
            .unwrap();
    sources
        .create(&PostParams::default(), &source)
        .await
        .unwrap();
    let there = |copy: Option<&Secret>| copy.is_some();
    let first = await_condition(copies.clone(), "source", there).await;
    let first = first.unwrap().unwrap();
    let held = sources.get("source").await.unwrap();
    assert_eq!(held.finalizers(), ["example.com/copied"]);
    // What is owned comes back when somebody takes it away.
    copies
        .delete("source", &DeleteParams::default())
        .await
        .unwrap();
    let uid = first.meta().uid.clone();
    let other = |copy: Option<&Secret>| copy.is_some_and(|copy| copy.meta().uid != uid);
    await_condition(copies.clone(), "source", other)
        .await
        .unwrap();
    sources
        .delete("source", &DeleteParams::default())
        .await
        .unwrap();
    await_condition(copies, "source", |copy: Option<&Secret>| copy.is_none())
        .await
        .unwrap();
    let left = sources.get_opt("source").await.unwrap();
    assert!(left.is_none());
    task.abort();
}

/// Serves a cluster and gives its kubeconfig's path to a client; what is printed comes with a failure.
async fn with_kubeconfig(
    cluster: &InProcess,
    client: impl AsyncFnOnce(&Path) -> Result<(), String>,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let (tell, told) = tokio::sync::oneshot::channel();
    let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let serving = cluster.serve_plain(nowhere, move |at| tell.send(at).unwrap());
    let using = async {
        let server = format!("http://{}", told.await.unwrap());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        client(&path).await
    };
    tokio::select! {
        served = serving => served.unwrap(),
        done = using => done.unwrap(),
    }
}

/// Runs a program; `None` if it isn't there.
async fn output(
    program: &str,
    arguments: &[&str],
    folder: &Path,
    kubeconfig: &Path,
) -> Option<Result<String, String>> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", kubeconfig)
        .env("HELM_CACHE_HOME", kubeconfig.parent()?.join("cache"))
        .env("HELM_CONFIG_HOME", kubeconfig.parent()?.join("config"))
        .env("HELM_DATA_HOME", kubeconfig.parent()?.join("data"))
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(match output.status.success() {
        true => Ok(said),
        false => Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))),
    })
}

#[test]
fn helm_installs_waits_upgrades_and_removes() {
    on_a_cluster(3, |cluster| async move {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}});
        let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(cluster.client());
        let node = serde_json::from_value(node).unwrap();
        nodes.create(&PostParams::default(), &node).await.unwrap();
        with_kubeconfig(&cluster, async |kubeconfig| {
            let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/chart");
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            for arguments in [
                &["install", "web", chart, "--wait", "--timeout", "60s"][..],
                &[
                    "upgrade",
                    "web",
                    chart,
                    "--wait",
                    "--timeout",
                    "60s",
                    "--set",
                    "replicas=3",
                ],
                &["list", "--output", "json"],
                &["rollback", "web", "1", "--wait", "--timeout", "60s"],
                &["uninstall", "web", "--wait", "--timeout", "60s"],
            ] {
                let Some(done) = output("helm", arguments, here, kubeconfig).await else {
                    println!("skipped: there is no helm here");
                    return Ok(());
                };
                let said = done?;
                if arguments.first() == Some(&"list") {
                    assert!(said.contains("\"revision\":\"2\""), "{said}");
                    assert!(said.contains("\"status\":\"deployed\""), "{said}");
                }
            }
            Ok(())
        })
        .await;
    });
}

#[test]
fn a_controller_runtime_program_works() {
    const SWITCH: &str = "KSAIL_TEST_GO";
    if std::env::var_os(SWITCH).is_none() {
        println!("skipped: {SWITCH} is not set, and Go would fetch and compile for minutes");
        return;
    }
    on_a_cluster(20, |cluster| async move {
        with_kubeconfig(&cluster, async |kubeconfig| {
            let folder = tempfile::tempdir().unwrap();
            let source = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/clients/controller/main.go"
            );
            std::fs::copy(source, folder.path().join("main.go")).unwrap();
            for (program, arguments) in [
                ("go", &["mod", "init", "example.com/client"][..]),
                ("go", &["get", "sigs.k8s.io/controller-runtime@v0.24.1"]),
                ("go", &["mod", "tidy"]),
                ("go", &["build", "-o", "client", "."]),
                ("./client", &[]),
            ] {
                let Some(done) = output(program, arguments, folder.path(), kubeconfig).await else {
                    println!("skipped: there is no {program} here");
                    return Ok(());
                };
                let said = done?;
                if program == "./client" {
                    assert_eq!(said, "copied\ncopied again\ngone\ncollected\n");
                }
            }
            Ok(())
        })
        .await;
    });
}
