//! `edit`: an encrypted file in the user's editor.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::show;
use super::Types;
use super::opening::Opening;
use super::target::TargetFlags;
use crate::diag::codes::cipher::NOT_MODIFIED;
use crate::error::{Error, Result};
use crate::ops::cipher::edit::{Draft, View, editor};
use crate::ops::cipher::target::{choose, find_rules};
use crate::ops::cipher::{self as ops, files, in_file, unfinished};

const EDIT: &str = "Examples:
  ksail cipher edit secret.yaml
  ksail cipher edit --editor 'code --wait' secret.yaml
  ksail cipher edit --show-master-keys secret.yaml
  ksail cipher edit --age age1… new.yaml          make a file, whatever the rules say";

/// Edit an encrypted file in your editor.
#[derive(Debug, Args)]
#[command(after_help = EDIT)]
pub(super) struct Edit {
    /// The encrypted file; one that is not there is made
    file: PathBuf,
    /// The editor
    #[arg(long, value_name = "COMMAND")]
    editor: Option<String>,
    /// Show who can read the file at its end; recipients that you add or remove there are followed
    #[arg(short, long)]
    show_master_keys: bool,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    target: TargetFlags,
    #[command(flatten)]
    types: Types,
}

pub(super) async fn edit(args: Edit) -> Result<ExitCode> {
    let (env, keys) = args.opening.keys()?;
    let editor = editor(args.editor.as_deref(), &env)?;
    let file = &args.file;
    let found = find_rules(file, args.types.config.as_deref())?;
    let formats = args.types.formats_by(file, found.as_ref());
    let mac = args.opening.mac();
    let view = View {
        format: formats.input,
        layout: formats.layout,
        has_readers: args.show_master_keys,
    };
    let (mut unlocked, before) = if file.exists() {
        let open = ops::unlock(&files::read(file)?, formats.input, mac, &keys)
            .await
            .map_err(|error| in_file(error, file))?;
        let plain = view.text(&open)?;
        (open, plain)
    } else {
        // Whom it is for is settled before anything is typed.
        let wishes = args.target.wishes(args.types.config.clone())?;
        let target = choose(file, &wishes, found.as_ref(), &env)?;
        let begun = ops::begin(formats.input, &target, &keys).await?;
        let text = view.example(&begun)?;
        (begun, text)
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
        let sealed = match ran {
            Ok(()) => view.reseal(&mut unlocked, &text, &keys).await,
            Err(error) => Err(error),
        };
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
