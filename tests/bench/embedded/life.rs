//! How long it takes until everything lives: nodes Ready, pods Running.

use std::time::{Duration, Instant};

use ksail::embedded::InProcess;
use ksail::embedded::write::Options;
use serde_json::{Value, json};

use super::{block_on, effort_of, memory_of, own_number};

const NODES: usize = 5000;
const PODS: usize = 10_000;

pub(super) fn pods() {
    let make = |number: usize| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("p-{number}"), "namespace": "default", "labels": {"app": "bench"}},
            "spec": {"containers": [{"name": "c", "image": "busybox"}]},
        })
    };
    measure("as bare pods", ("", "pods"), PODS, &make);
}

pub(super) fn deployments() {
    let make = |number: usize| {
        let labels = json!({"app": format!("d-{number}")});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": format!("d-{number}"), "namespace": "default"},
            "spec": {
                "replicas": 500, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "busybox"}]},
                },
            },
        })
    };
    measure(
        "as 20 deployments",
        ("apps", "deployments"),
        PODS / 500,
        &make,
    );
}

fn measure(how: &str, what: (&str, &str), count: usize, make: &dyn Fn(usize) -> Value) {
    block_on(async {
        let cluster = InProcess::new().await.unwrap();
        let options = Options::controller("bench");
        let server = cluster.server();
        let (nodes, pods) = (
            server.kind("", "nodes").unwrap(),
            server.kind("", "pods").unwrap(),
        );
        let (begin, effort) = (Instant::now(), effort_of(own_number()));
        for number in 0..NODES {
            let node = json!({"metadata": {"name": format!("n-{number}")}});
            server.create(&nodes, "", node, &options).await.unwrap();
        }
        let kind = server.kind(what.0, what.1).unwrap();
        for number in 0..count {
            server
                .create(&kind, "", make(number), &options)
                .await
                .unwrap();
        }
        let created = begin.elapsed();
        all(&cluster, "nodes", NODES, "\"KubeletReady\"").await;
        let ready = begin.elapsed();
        all(&cluster, "pods", PODS, "\"phase\":\"Running\"").await;
        let running = begin.elapsed();
        println!(
            "{NODES} nodes and {PODS} pods {how}: created {created:.2?}, nodes Ready {ready:.2?}, pods Running {running:.2?}; \
             {:.1?} of processor time, {} MB resident",
            effort_of(own_number()).saturating_sub(effort),
            memory_of(own_number()) / 1024
        );
        settle(&cluster, effort).await;
        drop(pods);
    });
}

/// Waits until so many objects of a core kind say something.
async fn all(cluster: &InProcess, plural: &str, count: usize, word: &str) {
    let server = cluster.server();
    let kind = server.kind("", plural).unwrap();
    let mut changed = server.store().any_change();
    // How many from the first on have said it; they come and go in one order.
    let mut done = 0;
    loop {
        changed.borrow_and_update();
        let objects = server.list(&kind, "").objects;
        let rest = objects.iter().skip(done);
        done += rest.take_while(|object| object.mentions(word)).count();
        if done >= count {
            return;
        }
        drop(objects);
        // Looked at ten times a second at most, so that looking is not what is measured.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = changed.changed().await;
    }
}

/// Waits until nothing has been written for a while, and says what everything took.
async fn settle(cluster: &InProcess, effort: Duration) {
    let mut changed = cluster.server().store().any_change();
    let quiet = Duration::from_millis(500);
    while tokio::time::timeout(quiet, changed.changed()).await.is_ok() {}
    println!(
        "  until quiet: {:.1?} of processor time, {} revisions, {} MB resident",
        effort_of(own_number()).saturating_sub(effort),
        cluster.server().store().revision(),
        memory_of(own_number()) / 1024
    );
}
