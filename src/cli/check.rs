//! `ksail check`: everything that is wrong with a script.

use std::process::ExitCode;

use serde_json::json;

use super::scripted::Source;
use super::{Context, Output, run as running, show};
use crate::error::Result;

const EXAMPLES: &str = "Examples:
  ksail check cluster.rhai                 tell every problem that can be found
  ksail check cluster.rhai --output json   the same with byte and line ranges";

/// Find everything that is wrong with a script.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(args: Args, cx: &Context) -> Result<ExitCode> {
    let (_, fleet) = running::evaluate(&args.source)?;
    let clusters: Vec<_> = fleet.clusters.iter().map(|defined| &defined.spec).collect();
    if cx.output == Output::Json {
        let names: Vec<&str> = clusters.iter().map(|spec| spec.name.as_str()).collect();
        show::json(&json!({ "errors": [], "clusters": names }));
        return Ok(ExitCode::SUCCESS);
    }
    for spec in &clusters {
        for warning in &spec.warnings {
            show::note(&format!("{}: warning: {}", spec.name, warning.text));
        }
    }
    match clusters.len() {
        1 => show::data("1 cluster, no problems"),
        n => show::data(&format!("{n} clusters, no problems")),
    }
    Ok(ExitCode::SUCCESS)
}
