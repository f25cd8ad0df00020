//! Google Cloud KMS.
//!
//! Credentials as sops has them: GOOGLE_CREDENTIALS (a path or the JSON itself), GOOGLE_OAUTH_ACCESS_TOKEN, then the
//! application default credentials and the metadata server.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use reqwest::Client;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::http::{METADATA_PATIENCE, Service, form};
use super::sources::KeySources;
use crate::cipher::key::{GcpKms, Part};
use crate::diag::codes::cipher::{GCP_DENIED, GCP_NO_CREDENTIALS, GCP_UNKNOWN, GCP_UNREACHABLE};
use crate::error::{Error, Result};
use crate::secret::Secret;

const SERVICE: Service = Service {
    name: "Google Cloud KMS",
    no_credentials: &GCP_NO_CREDENTIALS,
    denied: &GCP_DENIED,
    unknown: &GCP_UNKNOWN,
    unreachable: &GCP_UNREACHABLE,
};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// Locks bytes; gives base64.
pub(super) async fn lock(
    http: &Client,
    sources: &KeySources,
    key: &GcpKms,
    part: &Part,
) -> Result<String> {
    let body = json!({ "plaintext": STANDARD.encode(part.expose()) });
    let answer = ask(http, sources, key, "encrypt", &body).await?;
    SERVICE.field(&answer, "/ciphertext")
}

/// Opens a locked part.
pub(super) async fn unlock(
    http: &Client,
    sources: &KeySources,
    key: &GcpKms,
    enc: &str,
) -> Result<Part> {
    let answer = ask(http, sources, key, "decrypt", &json!({ "ciphertext": enc })).await?;
    let text = SERVICE.field(&answer, "/plaintext")?;
    let bytes = STANDARD.decode(text).map_err(|_| SERVICE.damaged())?;
    Ok(Part::new(bytes))
}

async fn ask(
    http: &Client,
    sources: &KeySources,
    key: &GcpKms,
    verb: &str,
    body: &Value,
) -> Result<Value> {
    let token = sources
        .tokens
        .get("gcp".into(), token(http, sources))
        .await?;
    let endpoint = sources
        .variable("SOPS_GCP_KMS_ENDPOINT")
        .unwrap_or("https://cloudkms.googleapis.com")
        .trim_end_matches('/');
    let scheme = if endpoint.contains("://") {
        ""
    } else {
        "https://"
    };
    let url = format!("{scheme}{endpoint}/v1/{}:{verb}", key.resource_id);
    SERVICE
        .json(http.post(url).bearer_auth(token.expose()).json(body))
        .await
}

async fn token(http: &Client, sources: &KeySources) -> Result<Secret> {
    if let Some(text) = sources.variable("GOOGLE_CREDENTIALS") {
        let read = std::fs::read_to_string(text);
        return exchange(http, read.as_deref().unwrap_or(text), "GOOGLE_CREDENTIALS").await;
    }
    if let Some(token) = sources.variable("GOOGLE_OAUTH_ACCESS_TOKEN") {
        return Ok(Secret::new(token));
    }
    let file = sources.file(
        "GOOGLE_APPLICATION_CREDENTIALS",
        Some(".config/gcloud/application_default_credentials.json"),
    );
    if let Some((path, text)) = file {
        return exchange(http, &text, &path.display().to_string()).await;
    }
    let request = http
        .get(METADATA)
        .timeout(METADATA_PATIENCE)
        .header("metadata-flavor", "Google");
    match SERVICE.json(request).await {
        Ok(answer) => SERVICE.field(&answer, "/access_token").map(Secret::new),
        Err(cause) => Err(SERVICE
            .no_credentials(
                "GOOGLE_CREDENTIALS, GOOGLE_OAUTH_ACCESS_TOKEN, GOOGLE_APPLICATION_CREDENTIALS, \
                 ~/.config/gcloud/application_default_credentials.json and the metadata server",
            )
            .because(cause)),
    }
}

/// Gets a token for a credentials file: a service account's key or a user's refresh token.
async fn exchange(http: &Client, text: &str, place: &str) -> Result<Secret> {
    let wrong = |what: &str| {
        Error::new(
            &GCP_NO_CREDENTIALS,
            format!("the credentials of {place} cannot be used: {what}"),
        )
    };
    // A parser's message could quote the key.
    let file: Value = serde_json::from_str(text).map_err(|_| wrong("they are no JSON"))?;
    let get = |name: &str| {
        file.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| wrong(&format!("`{name}` is missing")))
    };
    let uri = get("token_uri").unwrap_or(TOKEN_URI);
    let body = match get("type")? {
        "service_account" => {
            let now = Timestamp::now().as_second();
            let key_id = get("private_key_id").unwrap_or_default();
            let assertion = assertion(get("client_email")?, get("private_key")?, key_id, uri, now)
                .ok_or_else(|| wrong("`private_key` is no RSA key in PKCS #8 form"))?;
            form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &assertion),
            ])
        }
        "authorized_user" => form(&[
            ("grant_type", "refresh_token"),
            ("client_id", get("client_id")?),
            ("client_secret", get("client_secret")?),
            ("refresh_token", get("refresh_token")?),
        ]),
        other => {
            return Err(
                wrong(&format!("their type `{other}` is not supported")).help(
                    "use a service account's key, a user's login, or GOOGLE_OAUTH_ACCESS_TOKEN",
                ),
            );
        }
    };
    let request = http
        .post(uri)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = SERVICE.json(request).await?;
    SERVICE.field(&answer, "/access_token").map(Secret::new)
}

/// Signs the statement that the holder of the key wants a token.
fn assertion(email: &str, key: &str, key_id: &str, audience: &str, now: i64) -> Option<String> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).ok()?;
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?;
    let head = json!({ "alg": "RS256", "typ": "JWT", "kid": key_id }).to_string();
    let claims = json!({
        "iss": email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + 3600,
    })
    .to_string();
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .ok()?;
    Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
