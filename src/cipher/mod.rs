//! Encrypted files as sops writes and reads them: bytes and values only.
//!
//! Files, the environment and the network are elsewhere (`cloud::kms`, `ops`). To add a kind of key, see [`key`].

pub mod key;
pub mod shamir;
