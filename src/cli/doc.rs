//! `ksail doc`: the functions that scripts can call.

use std::process::ExitCode;

use super::{Context, Output, show};
use crate::diag::codes::command::NO_FUNCTION;
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::script::{Doc, reference};
use crate::spec::keys;

const EXAMPLES: &str = "Examples:
  ksail doc                 every function in one line
  ksail doc cluster         one of them, with its keys or options
  ksail doc --output json   everything, for a program";

/// Show the functions that scripts can call.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The function
    name: Option<String>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let docs = reference();
    let chosen: Vec<&Doc> = match &args.name {
        None => docs.iter().collect(),
        Some(name) => docs.iter().filter(|doc| doc.name == *name).collect(),
    };
    if let (Some(name), true) = (&args.name, chosen.is_empty()) {
        let near = suggest::nearest(name, docs.iter().map(|doc| doc.name.as_str()));
        return Err(
            Error::new(&NO_FUNCTION, format!("there is no function `{name}`")).help(
                near.map_or_else(
                    || "`ksail doc` lists them all".into(),
                    |near| format!("did you mean `{near}`?"),
                ),
            ),
        );
    }
    match (cx.output, &args.name) {
        (Output::Json, _) => show::json(&chosen),
        (_, None) => show::data(&overview(&chosen)),
        (_, Some(_)) => show::data(
            &chosen
                .iter()
                .map(|doc| whole(doc))
                .collect::<Vec<_>>()
                .join("\n\n"),
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn overview(docs: &[&Doc]) -> String {
    let mut text = String::new();
    let mut group = "";
    for doc in docs {
        if doc.group != group {
            group = &doc.group;
            text.push_str(&format!(
                "{}{group}\n",
                if text.is_empty() { "" } else { "\n" }
            ));
        }
        let summary = doc
            .summary
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches(" Options:");
        text.push_str(&format!(
            "  {:<30} {summary}\n",
            doc.signatures.first().map_or("", String::as_str)
        ));
    }
    text
}

fn whole(doc: &Doc) -> String {
    let mut text = format!("{}\n\n{}\n", doc.signatures.join("\n"), doc.summary);
    if doc.name == "cluster" {
        text.push_str("\nKeys:\n");
        for (name, takes, summary) in keys::NATIVE {
            text.push_str(&format!("  {name}: {takes} — {summary}\n"));
        }
        for field in keys::SETTINGS {
            text.push_str(&format!(
                "  {}: {} — {} Default: {}.\n",
                field.name,
                field.shape.describe(),
                field.summary,
                field.default
            ));
        }
    }
    let example: Vec<String> = doc
        .example
        .lines()
        .map(|line| format!("  {line}"))
        .collect();
    text.push_str(&format!("\nExample:\n{}", example.join("\n")));
    text
}
