//! The program as people use it: hermetic homes, real processes, the embedded provider.

use std::path::Path;
use std::process::Command;

use crate::home::{Home, text};

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
        .display()
        .to_string()
}

fn has_kubectl() -> bool {
    let there = Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: kubectl is not installed");
    }
    there
}

#[test]
fn the_quickstart_runs_twice_and_changes_once() {
    let home = Home::new();
    let script = example("quickstart.rhai");
    assert_eq!(
        home.ksail(&["plan", &script, "--detailed-exitcode"])
            .status
            .code(),
        Some(2)
    );
    assert!(home.good(&["run", &script]).contains("dev is ready"));
    assert!(home.good(&["run", &script]).contains("nothing to change"));
    assert_eq!(
        home.ksail(&["plan", &script, "--detailed-exitcode"])
            .status
            .code(),
        Some(0)
    );
    assert!(home.good(&["cluster", "list"]).contains("embedded-dev"));
    if has_kubectl() {
        let kubectl = |arguments: &[&str]| {
            let output = home.command("kubectl").args(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
            text(&output)
        };
        assert!(kubectl(&["get", "nodes"]).contains("Ready"));
        kubectl(&[
            "create",
            "deployment",
            "web",
            "--image=nginx",
            "--replicas=3",
        ]);
        assert!(
            kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"])
                .contains("successfully rolled out")
        );
    }
    home.good(&["run", &script, "--destroy", "--yes"]);
    assert!(home.good(&["cluster", "list"]).contains("No clusters"));
    assert!(
        !std::fs::read_to_string(home.path("kubeconfig"))
            .unwrap()
            .contains("embedded-dev")
    );
}

#[test]
fn every_example_runs() {
    let home = Home::new();
    for name in [
        "components.rhai",
        "hooks.rhai",
        "matrix.rhai",
        "params.rhai",
        "policy.rhai",
    ] {
        home.good(&["run", &example(name)]);
        assert!(
            home.good(&["run", &example(name)])
                .contains("nothing to change"),
            "{name}"
        );
    }
}

#[test]
fn workers_scale_in_place_and_consent_is_asked_for() {
    let home = Home::new();
    let script = |workers: u32, distribution: &str| {
        let text = format!(
            "cluster(\"dev\", #{{ distribution: {distribution}(), provider: embedded(), workers: {workers} }})"
        );
        home.write("c.rhai", &text).display().to_string()
    };
    home.good(&["run", &script(1, "k3s")]);
    home.good(&["run", &script(3, "k3s")]);
    assert!(
        home.good(&["cluster", "info", "dev"])
            .contains("k3d-dev-agent-2")
    );
    // Vanilla nodes cannot change in a running cluster, nor can the distribution.
    let refused = home.ksail(&["run", &script(3, "vanilla")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused).contains("E0402") && text(&refused).contains("--yes"),
        "{}",
        text(&refused)
    );
    home.good(&["run", "--yes", &script(3, "vanilla")]);
    assert!(
        home.good(&["cluster", "info", "dev"])
            .contains("dev-control-plane")
    );
}

#[test]
fn state_survives_stop_and_start() {
    let home = Home::new();
    let script = example("quickstart.rhai");
    home.good(&["run", &script]);
    home.good(&["cluster", "stop", "dev"]);
    assert!(home.good(&["cluster", "list"]).contains("Stopped"));
    home.good(&["run", &script]);
    assert!(home.good(&["cluster", "list"]).contains("Running"));
}

#[test]
fn what_cannot_be_carried_out_says_so_and_touches_nothing() {
    let home = Home::new();
    let script = home
        .write(
            "d.rhai",
            "cluster(\"dev\", #{ distribution: talos(), provider: hetzner() })",
        )
        .display()
        .to_string();
    assert!(
        home.good(&["plan", &script])
            .contains("bootstrap Kubernetes on dev-control-plane-1")
    );
    let output = home.ksail(&["run", &script]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("E0211") && text(&output).contains("--simulate"),
        "{}",
        text(&output)
    );
    assert!(!home.path("state").exists() && !home.path("kubeconfig").exists());
    let simulated = home.ksail(&["run", &script, "--simulate"]);
    assert!(simulated.status.success());
    let steps = "takes 5 steps: network, machine/dev-control-plane-1, bootstrap, ";
    assert!(text(&simulated).contains(steps), "{}", text(&simulated));
}

#[test]
fn a_saved_plan_holds_until_something_drifts() {
    let home = Home::new();
    let (script, plan) = (
        example("quickstart.rhai"),
        home.path("plan.json").display().to_string(),
    );
    home.good(&["plan", &script, "--out", &plan]);
    home.good(&["run", &script, "--plan", &plan]);
    let drifted = home.ksail(&["run", &script, "--plan", &plan]);
    assert!(text(&drifted).contains("E0404"), "{}", text(&drifted));
    std::fs::write(&plan, "{\"ksail_plan\": 99}").unwrap();
    assert!(text(&home.ksail(&["run", &script, "--plan", &plan])).contains("E0405"));
}

#[test]
fn broken_surroundings_are_named_and_left() {
    let home = Home::new();
    let script = example("quickstart.rhai");
    home.write("kubeconfig", "clusters: [");
    let output = home.ksail(&["run", &script]);
    assert!(text(&output).contains("E0604"), "{}", text(&output));
    assert_eq!(
        std::fs::read_to_string(home.path("kubeconfig")).unwrap(),
        "clusters: ["
    );
    // Found out before anything was made.
    assert_eq!(
        text(&output).matches("E0604").count(),
        1,
        "{}",
        text(&output)
    );
    assert!(!home.path("state/clusters/embedded-dev").exists());
    std::fs::remove_file(home.path("kubeconfig")).unwrap();
    home.good(&["run", &script]);
    let recorded = home.path("state/clusters/embedded-dev/recorded.json");
    std::fs::write(&recorded, "{").unwrap();
    let output = home.ksail(&["run", &script]);
    assert!(
        text(&output).contains("E0601") && text(&output).contains("recorded.json"),
        "{}",
        text(&output)
    );
    assert_eq!(std::fs::read_to_string(&recorded).unwrap(), "{");
    std::fs::remove_file(&recorded).unwrap();
}

#[test]
fn wrong_usage_exits_with_two_and_help_names_the_parameters() {
    let home = Home::new();
    assert_eq!(home.ksail(&["rnu"]).status.code(), Some(2));
    assert_eq!(home.ksail(&["explain", "E9999"]).status.code(), Some(2));
    assert!(home.good(&["explain", "e0205"]).contains("ksail support"));
    assert!(
        home.good(&["run", &example("params.rhai"), "--help"])
            .contains("--set workers=1")
    );
    let unknown = home.ksail(&["run", &example("params.rhai"), "--set", "wrokers=2"]);
    assert!(
        unknown.status.code() == Some(2) && text(&unknown).contains("workers"),
        "{}",
        text(&unknown)
    );
    let task = home.ksail(&["run", &example("hooks.rhai"), "gret"]);
    assert!(
        text(&task).contains("E0113") && text(&task).contains("greet"),
        "{}",
        text(&task)
    );
    assert_eq!(
        home.good(&["run", &example("hooks.rhai"), "greet"]),
        "hello from a task\n"
    );
}

#[test]
fn a_secret_is_in_no_output_and_no_file() {
    let home = Home::new();
    let text_of_script = "let s = secret(env(\"KSAIL_CANARY\"));
        cluster(\"dev\", #{ distribution: k3s(), provider: embedded(), components: [flux(#{ values: #{ password: s } })],
            registries: [#{ host: \"ghcr.io\", username: \"me\", password: s }] })";
    let script = home.write("s.rhai", text_of_script).display().to_string();
    let plan = home.path("plan.json").display().to_string();
    for arguments in [
        vec!["plan", &script, "--out", &plan],
        vec!["plan", &script, "--output", "json"],
        vec!["check", &script, "--output", "json"],
        vec!["run", &script, "--output", "json"],
        vec!["run", &script],
    ] {
        let output = home
            .command(env!("CARGO_BIN_EXE_ksail"))
            .env("KSAIL_CANARY", "canary-4711")
            .args(&arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(!text(&output).contains("canary-4711"), "{arguments:?}");
    }
    let mut folders = vec![home.path("")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = std::fs::read(&path).unwrap_or_default();
                let found = content.windows(11).any(|window| window == b"canary-4711");
                assert!(!found, "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 5);
}

#[test]
fn support_completion_and_manuals_are_printed() {
    let home = Home::new();
    assert!(
        home.good(&["support", "--output", "markdown"])
            .contains("| Vanilla (Kind) | ✅ | ✅ | ❌ |")
    );
    assert!(
        home.good(&["support", "--output", "json"])
            .contains("\"updates\"")
    );
    assert!(home.good(&["completion", "bash"]).contains("_ksail"));
    let folder = home.path("man").display().to_string();
    home.good(&["man", &folder]);
    assert!(home.path("man/ksail-cluster-delete.1").exists());
    assert!(home.good(&["doc", "cluster"]).contains("control_planes"));
}
