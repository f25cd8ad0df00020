//! The way to a cluster's API: the keys that kubeadm left on a control plane, and the port that the host publishes.

use base64::Engine as _;
use serde_json::Value;

use crate::diag::codes::docker::NO_CONTAINER;
use crate::diag::codes::state::BROKEN_KUBECONFIG;
use crate::distribution::vanilla::{API_PORT, BALANCER, ROLE};
use crate::docker::{self, Engine, Listed};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::world::Access;

/// The administrator's kubeconfig on a control plane.
const ADMIN: &str = "/etc/kubernetes/admin.conf";
/// Docker Desktop's own word for a published port.
const DESKTOP: &str = "desktop.docker.io/ports/6443/tcp";

/// How a cluster's API is reached from here, ours or kind's; stopped ones tell where they will be.
pub(super) async fn of(engine: &Engine, members: &[Listed]) -> Result<Access> {
    let with_role = |role: &str| {
        let mut all = members
            .iter()
            .filter(|one| one.labels.get(ROLE).is_some_and(|label| label == role));
        all.next()
    };
    let first = with_role("control-plane").ok_or_else(|| {
        Error::new(&NO_CONTAINER, "no control plane of the cluster is there")
            .help("run the definition again: what is missing is made anew")
    })?;
    let front = with_role(BALANCER).unwrap_or(first);
    let (server, text) = tokio::try_join!(
        server(engine, front.name.clone(), &first.name),
        engine.get_file(&first.name, ADMIN)
    )?;
    let text = text.ok_or_else(|| {
        Error::new(
            &NO_CONTAINER,
            format!(
                "{} has no {ADMIN}: Kubernetes was never started on it",
                first.name
            ),
        )
        .help("run the definition again, or delete the cluster")
    })?;
    read(&String::from_utf8_lossy(&text), server)
}

/// The address of the API as the host publishes it.
pub(super) async fn server(engine: &Engine, front: String, first: &str) -> Result<String> {
    let seen = match engine.inspect(&front).await? {
        Some(seen) => seen,
        None => engine.expect(first).await?,
    };
    let bound = seen
        .ports
        .iter()
        .find(|bound| bound.container == API_PORT && bound.protocol == "tcp");
    let (mut address, port) = match (bound, seen.labels.get(DESKTOP)) {
        (_, Some(text)) => text.rsplit_once(':').map_or_else(
            || ("127.0.0.1".into(), text.clone()),
            |(a, p)| (a.to_string(), p.to_string()),
        ),
        (Some(bound), None) => (bound.host_address.clone(), bound.host.to_string()),
        (None, None) => {
            return Err(Error::new(
                &NO_CONTAINER,
                format!(
                    "the container {} does not publish the API's port",
                    seen.name
                ),
            )
            .help(format!(
                "`docker logs {}` says why it does not run",
                seen.name
            )));
        }
    };
    if ["0.0.0.0", "::", ""].contains(&address.as_str()) {
        // The certificate has this name whatever address was chosen, also on clusters that kind made.
        let host = elsewhere(engine.address());
        address = host.unwrap_or_else(|| "localhost".into());
    }
    if address.contains(':') && !address.starts_with('[') {
        address = format!("[{address}]");
    }
    Ok(format!("https://{address}:{port}"))
}

/// The host of an engine of another machine.
pub(super) fn elsewhere(engine: &str) -> Option<String> {
    let host = docker::remote(engine)?;
    let is_here = host == "localhost" || host.starts_with("127.") || host == "::1";
    (!is_here).then_some(host)
}

/// Takes the keys out of the administrator's kubeconfig.
fn read(text: &str, server: String) -> Result<Access> {
    let broken = || {
        Error::new(
            &BROKEN_KUBECONFIG,
            format!("{ADMIN} on the control plane is no kubeconfig"),
        )
    };
    let value: Value = serde_saphyr::from_str(text).map_err(|cause| broken().because(cause))?;
    let decoded = |pointer: &str| -> Result<String> {
        let coded = value
            .pointer(pointer)
            .and_then(Value::as_str)
            .ok_or_else(broken)?;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(coded.trim())
            .map_err(|cause| broken().because(cause))?;
        String::from_utf8(bytes).map_err(|cause| broken().because(cause))
    };
    Ok(Access {
        server,
        authority: decoded("/clusters/0/cluster/certificate-authority-data")?,
        certificate: decoded("/users/0/user/client-certificate-data")?,
        key: Secret::new(decoded("/users/0/user/client-key-data")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_keys_out_of_a_kubeconfig() {
        let text = "apiVersion: v1\nclusters:\n- cluster: {certificate-authority-data: Q0E=}\nusers:\n- user: {client-certificate-data: Q1JU, client-key-data: S0VZ}\n";
        let access = read(text, "https://127.0.0.1:1".into()).unwrap();
        assert_eq!(
            (
                access.authority.as_str(),
                access.certificate.as_str(),
                access.key.expose()
            ),
            ("CA", "CRT", "KEY")
        );
        assert_eq!(read("a: b", String::new()).unwrap_err().code().id, "E0604");
    }
}
