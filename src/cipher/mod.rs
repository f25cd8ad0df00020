//! Encrypted files in the sops format: bytes in, bytes out.
//!
//! Here are the value tree, the formats, the sealing of values, the integrity code, the metadata, and the rules that say
//! what is encrypted for whom. Files, environment, network, clock and randomness are not: nonces, data keys and times
//! come in as arguments, and `ops` collects them; clients of key services are in `cloud::kms`. A new format goes to
//! `format/`, a new kind of key to `key/`.

pub mod document;
pub mod format;
pub mod key;
pub mod metadata;
mod number;
pub mod path;
pub mod rules;
pub mod scope;
pub mod seal;
pub mod shamir;
pub mod tree;
pub mod walk;
