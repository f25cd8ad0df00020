//! Registries and mirrors as one writes them: `[user:pass@]host[:port][/path[:tag]]` and `[user:pass@]host[=upstream]`.

use serde::Serialize;

use crate::diag::codes::model::BAD_VALUE;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The port of a local registry that names none.
pub const LOCAL_PORT: u16 = 5050;

/// Who one is to a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registry {
    /// Host name or address.
    pub host: String,
    /// The port; 0 means that of HTTPS.
    pub port: u16,
    /// The repository below it.
    pub path: Option<String>,
    /// The tag behind the path.
    pub tag: Option<String>,
    /// Who one is to it.
    pub credentials: Option<Credentials>,
}

/// A pull-through cache of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// The registry whose images are cached, such as `docker.io`.
    pub host: String,
    /// Where they come from, such as `https://registry-1.docker.io`.
    pub upstream: String,
    /// Who one is to it.
    pub credentials: Option<Credentials>,
}

impl Registry {
    /// Reads a registry; the password is never repeated in a message.
    pub fn parse(text: &str) -> Result<Self> {
        let (credentials, rest) = split_credentials(text)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (
                host,
                port.parse::<u16>()
                    .map_err(|_| wrong(&format!("{port:?} is no port"), REGISTRY))?,
            ),
            None if is_local(authority) => (authority, LOCAL_PORT),
            None => (authority, 0),
        };
        check_host(host, REGISTRY)?;
        if is_local(host) && port == 0 {
            return Err(wrong("a local registry cannot have the port 0", REGISTRY));
        }
        let (path, tag) = match path {
            Some(path) => match path.rsplit_once(':') {
                Some((path, tag)) => (Some(path), Some(tag)),
                None => (Some(path), None),
            },
            None => (None, None),
        };
        let is_bad = |text: Option<&str>| {
            text.is_some_and(|text| text.is_empty() || text.contains([' ', '@', ':']))
        };
        if is_bad(path) || is_bad(tag) {
            return Err(wrong(
                "the path or tag of the registry is empty or has a character that cannot be there",
                REGISTRY,
            ));
        }
        Ok(Self {
            host: host.into(),
            port,
            path: path.map(Into::into),
            tag: tag.map(Into::into),
            credentials,
        })
    }

    /// Whether it is anywhere but on this machine.
    pub fn is_external(&self) -> bool {
        !is_local(&self.host)
    }
}

impl Mirror {
    /// Reads a mirror; the password is never repeated in a message.
    pub fn parse(text: &str) -> Result<Self> {
        let (credentials, rest) = split_credentials(text)?;
        let (host, upstream) = match rest.split_once('=') {
            Some((host, upstream)) => (host, upstream.to_string()),
            None if rest == "docker.io" => (rest, "https://registry-1.docker.io".to_string()),
            None => (rest, format!("https://{rest}")),
        };
        check_host(host.split(':').next().unwrap_or_default(), MIRROR)?;
        if !upstream.starts_with("https://") && !upstream.starts_with("http://") {
            return Err(wrong(
                "the upstream of the mirror begins with neither https:// nor http://",
                MIRROR,
            ));
        }
        Ok(Self {
            host: host.into(),
            upstream,
            credentials,
        })
    }
}

const REGISTRY: &str =
    "write it as \"[user:pass@]host[:port][/path[:tag]]\", such as \"localhost:5050\"";
const MIRROR: &str = "write it as \"[user:pass@]host[=upstream]\", such as \"docker.io\"";

fn wrong(message: &str, help: &str) -> Error {
    Error::new(&BAD_VALUE, message).help(help)
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host == "127.0.0.1"
}

fn check_host(host: &str, help: &str) -> Result<()> {
    let is_good = !host.is_empty()
        && host.len() <= 253
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_');
    if is_good {
        Ok(())
    } else {
        Err(wrong(
            "the host name is empty or has a character that cannot be there",
            help,
        ))
    }
}

fn split_credentials(text: &str) -> Result<(Option<Credentials>, &str)> {
    let Some((who, rest)) = text.rsplit_once('@') else {
        return Ok((None, text));
    };
    match who.split_once(':') {
        Some((username, password)) if !username.is_empty() && !password.is_empty() => Ok((
            Some(Credentials {
                username: username.into(),
                password: Secret::new(password),
            }),
            rest,
        )),
        _ => Err(wrong(
            "the credentials want both a user name and a password",
            "write them as \"user:pass@host\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_registries() {
        let registry = Registry::parse("me:s3:cr@ghcr.io/org/repo:v1").unwrap();
        assert_eq!((registry.host.as_str(), registry.port), ("ghcr.io", 0));
        assert_eq!(
            (registry.path.as_deref(), registry.tag.as_deref()),
            (Some("org/repo"), Some("v1"))
        );
        assert_eq!(registry.credentials.unwrap().password.expose(), "s3:cr");
        assert_eq!(Registry::parse("localhost").unwrap().port, 5050);
        assert!(Registry::parse("ghcr.io").unwrap().is_external());
    }

    #[test]
    fn refuses_wrong_ones_without_repeating_the_password() {
        for bad in [
            "",
            "me@ghcr.io",
            "me:@ghcr.io",
            "host:99999",
            "a b",
            "localhost:0",
            "me:canary@:1",
            "h/",
            "h/a:",
        ] {
            let error = Registry::parse(bad).unwrap_err();
            assert!(
                !format!("{error:?} {:?}", error.helps()).contains("canary"),
                "{bad}"
            );
        }
    }

    #[test]
    fn reads_mirrors() {
        assert_eq!(
            Mirror::parse("docker.io").unwrap().upstream,
            "https://registry-1.docker.io"
        );
        assert_eq!(
            Mirror::parse("ghcr.io=http://cache:5000").unwrap().upstream,
            "http://cache:5000"
        );
        assert!(Mirror::parse("x=ftp://y").is_err());
    }
}
