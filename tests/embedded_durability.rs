//! What a killed server process has acknowledged is there when it comes back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use ksail::embedded::home::Home;
use ksail::embedded::process;
use ksail::world::Access;

use crate::control_plane::made;

/// How many writes are acknowledged before the kill.
const WRITES: usize = 200;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ksail");

async fn maps(home: &Home) -> Api<ConfigMap> {
    // The first start may have moved it.
    let home = Home::open(home.folder()).unwrap();
    let (certificate, key) = home.admin().unwrap();
    let access = Access {
        server: home.url(),
        authority: home.authority().unwrap(),
        certificate,
        key,
    };
    let client = ksail::k8s::connect(&access).await.unwrap();
    Api::namespaced(client, "default")
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"text": "kept"}})).unwrap()
}

fn revision(map: &ConfigMap) -> u64 {
    let text = map.metadata.resource_version.as_deref().unwrap();
    text.parse().unwrap()
}

/// Writes from several sides until nobody answers any more; what was acknowledged, with its revision.
async fn write_until_killed(home: &Home, acknowledged: Arc<AtomicUsize>) -> Vec<(String, u64)> {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let api = maps(home).await;
        let acknowledged = Arc::clone(&acknowledged);
        writers.spawn(async move {
            let mut done = Vec::new();
            for number in 0.. {
                let name = format!("w{writer}-{number}");
                match api.create(&PostParams::default(), &map(&name)).await {
                    Ok(made) => done.push((name, revision(&made))),
                    Err(_) => break,
                }
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            done
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_lost_nothing_that_it_acknowledged() {
    let (_folder, home) = made("dev");
    let program = Path::new(PROGRAM);
    process::start(&home, program).unwrap();
    let process::State::Running(number) = process::status(&home) else {
        panic!("it does not run");
    };

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let killer = {
        let acknowledged = Arc::clone(&acknowledged);
        tokio::spawn(async move {
            while acknowledged.load(Ordering::Relaxed) < WRITES {
                tokio::task::yield_now().await;
            }
            let process = rustix::process::Pid::from_raw(number).unwrap();
            rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        })
    };
    let written = write_until_killed(&home, acknowledged).await;
    killer.await.unwrap();
    assert!(written.len() >= WRITES);

    process::start(&home, program).unwrap();
    let api = maps(&home).await;
    let found = api.list(&ListParams::default()).await.unwrap();
    for (name, at) in &written {
        let there = found
            .iter()
            .find(|map| map.metadata.name.as_deref() == Some(name));
        assert_eq!(there.map(revision), Some(*at), "{name}");
    }
    let last = written.iter().map(|(_, at)| *at).max().unwrap();
    let next = api.create(&PostParams::default(), &map("after")).await;
    assert!(revision(&next.unwrap()) > last);

    // A watch from the middle goes on where it was, or is told to list again.
    let middle = written.iter().map(|(_, at)| *at).min().unwrap();
    let parameters = WatchParams::default().timeout(5);
    let events = api.watch(&parameters, &middle.to_string()).await.unwrap();
    let expected = written.iter().filter(|(_, at)| *at > middle).count();
    let mut events = events.boxed();
    let mut seen = 0;
    while let Some(event) = events.try_next().await.unwrap() {
        match event {
            WatchEvent::Added(map) => {
                let name = map.metadata.name.unwrap();
                seen += usize::from(written.iter().any(|(known, _)| *known == name));
                if name == "after" {
                    break;
                }
            }
            WatchEvent::Error(status) if status.code == 410 => {
                seen = expected;
                break;
            }
            _ => {}
        }
    }
    assert_eq!(seen, expected);
    process::stop(&home).unwrap();
}

/// Right after a kill the dying process still holds its folder: that is no server yet, or no more.
#[tokio::test]
async fn a_killed_server_is_started_again_at_once() {
    let (_folder, home) = made("dev");
    let program = Path::new(PROGRAM);
    for round in 0..10 {
        process::start(&home, program).unwrap();
        let listed = maps(&home).await.list(&ListParams::default()).await;
        assert!(listed.is_ok(), "round {round}: {listed:?}");
        let process::State::Running(number) = process::status(&home) else {
            panic!("it does not run");
        };
        let process = rustix::process::Pid::from_raw(number).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn a_port_that_somebody_took_before_the_first_start_is_no_obstacle() {
    let (_folder, home) = made("dev");
    let taken = std::net::TcpListener::bind(home.address()).unwrap();
    process::start(&home, Path::new(PROGRAM)).unwrap();
    let served = Home::open(home.folder()).unwrap();
    assert_ne!(served.address(), home.address());
    let listed = maps(&served).await.list(&ListParams::default()).await;
    assert!(listed.is_ok(), "{listed:?}");
    process::stop(&served).unwrap();
    drop(taken);
    process::start(&served, Path::new(PROGRAM)).unwrap();
    let again = Home::open(home.folder()).unwrap();
    assert_eq!(again.address(), served.address());
    process::stop(&again).unwrap();
}

#[test]
fn clusters_are_saved_put_back_and_forked() {
    let home = crate::home::Home::new();
    let script = home.write(
        "one.rhai",
        r#"cluster("dev", #{ distribution: kwok(), provider: embedded() })"#,
    );
    home.good(&["run", &script.display().to_string()]);
    let file = home.path("dev.snapshot").display().to_string();
    home.good(&["cluster", "snapshot", "save", "dev", &file]);
    assert!(
        home.good(&["cluster", "fork", "dev", "other"])
            .contains("embedded-other")
    );
    let twice = home.ksail(&["cluster", "fork", "dev", "other"]);
    assert!(!twice.status.success());
    home.good(&["cluster", "snapshot", "restore", "dev", &file, "--yes"]);
    let list = home.good(&["cluster", "list", "--output", "json"]);
    let all: Vec<Value> = serde_json::from_str(&list).unwrap();
    let running = all.iter().filter(|each| each["state"] == "running").count();
    assert_eq!(running, 2, "{list}");
    let nodes = |each: &Value| each["nodes"].as_array().map_or(0, Vec::len);
    assert!(all.iter().all(|each| nodes(each) == 1), "{list}");
}
