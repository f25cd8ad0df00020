//! Commands that read encrypted files: decrypt, inspect, exec-env, exec-file.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::super::{Context, Output, show};
use super::{Types, keys};
use crate::cipher::document::Mac;
use crate::cipher::format::Format;
use crate::cipher::path::Path as TreePath;
use crate::diag::codes::cipher::UNREADABLE_FILE;
use crate::error::{Error, Result};
use crate::ops::cipher::child::{self, Surroundings};
use crate::ops::cipher::survey::{self, Inspection};
use crate::ops::cipher::{self as ops, Formats, files, in_file};

const DECRYPT: &str = "Examples:
  ksail cipher decrypt secret.yaml
  ksail cipher decrypt --extract '[\"data\"][\"password\"]' secret.yaml
  ksail cipher decrypt --in-place secret.yaml
  cat secret.yaml | ksail cipher decrypt";

/// Decrypt a file.
#[derive(Debug, Args)]
#[command(after_help = DECRYPT)]
pub(super) struct Decrypt {
    /// The file; standard input, read as YAML, without one
    file: Option<PathBuf>,
    /// Only the value at this path
    #[arg(short, long, value_name = "PATH")]
    extract: Option<String>,
    /// Do not look at the integrity code
    #[arg(long)]
    ignore_mac: bool,
    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", conflicts_with = "in_place")]
    output_file: Option<PathBuf>,
    /// Put the plain text in the place of the file
    #[arg(short, long, requires = "file", conflicts_with = "extract")]
    in_place: bool,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn decrypt(args: Decrypt) -> Result<ExitCode> {
    let extract = args.extract.as_deref().map(TreePath::parse).transpose()?;
    let (bytes, formats, name) = input(args.file.as_deref(), &args.types)?;
    let (_, keys) = keys()?;
    let mac = if args.ignore_mac {
        Mac::Ignore
    } else {
        Mac::Check
    };
    let plain = ops::decrypt(&bytes, formats, mac, extract.as_ref(), &keys)
        .await
        .map_err(|error| in_file(error, &name))?;
    match (&args.output_file, args.in_place) {
        (Some(path), _) => files::write_private(path, &plain)?,
        (None, true) => files::replace(&name, &plain)?,
        (None, false) => show::raw(&plain),
    }
    Ok(ExitCode::SUCCESS)
}

fn input(file: Option<&Path>, types: &Types) -> Result<(Zeroizing<Vec<u8>>, Formats, PathBuf)> {
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        return Ok((
            Zeroizing::new(files::read(path)?),
            types.formats(path)?,
            path.to_owned(),
        ));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin().read_to_end(&mut bytes).map_err(|cause| {
        Error::new(&UNREADABLE_FILE, "cannot read standard input").because(cause)
    })?;
    let mut types = types.clone();
    types.input_type = types.input_type.or(Some(Format::Yaml));
    let formats = types.formats(Path::new("stdin"))?;
    Ok((bytes, formats, PathBuf::from("standard input")))
}

const INSPECT: &str = "Examples:
  ksail cipher inspect secret.yaml
  ksail cipher inspect --output json secrets/";

/// Say who can read files, without any key.
#[derive(Debug, Args)]
#[command(after_help = INSPECT)]
pub(super) struct Inspect {
    /// Files, or folders to search for encrypted files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    types: Types,
}

pub(super) fn inspect(args: Inspect, cx: &Context) -> Result<ExitCode> {
    let env = crate::ops::cipher::keys::process_env();
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for path in files::gather(&args.paths, files::Wanted::Encrypted)? {
        match survey::inspect(
            &path,
            args.types.input_type,
            args.types.config.as_deref(),
            &env,
        ) {
            Ok(one) => found.push(one),
            Err(error) => failed.push(error),
        }
    }
    if cx.output == Output::Json {
        show::json(&found);
    } else {
        show::data(&found.iter().map(described).collect::<Vec<_>>().join("\n"));
    }
    Error::gather(failed).map_or(Ok(ExitCode::SUCCESS), Err)
}

fn described(one: &Inspection) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} ({})\n", one.path, one.format);
    // Writing to a String cannot fail.
    for (index, group) in one.groups.iter().enumerate() {
        if one.groups.len() > 1 {
            let _ = writeln!(
                text,
                "  group {} ({} of {} needed)",
                index + 1,
                one.threshold,
                one.groups.len()
            );
        }
        for reader in group {
            let since = if reader.created_at.is_empty() {
                String::new()
            } else {
                format!(" since {}", reader.created_at)
            };
            let _ = writeln!(
                text,
                "  readable by {} {}{since}",
                reader.kind, reader.recipient
            );
        }
    }
    let _ = writeln!(
        text,
        "  last modified {}, format {}",
        one.last_modified, one.version
    );
    for (name, selector) in &one.selectors {
        let _ = writeln!(text, "  {name} {selector}");
    }
    let _ = writeln!(
        text,
        "  {} encrypted and {} plain values, integrity code over {}",
        one.encrypted, one.plain, one.integrity
    );
    if let Some(rule) = &one.rule {
        let _ = writeln!(text, "  rule {rule}");
    }
    if let Some(changes) = one
        .key_changes
        .as_ref()
        .filter(|changes| !changes.is_empty())
    {
        for name in &changes.added {
            let _ = writeln!(text, "  the rule would add {name}");
        }
        for name in &changes.removed {
            let _ = writeln!(text, "  the rule would remove {name}");
        }
    }
    for what in &one.unsupported {
        let _ = writeln!(text, "  not supported: {what}");
    }
    text
}

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
    #[command(flatten)]
    types: Types,
}

pub(super) async fn exec_env(args: ExecEnv) -> Result<ExitCode> {
    let (bytes, formats, name) = input(Some(&args.file), &args.types)?;
    let (_, keys) = keys()?;
    let unlocked = ops::unlock(&bytes, formats.input, Mac::Check, &keys)
        .await
        .map_err(|error| in_file(error, &name))?;
    let variables =
        child::variables(&unlocked.opened.branches).map_err(|error| in_file(error, &name))?;
    let status = child::with_variables(&args.command, &variables, surroundings(args.pristine))?;
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
    /// The command line for the shell; {} is the private file
    command: String,
    /// Give the command an empty environment
    #[arg(long)]
    pristine: bool,
    /// Name of the private file
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn exec_file(args: ExecFile) -> Result<ExitCode> {
    let (bytes, formats, name) = input(Some(&args.file), &args.types)?;
    let (_, keys) = keys()?;
    let plain = ops::decrypt(&bytes, formats, Mac::Check, None, &keys)
        .await
        .map_err(|error| in_file(error, &name))?;
    let status = child::with_file(
        &args.command,
        &plain,
        args.filename.as_deref(),
        surroundings(args.pristine),
    )?;
    Ok(passed_on(status))
}

fn surroundings(pristine: bool) -> Surroundings {
    if pristine {
        Surroundings::Pristine
    } else {
        Surroundings::Inherited
    }
}

fn passed_on(status: std::process::ExitStatus) -> ExitCode {
    ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    )
}
