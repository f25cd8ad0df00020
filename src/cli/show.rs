//! Printing: data to standard output, everything else to standard error.
//!
//! This and [`super::display`] are the only places that print.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where printing happens"
)]

use std::io::{IsTerminal as _, Write as _};

use super::{Color, Context, Output};
use crate::diag::report::{self, Style};
use crate::error::Error;

/// Prints data; a reader that went away is no problem.
pub(super) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Prints bytes as they are.
pub(super) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes);
    let _ = out.flush();
}

/// Prints JSON, indented.
pub(super) fn json(value: &impl serde::Serialize) {
    data(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a line that is no data.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints an error with everything known of it.
pub(super) fn error(error: Error, cx: &Context) {
    if cx.output == Output::Json {
        note(
            &serde_json::to_string_pretty(&serde_json::json!({ "errors": report::json(error) }))
                .unwrap_or_default(),
        );
        return;
    }
    let style = if has_colour(cx) {
        Style::Colour
    } else {
        Style::Plain
    };
    let text = report::text(error, style);
    let _ = write!(std::io::stderr().lock(), "{text}");
}

/// Whether standard error shows colours.
pub(super) fn has_colour(cx: &Context) -> bool {
    match cx.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
        }
    }
}

/// Whether a person can be asked.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for the word "yes".
pub(super) fn ask(question: &str) -> bool {
    let _ = write!(
        std::io::stderr().lock(),
        "{question} Type \"yes\" to go on: "
    );
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("yes")
}

/// Draws a table with as much space as the columns want.
pub(super) fn table(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(columns.iter().map(ToString::to_string));
    for row in rows {
        table.add_row(row);
    }
    table
        .lines()
        .map(|line| line.trim().to_string())
        .collect::<Vec<_>>()
        .join("\n")
}
