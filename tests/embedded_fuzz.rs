//! The embedded API against broken and hostile requests: every answer is one that a client understands, and nothing panics.
//!
//! A target for each thing that is parsed of a request; what is parsed of objects (schedules, quantities, CEL, stages …) has its
//! own beside the parser.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use ksail::embedded::InProcess;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::fuzz;

/// How many targets share the time.
const TARGETS: u32 = 6;

/// Pieces that mean something to one parser or another of the API.
const WORDS: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "labels",
    "spec",
    "status",
    "data",
    "apiVersion",
    "kind",
    "v1",
    "Pod",
    "ConfigMap",
    "containers",
    "image",
    "managedFields",
    "fieldsV1",
    "ownerReferences",
    "finalizers",
    "$patch",
    "delete",
    "replace",
    "$setElementOrder/containers",
    "$retainKeys",
    "op",
    "add",
    "remove",
    "test",
    "move",
    "copy",
    "path",
    "from",
    "value",
    "/metadata/labels",
    "/spec/containers/0",
    "/-",
    "~0",
    "~1",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "null",
    "true",
    "1e999",
    "-1",
    "9223372036854775808",
    "- ",
    "\n",
    "\n  ",
    "&a ",
    "*a",
    "!!binary ",
    "|\n",
    "k8s\u{0}",
    "\u{feff}",
    "in",
    "notin",
    "(",
    ")",
    "=",
    "==",
    "!=",
    "!",
    ">",
    "<",
    "&",
    "?",
    "%",
    "%00",
    "%zz",
    "/",
    "//",
    "..",
    "app",
    "a=b",
    "labelSelector=",
    "fieldSelector=",
    "metadata.name=",
    "limit=",
    "continue=",
    "resourceVersion=",
    "resourceVersionMatch=",
    "watch=",
    "timeoutSeconds=1",
    "sendInitialEvents=",
    "allowWatchBookmarks=",
    "dryRun=",
    "All",
    "fieldManager=",
    "fieldValidation=",
    "Strict",
    "force=",
    "propagationPolicy=",
    "gracePeriodSeconds=",
    "eyJ",
    "eyJhbGciOiJFUzI1NiJ9.",
    ".",
    "api",
    "apis",
    "apps",
    "namespaces",
    "default",
    "pods",
    "deployments",
    "scale",
    "log",
    "eviction",
    "binding",
    "token",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    ";as=Table",
    ";g=meta.k8s.io;v=v1",
    ";q=0",
    "*/*",
    "gzip",
    "é",
    "\u{10ffff}",
];

/// A control plane with something in it.
struct Target {
    runtime: Runtime,
    server: InProcess,
}

impl Target {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(async { InProcess::new().await.unwrap() });
        let this = Self { runtime, server };
        let map = json!({"metadata": {"name": "map"}, "data": {"a": "b"}}).to_string();
        this.ask(
            "POST",
            "/api/v1/namespaces/default/configmaps",
            "application/json",
            "",
            map.into(),
        );
        let pod = json!({"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let pods = "/api/v1/namespaces/default/pods";
        this.ask("POST", pods, "application/json", "", pod.to_string().into());
        this
    }

    /// Asks, and holds the answer to what every answer must be.
    fn ask(&self, method: &str, path: &str, media: &str, accept: &str, body: Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .header("accept", accept)
            .body(Bytes::from(body));
        // What HTTP itself does not let through never gets to the server.
        let Ok(request) = request else { return };
        self.runtime.block_on(async {
            let (head, body) = self.server.call(request).await.into_parts();
            if head.status.is_success() || head.status == StatusCode::NOT_MODIFIED {
                return;
            }
            let text = body.collect().await.unwrap().to_bytes();
            let Ok(status) = serde_json::from_slice::<Value>(&text) else {
                // Paths that are about no object answer in plain text.
                assert!(head.status.is_client_error() && std::str::from_utf8(&text).is_ok());
                return;
            };
            assert_eq!(status["kind"], "Status", "{method} {path}: {status}");
            assert_eq!(
                status["code"],
                head.status.as_u16(),
                "{method} {path}: {status}"
            );
            assert_ne!(
                status["reason"], "InternalError",
                "{method} {path}: {status}"
            );
        });
    }
}

/// The bodies of the requests whose answers are compared with a real server's.
fn bodies() -> Vec<Vec<u8>> {
    let requests: Vec<Value> =
        serde_json::from_str(include_str!("embedded/requests.json")).unwrap();
    let bodies = requests.iter().filter_map(|request| request.get("body"));
    let bodies: Vec<Vec<u8>> = bodies.map(|body| body.to_string().into_bytes()).collect();
    assert!(bodies.len() > 100);
    bodies
}

const COLLECTIONS: &[&str] = &[
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/services",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/authentication.k8s.io/v1/tokenreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    "/api/v1/namespaces/default/pods/pod/eviction",
    "/api/v1/namespaces/default/pods/pod/binding",
    "/api/v1/namespaces/default/serviceaccounts/default/token",
];

#[test]
fn bodies_of_any_kind_are_refused_in_words() {
    let target = Target::new();
    let body = prop_oneof![fuzz::damaged(bodies()), fuzz::soup(WORDS)];
    let media = proptest::sample::select(vec![
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/cbor",
        "text/plain",
    ]);
    let place = proptest::sample::select(COLLECTIONS.to_vec());
    fuzz::run(&(place, media, body), TARGETS, |(place, media, body)| {
        target.ask("POST", place, media, "application/json", body);
    });
}

#[test]
fn protobuf_of_any_bytes_is_refused_in_words() {
    let target = Target::new();
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    let place = proptest::sample::select(COLLECTIONS.to_vec());
    fuzz::run(&(place, body), TARGETS, |(place, body)| {
        let body = [&b"k8s\0"[..], &body].concat();
        target.ask(
            "POST",
            place,
            "application/vnd.kubernetes.protobuf",
            "application/json",
            body,
        );
    });
}

#[test]
fn patches_of_any_kind_are_refused_in_words() {
    let target = Target::new();
    let body = prop_oneof![fuzz::damaged(bodies()), fuzz::soup(WORDS)];
    let media = proptest::sample::select(vec![
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ]);
    let place = proptest::sample::select(vec![
        "/api/v1/namespaces/default/configmaps/map?fieldManager=f&dryRun=All",
        "/api/v1/namespaces/default/pods/pod?fieldManager=f&force=true&dryRun=All",
        "/api/v1/namespaces/default/pods/pod/status?fieldManager=f&dryRun=All",
    ]);
    fuzz::run(&(place, media, body), TARGETS, |(place, media, body)| {
        target.ask("PATCH", place, media, "application/json", body);
    });
}

#[test]
fn queries_and_paths_of_any_kind_are_refused_in_words() {
    let target = Target::new();
    let method = proptest::sample::select(vec!["GET", "DELETE", "HEAD", "PUT"]);
    let paths = fuzz::soup(WORDS);
    fuzz::run(
        &(method, paths, any::<bool>()),
        TARGETS,
        |(method, text, is_query)| {
            let text: String = String::from_utf8_lossy(&text)
                .chars()
                .filter(|c| {
                    c.is_ascii_graphic()
                        && !matches!(
                            c,
                            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '#'
                        )
                })
                .take(4000)
                .collect();
            let path = match is_query {
                // A watch would not end.
                true => format!(
                    "/api/v1/namespaces/none/pods?{}",
                    text.replace("watch=", "x=")
                ),
                false => format!("/{}", text.replace("watch=", "x=")),
            };
            target.ask(
                method,
                &path,
                "application/json",
                "application/json",
                Vec::new(),
            );
        },
    );
}

#[test]
fn forms_of_any_name_are_refused_in_words() {
    let target = Target::new();
    fuzz::run(&fuzz::soup(WORDS), TARGETS, |accept| {
        let accept: String = String::from_utf8_lossy(&accept)
            .chars()
            .filter(char::is_ascii_graphic)
            .take(2000)
            .collect();
        for path in [
            "/api/v1/namespaces/default/pods",
            "/apis",
            "/openapi/v3",
            "/api/v1",
        ] {
            target.ask("GET", path, "application/json", &accept, Vec::new());
        }
    });
}

#[test]
fn tokens_of_any_kind_are_refused_in_words() {
    let target = Target::new();
    fuzz::run(&fuzz::soup(WORDS), TARGETS, |token| {
        let token = String::from_utf8_lossy(&token).into_owned();
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let place = "/apis/authentication.k8s.io/v1/tokenreviews";
        target.ask(
            "POST",
            place,
            "application/json",
            "application/json",
            body.to_string().into(),
        );
    });
}
