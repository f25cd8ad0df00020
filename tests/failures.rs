//! Everything around ksail that can be wrong is named with its code, and nothing is lost.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::home::{Home, text};

const ONE: &str = "cluster(\"dev\", #{ distribution: kwok(), provider: embedded() })";

/// Runs ksail with other surroundings and wants this code.
fn fails(home: &Home, arguments: &[&str], env: &[(&str, &str)], code: &str) -> String {
    let output = home
        .command(env!("CARGO_BIN_EXE_ksail"))
        .args(arguments)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let printed = text(&output);
    assert!(
        !output.status.success() && printed.contains(code),
        "{code}: {printed}"
    );
    printed
}

/// A file of this name below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, name)
        } else {
            path.ends_with(name).then_some(path)
        }
    })
}

#[test]
fn names_that_nothing_has_are_told() {
    let home = Home::new();
    fails(&home, &["cluster", "info", "nobody"], &[], "E0506");
    fails(&home, &["explain", "E9999"], &[], "E1001");
    fails(&home, &["doc", "nonsense"], &[], "E1004");
    let script = home.write("c.rhai", ONE).display().to_string();
    fails(&home, &["run", &script, "--set", "size=3"], &[], "E0301");
    fails(&home, &["run", &script, "nonsense"], &[], "E0113");
}

#[test]
fn what_cannot_be_made_yet_is_told_of_every_cluster_before_anything_is_touched() {
    let home = Home::new();
    let script = "[
    cluster(\"ok\", #{ distribution: kwok(), provider: embedded() }),
    cluster(\"far\", #{ distribution: talos(), provider: hetzner() }),
    cluster(\"near\", #{ distribution: talos(), provider: docker() }),
]";
    let script = home.write("c.rhai", script).display().to_string();
    let said = fails(&home, &["run", &script], &[], "E0211");
    for place in [
        "cluster far: ",
        "c.rhai:3:5",
        "cluster near: ",
        "c.rhai:4:5",
    ] {
        assert!(said.contains(place), "{place}: {said}");
    }
    assert!(!home.path("state").join("clusters").exists(), "{said}");
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let home = Home::new();
    let script = home.write("c.rhai", ONE).display().to_string();
    // Below a file there can be nothing, not even for root.
    let file = home.write("file", "").display().to_string();
    let below = format!("{file}/below");
    let nowhere = home.path("nowhere");
    std::fs::create_dir(&nowhere).unwrap();
    std::os::unix::fs::symlink(home.path("missing/deep"), nowhere.join("clusters")).unwrap();
    let nowhere = nowhere.display().to_string();
    fails(
        &home,
        &["run", &script],
        &[("KSAIL_HOME", &nowhere)],
        "E0602",
    );
    let config = format!("{nowhere}/clusters/kubeconfig");
    fails(
        &home,
        &["run", &script],
        &[("KUBECONFIG", &config)],
        "E0605",
    );
    fails(&home, &["plan", &script, "--out", &below], &[], "E1003");
    assert!(
        home.good(&["cluster", "list"])
            .contains("No clusters found")
    );
}

#[test]
fn a_change_that_a_policy_denies_is_told_and_not_made() {
    let home = Home::new();
    let script = |workers: u8| {
        let text = format!(
            "cluster(\"dev\", #{{ distribution: kwok(), provider: embedded(), workers: {workers}, policy: |change| if change.path == \"workers\" {{ deny(\"frozen\") }} else {{ allow() }} }})"
        );
        home.write("c.rhai", &text).display().to_string()
    };
    home.good(&["run", &script(1)]);
    let printed = fails(&home, &["run", &script(2)], &[], "E0401");
    assert!(printed.contains("frozen"), "{printed}");
    assert!(home.good(&["cluster", "list"]).contains("1/1"));
}

#[test]
fn a_kubeconfig_that_another_program_keeps_locked_is_told_and_left() {
    let home = Home::new();
    let script = home.write("c.rhai", ONE).display().to_string();
    home.write("kubeconfig", "");
    let lock = home.write("kubeconfig.lock", "");
    fails(&home, &["run", &script], &[], "E0606");
    assert!(lock.exists());
    std::fs::remove_file(lock).unwrap();
    home.good(&["run", &script]);
}

#[test]
fn a_context_that_is_gone_is_told_and_comes_back() {
    let home = Home::new();
    let script = home.write("c.rhai", ONE).display().to_string();
    home.good(&["run", &script]);
    std::fs::remove_file(home.path("kubeconfig")).unwrap();
    fails(&home, &["cluster", "switch", "dev"], &[], "E0607");
    home.good(&["run", &script]);
    home.good(&["cluster", "switch", "dev"]);
}

#[test]
fn a_time_to_live_that_nobody_would_keep_is_told() {
    let home = Home::new();
    let text = "cluster(\"dev\", #{ distribution: kwok(), provider: embedded(), ttl: \"1h\" })";
    let script = home.write("c.rhai", text).display().to_string();
    std::fs::create_dir_all(home.path("state/reaper.log")).unwrap();
    fails(&home, &["run", &script], &[], "E0608");
    std::fs::remove_dir(home.path("state/reaper.log")).unwrap();
    home.good(&["run", &script]);
}

#[test]
fn a_server_that_cannot_be_started_is_told() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = format!(
        "cluster(\"dev\", #{{ distribution: kwok(), provider: embedded(#{{ port: {port} }}) }})"
    );
    let script = home.write("c.rhai", &text).display().to_string();
    let printed = fails(&home, &["run", &script], &[], "E0708");
    assert!(printed.contains("E0709"), "{printed}");
    assert!(
        home.good(&["cluster", "list"])
            .contains("No clusters found")
    );
    drop(taken);
    home.good(&["run", &script]);
    let folder = home.path("state/clusters/embedded-dev/embedded");
    let folder = folder.display().to_string();
    fails(
        &home,
        &["embedded", "serve", "--home", &folder],
        &[],
        "E0707",
    );
}

#[test]
fn a_server_that_hangs_is_shown_as_broken_and_can_be_removed() {
    let home = Home::new();
    let script = home.write("c.rhai", ONE).display().to_string();
    home.good(&["run", &script]);
    let lock = find(&home.path("state/clusters/embedded-dev/embedded"), "lock").unwrap();
    let pid: i32 = std::fs::read_to_string(lock)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    assert!(home.good(&["cluster", "list"]).contains("Broken"));
    home.good(&["cluster", "delete", "dev", "--yes"]);
    assert!(
        home.good(&["cluster", "list"])
            .contains("No clusters found")
    );
}

#[test]
fn a_log_that_cannot_be_written_is_told() {
    let home = Home::new();
    let script = home.write("c.rhai", ONE).display().to_string();
    home.good(&["run", &script]);
    home.good(&["cluster", "stop", "dev"]);
    let log = find(&home.path("state/clusters/embedded-dev"), "writes.log").unwrap();
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    fails(&home, &["cluster", "start", "dev"], &[], "E0706");
}

#[test]
fn a_run_that_is_interrupted_says_what_is_left() {
    let home = Home::new();
    let text = "cluster(\"dev\", #{ distribution: kwok(), provider: embedded(),
        after_create: |c| c.wait(\"pod/none\", \"exists\", \"5m\") })";
    let script = home.write("c.rhai", text).display().to_string();
    let mut child = home
        .command(env!("CARGO_BIN_EXE_ksail"))
        .args(["run", &script, "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("hook/after_create") && line.contains("step_started"));
    assert!(begun.is_some());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    for _ in lines {}
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{printed}");
    assert!(printed.contains("E0502"), "{printed}");
    // The cluster was new: it was taken back.
    assert!(
        home.good(&["cluster", "list"])
            .contains("No clusters found")
    );
}
