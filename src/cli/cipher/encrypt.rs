//! `encrypt`: files for whom a rule or flags say, and the check that none was forgotten.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use zeroize::Zeroizing;

use super::super::{Context, Output, show};
use super::target::TargetFlags;
use super::{Types, each, opening};
use crate::diag::codes::cipher::NO_RULE;
use crate::error::Result;
use crate::ops::cipher::files::{self, Wanted};
use crate::ops::cipher::survey::{find_plain, plain_found};
use crate::ops::cipher::target::{choose, find_rules};
use crate::ops::cipher::{self as ops, in_file};

const ENCRYPT: &str = "Examples:
  ksail cipher encrypt --in-place secret.yaml
  ksail cipher encrypt --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml
  ksail cipher encrypt --check .            find plain files that a rule covers";

/// What names standard input.
const STANDARD_INPUT: &str = "-";

/// Encrypt files.
#[derive(Debug, Args)]
#[command(after_help = ENCRYPT)]
pub(super) struct Encrypt {
    /// Files; with --in-place or --check, folders too. Standard input, named by --filename-override, without any
    #[arg(required_unless_present = "filename_override")]
    paths: Vec<PathBuf>,
    /// Put the encrypted text in the place of each file
    #[arg(short, long, requires = "paths", conflicts_with = "check")]
    in_place: bool,
    /// Only find plain files that a creation rule covers
    #[arg(long)]
    check: bool,
    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", conflicts_with_all = ["in_place", "check"])]
    output_file: Option<PathBuf>,
    /// Choose rule and format by this name instead of the file's own
    #[arg(long, value_name = "NAME")]
    filename_override: Option<PathBuf>,
    #[command(flatten)]
    target: TargetFlags,
    #[command(flatten)]
    types: Types,
}

impl Encrypt {
    /// The files and folders that were named.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

pub(super) async fn encrypt(args: Encrypt, cx: &Context) -> Result<ExitCode> {
    if args.check {
        let plain = find_plain(&args.paths, args.types.config.as_deref())?;
        if cx.output == Output::Json {
            show::json(&plain);
        }
        return plain_found(&plain).map_or(Ok(ExitCode::SUCCESS), Err);
    }
    let wishes = args.target.wishes(args.types.config.clone())?;
    let (env, keys) = opening::keys()?;
    let (keys, wishes, types) = (Arc::new(keys), Arc::new(wishes), args.types);
    let name = args.filename_override;
    let one = move |path: PathBuf| {
        let (keys, wishes, env, types, name) = (
            keys.clone(),
            wishes.clone(),
            env.clone(),
            types.clone(),
            name.clone(),
        );
        async move {
            let name = name.unwrap_or_else(|| path.clone());
            let bytes = Zeroizing::new(if path.as_os_str() == STANDARD_INPUT {
                files::read_all(std::io::stdin().lock(), "standard input".as_ref(), 0)?
            } else {
                files::read(&path)?
            });
            let found = find_rules(&name, wishes.rules_file.as_deref())?;
            let target = choose(&name, &wishes, found.as_ref(), &env)?;
            let formats = types.formats_by(&name, found.as_ref());
            ops::encrypt(&bytes, formats, &target, &keys).await
        }
    };
    if args.in_place {
        let paths: Vec<PathBuf> = files::gather(&args.paths, Wanted::All)?;
        let several = args.paths.iter().any(|path| path.is_dir());
        return each(paths, cx, move |path| {
            let work = one(path.clone());
            async move {
                // In a folder, what is encrypted already and what no rule covers is passed over.
                if several && files::looks_encrypted(&path) {
                    return Ok("passed over");
                }
                match work.await {
                    Ok(sealed) => files::replace(&path, &sealed).map(|()| "encrypted"),
                    Err(error) if several && error.code().id == NO_RULE.id => Ok("passed over"),
                    Err(error) => Err(error),
                }
            }
        })
        .await;
    }
    let mut paths = args.paths;
    if paths.is_empty() {
        paths.push(STANDARD_INPUT.into());
    }
    for path in paths {
        let sealed = one(path.clone())
            .await
            .map_err(|error| in_file(error, &path))?;
        match &args.output_file {
            Some(output) => files::replace(output, &sealed)?,
            None => show::raw(&sealed),
        }
    }
    Ok(ExitCode::SUCCESS)
}
