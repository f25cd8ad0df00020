//! One request to a key service, and what its failure means.
//!
//! No redirects are followed (a token would travel along), answers are bounded, and no answer's text goes into a message
//! beyond the service's own error sentence.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::diag::Code;
use crate::diag::codes::cipher::{BROKEN_SEALED_KEY, SERVICE_ANSWER};
use crate::error::{Error, Result};

/// An answer has some kilobytes; a broken server could send more.
const ANSWER_LIMIT: usize = 1 << 20;

/// A metadata service is on the same machine: off it, nobody should wait for long.
pub(super) const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// Vault has sentences only, and the same status for all of them; these are those of OpenBao 2.7.
const NO_KEY_IN_VAULT: &str = "encryption key not found";
const BROKEN_IN_VAULT: [&str; 2] = ["invalid ciphertext", "message authentication failed"];

/// The name of a service and its codes.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) no_credentials: &'static Code,
    pub(super) denied: &'static Code,
    pub(super) unknown: &'static Code,
    pub(super) unreachable: &'static Code,
}

impl Service {
    /// Says that there are no credentials, with what was tried.
    pub(super) fn no_credentials(&self, tried: &str) -> Error {
        Error::new(
            self.no_credentials,
            format!("there are no credentials for {}", self.name),
        )
        .help(format!("looked at {tried}"))
    }

    /// Says that an answer makes no sense.
    pub(super) fn odd(&self, what: &str) -> Error {
        Error::new(
            &SERVICE_ANSWER,
            format!("the answer of {} cannot be used: {what}", self.name),
        )
    }

    /// Says that the locked text is none of this service's.
    pub(super) fn damaged(&self) -> Error {
        Error::new(
            &BROKEN_SEALED_KEY,
            format!("the data key locked by {} cannot be read", self.name),
        )
    }

    /// Sends a request and gives the text of a good answer.
    pub(super) async fn text(&self, request: RequestBuilder) -> Result<String> {
        let mut answer = request.send().await.map_err(|cause| {
            let host = cause.url().and_then(|url| url.host_str()).unwrap_or("it");
            Error::new(
                self.unreachable,
                format!("{} cannot be reached: {host} does not answer", self.name),
            )
            .because(cause.without_url())
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|cause| self.odd("it was cut off").because(cause.without_url()))?
        {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(self.odd("it is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        Err(self.refusal(status, &text))
    }

    /// Sends a request and reads the good answer as JSON.
    pub(super) async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let text = self.text(request).await?;
        serde_json::from_str(&text).map_err(|cause| self.odd("it is no JSON").because(cause))
    }

    /// Gives a text field of an answer by its JSON pointer.
    pub(super) fn field(&self, answer: &Value, pointer: &str) -> Result<String> {
        answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| self.odd(&format!("`{pointer}` is missing")))
    }

    fn refusal(&self, status: StatusCode, text: &str) -> Error {
        let (kind, reason) = reason(text);
        let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
        let code = if has(&["NotFound", "NOT_FOUND"])
            || status == StatusCode::NOT_FOUND
            || reason == NO_KEY_IN_VAULT
        {
            self.unknown
        } else if has(&[
            "AccessDenied",
            "UnrecognizedClient",
            "InvalidSignature",
            "Expired",
            "InvalidClientToken",
        ]) || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        {
            self.denied
        } else if has(&["InvalidCiphertext"])
            || BROKEN_IN_VAULT.iter().any(|word| reason.contains(word))
        {
            &BROKEN_SEALED_KEY
        } else if status.is_server_error() {
            self.unreachable
        } else {
            &SERVICE_ANSWER
        };
        let status = status.as_u16();
        let mut message = format!("{} refused with status {status}", self.name);
        if !reason.is_empty() {
            message = format!("{message}: {reason}");
        }
        Error::new(code, message)
    }
}

/// Finds the kind of an error and its sentence in the forms that the services have.
fn reason(text: &str) -> (String, String) {
    let clean = |text: &str| -> String {
        text.chars()
            .filter(|c| !c.is_control())
            .take(300)
            .collect::<String>()
            .trim_end_matches('.')
            .to_owned()
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        let kind = tag(text, "Code").unwrap_or_default();
        let message = tag(text, "Message").unwrap_or_default();
        return (clean(kind), clean(message));
    };
    let at = |pointers: &[&str]| -> String {
        pointers
            .iter()
            .find_map(|pointer| value.pointer(pointer).and_then(Value::as_str))
            .map(clean)
            .unwrap_or_default()
    };
    let kind = at(&["/__type", "/error/status", "/error/code", "/error"]);
    let message = at(&[
        "/message",
        "/Message",
        "/error/message",
        "/error_description",
        "/errors/0",
    ]);
    (kind, message)
}

/// Gives the text of the first XML element with this name.
pub(super) fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = after.split_once(&format!("</{name}>"))?;
    Some(inner)
}

/// Makes the client that all services share.
pub(super) fn client() -> Result<Client> {
    build(builder())
}

/// What every client has.
pub(super) fn builder() -> ClientBuilder {
    // A second installation fails and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
}

/// Makes a client.
pub(super) fn build(builder: ClientBuilder) -> Result<Client> {
    builder.build().map_err(|cause| {
        Error::new(&SERVICE_ANSWER, "cannot prepare requests to key services").because(cause)
    })
}

/// Writes a form's body.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", super::sigv4::escape(value, false)))
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::{form, reason, tag};

    #[test]
    fn reads_reasons_in_every_form() {
        let aws = reason(r#"{"__type":"AccessDeniedException","Message":"no way."}"#);
        assert_eq!(aws, ("AccessDeniedException".into(), "no way".into()));
        let sts = reason("<E><Code>Expired</Code><Message>old</Message></E>");
        assert_eq!(sts, ("Expired".into(), "old".into()));
        let vault = reason(r#"{"errors":["permission denied"]}"#);
        assert_eq!(vault.1, "permission denied");
        assert_eq!(tag("<a>x", "a"), None);
    }

    #[test]
    fn escapes_forms() {
        assert_eq!(form(&[("a", "b c&d"), ("e", "f/g")]), "a=b%20c%26d&e=f%2Fg");
    }
}
