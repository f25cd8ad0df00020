//! Closures of a script that ksail calls later: policies, hooks, tasks.

use rhai::{Dynamic, FnPtr, NativeCallContext};

use super::value::{kind, to_tree};
use super::{Script, fault};
use crate::diag::Kind;
use crate::diag::codes::language::WRONG_RESULT;
use crate::diag::codes::plan::BAD_RULING;
use crate::diag::codes::run::HOOK_FAILED;
use crate::error::{Error, Result};
use crate::natives::{self, ChangeValue, ClusterValue, RulingValue};
use crate::plan::{Change, Ruling};
use crate::spec::Tree;

/// A closure as the engine has it.
pub(crate) type Pointer = FnPtr;

/// A closure with the script it belongs to; can be called from any thread, at any time after the evaluation.
#[derive(Clone)]
pub struct Closure {
    script: Script,
    pointer: Pointer,
}

impl Closure {
    pub(super) fn new(script: &Script, pointer: Pointer) -> Self {
        Self {
            script: script.clone(),
            pointer,
        }
    }

    /// Calls a policy.
    pub fn rule(&self, change: &Change) -> Result<Ruling> {
        let value = self.call((ChangeValue::new(change.clone()),))?;
        match value.read_lock::<RulingValue>() {
            Some(ruling) => Ok(ruling.ruling().clone()),
            None => Err(Error::new(
                &BAD_RULING,
                format!(
                    "the policy returned {} for the change of `{}`",
                    kind(&value),
                    change.path
                ),
            )
            .help("return `allow()`, `deny(why)`, `confirm(why)` or `defer(window, why)`")),
        }
    }

    /// Calls a hook with its cluster; returns what it printed.
    pub fn call_hook(&self, cluster: &ClusterValue) -> Result<Vec<String>> {
        self.script.printed();
        let result = self.call((cluster.clone(),));
        let printed = self.script.printed();
        match result {
            Ok(_) => Ok(printed),
            // A hook that was cut off did not fail.
            Err(problem) if problem.kind() == Kind::Cancelled => Err(problem),
            Err(problem) => {
                Err(Error::new(&HOOK_FAILED, problem.message().to_string()).also(problem.split()))
            }
        }
    }

    /// Calls a task; returns what it returned and printed.
    pub fn call_task(&self) -> Result<(Tree, Vec<String>)> {
        self.script.printed();
        let value = self.call(())?;
        let tree = to_tree(&value, "").unwrap_or_else(|_| Tree::Text(natives::show(&value)));
        Ok((tree, self.script.printed()))
    }

    pub(super) fn call(&self, arguments: impl rhai::FuncArgs) -> Result<Dynamic> {
        let inner = self.script.inner();
        inner.session.restart();
        self.pointer
            .call::<Dynamic>(&inner.engine, &inner.ast, arguments)
            .map_err(|error| fault::from_run(*error, &inner.session))
    }
}

/// Calls a closure that has to answer yes or no, during an evaluation.
pub(crate) fn ask(
    cx: &NativeCallContext,
    pointer: &Pointer,
    argument: Dynamic,
    whose: &str,
) -> super::RhaiResult<bool> {
    let value: Dynamic = pointer.call_within_context(cx, (argument,))?;
    value.as_bool().map_err(|_| {
        fault::fail(
            Error::new(
                &WRONG_RESULT,
                format!("the closure of `{whose}` returned {}", kind(&value)),
            )
            .help("return `true` or `false`"),
        )
    })
}
