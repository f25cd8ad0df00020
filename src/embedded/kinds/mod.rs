//! What is known of the built-in kinds beyond their names: what their objects look like.
//!
//! The data is written by a script in `scripts/` for one version of Kubernetes, packed, and unpacked only while somebody
//! asks, because most clusters are never asked. To follow a new version, run the script.

pub(in crate::embedded) mod prose;
pub mod schema;
