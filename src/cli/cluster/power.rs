//! `ksail cluster start` and `ksail cluster stop`.

use std::process::ExitCode;
use std::sync::Arc;

use crate::axis::Provider;
use crate::cli::{machine, show};
use crate::error::Result;
use crate::ops;
use crate::step::Action;
use crate::world::{Reporter, Silent};

pub(super) const START: &str = "Examples:
  ksail cluster start dev";
pub(super) const STOP: &str = "Examples:
  ksail cluster stop dev";

/// Which cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The cluster, by name or context
    name: String,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

/// What is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    On,
    Off,
}

pub(super) fn run(args: &Args, goal: Goal) -> Result<ExitCode> {
    let world = machine::world()?;
    machine::block_on(async |_| {
        let facts = ops::cluster::find(world.as_ref(), &args.name, args.provider).await?;
        let (action, word) = match goal {
            Goal::On => (Action::Start, "started"),
            Goal::Off => (Action::Stop, "stopped"),
        };
        let report = Reporter::new(Arc::new(Silent), facts.context.clone());
        ops::cluster::act(world.as_ref(), &facts, &action, &report).await?;
        show::data(&format!("{} {word}", facts.name));
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
