//! A connection to the engine, of a version that both sides speak.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard::errors::Error as Cause;
use bollard::{ClientVersion, Docker};
use serde::Serialize;
use tokio::sync::{Mutex, OnceCell, OwnedSemaphorePermit, Semaphore};

use super::fault::{self, fault};
use super::labels;
use super::settings::{Address, Settings};
use crate::diag::codes::docker::{BAD_ENGINE_ADDRESS, ENGINE_FAILED, ENGINE_TOO_OLD};
use crate::error::{Error, Result};

/// The oldest version of the API that is spoken: that of Docker 20.10.
const OLDEST: (usize, usize) = (1, 41);
/// The newest version of the API that is asked for.
const NEWEST: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 47,
};
/// How long the engine may take to begin an answer, in seconds.
const PATIENCE: u64 = 120;

/// A Docker engine; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) client: Docker,
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// Where it is, for messages.
    pub(super) address: String,
    /// The version of the API that is spoken.
    api: String,
    /// Who owns what is made.
    pub(super) owner: Option<String>,
    /// Of which platform images are; its own choice if `None`.
    pub(super) platform: Option<String>,
    /// Held while a network is looked for and made.
    pub(super) networks: Mutex<()>,
    /// What it says of itself, once asked.
    info: OnceCell<Info>,
    /// How many heavy starts go on at once, once known.
    heavy: OnceCell<Arc<Semaphore>>,
}

/// What an engine says of itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Info {
    /// Where it was reached.
    pub address: String,
    /// Its version, such as `20.10.24`.
    pub version: String,
    /// The version of the API that is spoken with it.
    pub api: String,
    /// Its system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// The kernel it runs on.
    pub kernel: String,
    /// Its architecture, such as `x86_64`.
    pub architecture: String,
    /// How many CPUs it has.
    pub cpus: u64,
    /// How much memory it has, in bytes.
    pub memory: u64,
    /// `1` or `2`.
    pub cgroups: String,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// How layers are kept, such as `overlay2`.
    pub storage: String,
    /// Where it keeps everything.
    pub folder: String,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Whether its proxies know where not to go.
    pub proxy: bool,
}

/// The right to a heavy start; given back when dropped.
pub struct Heavy(#[allow(dead_code, reason = "held for its right")] OwnedSemaphorePermit);

impl Engine {
    /// Connects to the engine that the settings lead to.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let address = settings.address()?;
        let text = address.text();
        let client = negotiated(&address)
            .await
            .map_err(|cause| fault::unreachable(&text, cause))?;
        let spoken = client.client_version();
        let api = format!("{}.{}", spoken.major_version, spoken.minor_version);
        if (spoken.major_version, spoken.minor_version) < OLDEST {
            let (major, minor) = OLDEST;
            let message = format!("the engine at {text} speaks version {api} of the API");
            return Err(Error::new(&ENGINE_TOO_OLD, message).help(format!(
                "update it to one that speaks {major}.{minor}, such as Docker 20.10"
            )));
        }
        let inner = Arc::new(Inner {
            address: text,
            api,
            owner: settings.owner.clone(),
            platform: settings.platform.clone(),
            networks: Mutex::new(()),
            info: OnceCell::new(),
            heavy: OnceCell::new(),
        });
        Ok(Self { client, inner })
    }

    /// Where it was reached.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// What the engine says of itself; asked once. An old engine takes its time: it runs three programs to answer.
    pub async fn info(&self) -> Result<&Info> {
        self.inner.info.get_or_try_init(|| self.ask()).await
    }

    /// The labels of something that is made now.
    pub(super) fn sign(&self, labels: &BTreeMap<String, String>) -> HashMap<String, String> {
        labels::signed(labels, self.inner.owner.as_deref())
    }

    async fn ask(&self) -> Result<Info> {
        let told = self
            .client
            .info()
            .await
            .map_err(|cause| fault("asking the engine about itself", cause))?;
        let positive =
            |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let rootless = told
            .security_options
            .as_ref()
            .is_some_and(|all| all.iter().any(|option| option.contains("name=rootless")));
        Ok(Info {
            address: self.inner.address.clone(),
            version: told.server_version.unwrap_or_default(),
            api: self.inner.api.clone(),
            system: told.operating_system.unwrap_or_default(),
            kernel: told.kernel_version.unwrap_or_default(),
            architecture: told.architecture.unwrap_or_default(),
            cpus: positive(told.ncpu),
            memory: positive(told.mem_total),
            cgroups: told
                .cgroup_version
                .map(|v| v.to_string())
                .unwrap_or_default(),
            cgroup_driver: told
                .cgroup_driver
                .map(|d| d.to_string())
                .unwrap_or_default(),
            storage: told.driver.unwrap_or_default(),
            folder: told.docker_root_dir.unwrap_or_default(),
            rootless,
            proxy: told.http_proxy.is_some_and(|proxy| !proxy.is_empty()),
        })
    }

    /// Waits for the right to a heavy start, such as a kubeadm run: more at once than the CPUs carry only slow each other.
    pub async fn heavy(&self) -> Result<Heavy> {
        let info = self.info().await?;
        let heavy = self
            .inner
            .heavy
            .get_or_init(async || Arc::new(Semaphore::new(at_once(info))))
            .await;
        match heavy.clone().acquire_owned().await {
            Ok(permit) => Ok(Heavy(permit)),
            Err(cause) => {
                Err(Error::new(&ENGINE_FAILED, "no more starts are admitted").because(cause))
            }
        }
    }
}

/// How many control planes may start at once: one for two CPUs, and one for two gigabytes.
fn at_once(info: &Info) -> usize {
    let by_cpu = info.cpus / 2;
    let by_memory = info.memory / 2_000_000_000;
    usize::try_from(by_cpu.min(by_memory)).unwrap_or(1).max(1)
}

/// A client of a version that both sides speak. An engine refuses one that is too new and says which it knows; asked for
/// its version outright, an old one runs three programs before it answers. Podman takes any version for its own.
async fn negotiated(address: &Address) -> std::result::Result<Docker, Cause> {
    let client = open(address, &NEWEST)?;
    if matches!(address, Address::Socket(path) if path.to_string_lossy().contains("podman")) {
        return client.negotiate_version().await;
    }
    match client.ping().await {
        Ok(words) if words.trim() == "OK" => Ok(client),
        Ok(_) => client.negotiate_version().await,
        Err(Cause::DockerResponseServerError { message, .. }) => match known(&message) {
            Some(version) => open(address, &version),
            None => client.negotiate_version().await,
        },
        Err(cause) => Err(cause),
    }
}

/// The newest version that an engine knows, in its words.
fn known(words: &str) -> Option<ClientVersion> {
    let (_, rest) = words.split_once("Maximum supported API version is ")?;
    let (major, minor) = rest.trim().trim_end_matches('.').split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

fn open(address: &Address, version: &ClientVersion) -> std::result::Result<Docker, Cause> {
    match address {
        Address::Socket(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), PATIENCE, version)
        }
        Address::Plain(host) => Docker::connect_with_http(host, PATIENCE, version),
        Address::Secure(host, folder) => Docker::connect_with_ssl(
            host,
            &folder.join("key.pem"),
            &folder.join("cert.pem"),
            &folder.join("ca.pem"),
            PATIENCE,
            version,
        ),
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({})", self.inner.address)
    }
}

/// Says that certificates cannot be read.
pub(super) fn bad_certificates(path: &std::path::Path) -> Error {
    Error::new(
        &BAD_ENGINE_ADDRESS,
        format!("the certificate {} cannot be read", path.display()),
    )
    .help("DOCKER_CERT_PATH names the folder of ca.pem, cert.pem and key.pem")
}

#[cfg(test)]
mod tests {
    use super::{Info, at_once, known};

    #[test]
    fn an_engine_says_which_version_it_knows() {
        let words = "client version 1.47 is too new. Maximum supported API version is 1.41";
        let version = known(words).unwrap();
        assert_eq!((version.major_version, version.minor_version), (1, 41));
        assert!(known("no such page").is_none());
    }

    #[test]
    fn heavy_starts_are_bounded_by_cpus_and_memory() {
        let info = |cpus, gigabytes: u64| Info {
            cpus,
            memory: gigabytes * 1_000_000_000,
            ..Info::default()
        };
        assert_eq!(at_once(&info(1, 1)), 1);
        assert_eq!(at_once(&info(2, 16)), 1);
        assert_eq!(at_once(&info(16, 64)), 8);
        assert_eq!(at_once(&info(16, 4)), 2);
    }
}
