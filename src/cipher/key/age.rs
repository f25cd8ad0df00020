//! age: X25519 and SSH keys, identity files with and without a passphrase, new keys, and the text of the key file.
//!
//! Where identities are found is the business of `cloud::kms`; here they come in as texts with the name of their place.
//! Public keys are in `recipient`.

mod recipient;

use std::io::Read;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use age::armor::ArmoredReader;
use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, Decryptor, scrypt, ssh, x25519};
use zeroize::Zeroizing;

use super::Part;
use crate::diag::codes::cipher::{
    BROKEN_IDENTITY, BROKEN_SEALED_KEY, IDENTITY_MISMATCH, NO_IDENTITY, UNSUPPORTED_RECIPIENT,
    WRONG_PASSPHRASE,
};
use crate::error::{Error, Result};
use crate::secret::Secret;
pub use recipient::{check, lock};

/// Asks for a passphrase; the text says for what. Gives nothing where nobody can be asked.
pub type Ask = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// What every private key begins with.
pub const PRIVATE_PREFIX: &str = "AGE-SECRET-KEY-1";

/// Identity files are short; what is longer is something else.
const IDENTITY_LIMIT: usize = 1 << 20;

/// A locked data key has some hundred bytes; a hostile file could hold more.
const SEALED_LIMIT: usize = 1 << 20;

/// scrypt with this factor takes 1 GiB; a hostile identity file could ask for more.
const WORK_LIMIT: u8 = 20;

/// Identities, each with the name of its place.
#[derive(Default)]
pub struct Identities {
    held: Vec<Held>,
    /// What was found and cannot be used; other keys of the same file can.
    unusable: Vec<String>,
}

struct Held {
    place: String,
    key: Key,
}

enum Key {
    Native(x25519::Identity),
    Ssh(Box<ssh::Identity>),
    Locked {
        text: Zeroizing<Vec<u8>>,
        opened: OnceLock<Vec<x25519::Identity>>,
    },
}

impl Identities {
    /// Adds the identities of a file or variable: age identities line by line, an SSH private key, or an age file that a
    /// passphrase opens.
    pub fn read(&mut self, place: &str, text: &str) -> Result<()> {
        if text.len() > IDENTITY_LIMIT {
            return Err(broken(place, "it is too long"));
        }
        let start = text.trim_start();
        if start.starts_with("age-encryption.org/")
            || start.starts_with("-----BEGIN AGE ENCRYPTED FILE-----")
        {
            self.add_locked(place, start.as_bytes());
            return Ok(());
        }
        if start.starts_with("-----BEGIN") {
            let key = ssh::Identity::from_buffer(start.as_bytes(), Some(place.to_owned()))
                .map_err(|cause| broken(place, "it is no SSH key").because(cause))?;
            if let ssh::Identity::Unsupported(kind) = &key {
                return Err(broken(
                    place,
                    &format!("its kind of SSH key is not supported ({kind:?})"),
                )
                .help("age works with SSH keys of the kinds ed25519 and rsa"));
            }
            self.push(place, Key::Ssh(Box::new(key)));
            return Ok(());
        }
        for line in lines(place, text)? {
            match line {
                Line::Identity(identity) => self.push(place, Key::Native(*identity)),
                Line::Unusable(what) => self.unusable.push(what),
            }
        }
        Ok(())
    }

    /// Adds an identity file in age's binary form, which a passphrase opens.
    pub fn add_locked(&mut self, place: &str, bytes: &[u8]) {
        self.push(
            place,
            Key::Locked {
                text: Zeroizing::new(bytes.to_vec()),
                opened: OnceLock::new(),
            },
        );
    }

    fn push(&mut self, place: &str, key: Key) {
        self.held.push(Held {
            place: place.to_owned(),
            key,
        });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The places where identities were found, each once.
    pub fn places(&self) -> Vec<&str> {
        let mut places: Vec<&str> = self.held.iter().map(|held| held.place.as_str()).collect();
        places.dedup();
        places
    }

    /// The public keys of the identities that need no passphrase.
    pub fn public_keys(&self) -> Vec<String> {
        self.held
            .iter()
            .filter_map(|held| match &held.key {
                Key::Native(identity) => Some(identity.to_public().to_string()),
                Key::Ssh(_) | Key::Locked { .. } => None,
            })
            .collect()
    }

    /// Opens a locked data key; asks for passphrases only when the keys without one do not help.
    pub fn unlock(&self, recipient: &str, enc: &str, ask: &Ask) -> Result<Part> {
        let error = match self.unlock_with_held(recipient, enc, ask) {
            Ok(part) => return Ok(part),
            Err(error) => error,
        };
        Err(error.also(self.unusable.iter().map(|what| unsupported(what))))
    }

    fn unlock_with_held(&self, recipient: &str, enc: &str, ask: &Ask) -> Result<Part> {
        if self.held.is_empty() {
            return Err(Error::new(&NO_IDENTITY, "there is no age identity")
                .help("set SOPS_AGE_KEY or SOPS_AGE_KEY_FILE, or put the key into the key file with `ksail cipher import`"));
        }
        let wants_ssh = recipient.starts_with("ssh-");
        let mut problem = None;
        let mut rest: Vec<&Held> = self.held.iter().collect();
        // Plain keys first, then what needs a passphrase.
        rest.sort_by_key(|held| match &held.key {
            Key::Native(_) => 0,
            Key::Ssh(key) if matches!(**key, ssh::Identity::Unencrypted(_)) => 1,
            Key::Ssh(_) => 2,
            Key::Locked { .. } => 3,
        });
        for held in rest {
            let outcome = match &held.key {
                Key::Native(identity) => open(enc, &[identity as &dyn age::Identity]),
                Key::Ssh(_) if !wants_ssh => continue,
                Key::Ssh(key) => {
                    let key = (**key).clone().with_callbacks(Prompt(ask.clone()));
                    open(enc, &[&key as &dyn age::Identity])
                }
                Key::Locked { .. } if wants_ssh => continue,
                Key::Locked { text, opened } => {
                    held.identities(text, opened, ask).and_then(|identities| {
                        let all: Vec<&dyn age::Identity> =
                            identities.iter().map(|one| one as _).collect();
                        open(enc, &all)
                    })
                }
            };
            match outcome {
                Ok(part) => return Ok(part),
                Err(error) if error.code().id == IDENTITY_MISMATCH.id => {}
                Err(error) if error.code().id == BROKEN_SEALED_KEY.id => return Err(error),
                Err(error) => problem = problem.or(Some(error.within(&held.place))),
            }
        }
        Err(problem.unwrap_or_else(|| {
            Error::new(
                &IDENTITY_MISMATCH,
                format!("no identity fits, of those in {}", self.places().join(", ")),
            )
        }))
    }
}

impl Held {
    fn identities<'a>(
        &self,
        text: &[u8],
        opened: &'a OnceLock<Vec<x25519::Identity>>,
        ask: &Ask,
    ) -> Result<&'a [x25519::Identity]> {
        if let Some(identities) = opened.get() {
            return Ok(identities);
        }
        let Some(passphrase) = ask(&format!("passphrase of {}", self.place)) else {
            return Err(Error::new(
                &WRONG_PASSPHRASE,
                "it needs a passphrase and nobody can be asked",
            ));
        };
        let mut identity = scrypt::Identity::new(SecretString::from(passphrase.expose()));
        identity.set_max_work_factor(WORK_LIMIT);
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(text))
            .map_err(|cause| broken(&self.place, "it is no age file").because(cause.to_string()))?;
        let reader = decryptor
            .decrypt(std::iter::once(&identity as &dyn age::Identity))
            .map_err(|cause| {
                Error::new(&WRONG_PASSPHRASE, "the passphrase does not open it")
                    .because(cause.to_string())
            })?;
        let mut plain = Zeroizing::new(String::new());
        reader
            .take(IDENTITY_LIMIT as u64)
            .read_to_string(&mut plain)
            .map_err(|cause| broken(&self.place, "its content is no text").because(cause))?;
        let identities = lines(&self.place, &plain)?
            .into_iter()
            .filter_map(|line| match line {
                Line::Identity(identity) => Some(*identity),
                Line::Unusable(_) => None,
            })
            .collect();
        Ok(opened.get_or_init(|| identities))
    }
}

/// What a line of an identity file holds.
enum Line {
    Identity(Box<x25519::Identity>),
    Unusable(String),
}

/// Reads an identity file line by line; lines that begin with `#` are comments.
fn lines(place: &str, text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        // The line itself may be a mistyped key: it is never shown.
        lines.push(if line.starts_with("AGE-PLUGIN-") {
            Line::Unusable(format!(
                "line {number} of {place} is an identity of a plugin"
            ))
        } else if line.starts_with("AGE-SECRET-KEY-PQ-") {
            Line::Unusable(format!(
                "line {number} of {place} is a post-quantum identity"
            ))
        } else {
            let identity = x25519::Identity::from_str(line)
                .map_err(|_| broken(place, &format!("line {number} is no age identity")))?;
            Line::Identity(Box::new(identity))
        });
    }
    Ok(lines)
}

/// Makes a new key pair: the private and the public text.
pub fn generate() -> (Secret, String) {
    let identity = x25519::Identity::generate();
    let private = Secret::new(identity.to_string().expose_secret());
    (private, identity.to_public().to_string())
}

/// Gives the public key of a private one.
pub fn public_of(private: &Secret) -> Result<String> {
    let identity = x25519::Identity::from_str(private.expose().trim()).map_err(|_| {
        Error::new(&BROKEN_IDENTITY, "the text is no age private key").help(format!(
            "a private key is one word that begins with `{PRIVATE_PREFIX}`"
        ))
    })?;
    Ok(identity.to_public().to_string())
}

/// Gives what is written into the key file for a private key: when it was made, its public key, and the key.
pub fn block(private: &Secret, created: &str) -> Result<Secret> {
    let public = public_of(private)?;
    let private = private.expose().trim();
    Ok(Secret::new(format!(
        "# created: {created}\n# public key: {public}\n{private}\n"
    )))
}

fn open(enc: &str, identities: &[&dyn age::Identity]) -> Result<Part> {
    let damaged = |cause: String| {
        Error::new(
            &BROKEN_SEALED_KEY,
            "the locked data key cannot be read as an age file",
        )
        .because(cause)
    };
    if enc.len() > SEALED_LIMIT {
        return Err(damaged("it is too long".to_owned()));
    }
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(enc.as_bytes()))
        .map_err(|cause| damaged(cause.to_string()))?;
    let mut reader =
        decryptor
            .decrypt(identities.iter().copied())
            .map_err(|cause| match cause {
                DecryptError::NoMatchingKeys => {
                    Error::new(&IDENTITY_MISMATCH, "the identity does not fit")
                }
                DecryptError::KeyDecryptionFailed | DecryptError::DecryptionFailed => Error::new(
                    &WRONG_PASSPHRASE,
                    "the key cannot be opened with this passphrase",
                )
                .because(cause.to_string()),
                other => damaged(other.to_string()),
            })?;
    let mut plain = Zeroizing::new(Vec::new());
    reader
        .read_to_end(&mut plain)
        .map_err(|cause| damaged(cause.to_string()))?;
    Ok(Part::new(plain.as_slice()))
}

/// Lets the age crate ask for passphrases.
#[derive(Clone)]
struct Prompt(Ask);

impl age::Callbacks for Prompt {
    fn display_message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let passphrase = (self.0)(description)?;
        Some(SecretString::from(passphrase.expose()))
    }
}

fn broken(place: &str, what: &str) -> Error {
    Error::new(
        &BROKEN_IDENTITY,
        format!("the age identities of {place} cannot be read: {what}"),
    )
}

fn unsupported(what: &str) -> Error {
    Error::new(&UNSUPPORTED_RECIPIENT, what)
        .help("use an X25519 key (`age1…`) or an SSH key of the kinds ed25519 or rsa")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Ask, Identities, block, check, generate, lock, public_of};
    use crate::cipher::key::Part;
    use crate::secret::Secret;

    fn nobody() -> Ask {
        Arc::new(|_| None)
    }

    #[test]
    fn locks_for_one_and_opens_with_it_alone() {
        let (private, public) = generate();
        let (other, _) = generate();
        let part = Part::new([5; 33]);
        let enc = lock(&public, &part).unwrap();
        assert!(enc.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
        let mut identities = Identities::default();
        identities.read("a", other.expose()).unwrap();
        let error = identities.unlock(&public, &enc, &nobody()).unwrap_err();
        assert_eq!(error.code().id, "E0961");
        let text = block(&private, "2026-01-01T00:00:00Z").unwrap();
        identities.read("b", text.expose()).unwrap();
        let back = identities.unlock(&public, &enc, &nobody()).unwrap();
        assert_eq!(back.expose(), [5; 33]);
        assert_eq!(identities.places(), ["a", "b"]);
        assert_eq!(public_of(&private).unwrap(), public);
    }

    #[test]
    fn keys_that_are_not_supported_are_named_and_do_not_hide_others() {
        let (private, public) = generate();
        let part = Part::new([5; 32]);
        let enc = lock(&public, &part).unwrap();
        let text = format!(
            "AGE-PLUGIN-YUBIKEY-1QQ\nAGE-SECRET-KEY-PQ-1QQ\n{}\n",
            private.expose()
        );
        let mut identities = Identities::default();
        identities.read("keys.txt", &text).unwrap();
        assert!(identities.unlock(&public, &enc, &nobody()).is_ok());
        let (_, other) = generate();
        let enc = lock(&other, &part).unwrap();
        let error = identities.unlock(&other, &enc, &nobody()).unwrap_err();
        let said = format!("{error:?}");
        assert!(
            said.contains("line 1 of keys.txt is an identity of a plugin"),
            "{said}"
        );
        assert!(
            said.contains("line 2 of keys.txt is a post-quantum"),
            "{said}"
        );
    }

    #[test]
    fn never_shows_a_mistyped_key() {
        let error = Identities::default()
            .read("keys.txt", "# ok\nAGE-SECRET-KEY-1CANARY")
            .unwrap_err();
        assert_eq!(
            error.message(),
            "the age identities of keys.txt cannot be read: line 2 is no age identity"
        );
        assert!(public_of(&Secret::new("AGE-SECRET-KEY-1CANARY")).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}", head in "(-----BEGIN OPENSSH PRIVATE KEY-----\n|-----BEGIN AGE ENCRYPTED FILE-----\n|age-encryption.org/v1\n|)") {
            let text = format!("{head}{text}");
            let mut identities = Identities::default();
            let _ = identities.read("x", &text);
            let (private, public) = generate();
            identities.read("y", private.expose()).unwrap();
            let _ = identities.unlock(&public, &text, &nobody());
            let _ = check(&text);
        }
    }
}
