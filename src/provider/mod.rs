//! Providers: each makes, observes and removes clusters in its own place.
//!
//! To add one: a file here that implements [`crate::world::Platform`], and an arm in [`crate::world::real`].

mod decryption;
mod docker;
mod embedded;
mod installed;

pub use docker::{Docker, Leftover, Thing};
pub use embedded::Embedded;
