//! `ksail embedded serve`: what the process of an embedded cluster runs. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::embedded::process;
use crate::error::Result;

/// The embedded control plane.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve a cluster's folder until asked to end
    Serve {
        /// The folder
        #[arg(long)]
        home: PathBuf,
    },
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let Command::Serve { home } = &args.command;
    process::serve(home)?;
    Ok(ExitCode::SUCCESS)
}
