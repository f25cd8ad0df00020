//! `ksail explain`: what a diagnostic code means.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Context, Output, show};
use crate::diag::Code;
use crate::diag::codes::{self, command::NO_SUCH_CODE};
use crate::diag::suggest;
use crate::error::{Error, Result};

const EXAMPLES: &str = "Examples:
  ksail explain E0205   what the code means and how to mend it
  ksail explain         every code in one line";

/// Explain a diagnostic code.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The code
    code: Option<String>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let chosen: Vec<&'static Code> = match &args.code {
        None => codes::all().collect(),
        Some(id) => vec![codes::find(id).ok_or_else(|| {
            let near = suggest::nearest(id, codes::all().map(|code| code.id));
            Error::new(&NO_SUCH_CODE, format!("there is no code `{id}`")).help(near.map_or_else(
                || "`ksail explain` lists them all".into(),
                |near| format!("did you mean {near}?"),
            ))
        })?],
    };
    match (cx.output, args.code.is_some()) {
        (Output::Json, _) => show::json(&chosen.iter().map(|code| data(code)).collect::<Vec<_>>()),
        (_, true) => show::data(
            &chosen
                .iter()
                .map(|code| format!("{}: {}\n\n{}", code.id, code.title, code.explanation))
                .collect::<String>(),
        ),
        (_, false) => {
            show::data(
                &chosen
                    .iter()
                    .map(|code| format!("{}  {}\n", code.id, code.title))
                    .collect::<String>(),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn data(code: &Code) -> Value {
    json!({ "code": code.id, "title": code.title, "explanation": code.explanation })
}
