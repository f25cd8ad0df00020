//! What can be seen without running a script: every call of a function that nobody has.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Engine, Expr};

use super::{fault, locate};
use crate::diag::Source;
use crate::error::{Error, Result};
use crate::natives;

/// Tells all functions that are called and not known, each at its place.
pub(super) fn names(engine: &Engine, tree: &AST, source: &Source) -> Result<()> {
    let mut known: BTreeSet<String> = natives::names().map(String::from).collect();
    known.extend(
        tree.iter_functions()
            .map(|function| function.name.to_string()),
    );
    let mut suspects = Vec::new();
    tree.walk(&mut |nodes: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) =
            nodes.last()
            && call.namespace.is_empty()
            && call.op_token.is_none()
            && !known.contains(call.name.as_str())
        {
            suspects.push((call.name.to_string(), *at));
        }
        true
    });
    // The engine's own functions are many and rarely needed here: asked for only when a name is in doubt.
    if suspects.is_empty() {
        return Ok(());
    }
    let own: BTreeSet<String> = engine
        .gen_fn_signatures(true)
        .into_iter()
        .filter_map(|text| name_of(&text))
        .collect();
    let problems = suspects
        .into_iter()
        .filter(|(name, _)| !own.contains(name) && !KEYWORDS.contains(&name.as_str()))
        .map(|(name, at)| {
            let problem = fault::unknown_function(&name);
            match locate::token(source, at) {
                Some(label) => problem.label(label),
                None => problem,
            }
        });
    match Error::gather(problems) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

/// Functions that the engine knows as words.
const KEYWORDS: &[&str] = &[
    "Fn",
    "call",
    "curry",
    "is_shared",
    "is_def_var",
    "is_def_fn",
    "type_of",
    "print",
    "debug",
    "this",
];

/// The name in a signature such as `fn push(array: &mut Array, item: ?)` or `get x(…)`.
fn name_of(signature: &str) -> Option<String> {
    let before = signature.split('(').next()?;
    before.split_whitespace().last().map(String::from)
}
