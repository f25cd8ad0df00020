//! The tests of a script.

use super::Script;
use super::closure::Closure;
use super::result::{Defined, define};
use crate::diag::codes::language::WRONG_RESULT;
use crate::error::{Error, Result};
use crate::natives::{Base, ClusterValue};

/// A test that a script declares.
#[derive(Clone)]
pub struct Test {
    /// Its name.
    pub name: String,
    script: Script,
    base: Start,
    body: Closure,
}

#[derive(Clone)]
enum Start {
    Nothing,
    Cluster(ClusterValue),
    Fixture(Closure),
}

pub(super) fn tests(script: &Script) -> Vec<Test> {
    let all = script.inner().session.tests();
    all.into_iter()
        .map(|(name, base, body)| Test {
            name,
            script: script.clone(),
            base: match base {
                Base::Nothing => Start::Nothing,
                Base::Cluster(cluster) => Start::Cluster(cluster),
                Base::Fixture(pointer) => Start::Fixture(Closure::new(script, pointer)),
            },
            body: Closure::new(script, body),
        })
        .collect()
}

impl Test {
    /// Makes the cluster that the test starts with, as its fixture says; it may not be up yet.
    pub fn cluster(&self) -> Result<Option<Defined>> {
        let value = match &self.base {
            Start::Nothing => return Ok(None),
            Start::Cluster(cluster) => cluster.clone(),
            Start::Fixture(closure) => {
                let value = closure.call(())?;
                let Some(cluster) = value.try_cast::<ClusterValue>() else {
                    let message = format!("the fixture of {:?} made no cluster", self.name);
                    return Err(Error::new(&WRONG_RESULT, message)
                        .help("end its closure with the cluster, and no semicolon behind"));
                };
                cluster
            }
        };
        define(value, Some(&self.script)).map(Some)
    }

    /// Runs the test, with its cluster if it has one.
    pub fn run(&self, cluster: Option<&Defined>) -> Result<()> {
        let result = match cluster {
            Some(defined) => self.body.call((defined.value().clone(),)),
            None => self.body.call(()),
        };
        result.map(|_| ())
    }

    /// What the script printed since this was last asked.
    pub fn printed(&self) -> Vec<String> {
        self.script.printed()
    }
}
