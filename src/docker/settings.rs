//! Where the engine is, found as the docker command finds it.
//!
//! [`Settings`] is what the environment says; whoever starts ksail reads it. [`Settings::address`] follows it through the
//! contexts below `~/.docker`. Nothing is connected here.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::diag::codes::docker::{BAD_ENGINE_ADDRESS, SSH_HOST};
use crate::error::{Error, Result};

/// What the environment says of the engine.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_CONFIG`, else `~/.docker`.
    pub config: PathBuf,
    /// Whether `DOCKER_TLS_VERIFY` is set.
    pub tls: bool,
    /// `DOCKER_CERT_PATH`.
    pub certificates: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where rootless engines have their sockets.
    pub runtime: Option<PathBuf>,
    /// `DOCKER_DEFAULT_PLATFORM`, such as `linux/amd64`: of which platform images are; the engine's own choice if `None`.
    pub platform: Option<String>,
    /// Who owns what is made there, for [`labels::OWNER`](super::labels::OWNER).
    pub owner: Option<String>,
}

/// An engine's address with what is needed to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket of this machine.
    Socket(PathBuf),
    /// A port without encryption.
    Plain(String),
    /// A port with certificates in this folder.
    Secure(String, PathBuf),
}

impl Address {
    /// For messages.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix://{}", path.display()),
            Self::Plain(host) | Self::Secure(host, _) => host.clone(),
        }
    }
}

/// The host of an engine that is reached over the network, by its address.
pub fn remote(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    if !matches!(scheme, "tcp" | "http" | "https") {
        return None;
    }
    let host = rest.split('/').next()?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    Some(
        host.trim_start_matches('[')
            .trim_end_matches(']')
            .to_string(),
    )
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

impl Settings {
    /// The address of the engine.
    pub(super) fn address(&self) -> Result<Address> {
        let filled = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        if let Some(host) = filled(&self.host) {
            let folder = self
                .certificates
                .clone()
                .or_else(|| self.tls.then(|| self.config.clone()));
            return self.parse(&host, folder.filter(|_| self.tls));
        }
        let context = match filled(&self.context) {
            Some(context) => Some(context),
            None => self.current()?,
        };
        match context.as_deref() {
            None | Some("default") => Ok(Address::Socket(self.usual_socket())),
            Some(context) => self.of_context(context),
        }
    }

    /// What leads to the engine now: a host or a context, written out.
    pub fn choice(&self) -> Result<(Option<String>, Option<String>)> {
        let filled = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        if let Some(host) = filled(&self.host) {
            return Ok((Some(host), None));
        }
        let context = match filled(&self.context) {
            Some(context) => Some(context),
            None => self.current()?,
        };
        Ok(match context.filter(|name| name != "default") {
            Some(context) => (None, Some(context)),
            None => (Some(Address::Socket(self.usual_socket()).text()), None),
        })
    }

    fn current(&self) -> Result<Option<String>> {
        let path = self.config.join("config.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(None);
        };
        let config: Config =
            serde_json::from_str(&text).map_err(|cause| unreadable(&path, cause))?;
        Ok(config.current.filter(|name| !name.is_empty()))
    }

    fn of_context(&self, name: &str) -> Result<Address> {
        let id: String = Sha256::digest(name.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let contexts = self.config.join("contexts");
        let path = contexts.join("meta").join(&id).join("meta.json");
        let text = std::fs::read_to_string(&path).map_err(|cause| {
            Error::new(
                &BAD_ENGINE_ADDRESS,
                format!("there is no docker context `{name}`"),
            )
            .because(cause)
            .help("`docker context ls` shows those there are")
        })?;
        let meta: Meta = serde_json::from_str(&text).map_err(|cause| unreadable(&path, cause))?;
        let host = meta
            .endpoints
            .get("docker")
            .and_then(|endpoint| endpoint.host.clone());
        let Some(host) = host else {
            let message = format!("the docker context `{name}` names no engine");
            return Err(
                Error::new(&BAD_ENGINE_ADDRESS, message).help("choose another with DOCKER_CONTEXT")
            );
        };
        let folder = contexts.join("tls").join(&id).join("docker");
        self.parse(&host, folder.exists().then_some(folder))
    }

    fn parse(&self, host: &str, certificates: Option<PathBuf>) -> Result<Address> {
        let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
        match (scheme, certificates) {
            ("unix", _) if !rest.is_empty() => Ok(Address::Socket(PathBuf::from(rest))),
            ("tcp" | "https", Some(folder)) if !rest.is_empty() => Ok(Address::Secure(format!("tcp://{rest}"), folder)),
            ("tcp" | "http", None) if !rest.is_empty() => Ok(Address::Plain(format!("tcp://{rest}"))),
            ("https", None) => Err(Error::new(&BAD_ENGINE_ADDRESS, format!("{host} wants certificates and there are none"))
                .help("set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem")),
            ("ssh", _) => Err(Error::new(&SSH_HOST, format!("the engine {host} is behind ssh"))
                .help(format!("forward its socket: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {rest}`, then DOCKER_HOST=unix:///tmp/docker.sock"))),
            _ => Err(Error::new(&BAD_ENGINE_ADDRESS, format!("{host:?} is no address of an engine"))
                .help("addresses look like unix:///var/run/docker.sock or tcp://HOST:2376")),
        }
    }

    /// The first socket that is there; Docker's own if none is, for the message.
    fn usual_socket(&self) -> PathBuf {
        let mut places = vec![PathBuf::from("/var/run/docker.sock")];
        if let Some(runtime) = &self.runtime {
            places.push(runtime.join("docker.sock"));
        }
        places.push(self.config.join("run").join("docker.sock"));
        if let Some(runtime) = &self.runtime {
            places.push(runtime.join("podman").join("podman.sock"));
        }
        places.push(PathBuf::from("/run/podman/podman.sock"));
        let there = places.iter().find(|path| path.exists());
        there.or(places.first()).cloned().unwrap_or_default()
    }
}

fn unreadable(path: &Path, cause: serde_json::Error) -> Error {
    Error::new(
        &BAD_ENGINE_ADDRESS,
        format!("{} cannot be read", path.display()),
    )
    .because(cause)
    .help("mend the file, or name the engine with DOCKER_HOST")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> Settings {
        Settings {
            config: folder.to_path_buf(),
            ..Settings::default()
        }
    }

    #[test]
    fn an_engine_of_another_machine_has_a_host() {
        assert_eq!(remote("tcp://10.0.0.5:2375").as_deref(), Some("10.0.0.5"));
        assert_eq!(
            remote("https://build.example:2376").as_deref(),
            Some("build.example")
        );
        assert_eq!(remote("tcp://[fd00::5]:2375").as_deref(), Some("fd00::5"));
        assert_eq!(remote("unix:///var/run/docker.sock"), None);
    }

    #[test]
    fn the_host_goes_before_the_context() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        settings.host = Some("tcp://10.0.0.1:2375".into());
        settings.context = Some("other".into());
        assert_eq!(
            settings.address().unwrap(),
            Address::Plain("tcp://10.0.0.1:2375".into())
        );
        settings.tls = true;
        settings.certificates = Some("/certs".into());
        assert_eq!(
            settings.address().unwrap(),
            Address::Secure("tcp://10.0.0.1:2375".into(), "/certs".into())
        );
    }

    #[test]
    fn a_context_is_found_by_the_digest_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let id = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
        let meta = folder.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"other","Endpoints":{"docker":{"Host":"unix:///run/other.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(
            folder.path().join("config.json"),
            r#"{"currentContext":"other"}"#,
        )
        .unwrap();
        assert_eq!(
            settings(folder.path()).address().unwrap(),
            Address::Socket("/run/other.sock".into())
        );
    }

    #[test]
    fn wrong_addresses_say_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        for (host, code) in [
            ("ssh://me@there", "E0804"),
            ("ftp://x", "E0805"),
            ("unix://", "E0805"),
            ("https://x:1", "E0805"),
            ("nonsense", "E0805"),
        ] {
            let mut settings = settings(folder.path());
            settings.host = Some(host.into());
            assert_eq!(settings.address().unwrap_err().code().id, code, "{host}");
        }
        let mut settings = settings(folder.path());
        settings.context = Some("absent".into());
        assert_eq!(settings.address().unwrap_err().code().id, "E0805");
    }
}
