//! `ksail support`: the support tables.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Context, Output, show};
use crate::error::Result;
use crate::support::{self, Grid, superscript};

const EXAMPLES: &str = "Examples:
  ksail support                     what runs where, what brings what, what a change costs
  ksail support --output markdown   the same for a document
  ksail support --output json       the same for a program";

/// Show what runs where, what brings what and what a change costs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(super) fn run(_: &Args, cx: &Context) -> Result<ExitCode> {
    match cx.output {
        Output::Json => show::json(&support::json()),
        Output::Markdown => show::data(
            &support::grids()
                .iter()
                .map(markdown)
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        Output::Text => show::data(
            &support::grids()
                .iter()
                .map(text)
                .collect::<Vec<_>>()
                .join("\n\n"),
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(grid: &Grid) -> String {
    let columns: Vec<&str> = grid.columns.iter().map(String::as_str).collect();
    let mut text = format!(
        "{}\n\n{}\n",
        grid.title,
        show::table(&columns, grid.rows.clone())
    );
    for (number, note) in &grid.notes {
        let _ = write!(text, "\n{} {note}", superscript(*number));
    }
    text
}

fn markdown(grid: &Grid) -> String {
    support::markdown(grid)
}
