//! Keys and certificates from given values.
//!
//! A [`Key`] is an ECDSA P-256 key; a [`Certificate`] is signed with one. Nothing here reads a clock or rolls dice: keys,
//! serial numbers and times come in as values. Making a fresh key is the business of whoever has entropy
//! (`embedded::home` for the embedded provider).
//!
//! To add a kind of certificate: a constructor on [`Order`] with its key usages.

mod order;

pub use order::{Issuer, Order, Purposes, Validity};

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

    /// The private key in the older form of SEC 1 in PEM, which is all that Kubernetes takes for service accounts.
    pub fn sec1_pem(&self) -> Result<Secret> {
        use base64::Engine as _;
        let (secret, public) = self
            .der()
            .strip_prefix(PKCS8_P256)
            .and_then(|rest| rest.split_at_checked(32))
            .and_then(|(secret, rest)| Some((secret, rest.strip_prefix(PUBLIC_PART)?)))
            .ok_or_else(|| Error::new(&BAD_KEY, "this is no P-256 key"))?;
        let mut der = zeroize::Zeroizing::new(SEC1_HEAD.to_vec());
        der.extend_from_slice(secret);
        der.extend_from_slice(SEC1_CURVE);
        der.extend_from_slice(PUBLIC_PART);
        der.extend_from_slice(public);
        let text = zeroize::Zeroizing::new(
            base64::engine::general_purpose::STANDARD.encode(der.as_slice()),
        );
        let mut pem = String::from("-----BEGIN EC PRIVATE KEY-----\n");
        let mut rest = text.as_str();
        while let Some((line, more)) = rest.split_at_checked(64) {
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        if !rest.is_empty() {
            pem.push_str(rest);
            pem.push('\n');
        }
        pem.push_str("-----END EC PRIVATE KEY-----\n");
        Ok(Secret::new(pem))
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

/// What a P-256 key in PKCS#8 begins with, before its 32 secret bytes.
const PKCS8_P256: &[u8] = &[
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];
/// What comes before the public half, in both forms.
const PUBLIC_PART: &[u8] = &[0xa1, 0x44, 0x03, 0x42, 0x00];
/// What a P-256 key in SEC 1 begins with.
const SEC1_HEAD: &[u8] = &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// The name of the curve in SEC 1.
const SEC1_CURVE: &[u8] = &[
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];

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
    fn the_older_form_is_the_same_key() {
        let key = Key::from_pem(PEM).unwrap();
        let pem = key.sec1_pem().unwrap();
        let der: rustls_pki_types::PrivateSec1KeyDer<'static> =
            rustls_pki_types::pem::PemObject::from_pem_slice(pem.expose().as_bytes()).unwrap();
        let again = rustls::crypto::ring::sign::any_ecdsa_type(&der.into()).unwrap();
        assert_eq!(again.public_key().unwrap().as_ref(), key.public_der());
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
