//! `ksail reaper`: what the process runs that removes clusters whose time has come. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;

use super::machine;
use crate::error::Result;
use crate::world::real::reaper;

/// The process that removes clusters.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The state folder
    #[arg(long)]
    state: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let program = machine::places()?.program;
    machine::block_on(async |_| reaper::serve(&args.state, &program).await)?;
    Ok(ExitCode::SUCCESS)
}
