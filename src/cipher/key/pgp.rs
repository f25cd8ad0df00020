//! OpenPGP: certificates and secret keys from key files and keyrings, locking and opening data keys with them.
//!
//! Reads armoured and binary exports and GnuPG's keyboxes. Keys that only GnuPG holds are asked for in `cloud::kms`.

use std::io::Cursor;

use pgp::composed::{
    ArmorOptions, DecryptionOptions, Deserializable, Esk, Message, MessageBuilder, PublicOrSecret,
    SignedPublicKey, SignedPublicSubKey, SignedSecretKey, TheRing,
};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{EncryptionKey, KeyDetails, Password};
use rand::{CryptoRng, Rng};
use zeroize::Zeroizing;

use super::age::Ask;
use super::{Part, pgp_keybox};
use crate::diag::codes::cipher::{
    BROKEN_IDENTITY, BROKEN_SEALED_KEY, NO_PGP_KEY, PGP_FAILED, WRONG_PASSPHRASE,
};
use crate::error::{Error, Result};

/// A keyring with more bytes is not read.
const KEYRING_LIMIT: usize = 64 << 20;

/// A locked data key has some hundred bytes; a hostile file could hold more.
const SEALED_LIMIT: usize = 1 << 20;

/// Certificates and secret keys, with the names of the places they are from.
#[derive(Default)]
pub struct Keys {
    certificates: Vec<SignedPublicKey>,
    secret: Vec<(String, SignedSecretKey)>,
    places: Vec<String>,
}

impl Keys {
    /// Adds the keys of a file: armoured, binary or a keybox. Keys of kinds that are not known are passed over.
    pub fn read(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.places.push(place.to_owned());
        if bytes.len() > KEYRING_LIMIT {
            return Err(broken(place, "it is too long"));
        }
        if pgp_keybox::is_keybox(bytes) {
            for block in pgp_keybox::blocks(bytes) {
                let block = pgp_keybox::without_trust(block);
                if let Ok(certificate) = SignedPublicKey::from_bytes(Cursor::new(block)) {
                    self.certificates.push(certificate);
                }
            }
            return Ok(());
        }
        // Armoured text has no byte with the high bit at its start and comes through unchanged.
        let plain = Zeroizing::new(pgp_keybox::without_trust(bytes));
        let (keys, _) = PublicOrSecret::from_reader_many_buf(Cursor::new(plain.as_slice()))
            .map_err(|cause| broken(place, "it holds no OpenPGP keys").because(cause))?;
        let mut found = false;
        for key in keys {
            match key {
                Ok(PublicOrSecret::Public(certificate)) => self.certificates.push(certificate),
                Ok(PublicOrSecret::Secret(key)) => {
                    self.certificates.push(key.to_public_key());
                    self.secret.push((place.to_owned(), key));
                }
                Err(_) => continue,
            }
            found = true;
        }
        if found {
            Ok(())
        } else {
            Err(broken(place, "it holds no OpenPGP keys"))
        }
    }

    /// The certificates, with those of the secret keys.
    pub(super) fn certificates(&self) -> &[SignedPublicKey] {
        &self.certificates
    }

    /// The fingerprints of the secret keys.
    pub fn secret_fingerprints(&self) -> Vec<String> {
        self.secret
            .iter()
            .map(|(_, key)| hex(&key.fingerprint()))
            .collect()
    }

    /// Locks bytes for the certificate with this fingerprint, of itself or a subkey; `now` is in seconds since 1970.
    pub fn lock(
        &self,
        fingerprint: &str,
        part: &Part,
        now: i64,
        rng: impl Rng + CryptoRng,
    ) -> Result<String> {
        let wanted = fingerprint.to_ascii_uppercase();
        let mut problem = None;
        for certificate in &self.certificates {
            let whole = hex(&certificate.fingerprint()).ends_with(&wanted);
            let exact = certificate
                .public_subkeys
                .iter()
                .find(|subkey| hex(&subkey.key.fingerprint()).ends_with(&wanted));
            if !whole && exact.is_none() {
                continue;
            }
            let text = match target(certificate, exact, now) {
                Ok(Target::Subkey(key)) => seal(&key.key, part, rng),
                Ok(Target::Primary) => seal(&certificate.primary_key, part, rng),
                Err(why) => {
                    problem = Some(why);
                    continue;
                }
            };
            return text.map_err(|cause| {
                failed(format!("cannot encrypt for the OpenPGP key {wanted}")).because(cause)
            });
        }
        match problem {
            Some(why) => Err(failed(format!(
                "the OpenPGP key {wanted} cannot encrypt: {why}"
            ))),
            None => Err(self.missing(&format!("there is no OpenPGP certificate {wanted}"))),
        }
    }

    /// Opens a locked data key.
    pub fn unlock(&self, enc: &str, ask: &Ask) -> Result<Part> {
        let Message::Encrypted { esk, .. } = message(enc)? else {
            return Err(damaged("it is an OpenPGP message that is not encrypted"));
        };
        let mut problem = None;
        for (place, key) in &self.secret {
            if !fits(&esk, key) {
                continue;
            }
            let mut passphrase = Password::empty();
            if is_locked(key) {
                let name = hex(&key.fingerprint());
                let Some(typed) = ask(&format!("passphrase of the OpenPGP key {name}")) else {
                    problem = Some(Error::new(
                        &WRONG_PASSPHRASE,
                        format!("the key in {place} needs a passphrase and nobody can be asked"),
                    ));
                    continue;
                };
                passphrase = Password::from(typed.expose());
            }
            match decrypt(message(enc)?, key, &passphrase) {
                Ok(part) => return Ok(part),
                Err(cause) => {
                    problem = Some(
                        failed(format!(
                            "the OpenPGP key in {place} does not open the data key"
                        ))
                        .because(cause),
                    );
                }
            }
        }
        Err(problem.unwrap_or_else(|| self.missing("the secret OpenPGP key is not there")))
    }

    fn missing(&self, what: &str) -> Error {
        let looked = if self.places.is_empty() {
            "no keyring and no key file was found".to_owned()
        } else {
            format!("looked in {}", self.places.join(", "))
        };
        Error::new(&NO_PGP_KEY, format!("{what}; {looked}"))
            .help("export it with gpg and name the file in KSAIL_PGP_KEY_FILE")
    }
}

/// Which key of a certificate encrypts.
enum Target<'a> {
    Primary,
    Subkey(&'a SignedPublicSubKey),
}

/// Chooses the newest subkey that may encrypt, else the primary key.
fn target<'a>(
    certificate: &'a SignedPublicKey,
    exact: Option<&'a SignedPublicSubKey>,
    now: i64,
) -> Result<Target<'a>, &'static str> {
    if certificate.verify_bindings().is_err() {
        return Err("its signatures do not hold");
    }
    if !certificate.details.revocation_signatures.is_empty() {
        return Err("it was revoked");
    }
    let born = i64::from(certificate.primary_key.created_at().as_secs());
    let own: Vec<&Signature> = certificate
        .details
        .users
        .iter()
        .flat_map(|user| &user.signatures)
        .chain(&certificate.details.direct_signatures)
        .collect();
    if expired(&own, born, now) {
        return Err("it has expired");
    }
    let mut best: Option<(u32, &SignedPublicSubKey)> = None;
    for subkey in &certificate.public_subkeys {
        let signatures: Vec<&Signature> = subkey.signatures.iter().collect();
        let born = subkey.key.created_at().as_secs();
        let usable = subkey.key.algorithm().can_encrypt()
            && flagged(&signatures)
            && !expired(&signatures, i64::from(born), now)
            && !signatures
                .iter()
                .any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
        if !usable {
            continue;
        }
        if exact.is_some_and(|exact| exact.key.fingerprint() == subkey.key.fingerprint()) {
            return Ok(Target::Subkey(subkey));
        }
        if best.is_none_or(|(age, _)| born > age) {
            best = Some((born, subkey));
        }
    }
    match best {
        Some((_, subkey)) => Ok(Target::Subkey(subkey)),
        None if certificate.primary_key.algorithm().can_encrypt() && flagged(&own) => {
            Ok(Target::Primary)
        }
        None => Err("it has no valid subkey that encrypts"),
    }
}

fn flagged(signatures: &[&Signature]) -> bool {
    signatures.iter().any(|signature| {
        let flags = signature.key_flags();
        flags.encrypt_comms() || flags.encrypt_storage()
    })
}

/// Whether the newest signature that binds the key gave it a time that is over.
fn expired(signatures: &[&Signature], born: i64, now: i64) -> bool {
    let newest = signatures.iter().max_by_key(|signature| {
        signature
            .created()
            .map_or(0, pgp::types::Timestamp::as_secs)
    });
    newest
        .and_then(|signature| signature.key_expiration_time())
        .is_some_and(|life| life.as_secs() > 0 && born + i64::from(life.as_secs()) <= now)
}

fn seal<K: EncryptionKey>(
    key: &K,
    part: &Part,
    mut rng: impl Rng + CryptoRng,
) -> pgp::errors::Result<String> {
    let mut builder = MessageBuilder::from_bytes("", part.expose().to_vec())
        .seipd_v1(&mut rng, SymmetricKeyAlgorithm::AES256);
    builder.encrypt_to_key(&mut rng, key)?;
    builder.to_armored_string(&mut rng, ArmorOptions::default())
}

fn decrypt(
    message: Message<'_>,
    key: &SignedSecretKey,
    passphrase: &Password,
) -> pgp::errors::Result<Part> {
    let ring = TheRing {
        secret_keys: vec![key],
        key_passwords: vec![passphrase],
        decrypt_options: DecryptionOptions::new().enable_gnupg_aead(),
        ..TheRing::default()
    };
    let (plain, _) = message.decrypt_the_ring(ring, true)?;
    content(plain)
}

/// Reads a locked data key.
pub(super) fn message(enc: &str) -> Result<Message<'_>> {
    if enc.len() > SEALED_LIMIT {
        return Err(damaged("it is too long"));
    }
    Message::from_string(enc)
        .map(|(message, _)| message)
        .map_err(|cause| damaged("it is no OpenPGP message").because(cause))
}

/// What stands in an opened message.
pub(super) fn content(mut plain: Message<'_>) -> pgp::errors::Result<Part> {
    if plain.is_compressed() {
        plain = plain.decompress()?;
    }
    // A compressed bomb is cut off: no data key is that long.
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(plain, 1 << 16), &mut bytes)?;
    Ok(Part::new(bytes))
}

fn fits(esk: &[Esk], key: &SignedSecretKey) -> bool {
    esk.iter().any(|esk| match esk {
        Esk::PublicKeyEncryptedSessionKey(locked) => {
            locked.match_identity(key.primary_key.public_key())
                || key
                    .secret_subkeys
                    .iter()
                    .any(|subkey| locked.match_identity(subkey.public_key()))
        }
        Esk::SymKeyEncryptedSessionKey(_) => false,
    })
}

fn is_locked(key: &SignedSecretKey) -> bool {
    key.primary_key.secret_params().is_encrypted()
        || key
            .secret_subkeys
            .iter()
            .any(|subkey| subkey.secret_params().is_encrypted())
}

fn hex(fingerprint: &pgp::types::Fingerprint) -> String {
    format!("{fingerprint:X}")
}

fn broken(place: &str, what: &str) -> Error {
    Error::new(
        &BROKEN_IDENTITY,
        format!("the OpenPGP keys of {place} cannot be read: {what}"),
    )
}

fn damaged(what: &str) -> Error {
    Error::new(
        &BROKEN_SEALED_KEY,
        format!("the locked data key cannot be read: {what}"),
    )
}

fn failed(what: String) -> Error {
    Error::new(&PGP_FAILED, what)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::Keys;
    use crate::cipher::key::Part;
    use crate::cipher::key::age::Ask;
    use crate::secret::Secret;

    const RSA: &[u8] = include_bytes!("../../../tests/vectors/keys/rsa.sec.asc");
    const CURVE: &[u8] = include_bytes!("../../../tests/vectors/keys/curve.sec.asc");
    const NOW: i64 = 1_800_000_000;

    fn answer(text: Option<&'static str>) -> Ask {
        Arc::new(move |_| text.map(Secret::new))
    }

    #[test]
    fn locks_and_opens_with_rsa_and_a_curve() {
        let mut keys = Keys::default();
        keys.read("rsa.sec.asc", RSA).unwrap();
        keys.read("curve.sec.asc", CURVE).unwrap();
        for fingerprint in keys.secret_fingerprints() {
            let part = Part::new([3; 32]);
            let enc = keys
                .lock(&fingerprint, &part, NOW, rand::rngs::OsRng)
                .unwrap();
            assert!(enc.starts_with("-----BEGIN PGP MESSAGE-----"));
            let back = keys.unlock(&enc, &answer(Some("hunter2"))).unwrap();
            assert_eq!(back.expose(), part.expose());
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let mut keys = Keys::default();
        let error = keys
            .lock("00112233", &Part::new([0; 32]), NOW, rand::rngs::OsRng)
            .unwrap_err();
        assert_eq!(error.code().id, "E0962");
        keys.read("curve.sec.asc", CURVE).unwrap();
        let name = keys.secret_fingerprints().remove(0);
        let enc = keys
            .lock(&name, &Part::new([0; 32]), NOW, rand::rngs::OsRng)
            .unwrap();
        let unasked = keys.unlock(&enc, &answer(None)).unwrap_err();
        assert_eq!(unasked.code().id, "E0955");
        let wrong = keys.unlock(&enc, &answer(Some("x"))).unwrap_err();
        assert_eq!(wrong.code().id, "E0963");
        let missing = Keys::default().unlock(&enc, &answer(None)).unwrap_err();
        assert_eq!(missing.code().id, "E0962");
        assert!(keys.read("x", b"hello").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..2000, with: u8) {
            let mut keys = Keys::default();
            let _ = keys.read("x", &bytes);
            let mut changed = CURVE.to_vec();
            if let Some(byte) = changed.get_mut(at) {
                *byte = with;
            }
            let _ = keys.read("y", &changed);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = keys.unlock(&text, &answer(None));
        }
    }
}
