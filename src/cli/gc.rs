//! `ksail gc`: what clusters left behind.

use std::process::ExitCode;

use super::{Context, Output, machine, show};
use crate::error::{Error, Result};
use crate::ops::gc;

const EXAMPLES: &str = "Examples:
  ksail gc                 show what belongs to no cluster any more
  ksail gc --yes           remove it
  ksail gc --output json   the same for a program";

/// Find and remove what clusters left behind.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only what belonged to these clusters, by their contexts
    #[arg(value_name = "CONTEXT")]
    contexts: Vec<String>,
    /// Remove it; without this it is only shown
    #[arg(long, short = 'y', conflicts_with = "dry_run")]
    yes: bool,
    /// Only show it, which is also the default
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let world = machine::world()?;
    let is_removal = args.yes && !args.dry_run;
    let found = machine::block_on(async |_| {
        let mut found = gc::find(&world).await?;
        found.retain(|one| args.contexts.is_empty() || args.contexts.contains(&one.cluster));
        let mut problems = Vec::new();
        if is_removal {
            for leftover in &found {
                problems.extend(gc::remove(&world, leftover).await.err());
            }
        }
        match Error::gather(problems) {
            Some(problem) => Err(problem),
            None => Ok(found),
        }
    })?;
    if cx.output == Output::Json {
        show::json(&serde_json::json!({ "removed": is_removal, "leftovers": found }));
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        show::data("Nothing was left behind.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = found
        .iter()
        .map(|one| {
            let thing = format!("{:?}", one.thing).to_lowercase();
            vec![thing, one.name.clone(), one.cluster.clone()]
        })
        .collect();
    show::data(&show::table(&["WHAT", "NAME", "CLUSTER"], rows));
    show::note(if is_removal {
        "removed"
    } else {
        "nothing was removed: add --yes to remove it"
    });
    Ok(ExitCode::SUCCESS)
}
