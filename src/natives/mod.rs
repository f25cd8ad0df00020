//! The native half of the standard library: one file per group, each with its registration and its documentation.
//!
//! What scripts hold are immutable values ([`ClusterValue`] and its kin), not maps. To add a function: write it in the
//! file of its group, register it there and document it in the same file's `DOCS`; the example runs as a test.

mod change;
mod cipher;
mod cluster;
mod config;
mod constructor;
mod effect;
mod equality;
mod expect;
mod images;
mod input;
mod k3d;
mod matrix;
mod property;
mod secret;
mod shape;
mod suite;

use std::sync::{Arc, OnceLock};

use rhai::{Dynamic, Engine};

pub use change::{ChangeValue, RulingValue};
pub use cluster::ClusterValue;
pub use constructor::{ComponentValue, DistributionValue, ProviderValue};
pub use effect::LiveValue;
pub use equality::show;
pub use matrix::MatrixValue;
pub use shape::FleetValue;
pub use suite::{Base, FixtureValue};

pub(crate) use effect::{is_effect, too_early};

use crate::script::{Doc, Session};

/// Registers the whole library.
pub(crate) fn register(engine: &mut Engine, session: &Arc<Session>) {
    constructor::register(engine, session);
    cluster::register(engine, session);
    shape::register(engine, session);
    matrix::register(engine);
    input::register(engine, session);
    change::register(engine);
    secret::register(engine);
    cipher::register(engine, session);
    effect::register(engine, session);
    expect::register(engine);
    suite::register(engine, session);
    property::register(engine);
}

/// The documentation of one function: group, name, signatures, summary, example.
struct Entry {
    group: &'static str,
    name: &'static str,
    signatures: &'static [&'static str],
    summary: &'static str,
    example: &'static str,
}

/// Every native function, documented.
pub fn docs() -> Vec<Doc> {
    all().to_vec()
}

/// The names of all native functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|doc| doc.name.as_str())
}

/// How a function is called; empty for one that is not known.
pub fn signatures(name: &str) -> Vec<&'static str> {
    all()
        .iter()
        .filter(|doc| doc.name == name)
        .flat_map(|doc| doc.signatures.iter().map(String::as_str))
        .collect()
}

/// The properties of a type of ours, by the name the engine gives it.
pub fn properties(type_name: &str) -> Vec<&'static str> {
    property::of(type_name)
}

fn all() -> &'static [Doc] {
    static ALL: OnceLock<Vec<Doc>> = OnceLock::new();
    ALL.get_or_init(|| {
        let written = [
            cluster::DOCS,
            shape::DOCS,
            matrix::DOCS,
            input::DOCS,
            change::DOCS,
            secret::DOCS,
            cipher::DOCS,
            suite::DOCS,
            expect::DOCS,
        ];
        let mut docs = constructor::docs();
        docs.extend(
            written
                .into_iter()
                .flatten()
                .chain(effect::docs())
                .map(|entry| Doc {
                    group: entry.group.into(),
                    name: entry.name.into(),
                    signatures: entry.signatures.iter().map(ToString::to_string).collect(),
                    summary: entry.summary.into(),
                    example: entry.example.into(),
                }),
        );
        docs
    })
}

/// Registers a type with its equality and its text, under the name messages use.
fn value_type<T: rhai::Variant + Clone + PartialEq>(
    engine: &mut Engine,
    name: &'static str,
    text: fn(&T) -> String,
) {
    engine.register_type_with_name::<T>(name);
    engine.register_fn("==", |a: &mut T, b: T| *a == b);
    engine.register_fn("!=", |a: &mut T, b: T| *a != b);
    engine.register_fn("to_string", move |value: &mut T| text(value));
    engine.register_fn("to_debug", move |value: &mut T| text(value));
}

/// Whether a value is one of ours.
fn is<T: rhai::Variant + Clone>(value: &Dynamic) -> bool {
    value.read_lock::<T>().is_some()
}
