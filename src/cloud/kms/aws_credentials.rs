//! Where AWS credentials come from: variables, web identity, profiles, containers, the machine.
//!
//! The order is that of the vendor's clients. Single sign-on and credential processes are in `aws_sign_on`.

use std::collections::HashMap;

use reqwest::Client;
use serde_json::Value;

use super::aws::{SERVICE, send};
use super::aws_sign_on;
use super::http::{METADATA_PATIENCE, form, tag};
use super::sigv4::Credentials;
use super::sources::KeySources;
use crate::diag::codes::cipher::AWS_NO_CREDENTIALS;
use crate::error::{Error, Result};
use crate::secret::Secret;

const CONTAINER: &str = "http://169.254.170.2";
const MACHINE: &str = "http://169.254.169.254";

/// Profiles may lead to other profiles this often.
const CHAIN_LIMIT: usize = 5;

type Profiles = HashMap<String, HashMap<String, String>>;

/// Finds credentials, those of the profile if one is named.
pub(super) async fn find(
    http: &Client,
    sources: &KeySources,
    profile: Option<&str>,
    region: &str,
) -> Result<Credentials> {
    let named = profile
        .or_else(|| sources.variable("AWS_PROFILE"))
        .or_else(|| sources.variable("AWS_DEFAULT_PROFILE"));
    if profile.is_none() {
        if let Some(found) = environment(sources) {
            return Ok(found);
        }
        let web = (
            sources.variable("AWS_ROLE_ARN"),
            sources.file("AWS_WEB_IDENTITY_TOKEN_FILE", None),
        );
        if let (Some(role), Some((_, token))) = web {
            let session = sources.variable("AWS_ROLE_SESSION_NAME").unwrap_or("ksail");
            return web_identity(http, sources, region, role, session, &token).await;
        }
    }
    let profiles = profiles(sources);
    if let Some(found) =
        of_profile(http, sources, &profiles, named.unwrap_or("default"), region).await?
    {
        return Ok(found);
    }
    if let Some(named) = named {
        return Err(Error::new(
            &AWS_NO_CREDENTIALS,
            format!("the AWS profile `{named}` is not there or has no credentials"),
        )
        .help("its section must be in ~/.aws/credentials or ~/.aws/config"));
    }
    if let Some(found) = container(http, sources).await? {
        return Ok(found);
    }
    if let Some(found) = machine(http, sources).await {
        return Ok(found);
    }
    Err(SERVICE.no_credentials(
        "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE, the profiles in ~/.aws, the \
         container's and the machine's role",
    ))
}

fn environment(sources: &KeySources) -> Option<Credentials> {
    Some(Credentials {
        id: sources.variable("AWS_ACCESS_KEY_ID")?.to_owned(),
        secret: Secret::new(sources.variable("AWS_SECRET_ACCESS_KEY")?),
        token: sources.variable("AWS_SESSION_TOKEN").map(Secret::new),
    })
}

/// Follows a profile, through the profiles whose role it takes, and assumes the roles on the way back.
async fn of_profile(
    http: &Client,
    sources: &KeySources,
    profiles: &Profiles,
    name: &str,
    region: &str,
) -> Result<Option<Credentials>> {
    let mut roles = Vec::new();
    let mut at = name.to_owned();
    let mut found = None;
    for _ in 0..CHAIN_LIMIT {
        let Some(profile) = profiles.get(&at) else {
            break;
        };
        let get = |field: &str| profile.get(field).map(String::as_str);
        let session = get("role_session_name").unwrap_or("ksail");
        if let (Some(role), Some(file)) = (get("role_arn"), get("web_identity_token_file")) {
            let token = std::fs::read_to_string(file).map_err(|cause| {
                unusable(&at, "its web identity token cannot be read").because(cause)
            })?;
            found = Some(web_identity(http, sources, region, role, session, &token).await?);
            break;
        }
        // A profile that is its own source takes the role with its own keys.
        let source = get("source_profile");
        if let Some(role) = get("role_arn")
            && source != Some(at.as_str())
        {
            roles.push((role, session));
            match (source, get("credential_source")) {
                (Some(source), _) => {
                    at = source.to_owned();
                    continue;
                }
                (None, Some("Environment")) => found = environment(sources),
                (None, Some("EcsContainer")) => found = container(http, sources).await?,
                (None, Some("Ec2InstanceMetadata")) => found = machine(http, sources).await,
                (None, _) => {
                    return Err(unusable(
                        &at,
                        "it has a role but neither source_profile nor credential_source",
                    ));
                }
            }
            break;
        }
        if let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
            if let Some(role) = get("role_arn") {
                roles.push((role, session));
            }
            found = Some(Credentials {
                id: id.to_owned(),
                secret: Secret::new(secret),
                token: get("aws_session_token").map(Secret::new),
            });
        } else if let Some(command) = get("credential_process") {
            found = Some(aws_sign_on::from_process(sources, &at, command).await?);
        } else if aws_sign_on::signs_on(profile) {
            found = Some(aws_sign_on::sign_on(http, sources, profiles, &at, profile).await?);
        }
        break;
    }
    let Some(mut by) = found else {
        return Ok(None);
    };
    for (role, session) in roles.into_iter().rev() {
        by = assume(http, sources, region, role, session, &by).await?;
    }
    Ok(Some(by))
}

/// Takes a role.
pub(super) async fn assume(
    http: &Client,
    sources: &KeySources,
    region: &str,
    role: &str,
    session: &str,
    by: &Credentials,
) -> Result<Credentials> {
    let body = form(&[
        ("Action", "AssumeRole"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("Version", "2011-06-15"),
    ]);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(http, sources, "sts", region, &headers, body, by)
        .await
        .map_err(|error| error.within(format_args!("cannot assume the role `{role}`")))?;
    from_xml(&answer)
}

async fn web_identity(
    http: &Client,
    sources: &KeySources,
    region: &str,
    role: &str,
    session: &str,
    token: &str,
) -> Result<Credentials> {
    let body = form(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("Version", "2011-06-15"),
        ("WebIdentityToken", token.trim()),
    ]);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    // The token proves who asks; the service takes no notice of a signature.
    let nobody = Credentials {
        id: "none".to_owned(),
        secret: Secret::new("none"),
        token: None,
    };
    let answer = send(http, sources, "sts", region, &headers, body, &nobody).await?;
    from_xml(&answer)
}

fn from_xml(answer: &str) -> Result<Credentials> {
    let field =
        |name: &str| tag(answer, name).ok_or_else(|| SERVICE.odd(&format!("`{name}` is missing")));
    Ok(Credentials {
        id: field("AccessKeyId")?.to_owned(),
        secret: Secret::new(field("SecretAccessKey")?),
        token: Some(Secret::new(field("SessionToken")?)),
    })
}

async fn container(http: &Client, sources: &KeySources) -> Result<Option<Credentials>> {
    let full = sources.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let url = match (
        sources.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        full,
    ) {
        (Some(path), _) => format!("{CONTAINER}{path}"),
        (None, Some(full)) => full.to_owned(),
        (None, None) => return Ok(None),
    };
    let mut request = http.get(url);
    let file = sources.file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", None);
    let token = file.as_ref().map(|(_, text)| text.trim());
    if let Some(token) = token.or_else(|| sources.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
        request = request.header("authorization", token);
    }
    let answer = SERVICE.json(request).await?;
    from_json(&answer).map(Some)
}

/// Asks the machine's metadata service; a machine without one is no failure.
async fn machine(http: &Client, sources: &KeySources) -> Option<Credentials> {
    if sources.variable("AWS_EC2_METADATA_DISABLED") == Some("true") {
        return None;
    }
    let base = sources
        .variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        .unwrap_or(MACHINE)
        .trim_end_matches('/');
    let request = http
        .put(format!("{base}/latest/api/token"))
        .timeout(METADATA_PATIENCE)
        .header("x-aws-ec2-metadata-token-ttl-seconds", "300");
    let token = SERVICE.text(request).await.ok()?;
    let get = |path: &str| {
        http.get(format!(
            "{base}/latest/meta-data/iam/security-credentials/{path}"
        ))
        .timeout(METADATA_PATIENCE)
        .header("x-aws-ec2-metadata-token", &token)
    };
    let role = SERVICE.text(get("")).await.ok()?;
    let answer = SERVICE.json(get(role.lines().next()?)).await.ok()?;
    from_json(&answer).ok()
}

fn from_json(answer: &Value) -> Result<Credentials> {
    Ok(Credentials {
        id: SERVICE.field(answer, "/AccessKeyId")?,
        secret: Secret::new(SERVICE.field(answer, "/SecretAccessKey")?),
        token: answer.get("Token").and_then(Value::as_str).map(Secret::new),
    })
}

fn unusable(profile: &str, what: &str) -> Error {
    Error::new(
        &AWS_NO_CREDENTIALS,
        format!("the AWS profile `{profile}` cannot be used: {what}"),
    )
}

/// Reads both shared files; the credentials file wins.
fn profiles(sources: &KeySources) -> Profiles {
    let mut profiles = Profiles::new();
    let files = [
        sources.file("AWS_CONFIG_FILE", Some(".aws/config")),
        sources.file("AWS_SHARED_CREDENTIALS_FILE", Some(".aws/credentials")),
    ];
    for (_, text) in files.into_iter().flatten() {
        parse(&text, &mut profiles);
    }
    profiles
}

fn parse(text: &str, profiles: &mut Profiles) {
    let mut section = None;
    for line in text.lines() {
        // Indented lines are nested settings of one service each, which do not matter here.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.split_once(']')) {
            let name = name.0.trim();
            let name = name.strip_prefix("profile ").unwrap_or(name).trim();
            section = Some(name.to_owned());
            continue;
        }
        if let (Some(section), Some((key, value))) = (&section, line.split_once('=')) {
            profiles
                .entry(section.clone())
                .or_default()
                .insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Profiles, from_xml, parse};

    #[test]
    fn reads_profiles_of_both_files() {
        let mut profiles = Profiles::new();
        parse(
            "[default]\nregion = x\n[profile a]\nrole_arn=r\ns3 =\n  k = v\n# c\n",
            &mut profiles,
        );
        parse("[a]\nAWS_ACCESS_KEY_ID = id\n", &mut profiles);
        assert_eq!(profiles["a"]["role_arn"], "r");
        assert_eq!(profiles["a"]["aws_access_key_id"], "id");
        assert_eq!(profiles["default"]["region"], "x");
    }

    #[test]
    fn reads_roles_credentials() {
        let text = "<C><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken></C>";
        assert_eq!(from_xml(text).unwrap().id, "a");
        assert!(from_xml("<C/>").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]=a-z \n]{0,80}") {
            parse(&text, &mut Profiles::new());
        }
    }
}
