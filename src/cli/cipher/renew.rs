//! `rotate` and `updatekeys`: another data key, or other recipients.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::super::{Context, Output, show};
use super::opening::{self, Opening};
use super::target::pairs;
use super::{Types, each};
use crate::cipher::document::Sealed;
use crate::cipher::key::Kind;
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
    #[command(flatten)]
    exchange: ExchangeFlags,
    /// Only say which files would be rotated
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    types: Types,
}

impl Rotate {
    /// The files and folders that were named.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

/// Recipients to add and to remove, by kind.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recipients")]
struct ExchangeFlags {
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
    /// ARNs of AWS KMS keys to add
    #[arg(long, value_name = "ARNS")]
    add_kms: Vec<String>,
    /// ARNs of AWS KMS keys to remove
    #[arg(long, value_name = "ARNS")]
    rm_kms: Vec<String>,
    /// Resource names of Google Cloud keys to add
    #[arg(long, value_name = "NAMES")]
    add_gcp_kms: Vec<String>,
    /// Resource names of Google Cloud keys to remove
    #[arg(long, value_name = "NAMES")]
    rm_gcp_kms: Vec<String>,
    /// Addresses of Azure Key Vault keys to add
    #[arg(long, value_name = "URLS")]
    add_azure_kv: Vec<String>,
    /// Addresses of Azure Key Vault keys to remove
    #[arg(long, value_name = "URLS")]
    rm_azure_kv: Vec<String>,
    /// Addresses of Vault transit keys to add
    #[arg(long, value_name = "URLS")]
    add_hc_vault_transit: Vec<String>,
    /// Addresses of Vault transit keys to remove
    #[arg(long, value_name = "URLS")]
    rm_hc_vault_transit: Vec<String>,
    /// Encryption context for the AWS KMS keys to add: KEY:VALUE,…
    #[arg(long, value_name = "PAIRS", value_delimiter = ',')]
    encryption_context: Vec<String>,
}

impl ExchangeFlags {
    fn exchange(self) -> Result<Exchange> {
        let wishes = Wishes {
            context: pairs(&self.encryption_context)?,
            ..Wishes::default()
        };
        let read = |kinds: [(Kind, Vec<String>); 6]| {
            let typed: Vec<_> = kinds
                .into_iter()
                .flat_map(|(kind, texts)| texts.into_iter().map(move |text| (kind, text)))
                .collect();
            group(&typed, &wishes)
        };
        Ok(Exchange {
            add: read([
                (Kind::Age, self.add_age),
                (Kind::Pgp, self.add_pgp),
                (Kind::AwsKms, self.add_kms),
                (Kind::GcpKms, self.add_gcp_kms),
                (Kind::AzureKeyVault, self.add_azure_kv),
                (Kind::Vault, self.add_hc_vault_transit),
            ])?,
            remove: read([
                (Kind::Age, self.rm_age),
                (Kind::Pgp, self.rm_pgp),
                (Kind::AwsKms, self.rm_kms),
                (Kind::GcpKms, self.rm_gcp_kms),
                (Kind::AzureKeyVault, self.rm_azure_kv),
                (Kind::Vault, self.rm_hc_vault_transit),
            ])?,
        })
    }
}

pub(super) async fn rotate(args: Rotate, cx: &Context) -> Result<ExitCode> {
    let exchange = Arc::new(args.exchange.exchange()?);
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
    let (_, keys) = args.opening.keys()?;
    let (keys, types) = (Arc::new(keys), args.types);
    let mac = args.opening.mac();
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
    let (env, keys) = opening::keys()?;
    let wishes = Wishes {
        rules_file: args.types.config.clone(),
        ..Wishes::default()
    };
    let (mut wanted, mut told) = (Vec::new(), Vec::new());
    for path in files::gather(&args.paths, Wanted::Encrypted)? {
        let found = find_rules(&path, wishes.rules_file.as_deref())?;
        let formats = args.types.formats_by(&path, found.as_ref());
        let target =
            choose(&path, &wishes, found.as_ref(), &env).map_err(|error| in_file(error, &path))?;
        let sealed = Sealed::read(formats.input, &files::read(&path)?)
            .map_err(|error| in_file(error, &path))?;
        let changes = ops::key_changes(&sealed, &target)?;
        if changes.is_empty() {
            continue;
        }
        if cx.output == Output::Text {
            for name in &changes.added {
                show::note(&format!("{}: add {name}", path.display()));
            }
            for name in &changes.removed {
                show::note(&format!("{}: remove {name}", path.display()));
            }
        }
        told.push(serde_json::json!({ "path": path, "key_changes": changes }));
        wanted.push((path, formats, target));
    }
    if cx.output == Output::Json && (args.check || wanted.is_empty()) {
        show::json(&told);
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
