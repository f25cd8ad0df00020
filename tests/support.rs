//! Holds every cell of the support tables against the published tables, kept word for word in `tests/seeds/`.

use std::collections::BTreeMap;

use ksail::axis::{Axis, Distribution, Provider};
use ksail::support::{COMPONENTS, PROVIDERS, Subject, UPDATES};

/// Row name → cells, for one published table.
type Published = BTreeMap<String, Vec<String>>;

/// Reads the tables: each stands on one line, rows joined by ` | | `.
fn published() -> Vec<Published> {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/seeds/support-matrix.txt"
    ))
    .unwrap();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(table)
        .collect()
}

fn table(line: &str) -> Published {
    let mut cells: Vec<&str> = line.split('|').map(str::trim).collect();
    cells.retain(|cell| !cell.starts_with("---"));
    // The width is known from the heading: everything up to the first empty cell after the opening one.
    let width = cells
        .iter()
        .skip(1)
        .position(|cell| cell.is_empty())
        .unwrap();
    let words: Vec<&str> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
    let mut rows = Published::new();
    let mut rest = &words[width..];
    while !rest.is_empty() {
        // A heading row ("CNI") has one word only: the next word is then no cell but another row name.
        let is_cell = |word: &str| {
            word.starts_with(['✅', '❌', '🚧'])
                || ["Built", "N/A", "Sim", "In-place", "Recreate", "Reboot"]
                    .iter()
                    .any(|start| word.starts_with(start))
        };
        if rest.len() > 1 && !is_cell(rest[1]) {
            rest = &rest[1..];
            continue;
        }
        let row: Vec<String> = rest[1..width].iter().map(ToString::to_string).collect();
        assert!(row.iter().all(|cell| is_cell(cell)), "{}: {row:?}", rest[0]);
        rows.insert(rest[0].to_string(), row);
        rest = &rest[width..];
    }
    rows
}

/// Compares one of our rows with the published one; where we go beyond it, what it says must be what we think it says.
fn compare(name: &str, ours: &[(String, Option<&'static str>)], published: &Published) -> usize {
    let row = published
        .get(name)
        .unwrap_or_else(|| panic!("the published table has no row {name}"));
    for (index, (cell, (mark, says))) in row.iter().zip(ours).enumerate() {
        assert_eq!(says.unwrap_or(mark), cell, "{name}, column {index}");
    }
    row.len()
}

#[test]
fn distribution_by_provider() {
    let tables = published();
    let mut compared = 0;
    for row in &PROVIDERS {
        let cells: Vec<_> = row
            .cells
            .iter()
            .map(|cell| (cell.mark(), cell.published))
            .collect();
        compared += compare(
            row.distribution.title(),
            &cells[..Provider::ALL.len() - 1],
            &tables[0],
        );
    }
    assert_eq!(compared, tables[0].values().map(Vec::len).sum::<usize>());
}

#[test]
fn component_by_distribution() {
    let tables = published();
    let mut compared = 0;
    for row in COMPONENTS {
        let name = match row.subject {
            Subject::Component(component) => component.title(),
            Subject::Feature(feature) => feature.title(),
        };
        let cells: Vec<_> = row
            .cells
            .iter()
            .map(|cell| (cell.mark(), cell.published))
            .collect();
        compared += compare(name, &cells, &tables[1]);
    }
    assert_eq!(
        compared,
        tables[1].values().map(Vec::len).sum::<usize>(),
        "a published row is missing here"
    );
    assert_eq!(compared, 21 * Distribution::ALL.len());
}

#[test]
fn change_by_distribution() {
    let tables = published();
    let mut compared = 0;
    for row in UPDATES.iter().filter(|row| row.is_published) {
        let cells: Vec<_> = row
            .cells
            .iter()
            .map(|cell| (cell.mark(), cell.published))
            .collect();
        compared += compare(row.aspect.title(), &cells, &tables[2]);
    }
    assert_eq!(
        compared,
        tables[2].values().map(Vec::len).sum::<usize>(),
        "a published row is missing here"
    );
}
