//! Where things are on this machine, from the environment; the threads that commands work with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::show;
use crate::diag::codes::command::NO_RUNTIME;
use crate::docker::Settings;
use crate::error::{Error, Result};
use crate::world::World as _;
use crate::world::real::{Machine, Places};

/// The places that the environment names.
pub(super) fn places() -> Result<Places> {
    let program = std::env::current_exe().map_err(|cause| {
        Error::new(&NO_RUNTIME, "ksail cannot find its own program").because(cause)
    })?;
    let home = etcetera::home_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let state = std::env::var_os("KSAIL_HOME")
        .filter(|value| !value.is_empty())
        .map_or_else(|| home.join(".ksail"), PathBuf::from);
    let kubeconfig = match std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
        Some(list) => std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        None => vec![home.join(".kube").join("config")],
    };
    // Embedded clusters outlive the folder that the command was given in.
    let state = std::path::absolute(&state).unwrap_or(state);
    Ok(Places {
        state,
        program,
        kubeconfig,
        docker: docker(&home),
        kwok: folder("KWOK_WORKDIR").unwrap_or_else(|| home.join(".kwok")),
    })
}

/// What the environment says of the Docker engine.
fn docker(home: &Path) -> Settings {
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Settings {
        host: text("DOCKER_HOST"),
        context: text("DOCKER_CONTEXT"),
        config: folder("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker")),
        tls: text("DOCKER_TLS_VERIFY").is_some(),
        certificates: folder("DOCKER_CERT_PATH"),
        runtime: folder("XDG_RUNTIME_DIR"),
        platform: text("DOCKER_DEFAULT_PLATFORM"),
        owner: None,
    }
}

fn folder(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// This machine's world.
pub(super) fn world() -> Result<Arc<Machine>> {
    let machine = Machine::new(places()?);
    // Whoever removes clusters in time may have ended with the machine. A command about something else goes on without.
    if let Err(problem) = machine.deadlines().keep() {
        show::note(&problem.to_string());
    }
    Ok(Arc::new(machine))
}

/// The threads that wait for the outside.
pub(super) fn threads() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|cause| {
            Error::new(&NO_RUNTIME, "the program's threads cannot be started").because(cause)
        })
}

/// Runs work that waits for the outside; Ctrl-C cancels it, a second one ends the program at once.
pub(super) fn block_on<T>(work: impl AsyncFnOnce(CancellationToken) -> Result<T>) -> Result<T> {
    let runtime = threads()?;
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        show::note("cancelling: finishing the steps that have begun; press Ctrl-C again to stop now");
        token.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            show::note("stopped; what was begun is left as it is: run again to continue, or add --destroy to remove it");
            stop();
        }
    });
    let result = runtime.block_on(work(cancel));
    // Threads that still work on a file or a script are not waited for.
    runtime.shutdown_background();
    result
}

/// Runs short work on this very thread: a single file is done before other threads have started. Ctrl-C ends the program,
/// which is safe because files are replaced whole.
pub(super) fn block_on_here<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| {
            Error::new(&NO_RUNTIME, "the program's clock cannot be started").because(cause)
        })?
        .block_on(work)
}

#[allow(clippy::exit, reason = "the second Ctrl-C means now")]
fn stop() {
    std::process::exit(130);
}
