//! The terminal face: reads the command line, prints, catches signals. One file per command.
//!
//! To add a command: a file with its arguments and `run`, a variant of `Command` and an arm in `dispatch`.

mod background;
mod check;
mod cipher;
mod cluster;
mod completion;
mod display;
mod doc;
mod doctor;
mod explain;
mod gc;
mod later;
mod machine;
mod man;
mod passphrase;
mod plan;
mod removal;
mod repl;
mod run;
mod scripted;
mod show;
mod support;
mod test;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use background::Background;
use later::Later;

use crate::diag::Kind;
use crate::error::Result;

/// Kubernetes clusters, defined as scripts.
#[derive(Debug, Parser)]
#[command(name = "ksail", version, max_term_width = 110, after_help = EXAMPLES, propagate_version = true)]
pub struct Root {
    #[command(subcommand)]
    command: Command,
    /// How data is printed
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    output: Output,
    /// When colours are used
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    color: Color,
}

const EXAMPLES: &str = "Examples:
  ksail run cluster.rhai           bring up what the script defines
  ksail plan cluster.rhai          show what that would do
  ksail run --simulate ci.rhai     the same with every provider simulated
  ksail test                       run the tests of scripts
  ksail cluster list               show the clusters there are
  ksail doc cluster                how clusters are defined
  ksail explain E0205              what a code means";

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// As JSON.
    Json,
    /// As Markdown, where tables are printed.
    Markdown,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring up what a script defines
    Run(Later<run::Args>),
    /// Show what a run would do
    Plan(Later<plan::Args>),
    /// Find everything that is wrong with a script
    Check(Later<check::Args>),
    /// Run the tests of scripts
    Test(Later<test::Args>),
    /// Look at, switch on and off, and remove clusters
    Cluster(Later<cluster::Args>),
    /// Encrypt files for sops, and open them
    Cipher(Later<cipher::Arguments>),
    /// Show what runs where, what brings what and what a change costs
    Support(Later<support::Args>),
    /// Check whether this machine can run clusters, and say how to mend it
    Doctor(Later<doctor::Args>),
    /// Find and remove what clusters left behind
    Gc(Later<gc::Args>),
    /// Show the functions that scripts can call
    Doc(Later<doc::Args>),
    /// Explain a diagnostic code
    Explain(Later<explain::Args>),
    /// Explore the language at a prompt
    Repl(Later<repl::Args>),
    /// Print the completion script of a shell
    Completion(Later<completion::Args>),
    /// Write the manual pages
    Man(Later<man::Args>),
}

/// What every command gets.
#[derive(Default)]
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) color: Color,
}

/// Reads the command line, does what it says and gives the exit code.
pub fn main() -> ExitCode {
    // Two providers of cryptography are in reach; without a choice the first TLS client would fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(background) = Background::asked(&arguments) {
        return ended(background.run(), &Context::default());
    }
    let mut command = Root::command();
    // `run FILE --help` tells the script's parameters too.
    if let Some(text) = scripted::parameters_help(&arguments) {
        command.build();
        command = command.mut_subcommand("run", |args| {
            args.after_help(format!("{}\n\n{text}", run::EXAMPLES))
        });
    }
    let root = match command
        .try_get_matches_from(arguments)
        .and_then(|matches| Root::from_arg_matches(&matches))
    {
        Ok(root) => root,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let cx = Context {
        output: root.output,
        color: root.color,
    };
    ended(dispatch(root.command, &cx), &cx)
}

/// The exit code of what was done; a problem is shown.
fn ended(result: Result<ExitCode>, cx: &Context) -> ExitCode {
    result.unwrap_or_else(|error| {
        let code = exit_code(error.kind());
        show::error(error, cx);
        code
    })
}

fn dispatch(command: Command, cx: &Context) -> Result<ExitCode> {
    match command {
        Command::Run(Later(args)) => run::run(args, cx),
        Command::Plan(Later(args)) => plan::run(args, cx),
        Command::Check(Later(args)) => check::run(args, cx),
        Command::Test(Later(args)) => test::run(&args, cx),
        Command::Cluster(Later(args)) => cluster::run(args, cx),
        Command::Cipher(Later(args)) => cipher::run(args, cx),
        Command::Support(Later(args)) => support::run(&args, cx),
        Command::Doctor(Later(args)) => doctor::run(&args, cx),
        Command::Gc(Later(args)) => gc::run(&args, cx),
        Command::Doc(Later(args)) => doc::run(&args, cx),
        Command::Explain(Later(args)) => explain::run(&args, cx),
        Command::Repl(Later(args)) => repl::run(&args, cx),
        Command::Completion(Later(args)) => completion::run(&args),
        Command::Man(Later(args)) => man::run(&args),
    }
}

/// 2 for wrong usage, 130 for what the user stopped, 1 for everything else.
fn exit_code(kind: Kind) -> ExitCode {
    ExitCode::from(match kind {
        Kind::Usage => 2,
        Kind::Cancelled => 130,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Root::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn visit(command: &clap::Command, path: &str) {
            for inner in command
                .get_subcommands()
                .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
            {
                let path = format!("{path} {}", inner.get_name());
                assert!(
                    inner
                        .get_after_help()
                        .is_some_and(|text| text.to_string().contains("Example")),
                    "{path}"
                );
                visit(inner, &path);
            }
        }
        let mut root = Root::command();
        root.build();
        visit(&root, "ksail");
    }
}
