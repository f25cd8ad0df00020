//! The transit engine of HashiCorp Vault and OpenBao.
//!
//! The token is in VAULT_TOKEN or `~/.vault-token`; the address is the recipient's own. Authorities and certificates come
//! from VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client, Identity};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::http::{Service, build, builder};
use super::sources::KeySources;
use crate::cipher::key::{Part, Vault};
use crate::diag::codes::cipher::{
    VAULT_DENIED, VAULT_NO_CREDENTIALS, VAULT_UNKNOWN, VAULT_UNREACHABLE,
};
use crate::error::{Error, Result};

const SERVICE: Service = Service {
    name: "the transit engine of Vault",
    no_credentials: &VAULT_NO_CREDENTIALS,
    denied: &VAULT_DENIED,
    unknown: &VAULT_UNKNOWN,
    unreachable: &VAULT_UNREACHABLE,
};

/// Makes a client of its own where the environment says something of certificates.
pub(super) fn client(sources: &KeySources) -> Result<Option<Client>> {
    let mut authorities = Vec::new();
    if let Some(file) = sources.variable("VAULT_CACERT") {
        authorities.push(PathBuf::from(file));
    } else if let Some(folder) = sources.variable("VAULT_CAPATH") {
        let entries = std::fs::read_dir(folder).map_err(|cause| unusable("VAULT_CAPATH", cause))?;
        authorities.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_file()),
        );
    }
    let own = (
        sources.variable("VAULT_CLIENT_CERT"),
        sources.variable("VAULT_CLIENT_KEY"),
    );
    if authorities.is_empty() && own.0.is_none() {
        return Ok(None);
    }
    let mut making = builder();
    for path in authorities {
        let pem = std::fs::read(&path).map_err(|cause| unusable("VAULT_CACERT", cause))?;
        for authority in
            Certificate::from_pem_bundle(&pem).map_err(|cause| unusable("VAULT_CACERT", cause))?
        {
            making = making.add_root_certificate(authority);
        }
    }
    if let (Some(certificate), Some(key)) = own {
        let mut pem = Zeroizing::new(
            std::fs::read(key).map_err(|cause| unusable("VAULT_CLIENT_KEY", cause))?,
        );
        pem.push(b'\n');
        pem.extend(
            std::fs::read(certificate).map_err(|cause| unusable("VAULT_CLIENT_CERT", cause))?,
        );
        let identity =
            Identity::from_pem(&pem).map_err(|cause| unusable("VAULT_CLIENT_CERT", cause))?;
        making = making.identity(identity);
    }
    build(making).map(Some)
}

fn unusable(variable: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        &VAULT_UNREACHABLE,
        format!("the certificates that {variable} names cannot be used"),
    )
    .because(cause)
}

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

#[cfg(test)]
mod tests {
    use super::client;
    use crate::cloud::kms::KeySources;
    use crate::secret::Secret;

    #[test]
    fn certificates_that_cannot_be_used_are_named() {
        let mut sources = KeySources::none();
        assert!(client(&sources).unwrap().is_none());
        let mut set = |name: &str, text: &str| {
            sources.variables.insert(name.into(), Secret::new(text));
        };
        set("VAULT_CACERT", "/nonexistent/ca.pem");
        let error = client(&sources).unwrap_err();
        assert!(error.message().contains("VAULT_CACERT"), "{error:?}");
    }
}
