//! The tables as text: one notation for terminal, Markdown and tests, and plain words for JSON.

use serde_json::{Value, json};

use super::{COMPONENTS, Cell, Effect, PROVIDERS, Subject, Support, UPDATES, note};
use crate::axis::{Axis, Distribution, Provider};

/// One table, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// Its heading.
    pub title: &'static str,
    /// The headings of the columns; the first is that of the row names.
    pub columns: Vec<String>,
    /// The rows, each as wide as `columns`.
    pub rows: Vec<Vec<String>>,
    /// The notes that the cells refer to, with their numbers.
    pub notes: Vec<(u8, &'static str)>,
}

/// All tables, in the published notation.
pub fn grids() -> Vec<Grid> {
    vec![provider_grid(), component_grid(), update_grid()]
}

/// A table for a document, with its notes.
pub fn markdown(grid: &Grid) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", " --- |".repeat(grid.columns.len()));
    let rows: String = grid.rows.iter().map(|row| line(row)).collect();
    let notes: String = grid
        .notes
        .iter()
        .map(|(number, note)| format!("- {} {note}\n", superscript(*number)))
        .collect();
    format!(
        "### {}\n\n{}{rule}{rows}\n{notes}",
        grid.title,
        line(&grid.columns)
    )
}

/// All tables as data.
pub fn json() -> Value {
    let by_distribution = |text: &dyn Fn(usize) -> Value| -> Value {
        Distribution::ALL
            .iter()
            .enumerate()
            .map(|(i, d)| (d.name().to_string(), text(i)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let providers: serde_json::Map<String, Value> = PROVIDERS
        .iter()
        .map(|row| {
            let on: Vec<&str> = Provider::ALL
                .iter()
                .filter(|p| row.cells[**p as usize].value)
                .map(|p| p.name())
                .collect();
            (row.distribution.name().to_string(), json!(on))
        })
        .collect();
    let components: serde_json::Map<String, Value> = COMPONENTS
        .iter()
        .map(|row| {
            let name = match row.subject {
                Subject::Component(component) => component.name(),
                Subject::Feature(feature) => feature.name(),
            };
            (
                name.to_string(),
                by_distribution(&|i| support_json(row.cells[i])),
            )
        })
        .collect();
    let updates: serde_json::Map<String, Value> = UPDATES
        .iter()
        .map(|row| {
            (
                row.aspect.name().to_string(),
                by_distribution(&|i| json!(effect_word(row.cells[i].value))),
            )
        })
        .collect();
    json!({ "providers": providers, "components": components, "updates": updates })
}

impl Cell<bool> {
    /// The cell in the published notation.
    pub fn mark(&self) -> String {
        with_note(if self.value { "✅" } else { "❌" }, self.note)
    }
}

impl Cell<Support> {
    /// The cell in the published notation.
    pub fn mark(&self) -> String {
        let text = match self.value {
            Support::Install => "✅".to_string(),
            Support::InstallOn(providers) => {
                let names: Vec<&str> = providers.iter().map(|provider| provider.title()).collect();
                format!("✅ ({})", names.join("/"))
            }
            Support::Since(version) => format!("✅ ({version}+)"),
            Support::BuiltIn => "Built-in".to_string(),
            Support::Managed => "N/A".to_string(),
            Support::Simulated => "Sim".to_string(),
            Support::Skipped | Support::Unsupported => "❌".to_string(),
        };
        with_note(&text, self.note)
    }
}

impl Cell<Effect> {
    /// The cell in the published notation.
    pub fn mark(&self) -> String {
        let text = match self.value {
            Effect::NotApplicable => "N/A",
            Effect::Skipped | Effect::Unsupported => "❌",
            Effect::Simulated => "Sim",
            Effect::InPlace => "In-place",
            Effect::Reboot => "Reboot",
            Effect::Recreate => "Recreate",
        };
        with_note(text, self.note)
    }
}

fn provider_grid() -> Grid {
    let columns = std::iter::once("Distribution".to_string())
        .chain(Provider::ALL.iter().map(|p| p.title().to_string()));
    let rows = PROVIDERS.iter().map(|row| {
        std::iter::once(row.distribution.title().to_string())
            .chain(row.cells.iter().map(Cell::<bool>::mark))
            .collect()
    });
    let used = PROVIDERS
        .iter()
        .flat_map(|row| row.cells.iter().filter_map(|cell| cell.note));
    Grid {
        title: "Distribution × Provider",
        columns: columns.collect(),
        rows: rows.collect(),
        notes: notes(used),
    }
}

fn component_grid() -> Grid {
    let rows = COMPONENTS.iter().map(|row| {
        let title = match row.subject {
            Subject::Component(component) => component.title(),
            Subject::Feature(feature) => feature.title(),
        };
        std::iter::once(title.to_string())
            .chain(row.cells.iter().map(Cell::<Support>::mark))
            .collect()
    });
    let used = COMPONENTS
        .iter()
        .flat_map(|row| row.cells.iter().filter_map(|cell| cell.note));
    let columns = [
        "Component",
        "Vanilla",
        "K3s",
        "Talos",
        "VCluster",
        "KWOK",
        "EKS",
    ]
    .map(String::from)
    .to_vec();
    Grid {
        title: "Component × Distribution",
        columns,
        rows: rows.collect(),
        notes: notes(used),
    }
}

fn update_grid() -> Grid {
    let columns = std::iter::once("Change".to_string())
        .chain(Distribution::ALL.iter().map(|d| d.title().to_string()));
    let rows = UPDATES.iter().map(|row| {
        std::iter::once(row.aspect.title().to_string())
            .chain(row.cells.iter().map(Cell::<Effect>::mark))
            .collect()
    });
    let used = UPDATES
        .iter()
        .flat_map(|row| row.cells.iter().filter_map(|cell| cell.note));
    Grid {
        title: "Update behaviour",
        columns: columns.collect(),
        rows: rows.collect(),
        notes: notes(used),
    }
}

fn notes(used: impl Iterator<Item = u8>) -> Vec<(u8, &'static str)> {
    let mut numbers: Vec<u8> = used.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .filter_map(|number| Some((number, note(number)?)))
        .collect()
}

fn with_note(text: &str, note: Option<u8>) -> String {
    let digits = note.map(superscript).unwrap_or_default();
    format!("{text}{digits}")
}

/// Writes a number the way notes are marked: `12` as `¹²`.
pub fn superscript(number: u8) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number
        .to_string()
        .bytes()
        .map(|digit| DIGITS[usize::from(digit - b'0')])
        .collect()
}

fn support_json(cell: Cell<Support>) -> Value {
    match cell.value {
        Support::Install => json!("install"),
        Support::InstallOn(providers) => {
            json!({ "install_on": providers.iter().map(|provider| provider.name()).collect::<Vec<_>>() })
        }
        Support::Since(version) => json!({ "since": version }),
        Support::BuiltIn => json!("built-in"),
        Support::Managed => json!("managed"),
        Support::Simulated => json!("simulated"),
        Support::Skipped => json!("skipped"),
        Support::Unsupported => json!("unsupported"),
    }
}

fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::NotApplicable => "not-applicable",
        Effect::Skipped => "skipped",
        Effect::Simulated => "simulated",
        Effect::InPlace => "in-place",
        Effect::Reboot => "reboot",
        Effect::Recreate => "recreate",
        Effect::Unsupported => "unsupported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_cells_as_published() {
        assert_eq!(
            Cell {
                value: Support::Since("1.13"),
                note: None,
                published: None
            }
            .mark(),
            "✅ (1.13+)"
        );
        assert_eq!(
            Cell {
                value: Effect::Skipped,
                note: Some(12),
                published: None
            }
            .mark(),
            "❌¹²"
        );
    }

    #[test]
    fn every_row_is_as_wide_as_its_heading_and_every_note_is_there() {
        for grid in grids() {
            for row in &grid.rows {
                assert_eq!(row.len(), grid.columns.len(), "{row:?}");
            }
            assert!(!grid.notes.is_empty());
        }
        for number in 1..=15 {
            assert!(note(number).is_some());
        }
    }

    #[test]
    fn json_names_every_distribution() {
        let json = json();
        assert_eq!(json["components"]["cilium"]["k3s"], "install");
        assert_eq!(json["updates"]["workers"]["vanilla"], "recreate");
        assert_eq!(json["providers"]["eks"][0], "aws");
    }
}
