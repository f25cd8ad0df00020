//! Commands that read encrypted files: decrypt and inspect.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use zeroize::Zeroizing;

use super::super::{Context, Output, show};
use super::opening::Opening;
use super::{Types, each};
use crate::cipher::format::Format;
use crate::cipher::path::Path as TreePath;
use crate::error::{Error, Result};
use crate::ops::cipher::files::{self, Wanted};
use crate::ops::cipher::survey::{self, Inspection};
use crate::ops::cipher::{self as ops, Formats, in_file};

const DECRYPT: &str = "Examples:
  ksail cipher decrypt secret.yaml
  ksail cipher decrypt --extract '[\"data\"][\"password\"]' secret.yaml
  ksail cipher decrypt --in-place secrets/
  cat secret.yaml | ksail cipher decrypt";

/// Decrypt files.
#[derive(Debug, Args)]
#[command(after_help = DECRYPT)]
pub(super) struct Decrypt {
    /// Files; with --in-place, folders to search for encrypted files too. Standard input, read as YAML, without any
    paths: Vec<PathBuf>,
    /// Only the value at this path
    #[arg(short, long, value_name = "PATH")]
    extract: Option<String>,
    #[command(flatten)]
    opening: Opening,
    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", conflicts_with = "in_place")]
    output_file: Option<PathBuf>,
    /// Put the plain text in the place of each file
    #[arg(short, long, requires = "paths", conflicts_with = "extract")]
    in_place: bool,
    #[command(flatten)]
    types: Types,
}

impl Decrypt {
    /// The files and folders that were named.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

pub(super) async fn decrypt(args: Decrypt, cx: &Context) -> Result<ExitCode> {
    let extract = args.extract.as_deref().map(TreePath::parse).transpose()?;
    let (_, keys) = args.opening.keys()?;
    let mac = args.opening.mac();
    let mut types = args.types;
    if args.in_place {
        let keys = Arc::new(keys);
        return each(
            files::gather(&args.paths, Wanted::Encrypted)?,
            cx,
            move |path| {
                let (keys, types) = (keys.clone(), types.clone());
                async move {
                    let formats = types.formats(&path)?;
                    let bytes = files::read(&path)?;
                    let plain = ops::decrypt(&bytes, formats, mac, None, &keys).await?;
                    files::replace(&path, &plain).map(|()| "decrypted")
                }
            },
        )
        .await;
    }
    if cx.output == Output::Json {
        types.output_type = types.output_type.or(Some(Format::Json));
    }
    let named: Vec<Option<&Path>> = if args.paths.is_empty() {
        vec![None]
    } else {
        args.paths.iter().map(|path| Some(path.as_path())).collect()
    };
    for file in named {
        let (bytes, formats, name) = input(file, &types)?;
        let plain = ops::decrypt(&bytes, formats, mac, extract.as_ref(), &keys)
            .await
            .map_err(|error| in_file(error, &name))?;
        match &args.output_file {
            Some(path) => files::write_private(path, &plain)?,
            None => show::raw(&plain),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the file, or standard input, which is YAML unless a type is named.
pub(super) fn input(
    file: Option<&Path>,
    types: &Types,
) -> Result<(Zeroizing<Vec<u8>>, Formats, PathBuf)> {
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        return Ok((
            Zeroizing::new(files::read(path)?),
            types.formats(path)?,
            path.to_owned(),
        ));
    }
    let name = PathBuf::from("standard input");
    let bytes = Zeroizing::new(files::read_all(std::io::stdin().lock(), &name, 0)?);
    let mut types = types.clone();
    types.input_type = types.input_type.or(Some(Format::Yaml));
    let formats = types.formats(Path::new("stdin"))?;
    Ok((bytes, formats, name))
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
    for path in files::gather(&args.paths, Wanted::Encrypted)? {
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
