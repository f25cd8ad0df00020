//! The call of a webhook: HTTPS, with the authority and the time that its configuration gives it.
//!
//! Behind services of a simulated cluster nobody listens, which is said as what it is; an `ExternalName` service leads
//! outside, as it does in a real cluster.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use super::text;
use crate::embedded::server::Server;

/// Knows how to call one webhook; the client is made when it is first needed.
pub(super) struct Caller {
    config: Value,
    timeout: u64,
    client: OnceLock<Result<reqwest::Client, String>>,
}

/// Where a call goes: the URL, and for a service the address that its name stands for.
struct Target {
    url: String,
    outside: Option<(String, String)>,
}

impl Caller {
    pub(super) fn new(hook: &Value) -> Self {
        let timeout = hook.get("timeoutSeconds").and_then(Value::as_u64);
        Self {
            config: hook.get("clientConfig").cloned().unwrap_or_default(),
            timeout: timeout.unwrap_or(10).clamp(1, 30),
            client: OnceLock::new(),
        }
    }

    /// Sends a review and reads the answer.
    pub(super) async fn call(&self, server: &Server, body: &Value) -> Result<Value, String> {
        let target = self.target(server)?;
        let between = if target.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{between}timeout={}s", target.url, self.timeout);
        let failed = |why: String| format!("Post {url:?}: {why}");
        let client = match &target.outside {
            None => self
                .client
                .get_or_init(|| self.client(None))
                .clone()
                .map_err(failed)?,
            Some((name, address)) => {
                let found = tokio::net::lookup_host(address).await;
                let found = found.ok().and_then(|mut all| all.next());
                let Some(found) = found else {
                    return Err(failed(format!("dial tcp: lookup {address}: no such host")));
                };
                self.client(Some((name, found))).map_err(failed)?
            }
        };
        let sent = client
            .post(&url)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(body.to_string())
            .send()
            .await;
        let response = sent.map_err(|error| failed(why(&error)))?;
        let code = response.status();
        let text = response
            .bytes()
            .await
            .map_err(|error| failed(why(&error)))?;
        if !code.is_success() {
            let said: String = String::from_utf8_lossy(&text).chars().take(200).collect();
            return Err(match said.trim() {
                "" => format!(
                    "the server responded with the status code {} but did not return more information",
                    code.as_u16()
                ),
                said => format!(
                    "an error on the server ({said:?}) has prevented the request from succeeding"
                ),
            });
        }
        serde_json::from_slice(&text).map_err(|error| format!("the answer is no JSON: {error}"))
    }

    fn target(&self, server: &Server) -> Result<Target, String> {
        if let Some(url) = self.config.get("url").and_then(Value::as_str) {
            return Ok(Target {
                url: url.to_owned(),
                outside: None,
            });
        }
        let service = self.config.get("service").unwrap_or(&Value::Null);
        let (namespace, name) = (text(service, "/namespace"), text(service, "/name"));
        let port = service.get("port").and_then(Value::as_u64).unwrap_or(443);
        let host = format!("{name}.{namespace}.svc");
        let path = text(service, "/path").trim_start_matches('/');
        let url = format!("https://{host}:{port}/{path}");
        let found = server
            .kind("", "services")
            .and_then(|kind| server.get(&kind, namespace, name));
        let Some(found) = found else {
            return Err(format!("Post {url:?}: service {name:?} not found"));
        };
        let found = found.value();
        if text(&found, "/spec/type") == "ExternalName" {
            let address = format!("{}:{port}", text(&found, "/spec/externalName"));
            return Ok(Target {
                url,
                outside: Some((host, address)),
            });
        }
        Err(format!(
            "Post {url:?}: the pods behind service {namespace}/{name} are simulated and answer nothing; use a url, or a service of type ExternalName that leads to a running webhook"
        ))
    }

    fn client(
        &self,
        outside: Option<(&str, std::net::SocketAddr)>,
    ) -> Result<reqwest::Client, String> {
        // Whoever was first has chosen; both are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(self.timeout))
            .redirect(reqwest::redirect::Policy::none());
        if let Some((name, address)) = outside {
            builder = builder.resolve(name, address);
        }
        let bundle = text(&self.config, "/caBundle");
        if !bundle.is_empty() {
            let pem = base64::engine::general_purpose::STANDARD
                .decode(bundle)
                .map_err(|_| "the caBundle is no base64".to_owned())?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| {
                "unable to load root certificates: unable to parse bytes as PEM block".to_owned()
            })?;
            builder = builder.tls_certs_only(authorities);
        }
        builder.build().map_err(|error| why(&error))
    }
}

/// Why a call failed, in the words of the real server where there are such.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "context deadline exceeded".to_owned();
    }
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let all = causes.join(": ");
    let has = |text: &str| all.contains(text);
    if has("UnknownIssuer") {
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            .to_owned();
    }
    if has("Connection refused") {
        return "connect: connection refused".to_owned();
    }
    causes.pop().unwrap_or_default()
}
