//! Commands that make or change encrypted files, and keys for them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use zeroize::Zeroizing;

use super::super::{Context, Output, show};
use super::{Audience, Types, each, keys};
use crate::cipher::document::{Mac, Sealed};
use crate::cipher::format::{self, Format};
use crate::cipher::key::age;
use crate::cipher::path::Path as TreePath;
use crate::cipher::scope::Selectors;
use crate::diag::codes::cipher::{EDIT_FAILED, NO_RULE, UNREADABLE_FILE};
use crate::error::{Error, Result};
use crate::ops::cipher::edit::{Draft, EXAMPLE, editor, reseal};
use crate::ops::cipher::files::{self, Wanted};
use crate::ops::cipher::keys::{import as add_key, process_env};
use crate::ops::cipher::survey::{find_plain, plain_found};
use crate::ops::cipher::target::{Wishes, choose, find_rules, group};
use crate::ops::cipher::{self as ops, Change, Exchange, in_file};
use crate::secret::Secret;

const ENCRYPT: &str = "Examples:
  ksail cipher encrypt --in-place secret.yaml
  ksail cipher encrypt --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml
  ksail cipher encrypt --check .            find plain files that a rule covers";

/// Encrypt files.
#[derive(Debug, Args)]
#[command(after_help = ENCRYPT)]
pub(super) struct Encrypt {
    /// Files; with --in-place or --check, folders too
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Put the encrypted text in the place of each file
    #[arg(short, long, conflicts_with = "check")]
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
    selectors: SelectorFlags,
    /// How many key groups are needed
    #[arg(long, value_name = "N", help_heading = "Recipients")]
    shamir_secret_sharing_threshold: Option<usize>,
    #[command(flatten)]
    audience: Audience,
    #[command(flatten)]
    types: Types,
}

/// Which values are encrypted.
#[derive(Clone, Debug, Default, Args)]
struct SelectorFlags {
    /// Leave keys with this ending plain
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Values"
    )]
    unencrypted_suffix: String,
    /// Encrypt only keys with this ending
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Values"
    )]
    encrypted_suffix: String,
    /// Leave keys that match plain
    #[arg(
        long,
        value_name = "REGEX",
        default_value = "",
        hide_default_value = true,
        help_heading = "Values"
    )]
    unencrypted_regex: String,
    /// Encrypt only keys that match
    #[arg(
        long,
        value_name = "REGEX",
        default_value = "",
        hide_default_value = true,
        help_heading = "Values"
    )]
    encrypted_regex: String,
    /// Leave values below a comment that matches plain
    #[arg(
        long,
        value_name = "REGEX",
        default_value = "",
        hide_default_value = true,
        help_heading = "Values"
    )]
    unencrypted_comment_regex: String,
    /// Encrypt only values below a comment that matches
    #[arg(
        long,
        value_name = "REGEX",
        default_value = "",
        hide_default_value = true,
        help_heading = "Values"
    )]
    encrypted_comment_regex: String,
    /// Make the integrity code over encrypted values only
    #[arg(long, help_heading = "Values")]
    mac_only_encrypted: bool,
}

impl From<SelectorFlags> for Selectors {
    fn from(flags: SelectorFlags) -> Self {
        Self {
            unencrypted_suffix: flags.unencrypted_suffix,
            encrypted_suffix: flags.encrypted_suffix,
            unencrypted_regex: flags.unencrypted_regex,
            encrypted_regex: flags.encrypted_regex,
            unencrypted_comment_regex: flags.unencrypted_comment_regex,
            encrypted_comment_regex: flags.encrypted_comment_regex,
            mac_only_encrypted: flags.mac_only_encrypted,
        }
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
    let wishes = args.audience.wishes(
        args.selectors.into(),
        args.shamir_secret_sharing_threshold,
        args.types.config.clone(),
    );
    let (env, keys) = keys()?;
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
            let bytes = Zeroizing::new(files::read(&path)?);
            let found = find_rules(&name, wishes.rules_file.as_deref())?;
            let target = choose(&name, &wishes, found.as_ref(), &env)?;
            ops::encrypt(&bytes, types.formats(&name)?, &target, &keys).await
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
    for path in args.paths {
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
    /// Do not look at the integrity code
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn set(args: Set) -> Result<ExitCode> {
    let text = match args.value {
        Some(value) => value,
        None => std::io::read_to_string(std::io::stdin()).map_err(|cause| {
            Error::new(&UNREADABLE_FILE, "cannot read standard input").because(cause)
        })?,
    };
    let value = format::read_value(text.trim())
        .map_err(|error| error.help("write the value as JSON: texts in double quotes"))?;
    change(
        &args.file,
        &args.path,
        Change::Set(value),
        args.ignore_mac,
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
    /// Do not look at the integrity code
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn unset(args: Unset) -> Result<ExitCode> {
    change(
        &args.file,
        &args.path,
        Change::Unset,
        args.ignore_mac,
        &args.types,
    )
    .await
}

async fn change(
    file: &Path,
    path: &str,
    change: Change,
    ignore_mac: bool,
    types: &Types,
) -> Result<ExitCode> {
    let path = TreePath::parse(path)?;
    let (_, keys) = keys()?;
    let mac = if ignore_mac { Mac::Ignore } else { Mac::Check };
    let changed = ops::change(
        &files::read(file)?,
        types.formats(file)?,
        &path,
        change,
        mac,
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

const EDIT: &str = "Examples:
  ksail cipher edit secret.yaml
  ksail cipher edit --editor 'code --wait' secret.yaml";

/// Edit an encrypted file in your editor.
#[derive(Debug, Args)]
#[command(after_help = EDIT)]
pub(super) struct Edit {
    /// The encrypted file; one that is not there is made
    file: PathBuf,
    /// The editor
    #[arg(long, value_name = "COMMAND")]
    editor: Option<String>,
    /// Do not look at the integrity code
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn edit(args: Edit) -> Result<ExitCode> {
    let (env, keys) = keys()?;
    let editor = editor(args.editor.as_deref(), &env)?;
    let formats = args.types.formats(&args.file)?;
    let mac = if args.ignore_mac {
        Mac::Ignore
    } else {
        Mac::Check
    };
    let mut unlocked = None;
    let before = if args.file.exists() {
        let bytes = files::read(&args.file)?;
        let open = ops::unlock(&bytes, formats.input, mac, &keys)
            .await
            .map_err(|error| in_file(error, &args.file))?;
        let plain = format::write_plain(formats.input, &open.opened.branches, formats.layout)?;
        unlocked = Some(open);
        Zeroizing::new(plain)
    } else {
        let example = format::read_plain(Format::Yaml, EXAMPLE.as_bytes())?;
        let text = format::write_plain(formats.input, &example, formats.layout);
        Zeroizing::new(text.unwrap_or_else(|_| b"example_key=example_value\n".to_vec()))
    };
    let draft = Draft::new(&args.file, before)?;
    loop {
        let text = draft.edit(&editor)?;
        let sealed = if let Some(unlocked) = &mut unlocked {
            reseal(unlocked, &text, formats.input, formats.layout)
        } else {
            let wishes = Wishes {
                rules_file: args.types.config.clone(),
                ..Wishes::default()
            };
            let found = find_rules(&args.file, wishes.rules_file.as_deref())?;
            let target = choose(&args.file, &wishes, found.as_ref(), &env)?;
            ops::encrypt(&text, formats, &target, &keys).await
        };
        match sealed {
            Ok(sealed) => {
                files::replace(&args.file, &sealed)?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) if show::can_ask() && error.code().id == EDIT_FAILED.id => {
                show::note(&format!("{error:?}"));
                if !show::ask("The editor opens again with your text.") {
                    return Err(error);
                }
            }
            Err(error) => return Err(in_file(error, &args.file)),
        }
    }
}

const IMPORT: &str = "Examples:
  ksail cipher import AGE-SECRET-KEY-1…
  pass show age | ksail cipher import -";

/// Put an age private key into the key file.
#[derive(Debug, Args)]
#[command(after_help = IMPORT)]
pub(super) struct Import {
    /// The private key; `-` reads it from standard input, where others cannot see it
    private_key: String,
}

pub(super) fn import(args: Import) -> Result<ExitCode> {
    let private = if args.private_key == "-" {
        std::io::read_to_string(std::io::stdin()).map_err(|cause| {
            Error::new(&UNREADABLE_FILE, "cannot read standard input").because(cause)
        })?
    } else {
        args.private_key
    };
    let (path, public) = add_key(&Secret::new(private.trim()), &process_env())?;
    show::note(&format!("imported {public} into {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

const KEYGEN: &str = "Examples:
  ksail cipher keygen --import       into the key file; prints the public key
  ksail cipher keygen > key.txt      like age-keygen";

/// Make an age key.
#[derive(Debug, Args)]
#[command(after_help = KEYGEN)]
pub(super) struct Keygen {
    /// Add it to the key file and print the public key only
    #[arg(long)]
    import: bool,
}

pub(super) fn keygen(args: &Keygen, cx: &Context) -> Result<ExitCode> {
    let (private, public) = age::generate();
    if args.import {
        let (path, public) = add_key(&private, &process_env())?;
        if cx.output == Output::Json {
            show::json(&serde_json::json!({ "public_key": public, "key_file": path }));
        } else {
            show::data(&public);
            show::note(&format!("added to {}", path.display()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if cx.output == Output::Json {
        show::json(&serde_json::json!({ "public_key": public, "private_key": private.expose() }));
    } else {
        show::raw(age::block(&private, &ops::now())?.expose().as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}
