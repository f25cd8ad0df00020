//! The embedded API beside recorded answers of a real server.
//!
//! `embedded/requests.json` are asked in order; `embedded/answers.json` is what Kubernetes 1.35.4 said to them, kept by
//! `scripts/record-answers`. Differences that are known are listed below with their reason; the list should shrink.

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use ksail::embedded::InProcess;
use serde_json::{Map, Value, json};

/// Cases whose answers differ, and why.
const KNOWN: &[(&str, &str)] = &[
    (
        "another kind in the body",
        "the real server names its own conversion",
    ),
    (
        "no such group",
        "the real server answers in plain text, which clients cannot read",
    ),
    (
        "apply without a manager",
        "what is wrong with options has no causes yet",
    ),
    (
        "a daemon set, tried",
        "the deprecated annotation is not kept",
    ),
    (
        "a cron job, tried",
        "empty metadata of templates is not written out",
    ),
    (
        "a match without a revision",
        "what is wrong with options has no causes yet",
    ),
    ("deleted only with this uid", "the message names uids"),
    (
        "a propagation that is none",
        "what is wrong with options has no causes yet",
    ),
    (
        "may somebody do something",
        "nobody keeps account of fields of a question",
    ),
];

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
                    "uid" | "resourceVersion" | "creationTimestamp" | "time" | "storageVersionHash"
                );
                if !changing {
                    out.insert(name.clone(), plain(value));
                }
            }
            Value::Object(out)
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

async fn ask(server: &InProcess, case: &Value) -> (u16, Value) {
    let text = |name: &str| case.get(name).and_then(Value::as_str);
    let body = case
        .get("body")
        .map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    let request = Request::builder()
        .method(text("method").unwrap())
        .uri(text("path").unwrap())
        .header("content-type", text("type").unwrap_or("application/json"))
        .header("accept", "application/json")
        .header("user-agent", "answers/1")
        .body(body)
        .unwrap();
    let response = server.call(request).await;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let answer = serde_json::from_slice(&body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (code, answer)
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
        let (code, answer) = ask(&server, case).await;
        let name = case["name"].as_str().unwrap();
        let same = json!(code) == expected["code"] && plain(&answer) == plain(&expected["answer"]);
        let known = known.iter().any(|(known, _)| *known == name);
        if same == known {
            let what = if same { "is right now" } else { "differs" };
            let theirs = plain(&expected["answer"]);
            wrong.push(format!(
                "{name} {what}:\n  real {} {theirs}\n  ours {code} {}",
                expected["code"],
                plain(&answer)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
