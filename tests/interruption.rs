//! Runs that are cut off, runs that meet, and clusters whose time is up: nothing is lost and nothing is left.

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::home::{Home, text};

const EVERYTHING: &str = r#"
cluster("dev", #{
    distribution: k3s(), provider: embedded(), workers: 2, ttl: "8h",
    components: [cert_manager()],
    before_create: |c| print("before"),
    after_create: |c| print("after"),
})
"#;

impl Home {
    /// Starts a run that tells its events, a line each.
    fn run(&self, script: &str) -> Child {
        self.command(env!("CARGO_BIN_EXE_ksail"))
            .args(["run", script, "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The steps that a first run of a script takes.
    fn steps(&self, script: &str) -> Vec<String> {
        let plan = self.good(&["plan", script, "--output", "json"]);
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        plan["clusters"][0]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["id"].as_str().unwrap().to_string())
            .collect()
    }

    fn contexts(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("kubeconfig")).unwrap_or_default();
        let config: serde_json::Value = serde_saphyr::from_str(&text).unwrap_or_default();
        let contexts = config["contexts"].as_array().cloned().unwrap_or_default();
        contexts
            .iter()
            .map(|context| context["name"].as_str().unwrap().to_string())
            .collect()
    }
}

/// Kills a run right after it told this of a step; says whether it was still running.
fn kill_at(mut child: Child, step: &str, event: &str) -> bool {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["step"] == step && line["event"] == event {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
    }
    child.wait().unwrap();
    false
}

#[test]
fn a_run_that_is_killed_at_any_step_is_continued_by_running_again() {
    let home = Home::new();
    let script = home.write("c.rhai", EVERYTHING).display().to_string();
    let steps = home.steps(&script);
    assert!(steps.len() >= 10, "{steps:?}");
    for step in &steps {
        for event in ["step_started", "step_done"] {
            assert!(
                kill_at(home.run(&script), step, event),
                "{step} was never told as {event}"
            );
            home.good(&["run", &script]);
            let again = home.good(&["run", &script]);
            assert!(
                again.contains("nothing to change"),
                "{step} {event}: {again}"
            );
            let list = home.good(&["cluster", "list"]);
            assert_eq!(list.lines().count(), 2, "{step} {event}: {list}");
            assert_eq!(home.contexts(), ["embedded-dev"], "{step} {event}");
            home.good(&["cluster", "delete", "dev", "--yes"]);
            assert!(home.contexts().is_empty(), "{step} {event}");
            let left: Vec<_> = std::fs::read_dir(home.path("state/clusters"))
                .unwrap()
                .collect();
            assert!(left.is_empty(), "{step} {event}: {left:?}");
        }
    }
}

#[test]
fn consent_to_make_a_cluster_anew_outlives_a_kill() {
    let home = Home::new();
    let define = |workers: u32| {
        let text = format!(
            r#"cluster("dev", #{{ distribution: vanilla(), provider: embedded(), workers: {workers} }})"#
        );
        home.write("c.rhai", &text).display().to_string()
    };
    let script = define(1);
    home.good(&["run", &script]);
    let mut workers = 1;
    for (step, event) in [
        ("remove", "step_done"),
        ("control-plane", "step_started"),
        ("nodes", "step_done"),
        ("ready", "step_done"),
    ] {
        workers += 1;
        define(workers);
        let refused = home
            .command(env!("CARGO_BIN_EXE_ksail"))
            .args(["run", &script])
            .output();
        assert!(!refused.unwrap().status.success(), "{step}");
        let child = home
            .command(env!("CARGO_BIN_EXE_ksail"))
            .args(["run", &script, "--yes", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        assert!(kill_at(child.unwrap(), step, event), "{step} {event}");
        home.good(&["run", &script]);
        let again = home.good(&["run", &script]);
        assert!(again.contains("nothing to change"), "{step}: {again}");
    }
    home.good(&["cluster", "delete", "dev", "--yes"]);
}

#[test]
fn fifty_processes_lose_no_context() {
    let home = Home::new();
    home.good(&[
        "run",
        &home.write("c.rhai", EVERYTHING).display().to_string(),
    ]);
    let children: Vec<Child> = (0..50)
        .map(|n| {
            let mut command = home.command(env!("CARGO_BIN_EXE_ksail"));
            let definition =
                format!("cluster(\"c{n}\", #{{ distribution: kwok(), provider: embedded() }})");
            let script = home.write(&format!("c{n}.rhai"), &definition);
            command
                .arg("run")
                .arg(script)
                .stderr(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let mut wanted: Vec<String> = (0..50).map(|n| format!("embedded-c{n}")).collect();
    wanted.push("embedded-dev".into());
    let mut found = home.contexts();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn a_cluster_removes_itself_when_its_time_is_up() {
    let home = Home::new();
    let script = |ttl: &str| {
        let text = format!(
            "[cluster(\"short\", #{{ distribution: kwok(), provider: embedded(), ttl: \"{ttl}\" }}),
              cluster(\"stays\", #{{ distribution: kwok(), provider: embedded(), ttl: \"8h\" }})]"
        );
        home.write("c.rhai", &text).display().to_string()
    };
    home.good(&["run", &script("7h")]);
    let list = home.good(&["cluster", "list"]);
    assert!(list.contains("TTL") && list.contains(" 7h"), "{list}");
    assert!(home.good(&["cluster", "info", "short"]).contains(" 7h"));
    // The process that removes clusters sleeps by now; a shorter time wakes it.
    let folder = home.path("state/clusters/embedded-short");
    let gone = Gone::watch(&home.path("state/clusters"));
    home.good(&["run", &script("1s")]);
    gone.wait(&folder);
    let list = home.good(&["cluster", "list"]);
    assert!(!list.contains("short") && list.contains("stays"), "{list}");
    assert_eq!(home.contexts(), ["embedded-stays"]);
}

/// Waits for a folder to go, woken by the kernel.
struct Gone(std::os::fd::OwnedFd);

impl Gone {
    fn watch(parent: &std::path::Path) -> Self {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let watch = init(CreateFlags::CLOEXEC).unwrap();
        add_watch(&watch, parent, WatchFlags::DELETE).unwrap();
        Self(watch)
    }

    fn wait(&self, folder: &std::path::Path) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let patience = Timespec::try_from(Duration::from_mins(1)).unwrap();
        while folder.exists() {
            let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
            let woken = poll(&mut fds, Some(&patience)).unwrap();
            assert_eq!(woken, 1, "{} is still there", folder.display());
            let _ = rustix::io::read(&self.0, &mut [0_u8; 4096]);
        }
    }
}

#[test]
fn deleting_a_name_that_no_cluster_has_fails_unless_that_is_fine() {
    let home = Home::new();
    let output = home.ksail(&["cluster", "delete", "nobody", "--yes"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("no cluster `nobody`"));
    home.good(&["cluster", "delete", "nobody", "--yes", "--if-exists"]);
}
