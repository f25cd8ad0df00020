//! The process that removes clusters whose time has come.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::net::unix::pipe::{OpenOptions as Pipe, Receiver};

use super::{LOCK, PIPE, READY};
use crate::diag::codes::state::{NO_REAPER, STATE_UNWRITABLE};
use crate::error::{Error, Result};
use crate::state::lock::{self, Lock};
use crate::state::{Expiry, State};

/// The longest sleep: a clock that is set, or a machine that slept, moves the ends of clusters unseen.
const LONGEST: Duration = Duration::from_mins(1);
/// How long after a failed removal the next one comes; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest time between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Removes clusters as they fall due, until there is none to wait for; returns at once if another process does so.
pub async fn serve(root: &Path, program: &Path) -> Result<()> {
    // Its own session, so that a Ctrl-C in the terminal it came from is not meant for it.
    let _ = rustix::process::setsid();
    let state = State::new(root);
    loop {
        let path = root.join(LOCK);
        let lock = match lock::take(&path) {
            Ok(Lock::Taken(lock)) => lock,
            Ok(Lock::HeldBy(_)) => return Ok(()),
            Err(cause) => {
                let message = format!("{} cannot be locked", path.display());
                return Err(Error::new(&STATE_UNWRITABLE, message).because(cause));
            }
        };
        let pipe = listen(root)?;
        tell_ready();
        work(&state, program, &pipe).await?;
        // Whoever writes an end down from here on finds no listener and starts a new process; what was written before
        // is seen by the last look.
        drop(pipe);
        drop(lock);
        if state.expiries()?.is_empty() {
            return Ok(());
        }
    }
}

/// Tells whoever started the process that it listens; the second time nobody reads it.
fn tell_ready() {
    let _ = rustix::io::write(rustix::stdio::stdout(), READY.as_bytes());
}

fn listen(root: &Path) -> Result<Receiver> {
    let path = root.join(PIPE);
    let fail = |cause: std::io::Error| {
        let message = format!("{} cannot be listened to", path.display());
        Error::new(&NO_REAPER, message).because(cause)
    };
    match mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(cause) => return Err(fail(cause.into())),
    }
    // Open for writing, too: otherwise the pipe ends with every command that rings.
    Pipe::new()
        .read_write(true)
        .open_receiver(&path)
        .map_err(fail)
}

/// A removal that failed.
struct Failure {
    pause: Duration,
    again: Timestamp,
}

async fn work(state: &State, program: &Path, bell: &Receiver) -> Result<()> {
    let mut failures: BTreeMap<String, Failure> = BTreeMap::new();
    loop {
        let all = state.expiries()?;
        failures.retain(|context, _| all.iter().any(|(known, _)| known == context));
        if all.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now();
        let when = |context: &String, expiry: &Expiry| {
            failures
                .get(context)
                .map_or(expiry.expires_at, |failure| failure.again)
        };
        let due: Vec<&(String, Expiry)> = all
            .iter()
            .filter(|(context, expiry)| when(context, expiry) <= now)
            .collect();
        if due.is_empty() {
            let next = all
                .iter()
                .map(|(context, expiry)| when(context, expiry))
                .min();
            let left = next.map_or(LONGEST, |next| {
                Duration::try_from(next - now).unwrap_or(LONGEST)
            });
            rest(bell, left.min(LONGEST)).await;
            continue;
        }
        let removals = due
            .into_iter()
            .map(|(context, expiry)| remove(state, program, context, expiry));
        for (context, is_gone) in join_all(removals).await {
            if is_gone {
                failures.remove(&context);
                continue;
            }
            let pause = failures
                .get(&context)
                .map_or(FIRST_PAUSE, |last| (last.pause * 2).min(LONGEST_PAUSE));
            let again = Timestamp::now()
                .checked_add(pause)
                .unwrap_or(Timestamp::MAX);
            failures.insert(context, Failure { pause, again });
        }
    }
}

/// Sleeps, or is woken.
async fn rest(bell: &Receiver, longest: Duration) {
    let woken = async {
        let mut buffer = [0; 64];
        while bell.readable().await.is_ok() {
            match bell.try_read(&mut buffer) {
                Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(longest, woken).await;
}

/// Has ksail remove one cluster, as its user would: what goes wrong there harms no other.
async fn remove(state: &State, program: &Path, context: &str, expiry: &Expiry) -> (String, bool) {
    let mut command = tokio::process::Command::new(program);
    command
        .args(["cluster", "delete", "--yes", "--if-exists", context])
        .envs(&expiry.environment)
        .env("KSAIL_HOME", state.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let is_gone = command.status().await.is_ok_and(|status| status.success());
    if is_gone {
        // Also of a cluster that was gone before its time, or never came to be.
        if state
            .expiry(context)
            .is_ok_and(|now| now.as_ref() == Some(expiry))
        {
            let _ = state.set_expiry(context, None);
        }
        let _ = std::fs::remove_dir(state.cluster(context));
    }
    (context.to_string(), is_gone)
}
