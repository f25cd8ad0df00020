//! `rotate` and `updatekeys`: another data key, or other recipients.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::super::{Context, show};
use super::{Types, each, keys};
use crate::cipher::document::{Mac, Sealed};
use crate::error::Result;
use crate::ops::cipher::files::{self, Wanted};
use crate::ops::cipher::target::{Wishes, choose, find_rules, group};
use crate::ops::cipher::{self as ops, Exchange, in_file};

const ROTATE: &str = "Examples:
  ksail cipher rotate secret.yaml
  ksail cipher rotate --add-age age1… secrets/
  ksail cipher rotate --remove-age age1… --force secrets/";

/// Give files a new data key.
#[derive(Debug, Args)]
#[command(after_help = ROTATE)]
pub(super) struct Rotate {
    /// Files, or folders to search for encrypted files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// age or SSH public keys to add
    #[arg(long, visible_alias = "add-key", value_name = "KEYS")]
    add_age: Vec<String>,
    /// age or SSH public keys to remove
    #[arg(long, visible_alias = "remove-key", value_name = "KEYS")]
    rm_age: Vec<String>,
    /// OpenPGP fingerprints to add
    #[arg(long, value_name = "FINGERPRINTS")]
    add_pgp: Vec<String>,
    /// OpenPGP fingerprints to remove
    #[arg(long, value_name = "FINGERPRINTS")]
    rm_pgp: Vec<String>,
    /// Only say which files would be rotated
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Do not look at the integrity code
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    types: Types,
}

impl Rotate {
    /// The files and folders that were named.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

pub(super) async fn rotate(args: Rotate, cx: &Context) -> Result<ExitCode> {
    use crate::cipher::key::Kind;
    let typed = |age: Vec<String>, pgp: Vec<String>| {
        let typed: Vec<_> = age
            .into_iter()
            .map(|text| (Kind::Age, text))
            .chain(pgp.into_iter().map(|text| (Kind::Pgp, text)))
            .collect();
        group(&typed, &Wishes::default())
    };
    let exchange = Arc::new(Exchange {
        add: typed(args.add_age, args.add_pgp)?,
        remove: typed(args.rm_age, args.rm_pgp)?,
    });
    let paths = files::gather(&args.paths, Wanted::Encrypted)?;
    if args.dry_run {
        return each(paths, cx, |_| async { Ok("would rotate") }).await;
    }
    if !args.force
        && show::can_ask()
        && !show::ask(&format!("This gives {} files a new data key.", paths.len()))
    {
        return Ok(ExitCode::SUCCESS);
    }
    let (_, keys) = keys()?;
    let (keys, types) = (Arc::new(keys), args.types);
    let mac = if args.ignore_mac {
        Mac::Ignore
    } else {
        Mac::Check
    };
    each(paths, cx, move |path| {
        let (keys, types, exchange) = (keys.clone(), types.clone(), exchange.clone());
        async move {
            let rotated = ops::rotate(
                &files::read(&path)?,
                types.formats(&path)?,
                &exchange,
                mac,
                &keys,
            )
            .await?;
            files::replace(&path, &rotated).map(|()| "rotated")
        }
    })
    .await
}

const UPDATE_KEYS: &str = "Examples:
  ksail cipher updatekeys secret.yaml
  ksail cipher updatekeys --check secrets/";

/// Give files the recipients of their rule.
#[derive(Debug, Args)]
#[command(after_help = UPDATE_KEYS)]
pub(super) struct UpdateKeys {
    /// Files, or folders to search for encrypted files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Only say what would change; exit code 1 if anything would
    #[arg(long)]
    check: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    types: Types,
}

impl UpdateKeys {
    /// The files and folders that were named.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

pub(super) async fn update_keys(args: UpdateKeys, cx: &Context) -> Result<ExitCode> {
    let (env, keys) = keys()?;
    let wishes = Wishes {
        rules_file: args.types.config.clone(),
        ..Wishes::default()
    };
    let mut wanted = Vec::new();
    for path in files::gather(&args.paths, Wanted::Encrypted)? {
        let formats = args.types.formats(&path)?;
        let found = find_rules(&path, wishes.rules_file.as_deref())?;
        let target =
            choose(&path, &wishes, found.as_ref(), &env).map_err(|error| in_file(error, &path))?;
        let sealed = Sealed::read(formats.input, &files::read(&path)?)
            .map_err(|error| in_file(error, &path))?;
        let changes = ops::key_changes(&sealed, &target)?;
        for name in &changes.added {
            show::note(&format!("{}: add {name}", path.display()));
        }
        for name in &changes.removed {
            show::note(&format!("{}: remove {name}", path.display()));
        }
        if !changes.is_empty() {
            wanted.push((path, formats, target));
        }
    }
    if args.check || wanted.is_empty() {
        return Ok(ExitCode::from(u8::from(!wanted.is_empty())));
    }
    if !args.yes
        && show::can_ask()
        && !show::ask(&format!(
            "This changes who can read {} files.",
            wanted.len()
        ))
    {
        return Ok(ExitCode::SUCCESS);
    }
    let keys = Arc::new(keys);
    let paths: Vec<PathBuf> = wanted.iter().map(|(path, _, _)| path.clone()).collect();
    each(paths, cx, move |path| {
        let keys = keys.clone();
        let job = wanted
            .iter()
            .find(|(wanted, _, _)| *wanted == path)
            .map(|(_, formats, target)| (*formats, target.clone()));
        async move {
            let Some((formats, target)) = job else {
                return Ok("passed over");
            };
            let (_, bytes) =
                ops::update_keys(&files::read(&path)?, formats, &target, &keys).await?;
            files::replace(&path, &bytes).map(|()| "updated")
        }
    })
    .await
}
