//! Encrypting and decrypting a whole tree: which values, in which order, and the integrity code over them.
//!
//! What a value looks like when it is sealed is in `seal`; where the data key comes from is none of its business.

use std::collections::HashMap;

use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::format::at_offset;
use super::scope::Scope;
use super::seal::{NONCE, Sealer, hashed_bytes, is_sealed};
use super::tree::{Branch, Comment, Entry, Value};
use crate::diag::codes::cipher::{BROKEN_VALUE, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

/// Where random bytes come from.
pub trait Entropy {
    /// Fills the bytes with random ones.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()>;
}

/// The nonces of values that were opened, so that an unchanged value keeps its ciphertext.
#[derive(Default)]
pub struct Kept(HashMap<[u8; 64], [u8; NONCE]>);

impl Kept {
    fn name(value: &Value, path: &str) -> [u8; 64] {
        let mut hash = Sha512::new();
        hash.update(value.kind().as_bytes());
        hash.update([0]);
        hash.update(path.as_bytes());
        hash.update([0]);
        hash.update(hashed_bytes(value));
        hash.finalize().into()
    }

    fn keep(&mut self, value: &Value, path: &str, nonce: &[u8]) {
        if let Ok(nonce) = nonce.try_into() {
            self.0.insert(Self::name(value, path), nonce);
        }
    }

    fn find(&self, value: &Value, path: &str) -> Option<[u8; NONCE]> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&Self::name(value, path)).copied()
    }
}

/// First bytes of the code when it is made over encrypted values only: the SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Encrypts in place and gives the integrity code in upper-case hex.
pub fn encrypt(
    branches: &mut [Branch],
    scope: &Scope,
    sealer: &Sealer,
    kept: &Kept,
    entropy: &mut dyn Entropy,
) -> Result<String> {
    let mut leaf = |value: &mut Value, at: &At<'_>, mac: &mut Sha512| {
        let comment = matches!(value, Value::Comment(_));
        let sealed = scope.covers(at.path, at.comments, comment);
        if !comment && (sealed || !scope.mac_only_encrypted) {
            mac.update(hashed_bytes(value));
        }
        if !sealed {
            return Ok(());
        }
        let path = at.joined();
        let nonce = if let Some(nonce) = kept.find(value, &path) {
            nonce
        } else {
            let mut nonce = [0; NONCE];
            entropy.fill(&mut nonce)?;
            nonce
        };
        let text = sealer
            .seal(value, &path, &nonce)
            .map_err(|error| at.blame(error))?;
        if comment && scope.spares(&text) {
            return Err(at.blame(
                Error::new(
                    &UNSUPPORTED_SHAPE,
                    "an encrypted comment would match unencrypted_comment_regex",
                )
                .help("narrow the expression so that it cannot match `ENC[…]`"),
            ));
        }
        let inline = matches!(value, Value::Comment(Comment { inline: true, .. }));
        value.wipe();
        *value = if comment {
            Value::Comment(Comment { text, inline })
        } else {
            Value::Text(text)
        };
        Ok(())
    };
    run(branches, scope, &mut leaf)
}

/// Decrypts in place, remembers the nonces, and gives the integrity code in upper-case hex; `source` is the text that
/// the tree was read from, to show where a value stands.
pub fn decrypt(
    branches: &mut [Branch],
    scope: &Scope,
    sealer: &Sealer,
    kept: &mut Kept,
    source: &str,
) -> Result<String> {
    let mut leaf = |value: &mut Value, at: &At<'_>, mac: &mut Sha512| {
        let comment = matches!(value, Value::Comment(_));
        let sealed = scope.covers(at.path, at.comments, comment);
        if sealed {
            let path = at.joined();
            match value {
                Value::Comment(Comment { text, .. }) => {
                    // A comment that does not open was written before comments were encrypted: it stays.
                    if let Ok((opened, nonce)) = sealer.open(text, &path) {
                        let text = match opened {
                            Value::Comment(Comment { text, .. }) | Value::Text(text) => text,
                            _ => std::mem::take(text),
                        };
                        // A comment that was opened stands on its own line from then on, as sops has it.
                        let opened = Value::Comment(Comment {
                            text,
                            inline: false,
                        });
                        kept.keep(&opened, &path, &nonce);
                        *value = opened;
                    }
                }
                Value::Text(text) => {
                    let (opened, nonce) = sealer.open(text, &path).map_err(|error| {
                        let error = at.blame(error);
                        match source.find(text.as_str()) {
                            Some(offset) => at_offset(error, source, offset),
                            None => error,
                        }
                    })?;
                    kept.keep(&opened, &path, &nonce);
                    *value = opened;
                }
                other => {
                    return Err(at.blame(Error::new(
                        &BROKEN_VALUE,
                        format!("found {} where an encrypted value must be", other.kind()),
                    )
                    .help("someone added a plain value to the encrypted file; use `ksail cipher edit` or `set` instead")));
                }
            }
        }
        // In a list a sealed comment looks like any text until it is opened.
        let comment = comment || matches!(value, Value::Comment(_));
        if !comment && (sealed || !scope.mac_only_encrypted) {
            mac.update(hashed_bytes(value));
        }
        Ok(())
    };
    run(branches, scope, &mut leaf)
}

/// Compares two integrity codes in constant time.
pub fn same_code(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// Where the walk stands.
struct At<'a> {
    path: &'a [String],
    comments: &'a [Vec<String>],
}

impl At<'_> {
    fn joined(&self) -> String {
        let mut text = self.path.join(":");
        text.push(':');
        text
    }

    fn blame(&self, error: Error) -> Error {
        if self.path.is_empty() {
            error
        } else {
            error.field(self.path.join("."))
        }
    }
}

type Leaf<'a> = dyn FnMut(&mut Value, &At<'_>, &mut Sha512) -> Result<()> + 'a;

fn run(branches: &mut [Branch], scope: &Scope, leaf: &mut Leaf<'_>) -> Result<String> {
    let mut mac = Sha512::new();
    if scope.mac_only_encrypted {
        mac.update(ONLY_ENCRYPTED);
    }
    let mut walk = Walk {
        path: Vec::new(),
        comments: Vec::new(),
        leaf,
        mac: &mut mac,
    };
    for branch in branches {
        walk.branch(branch)?;
    }
    let mut code = String::with_capacity(128);
    for byte in mac.finalize() {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(code, "{byte:02X}");
    }
    Ok(code)
}

struct Walk<'a, 'b> {
    path: Vec<String>,
    comments: Vec<Vec<String>>,
    leaf: &'a mut Leaf<'b>,
    mac: &'a mut Sha512,
}

impl Walk<'_, '_> {
    fn visit(&mut self, value: &mut Value) -> Result<()> {
        let at = At {
            path: &self.path,
            comments: &self.comments,
        };
        (self.leaf)(value, &at, self.mac)
    }

    fn note(&mut self, text: &str) {
        if let Some(active) = self.comments.last_mut() {
            active.push(text.to_owned());
        }
    }

    fn forget(&mut self) {
        if let Some(active) = self.comments.last_mut() {
            active.clear();
        }
    }

    fn branch(&mut self, branch: &mut Branch) -> Result<()> {
        self.comments.push(Vec::new());
        for entry in &mut branch.0 {
            match entry {
                Entry::Comment(comment) => {
                    self.note(&comment.text);
                    let mut value = Value::Comment(comment.clone());
                    self.visit(&mut value)?;
                    if let Value::Comment(new) = value {
                        *comment = new;
                    }
                }
                Entry::Pair(key, value) => {
                    self.path.push(key.clone());
                    self.value(value)?;
                    self.path.pop();
                    self.forget();
                }
            }
        }
        self.comments.pop();
        Ok(())
    }

    fn value(&mut self, value: &mut Value) -> Result<()> {
        match value {
            Value::Null => Ok(()),
            Value::Map(branch) => self.branch(branch),
            Value::List(list) => {
                self.comments.push(Vec::new());
                for item in list {
                    let comment = match item {
                        Value::Comment(comment) => Some(comment.text.clone()),
                        _ => None,
                    };
                    if let Some(text) = &comment {
                        self.note(text);
                    }
                    self.value(item)?;
                    if let (Some(before), Value::Comment(now)) = (&comment, &mut *item)
                        && *before != now.text
                        && is_sealed(&now.text)
                    {
                        // The format has no place for a sealed comment in a list: it becomes an item.
                        *item = Value::Text(std::mem::take(&mut now.text));
                    }
                    if comment.is_none() {
                        self.forget();
                    }
                }
                self.comments.pop();
                Ok(())
            }
            _ => self.visit(value),
        }
    }
}
