//! The embedded API beside recorded answers of a real server.
//!
//! `embedded/requests.json` are asked in order; `embedded/answers.json` is what Kubernetes 1.35.4 said to them, kept by
//! `scripts/record-answers`. Differences that are known are listed below with their reason; the list should shrink.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use ksail::embedded::InProcess;
use regex::Regex;
use serde_json::{Map, Value, json};

/// Cases whose answers differ, and why.
const KNOWN: &[(&str, &str)] = &[
    (
        "an autoscaler of version 1, tried",
        "versions are not converted into each other yet",
    ),
    (
        "a network policy, tried",
        "a selector that says nothing is noted as said",
    ),
    (
        "a class of volume attributes, tried",
        "classes in use are not protected by a finalizer",
    ),
    (
        "a revision, tried",
        "the data of a revision is owned piece by piece",
    ),
    (
        "a node, tried",
        "nodes are made ready at once, without a taint before",
    ),
    (
        "a list as an object",
        "the message shows a type of the real server's language",
    ),
    (
        "a bad token",
        "the message shows what the real server's decoder met",
    ),
    (
        "an unknown field in a patch, strictly",
        "the message holds the whole object as the real server writes it",
    ),
    ("an applied status", "controllers own no fields of a status"),
    (
        "a pod's container is renamed",
        "the message ends with a comparison of internal structures",
    ),
    (
        "a claim's size is changed",
        "the message ends with a comparison of internal structures",
    ),
    (
        "component states",
        "there are no component states, and they are named by their plural",
    ),
    (
        "a shirt with everything wrong",
        "a negative scale is not told of a second time",
    ),
    (
        "a shirt of wrong types",
        "a value of the wrong type is not compared with those allowed",
    ),
    (
        "a definition without a stored version",
        "the message shows internal structures",
    ),
    (
        "the definition is deleted",
        "definitions go at once, without a finalizer",
    ),
    ("the end of answers-class", "the answer shows when it went"),
    (
        "all groups",
        "the group that describes simulations is there as well",
    ),
    (
        "all groups at once",
        "the group that describes simulations is there as well",
    ),
];

/// What differs from run to run inside texts, and what stands for it.
const CHANGING: &[(&str, &str)] = &[
    ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"\b10\.(9[6-9]|10\d|11[01])\.\d+\.\d+\b", "ADDRESS"),
    ("kube-api-access-[a-z0-9]{5}", "kube-api-access-SUFFIX"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"^\d+[smhd](\d+[smh])?$", "AGE"),
    (r"current: \d+", "current: REVISION"),
    (r#"\\"resourceVersion\\":\\"\d+"#, "REVISION"),
];

/// The same, ready to be looked for.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let each = CHANGING.iter();
    each.map(|(changing, instead)| (Regex::new(changing).unwrap(), *instead))
        .collect()
});

/// Takes out what differs from run to run.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut out = Map::new();
            // A definition is established by the time its creation is answered, so its status says so already.
            let defined = object
                .get("kind")
                .is_some_and(|kind| kind == "CustomResourceDefinition");
            for (name, value) in object
                .iter()
                .filter(|(name, _)| !defined || *name != "status")
            {
                let changing = matches!(
                    name.as_str(),
                    "uid"
                        | "resourceVersion"
                        | "creationTimestamp"
                        | "time"
                        | "storageVersionHash"
                        | "continue"
                );
                if !changing {
                    out.insert(name.clone(), plain(value));
                }
            }
            // What controllers say of a deployment comes some time later, and they keep no account of it here.
            if out.get("kind") == Some(&"Deployment".into()) && out.contains_key("metadata") {
                out.shift_remove("status");
            }
            if let Some(Value::Array(entries)) = out.get_mut("managedFields") {
                entries.retain(|entry| {
                    entry["subresource"] != "status"
                        || entry["manager"] != "kube-controller-manager"
                });
            }
            // Whole objects are kept as text, so they say in lists what they are.
            if let Some(Value::Array(items)) = out.get_mut("items") {
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    item.shift_remove("kind");
                    item.shift_remove("apiVersion");
                }
            }
            // The real server goes through maps in any order.
            if let Some(Value::Array(causes)) = out.get_mut("causes") {
                causes.sort_by_key(Value::to_string);
            }
            Value::Object(out)
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::String(text) => {
            let mut text = text.clone();
            for (changing, instead) in PATTERNS.iter() {
                text = changing.replace_all(&text, *instead).into_owned();
            }
            if let Some((before, list)) = text.split_once(" is invalid: [") {
                let mut list: Vec<&str> = list.trim_end_matches(']').split(", ").collect();
                list.sort_unstable();
                text = format!("{before} is invalid: [{}]", list.join(", "));
            }
            text.into()
        }
        other => other.clone(),
    }
}

async fn ask(server: &InProcess, case: &Value) -> Value {
    let text = |name: &str| case.get(name).and_then(Value::as_str);
    let body = match (case.get("body"), text("text")) {
        (Some(body), _) => Bytes::from(body.to_string()),
        (None, Some(text)) => Bytes::from(text.to_owned()),
        (None, None) => Bytes::new(),
    };
    let mut request = Request::builder()
        .method(text("method").unwrap())
        .uri(text("path").unwrap())
        .header("content-type", text("type").unwrap_or("application/json"))
        .header("accept", text("accept").unwrap_or("application/json"))
        .header("user-agent", "answers/1");
    if let Some(user) = text("as") {
        request = request.header("impersonate-user", user);
    }
    let response = server.call(request.body(body).unwrap()).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let answer: Value = match body.first() {
        Some(b'{') => serde_json::from_slice(&body).unwrap(),
        _ => String::from_utf8_lossy(&body).into_owned().into(),
    };
    let mut said = json!({"name": case["name"], "code": head.status.as_u16(), "answer": answer});
    let warnings: Vec<&str> = head
        .headers
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    if !warnings.is_empty() {
        said["warnings"] = json!(warnings);
    }
    said
}

#[tokio::test]
async fn answers_as_the_real_server_does() {
    let requests = include_str!("embedded/requests.json");
    let answers = include_str!("embedded/answers.json");
    compare(requests, answers, KNOWN).await;
}

/// Asks requests in order and compares with recorded answers; those known to differ must do so.
pub(crate) async fn compare(requests: &str, answers: &str, known: &[(&str, &str)]) {
    let requests: Vec<Value> = serde_json::from_str(requests).unwrap();
    let answers: Vec<Value> = serde_json::from_str(answers).unwrap();
    assert_eq!(requests.len(), answers.len(), "record the answers again");
    let server = InProcess::new().await.unwrap();
    let mut wrong = Vec::new();
    for (case, expected) in requests.iter().zip(&answers) {
        // Controllers have their turn between two requests.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let (real, ours) = (plain(expected), plain(&ask(&server, case).await));
        let name = case["name"].as_str().unwrap();
        let known = known.iter().any(|(known, _)| *known == name);
        if (real == ours) == known {
            let what = if known { "is right now" } else { "differs" };
            wrong.push(format!("{name} {what}:\n  real {real}\n  ours {ours}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        answers.len(),
        wrong.join("\n")
    );
}
