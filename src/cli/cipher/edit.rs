//! `edit`: an encrypted file in the user's editor.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::super::show;
use super::{Types, keys};
use crate::cipher::document::Mac;
use crate::cipher::format::{self, Format};
use crate::diag::codes::cipher::EDIT_FAILED;
use crate::error::Result;
use crate::ops::cipher::edit::{Draft, EXAMPLE, editor, reseal};
use crate::ops::cipher::target::{Wishes, choose, find_rules};
use crate::ops::cipher::{self as ops, files, in_file};

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
