//! The engine's refusals as diagnostics: the one place that reads its words.

use bollard::errors::Error as Cause;

use crate::diag::codes::docker::{
    ENGINE_DENIED, ENGINE_FAILED, ENGINE_GONE, ENGINE_REFUSED, NAME_TAKEN, NO_CONTAINER, NO_ENGINE,
    NO_IMAGE, NO_RIGHTS, NO_SPACE, NO_SUBNET, PORT_TAKEN, SUBNET_TAKEN, WRONG_PLATFORM,
};
use crate::error::{Error, Result};

/// What to do about an image whose programs this machine cannot run.
pub(super) const OTHER_PLATFORM: &str = "remove the image with `docker rmi` and run again, which pulls the one of the engine's own platform; \
     DOCKER_DEFAULT_PLATFORM names another, where the host can run it";

/// Says that the engine cannot be reached in the first place.
pub(super) fn unreachable(address: &str, cause: Cause) -> Error {
    if let Cause::CertPathError { path }
    | Cause::CertParseError { path }
    | Cause::CertMultipleKeys { path, .. } = &cause
    {
        return super::connect::bad_certificates(path);
    }
    if is_denied(&cause) {
        return Error::new(
            &ENGINE_DENIED,
            format!("the engine at {address} lets this user not in"),
        )
        .because(cause)
        .help("add the user to the group `docker` and log in again, or use rootless Docker");
    }
    Error::new(&NO_ENGINE, format!("no Docker engine answers at {address}"))
        .because(cause)
        .help("start it, name another with DOCKER_HOST or DOCKER_CONTEXT, or add `--simulate`")
}

/// Says that a request failed while the engine worked on it.
pub(super) fn fault(what: impl std::fmt::Display, cause: Cause) -> Error {
    let message = format!("{what} failed");
    match &cause {
        Cause::DockerResponseServerError {
            status_code,
            message: words,
        } => answered(&message, *status_code, words),
        Cause::DockerStreamError { error } => answered(&message, 500, error),
        Cause::DockerContainerWaitError { error, .. } => answered(&message, 500, error),
        Cause::JsonDataError { .. } | Cause::JsonSerdeError { .. } => {
            Error::new(&ENGINE_FAILED, message)
                .because(cause)
                .help("is it a Docker engine that answers there?")
        }
        _ if is_denied(&cause) => Error::new(&ENGINE_DENIED, message)
            .because(cause)
            .help("add the user to the group `docker` and log in again, or use rootless Docker"),
        _ => Error::new(&ENGINE_GONE, message)
            .because(cause)
            .help("once the engine is back, run again to continue"),
    }
}

/// The engine's own words, sorted by what the user can do about them.
pub(super) fn answered(message: &str, status: u16, words: &str) -> Error {
    let low = words.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| low.contains(part));
    let (code, help) = if has(&[
        "port is already allocated",
        "address already in use",
        "ports are not available",
    ]) {
        (&PORT_TAKEN, "stop what has the port, or choose another")
    } else if has(&["no space left on device", "disk quota exceeded"]) {
        (&NO_SPACE, "make room: `docker system prune`, `ksail gc`")
    } else if has(&[
        "non-overlapping ipv4 address pool",
        "predefined address pools",
        "no available network",
    ]) {
        (
            &NO_SUBNET,
            "remove networks that nobody uses: `docker network prune`, `ksail gc`",
        )
    } else if has(&["pool overlaps", "networks have overlapping"]) {
        (
            &SUBNET_TAKEN,
            "choose another range, or remove the network that has it: `docker network ls`",
        )
    } else if status == 409 && has(&["is already in use by container", "already exists"]) {
        (
            &NAME_TAKEN,
            "remove or rename the other one, or give the cluster another name",
        )
    } else if has(&[
        "exec format error",
        "no matching manifest",
        "does not match the specified platform",
    ]) {
        (&WRONG_PLATFORM, OTHER_PLATFORM)
    } else if has(&[
        "no such image",
        "manifest unknown",
        "pull access denied",
        "repository does not exist",
    ]) {
        (
            &NO_IMAGE,
            "check the image's name and tag, or load it with `docker load`",
        )
    } else if has(&[
        "operation not permitted",
        "privileged mode is incompatible",
        "permission denied: unknown",
    ]) {
        (&NO_RIGHTS, "`ksail doctor` says what the host holds back")
    } else if status == 404 && has(&["no such container", "no container with"]) {
        (&NO_CONTAINER, "run again: what is missing is made anew")
    } else if has(&["did not receive an exit event"]) {
        (
            &ENGINE_FAILED,
            "a process in it does not end; with cgroups of the first version it may be frozen: write THAWED into each \
             freezer.state below the container's folder in /sys/fs/cgroup/freezer, or restart the host",
        )
    } else if status == 429 || status >= 500 {
        (&ENGINE_FAILED, "the engine's own log says more")
    } else {
        (&ENGINE_REFUSED, "mend what the engine names and run again")
    };
    Error::new(code, message)
        .because(words.trim().to_string())
        .help(help)
}

/// Turns "there is none" into `None`.
pub(super) fn absent<T>(
    what: impl std::fmt::Display,
    answer: std::result::Result<T, Cause>,
) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Cause::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(cause) => Err(fault(what, cause)),
    }
}

fn is_denied(cause: &Cause) -> bool {
    // This kind passes its own cause over when it is asked for it.
    if let Cause::IOError { err } = cause {
        return err.kind() == std::io::ErrorKind::PermissionDenied;
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(cause);
    while let Some(error) = next {
        let kind = error
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::PermissionDenied) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{answered, fault, unreachable};

    #[test]
    fn the_engines_words_become_codes() {
        for (status, words, code) in [
            (
                500,
                "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
                "E0811",
            ),
            (500, "mkdir /var/lib: no space left on device", "E0812"),
            (
                500,
                "could not find an available, non-overlapping IPv4 address pool among the defaults",
                "E0813",
            ),
            (
                403,
                "Pool overlaps with other one on this address space",
                "E0844",
            ),
            (
                409,
                "Conflict. The container name \"/x\" is already in use by container \"1\"",
                "E0814",
            ),
            (404, "No such image: x:1", "E0809"),
            (400, "exec /x: exec format error: unknown", "E0846"),
            (
                404,
                "image with reference x was found but does not match the specified platform: wanted linux/arm64",
                "E0846",
            ),
            (404, "No such container: x", "E0819"),
            (500, "something else", "E0807"),
            (429, "slow down", "E0807"),
            (400, "invalid mount", "E0808"),
            (
                500,
                "failed to create shim task: operation not permitted",
                "E0820",
            ),
        ] {
            assert_eq!(
                answered("x failed", status, words).code().id,
                code,
                "{words}"
            );
        }
    }

    #[test]
    fn a_socket_that_is_barred_is_not_one_that_is_absent() {
        let barred = || bollard::errors::Error::IOError {
            err: std::io::Error::from(std::io::ErrorKind::PermissionDenied),
        };
        assert_eq!(unreachable("unix:///x", barred()).code().id, "E0803");
        assert_eq!(fault("listing containers", barred()).code().id, "E0803");
    }
}
