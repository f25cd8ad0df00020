//! AWS KMS.
//!
//! The region is in the key's ARN. Where credentials come from is in `aws_credentials`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::{Client, Url};
use serde_json::{Map, Value, json};

use super::aws_credentials;
use super::http::Service;
use super::sigv4::{Credentials, Request, sign};
use super::sources::KeySources;
use crate::cipher::key::{AwsKms, Part};
use crate::diag::codes::cipher::{
    AWS_DENIED, AWS_NO_CREDENTIALS, AWS_UNKNOWN, AWS_UNREACHABLE, BROKEN_RECIPIENT,
};
use crate::error::{Error, Result};

pub(super) const SERVICE: Service = Service {
    name: "AWS KMS",
    no_credentials: &AWS_NO_CREDENTIALS,
    denied: &AWS_DENIED,
    unknown: &AWS_UNKNOWN,
    unreachable: &AWS_UNREACHABLE,
};

/// Locks bytes; gives base64.
pub(super) async fn lock(
    http: &Client,
    sources: &KeySources,
    key: &AwsKms,
    part: &Part,
) -> Result<String> {
    let body = json!({
        "KeyId": key.arn,
        "Plaintext": STANDARD.encode(part.expose()),
        "EncryptionContext": context(&key.context),
    });
    let answer = ask(http, sources, key, "Encrypt", body).await?;
    SERVICE.field(&answer, "/CiphertextBlob")
}

/// Opens a locked part.
pub(super) async fn unlock(
    http: &Client,
    sources: &KeySources,
    key: &AwsKms,
    enc: &str,
) -> Result<Part> {
    let body = json!({
        "KeyId": key.arn,
        "CiphertextBlob": enc,
        "EncryptionContext": context(&key.context),
    });
    let answer = ask(http, sources, key, "Decrypt", body).await?;
    let text = SERVICE.field(&answer, "/Plaintext")?;
    let bytes = STANDARD.decode(text).map_err(|_| SERVICE.damaged())?;
    Ok(Part::new(bytes))
}

fn context(pairs: &IndexMap<String, String>) -> Value {
    let pairs: Map<String, Value> = pairs
        .iter()
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    Value::Object(pairs)
}

async fn ask(
    http: &Client,
    sources: &KeySources,
    key: &AwsKms,
    verb: &str,
    body: Value,
) -> Result<Value> {
    let region = region(&key.arn)?;
    let name = format!("{:?} {:?} {region}", key.profile, key.role);
    let by = sources
        .aws
        .get(name, credentials(http, sources, key, region))
        .await?;
    let target = format!("TrentService.{verb}");
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    let text = send(
        http,
        sources,
        "kms",
        region,
        &headers,
        body.to_string(),
        &by,
    )
    .await?;
    serde_json::from_str(&text).map_err(|cause| SERVICE.odd("it is no JSON").because(cause))
}

async fn credentials(
    http: &Client,
    sources: &KeySources,
    key: &AwsKms,
    region: &str,
) -> Result<Credentials> {
    let by = aws_credentials::find(http, sources, key.profile.as_deref(), region).await?;
    match &key.role {
        Some(role) => aws_credentials::assume(http, sources, region, role, "sops@ksail", &by).await,
        None => Ok(by),
    }
}

/// Sends a signed POST to a service of a region.
pub(super) async fn send(
    http: &Client,
    sources: &KeySources,
    service: &str,
    region: &str,
    headers: &[(&str, &str)],
    body: String,
    by: &Credentials,
) -> Result<String> {
    let url = endpoint(sources, service, region)?;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    };
    let time = Timestamp::now()
        .to_zoned(TimeZone::UTC)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let added = sign(
        &Request {
            region,
            service,
            host: &host,
            path: url.path(),
            headers,
            body: &body,
            time: &time,
        },
        by,
    );
    let mut request = http.post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    for (name, value) in added {
        request = request.header(name, value);
    }
    SERVICE.text(request.body(body)).await
}

fn endpoint(sources: &KeySources, service: &str, region: &str) -> Result<Url> {
    let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
    let replaced = sources
        .variable(&own)
        .or_else(|| sources.variable("AWS_ENDPOINT_URL"));
    let text = replaced.map_or_else(
        || {
            let china = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://{service}.{region}.amazonaws.com{china}")
        },
        str::to_owned,
    );
    Url::parse(&text).map_err(|cause| {
        Error::new(
            &AWS_UNREACHABLE,
            format!("`{text}` is no address of an AWS service"),
        )
        .because(cause)
    })
}

/// The region in a key's ARN, which must be one of KMS.
fn region(arn: &str) -> Result<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "kms", region, _, key]
            if partition.starts_with("aws")
                && !region.is_empty()
                && region
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-')
                && (key.starts_with("key/") || key.starts_with("alias/")) =>
        {
            Ok(region)
        }
        _ => Err(Error::new(
            &BROKEN_RECIPIENT,
            format!("`{arn}` is no ARN of an AWS KMS key"),
        )
        .help("it is written `arn:aws:kms:REGION:ACCOUNT:key/ID`")),
    }
}

#[cfg(test)]
mod tests {
    use super::{endpoint, region};
    use crate::cloud::kms::KeySources;
    use crate::secret::Secret;

    #[test]
    fn reads_the_region_and_refuses_other_hosts() {
        let fine = "arn:aws:kms:eu-west-1:111122223333:alias/x";
        assert_eq!(region(fine).unwrap(), "eu-west-1");
        assert!(region("arn:aws:kms:evil.example/:1:key/x").is_err());
        assert!(region("arn:aws:s3:eu-west-1:1:key/x").is_err());
    }

    #[test]
    fn endpoints_can_be_replaced() {
        let mut sources = KeySources::none();
        let at = |sources: &KeySources| endpoint(sources, "kms", "cn-north-1").unwrap().to_string();
        assert_eq!(at(&sources), "https://kms.cn-north-1.amazonaws.com.cn/");
        let mut set = |name: &str, text: &str| {
            sources.variables.insert(name.into(), Secret::new(text));
        };
        set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        set("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:2");
        assert_eq!(at(&sources), "http://127.0.0.1:2/");
    }
}
