//! AWS profiles whose keys come from elsewhere: single sign-on, and a process that prints them.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use reqwest::Client;
use serde_json::Value;

use super::aws::SERVICE;
use super::http::form;
use super::keyring::words;
use super::sigv4::Credentials;
use super::sources::KeySources;
use crate::diag::codes::cipher::AWS_NO_CREDENTIALS;
use crate::error::{Error, Result};
use crate::secret::Secret;

type Section = HashMap<String, String>;

/// Whether a profile signs on.
pub(super) fn signs_on(profile: &Section) -> bool {
    profile.contains_key("sso_session") || profile.contains_key("sso_start_url")
}

/// Exchanges the token of the last `aws sso login` for the keys of the profile's role.
pub(super) async fn sign_on(
    http: &Client,
    sources: &KeySources,
    profiles: &HashMap<String, Section>,
    name: &str,
    profile: &Section,
) -> Result<Credentials> {
    let wrong = |what: &str| {
        Error::new(
            &AWS_NO_CREDENTIALS,
            format!("the AWS profile `{name}` cannot be used: {what}"),
        )
    };
    let session = match profile.get("sso_session") {
        Some(session) => profiles
            .get(&format!("sso-session {session}"))
            .ok_or_else(|| wrong(&format!("there is no section [sso-session {session}]")))?,
        None => profile,
    };
    let field = |section: &Section, field: &str| {
        section
            .get(field)
            .cloned()
            .ok_or_else(|| wrong(&format!("`{field}` is missing")))
    };
    let start = field(session, "sso_start_url")?;
    let region = field(session, "sso_region")?;
    let (account, role) = (
        field(profile, "sso_account_id")?,
        field(profile, "sso_role_name")?,
    );
    let folder = sources.home().map(|home| home.join(".aws/sso/cache"));
    let now = Timestamp::now();
    let token = folder
        .and_then(|folder| token(&folder, &start, now))
        .ok_or_else(|| {
            wrong("nobody has signed on, or the sign-on has expired")
                .help(format!("run `aws sso login --profile {name}`"))
        })?;
    let endpoint = match sources.variable("AWS_ENDPOINT_URL_SSO") {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => format!("https://portal.sso.{region}.amazonaws.com"),
    };
    let query = form(&[("role_name", &role), ("account_id", &account)]);
    let request = http
        .get(format!("{endpoint}/federation/credentials?{query}"))
        .header("x-amz-sso_bearer_token", token.expose());
    let answer = SERVICE.json(request).await?;
    let text = |field: &str| SERVICE.field(&answer, &format!("/roleCredentials/{field}"));
    Ok(Credentials {
        id: text("accessKeyId")?,
        secret: Secret::new(text("secretAccessKey")?),
        token: Some(Secret::new(text("sessionToken")?)),
    })
}

/// The token of a sign-on that still holds, among the files that `aws sso login` left.
fn token(folder: &Path, start: &str, now: Timestamp) -> Option<Secret> {
    let files = std::fs::read_dir(folder).ok()?;
    let mut tokens: Vec<(Timestamp, Secret)> = files
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|end| end == "json"))
        .filter_map(|file| {
            let text = std::fs::read_to_string(file.path()).ok()?;
            let value: Value = serde_json::from_str(&text).ok()?;
            let field = |name: &str| value.get(name).and_then(Value::as_str);
            let until: Timestamp = field("expiresAt")?.replace("UTC", "Z").parse().ok()?;
            (field("startUrl")? == start && until > now)
                .then_some((until, Secret::new(field("accessToken")?)))
        })
        .collect();
    tokens.sort_by_key(|(until, _)| *until);
    tokens.pop().map(|(_, token)| token)
}

/// Runs the command that prints keys.
pub(super) async fn from_process(
    sources: &KeySources,
    name: &str,
    command: &str,
) -> Result<Credentials> {
    let wrong = |what: &str| {
        Error::new(
            &AWS_NO_CREDENTIALS,
            format!("the credential process of the AWS profile `{name}` {what}"),
        )
    };
    if !sources.may_run {
        return Err(wrong("may not be run for a script"));
    }
    let words = words(command).ok_or_else(|| wrong("has a quote that is not closed"))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(wrong("is empty"));
    };
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|cause| wrong("does not start").because(cause))?;
    if !output.status.success() {
        return Err(wrong(&format!("failed ({})", output.status)));
    }
    // A parser's message could quote what was printed.
    let answer: Value =
        serde_json::from_slice(&output.stdout).map_err(|_| wrong("printed no JSON"))?;
    let field = |name: &str| answer.get(name).and_then(Value::as_str);
    let keys = (field("AccessKeyId"), field("SecretAccessKey"));
    let (Some(id), Some(secret)) = keys else {
        return Err(wrong("printed no AccessKeyId and SecretAccessKey"));
    };
    Ok(Credentials {
        id: id.to_owned(),
        secret: Secret::new(secret),
        token: field("SessionToken").map(Secret::new),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{from_process, token};
    use crate::cloud::kms::KeySources;

    #[test]
    fn takes_the_sign_on_that_holds_longest() {
        let folder = tempfile::tempdir().unwrap();
        for (name, start, until) in [
            ("a.json", "https://one", "2026-01-02T00:00:00Z"),
            ("b.json", "https://one", "2026-01-03T00:00:00UTC"),
            ("c.json", "https://one", "2025-01-01T00:00:00Z"),
            ("d.json", "https://two", "2026-02-01T00:00:00Z"),
        ] {
            let text =
                serde_json::json!({ "startUrl": start, "expiresAt": until, "accessToken": name });
            std::fs::write(folder.path().join(name), text.to_string()).unwrap();
        }
        std::fs::write(folder.path().join("e.json"), "{").unwrap();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let found = token(folder.path(), "https://one", now).unwrap();
        assert_eq!(found.expose(), "b.json");
        assert!(token(folder.path(), "https://three", now).is_none());
    }

    #[tokio::test]
    async fn a_process_prints_keys_or_is_named() {
        let printed = r#"printf '{"Version":1,"AccessKeyId":"id","SecretAccessKey":"s"}'"#;
        let mut sources = KeySources::none();
        let found = from_process(&sources, "p", printed).await.unwrap();
        assert_eq!((found.id.as_str(), found.secret.expose()), ("id", "s"));
        for wrong in ["false", "echo canary", "/nonexistent/program", "'", ""] {
            let error = from_process(&sources, "p", wrong).await.unwrap_err();
            assert_eq!(error.code().id, "E0965", "{wrong}");
            assert!(!format!("{error:?}").contains("canary"));
        }
        sources.may_run = false;
        assert!(from_process(&sources, "p", printed).await.is_err());
    }
}
