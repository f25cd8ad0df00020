//! Commands that are given decrypted values: in their environment, or in a file that is gone afterwards.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::cipher::tree::{Branch, Branches, Value};
use crate::diag::codes::cipher::{CHILD_FAILED, UNSUPPORTED_SHAPE, UNWRITABLE_FILE};
use crate::error::{Error, Result};

/// How the environment of the command is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// The variables of this process stay.
    Inherited,
    /// Only the decrypted ones are there.
    Pristine,
}

/// A command line for the shell.
pub fn shell(command: &str) -> Command {
    let mut shell = if cfg!(windows) {
        Command::new("cmd.exe")
    } else {
        Command::new("/bin/sh")
    };
    shell
        .arg(if cfg!(windows) { "/C" } else { "-c" })
        .arg(command);
    shell
}

/// Gives the top-level values as variables; nested ones cannot be.
pub fn variables(branches: &Branches) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (key, value) in branches.iter().flat_map(Branch::pairs) {
        let text = match value {
            Value::Text(text) | Value::Time(text) => text.clone(),
            Value::Bool(truth) => truth.to_string(),
            Value::Int(whole) => whole.to_string(),
            Value::Float(float) => float.to_string(),
            Value::Null => String::new(),
            other => {
                return Err(Error::new(
                    &UNSUPPORTED_SHAPE,
                    format!("a variable cannot hold {}", other.kind()),
                )
                .field(key)
                .help("use exec-file, or keep variables in a flat file"));
            }
        };
        if key.is_empty() || key.contains(['=', '\0']) || text.contains('\0') {
            return Err(Error::new(
                &UNSUPPORTED_SHAPE,
                "a key or value cannot be an environment variable",
            )
            .field(key));
        }
        variables.push((key.to_owned(), text));
    }
    Ok(variables)
}

/// Runs a command with variables and waits for it.
pub fn with_variables(
    command: &str,
    variables: &[(String, String)],
    surroundings: Surroundings,
) -> Result<ExitStatus> {
    let mut shell = shell(command);
    if surroundings == Surroundings::Pristine {
        shell.env_clear();
    }
    shell.envs(variables.iter().map(|(name, text)| (name, text)));
    shell.status().map_err(failed)
}

/// Runs a command with a private file in the place of `{}` and waits for it; the file is wiped.
pub fn with_file(
    command: &str,
    content: &[u8],
    name: Option<&str>,
    surroundings: Surroundings,
) -> Result<ExitStatus> {
    let unwritable = |cause: std::io::Error| {
        Error::new(
            &UNWRITABLE_FILE,
            "cannot write the private file for the command",
        )
        .because(cause)
    };
    let folder = super::edit::private_folder().map_err(unwritable)?;
    let name = name.unwrap_or("secret");
    if Path::new(name).file_name().is_none_or(|last| last != name) {
        return Err(Error::new(
            &UNWRITABLE_FILE,
            format!("`{name}` is not a plain file name"),
        ));
    }
    let path = folder.path().join(name);
    super::edit::write_secret(&path, content).map_err(unwritable)?;
    let mut shell = shell(&command.replace("{}", &path.display().to_string()));
    if surroundings == Surroundings::Pristine {
        shell.env_clear();
    }
    let status = shell.status().map_err(failed);
    super::edit::wipe(&path);
    status
}

fn failed(cause: std::io::Error) -> Error {
    Error::new(&CHILD_FAILED, "the command cannot be run").because(cause)
}
