//! `ksail completion`: completion scripts.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Root, show};
use crate::error::Result;

const EXAMPLES: &str = "Examples:
  source <(ksail completion bash)
  ksail completion zsh > ~/.zfunc/_ksail
  ksail completion fish > ~/.config/fish/completions/ksail.fish";

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Root::command(), "ksail", &mut text);
    show::data(&String::from_utf8_lossy(&text));
    Ok(ExitCode::SUCCESS)
}
