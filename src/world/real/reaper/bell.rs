//! Writing a cluster's end down and waking whoever removes it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use rustix::fs::OFlags;

use super::{LOG, PIPE, READY};
use crate::diag::codes::state::NO_REAPER;
use crate::error::{Error, Result};
use crate::state::{Expiry, State};
use crate::world::Deadlines;

/// How often a process that ends just now is asked for anew.
const TRIES: usize = 3;
/// What the process that removes a cluster needs to know of the one that made it. None of these holds a secret.
const CARRIED: &[&str] = &[
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
];

/// Writes ends down and rings for whoever brings them about.
#[derive(Clone, Debug)]
pub struct Bell {
    state: State,
    program: PathBuf,
    kubeconfig: Vec<PathBuf>,
}

impl Bell {
    /// Uses this state folder, this ksail binary, and these files as the user's kubeconfig.
    pub fn new(state: State, program: PathBuf, kubeconfig: Vec<PathBuf>) -> Self {
        Self {
            state,
            program,
            kubeconfig,
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, String> = CARRIED
            .iter()
            .filter_map(|name| Some(((*name).to_string(), std::env::var(name).ok()?)))
            .collect();
        let absolute = self
            .kubeconfig
            .iter()
            .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        if let Ok(paths) = std::env::join_paths(absolute)
            && let Ok(paths) = paths.into_string()
        {
            found.insert("KUBECONFIG".into(), paths);
        }
        found
    }

    /// Wakes the process, or starts it.
    fn ring(&self) -> Result<()> {
        for _ in 0..TRIES {
            if self.is_heard() || self.start()? {
                return Ok(());
            }
            // Another one was ending, or was started at the same moment: ring again.
        }
        let message = "the process that removes clusters cannot be reached";
        Err(failed(message).because(format!("see {}", self.state.root().join(LOG).display())))
    }

    fn is_heard(&self) -> bool {
        // Without a reader the pipe cannot be opened.
        let pipe = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(self.state.root().join(PIPE));
        let Ok(mut pipe) = pipe else { return false };
        // A full pipe wakes as well as one byte more would.
        match pipe.write_all(b".") {
            Ok(()) => true,
            Err(cause) => cause.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// Starts the process; `false` if it ended because there is one.
    fn start(&self) -> Result<bool> {
        let root = self.state.root();
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(root.join(LOG))
            .map_err(|cause| {
                failed("the log of the process that removes clusters cannot be opened")
                    .because(cause)
            })?;
        let mut child = Command::new(&self.program)
            .arg("reaper")
            .arg("--state")
            .arg(root)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|cause| {
                failed("the process that removes clusters cannot be started").because(cause)
            })?;
        let mut said = [0; READY.len()];
        let heard = child
            .stdout
            .take()
            .is_some_and(|mut pipe| pipe.read_exact(&mut said).is_ok());
        if heard {
            return Ok(true);
        }
        let _ = child.wait();
        Ok(false)
    }
}

impl Deadlines for Bell {
    fn read(&self, context: &str) -> Result<Option<u64>> {
        Ok(self.state.expiry(context)?.map(|expiry| expiry.seconds()))
    }

    fn set<'a>(&'a self, context: &'a str, after: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        let bell = self.clone();
        let context = context.to_string();
        async move {
            let work = move || {
                let expiry = after.map(|after| Expiry::after(after, bell.environment()));
                bell.state.set_expiry(&context, expiry.as_ref())?;
                match expiry {
                    Some(_) => bell.ring(),
                    None => Ok(()),
                }
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(cause) => Err(failed("writing the deadline was cut off").because(cause)),
            }
        }
        .boxed()
    }

    fn keep(&self) -> Result<()> {
        if self.state.expiries()?.is_empty() {
            return Ok(());
        }
        self.ring()
    }
}

fn failed(message: &str) -> Error {
    Error::new(&NO_REAPER, message)
}
