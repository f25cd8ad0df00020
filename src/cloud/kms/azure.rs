//! Azure Key Vault.
//!
//! Credentials: a client's secret or federated token in the environment, the machine's managed identity, or the login of the
//! `az` command.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::http::{METADATA_PATIENCE, Service, form};
use super::sources::KeySources;
use crate::cipher::key::{AzureKeyVault, Part};
use crate::diag::codes::cipher::{
    AZURE_DENIED, AZURE_NO_CREDENTIALS, AZURE_UNKNOWN, AZURE_UNREACHABLE, BROKEN_RECIPIENT,
};
use crate::error::{Error, Result};
use crate::secret::Secret;

const SERVICE: Service = Service {
    name: "Azure Key Vault",
    no_credentials: &AZURE_NO_CREDENTIALS,
    denied: &AZURE_DENIED,
    unknown: &AZURE_UNKNOWN,
    unreachable: &AZURE_UNREACHABLE,
};

const API: &str = "7.4";
const MACHINE: &str =
    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01";

/// Locks bytes; gives base64 for URLs without padding.
pub(super) async fn lock(
    http: &Client,
    sources: &KeySources,
    key: &AzureKeyVault,
    part: &Part,
) -> Result<String> {
    let value = URL_SAFE_NO_PAD.encode(part.expose());
    ask(http, sources, key, "encrypt", &value).await
}

/// Opens a locked part.
pub(super) async fn unlock(
    http: &Client,
    sources: &KeySources,
    key: &AzureKeyVault,
    enc: &str,
) -> Result<Part> {
    let value = ask(http, sources, key, "decrypt", enc.trim_end_matches('=')).await?;
    let bytes = URL_SAFE_NO_PAD
        .decode(value.trim_end_matches('='))
        .map_err(|_| SERVICE.damaged())?;
    Ok(Part::new(bytes))
}

/// Fills in the newest version of a key that was named without one.
pub(super) async fn settle(
    http: &Client,
    sources: &KeySources,
    key: &AzureKeyVault,
) -> Result<AzureKeyVault> {
    if !key.version.is_empty() {
        return Ok(key.clone());
    }
    let token = cached(http, sources, &key.vault_url).await?;
    let url = format!(
        "{}/keys/{}?api-version={API}",
        key.vault_url.trim_end_matches('/'),
        key.name
    );
    let answer = SERVICE
        .json(http.get(url).bearer_auth(token.expose()))
        .await?;
    let id = SERVICE.field(&answer, "/key/kid")?;
    let version = id.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(AzureKeyVault {
        version,
        ..key.clone()
    })
}

async fn ask(
    http: &Client,
    sources: &KeySources,
    key: &AzureKeyVault,
    verb: &str,
    value: &str,
) -> Result<String> {
    let token = cached(http, sources, &key.vault_url).await?;
    let url = format!(
        "{}/keys/{}/{}/{verb}?api-version={API}",
        key.vault_url.trim_end_matches('/'),
        key.name,
        key.version
    );
    let body = json!({ "alg": "RSA-OAEP-256", "value": value });
    let answer: Value = SERVICE
        .json(http.post(url).bearer_auth(token.expose()).json(&body))
        .await?;
    SERVICE.field(&answer, "/value")
}

/// The resource that tokens are for: the vault's domain without the vault's name.
fn resource(vault: &str) -> Result<String> {
    let wrong = || {
        Error::new(
            &BROKEN_RECIPIENT,
            format!("`{vault}` is no address of a key vault"),
        )
    };
    let url = Url::parse(vault).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    match host.split_once('.') {
        Some((_, domain)) if domain.contains("vault") => Ok(format!("https://{domain}")),
        // Emulators and private names take the tokens of the public cloud.
        _ => Ok("https://vault.azure.net".to_owned()),
    }
}

async fn cached(http: &Client, sources: &KeySources, vault: &str) -> Result<Secret> {
    let resource = resource(vault)?;
    sources
        .tokens
        .get(format!("azure {resource}"), token(http, sources, &resource))
        .await
}

async fn token(http: &Client, sources: &KeySources, resource: &str) -> Result<Secret> {
    let client = sources.variable("AZURE_CLIENT_ID");
    if let (Some(tenant), Some(client)) = (sources.variable("AZURE_TENANT_ID"), client) {
        let host = sources
            .variable("AZURE_AUTHORITY_HOST")
            .unwrap_or("https://login.microsoftonline.com");
        let url = format!("{}/{tenant}/oauth2/v2.0/token", host.trim_end_matches('/'));
        let scope = format!("{resource}/.default");
        let federated = sources.file("AZURE_FEDERATED_TOKEN_FILE", None);
        let mut pairs = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", &scope),
        ];
        if let Some(secret) = sources.variable("AZURE_CLIENT_SECRET") {
            pairs.push(("client_secret", secret));
        } else if let Some((_, assertion)) = &federated {
            pairs.push((
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ));
            pairs.push(("client_assertion", assertion.trim()));
        }
        if pairs.len() > 3 {
            let request = http
                .post(url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form(&pairs));
            let answer = SERVICE.json(request).await?;
            return SERVICE.field(&answer, "/access_token").map(Secret::new);
        }
    }
    if let Some(token) = command_line(resource).await {
        return Ok(token);
    }
    let mut url = format!("{MACHINE}&resource={resource}");
    if let Some(client) = client {
        url.push_str("&client_id=");
        url.push_str(client);
    }
    let request = http
        .get(url)
        .timeout(METADATA_PATIENCE)
        .header("metadata", "true");
    match SERVICE.json(request).await {
        Ok(answer) => SERVICE.field(&answer, "/access_token").map(Secret::new),
        Err(cause) => Err(SERVICE
            .no_credentials(
                "AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, the login of \
                 the az command, and the managed identity",
            )
            .because(cause)),
    }
}

/// Asks the `az` command, where it is there and logged in.
async fn command_line(resource: &str) -> Option<Secret> {
    let output = tokio::process::Command::new("az")
        .args([
            "account",
            "get-access-token",
            "--output",
            "json",
            "--resource",
        ])
        .arg(resource)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    answer
        .get("accessToken")
        .and_then(Value::as_str)
        .map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::resource;

    #[test]
    fn tokens_are_for_the_vaults_cloud() {
        let of = |vault| resource(vault).unwrap();
        assert_eq!(of("https://a.vault.azure.net"), "https://vault.azure.net");
        assert_eq!(of("https://a.vault.azure.cn/"), "https://vault.azure.cn");
        assert_eq!(of("http://127.0.0.1:1"), "https://vault.azure.net");
        assert!(resource("vault").is_err());
    }
}
