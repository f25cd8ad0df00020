//! Key services and private keys: a [`Keyring`](crate::cipher::key::Keyring) for files of sops.
//!
//! One file per service; `sources` says where credentials and keys are looked for. To add a service: a file here, an arm
//! in `keyring.rs`, its codes.

#[cfg(unix)]
mod agent;
mod aws;
mod aws_credentials;
mod aws_sign_on;
mod azure;
mod cache;
mod gcp;
mod gpg;
mod http;
mod keyring;
mod sigv4;
mod sources;
mod vault;

pub use keyring::{Keys, keyring};
pub use sources::{Found, KeySources, VARIABLES, collect};
