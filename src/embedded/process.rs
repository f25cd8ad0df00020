//! The detached process that serves a cluster's folder: starting it, finding it, ending it.
//!
//! The process is ksail itself, run with the words the caller gives (`embedded serve --home DIR`). It says that it is
//! ready by writing to the pipe it inherits as its output; nobody polls and nobody sleeps. It holds the folder's lock for
//! as long as it lives, so the lock, not a file with a number, says whether it runs.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::home::Home;
use super::serve;
use crate::diag::codes::embedded::{NOT_STARTED, NOT_STOPPED};
use crate::error::{Error, Result};

/// What the process writes when it answers requests.
const READY: &str = "ready\n";
/// How long a process may take to end once it was asked.
const PATIENCE: i64 = 10;

/// Whether a cluster's folder is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// By this process.
    Running(i32),
    /// By none.
    Stopped,
}

/// Looks whether a cluster runs.
pub fn status(home: &Home) -> State {
    home.holder().map_or(State::Stopped, State::Running)
}

/// Whether a process serves the folder, rather than only holding it: one that was killed lets go last of its lock, one that
/// begins takes it first.
fn is_served(home: &Home) -> bool {
    let State::Running(number) = status(home) else {
        return false;
    };
    let held = Pid::from_raw(number).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let Some(held) = held else {
        // It has ended since, or there are no process handles and the lock is all that is known.
        return status(home) != State::Stopped;
    };
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    let until = Instant::now() + Duration::from_secs(PATIENCE.unsigned_abs());
    while is_ending(number) || !answers(home) {
        let has_ended = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&moment)) == Ok(1);
        if has_ended || status(home) == State::Stopped {
            return false;
        }
        if Instant::now() > until {
            break;
        }
    }
    true
}

/// Whether somebody takes connections where the cluster is reached by now: the first start may have moved it.
fn answers(home: &Home) -> bool {
    Home::open(home.folder()).is_ok_and(|now| TcpStream::connect(now.address()).is_ok())
}

/// Whether a process was killed, though it may still hold locks and take connections: the signal waits to be delivered to it,
/// or it is marked as exiting. See proc(5): `SigPnd`, and the flags of `stat` with PF_EXITING.
fn is_ending(number: i32) -> bool {
    const KILL: u64 = 1 << (Signal::KILL.as_raw() - 1);
    const EXITING: u64 = 0x4;
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{number}/{name}"));
    let status = read("status").unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:"));
    let pending = pending.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    let stat = read("stat").unwrap_or_default();
    // The name before it, in brackets, may hold anything.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let flags = fields.and_then(|fields| fields.split_whitespace().nth(6)?.parse::<u64>().ok());
    pending.is_some_and(|signals| signals & KILL != 0)
        || flags.is_some_and(|flags| flags & EXITING != 0)
}

/// Starts the process that serves a folder and waits until it is ready; does nothing if one is running.
///
/// `program` is the ksail binary. The first start settles the port: what is known of the folder has to be read anew.
pub fn start(home: &Home, program: &Path) -> Result<()> {
    if is_served(home) {
        return Ok(());
    }
    let fail = |what: &str, cause: std::io::Error| {
        Error::new(&NOT_STARTED, what.to_owned()).because(cause)
    };
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(home.server_log())
        .map_err(|cause| fail("the server's log cannot be opened", cause))?;
    let from = log.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut child = Command::new(program)
        .args(["embedded", "serve", "--home"])
        .arg(home.folder())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|cause| fail("the server's process cannot be started", cause))?;
    let mut said = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        let mut buffer = [0; 64];
        // Ends with the word, or with the process: then nobody holds the other end.
        while !said.ends_with(READY) {
            match pipe.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    said.push_str(&String::from_utf8_lossy(bytes));
                }
            }
        }
    }
    if said.ends_with(READY) {
        return Ok(());
    }
    let ended = child.wait();
    // Somebody else may have been quicker; then there is a server, and that is what was asked for.
    if is_served(home) {
        return Ok(());
    }
    let how = match ended {
        Ok(status) => format!(" ({status})"),
        Err(_) => String::new(),
    };
    let message = format!(
        "the server of cluster {} ended before it was ready{how}",
        home.config().name
    );
    let error = Error::new(&NOT_STARTED, message);
    Err(match tail(home, from) {
        text if text.is_empty() => error,
        text => error.because(text),
    })
}

/// Serves a folder as the process that [`start`] has started.
pub fn serve(folder: &Path) -> Result<()> {
    let home = Home::open(folder)?;
    // Its own session, so that a Ctrl-C in the terminal it came from is not meant for it. A leader has one already.
    let _ = rustix::process::setsid();
    serve::run(&home, || tell_ready(&home))
}

/// Tells whoever waits, and lets go of their pipe.
fn tell_ready(home: &Home) {
    let out = rustix::stdio::stdout();
    let _ = rustix::io::write(out, READY.as_bytes());
    let is_pipe = rustix::fs::fstat(out)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_fifo());
    if is_pipe && let Ok(log) = OpenOptions::new().append(true).open(home.server_log()) {
        let _ = rustix::stdio::dup2_stdout(log);
    }
}

/// Asks the process that serves a folder to end, and waits until it has; does nothing if none runs.
pub fn stop(home: &Home) -> Result<()> {
    let State::Running(number) = status(home) else {
        return Ok(());
    };
    let fail = |what: String| Error::new(&NOT_STOPPED, what);
    let Some(pid) = Pid::from_raw(number) else {
        return Err(fail(format!(
            "the lock of cluster {} names no process",
            home.config().name
        )));
    };
    // Held before the signal, so that the number cannot mean another process by then.
    let held = pidfd_open(pid, PidfdFlags::empty());
    if status(home) == State::Stopped {
        return Ok(());
    }
    if let Err(cause) = kill_process(pid, Signal::TERM) {
        if status(home) == State::Stopped {
            return Ok(());
        }
        let error = fail(format!("process {number} cannot be asked to end"));
        return Err(error.because(cause));
    }
    let Ok(held) = held else {
        // Without process handles the lock is what can be waited for.
        return home.wait_unlocked().map_err(|cause| {
            fail(format!("process {number} cannot be waited for")).because(cause)
        });
    };
    let has_ended = || {
        let patience = Timespec {
            tv_sec: PATIENCE,
            tv_nsec: 0,
        };
        let woken = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&patience));
        woken == Ok(1) || status(home) == State::Stopped
    };
    if has_ended() {
        return Ok(());
    }
    // One that hangs is ended all the same: what it acknowledged is on disk.
    let _ = pidfd_send_signal(&held, Signal::KILL);
    if has_ended() {
        return Ok(());
    }
    Err(fail(format!("process {number} was killed and still runs")))
}

/// The last lines that the process wrote.
fn tail(home: &Home, from: u64) -> String {
    let read = || {
        let mut file = std::fs::File::open(home.server_log())?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.take(64 << 10).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(12)..);
    last.unwrap_or_default().join("\n")
}
