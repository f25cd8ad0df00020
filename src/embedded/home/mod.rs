//! The folder of a cluster: what it is called, its keys, its log, and who serves it.
//!
//! ```text
//! server.json   what the cluster is
//! pki/          certificates, and keys that only the owner can read
//! log/          every acknowledged write
//! server.log    what the process had to say
//! audit.json    the policy by which requests are written down, if they are
//! audit.log     what was written down; older parts end with a number
//! lock          held, with its number in it, by the process that serves the folder
//! ```

mod keys;
mod lock;
mod port;

pub use lock::Lock;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diag::codes::embedded::{BROKEN_HOME, HOME_EXISTS};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The form of `server.json` that this version reads and writes.
const FORM: u32 = 1;

/// The policy of the audit log.
const AUDIT: &str = "audit.json";

/// The files of `pki/`.
const PKI: [&str; 7] = [
    "ca.crt",
    "ca.key",
    "server.crt",
    "server.key",
    "admin.crt",
    "admin.key",
    "sa.key",
];

/// What a new cluster shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// The version of the API it shows, such as `1.35.4`.
    pub kubernetes: String,
    /// The port to listen on; a free one if unset.
    pub port: Option<u16>,
}

/// What `server.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    form: u32,
    /// The cluster's name.
    pub name: String,
    /// The version of the API it shows.
    pub kubernetes: String,
    /// The port it listens on.
    pub port: u16,
    /// Whether the port may still become another, because the cluster has never been served.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tentative: bool,
}

impl Config {
    /// The version as the API says it: `v1.35.4`.
    pub fn kubernetes_version(&self) -> String {
        let version = self.kubernetes.trim_start_matches('v');
        match version.matches('.').count() {
            0 | 1 => format!("v{version}.0"),
            _ => format!("v{version}"),
        }
    }
}

/// A cluster's folder, opened.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
    config: Config,
}

impl Home {
    /// Makes a folder for a new cluster, with fresh keys.
    ///
    /// Everything is written beside it first and moved into place at the end, so a folder that is there is whole.
    pub fn create(folder: &Path, identity: &Identity) -> Result<Self> {
        Self::make(folder, identity, Self::write_new)
    }

    /// Makes a folder for a new cluster with the keys of another and its audit policy, and with the log that a function writes
    /// to a path.
    pub(super) fn copy(
        from: &Self,
        folder: &Path,
        identity: &Identity,
        log: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        Self::make(folder, identity, |home| {
            home.write_with(|name| from.read_pki(name))?;
            if let Some(policy) = from.audit_policy()? {
                home.set_audit_policy(&policy)?;
            }
            log(&home.log_file())
        })
    }

    fn make(
        folder: &Path,
        identity: &Identity,
        fill: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        if folder.exists() {
            return Err(exists(folder));
        }
        let port = match identity.port {
            Some(port) => port,
            None => port::find()?,
        };
        let config = Config {
            form: FORM,
            name: identity.name.clone(),
            kubernetes: identity.kubernetes.clone(),
            port,
            tentative: identity.port.is_none(),
        };
        let parent = folder.parent().unwrap_or(Path::new("."));
        let fail = |cause: std::io::Error| broken(folder, "cannot be made").because(cause);
        fs::create_dir_all(parent).map_err(fail)?;
        let fresh = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(parent)
            .map_err(fail)?;
        let home = Self {
            folder: fresh.path().to_owned(),
            config,
        };
        fill(&home)?;
        // From here on the folder is wanted, under its final name.
        fs::rename(fresh.path(), folder).map_err(|cause| match folder.exists() {
            true => exists(folder),
            false => fail(cause),
        })?;
        let _ = fresh.keep();
        Ok(Self {
            folder: folder.to_owned(),
            config: home.config,
        })
    }

    /// By which policy requests are written down, if they are.
    pub fn audit_policy(&self) -> Result<Option<Value>> {
        let path = self.folder.join(AUDIT);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(broken(&path, "cannot be read").because(cause)),
        };
        let policy = serde_json::from_str(&text);
        policy.map_err(|cause| broken(&path, "is damaged").because(cause))
    }

    /// Sets by which policy requests are written down from the next start on.
    pub fn set_audit_policy(&self, policy: &Value) -> Result<()> {
        replace(&self.folder.join(AUDIT), &policy.to_string(), 0o600)
    }

    /// The file that requests are written down in.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// Opens the folder of a cluster that is there.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("server.json");
        let text = fs::read_to_string(&path)
            .map_err(|cause| broken(&path, "cannot be read").because(cause))?;
        let config: Config = serde_json::from_str(&text)
            .map_err(|cause| broken(&path, "is damaged").because(cause))?;
        if config.form != FORM {
            let what = format!(
                "has form {}, but this version reads form {FORM}",
                config.form
            );
            return Err(broken(&path, &what));
        }
        Ok(Self {
            folder: folder.to_owned(),
            config,
        })
    }

    fn write_new(&self) -> Result<()> {
        let keys = keys::make()?;
        self.write_with(|name| {
            let found = keys.iter().find(|(key, _)| *key == name);
            let text = found.map(|(_, text)| text.expose()).unwrap_or_default();
            Ok(Secret::new(text.to_owned()))
        })
    }

    /// Writes everything but the log; each key comes from a function.
    fn write_with(&self, key: impl Fn(&str) -> Result<Secret>) -> Result<()> {
        let pki = self.pki_folder();
        let mut private = fs::DirBuilder::new();
        private.mode(0o700);
        private
            .create(&pki)
            .and_then(|()| private.create(self.log_folder()))
            .map_err(|cause| broken(&pki, "cannot be made").because(cause))?;
        for name in PKI {
            let text = key(name)?;
            let is_key = Path::new(name).extension().is_some_and(|end| end == "key");
            let mode = if is_key { 0o600 } else { 0o644 };
            write(&pki.join(name), text.expose(), mode)?;
        }
        self.write_config()
    }

    fn write_config(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.config)
            .map_err(|cause| broken(&self.folder, "cannot be described").because(cause))?;
        replace(&self.folder.join("server.json"), &text, 0o644)
    }

    /// Where the folder is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the cluster is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.config.port))
    }

    /// The URL for kubeconfigs.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// The authority's certificate, for kubeconfigs.
    pub fn authority(&self) -> Result<String> {
        Ok(self.read_pki("ca.crt")?.expose().to_owned())
    }

    /// The administrator's certificate and key, for kubeconfigs.
    pub fn admin(&self) -> Result<(String, Secret)> {
        let certificate = self.read_pki("admin.crt")?.expose().to_owned();
        Ok((certificate, self.read_pki("admin.key")?))
    }

    /// Where certificates and keys are.
    pub fn pki_folder(&self) -> PathBuf {
        self.folder.join("pki")
    }

    /// Where the writes are.
    pub fn log_folder(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The log itself.
    pub(super) fn log_file(&self) -> PathBuf {
        self.log_folder().join(super::store::LOG_FILE)
    }

    /// Puts another log in the log's place.
    pub(super) fn replace_log(&self, fresh: &Path) -> Result<()> {
        let path = self.log_file();
        fs::rename(fresh, &path).map_err(|cause| broken(&path, "cannot be replaced").because(cause))
    }

    /// Where the process writes what it has to say.
    pub fn server_log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Reads a certificate or a key.
    pub fn read_pki(&self, name: &str) -> Result<Secret> {
        let path = self.pki_folder().join(name);
        let text = fs::read_to_string(&path)
            .map_err(|cause| broken(&path, "cannot be read").because(cause))?;
        Ok(Secret::new(text))
    }

    /// Writes a line to the server's log; a log that cannot be written stops nothing.
    pub fn remark(&self, text: &str) {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.server_log());
        if let Ok(mut file) = file {
            let _ = writeln!(file, "{text}");
        }
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|cause| broken(path, "cannot be written").because(cause))
}

/// Writes a file as a whole, in the place of one that may be there.
fn replace(path: &Path, text: &str, mode: u32) -> Result<()> {
    let fail = |cause| broken(path, "cannot be written").because(cause);
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(path.parent().unwrap_or(Path::new(".")))
        .map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    file.persist(path).map_err(|failed| fail(failed.error))?;
    Ok(())
}

fn exists(folder: &Path) -> Error {
    Error::new(
        &HOME_EXISTS,
        format!("{} is there already", folder.display()),
    )
}

fn broken(path: &Path, what: &str) -> Error {
    Error::new(&BROKEN_HOME, format!("{} {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::{Home, Identity};

    pub(super) fn identity() -> Identity {
        Identity {
            name: "dev".to_owned(),
            kubernetes: "1.35.4".to_owned(),
            port: None,
        }
    }

    #[test]
    fn a_new_home_opens_again_and_keeps_its_keys_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev");
        let made = Home::create(&path, &identity()).unwrap();
        let opened = Home::open(&path).unwrap();
        assert_eq!(made.config(), opened.config());
        let key = std::fs::metadata(path.join("pki/admin.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        assert!(opened.admin().unwrap().0.contains("BEGIN CERTIFICATE"));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_home_is_never_made_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let error = Home::create(folder.path(), &identity()).err().unwrap();
        assert_eq!(error.code().id, "E0704");
    }

    #[test]
    fn a_policy_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("dev"), &identity()).unwrap();
        assert_eq!(home.audit_policy().unwrap(), None);
        for policy in [json!({"rules": []}), json!({"rules": [{"level": "None"}]})] {
            home.set_audit_policy(&policy).unwrap();
            assert_eq!(home.audit_policy().unwrap(), Some(policy));
        }
    }

    #[test]
    fn a_damaged_home_is_named_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.json");
        for text in [
            "",
            "{",
            "[]",
            r#"{"form":9,"name":"x","kubernetes":"1","port":1}"#,
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Home::open(folder.path()).err().unwrap();
            assert_eq!(error.code().id, "E0703");
            assert!(error.message().contains("server.json"));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
    }
}
