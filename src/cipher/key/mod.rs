//! Keys that lock a file's data key: who can read it, and how the locked key is written.
//!
//! Here are the words and the pure parts. Clients of key services are in `cloud::kms`; which keys a file is for is the
//! business of rules. To add a kind: a file here or in `cloud::kms`, a variant of [`Recipient`], its codes.

pub mod age;
mod group;
pub mod pgp;
pub mod pgp_agent;
mod pgp_keybox;
mod recipient;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use zeroize::Zeroizing;

use crate::diag::codes::cipher::BROKEN_SEALED_KEY;
use crate::error::{Error, Result};

pub use group::{Order, lock_groups, unlock_groups};
pub use recipient::{AwsKms, AzureKeyVault, GcpKms, Kind, Recipient, Vault};

/// The key that seals the values of one file.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Takes 32 random bytes into custody.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a data key that was unlocked.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| {
            Error::new(
                &BROKEN_SEALED_KEY,
                format!("the data key has {} bytes, it must have 32", bytes.len()),
            )
        })?;
        Ok(Self::new(bytes))
    }

    /// Gives the bytes out.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::secret::REDACTED)
    }
}

/// What one recipient locks: the whole data key, or a share of it where there are several groups.
#[derive(Clone)]
pub struct Part(Zeroizing<Vec<u8>>);

impl Part {
    /// Takes bytes into custody.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Gives the bytes out.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::secret::REDACTED)
    }
}

/// The data key, or a share of it, locked for one recipient, as the file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Whose key opens it.
    pub recipient: Recipient,
    /// The locked bytes in the form of their kind: armoured text, base64 or a service's own.
    pub enc: String,
    /// When it was locked, in RFC 3339 form; empty for age, which writes none.
    pub created_at: String,
}

/// Recipients of which any one opens the group's part.
pub type Group = Vec<SealedKey>;

/// A result that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Whoever holds keys, or knows services that do.
pub trait Keyring: Send + Sync {
    /// Locks a part for a recipient; gives the text that is written as `enc`.
    fn lock<'a>(&'a self, recipient: &'a Recipient, part: &'a Part) -> Waiting<'a, String>;

    /// Opens a locked part.
    fn unlock<'a>(&'a self, sealed: &'a SealedKey) -> Waiting<'a, Part>;

    /// Completes a recipient with what only its service knows, such as the newest version of a key.
    fn settle<'a>(&'a self, recipient: &'a Recipient) -> Waiting<'a, Recipient> {
        Box::pin(async move { Ok(recipient.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::{DataKey, Part};

    #[test]
    fn keys_do_not_show_themselves() {
        assert_eq!(format!("{:?}", DataKey::new([7; 32])), "<secret>");
        assert_eq!(format!("{:?}", Part::new([7; 33])), "<secret>");
    }

    #[test]
    fn data_keys_have_one_length() {
        assert!(DataKey::from_slice(&[0; 31]).is_err());
        assert!(DataKey::from_slice(&[0; 32]).is_ok());
    }
}
