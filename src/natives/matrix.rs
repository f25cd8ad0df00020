//! Matrices: axes are expanded to cells, cells to clusters.
//!
//! Script maps are sorted, so axes come in the order of their names, and so do the parts of a cell's id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};

use super::cluster::ClusterValue;
use super::equality::{same, show};
use super::shape::FleetValue;
use super::{Entry, value_type};
use crate::diag::codes::language::{BAD_MATRIX, WRONG_RESULT};
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::script::{RhaiResult, ask, fail, kind};

/// The most cells a matrix may have.
const MAX_CELLS: usize = 20_000;

/// Axes and the cells that are left of their product.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixValue {
    axes: Arc<Vec<String>>,
    cells: Arc<Vec<CellValue>>,
}

/// One combination.
#[derive(Clone, Debug)]
pub(super) struct CellValue(Arc<(String, BTreeMap<String, Dynamic>)>);

impl PartialEq for CellValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.1.len() == other.0.1.len()
            && self
                .0
                .1
                .iter()
                .all(|(axis, value)| other.value(axis).is_some_and(|that| same(value, that)))
    }
}

impl CellValue {
    fn new(values: BTreeMap<String, Dynamic>) -> Self {
        let id = values
            .values()
            .map(slug)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("-");
        Self(Arc::new((id, values)))
    }

    pub(super) fn id(&self) -> &str {
        &self.0.0
    }

    pub(super) fn value(&self, axis: &str) -> Option<&Dynamic> {
        self.0.1.get(axis)
    }

    pub(super) fn axes(&self) -> impl Iterator<Item = &str> {
        self.0.1.keys().map(String::as_str)
    }

    fn matches(&self, wanted: &Map) -> bool {
        wanted
            .iter()
            .all(|(axis, value)| self.value(axis).is_some_and(|mine| same(mine, value)))
    }

    fn text(&self) -> String {
        let parts: Vec<String> = self
            .0
            .1
            .iter()
            .map(|(axis, value)| format!("{axis}: {}", show(value)))
            .collect();
        format!("cell(#{{ {} }})", parts.join(", "))
    }
}

impl MatrixValue {
    pub(super) fn cells(&self) -> &[CellValue] {
        &self.cells
    }

    pub(super) fn axes(&self) -> &[String] {
        &self.axes
    }

    fn keep(&self, cells: Vec<CellValue>) -> Self {
        Self {
            axes: self.axes.clone(),
            cells: Arc::new(cells),
        }
    }

    fn check_axes(&self, given: &Map) -> Result<()> {
        match given
            .keys()
            .find(|axis| !self.axes.iter().any(|known| known == axis.as_str()))
        {
            None => Ok(()),
            Some(stranger) => {
                let known = self.axes.iter().map(String::as_str);
                let help = match suggest::nearest(stranger, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("its axes are {}", suggest::one_of(known)),
                };
                Err(
                    Error::new(&BAD_MATRIX, format!("the matrix has no axis `{stranger}`"))
                        .help(help)
                        .field(stranger.as_str()),
                )
            }
        }
    }
}

pub(super) fn register(engine: &mut Engine) {
    value_type::<MatrixValue>(engine, "Matrix", |matrix| {
        format!("matrix of {} cells", matrix.cells.len())
    });
    value_type::<CellValue>(engine, "Cell", CellValue::text);
    engine.register_fn("matrix", |axes: Map| expand(&axes).map_err(fail));
    engine.register_fn(
        "exclude",
        |matrix: MatrixValue, wanted: Map| -> RhaiResult<MatrixValue> {
            matrix.check_axes(&wanted).map_err(fail)?;
            Ok(matrix.keep(
                matrix
                    .cells
                    .iter()
                    .filter(|cell| !cell.matches(&wanted))
                    .cloned()
                    .collect(),
            ))
        },
    );
    engine.register_fn(
        "exclude",
        |cx: NativeCallContext, matrix: MatrixValue, closure: FnPtr| -> RhaiResult<MatrixValue> {
            let mut kept = Vec::new();
            for cell in matrix.cells.iter() {
                if !ask(&cx, &closure, Dynamic::from(cell.clone()), "exclude")? {
                    kept.push(cell.clone());
                }
            }
            Ok(matrix.keep(kept))
        },
    );
    engine.register_fn("include", |matrix: MatrixValue, given: Map| {
        include(&matrix, &given).map_err(fail)
    });
    engine.register_fn("pairwise", |matrix: MatrixValue| {
        matrix.keep(pairwise(&matrix))
    });
    engine.register_fn("shard", |matrix: MatrixValue, index: i64, of: i64| {
        shard(&matrix, index, of).map_err(fail)
    });
    engine.register_fn("clusters", clusters);
}

fn expand(given: &Map) -> Result<MatrixValue> {
    let mut cells: Vec<BTreeMap<String, Dynamic>> = vec![BTreeMap::new()];
    if given.is_empty() {
        return Err(Error::new(&BAD_MATRIX, "the matrix has no axes")
            .help("give it one: matrix(#{ workers: [1, 3] })"));
    }
    for (axis, values) in given {
        let wrong = |what: String| {
            Error::new(&BAD_MATRIX, format!("the axis `{axis}` {what}"))
                .help("an axis is a list: [1, 3]")
                .field(axis.as_str())
        };
        if axis == "id" {
            return Err(wrong("has the name of the cell's own id".into()));
        }
        let Some(values) = values.read_lock::<Array>() else {
            return Err(wrong(format!("is {}, not a list", kind(values))));
        };
        if values.is_empty() {
            return Err(wrong("is empty".into()));
        }
        if cells.len().saturating_mul(values.len()) > MAX_CELLS {
            return Err(Error::new(
                &BAD_MATRIX,
                format!("the matrix has more than {MAX_CELLS} cells"),
            )
            .help("leave values out, or split the script")
            .field(axis.as_str()));
        }
        cells = cells
            .into_iter()
            .flat_map(|cell| {
                values.iter().map(move |value| {
                    let mut next = cell.clone();
                    next.insert(axis.to_string(), value.clone());
                    next
                })
            })
            .collect();
    }
    Ok(MatrixValue {
        axes: Arc::new(given.keys().map(ToString::to_string).collect()),
        cells: Arc::new(cells.into_iter().map(CellValue::new).collect()),
    })
}

fn include(matrix: &MatrixValue, given: &Map) -> Result<MatrixValue> {
    matrix.check_axes(given)?;
    if let Some(missing) = matrix
        .axes
        .iter()
        .find(|axis| !given.contains_key(axis.as_str()))
    {
        return Err(
            Error::new(&BAD_MATRIX, format!("the included cell has no `{missing}`"))
                .help("give a value for every axis"),
        );
    }
    let cell = CellValue::new(
        given
            .iter()
            .map(|(axis, value)| (axis.to_string(), value.clone()))
            .collect(),
    );
    let mut cells = matrix.cells.to_vec();
    if !cells.contains(&cell) {
        cells.push(cell);
    }
    Ok(matrix.keep(cells))
}

/// The part of the cells that falls to runner `index` of `of`, counted from 1; the shards together are the whole.
fn shard(matrix: &MatrixValue, index: i64, of: i64) -> Result<MatrixValue> {
    let (Ok(index), Ok(of)) = (usize::try_from(index), usize::try_from(of)) else {
        return Err(bad_shard());
    };
    if index == 0 || index > of {
        return Err(bad_shard());
    }
    Ok(matrix.keep(
        matrix
            .cells
            .iter()
            .skip(index - 1)
            .step_by(of)
            .cloned()
            .collect(),
    ))
}

fn bad_shard() -> Error {
    Error::new(&BAD_MATRIX, "there is no such shard")
        .help("shards count from 1: .shard(1, 4) to .shard(4, 4)")
}

/// The fewest cells found greedily in which every pair of values occurs that occurs at all; the first of equals wins.
fn pairwise(matrix: &MatrixValue) -> Vec<CellValue> {
    let key = |value: &Dynamic| show(value);
    let pairs = |cell: &CellValue| -> BTreeSet<(String, String, String, String)> {
        let values: Vec<(&String, String)> = cell
            .0
            .1
            .iter()
            .map(|(axis, value)| (axis, key(value)))
            .collect();
        let mut pairs = BTreeSet::new();
        for (i, (a, x)) in values.iter().enumerate() {
            for (b, y) in values.iter().skip(i + 1) {
                pairs.insert(((*a).clone(), x.clone(), (*b).clone(), y.clone()));
            }
        }
        pairs
    };
    let covers: Vec<BTreeSet<_>> = matrix.cells.iter().map(pairs).collect();
    if matrix.axes.len() < 2 {
        return matrix.cells.to_vec();
    }
    let mut open: BTreeSet<_> = covers.iter().flatten().cloned().collect();
    let mut chosen = BTreeSet::new();
    while !open.is_empty() {
        let gain = |index: usize| {
            covers
                .get(index)
                .map_or(0, |pairs| pairs.intersection(&open).count())
        };
        let Some(best) =
            (0..covers.len()).max_by_key(|index| (gain(*index), std::cmp::Reverse(*index)))
        else {
            break;
        };
        if let Some(pairs) = covers.get(best) {
            open.retain(|pair| !pairs.contains(pair));
        }
        chosen.insert(best);
    }
    matrix
        .cells
        .iter()
        .enumerate()
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, cell)| cell.clone())
        .collect()
}

fn clusters(cx: NativeCallContext, matrix: MatrixValue, closure: FnPtr) -> RhaiResult<FleetValue> {
    let mut clusters = Vec::with_capacity(matrix.cells.len());
    for cell in matrix.cells.iter() {
        let value: Dynamic = closure.call_within_context(&cx, (cell.clone(),))?;
        if value.is_unit() {
            continue;
        }
        match value.read_lock::<ClusterValue>() {
            Some(cluster) => clusters.push(cluster.clone()),
            None => {
                let message = format!(
                    "the closure of `clusters` returned {} for the cell {}",
                    kind(&value),
                    cell.id()
                );
                return Err(fail(
                    Error::new(&WRONG_RESULT, message).help("return a cluster, or `()` for none"),
                ));
            }
        }
    }
    Ok(FleetValue::new(clusters))
}

/// A value as part of a name: `1.35` becomes `1-35`, `cilium()` becomes `cilium`.
fn slug(value: &Dynamic) -> String {
    let text = super::equality::name_of(value);
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_string()
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "matrix",
        name: "matrix",
        signatures: &["matrix(#{ axis: [value, …], … })"],
        summary: "Expands axes to cells; axes come in the order of their names. A cell has `id` and a property for each axis.",
        example: "matrix(#{ distribution: [k3s(), kwok()], workers: [1, 3] })\n    .clusters(|cell| cluster(`ci-${cell.id}`, #{ distribution: cell.distribution, workers: cell.workers }))",
    },
    Entry {
        group: "matrix",
        name: "exclude",
        signatures: &[
            "m.exclude(#{ axis: value, … })",
            "m.exclude(|cell| condition)",
        ],
        summary: "Leaves out the cells that have these values, or for which the closure says true.",
        example: "matrix(#{ n: [1, 2, 3] }).exclude(|cell| cell.n == 2)\n    .clusters(|cell| cluster(`c${cell.id}`, #{ distribution: kwok(), workers: cell.n }))",
    },
    Entry {
        group: "matrix",
        name: "include",
        signatures: &["m.include(#{ axis: value, … })"],
        summary: "Adds one cell, with a value for every axis.",
        example: "matrix(#{ n: [1] }).include(#{ n: 9 })\n    .clusters(|cell| cluster(`c${cell.id}`, #{ distribution: kwok(), workers: cell.n }))",
    },
    Entry {
        group: "matrix",
        name: "pairwise",
        signatures: &["m.pairwise()"],
        summary: "Keeps few cells in which every pair of values still occurs.",
        example: "matrix(#{ a: [1, 2, 3], b: [1, 2, 3], c: [1, 2, 3] }).pairwise()\n    .clusters(|cell| cluster(`c${cell.id}`, #{ distribution: kwok() }))",
    },
    Entry {
        group: "matrix",
        name: "shard",
        signatures: &["m.shard(i, n)"],
        summary: "Keeps the cells of runner i of n, counted from 1; all shards together are the matrix.",
        example: "matrix(#{ n: [1, 2, 3] }).shard(1, 2)\n    .clusters(|cell| cluster(`c${cell.id}`, #{ distribution: kwok(), workers: cell.n }))",
    },
    Entry {
        group: "matrix",
        name: "clusters",
        signatures: &["m.clusters(|cell| cluster(…))"],
        summary: "Makes a cluster of each cell; `()` makes none.",
        example: "matrix(#{ n: [1, 2] }).clusters(|cell| cluster(`c${cell.id}`, #{ distribution: kwok(), workers: cell.n }))",
    },
];
