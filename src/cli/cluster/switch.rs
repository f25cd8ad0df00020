//! `ksail cluster switch`.

use std::process::ExitCode;

use crate::axis::Provider;
use crate::cli::{machine, show};
use crate::error::Result;
use crate::ops;
use crate::world::real::Files;

const EXAMPLES: &str = "Examples:
  ksail cluster switch dev";

/// Make a cluster's context the current one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The cluster, by name or context
    name: String,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let places = machine::places()?;
    let world = machine::world()?;
    let facts = machine::block_on(async |_| {
        ops::cluster::find(world.as_ref(), &args.name, args.provider).await
    })?;
    Files::new(places.kubeconfig).switch(&facts.context)?;
    show::data(&format!("the current context is {}", facts.context));
    Ok(ExitCode::SUCCESS)
}
