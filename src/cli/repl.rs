//! `ksail repl`: the language at a prompt.

use std::process::ExitCode;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Context as LineContext, Editor, Helper, Highlighter, Hinter, Validator};

use super::{Context, machine, show};
use crate::cli::display::Display;
use crate::error::Result;
use crate::script::{Effects, Options, Repl, Reply};

const EXAMPLES: &str = "Examples:
  ksail repl
  > let c = cluster(\"dev\", #{ distribution: k3s() })
  > c.with(#{ workers: 3 })";

/// Explore the language at a prompt.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

#[derive(Helper, Highlighter, Hinter, Validator)]
struct Names(Vec<String>);

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &LineContext<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..position).unwrap_or_default();
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |index| index + 1);
        let word = before.get(start..).unwrap_or_default();
        Ok((
            start,
            self.0
                .iter()
                .filter(|name| name.starts_with(word))
                .cloned()
                .collect(),
        ))
    }
}

pub(super) fn run(_: &Args, cx: &Context) -> Result<ExitCode> {
    let options = Options {
        root: std::env::current_dir().unwrap_or_default(),
        keys: super::scripted::usual_keys(),
        ..Options::default()
    };
    let mut repl = Repl::new(&options);
    let threads = machine::threads()?;
    let _inside = threads.enter();
    let display = Display::new(cx);
    repl.allow(Effects::new(
        machine::world()?,
        display.listener(),
        options.cancel.clone(),
    ));
    let mut editor: Editor<Names, DefaultHistory> = match Editor::new() {
        Ok(editor) => editor,
        Err(cause) => {
            let message = "the prompt cannot be opened";
            return Err(crate::error::Error::new(
                &crate::diag::codes::command::NO_RUNTIME,
                message,
            )
            .because(cause));
        }
    };
    let history = machine::places()?.state.join("history");
    // A history that cannot be read or written is none.
    let _ = editor.load_history(&history);
    let mut text = String::new();
    loop {
        editor.set_helper(Some(Names(repl.complete(""))));
        let prompt = if text.is_empty() { "> " } else { "… " };
        match editor.readline(prompt) {
            Ok(line) => text.push_str(&(line + "\n")),
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(_) => break,
        }
        let reply = repl.feed(&text);
        for line in repl.printed() {
            show::data(&line);
        }
        match reply {
            Reply::More => continue,
            Reply::Value(value) => value.into_iter().for_each(|value| show::data(&value)),
            Reply::Problem(problem) => show::error(problem, cx),
        }
        let _ = editor.add_history_entry(text.trim_end());
        text.clear();
    }
    if let Some(folder) = history.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let _ = editor.save_history(&history);
    Ok(ExitCode::SUCCESS)
}
