//! The keys of this user: where they are looked for, and the keyring that is made of them.
//!
//! Places are those of sops: variables, the key file of the operating system, SSH keys. The environment comes in as a
//! function, so that tests and scripts give their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cipher::key::age::{self, Ask, Identities};
use crate::cipher::key::{Keyring, Order, Part, Recipient, SealedKey, Waiting};
use crate::diag::codes::cipher::{UNREADABLE_FILE, UNSUPPORTED_RECIPIENT};
use crate::error::{Error, Result};

/// How environment variables are read.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Reads the variables of this process.
pub fn process_env() -> Env {
    Arc::new(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
}

/// A keyring with the order in which its kinds are tried.
pub struct Keys {
    ring: Box<dyn Keyring>,
    order: Order,
}

impl Keys {
    /// Collects the keys of this user.
    pub fn collect(env: &Env, ask: Ask) -> Result<Self> {
        let order = env("SOPS_DECRYPTION_ORDER")
            .map(|text| Order::parse(&text))
            .transpose()?
            .unwrap_or_default();
        Ok(Self {
            ring: Box::new(Local {
                identities: identities(env)?,
                ask,
            }),
            order,
        })
    }

    /// Makes one of a given keyring.
    pub fn of(ring: Box<dyn Keyring>) -> Self {
        Self {
            ring,
            order: Order::default(),
        }
    }

    /// The keyring.
    pub fn ring(&self) -> &dyn Keyring {
        &*self.ring
    }

    /// The order in which kinds are tried.
    pub fn order(&self) -> &Order {
        &self.order
    }
}

/// The key file that sops and ksail read and write unless a variable names another.
pub fn key_file(env: &Env) -> Option<PathBuf> {
    if let Some(path) = env("SOPS_AGE_KEY_FILE") {
        return Some(PathBuf::from(path));
    }
    let below = |folder: String| Path::new(&folder).join("sops/age/keys.txt");
    if cfg!(windows) {
        return env("AppData").map(below);
    }
    if let Some(folder) = env("XDG_CONFIG_HOME") {
        return Some(below(folder));
    }
    let home = env("HOME")?;
    let config = if cfg!(target_os = "macos") {
        "Library/Application Support"
    } else {
        ".config"
    };
    Some(below(Path::new(&home).join(config).display().to_string()))
}

fn identities(env: &Env) -> Result<Identities> {
    let mut identities = Identities::default();
    if let Some(text) = env("SOPS_AGE_KEY") {
        identities.read("SOPS_AGE_KEY", &text)?;
    }
    if let Some(command) = env("SOPS_AGE_KEY_CMD") {
        identities.read("SOPS_AGE_KEY_CMD", &output_of(&command)?)?;
    }
    if let Some(path) = key_file(env) {
        let named = env("SOPS_AGE_KEY_FILE").is_some();
        match std::fs::read(&path) {
            Ok(bytes) => add(&mut identities, &path, &bytes)?,
            Err(_) if !named => {}
            Err(cause) => {
                return Err(Error::new(
                    &UNREADABLE_FILE,
                    format!(
                        "cannot read the key file {} that SOPS_AGE_KEY_FILE names",
                        path.display()
                    ),
                )
                .because(cause));
            }
        }
    }
    if let Some(path) = env("SOPS_AGE_SSH_PRIVATE_KEY_FILE") {
        let bytes = std::fs::read(&path).map_err(|cause| {
            Error::new(
                &UNREADABLE_FILE,
                format!("cannot read the SSH key {path} that SOPS_AGE_SSH_PRIVATE_KEY_FILE names"),
            )
            .because(cause)
        })?;
        add(&mut identities, Path::new(&path), &bytes)?;
    } else if let Some(home) = env("HOME") {
        for name in ["id_ed25519", "id_rsa"] {
            let path = Path::new(&home).join(".ssh").join(name);
            if let Ok(bytes) = std::fs::read(&path) {
                // A key that nobody named and that cannot be read is none.
                let _ = add(&mut identities, &path, &bytes);
            }
        }
    }
    Ok(identities)
}

fn add(identities: &mut Identities, path: &Path, bytes: &[u8]) -> Result<()> {
    let place = path.display().to_string();
    match std::str::from_utf8(bytes) {
        Ok(text) => identities.read(&place, text),
        Err(_) => {
            identities.add_locked(&place, bytes);
            Ok(())
        }
    }
}

fn output_of(command: &str) -> Result<String> {
    let failed = |what: String| {
        Error::new(
            &UNREADABLE_FILE,
            format!("the command in SOPS_AGE_KEY_CMD {what}"),
        )
    };
    let output = super::child::shell(command)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|cause| failed("cannot be run".into()).because(cause))?;
    if !output.status.success() {
        return Err(failed(format!("failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("printed something that is no text".into()))
}

/// The keys that are on this machine.
struct Local {
    identities: Identities,
    ask: Ask,
}

impl Keyring for Local {
    fn lock<'a>(&'a self, recipient: &'a Recipient, part: &'a Part) -> Waiting<'a, String> {
        Box::pin(async move {
            match recipient {
                Recipient::Age(public) => age::lock(public, part),
                other => Err(unsupported(other)),
            }
        })
    }

    fn unlock<'a>(&'a self, sealed: &'a SealedKey) -> Waiting<'a, Part> {
        Box::pin(async move {
            match &sealed.recipient {
                Recipient::Age(public) => self.identities.unlock(public, &sealed.enc, &self.ask),
                other => Err(unsupported(other)),
            }
        })
    }
}

fn unsupported(recipient: &Recipient) -> Error {
    Error::new(
        &UNSUPPORTED_RECIPIENT,
        format!(
            "keys of kind `{}` are not supported here",
            recipient.kind().name()
        ),
    )
}
