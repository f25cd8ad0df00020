//! A whole encrypted file: tree, metadata and integrity code together.
//!
//! The data key and its locked copies come from `key/` by way of `ops`; here they are given.

use super::format::{self, Format, Layout};
use super::metadata::{Metadata, VERSION};
use super::seal::{NONCE, Sealer};
use super::tree::{Branch, Branches, Value};
use super::walk::{self, Entropy, Kept};
use crate::diag::codes::cipher::{BROKEN_METADATA, MAC_MISMATCH, MAC_MISSING};
use crate::error::{Error, Result};

/// Whether the integrity code must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// It must.
    Check,
    /// It is not looked at.
    Ignore,
}

/// A file as it is stored: values sealed, metadata beside them.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The documents with their sealed values.
    pub branches: Branches,
    /// Who can open it, and what is encrypted.
    pub metadata: Metadata,
    source: String,
}

/// A file as it is read: plain values, and what is needed to seal it again with the least change.
pub struct Opened {
    /// The documents with their plain values.
    pub branches: Branches,
    /// Who can open it, and what is encrypted.
    pub metadata: Metadata,
    kept: Kept,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.branches.iter_mut().for_each(Branch::wipe);
    }
}

impl Sealed {
    /// Reads an encrypted file.
    pub fn read(format: Format, bytes: &[u8]) -> Result<Self> {
        let (branches, metadata) = format::read_sealed(format, bytes)?;
        Ok(Self {
            branches,
            metadata,
            source: String::from_utf8_lossy(bytes).into_owned(),
        })
    }

    /// Writes the file.
    pub fn write(&self, format: Format, layout: Layout) -> Result<Vec<u8>> {
        format::write_sealed(format, &self.branches, &self.metadata, layout)
    }

    /// Opens every value with the data key.
    pub fn open(self, key: &[u8; 32], mac: Mac) -> Result<Opened> {
        let Self {
            mut branches,
            metadata,
            source,
        } = self;
        let sealer = Sealer::new(key);
        let scope = metadata.selectors.scope()?;
        let mut kept = Kept::default();
        let computed = walk::decrypt(&mut branches, &scope, &sealer, &mut kept, &source)?;
        let opened = Opened {
            branches,
            metadata,
            kept,
        };
        if mac == Mac::Check {
            opened.check(&sealer, &computed)?;
        }
        Ok(opened)
    }
}

impl Opened {
    /// Takes a plain tree that was never encrypted.
    pub fn plain(branches: Branches, metadata: Metadata) -> Self {
        Self {
            branches,
            metadata,
            kept: Kept::default(),
        }
    }

    fn check(&self, sealer: &Sealer, computed: &str) -> Result<()> {
        if self.metadata.mac.is_empty() {
            return Err(Error::new(&MAC_MISSING, "the file has no integrity code")
                .field("sops.mac")
                .help("restore the file, or decrypt with --ignore-mac if you trust its content"));
        }
        let mismatch = |what: &str| {
            Error::new(&MAC_MISMATCH, what.to_owned())
                .field("sops.mac")
                .help("compare the file with version control; --ignore-mac decrypts in spite of it")
        };
        let (stored, _) = sealer
            .open(&self.metadata.mac, &self.metadata.last_modified)
            .map_err(|cause| {
                mismatch("the integrity code cannot be opened: it or `lastmodified` was changed")
                    .because(cause)
            })?;
        match stored {
            Value::Text(stored) if walk::same_code(&stored, computed) => Ok(()),
            _ => Err(mismatch(
                "the integrity code does not fit: values were added, removed, moved or changed without the key",
            )),
        }
    }

    /// Forgets the old ciphertexts, as a new data key demands.
    pub fn forget(&mut self) {
        self.kept = Kept::default();
    }

    /// Seals every value; `now` is in RFC 3339 form with whole seconds.
    pub fn seal(&self, key: &[u8; 32], now: &str, entropy: &mut dyn Entropy) -> Result<Sealed> {
        let sealer = Sealer::new(key);
        let mut metadata = self.metadata.clone();
        metadata.selectors = metadata.selectors.settle()?;
        let scope = metadata.selectors.scope()?;
        let mut branches = self.branches.clone();
        let code = walk::encrypt(&mut branches, &scope, &sealer, &self.kept, entropy)?;
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce)?;
        now.clone_into(&mut metadata.last_modified);
        metadata.mac = sealer.seal(&Value::text(code), now, &nonce)?;
        VERSION.clone_into(&mut metadata.version);
        if metadata.groups.iter().all(Vec::is_empty) {
            return Err(Error::new(
                &BROKEN_METADATA,
                "there is no key that could open the file",
            ));
        }
        Ok(Sealed {
            branches,
            metadata,
            source: String::new(),
        })
    }
}
