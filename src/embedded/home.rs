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

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diag::codes::embedded::{
    ALREADY_RUNNING, BAD_KEY, BROKEN_HOME, HOME_EXISTS, PORT_TAKEN,
};
use crate::error::{Error, Result};
use crate::pki::{Issuer, Key, Order, Validity};
use crate::secret::Secret;

/// The form of `server.json` that this version reads and writes.
const FORM: u32 = 1;
/// How long certificates count, in days.
const DAYS: u64 = 3650;
/// How often a lock is tried for that nobody holds to serve.
const LOOKS: u32 = 1000;

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

/// The right to serve a folder; given up when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// Makes a folder for a new cluster, with fresh keys.
    ///
    /// Everything is written beside it first and moved into place at the end, so a folder that is there is whole.
    pub fn create(folder: &Path, identity: &Identity) -> Result<Self> {
        Self::make(folder, identity, Self::write_new)
    }

    /// Makes a folder for a new cluster with the keys of another, and with the log that a function writes to a path.
    pub(super) fn copy(
        from: &Self,
        folder: &Path,
        identity: &Identity,
        log: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        Self::make(folder, identity, |home| {
            home.write_with(|name| from.read_pki(name))?;
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
            None => free_port()?,
        };
        let config = Config {
            form: FORM,
            name: identity.name.clone(),
            kubernetes: identity.kubernetes.clone(),
            port,
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
        write(&self.folder.join(AUDIT), &policy.to_string(), 0o600)
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
        let keys = Self::make_keys()?;
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
        let text = serde_json::to_string_pretty(&self.config)
            .map_err(|cause| broken(&self.folder, "cannot be described").because(cause))?;
        write(&self.folder.join("server.json"), &text, 0o644)
    }

    fn make_keys() -> Result<Vec<(&'static str, Secret)>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let validity = Validity::days(now.map_or(0, |since| since.as_secs()), DAYS);
        let (ca_key, server_key, admin_key, sa_key) =
            (fresh_key()?, fresh_key()?, fresh_key()?, fresh_key()?);
        let ca = Order::authority("kubernetes", serial(), validity).self_signed(&ca_key)?;
        let issuer = Issuer::new(&ca.pem, &ca_key)?;
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ]
        .map(str::to_owned);
        let addresses = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
        ];
        let order = Order::server("kube-apiserver", &names, &addresses, serial(), validity)?;
        let server = issuer.sign(order, &server_key)?;
        let order = Order::client("kubernetes-admin", "system:masters", serial(), validity);
        let admin = issuer.sign(order, &admin_key)?;
        Ok(vec![
            ("ca.crt", Secret::new(ca.pem.clone())),
            ("ca.key", ca_key.pem()),
            ("server.crt", Secret::new(server.pem)),
            ("server.key", server_key.pem()),
            ("admin.crt", Secret::new(admin.pem)),
            ("admin.key", admin_key.pem()),
            ("sa.key", sa_key.pem()),
        ])
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

    /// Takes the right to serve the folder.
    pub fn lock(&self, pid: i32) -> Result<Lock> {
        let path = self.folder.join("lock");
        let fail = |cause: std::io::Error| broken(&path, "cannot be locked").because(cause);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        let mut looks = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) => {
                    let holder = self.holder();
                    if holder.is_none() && looks < LOOKS {
                        // Whoever only looks who has the lock has it for a moment.
                        looks += 1;
                        std::thread::yield_now();
                        continue;
                    }
                    let holder =
                        holder.map_or_else(String::new, |pid| format!(" as process {pid}"));
                    let message = format!("the cluster {} runs already{holder}", self.config.name);
                    return Err(Error::new(&ALREADY_RUNNING, message));
                }
                Err(fs::TryLockError::Error(cause)) => return Err(fail(cause)),
            }
        }
        file.set_len(0).map_err(fail)?;
        write!(file, "{pid}").map_err(fail)?;
        Ok(Lock { _file: file })
    }

    /// The process that serves the folder now, if one does.
    pub fn holder(&self) -> Option<i32> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.folder.join("lock"))
            .ok()?;
        match file.try_lock_shared() {
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text).ok()?;
                text.trim().parse().ok()
            }
            _ => None,
        }
    }

    /// Waits until nobody serves the folder.
    pub(super) fn wait_unlocked(&self) -> std::io::Result<()> {
        match OpenOptions::new().read(true).open(self.folder.join("lock")) {
            Ok(file) => file.lock_shared(),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(cause),
        }
    }
}

fn free_port() -> Result<u16> {
    let fail = |cause| Error::new(&PORT_TAKEN, "no loopback port can be opened").because(cause);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail)?;
    Ok(listener.local_addr().map_err(fail)?.port())
}

fn fresh_key() -> Result<Key> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|cause| Error::new(&BAD_KEY, "no key can be made").because(cause))?;
    Key::from_der(pair.serialized_der())
}

fn serial() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|cause| broken(path, "cannot be written").because(cause))
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

    use super::{Home, Identity};

    fn identity() -> Identity {
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

    #[test]
    fn only_one_process_serves_a_home() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("dev"), &identity()).unwrap();
        assert_eq!(home.holder(), None);
        let lock = home.lock(4711).unwrap();
        let error = home.lock(1).err().unwrap();
        assert!(error.message().ends_with("process 4711"), "{error}");
        assert_eq!(home.holder(), Some(4711));
        drop(lock);
        assert_eq!(home.holder(), None);
    }
}
