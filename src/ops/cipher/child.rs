//! Commands that are given decrypted values: in their environment, or in a file that is gone afterwards.
//!
//! What tells this process to stop is passed on to the command, and waited for: the file must be wiped after it. The pipe
//! that takes the place of a file is in `pipe`.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::cipher::tree::{Branch, Branches, Value};
use crate::diag::codes::cipher::{CHILD_FAILED, UNSUPPORTED_SHAPE, UNWRITABLE_FILE};
use crate::error::{Error, Result};

/// What the command is run with beside the decrypted values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// Whether the variables of this process are kept from it.
    pub is_pristine: bool,
    /// Whom it runs as, instead of as this process.
    #[cfg(unix)]
    pub user: Option<User>,
}

/// Another user of this machine.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    user: u32,
    group: u32,
}

#[cfg(unix)]
impl User {
    /// Looks a user up by name.
    pub fn named(name: &str) -> Result<Self> {
        let found = nix::unistd::User::from_name(name)
            .map_err(|cause| failed(cause.into()).help("the system's list of users is broken"))?
            .ok_or_else(|| {
                Error::new(&CHILD_FAILED, format!("there is no user `{name}`"))
                    .help("`getent passwd` lists the users of this machine")
            })?;
        Ok(Self {
            user: found.uid.as_raw(),
            group: found.gid.as_raw(),
        })
    }

    /// Gives a file to the user.
    pub(super) fn give(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }
}

/// What the command finds in the place of `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A named pipe where the system has them: the content is never in a file.
    Pipe,
    /// A private file, for programs that look at it twice at the same time or jump about in it.
    File,
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
pub async fn with_variables(
    command: &str,
    variables: &[(String, String)],
    surroundings: Surroundings,
) -> Result<ExitStatus> {
    let command = given(command, variables, surroundings);
    wait(command).await.map_err(failed)
}

/// Turns this very process into the command; returns only if that fails.
#[cfg(unix)]
pub fn become_with_variables(
    command: &str,
    variables: &[(String, String)],
    surroundings: Surroundings,
) -> Error {
    use std::os::unix::process::CommandExt as _;
    failed(given(command, variables, surroundings).exec())
}

fn given(command: &str, variables: &[(String, String)], surroundings: Surroundings) -> Command {
    let mut shell = surrounded(command, surroundings);
    shell.envs(variables.iter().map(|(name, text)| (name, text)));
    shell
}

fn surrounded(command: &str, surroundings: Surroundings) -> Command {
    let mut shell = shell(command);
    if surroundings.is_pristine {
        shell.env_clear();
    }
    #[cfg(unix)]
    if let Some(user) = surroundings.user {
        use std::os::unix::process::CommandExt as _;
        shell.gid(user.group).uid(user.user);
    }
    shell
}

/// Runs a command with a private file in the place of `{}` and waits for it; the file is wiped.
pub async fn with_file(
    command: &str,
    content: &[u8],
    name: Option<&str>,
    holder: Holder,
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
    #[cfg(unix)]
    let user = surroundings.user;
    #[cfg(unix)]
    if user.is_some() {
        // Its name is a secret, and what lies in it is the user's; only this process may change what that is.
        use std::os::unix::fs::PermissionsExt as _;
        let passable = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), passable).map_err(unwritable)?;
    }
    let shell = surrounded(
        &command.replace("{}", &path.display().to_string()),
        surroundings,
    );
    #[cfg(target_os = "linux")]
    if holder == Holder::Pipe {
        let _pipe = super::pipe::Pipe::open(&path, content, user).map_err(unwritable)?;
        return wait(shell).await.map_err(failed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = holder;
    super::edit::write_secret(&path, content).map_err(unwritable)?;
    #[cfg(unix)]
    if let Some(user) = user {
        user.give(&path).map_err(unwritable)?;
    }
    let status = wait(shell).await.map_err(failed);
    super::edit::wipe(&path);
    status
}

/// Runs a command to its end; signals that would end this process go to it instead.
#[cfg(unix)]
pub(super) async fn wait(command: Command) -> std::io::Result<ExitStatus> {
    use std::io::IsTerminal as _;

    use rustix::process::{Pid, Signal, kill_process};
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut child = tokio::process::Command::from(command).spawn()?;
    // A terminal sends what is typed to the command as well.
    let is_typed = std::io::stdin().is_terminal();
    loop {
        let told = tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => (!is_typed).then_some(Signal::INT),
            _ = quit.recv() => (!is_typed).then_some(Signal::QUIT),
            _ = terminate.recv() => Some(Signal::TERM),
            _ = hangup.recv() => Some(Signal::HUP),
        };
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let (Some(signal), Some(pid)) = (told, pid) {
            // It may have ended in this moment.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Runs a command to its end.
#[cfg(not(unix))]
pub(super) async fn wait(command: Command) -> std::io::Result<ExitStatus> {
    tokio::process::Command::from(command).status().await
}

fn failed(cause: std::io::Error) -> Error {
    let is_denied = cause.kind() == std::io::ErrorKind::PermissionDenied;
    let error = Error::new(&CHILD_FAILED, "the command cannot be run").because(cause);
    if is_denied {
        return error
            .help("only root may run it as another user: leave out --user, or begin with sudo");
    }
    error
}
