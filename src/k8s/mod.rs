//! The Kubernetes API as ksail uses it: connect, apply, delete, look, wait. Only this module knows the kube client.

mod apply;
mod connect;
mod drain;
mod hosts;
mod kinds;
mod look;
mod node;
mod objects;
mod order;

pub use apply::{apply, remove};
pub use connect::connect;
pub use drain::{drain, forget};
pub use hosts::ensure_hosts;
pub use kinds::{Kind, Kinds};
pub use kube::Client;
pub use look::{Health, components, health, nodes, raw, version};
pub use node::{ensure_nodes, unlabel, wait_node, wait_ready, wait_return};
pub use objects::{Executed, Objects, Place, Selection};
pub use order::apply_all;

use crate::diag::codes::run::API_FAILED;
use crate::error::Error;

/// Says that a request failed, with the server's own words as the cause.
fn failed(what: impl std::fmt::Display, cause: kube::Error) -> Error {
    let error = Error::new(&API_FAILED, format!("{what} failed"));
    match cause {
        kube::Error::Api(status) => error.because(status.message),
        other => error.because(other),
    }
}
