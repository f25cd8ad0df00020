//! KWOK's own kinds, seen by a client: stages that users write, and what containers print.

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{Api, ListParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use ksail::embedded::audit::{Audit, Policy};
use ksail::embedded::store::Store;
use ksail::embedded::{InProcess, Settings};

use crate::control_plane::on_a_cluster;

async fn ask(cluster: &InProcess, method: &str, path: &str, body: &Value) -> (u16, String) {
    let body = match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let request = Request::builder().method(method).uri(path).body(body);
    let response = cluster.call(request.unwrap()).await;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8_lossy(&body).into_owned())
}

async fn create(cluster: &InProcess, path: &str, body: Value) {
    let (code, said) = ask(cluster, "POST", path, &body).await;
    assert_eq!(code, 201, "{said}");
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"nodeName": "one", "containers": [{"name": "main", "image": "x"}]},
    })
}

const STAGES: &str = "/apis/kwok.x-k8s.io/v1alpha1/stages";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[test]
fn users_stages_drive_pods_in_place_of_those_built_in() {
    on_a_cluster(1, |cluster| async move {
        create(&cluster, STAGES, json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage",
            "metadata": {"name": "pod-fails"},
            "spec": {
                "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
                "selector": {
                    "matchLabels": {"app": "sad"},
                    "matchExpressions": [{"key": ".status.phase", "operator": "In", "values": ["Pending"]}],
                },
                "weight": 1,
                "delay": {"durationMilliseconds": 5, "jitterDurationMilliseconds": 10},
                "next": {"event": {"type": "Warning", "reason": "Broke", "message": "it fell apart"},
                    "statusTemplate": "phase: Failed\nreason: {{ .metadata.name | Quote }}\nstartTime: {{ Now | Quote }}\ncontainerStatuses:\n{{ range .spec.containers }}\n- {name: {{ .name }}, image: {{ .image }}, imageID: \"\", ready: false, restartCount: 3}\n{{ end }}\n"},
            },
        })).await;
        create(
            &cluster,
            "/api/v1/nodes",
            json!({"metadata": {"name": "one"}}),
        )
        .await;
        create(&cluster, PODS, pod("sad")).await;
        create(&cluster, PODS, pod("left")).await;
        let pods: Api<Pod> = Api::default_namespaced(cluster.client());
        let failed = |pod: Option<&Pod>| {
            let status = pod.and_then(|pod| pod.status.as_ref());
            status.and_then(|status| status.phase.as_deref()) == Some("Failed")
        };
        let sad = await_condition(pods.clone(), "sad", failed)
            .await
            .unwrap()
            .unwrap();
        let status = sad.status.unwrap();
        assert_eq!(status.reason.as_deref(), Some("sad"));
        assert_eq!(status.container_statuses.unwrap()[0].restart_count, 3);
        let events: Api<Event> = Api::default_namespaced(cluster.client());
        let broke = ListParams::default().fields("reason=Broke");
        let told = &events.list(&broke).await.unwrap().items[0];
        assert_eq!(told.type_.as_deref(), Some("Warning"));
        assert_eq!(told.message.as_deref(), Some("it fell apart"));
        // No stage takes it, and what is built in stands back.
        let left = pods.get("left").await.unwrap().status.unwrap();
        assert_eq!(left.phase.as_deref(), Some("Pending"));
        // Nodes have no stage, so they live as ever.
        let nodes: Api<Node> = Api::all(cluster.client());
        let ready = |node: Option<&Node>| {
            let conditions = node.and_then(|node| node.status.as_ref()?.conditions.as_ref());
            conditions
                .is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
        };
        await_condition(nodes, "one", ready).await.unwrap();
    });
}

#[test]
fn containers_print_what_logs_objects_say() {
    on_a_cluster(1, |cluster| async move {
        create(
            &cluster,
            "/api/v1/nodes",
            json!({"metadata": {"name": "one"}}),
        )
        .await;
        create(&cluster, PODS, pod("talks")).await;
        let log = format!("{PODS}/talks/log");
        let (code, said) = ask(&cluster, "GET", &log, &Value::Null).await;
        assert_eq!(code, 501);
        assert!(said.contains("Logs object of kwok.x-k8s.io"), "{said}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\ntwo\nthree\n").unwrap();
        create(&cluster, "/apis/kwok.x-k8s.io/v1alpha1/clusterlogs", json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs",
            "metadata": {"name": "all"},
            "spec": {"selector": {"matchNamespaces": ["default"]}, "logs": [{"containers": ["main"], "logsFile": file.path()}]},
        })).await;
        let (code, said) = ask(&cluster, "GET", &log, &Value::Null).await;
        assert_eq!((code, said.as_str()), (200, "one\ntwo\nthree\n"));
        let (_, said) = ask(&cluster, "GET", &format!("{log}?tailLines=1"), &Value::Null).await;
        assert_eq!(said, "three\n");
    });
}

#[test]
fn requests_are_written_down_by_a_policy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let policy = json!({
        "omitManagedFields": true,
        "rules": [
            {"level": "None", "verbs": ["get"]},
            {"level": "RequestResponse", "resources": [{"resources": ["configmaps"]}], "omitStages": ["RequestReceived"]},
            {"level": "Metadata"},
        ],
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let policy = Policy::read(&policy).unwrap();
        let settings = Settings {
            audit: Some(Audit::open(policy, &file).unwrap()),
            ..Settings::default()
        };
        let cluster = InProcess::with(Store::in_memory(), settings).await.unwrap();
        let maps = "/api/v1/namespaces/default/configmaps";
        create(
            &cluster,
            maps,
            json!({"metadata": {"name": "one"}, "data": {"a": "b"}}),
        )
        .await;
        ask(&cluster, "GET", &format!("{maps}/one"), &Value::Null).await;
        ask(&cluster, "DELETE", "/api/v1/nodes/none", &Value::Null).await;
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [made, asked, refused] = events.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(
        (&made["stage"], &made["verb"]),
        (&json!("ResponseComplete"), &json!("create"))
    );
    assert_eq!(made["user"]["username"], "kubernetes-admin");
    assert_eq!(made["objectRef"]["resource"], "configmaps");
    assert_eq!(made["requestObject"]["data"]["a"], "b");
    assert_eq!(made["responseObject"]["metadata"]["name"], "one");
    assert!(
        made["responseObject"]["metadata"]
            .get("managedFields")
            .is_none()
    );
    assert_eq!(asked["stage"], "RequestReceived");
    assert_eq!(refused["responseStatus"]["code"], 404);
    assert_eq!(asked["auditID"], refused["auditID"]);
    assert!(refused.get("requestObject").is_none());
}

#[test]
fn stages_that_a_definition_names_drive_its_pods() {
    let home = crate::home::Home::new();
    let stage = r#"
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: pods-fail }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
    - { key: '.status.phase', operator: NotIn, values: ["Failed"] }
  next:
    statusTemplate: |
      phase: Failed
      reason: AsAsked
      conditions: [{ type: Ready, status: "True" }]
"#;
    home.write("stages.yaml", stage);
    let script = r#"cluster("dev", #{
    distribution: kwok(#{ config: "stages.yaml" }), provider: embedded(),
    after_create: |c| {
        c.apply(#{ apiVersion: "v1", kind: "Pod", metadata: #{ name: "one", namespace: "default" },
            spec: #{ containers: [#{ name: "a", image: "b" }] } });
        c.wait("pod/one", "Ready", "30s");
        if c.get("pod/one").status.reason != "AsAsked" { throw "the stage was not used"; }
    },
})"#;
    let script = home.write("cluster.rhai", script).display().to_string();
    home.good(&["run", &script]);
    assert!(home.good(&["run", &script]).contains("nothing to change"));
}
