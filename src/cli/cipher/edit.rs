//! `edit`: an encrypted file in the user's editor.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::super::show;
use super::{Types, keys};
use crate::cipher::document::Mac;
use crate::cipher::format::{self, Format};
use crate::diag::codes::cipher::NOT_MODIFIED;
use crate::error::{Error, Result};
use crate::ops::cipher::edit::{Draft, EXAMPLE, editor, reseal};
use crate::ops::cipher::target::{Wishes, choose, find_rules};
use crate::ops::cipher::{self as ops, files, in_file, unfinished};

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
    let file = &args.file;
    let formats = args.types.formats(file)?;
    let mac = if args.ignore_mac {
        Mac::Ignore
    } else {
        Mac::Check
    };
    let (mut unlocked, before) = if file.exists() {
        let open = ops::unlock(&files::read(file)?, formats.input, mac, &keys)
            .await
            .map_err(|error| in_file(error, file))?;
        let plain = format::write_plain(formats.input, &open.opened.branches, formats.layout)?;
        (open, Zeroizing::new(plain))
    } else {
        // Whom it is for is settled before anything is typed.
        let rules_file = args.types.config.clone();
        let wishes = Wishes {
            rules_file,
            ..Wishes::default()
        };
        let found = find_rules(file, wishes.rules_file.as_deref())?;
        let target = choose(file, &wishes, found.as_ref(), &env)?;
        let example = format::read_plain(Format::Yaml, EXAMPLE.as_bytes())?;
        let text = format::write_plain(formats.input, &example, formats.layout);
        let text = text.unwrap_or_else(|_| b"example_key=example_value\n".to_vec());
        let begun = ops::begin(formats.input, &target, &keys).await?;
        (begun, Zeroizing::new(text))
    };
    let kept = unfinished::kept(file, &keys).await?;
    if kept.is_some() {
        show::note("the editor opens with the text of the last edit, which could not be saved");
    }
    let draft = Draft::new(file, before, kept.as_ref().map(|text| text.as_slice()))?;
    loop {
        let ran = draft.edit(&editor).await;
        let Some(text) = draft.changed()? else {
            ran?;
            unfinished::forget(file)?;
            return Err(Error::new(&NOT_MODIFIED, "the file has not been changed"));
        };
        let sealed = ran.and_then(|()| reseal(&mut unlocked, &text, formats.input, formats.layout));
        let error = match sealed {
            Ok(sealed) => {
                files::replace(file, &sealed)?;
                unfinished::forget(file)?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => error,
        };
        if show::can_ask() {
            show::note(&format!("{error:?}"));
            if show::ask("The editor opens again with your text.") {
                continue;
            }
        }
        let place = unfinished::keep(file, &unlocked, &text)?;
        return Err(in_file(error, file).help(format!(
            "your text is kept, encrypted, in {}: the next `ksail cipher edit {}` goes on with it",
            place.display(),
            file.display()
        )));
    }
}
