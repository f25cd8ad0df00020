//! The keys of this user: what `cloud::kms` finds, and where new age keys go.
//!
//! The environment comes in as a function, so that tests and scripts give their own.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::cipher::key::age::{self, Ask};
use crate::cipher::key::{Keyring, Kind, Order, Part, Recipient, SealedKey, Waiting};
use crate::cloud::kms;
use crate::diag::codes::cipher::{BROKEN_PRIVATE_KEY, KEY_NOT_LENT, UNWRITABLE_FILE};
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

    /// Collects the keys that lie on this machine: no service is asked, and no program is run for a key.
    pub fn local(env: &Env, ask: Ask) -> Result<Self> {
        let mut sources = kms::collect(&|name| env(name), ask)?;
        sources.may_run = false;
        let order = sources.order.clone();
        Ok(Self {
            ring: Box::new(Local(kms::keyring(sources))),
            order,
        })
    }

    /// Holds nothing; enough to lock for public keys.
    pub fn none() -> Result<Self> {
        let nothing: Env = Arc::new(|_| None);
        Self::local(&nothing, Arc::new(|_| None))
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

/// A keyring that leaves key services alone.
struct Local(kms::Keys);

impl Local {
    fn holds(kind: Kind) -> Result<()> {
        match kind {
            Kind::Age | Kind::Pgp => Ok(()),
            other => Err(Error::new(
                &KEY_NOT_LENT,
                format!("the script may not ask the key service `{}`", other.name()),
            )
            .help("lend it all of your keys with `--allow-keys all`")),
        }
    }
}

impl Keyring for Local {
    fn lock<'a>(&'a self, recipient: &'a Recipient, part: &'a Part) -> Waiting<'a, String> {
        match Self::holds(recipient.kind()) {
            Ok(()) => self.0.lock(recipient, part),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn unlock<'a>(&'a self, sealed: &'a SealedKey) -> Waiting<'a, Part> {
        match Self::holds(sealed.recipient.kind()) {
            Ok(()) => self.0.unlock(sealed),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// Which keys a script is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that lie on this machine.
    Local,
    /// Those of key services as well.
    All,
}

/// Keys that a script was lent; they are collected when the first file needs them.
#[derive(Clone)]
pub struct Lent {
    env: Env,
    ask: Ask,
    reach: Reach,
    keys: Arc<OnceLock<Keys>>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lent({:?})", self.reach)
    }
}

impl Lent {
    /// Lends the keys that this environment leads to.
    pub fn new(env: Env, ask: Ask, reach: Reach) -> Self {
        Self {
            env,
            ask,
            reach,
            keys: Arc::default(),
        }
    }

    /// The keys.
    pub fn keys(&self) -> Result<&Keys> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = match self.reach {
            Reach::Local => Keys::local(&self.env, self.ask.clone())?,
            Reach::All => Keys::collect(&self.env, self.ask.clone())?,
        };
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The environment that they come from.
    pub fn env(&self) -> &Env {
        &self.env
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
