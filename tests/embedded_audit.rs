//! The audit log of an embedded cluster, from the script that asks for it to the lines in the file.

use serde_json::{Value, json};

use crate::home::{Home, text};

fn script(home: &Home, audit: &str) -> String {
    let definition = format!(
        "cluster(\"dev\", #{{ distribution: kwok(), provider: embedded(#{{ audit: \"{audit}\" }}) }})"
    );
    home.write("c.rhai", &definition).display().to_string()
}

fn cluster(home: &Home, context: &str) -> ksail::embedded::home::Home {
    let folder = home.path(&format!("state/clusters/{context}/embedded"));
    ksail::embedded::home::Home::open(&folder).unwrap()
}

fn events(home: &Home, context: &str) -> Vec<Value> {
    let lines = std::fs::read_to_string(cluster(home, context).audit_log()).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Asks a cluster for something; the code of the answer.
async fn ask(home: &Home, context: &str, request: http::Request<Vec<u8>>) -> u16 {
    let cluster = cluster(home, context);
    let (certificate, key) = cluster.admin().unwrap();
    let access = ksail::world::Access {
        server: cluster.url(),
        authority: cluster.authority().unwrap(),
        certificate,
        key,
    };
    let client = ksail::k8s::connect(&access).await.unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(other) => panic!("{other}"),
    }
}

/// What was decided about a request with a mark in its path, and with which code it was answered.
fn decided(events: &[Value], mark: &str) -> (u64, String) {
    let is_it = |event: &&Value| {
        let uri = event["requestURI"].as_str().unwrap();
        uri.ends_with(mark) && event["stage"] == "ResponseComplete"
    };
    let event = events.iter().find(is_it).unwrap();
    let decision = &event["annotations"]["authorization.k8s.io/decision"];
    let code = event["responseStatus"]["code"].as_u64().unwrap();
    (code, decision.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_a_script_asks_for_is_written_down_and_a_fork_goes_on_with_it() {
    let home = Home::new();
    home.good(&["run", &script(&home, "Metadata")]);
    let begun = events(&home, "embedded-dev");
    let about_nodes =
        |event: &Value| event["objectRef"]["resource"] == "nodes" && event["level"] == "Metadata";
    assert!(begun.iter().any(about_nodes), "{begun:?}");

    home.good(&["cluster", "fork", "dev", "other"]);
    for context in ["embedded-dev", "embedded-other"] {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "noted"}});
        let maps = |mark: &str| {
            http::Request::post(format!(
                "/api/v1/namespaces/default/configmaps?pretty={mark}"
            ))
            .header("content-type", "application/json")
        };
        let body = || map.to_string().into_bytes();
        let allowed = maps("allowed").body(body()).unwrap();
        assert_eq!(ask(&home, context, allowed).await, 200);
        let nobody = maps("nobody").header("impersonate-user", "nobody");
        assert_eq!(ask(&home, context, nobody.body(body()).unwrap()).await, 403);
        let kept = http::Request::delete("/api/v1/namespaces/kube-system?pretty=kept");
        assert_eq!(
            ask(&home, context, kept.body(Vec::new()).unwrap()).await,
            403
        );

        let events = events(&home, context);
        let is = |code: u64, decision: &str| (code, decision.to_owned());
        assert_eq!(decided(&events, "allowed"), is(201, "allow"));
        assert_eq!(decided(&events, "nobody"), is(403, "forbid"));
        // Whoever asked had the right to; admission refused all the same.
        assert_eq!(decided(&events, "kept"), is(403, "allow"));
    }
}

#[test]
fn another_policy_is_a_change_of_the_cluster() {
    let home = Home::new();
    home.good(&["run", &script(&home, "Metadata")]);
    let plan = |audit: &str| home.ksail(&["plan", "--detailed-exitcode", &script(&home, audit)]);
    let same = plan("Metadata");
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
    let other = plan("Request");
    assert_eq!(other.status.code(), Some(2), "{}", text(&other));
    assert!(text(&other).contains("provider.audit"), "{}", text(&other));
    // Like the port it is settled when the cluster is made, so it wants consent.
    let script = script(&home, "Request");
    assert!(!home.ksail(&["run", &script]).status.success());
    home.good(&["run", "--yes", &script]);
    let levels = events(&home, "embedded-dev");
    let all = levels.iter().all(|event| event["level"] == "Request");
    assert!(all && !levels.is_empty(), "{levels:?}");
}
