//! `set` and `unset`: one value of an encrypted file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::show;
use super::Types;
use super::opening::Opening;
use crate::cipher::format;
use crate::cipher::path::Path as TreePath;
use crate::diag::codes::cipher::{BROKEN_DOCUMENT, BROKEN_NEW_VALUE, UNREADABLE_FILE};
use crate::error::{Error, Result};
use crate::ops::cipher::{self as ops, Change, files, in_file};

const SET: &str = "Example:
  ksail cipher set secret.yaml '[\"database\"][\"password\"]' '\"new\"'";

/// Set one value.
#[derive(Debug, Args)]
#[command(after_help = SET)]
pub(super) struct Set {
    /// The encrypted file
    file: PathBuf,
    /// The path of the value
    path: String,
    /// The value as JSON; standard input without one
    value: Option<String>,
    /// The value is the name of a file that holds it
    #[arg(long, requires = "value")]
    value_file: bool,
    /// Read the value from standard input
    #[arg(long, conflicts_with = "value")]
    value_stdin: bool,
    /// Leave the file as it is if it has the value; that is always so, and the flag is for scripts written for sops
    #[arg(long, hide = true)]
    idempotent: bool,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn set(args: Set) -> Result<ExitCode> {
    let text = match args.value {
        Some(file) if args.value_file => {
            String::from_utf8(files::read(file.as_ref())?).map_err(|_| {
                Error::new(
                    &BROKEN_DOCUMENT,
                    format!("the value in {file} is not UTF-8"),
                )
            })?
        }
        Some(value) => value,
        None => std::io::read_to_string(std::io::stdin()).map_err(|cause| {
            Error::new(&UNREADABLE_FILE, "cannot read standard input").because(cause)
        })?,
    };
    let value = format::read_value(text.trim()).map_err(|cause| {
        Error::new(&BROKEN_NEW_VALUE, "the new value is not JSON")
            .help("write texts in double quotes, within single ones for the shell")
            .because(cause)
    })?;
    change(
        &args.file,
        &args.path,
        Change::Set(value),
        &args.opening,
        &args.types,
    )
    .await
}

const UNSET: &str = "Example:
  ksail cipher unset secret.yaml '[\"database\"][\"old\"]'";

/// Remove one value.
#[derive(Debug, Args)]
#[command(after_help = UNSET)]
pub(super) struct Unset {
    /// The encrypted file
    file: PathBuf,
    /// The path of the value
    path: String,
    /// Do nothing if there is no such value
    #[arg(long)]
    idempotent: bool,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn unset(args: Unset) -> Result<ExitCode> {
    change(
        &args.file,
        &args.path,
        Change::Unset {
            may_lack: args.idempotent,
        },
        &args.opening,
        &args.types,
    )
    .await
}

async fn change(
    file: &Path,
    path: &str,
    change: Change,
    opening: &Opening,
    types: &Types,
) -> Result<ExitCode> {
    let path = TreePath::parse(path)?;
    let (_, keys) = opening.keys()?;
    let changed = ops::change(
        &files::read(file)?,
        types.formats(file)?,
        &path,
        change,
        opening.mac(),
        &keys,
    )
    .await
    .map_err(|error| in_file(error, file))?;
    match changed {
        Some(bytes) => files::replace(file, &bytes)?,
        None => show::note("the value is so already"),
    }
    Ok(ExitCode::SUCCESS)
}
