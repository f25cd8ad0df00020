//! Webhooks of the embedded control plane: one that runs here, one that nobody runs, and one behind a simulated service.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ksail::embedded::InProcess;
use serde_json::{Value, json};

/// Answers reviews: labels what it may change, refuses what is named `no`.
async fn review(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    if path == "/convert" {
        return Ok(Response::new(Full::new(Bytes::from(
            converted(&review).to_string(),
        ))));
    }
    let changes = path == "/mutate";
    let asked = &review["request"];
    let mut response = json!({"uid": asked["uid"], "allowed": true});
    if changes {
        let patch = json!([{"op": "add", "path": "/metadata/labels", "value": {"hooked": asked["operation"]}}]);
        let patch = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
        response["patch"] = patch.into();
        response["patchType"] = "JSONPatch".into();
    } else if asked["name"] == "no" {
        response["allowed"] = false.into();
        response["status"] = json!({"code": 403, "reason": "Forbidden", "message": "not this one"});
    } else {
        response["warnings"] = json!(["think twice"]);
    }
    let answer = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
    Ok(Response::new(Full::new(Bytes::from(answer.to_string()))))
}

/// Converts: what is `size` in v1 is `replicas` in v2; what is named `stuck` stays.
fn converted(review: &Value) -> Value {
    let (asked, mut result) = (&review["request"], json!({"status": "Success"}));
    let mut objects = asked["objects"].as_array().unwrap().clone();
    for object in &mut objects {
        if object["metadata"]["name"] == "stuck" {
            result = json!({"status": "Failed", "message": "it is stuck"});
        }
        object["apiVersion"] = asked["desiredAPIVersion"].clone();
        let spec = object["spec"].as_object_mut().unwrap();
        let (old, new) = match asked["desiredAPIVersion"].as_str().unwrap() {
            "example.com/v1" => ("replicas", "size"),
            _ => ("size", "replicas"),
        };
        let value = spec.remove(old).unwrap();
        spec.insert(new.into(), value);
    }
    let response = json!({"uid": asked["uid"], "convertedObjects": objects, "result": result});
    json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response})
}

/// Serves reviews over TLS; gives the address and the authority to trust.
async fn serve() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(socket).await {
                    let service = hyper::service::service_fn(review);
                    let serving = hyper::server::conn::http1::Builder::new();
                    let _ = serving
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            });
        }
    });
    let pem = base64::engine::general_purpose::STANDARD.encode(made.cert.pem());
    (address, pem)
}

async fn ask(server: &InProcess, method: &str, path: &str, body: &Value) -> (u16, Value, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let response = server.call(request).await;
    let code = response.status().as_u16();
    let warning = response.headers().get("warning");
    let warning = warning.map_or("", |w| w.to_str().unwrap()).to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap(), warning)
}

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn hook(kind: &str, name: &str, client: &Value, policy: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "webhooks": [{
            "name": format!("{name}.example.com"), "clientConfig": client, "failurePolicy": policy,
            "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        }],
    })
}

#[tokio::test]
async fn webhooks_change_refuse_and_fail_as_they_are_told_to() {
    let (address, pem) = serve().await;
    let server = InProcess::new().await.unwrap();
    let url = |path: &str| json!({"url": format!("https://{address}/{path}"), "caBundle": pem});
    let mutating = format!("{ADMISSION}/mutatingwebhookconfigurations");
    let validating = format!("{ADMISSION}/validatingwebhookconfigurations");
    let one = hook(
        "MutatingWebhookConfiguration",
        "labels",
        &url("mutate"),
        "Fail",
    );
    let (code, answer, _) = ask(&server, "POST", &mutating, &one).await;
    assert_eq!(code, 201, "{answer}");
    let two = hook(
        "ValidatingWebhookConfiguration",
        "names",
        &url("validate"),
        "Fail",
    );
    assert_eq!(ask(&server, "POST", &validating, &two).await.0, 201);

    let map = |name: &str| json!({"metadata": {"name": name}});
    let (code, answer, warning) = ask(&server, "POST", MAPS, &map("yes")).await;
    assert_eq!(code, 201, "{answer}");
    assert_eq!(answer["metadata"]["labels"]["hooked"], "CREATE");
    assert_eq!(warning, "299 - \"think twice\"");
    let (code, answer, _) = ask(&server, "POST", MAPS, &map("no")).await;
    assert_eq!(code, 403);
    assert_eq!(
        answer["message"],
        "admission webhook \"names.example.com\" denied the request: not this one"
    );

    // Nobody listens on this port, and nobody ever will behind a simulated service.
    let service = json!({"service": {"namespace": "default", "name": "kubernetes"}});
    for (client, part) in [
        (
            json!({"url": "https://127.0.0.1:1/x"}),
            "connection refused",
        ),
        (service, "are simulated and answer nothing"),
        (
            json!({"url": format!("https://{address}/validate"), "caBundle": other_authority()}),
            "certificate",
        ),
    ] {
        for policy in ["Fail", "Ignore"] {
            let three = hook("ValidatingWebhookConfiguration", "third", &client, policy);
            assert_eq!(ask(&server, "POST", &validating, &three).await.0, 201);
            let (code, answer, _) = ask(&server, "POST", MAPS, &map(&policy.to_lowercase())).await;
            if policy == "Fail" {
                assert_eq!(code, 500, "{answer}");
                let message = answer["message"].as_str().unwrap();
                let start = "Internal error occurred: failed calling webhook \"third.example.com\": failed to call webhook: Post ";
                assert!(
                    message.starts_with(start) && message.contains(part),
                    "{message}"
                );
            } else {
                assert_eq!(code, 201, "{answer}");
                let path = format!("{MAPS}/ignore");
                assert_eq!(ask(&server, "DELETE", &path, &json!({})).await.0, 200);
            }
            let path = format!("{validating}/third");
            assert_eq!(ask(&server, "DELETE", &path, &json!({})).await.0, 200);
        }
    }
}

#[tokio::test]
async fn custom_objects_are_converted_by_the_webhook_that_their_definition_names() {
    let (address, pem) = serve().await;
    let server = InProcess::new().await.unwrap();
    let version = |name: &str, field: &str, stored: bool| {
        json!({
            "name": name, "served": true, "storage": stored,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                "type": "object", "required": [field], "properties": {field: {"type": "integer"}},
            }}}},
        })
    };
    let client = json!({"url": format!("https://{address}/convert"), "caBundle": pem});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [version("v1", "size", false), version("v2", "replicas", true)],
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": client, "conversionReviewVersions": ["v1"],
            }},
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, answer, _) = ask(&server, "POST", definitions, &definition).await;
    assert_eq!(code, 201, "{answer}");

    let path = |version: &str| format!("/apis/example.com/{version}/namespaces/default/widgets");
    let old = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 3},
    });
    let (code, answer, _) = ask(&server, "POST", &path("v1"), &old).await;
    assert_eq!(
        (code, &answer["spec"]),
        (201, &json!({"size": 3})),
        "{answer}"
    );

    let one = |version: &str| format!("{}/a", path(version));
    let (code, answer, _) = ask(&server, "GET", &one("v2"), &json!({})).await;
    assert_eq!(
        (code, &answer["spec"]),
        (200, &json!({"replicas": 3})),
        "{answer}"
    );
    let (_, answer, _) = ask(&server, "GET", &path("v1"), &json!({})).await;
    assert_eq!(answer["items"][0]["spec"], json!({"size": 3}), "{answer}");

    // A write in one version is seen in the other.
    let (_, mut now, _) = ask(&server, "GET", &one("v1"), &json!({})).await;
    now["spec"]["size"] = 5.into();
    let (code, answer, _) = ask(&server, "PUT", &one("v1"), &now).await;
    assert_eq!(code, 200, "{answer}");
    let (_, answer, _) = ask(&server, "GET", &one("v2"), &json!({})).await;
    assert_eq!(answer["spec"], json!({"replicas": 5}), "{answer}");

    let mut stuck = old.clone();
    stuck["metadata"]["name"] = "stuck".into();
    let (code, answer, _) = ask(&server, "POST", &path("v1"), &stuck).await;
    assert_eq!(code, 500, "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains("conversion webhook for example.com/v1, Kind=Widget failed")
            && message.contains("it is stuck"),
        "{message}"
    );
}

fn other_authority() -> String {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    base64::engine::general_purpose::STANDARD.encode(made.cert.pem())
}
