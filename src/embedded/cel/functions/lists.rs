//! Lists, sets and optional values.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Answer;
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::{List, Val};

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    if let [Val::List(list), rest @ ..] = args
        && let Some(answer) = of_list(name, list, rest)
    {
        return Some(answer);
    }
    Some(match (name, args) {
        ("size", [Val::Map(map)]) => Ok(Val::Int(map.len() as i64)),
        ("lists.range", [Val::Int(count)]) => {
            Ok(Val::from((0..*count).map(Val::Int).collect::<Vec<_>>()))
        }
        ("optional.of", [value]) => Ok(Val::optional(Some(value.clone()))),
        ("optional.none", []) => Ok(Val::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => {
            Ok(Val::optional((!value.is_zero()).then(|| value.clone())))
        }
        ("hasValue", [Val::Optional(value)]) => Ok(Val::Bool(value.is_some())),
        ("value", [Val::Optional(Some(value))]) => Ok((**value).clone()),
        ("value", [Val::Optional(None)]) => Stop::failed("optional.none() dereference"),
        _ => return None,
    })
}

fn of_list(name: &str, list: &List, rest: &[Val]) -> Answer {
    let items = &list.items;
    Some(match (name, rest) {
        ("size", []) => Ok(Val::Int(items.len() as i64)),
        ("isSorted", []) => {
            let sorted = items
                .windows(2)
                .all(|pair| matches!(pair, [a, b] if a.order(b).is_none_or(Ordering::is_le)));
            Ok(Val::Bool(sorted))
        }
        ("sum", []) => sum(items),
        ("min", []) => extreme(items, Ordering::is_lt, "min"),
        ("max", []) => extreme(items, Ordering::is_gt, "max"),
        ("indexOf", [item]) => Ok(position(items.iter().position(|own| own.same(item)))),
        ("lastIndexOf", [item]) => Ok(position(items.iter().rposition(|own| own.same(item)))),
        ("slice", [Val::Int(from), Val::Int(to)]) => slice(items, *from, *to),
        ("flatten", []) => flatten(items, 1),
        ("flatten", [Val::Int(depth)]) => flatten(items, *depth),
        ("distinct", []) => {
            let mut out: Vec<Val> = Vec::new();
            for item in items {
                if !out.iter().any(|own| own.same(item)) {
                    out.push(item.clone());
                }
            }
            Ok(out.into())
        }
        ("reverse", []) => Ok(items.iter().rev().cloned().collect::<Vec<_>>().into()),
        ("sort", []) => {
            let mut pairs: Vec<(Val, Val)> = items.iter().map(|i| (i.clone(), i.clone())).collect();
            match sort(&mut pairs) {
                Ok(()) => Ok(pairs.into_iter().map(|p| p.1).collect::<Vec<_>>().into()),
                Err(stop) => Err(stop),
            }
        }
        ("first", []) => Ok(Val::optional(items.first().cloned())),
        ("last", []) => Ok(Val::optional(items.last().cloned())),
        ("sets.contains", [Val::List(other)]) => Ok(Val::Bool(holds(items, &other.items))),
        ("sets.equivalent", [Val::List(other)]) => Ok(Val::Bool(
            holds(items, &other.items) && holds(&other.items, items),
        )),
        ("sets.intersects", [Val::List(other)]) => Ok(Val::Bool(
            items
                .iter()
                .any(|item| other.items.iter().any(|own| own.same(item))),
        )),
        _ => return None,
    })
}

fn position(at: Option<usize>) -> Val {
    Val::Int(at.map_or(-1, |at| at as i64))
}

fn holds(items: &[Val], others: &[Val]) -> bool {
    others
        .iter()
        .all(|other| items.iter().any(|own| own.same(other)))
}

fn sum(items: &[Val]) -> Result<Val, Stop> {
    let mut total: Option<Val> = None;
    for item in items {
        total = Some(match total {
            None => item.clone(),
            Some(total) => super::operators::call("_+_", &[total, item.clone()])
                .unwrap_or_else(|| Stop::failed("no such overload"))?,
        });
    }
    Ok(total.unwrap_or(Val::Int(0)))
}

fn extreme(items: &[Val], better: fn(Ordering) -> bool, name: &str) -> Result<Val, Stop> {
    let mut items = items.iter();
    let Some(mut best) = items.next() else {
        return Stop::failed(format!("{name} called on empty list"));
    };
    for item in items {
        match item.order(best) {
            Some(order) if better(order) => best = item,
            Some(_) => {}
            None => return Stop::failed("no such overload"),
        }
    }
    Ok(best.clone())
}

fn slice(items: &[Val], from: i64, to: i64) -> Result<Val, Stop> {
    if from < 0 || to < 0 {
        return Stop::failed(format!(
            "cannot slice({from}, {to}), negative indexes not supported"
        ));
    }
    if from > to {
        return Stop::failed(format!(
            "cannot slice({from}, {to}), start index must be less than or equal to end index"
        ));
    }
    match items.get(from as usize..to as usize) {
        Some(part) => Ok(part.to_vec().into()),
        None => Stop::failed(format!(
            "cannot slice({from}, {to}), list is length {}",
            items.len()
        )),
    }
}

fn flatten(items: &[Val], depth: i64) -> Result<Val, Stop> {
    if depth < 0 {
        return Stop::failed("level must be non-negative");
    }
    let mut items = items.to_vec();
    for _ in 0..depth.min(64) {
        let mut out = Vec::with_capacity(items.len());
        for item in &items {
            match item {
                Val::List(inner) => out.extend(inner.items.iter().cloned()),
                other => out.push(other.clone()),
            }
        }
        if out.len() == items.len() {
            break;
        }
        items = out;
    }
    Ok(items.into())
}

/// Sorts pairs by their first.
pub(in crate::embedded::cel) fn sort(pairs: &mut [(Val, Val)]) -> Result<(), Stop> {
    let comparable = pairs
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.0.order(&b.0).is_some()));
    if !comparable {
        return Stop::failed("list elements must have the same type");
    }
    pairs.sort_by(|a, b| a.0.order(&b.0).unwrap_or(Ordering::Equal));
    Ok(())
}

impl From<List> for Val {
    fn from(list: List) -> Self {
        Self::List(Arc::new(list))
    }
}
