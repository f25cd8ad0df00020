//! Keys and certificates from given values.
//!
//! A [`Key`] is an ECDSA P-256 key; a [`Certificate`] is signed with one. Nothing here reads a clock or rolls dice: keys,
//! serial numbers and times come in as values. Making a fresh key is the business of whoever has entropy
//! (`embedded::home` for the embedded provider).
//!
//! To add a kind of certificate: a constructor on [`Order`] with its key usages.

mod order;

pub use order::{Issuer, Order, Validity};

use rcgen::PublicKeyData as _;

use crate::diag::codes::embedded::BAD_KEY;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A private key with its public half.
pub struct Key {
    pair: rcgen::KeyPair,
}

impl Key {
    /// Reads a PKCS#8 key in PEM.
    pub fn from_pem(pem: &str) -> Result<Self> {
        match rcgen::KeyPair::from_pem(pem) {
            Ok(pair) => Ok(Self { pair }),
            Err(cause) => {
                Err(Error::new(&BAD_KEY, "this is no private key in PEM form").because(cause))
            }
        }
    }

    /// Reads a PKCS#8 key in DER, such as a generator makes.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        match rcgen::KeyPair::try_from(der) {
            Ok(pair) => Ok(Self { pair }),
            Err(cause) => {
                Err(Error::new(&BAD_KEY, "this is no private key in PKCS#8 form").because(cause))
            }
        }
    }

    /// The private key in PEM.
    pub fn pem(&self) -> Secret {
        Secret::new(self.pair.serialize_pem())
    }

    /// The private key in PKCS#8 DER.
    pub fn der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// The public key in PEM.
    pub fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The public key as the certificate carries it (SubjectPublicKeyInfo, DER).
    pub fn public_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }
}

/// A signed certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// In PEM.
    pub pem: String,
    /// In DER.
    pub der: Vec<u8>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Key;

    /// A key that is the same in every run.
    pub(crate) const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
";

    #[test]
    fn reads_what_it_writes() {
        let key = Key::from_pem(PEM).unwrap();
        let again = Key::from_pem(key.pem().expose()).unwrap();
        assert_eq!(key.public_pem(), again.public_pem());
    }

    #[test]
    fn refuses_what_is_no_key() {
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert_eq!(Key::from_pem(text).err().unwrap().code().id, "E0701");
        }
    }
}
