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
mod own;
mod renew;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{Context, machine, passphrase, show};
use crate::cipher::format::Format;
use crate::cipher::key::Kind;
use crate::cipher::scope::Selectors;
use crate::diag::codes::cipher as codes;
use crate::error::{Error, Result};
use crate::ops::cipher::keys::{Env, Keys, process_env};
use crate::ops::cipher::target::{Found, Wishes, find_rules, layout};
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
    Encrypt(encrypt::Encrypt),
    /// Decrypt a file
    Decrypt(open::Decrypt),
    /// Edit an encrypted file in your editor
    Edit(edit::Edit),
    /// Put an age private key into the key file
    Import(own::Import),
    /// Give files a new data key
    Rotate(renew::Rotate),
    /// Give files the recipients of their rule
    Updatekeys(renew::UpdateKeys),
    /// Set one value
    Set(change::Set),
    /// Remove one value
    Unset(change::Unset),
    /// Make an age key
    Keygen(own::Keygen),
    /// Say who can read files, without any key
    Inspect(open::Inspect),
    /// Run a command with the values as variables
    ExecEnv(exec::ExecEnv),
    /// Run a command with the decrypted file
    ExecFile(exec::ExecFile),
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
            Self::Encrypt(args) => is_many(args.paths()),
            Self::Decrypt(args) => is_many(args.paths()),
            Self::Rotate(args) => is_many(args.paths()),
            Self::Updatekeys(args) => is_many(args.paths()),
            _ => false,
        }
    }
}

async fn perform(command: Command, cx: &Context) -> Result<ExitCode> {
    match command {
        Command::Encrypt(args) => encrypt::encrypt(args, cx).await,
        Command::Decrypt(args) => open::decrypt(args, cx).await,
        Command::Edit(args) => edit::edit(args).await,
        Command::Import(args) => own::import(args, cx),
        Command::Rotate(args) => renew::rotate(args, cx).await,
        Command::Updatekeys(args) => renew::update_keys(args, cx).await,
        Command::Set(args) => change::set(args).await,
        Command::Unset(args) => change::unset(args).await,
        Command::Keygen(args) => own::keygen(&args, cx),
        Command::Inspect(args) => open::inspect(args, cx),
        Command::ExecEnv(args) => exec::exec_env(args).await,
        Command::ExecFile(args) => exec::exec_file(args).await,
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

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    text.split_once(':')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "a pair is written KEY:VALUE".to_owned())
}

/// For whom files are encrypted, and which values.
#[derive(Clone, Debug, Default, Args)]
struct Audience {
    /// age or SSH public keys, with commas
    #[arg(short, long, value_name = "KEYS", help_heading = "Recipients")]
    age: Vec<String>,
    /// OpenPGP fingerprints
    #[arg(short, long, value_name = "FINGERPRINTS", help_heading = "Recipients")]
    pgp: Vec<String>,
    /// ARNs of AWS KMS keys
    #[arg(short, long, value_name = "ARNS", help_heading = "Recipients")]
    kms: Vec<String>,
    /// Resource names of Google Cloud keys
    #[arg(long, value_name = "NAMES", help_heading = "Recipients")]
    gcp_kms: Vec<String>,
    /// Addresses of Azure Key Vault keys
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    azure_kv: Vec<String>,
    /// Addresses of Vault transit keys
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    hc_vault_transit: Vec<String>,
    /// Profile for AWS KMS
    #[arg(long, value_name = "NAME", help_heading = "Recipients")]
    aws_profile: Option<String>,
    /// Encryption context for AWS KMS: KEY:VALUE,…
    #[arg(long, value_name = "PAIRS", value_delimiter = ',', value_parser = pair, help_heading = "Recipients")]
    encryption_context: Vec<(String, String)>,
}

impl Audience {
    fn wishes(
        &self,
        selectors: Selectors,
        threshold: Option<usize>,
        config: Option<PathBuf>,
    ) -> Wishes {
        let mut recipients = Vec::new();
        for (kind, texts) in [
            (Kind::Age, &self.age),
            (Kind::Pgp, &self.pgp),
            (Kind::AwsKms, &self.kms),
            (Kind::GcpKms, &self.gcp_kms),
            (Kind::AzureKeyVault, &self.azure_kv),
            (Kind::Vault, &self.hc_vault_transit),
        ] {
            recipients.extend(texts.iter().map(|text| (kind, text.clone())));
        }
        Wishes {
            recipients,
            context: self.encryption_context.clone(),
            aws_profile: self.aws_profile.clone(),
            selectors,
            threshold,
            rules_file: config,
        }
    }
}

fn keys() -> Result<(Env, Keys)> {
    let env = process_env();
    let keys = Keys::collect(&env, passphrase::ask())?;
    Ok((env, keys))
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
