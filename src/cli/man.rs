//! `ksail man`: manual pages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Root, run as running, show};
use crate::error::Result;

const EXAMPLES: &str = "Examples:
  ksail man ~/.local/share/man/man1   write ksail.1, ksail-run.1 …
  ksail man | man -l -                read the first page";

/// Write the manual pages.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder; without it the first page is printed
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut root = Root::command();
    root.build();
    match &args.folder {
        None => show::data(&page(&root)),
        Some(folder) => write(&root, "ksail", folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(command: &clap::Command, name: &str, folder: &Path) -> Result<()> {
    running::write(
        &folder.join(format!("{name}.1")),
        &page(&command.clone().name(name.to_string())),
    )?;
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        write(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = clap_mangen::Man::new(command.clone()).render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
