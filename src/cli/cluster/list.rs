//! `ksail cluster list`.

use std::process::ExitCode;

use crate::axis::{Axis, Provider};
use crate::cli::{Context, Output, machine, show};
use crate::error::Result;
use crate::ops;

const EXAMPLES: &str = "Examples:
  ksail cluster list
  ksail cluster list --provider embedded --output json";

/// Show the clusters there are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only those of this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let world = machine::world()?;
    let all = machine::block_on(async |_| ops::cluster::list(world.as_ref(), args.provider).await)?;
    if cx.output == Output::Json {
        show::json(&all);
    } else if all.is_empty() {
        show::data("No clusters found.");
    } else {
        // Most clusters stay for good; then the column says nothing.
        let has_ends = all.iter().any(|facts| facts.expires.is_some());
        let rows = all
            .iter()
            .map(|facts| {
                let ready = facts.nodes.iter().filter(|node| node.ready).count();
                let mut row = vec![
                    facts.name.to_string(),
                    facts.distribution.name().to_string(),
                    facts.provider.name().to_string(),
                    facts.state.word().to_string(),
                    format!("{ready}/{}", facts.nodes.len()),
                    facts.context.clone(),
                ];
                if has_ends {
                    row.push(facts.expires.map_or_else(|| "-".into(), super::time_left));
                }
                row
            })
            .collect();
        let mut columns = vec![
            "NAME",
            "DISTRIBUTION",
            "PROVIDER",
            "STATUS",
            "READY",
            "CONTEXT",
        ];
        if has_ends {
            columns.push("TTL");
        }
        show::data(&show::table(&columns, rows));
    }
    Ok(ExitCode::SUCCESS)
}
