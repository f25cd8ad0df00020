//! Scripts that are called back: hooks, tasks, tests and the prompt work with clusters that run.

use std::io::Write as _;
use std::process::Stdio;

use crate::home::{Home, text};

#[test]
fn the_example_suite_passes_and_leaves_nothing() {
    let home = Home::new();
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/web.test.rhai");
    let report = home.path("report.xml").display().to_string();
    let printed = home.good(&["test", suite, "--junit", &report]);
    assert!(printed.contains("6 passed, 0 failed"), "{printed}");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        report.contains("<testsuite ") && report.contains("scales down to one"),
        "{report}"
    );
    assert_eq!(
        home.good(&["test", suite, "--list", "--only", "on-*"])
            .lines()
            .count(),
        3
    );
    // The user's own state and kubeconfig are not those of tests.
    assert!(!home.path("kubeconfig").exists());
    assert!(
        home.good(&["cluster", "list"])
            .contains("No clusters found")
    );
}

#[test]
fn a_failing_test_shows_its_place_and_its_code() {
    let home = Home::new();
    let suite = home.write(
        "bad.test.rhai",
        r#"let c = cluster("web", #{ distribution: kwok(), provider: embedded() });
test("counts", c, |c| expect(c.list("nodes").len()).to_equal(5));
test("asks for what is not there", c, |c| c.get("pod/web"));
test("asks for what is none", c, |c| c.get("pdo/web"));
test("names nothing", c, |c| c.get("web"));
test("waits in vain", c, |c| c.wait("pod/web", "Ready", "100ms"));
test("waits for a closure in vain", c, |c| c.wait("node/node-0", |n| n.status.nothing == 1, "100ms"));
test("applies no object", c, |c| c.apply(#{ kind: "Pod" }));
test("reads outside", c, |c| c.apply("../x.yaml"));
test("is fine", || expect("abc").to_match("^a.c$").to_contain("b").to_not_equal("x"));
test("throws", || expect(|| throw "no").to_throw("no"));
test("is not up", || { let c = cluster("x", #{ distribution: kwok(), provider: embedded() }); c.get("node/a") });
"#,
    );
    let output = home.ksail(&["test", &suite.display().to_string(), "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let code = |test: &str| {
        let line = lines.iter().find(|line| line["test"] == test).unwrap();
        let problem = &line["problem"];
        if problem.is_object() && test != "reads outside" {
            let place = &problem["labels"][0]["file"];
            assert!(
                place.as_str().unwrap().ends_with("bad.test.rhai"),
                "{problem}"
            );
        }
        problem["code"].as_str().map(String::from)
    };
    for (test, wanted) in [
        ("counts", Some("E0513")),
        ("asks for what is not there", Some("E0509")),
        ("asks for what is none", Some("E0508")),
        ("names nothing", Some("E0510")),
        ("waits in vain", Some("E0511")),
        ("waits for a closure in vain", Some("E0511")),
        ("applies no object", Some("E0510")),
        ("reads outside", Some("E0304")),
        ("is fine", None),
        ("throws", None),
        ("is not up", Some("E0512")),
    ] {
        assert_eq!(code(test).as_deref(), wanted, "{test}");
    }
    assert_eq!(lines.last().unwrap()["failed"], 9);
}

#[test]
fn hooks_and_tasks_work_with_the_cluster() {
    let home = Home::new();
    let text = r#"
let c = cluster("dev", #{
    distribution: k3s(), provider: docker(), workers: 2,
    after_create: |c| {
        c.apply(#{ apiVersion: "v1", kind: "Namespace", metadata: #{ name: "shop" } });
        c.wait("namespace/shop", "Active", "30s");
        print(`${c.list("nodes").len()} nodes`);
    },
});
task("phase", || c.get("namespace/shop").status.phase);
task("contexts", || live().map(|it| it.context));
task("end", || { down(c); live().len() });
c
"#;
    let script = home.write("c.rhai", text).display().to_string();
    // What the script says of its provider is simulated, in hooks and tasks as well.
    let output = home.ksail(&["run", &script, "--simulate"]);
    let printed = crate::home::text(&output);
    assert!(
        output.status.success() && printed.contains("3 nodes"),
        "{printed}"
    );
    assert!(
        home.good(&["run", &script, "phase", "--simulate"])
            .contains("Active")
    );
    assert!(
        home.good(&["run", &script, "contexts", "--simulate"])
            .contains("embedded-dev")
    );
    assert!(
        home.good(&["run", &script, "end", "--simulate"])
            .contains('0')
    );
    let output = home.ksail(&["run", &script, "phase", "--simulate"]);
    assert!(crate::home::text(&output).contains("E0512"));
}

#[test]
fn the_prompt_explores_clusters() {
    let home = Home::new();
    let mut child = home
        .command(env!("CARGO_BIN_EXE_ksail"))
        .arg("repl")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines =
        "let c = up(cluster(\"dev\", #{ distribution: kwok(), provider: embedded(), workers: 3 }))
c.list(\"nodes\").len()
live(\"dev\").state
down(c)
live().len()
";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let values: Vec<&str> = printed
        .lines()
        .filter(|line| !line.contains("cluster("))
        .collect();
    assert_eq!(values, ["3", "\"Running\"", "0"], "{}", text(&output));
}

#[test]
fn manifests_are_carried_by_the_definition() {
    let home = Home::new();
    let manifests = |replicas: u8| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec: {{ containers: [{{ name: web, image: nginx }}] }}
---
apiVersion: v1
kind: Namespace
metadata: {{ name: shop }}
"
        )
    };
    let text = r#"
let c = cluster("dev", #{
    distribution: kwok(), provider: embedded(),
    components: [manifests("shop", #{ path: "shop.yaml", namespace: "shop" })],
});
task("ready", || { c.wait("deployment/web", "Available", "30s", "shop"); c.get("deployment/web", "shop").status.readyReplicas });
task("gone", || c.find("deployment/web", "shop") == ());
c
"#;
    let script = home.write("c.rhai", text).display().to_string();
    home.write("shop.yaml", &manifests(2));
    home.good(&["run", &script]);
    assert!(home.good(&["run", &script, "ready"]).contains('2'));
    assert!(home.good(&["run", &script]).contains("nothing to change"));
    // The plan sees what is in the file, not only its name.
    home.write("shop.yaml", &manifests(3));
    assert!(home.good(&["plan", &script]).contains("shop"));
    home.good(&["run", &script]);
    assert!(home.good(&["run", &script, "ready"]).contains('3'));
    let without = text
        .replace(
            "components: [manifests",
            "components: when(false, [manifests",
        )
        .replace("\"shop\" })],", "\"shop\" })]),");
    home.write("c.rhai", &without);
    home.good(&["run", &script, "--yes"]);
    assert!(home.good(&["run", &script, "gone"]).contains("true"));
}
