//! All integration tests, in one binary so that it links once.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod cipher;
mod cipher_commands;
mod cipher_failures;
mod cipher_fuzz;
mod cipher_keys;
mod cipher_matrix;
mod cipher_scripts;
mod cli;
mod control_plane;
mod diagnostics;
mod embedded_admission;
mod embedded_api;
mod embedded_audit;
mod embedded_clients;
mod embedded_durability;
mod embedded_fuzz;
mod embedded_kubectl;
mod embedded_life;
mod embedded_stages;
mod embedded_webhooks;
mod engine;
mod failures;
mod fuzz;
mod home;
mod interruption;
mod language;
mod live;
mod plans;
mod suites;
mod support;
mod tidy;
