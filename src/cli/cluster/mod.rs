//! `ksail cluster …`: clusters by name, whatever made them.

mod delete;
mod fork;
mod info;
mod list;
mod power;
mod snapshot;
mod switch;

use std::process::ExitCode;
use std::time::Duration;

use super::Context;
use super::later::Later;
use crate::axis::{Axis, Provider};
use crate::error::Result;
use crate::spec::field::duration_text;

const EXAMPLES: &str = "Examples:
  ksail cluster list          show the clusters there are
  ksail cluster info dev      show one of them
  ksail cluster stop dev      switch it off
  ksail cluster fork dev try  make another one like it
  ksail cluster delete dev    remove it";

/// Look at, switch on and off, and remove clusters.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the clusters there are
    List(Later<list::Args>),
    /// Show what is known of a cluster
    Info(Later<info::Args>),
    /// Remove clusters
    Delete(Later<delete::Args>),
    /// Switch a cluster on
    #[command(after_help = power::START)]
    Start(Later<power::Args>),
    /// Switch a cluster off; its state is kept
    #[command(after_help = power::STOP)]
    Stop(Later<power::Args>),
    /// Make a cluster's context the current one
    Switch(Later<switch::Args>),
    /// Make another cluster that holds what an embedded or KWOK one holds now
    Fork(Later<fork::Args>),
    /// Save what an embedded or KWOK cluster holds, and put it back
    Snapshot(Later<snapshot::Args>),
}

pub(super) fn run(args: Args, cx: &Context) -> Result<ExitCode> {
    match args.command {
        Command::List(Later(args)) => list::run(&args, cx),
        Command::Info(Later(args)) => info::run(&args, cx),
        Command::Delete(Later(args)) => delete::run(&args, cx),
        Command::Start(Later(args)) => power::run(&args, power::Goal::On),
        Command::Stop(Later(args)) => power::run(&args, power::Goal::Off),
        Command::Switch(Later(args)) => switch::run(&args),
        Command::Fork(Later(args)) => fork::run(&args),
        Command::Snapshot(Later(args)) => snapshot::run(&args),
    }
}

/// What is left of a cluster's time, given its end in seconds since 1970.
fn time_left(expires: u64) -> String {
    let now = jiff::Timestamp::now().as_second();
    match u64::try_from(now) {
        Ok(now) if now < expires => {
            let left = expires - now;
            // Of hours nobody wants to know the seconds.
            let left = if left > 3600 {
                left.div_ceil(60) * 60
            } else {
                left
            };
            duration_text(Duration::from_secs(left))
        }
        _ => "EXPIRED".to_string(),
    }
}

fn provider(name: &str) -> std::result::Result<Provider, String> {
    Provider::parse(name).ok_or_else(|| {
        format!(
            "there are {}",
            crate::diag::suggest::one_of(<Provider as Axis>::names())
        )
    })
}
