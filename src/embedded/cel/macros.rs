//! Calls that are not calls: `has`, `all`, `map`, `optMap` and their like bind names or look without touching.
//!
//! To add one: an arm in [`global`] or [`member`], and a kind of node if none fits.

use std::sync::Arc;

use super::ast::{Expr, Fold, Folding, Node, Select};
use super::parse::{call, make};
use super::problem::Problem;

/// A call without a receiver.
pub(super) fn global(at: usize, name: &str, mut args: Vec<Expr>) -> Result<Expr, Problem> {
    if name != "has" || args.len() != 1 {
        return call(at, name, args);
    }
    let Some(arg) = args.pop() else {
        return call(at, name, args);
    };
    match arg.node {
        Node::Select {
            of,
            field,
            how: Select::Value,
        } => {
            let how = Select::Test;
            make(at, arg.depth, Node::Select { of, field, how })
        }
        _ => Err(Problem::new(arg.at, "invalid argument to has() macro")),
    }
}

/// A call with a receiver.
pub(super) fn member(
    at: usize,
    target: Expr,
    name: &str,
    args: Vec<Expr>,
) -> Result<Expr, Problem> {
    match (name, args.len()) {
        ("all", 2) => fold(at, Fold::All, target, args, 1),
        ("all", 3) => fold(at, Fold::All, target, args, 2),
        ("exists", 2) => fold(at, Fold::Exists, target, args, 1),
        ("exists", 3) => fold(at, Fold::Exists, target, args, 2),
        ("exists_one" | "existsOne", 2) => fold(at, Fold::ExistsOne, target, args, 1),
        ("exists_one" | "existsOne", 3) => fold(at, Fold::ExistsOne, target, args, 2),
        ("map", 2 | 3) => fold(at, Fold::Map, target, args, 1),
        ("filter", 2) => fold(at, Fold::Filter, target, args, 1),
        ("transformList", 3 | 4) => fold(at, Fold::TransformList, target, args, 2),
        ("transformMap", 3 | 4) => fold(at, Fold::TransformMap, target, args, 2),
        ("transformMapEntry", 3 | 4) => fold(at, Fold::TransformMapEntry, target, args, 2),
        ("sortBy", 2) => sort_by(at, target, args),
        ("optMap", 2) => opt_map(at, target, args, false),
        ("optFlatMap", 2) => opt_map(at, target, args, true),
        _ => {
            let deepest = args.iter().map(|arg| arg.depth).max().unwrap_or(0);
            let below = deepest.max(target.depth);
            let node = Node::Call {
                target: Some(Box::new(target)),
                name: name.into(),
                args,
            };
            make(at, below, node)
        }
    }
}

fn name_of(expr: &Expr) -> Result<Arc<str>, Problem> {
    match &expr.node {
        Node::Ident(name) => Ok(Arc::clone(name)),
        _ => Err(Problem::new(expr.at, "argument must be a simple name")),
    }
}

fn missing(at: usize) -> Problem {
    Problem::new(at, "a macro lacks an argument")
}

fn sort_by(at: usize, of: Expr, args: Vec<Expr>) -> Result<Expr, Problem> {
    let [name, body] = <[Expr; 2]>::try_from(args).map_err(|_| missing(at))?;
    let below = of.depth.max(body.depth);
    let node = Node::SortBy {
        of: Box::new(of),
        name: name_of(&name)?,
        body: Box::new(body),
    };
    make(at, below, node)
}

fn opt_map(at: usize, of: Expr, args: Vec<Expr>, flat: bool) -> Result<Expr, Problem> {
    let [name, body] = <[Expr; 2]>::try_from(args).map_err(|_| missing(at))?;
    let below = of.depth.max(body.depth);
    let node = Node::OptMap {
        of: Box::new(of),
        name: name_of(&name)?,
        body: Box::new(body),
        flat,
    };
    make(at, below, node)
}

fn fold(
    at: usize,
    kind: Fold,
    over: Expr,
    mut args: Vec<Expr>,
    names: usize,
) -> Result<Expr, Problem> {
    let body = args.pop().ok_or_else(|| missing(at))?;
    let filter = if args.len() > names { args.pop() } else { None };
    let first = name_of(args.first().ok_or_else(|| missing(at))?)?;
    let second = match names {
        2 => Some(name_of(args.get(1).ok_or_else(|| missing(at))?)?),
        _ => None,
    };
    if second.as_ref() == Some(&first) {
        let message = format!("duplicate variable name: {first}");
        return Err(Problem::new(at, message));
    }
    let deepest = [
        over.depth,
        body.depth,
        filter.as_ref().map_or(0, |f| f.depth),
    ];
    let below = deepest.into_iter().max().unwrap_or(0);
    let folding = Folding {
        kind,
        over,
        first,
        second,
        filter,
        body,
    };
    make(at, below, Node::Fold(Box::new(folding)))
}
