//! Tests: declared in a script, run by `ksail test`, each with a cluster of its own.

use std::sync::Arc;

use rhai::{Dynamic, Engine, FnPtr, ImmutableString};

use super::Entry;
use super::cluster::ClusterValue;
use crate::diag::codes::model::{DUPLICATE_CLUSTER, WRONG_TYPE};
use crate::error::Error;
use crate::script::{RhaiResult, Session, fail, kind};

/// What makes the cluster of a test, with everything that should be in it.
#[derive(Clone, Debug)]
pub struct FixtureValue(FnPtr);

/// What a test starts with.
#[derive(Clone, Debug)]
pub enum Base {
    /// Nothing.
    Nothing,
    /// A cluster, brought up.
    Cluster(ClusterValue),
    /// What a closure makes.
    Fixture(FnPtr),
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    engine.register_type_with_name::<FixtureValue>("Fixture");
    engine.register_fn("fixture", FixtureValue);
    let s = session.clone();
    engine.register_fn("test", move |name: ImmutableString, body: FnPtr| {
        declare(&s, &name, Base::Nothing, body)
    });
    let s = session.clone();
    engine.register_fn(
        "test",
        move |name: ImmutableString, base: Dynamic, body: FnPtr| {
            let base = if let Some(fixture) = base.read_lock::<FixtureValue>() {
                Base::Fixture(fixture.0.clone())
            } else if let Some(cluster) = base.read_lock::<ClusterValue>() {
                Base::Cluster(cluster.clone())
            } else {
                let message = format!("this is {}, not what a test can start with", kind(&base));
                let help = "give a cluster, or a fixture: fixture(|| cluster(…))";
                return Err(fail(
                    Error::new(&WRONG_TYPE, message).help(help).field("[1]"),
                ));
            };
            declare(&s, &name, base, body)
        },
    );
}

fn declare(session: &Session, name: &str, base: Base, body: FnPtr) -> RhaiResult<()> {
    if session.add_test(name.to_string(), base, body) {
        return Ok(());
    }
    Err(fail(
        Error::new(&DUPLICATE_CLUSTER, format!("two tests are called `{name}`"))
            .help("give each its own name; in a loop, put what differs into it"),
    ))
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "tests",
        name: "test",
        signatures: &[
            "test(name, || …)",
            "test(name, cluster, |c| …)",
            "test(name, fixture, |c| …)",
        ],
        summary: "Declares a test that `ksail test` runs; with a cluster or fixture it gets a cluster of its own, removed afterwards.",
        example: "let c = cluster(\"web\", #{ distribution: kwok(), provider: embedded() });\ntest(\"has a node\", c, |c| expect(c.list(\"nodes\").len()).to_equal(1));\nc",
    },
    Entry {
        group: "tests",
        name: "fixture",
        signatures: &["fixture(|| cluster)"],
        summary: "What tests start with: the closure makes a cluster and may bring it up and fill it; each test gets one that nobody else has touched.",
        example: "let base = fixture(|| {\n    let c = up(cluster(\"web\", #{ distribution: kwok(), provider: embedded() }));\n    c.apply(#{ apiVersion: \"v1\", kind: \"Namespace\", metadata: #{ name: \"shop\" } });\n    c\n});\ntest(\"is filled\", base, |c| expect(c.get(\"namespace/shop\").kind).to_equal(\"Namespace\"));\ncluster(\"dev\", #{ distribution: kwok() })",
    },
];
