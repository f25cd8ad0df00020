//! ksail: Kubernetes clusters defined as scripts, on one native provisioning core.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout
    )
)]

pub mod axis;
pub mod cipher;
pub mod cli;
pub mod cloud;
pub mod component;
pub mod diag;
pub mod distribution;
pub mod docker;
pub mod embedded;
pub mod error;
pub mod exec;
pub mod facts;
pub mod k8s;
pub mod kubeconfig;
pub mod natives;
pub mod ops;
pub mod pki;
pub mod plan;
pub mod provider;
pub mod runtime;
pub mod script;
pub mod secret;
pub mod spec;
pub mod state;
pub mod step;
pub mod support;
pub mod world;

pub use error::{Error, Result};
