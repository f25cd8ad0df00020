//! `keygen` and `import`: the user's own age keys.

use std::process::ExitCode;

use clap::Args;

use super::super::{Context, Output, show};
use crate::cipher::key::age;
use crate::diag::codes::cipher::UNREADABLE_FILE;
use crate::error::{Error, Result};
use crate::ops::cipher as ops;
use crate::ops::cipher::keys::{import as add_key, process_env};
use crate::secret::Secret;

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

pub(super) fn import(args: Import, cx: &Context) -> Result<ExitCode> {
    let private = if args.private_key == "-" {
        std::io::read_to_string(std::io::stdin()).map_err(|cause| {
            Error::new(&UNREADABLE_FILE, "cannot read standard input").because(cause)
        })?
    } else {
        args.private_key
    };
    let (path, public) = add_key(&Secret::new(private.trim()), &process_env())?;
    if cx.output == Output::Json {
        show::json(&serde_json::json!({ "public_key": public, "key_file": path }));
    } else {
        show::note(&format!("imported {public} into {}", path.display()));
    }
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
