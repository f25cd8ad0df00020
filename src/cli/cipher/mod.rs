//! `ksail cipher`: files encrypted for sops, from the command line.
//!
//! `encrypt`, `renew`, `change` and `edit` write encrypted files, `open` and `exec` read them, `own` makes keys. A new command is an
//! arguments struct, a variant of [`Command`] and its arm in [`perform`].

mod change;
mod edit;
mod encrypt;
mod exec;
mod exit;
mod open;
mod opening;
mod own;
mod renew;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::later::Later;
use super::{Context, machine, show};
use crate::cipher::format::Format;
use crate::diag::codes::cipher as codes;
use crate::error::{Error, Result};
use crate::ops::cipher::target::{Found, find_rules, layout};
use crate::ops::cipher::{Formats, in_file};
use exit::Deed;

const EXAMPLES: &str = "Examples:
  ksail cipher keygen --import                  a new age key for you
  ksail cipher encrypt --in-place secret.yaml   for whom .sops.yaml says
  ksail cipher decrypt secret.yaml              to standard output
  ksail cipher edit secret.yaml                 in your editor
  ksail cipher inspect secret.yaml              who can read it";

/// Encrypt files for sops, and open them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one in the whole program"
)]
enum Command {
    /// Encrypt files
    Encrypt(Later<encrypt::Encrypt>),
    /// Decrypt a file
    Decrypt(Later<open::Decrypt>),
    /// Edit an encrypted file in your editor
    Edit(Later<edit::Edit>),
    /// Put an age private key into the key file
    Import(Later<own::Import>),
    /// Give files a new data key
    Rotate(Later<renew::Rotate>),
    /// Give files the recipients of their rule
    Updatekeys(Later<renew::UpdateKeys>),
    /// Set one value
    Set(Later<change::Set>),
    /// Remove one value
    Unset(Later<change::Unset>),
    /// Make an age key
    Keygen(Later<own::Keygen>),
    /// Say who can read files, without any key
    Inspect(Later<open::Inspect>),
    /// Run a command with the values as variables
    ExecEnv(Later<exec::ExecEnv>),
    /// Run a command with the decrypted file
    ExecFile(Later<exec::ExecFile>),
}

pub(super) fn run(arguments: Arguments, cx: &Context) -> Result<ExitCode> {
    let command = arguments.command;
    let deed = command.deed();
    let outcome = if command.is_for_many() {
        machine::block_on(async |_| perform(command, cx).await)
    } else {
        machine::block_on_here(perform(command, cx))
    };
    outcome.or_else(|error| {
        let code = exit::code(&error, deed);
        show::error(error, cx);
        Ok(ExitCode::from(code))
    })
}

impl Command {
    /// What it does, as far as exit codes tell commands apart.
    fn deed(&self) -> Deed {
        match self {
            Self::Encrypt(_) => Deed::Encrypt,
            Self::Decrypt(_) => Deed::Decrypt,
            Self::Edit(_) => Deed::Edit,
            Self::Set(_) | Self::Unset(_) => Deed::Change,
            _ => Deed::Other,
        }
    }

    /// Whether there may be several files to work on at the same time.
    fn is_for_many(&self) -> bool {
        let is_many = |paths: &[PathBuf]| paths.len() > 1 || paths.iter().any(|path| path.is_dir());
        match self {
            Self::Encrypt(Later(args)) => is_many(args.paths()),
            Self::Decrypt(Later(args)) => is_many(args.paths()),
            Self::Rotate(Later(args)) => is_many(args.paths()),
            Self::Updatekeys(Later(args)) => is_many(args.paths()),
            _ => false,
        }
    }
}

async fn perform(command: Command, cx: &Context) -> Result<ExitCode> {
    match command {
        Command::Encrypt(Later(args)) => encrypt::encrypt(args, cx).await,
        Command::Decrypt(Later(args)) => open::decrypt(args, cx).await,
        Command::Edit(Later(args)) => edit::edit(args).await,
        Command::Import(Later(args)) => own::import(args, cx),
        Command::Rotate(Later(args)) => renew::rotate(args, cx).await,
        Command::Updatekeys(Later(args)) => renew::update_keys(args, cx).await,
        Command::Set(Later(args)) => change::set(args).await,
        Command::Unset(Later(args)) => change::unset(args).await,
        Command::Keygen(Later(args)) => own::keygen(&args, cx),
        Command::Inspect(Later(args)) => open::inspect(args, cx),
        Command::ExecEnv(Later(args)) => exec::exec_env(args).await,
        Command::ExecFile(Later(args)) => exec::exec_file(args).await,
    }
}

/// In which formats files are read and written.
#[derive(Clone, Debug, Default, Args)]
struct Types {
    /// Format of the input: yaml, json, dotenv, ini or binary
    #[arg(long, value_name = "FORMAT", value_parser = format_named, help_heading = "Formats")]
    input_type: Option<Format>,
    /// Format of the output
    #[arg(long, value_name = "FORMAT", value_parser = format_named, help_heading = "Formats")]
    output_type: Option<Format>,
    /// The rules file instead of the .sops.yaml found above the current folder
    #[arg(
        long,
        value_name = "FILE",
        env = "SOPS_CONFIG",
        help_heading = "Formats"
    )]
    config: Option<PathBuf>,
}

impl Types {
    fn formats(&self, path: &std::path::Path) -> Result<Formats> {
        let found = find_rules(path, self.config.as_deref())?;
        Ok(self.formats_by(path, found.as_ref()))
    }

    /// The formats where the rules file was read before.
    fn formats_by(&self, path: &std::path::Path, found: Option<&Found>) -> Formats {
        Formats::choose(
            &path.to_string_lossy(),
            self.input_type,
            self.output_type,
            layout(found),
        )
    }
}

fn format_named(name: &str) -> std::result::Result<Format, String> {
    Format::named(name)
        .ok_or_else(|| "the formats are yaml, json, dotenv, ini and binary".to_owned())
}

/// One file's outcome in a report.
#[derive(serde::Serialize)]
struct Done {
    path: String,
    outcome: &'static str,
}

/// Works on files at the same time, reports each, and gathers what went wrong.
async fn each<F>(paths: Vec<PathBuf>, cx: &Context, work: impl Fn(PathBuf) -> F) -> Result<ExitCode>
where
    F: Future<Output = Result<&'static str>> + Send + 'static,
{
    let lanes = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let gate = Arc::new(tokio::sync::Semaphore::new(lanes));
    let mut tasks = Vec::new();
    for path in paths {
        let (gate, task) = (gate.clone(), work(path.clone()));
        let handle = tokio::spawn(async move {
            let _permit = gate.acquire_owned().await;
            task.await
        });
        tasks.push((path, handle));
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (path, task) in tasks {
        match task.await {
            Ok(Ok(outcome)) => done.push(Done {
                path: path.display().to_string(),
                outcome,
            }),
            Ok(Err(error)) => failed.push(in_file(error, &path)),
            Err(cause) => failed.push(
                Error::new(&codes::UNREADABLE_FILE, "the work on the file broke off")
                    .because(cause),
            ),
        }
    }
    if cx.output == super::Output::Json {
        show::json(&done);
    } else {
        for one in &done {
            show::note(&format!("{} {}", one.outcome, one.path));
        }
    }
    Error::gather(failed).map_or(Ok(ExitCode::SUCCESS), Err)
}
