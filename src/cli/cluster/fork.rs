//! `ksail cluster fork`.

use std::process::ExitCode;

use crate::axis::Provider;
use crate::cli::{machine, show};
use crate::error::Result;
use crate::ops;
use crate::spec::ClusterName;

const EXAMPLES: &str = "Examples:
  ksail cluster fork dev experiment";

/// Make another cluster that holds what this one holds now: of embedded ones, and of KWOK on Docker.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The cluster, by name or context
    name: String,
    /// What the other one is called
    new: String,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let new = ClusterName::parse(&args.new)?;
    let world = machine::world()?;
    machine::block_on(async |_| {
        let facts = ops::cluster::find(world.as_ref(), &args.name, args.provider).await?;
        let context = ops::snapshot::fork(world.as_ref(), &facts, &new).await?;
        show::data(&format!("{new} is ready; its context is {context}"));
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
