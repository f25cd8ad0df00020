//! `exec-env` and `exec-file`: a command that is given what is decrypted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Types;
use super::open::input;
use super::opening::KeyOrder;
use crate::cipher::document::Mac;
use crate::error::Result;
use crate::ops::cipher::child::{self, Holder, Surroundings};
use crate::ops::cipher::{self as ops, in_file};

const EXEC_ENV: &str = "Example:
  ksail cipher exec-env secrets.env './deploy --now'";

/// Run a command with the values as variables.
#[derive(Debug, Args)]
#[command(after_help = EXEC_ENV)]
pub(super) struct ExecEnv {
    /// The encrypted file
    file: PathBuf,
    /// The command line for the shell
    command: String,
    /// Give only the decrypted variables
    #[arg(long)]
    pristine: bool,
    /// Turn this process into the command instead of waiting for it
    #[cfg(unix)]
    #[arg(long)]
    same_process: bool,
    #[command(flatten)]
    person: Person,
    #[command(flatten)]
    order: KeyOrder,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn exec_env(args: ExecEnv) -> Result<ExitCode> {
    let (bytes, formats, name) = input(Some(&args.file), &args.types)?;
    let (_, keys) = args.order.keys()?;
    let unlocked = ops::unlock(&bytes, formats.input, Mac::Check, &keys)
        .await
        .map_err(|error| in_file(error, &name))?;
    let variables =
        child::variables(&unlocked.opened.branches).map_err(|error| in_file(error, &name))?;
    let surroundings = args.person.surroundings(args.pristine)?;
    #[cfg(unix)]
    if args.same_process {
        return Err(child::become_with_variables(
            &args.command,
            &variables,
            surroundings,
        ));
    }
    let status = child::with_variables(&args.command, &variables, surroundings).await?;
    Ok(passed_on(status))
}

const EXEC_FILE: &str = "Example:
  ksail cipher exec-file secret.json 'cat {}'";

/// Run a command with the decrypted file.
#[derive(Debug, Args)]
#[command(after_help = EXEC_FILE)]
pub(super) struct ExecFile {
    /// The encrypted file
    file: PathBuf,
    /// The command line for the shell; {} is the private pipe or file
    command: String,
    /// Give the command an empty environment
    #[arg(long)]
    pristine: bool,
    /// Give a private file instead of a named pipe, which can be read from its begin to its end only
    #[arg(long)]
    no_fifo: bool,
    /// Name of the private file
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    #[command(flatten)]
    person: Person,
    #[command(flatten)]
    order: KeyOrder,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn exec_file(args: ExecFile) -> Result<ExitCode> {
    let (bytes, formats, name) = input(Some(&args.file), &args.types)?;
    let (_, keys) = args.order.keys()?;
    let plain = ops::decrypt(&bytes, formats, Mac::Check, None, &keys)
        .await
        .map_err(|error| in_file(error, &name))?;
    let holder = if args.no_fifo {
        Holder::File
    } else {
        Holder::Pipe
    };
    let status = child::with_file(
        &args.command,
        &plain,
        args.filename.as_deref(),
        holder,
        args.person.surroundings(args.pristine)?,
    )
    .await?;
    Ok(passed_on(status))
}

/// Who runs the command.
#[derive(Debug, Args)]
struct Person {
    /// Run the command as this user, which needs root
    #[cfg(unix)]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Person {
    fn surroundings(&self, is_pristine: bool) -> Result<Surroundings> {
        Ok(Surroundings {
            is_pristine,
            #[cfg(unix)]
            user: self.user.as_deref().map(child::User::named).transpose()?,
        })
    }
}

/// The command's own exit code; for one that a signal ended, what shells say.
fn passed_on(status: std::process::ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
