//! The transit engine of HashiCorp Vault and OpenBao.
//!
//! The token is in VAULT_TOKEN or `~/.vault-token`; the address is the recipient's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::{Value, json};

use super::http::Service;
use super::sources::KeySources;
use crate::cipher::key::{Part, Vault};
use crate::diag::codes::cipher::{
    VAULT_DENIED, VAULT_NO_CREDENTIALS, VAULT_UNKNOWN, VAULT_UNREACHABLE,
};
use crate::error::Result;

const SERVICE: Service = Service {
    name: "the transit engine of Vault",
    no_credentials: &VAULT_NO_CREDENTIALS,
    denied: &VAULT_DENIED,
    unknown: &VAULT_UNKNOWN,
    unreachable: &VAULT_UNREACHABLE,
};

/// Locks bytes; gives `vault:v1:…`.
pub(super) async fn lock(
    http: &Client,
    sources: &KeySources,
    key: &Vault,
    part: &Part,
) -> Result<String> {
    let body = json!({ "plaintext": STANDARD.encode(part.expose()) });
    let answer = ask(http, sources, key, "encrypt", &body).await?;
    SERVICE.field(&answer, "/data/ciphertext")
}

/// Opens a locked part.
pub(super) async fn unlock(
    http: &Client,
    sources: &KeySources,
    key: &Vault,
    enc: &str,
) -> Result<Part> {
    let body = json!({ "ciphertext": enc });
    let answer = ask(http, sources, key, "decrypt", &body).await?;
    let text = SERVICE.field(&answer, "/data/plaintext")?;
    let bytes = STANDARD.decode(text).map_err(|_| SERVICE.damaged())?;
    Ok(Part::new(bytes))
}

async fn ask(
    http: &Client,
    sources: &KeySources,
    key: &Vault,
    verb: &str,
    body: &Value,
) -> Result<Value> {
    let token = match sources.variable("VAULT_TOKEN") {
        Some(token) => token.to_owned(),
        None => match sources.home().map(|home| home.join(".vault-token")) {
            Some(path) => std::fs::read_to_string(path).unwrap_or_default(),
            None => String::new(),
        },
    };
    let token = token.trim();
    if token.is_empty() {
        return Err(SERVICE.no_credentials("VAULT_TOKEN and ~/.vault-token"));
    }
    let url = format!(
        "{}/v1/{}/{verb}/{}",
        key.address.trim_end_matches('/'),
        key.engine_path.trim_matches('/'),
        key.key_name
    );
    let mut request = http
        .put(url)
        .header("x-vault-token", token)
        .header("x-vault-request", "true")
        .json(body);
    if let Some(namespace) = sources.variable("VAULT_NAMESPACE") {
        request = request.header("x-vault-namespace", namespace);
    }
    SERVICE.json(request).await
}
