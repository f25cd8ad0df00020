//! What GnuPG's agent is asked to open, and what its answer opens: the agent holds the secret key, the rest is done here.

use pgp::composed::{Esk, Message, PlainSessionKey, RawSessionKey};
use pgp::crypto::ecdh::derive_session_key;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::types::{EcdhPublicParams, KeyDetails, PkeskBytes, PublicParams};
use zeroize::Zeroizing;

use super::pgp::Keys;
use super::{Part, pgp as own};
use crate::error::Result;

/// One locked session key, with the public key it is for.
pub struct Question {
    values: PkeskBytes,
    curve: Option<Curve>,
}

/// What the key of a curve adds to the secret.
struct Curve {
    params: EcdhPublicParams,
    hash: HashAlgorithm,
    cipher: SymmetricKeyAlgorithm,
    fingerprint: Vec<u8>,
}

/// Gives what an agent may open of a locked data key: one question for each certificate that is known.
pub fn questions(keys: &Keys, enc: &str) -> Result<Vec<Question>> {
    let Message::Encrypted { esk, .. } = own::message(enc)? else {
        return Ok(Vec::new());
    };
    let mut questions = Vec::new();
    for esk in &esk {
        let Esk::PublicKeyEncryptedSessionKey(locked) = esk else {
            continue;
        };
        let Ok(values) = locked.values() else {
            continue;
        };
        for certificate in keys.certificates() {
            let subkeys = certificate
                .public_subkeys
                .iter()
                .filter(|subkey| locked.match_identity(&subkey.key))
                .map(|subkey| of(values, &subkey.key));
            questions.extend(subkeys.flatten());
            if locked.match_identity(&certificate.primary_key) {
                questions.extend(of(values, &certificate.primary_key));
            }
        }
    }
    Ok(questions)
}

fn of(values: &PkeskBytes, key: &impl KeyDetails) -> Option<Question> {
    let curve = match (values, key.public_params()) {
        (PkeskBytes::Rsa { .. }, PublicParams::RSA(_)) => None,
        (PkeskBytes::Ecdh { .. }, PublicParams::ECDH(params)) => {
            let (hash, cipher) = match params {
                EcdhPublicParams::Curve25519Legacy { hash, alg_sym, .. }
                | EcdhPublicParams::P256 { hash, alg_sym, .. }
                | EcdhPublicParams::P384 { hash, alg_sym, .. }
                | EcdhPublicParams::P521 { hash, alg_sym, .. } => (*hash, *alg_sym),
                _ => return None,
            };
            Some(Curve {
                params: params.clone(),
                hash,
                cipher,
                fingerprint: key.fingerprint().as_bytes().to_vec(),
            })
        }
        _ => return None,
    };
    Some(Question {
        values: values.clone(),
        curve,
    })
}

impl Question {
    /// The ciphertext in the form that the agent takes.
    pub fn expression(&self) -> Vec<u8> {
        let atom = |bytes: &[u8]| [format!("{}:", bytes.len()).as_bytes(), bytes].concat();
        match &self.values {
            PkeskBytes::Rsa { mpi } => [
                b"(7:enc-val(3:rsa(1:a".as_slice(),
                &atom(mpi.as_ref()),
                b")))",
            ]
            .concat(),
            PkeskBytes::Ecdh {
                public_point,
                encrypted_session_key,
            } => {
                let length = u8::try_from(encrypted_session_key.len()).unwrap_or(u8::MAX);
                let sealed = [&[length], encrypted_session_key.as_ref()].concat();
                [
                    b"(7:enc-val(4:ecdh(1:s".as_slice(),
                    &atom(&sealed),
                    b")(1:e",
                    &atom(public_point.as_ref()),
                    b")))",
                ]
                .concat()
            }
            _ => Vec::new(),
        }
    }

    /// Opens the data key with the agent's answer; nothing if the answer is of another key.
    pub fn open(&self, enc: &str, answer: &[u8]) -> Option<Part> {
        let value = value(answer)?;
        let session = match (&self.values, &self.curve) {
            (PkeskBytes::Rsa { .. }, _) => Zeroizing::new(without_padding(value).to_vec()),
            (
                PkeskBytes::Ecdh {
                    encrypted_session_key,
                    ..
                },
                Some(curve),
            ) => derive_session_key(
                shared(value),
                encrypted_session_key,
                encrypted_session_key.len(),
                curve.params.curve(),
                curve.hash,
                curve.cipher,
                &curve.fingerprint,
            )
            .ok()?,
            _ => return None,
        };
        let (cipher, key) = session_key(&session)?;
        let key = || RawSessionKey::from(key.to_vec());
        let ways = [
            PlainSessionKey::V3_4 {
                sym_alg: cipher,
                key: key(),
            },
            PlainSessionKey::V5 { key: key() },
        ];
        ways.into_iter().find_map(|session| {
            let plain = own::message(enc)
                .ok()?
                .decrypt_with_session_key(session)
                .ok()?;
            own::content(plain).ok()
        })
    }
}

/// The bytes in `(5:valueN:…)`.
fn value(answer: &[u8]) -> Option<&[u8]> {
    let rest = answer.strip_prefix(b"(5:value")?;
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(rest.get(..colon)?).ok()?.parse().ok()?;
    rest.get(colon + 1..)?.get(..length)
}

/// What stands behind the padding `[0] 2 … 0`; cards take it off themselves.
fn without_padding(value: &[u8]) -> &[u8] {
    let padded = value.strip_prefix(&[0]).unwrap_or(value);
    match padded.split_first() {
        Some((2, rest)) => rest
            .iter()
            .position(|byte| *byte == 0)
            .and_then(|zero| rest.get(zero + 1..))
            .unwrap_or(value),
        _ => value,
    }
}

/// The secret of a shared point: its first coordinate.
fn shared(point: &[u8]) -> &[u8] {
    match point.split_first() {
        Some((4, rest)) if rest.len() % 2 == 0 => rest.get(..rest.len() / 2).unwrap_or(rest),
        Some((0x40 | 0x41, rest)) if rest.len() == 32 => rest,
        _ => point,
    }
}

/// Algorithm, key and checksum.
fn session_key(bytes: &[u8]) -> Option<(SymmetricKeyAlgorithm, &[u8])> {
    let (algorithm, rest) = bytes.split_first()?;
    let algorithm = SymmetricKeyAlgorithm::from(*algorithm);
    let (key, sum) = rest.split_at_checked(rest.len().checked_sub(2)?)?;
    let expected = key
        .iter()
        .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    (sum == expected.to_be_bytes() && key.len() == algorithm.key_size() && !key.is_empty())
        .then_some((algorithm, key))
}

#[cfg(test)]
mod tests {
    use super::{session_key, shared, value, without_padding};

    #[test]
    fn reads_the_agents_answers_and_refuses_others() {
        assert_eq!(value(b"(5:value3:abc)\0"), Some(b"abc".as_slice()));
        for broken in [
            &b"(5:value9:abc)"[..],
            b"(5:valuex:abc)",
            b"(5:value",
            b"",
            b"ERR",
        ] {
            assert_eq!(value(broken), None);
        }
        assert_eq!(without_padding(&[2, 9, 9, 0, 7, 8]), [7, 8]);
        assert_eq!(without_padding(&[0, 2, 9, 0, 7]), [7]);
        assert_eq!(without_padding(&[9, 7]), [9, 7]);
        assert_eq!(shared(&[4, 1, 2, 3, 4]), [1, 2]);
        assert_eq!(session_key(&[9, 0]), None);
        let mut good = vec![7];
        good.extend([1; 16]);
        good.extend([0, 16]);
        assert!(session_key(&good).is_some());
        good[1] = 2;
        assert!(session_key(&good).is_none());
    }
}
