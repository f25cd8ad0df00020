//! Where keys and credentials are looked for: variables, key files, keyrings.
//!
//! [`collect`] reads what is there; nothing is sent anywhere and nothing is opened with a passphrase yet.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::cache::Cache;
use super::sigv4::Credentials;
use crate::cipher::key::Order;
use crate::cipher::key::age::Ask;
use crate::error::Result;
use crate::secret::Secret;

/// The environment variables that say something about keys.
pub const VARIABLES: &[&str] = &[
    "APPDATA",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_STS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "GNUPGHOME",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "HOME",
    "KSAIL_PGP_KEY_FILE",
    "KSAIL_PGP_PASSPHRASE",
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_CMD",
    "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    "SOPS_DECRYPTION_ORDER",
    "SOPS_GCP_KMS_ENDPOINT",
    "SOPS_GPG_EXEC",
    "USERPROFILE",
    "VAULT_CACERT",
    "VAULT_CAPATH",
    "VAULT_CLIENT_CERT",
    "VAULT_CLIENT_KEY",
    "VAULT_NAMESPACE",
    "VAULT_TOKEN",
    "XDG_CONFIG_HOME",
];

/// Key files that are longer are not read.
const FILE_LIMIT: u64 = 64 << 20;

/// What was read at a place.
#[derive(Clone)]
pub struct Found {
    /// The variable or path.
    pub place: String,
    /// The content.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Everything that may open a file, as found.
#[derive(Clone)]
pub struct KeySources {
    /// The variables of [`VARIABLES`] that are set.
    pub variables: BTreeMap<String, Secret>,
    /// Files and variables with age identities or SSH keys.
    pub age: Vec<Found>,
    /// Files with OpenPGP keys.
    pub pgp: Vec<Found>,
    /// Where age keys were looked for and not found, with the reason.
    pub looked: Vec<String>,
    /// In which order kinds of key are tried.
    pub order: Order,
    /// Asks for passphrases.
    pub ask: Ask,
    /// Whether programs may be run for a key: commands in variables, and `gpg`.
    pub may_run: bool,
    /// Tokens that services gave.
    pub(super) tokens: Arc<Cache<Secret>>,
    /// Keys that AWS gave.
    pub(super) aws: Arc<Cache<Credentials>>,
}

impl KeySources {
    /// Nothing at all: no variable, no file, nobody to ask.
    pub fn none() -> Self {
        Self {
            variables: BTreeMap::new(),
            age: Vec::new(),
            pgp: Vec::new(),
            looked: Vec::new(),
            order: Order::default(),
            ask: Arc::new(|_| None),
            may_run: true,
            tokens: Arc::default(),
            aws: Arc::default(),
        }
    }

    /// Gives a variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(Secret::expose)
            .filter(|text| !text.is_empty())
    }

    /// The user's own folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.variable("HOME")
            .or_else(|| self.variable("USERPROFILE"))
            .map(PathBuf::from)
    }

    /// Reads a file that a variable or a default names.
    pub(super) fn file(&self, variable: &str, default: Option<&str>) -> Option<(PathBuf, String)> {
        let path = match (self.variable(variable), default) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(default)) => self.home()?.join(default),
            (None, None) => return None,
        };
        let bytes = read(&path).ok()?;
        Some((path, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Reads the variables, key files and keyrings that are there; `variable` gives the environment.
pub fn collect(variable: &dyn Fn(&str) -> Option<String>, ask: Ask) -> Result<KeySources> {
    let mut sources = KeySources::none();
    sources.ask = ask;
    for name in VARIABLES {
        if let Some(text) = variable(name) {
            sources
                .variables
                .insert((*name).to_owned(), Secret::new(text));
        }
    }
    if let Some(order) = sources.variable("SOPS_DECRYPTION_ORDER") {
        sources.order = Order::parse(order)?;
    }
    collect_age(&mut sources);
    collect_pgp(&mut sources);
    Ok(sources)
}

fn collect_age(sources: &mut KeySources) {
    let ssh = sources
        .variable("SOPS_AGE_SSH_PRIVATE_KEY_FILE")
        .map(PathBuf::from);
    if let Some(path) = ssh {
        add_age(sources, &path);
    }
    if let Some(text) = sources.variable("SOPS_AGE_KEY") {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        sources.age.push(Found {
            place: "SOPS_AGE_KEY".to_owned(),
            bytes,
        });
    } else {
        sources.looked.push("SOPS_AGE_KEY is not set".to_owned());
    }
    match sources.variable("SOPS_AGE_KEY_FILE").map(PathBuf::from) {
        Some(path) => add_age(sources, &path),
        None => sources
            .looked
            .push("SOPS_AGE_KEY_FILE is not set".to_owned()),
    }
    for path in key_files(sources) {
        add_age(sources, &path);
    }
    if let Some(home) = sources.home() {
        add_age(sources, &home.join(".ssh/id_ed25519"));
        add_age(sources, &home.join(".ssh/id_rsa"));
    }
}

/// The key files of age: the first is the one to write to.
fn key_files(sources: &KeySources) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if !cfg!(windows) {
        folders.extend(sources.variable("XDG_CONFIG_HOME").map(PathBuf::from));
    }
    if folders.is_empty() {
        if cfg!(windows) {
            folders.extend(sources.variable("APPDATA").map(PathBuf::from));
        } else if let Some(home) = sources.home() {
            folders.push(home.join(if cfg!(target_os = "macos") {
                "Library/Application Support"
            } else {
                ".config"
            }));
        }
    }
    folders
        .into_iter()
        .map(|folder| folder.join("sops/age/keys.txt"))
        .collect()
}

impl KeySources {
    /// The key file of age that new keys are written to.
    pub fn key_file(&self) -> Option<PathBuf> {
        self.variable("SOPS_AGE_KEY_FILE")
            .map(PathBuf::from)
            .or_else(|| key_files(self).into_iter().next())
    }
}

fn add_age(sources: &mut KeySources, path: &Path) {
    let place = path.display().to_string();
    match read(path) {
        Ok(bytes) => sources.age.push(Found { place, bytes }),
        Err(cause) => sources.looked.push(format!("{place}: {cause}")),
    }
}

fn collect_pgp(sources: &mut KeySources) {
    let mut paths = Vec::new();
    paths.extend(sources.variable("KSAIL_PGP_KEY_FILE").map(PathBuf::from));
    let folder = match sources.variable("GNUPGHOME") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => sources.home().map(|home| home.join(".gnupg")),
    };
    if let Some(folder) = folder {
        for name in ["pubring.kbx", "pubring.gpg", "secring.gpg"] {
            paths.push(folder.join(name));
        }
    }
    for path in paths {
        let place = path.display().to_string();
        if let Ok(bytes) = read(&path) {
            sources.pgp.push(Found { place, bytes });
        }
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    fs::File::open(path)?
        .take(FILE_LIMIT)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::collect;

    #[test]
    fn finds_keys_in_variables_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sops/age/keys.txt");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "# none").unwrap();
        let root = folder.path().display().to_string();
        let sources = collect(
            &|name| match name {
                "XDG_CONFIG_HOME" | "HOME" => Some(root.clone()),
                "SOPS_AGE_KEY" => Some("k".to_owned()),
                "SOPS_DECRYPTION_ORDER" => Some("pgp".to_owned()),
                _ => None,
            },
            Arc::new(|_| None),
        )
        .unwrap();
        let places: Vec<&str> = sources.age.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["SOPS_AGE_KEY", file.to_str().unwrap()]);
        assert_eq!(sources.key_file().unwrap(), file);
        assert_eq!(sources.looked.len(), 3);
    }
}
