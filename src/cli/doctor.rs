//! `ksail doctor`: whether this machine can do what ksail needs.

use std::process::ExitCode;

use super::{Context, Output, machine, show};
use crate::error::Result;
use crate::ops::doctor::{self, Verdict};

const EXAMPLES: &str = "Examples:
  ksail doctor                 look at the engine, its limits and ksail's folders
  ksail doctor --output json   the same for a program";

/// Check whether this machine can run clusters, and say how to mend it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(super) fn run(_: &Args, cx: &Context) -> Result<ExitCode> {
    let places = machine::places()?;
    let checks = machine::block_on(async |_| Ok(doctor::examine(&places).await))?;
    let worst = checks.iter().map(|check| check.verdict).max();
    if cx.output == Output::Json {
        show::json(&checks);
    } else {
        for check in &checks {
            let mark = match check.verdict {
                Verdict::Good => "ok  ",
                Verdict::Doubtful => "hm  ",
                Verdict::Bad => "bad ",
            };
            show::data(&format!("{mark}  {:<18}{}", check.name, check.saw));
            if let Some(fix) = &check.fix {
                show::data(&format!("{:<24}{fix}", ""));
            }
        }
    }
    Ok(if worst == Some(Verdict::Bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
