//! `ksail cluster snapshot`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::axis::Provider;
use crate::cli::{machine, show};
use crate::error::Result;
use crate::ops;
use crate::world::{Reporter, Silent};

const EXAMPLES: &str = "Examples:
  ksail cluster snapshot save dev dev.snapshot
  ksail cluster snapshot restore dev dev.snapshot --yes";

/// Save what a cluster holds, and put it back: embedded ones, and KWOK on Docker.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Save what a cluster holds to a file; it goes on running
    Save(Save),
    /// Put back what a file holds, in place of what the cluster holds now
    Restore(Restore),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Save {
    /// The cluster, by name or context
    name: String,
    /// The file; it must not be there yet
    file: PathBuf,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Restore {
    /// The cluster, by name or context
    name: String,
    /// A file that was saved before, of this cluster or another
    file: PathBuf,
    /// Agree that what the cluster holds now is lost
    #[arg(long, short = 'y', required = true)]
    yes: bool,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let world = machine::world()?;
    machine::block_on(async |_| match &args.command {
        Command::Save(args) => {
            let facts = ops::cluster::find(world.as_ref(), &args.name, args.provider).await?;
            ops::snapshot::save(world.as_ref(), &facts, &args.file).await?;
            let file = args.file.display();
            show::data(&format!("{} is saved in {file}", facts.name));
            Ok(())
        }
        Command::Restore(args) => {
            let facts = ops::cluster::find(world.as_ref(), &args.name, args.provider).await?;
            let report = Reporter::new(Arc::new(Silent), facts.context.clone());
            ops::snapshot::restore(world.as_ref(), &facts, &args.file, &report).await?;
            let file = args.file.display();
            show::data(&format!("{} holds what {file} holds", facts.name));
            Ok(())
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
