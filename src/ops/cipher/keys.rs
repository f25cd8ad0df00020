//! The keys of this user: what `cloud::kms` finds, and where new age keys go.
//!
//! The environment comes in as a function, so that tests and scripts give their own.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cipher::key::age::{self, Ask};
use crate::cipher::key::{Keyring, Order};
use crate::cloud::kms;
use crate::diag::codes::cipher::{BROKEN_PRIVATE_KEY, UNWRITABLE_FILE};
use crate::error::{Error, Result};
use crate::secret::Secret;

use super::files;

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
        let sources = kms::collect(&|name| env(name), ask)?;
        let order = sources.order.clone();
        Ok(Self {
            ring: Box::new(kms::keyring(sources)),
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

/// The key file that sops and ksail read, and that new keys are added to.
pub fn key_file(env: &Env) -> Result<PathBuf> {
    let sources = kms::collect(&|name| env(name), Arc::new(|_| None))?;
    sources.key_file().ok_or_else(|| {
        Error::new(&UNWRITABLE_FILE, "there is no place for a key file")
            .help("set SOPS_AGE_KEY_FILE or HOME")
    })
}

/// Adds an age private key to the key file; gives the file and the public key.
pub fn import(private: &Secret, env: &Env) -> Result<(PathBuf, String)> {
    let public = age::public_of(private).map_err(|cause| {
        Error::new(&BROKEN_PRIVATE_KEY, "the text is not an age private key")
            .help("it begins with AGE-SECRET-KEY-1 and has 74 characters")
            .because(cause)
    })?;
    let path = key_file(env)?;
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            zeroize::Zeroizing::new(String::new())
        }
        Err(cause) => {
            return Err(Error::new(
                &UNWRITABLE_FILE,
                format!("cannot read the key file {}", path.display()),
            )
            .because(cause));
        }
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(age::block(private, &super::now())?.expose());
    files::write_private(&path, text.as_bytes())?;
    Ok((path, public))
}
