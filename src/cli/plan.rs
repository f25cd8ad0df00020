//! `ksail plan`: what a run would do.

use std::path::PathBuf;
use std::process::ExitCode;

use super::removal::Removal;
use super::scripted::Source;
use super::{Context, Output, machine, run as running, show};
use crate::error::Result;
use crate::plan::{self, Saved};

const EXAMPLES: &str = "Examples:
  ksail plan cluster.rhai                       show what a run would do
  ksail plan cluster.rhai --out plan.json       save it, for `ksail run --plan plan.json`
  ksail plan cluster.rhai --detailed-exitcode   exit with 2 if there is anything to do";

/// Show what a run would do.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    removal: Removal,
    /// Exit with 2 if there is anything to do
    #[arg(long)]
    detailed_exitcode: bool,
    /// Save the plan
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, cx: &Context) -> Result<ExitCode> {
    let (_, fleet) = running::evaluate(&args.source)?;
    let goal = args.removal.goal();
    let world = machine::world()?;
    let planned = machine::block_on(async |_| running::plan(world.as_ref(), &fleet, goal).await)?;
    if let Some(path) = &args.out {
        running::write(path, &Saved::text(&planned.plan))?;
    }
    if cx.output == Output::Json {
        show::json(&planned.plan);
    } else {
        for line in args.source.sandbox.widened() {
            show::data(&line);
        }
        show::data(&plan::show::text(&planned.plan));
    }
    let is_due = args.detailed_exitcode && !planned.plan.is_empty();
    // The process ends here. Taking ten thousand clusters apart piece by piece would take it a tenth of its time.
    std::mem::forget((planned, fleet));
    Ok(if is_due {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}
