//! What functions do, by family; which there are is in `signatures`.
//!
//! Each family gets the name and the values and says `None` if it isn't its own.

pub(super) mod authorize;
mod convert;
mod formats;
pub(super) mod lists;
pub(super) mod network;
mod operators;
mod quantities;
pub(super) mod semver;
mod texts;
pub(super) mod time;

use super::ast::{Expr, Node};
use super::eval::{Machine, Stop};
use super::value::Val;

/// What a family answers: nothing if the function isn't its own.
type Answer = Option<Result<Val, Stop>>;

/// Calls a function.
pub(super) fn call(machine: &mut Machine, name: &str, args: &[Val]) -> Result<Val, Stop> {
    machine.spend(cost(name, args))?;
    let answer = operators::call(name, args)
        .or_else(|| texts::call(name, args))
        .or_else(|| lists::call(name, args))
        .or_else(|| convert::call(name, args))
        .or_else(|| time::call(name, args))
        .or_else(|| quantities::call(name, args))
        .or_else(|| network::call(name, args))
        .or_else(|| formats::call(name, args))
        .or_else(|| semver::call(name, args))
        .or_else(|| authorize::call(name, args));
    let value = answer.unwrap_or_else(|| Stop::failed("no such overload"))?;
    // What a function makes must be paid for as well, or a short expression could fill the memory.
    machine.spend(made(&value))?;
    Ok(value)
}

fn made(value: &Val) -> u64 {
    match value {
        Val::Str(_) | Val::Bytes(_) => value.size() / 10,
        Val::List(list) => list.items.len() as u64 / 10,
        _ => 0,
    }
}

/// What a call costs besides itself.
fn cost(name: &str, args: &[Val]) -> u64 {
    let first = args.first().map_or(0, Val::size);
    let second = args.get(1).map_or(0, Val::size);
    match (name, args) {
        ("_==_" | "_!=_", [a, b]) => a.weight().min(b.weight()),
        ("_<_" | "_<=_" | "_>_" | "_>=_" | "_+_", _) => first.min(second) / 10,
        ("@in", [a, Val::List(list)]) => list.items.len() as u64 * (1 + a.weight() / 10),
        ("matches" | "find" | "findAll", _) => (first / 10 + 1) * (second / 4 + 1),
        ("contains" | "indexOf" | "lastIndexOf" | "replace" | "split", [Val::Str(_), ..]) => {
            (first / 10 + 1) * (second / 10 + 1)
        }
        ("sum" | "min" | "max" | "isSorted" | "indexOf" | "lastIndexOf" | "sort", [list, ..]) => {
            list.weight()
        }
        ("distinct" | "sets.contains" | "sets.equivalent" | "sets.intersects", _) => {
            let other = if args.len() > 1 { second } else { first };
            first.saturating_mul(other).saturating_add(1)
        }
        ("lists.range", [Val::Int(count)]) => u64::try_from(*count).unwrap_or(0),
        ("check", _) => 350_000,
        _ => first / 10,
    }
}

/// Mistakes in literals that are known before anything is evaluated.
pub(super) fn check_literals(
    name: &str,
    target: Option<&Expr>,
    args: &[Expr],
) -> Vec<(usize, String)> {
    let text = |expr: &Expr| match &expr.node {
        Node::Const(Val::Str(text)) => Some((expr.at, text.to_string())),
        _ => None,
    };
    let literal = match (name, target, args) {
        ("matches", Some(_), [pattern]) | ("matches", None, [_, pattern]) => text(pattern),
        ("duration" | "timestamp", None, [arg]) => text(arg),
        _ => None,
    };
    let Some((at, literal)) = literal else {
        return Vec::new();
    };
    let good = match name {
        "matches" => texts::pattern(&literal).is_ok(),
        "duration" => time::duration(&literal).is_some(),
        _ => time::moment(&literal).is_some(),
    };
    if good {
        return Vec::new();
    }
    vec![(at, format!("invalid {name} argument"))]
}
