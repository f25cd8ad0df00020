//! The way to a cluster's API: the kubeconfig that a server wrote, and the port that the host publishes.

use std::time::Duration;

use base64::Engine as _;
use futures::FutureExt as _;
use serde_json::Value;

use super::{every, machine};
use crate::diag::codes::docker::NO_CONTAINER;
use crate::diag::codes::state::BROKEN_KUBECONFIG;
use crate::distribution::k3s::KUBECONFIG;
use crate::distribution::k3s::label::{API_HOST, API_PORT, ROLE};
use crate::docker::{self, Engine, Life, Listed};
use crate::error::{Error, Result};
use crate::k8s;
use crate::provider::docker::Job;
use crate::secret::Secret;
use crate::world::{Access, Happening};

/// How often the API server is asked whether it is ready.
const PACE: Duration = Duration::from_millis(50);
/// How often it is looked for the kubeconfig that a server writes.
const SEARCH: Duration = Duration::from_millis(250);
/// How long it may take; a server whose log stands still is given up on earlier.
const PATIENCE: Duration = Duration::from_mins(15);

/// How a cluster's API is reached from here, ours or k3d's.
pub(super) async fn of(engine: &Engine, members: &[Listed]) -> Result<Access> {
    let mut servers: Vec<&Listed> = members
        .iter()
        .filter(|one| one.labels.get(ROLE).is_some_and(|role| role == "server"))
        .collect();
    servers.sort_by_key(|one| one.life != Life::Running);
    let missing = |what: &str| {
        Error::new(&NO_CONTAINER, what.to_string())
            .help("run the definition again: what is missing is made anew")
    };
    let server = servers
        .first()
        .ok_or_else(|| missing("no server of the cluster is there"))?;
    let port = server
        .labels
        .get(API_PORT)
        .filter(|port| !port.is_empty())
        .ok_or_else(|| {
            missing(&format!(
                "{} does not say where its API is published",
                server.name
            ))
        })?;
    let host = match server.labels.get(API_HOST).map(String::as_str) {
        None | Some("" | "0.0.0.0" | "::") => {
            docker::remote(engine.address()).unwrap_or_else(|| "127.0.0.1".into())
        }
        Some(host) => host.to_string(),
    };
    let text = engine.get_file(&server.id, KUBECONFIG).await?;
    let text = text.ok_or_else(|| {
        missing(&format!(
            "{} has no {KUBECONFIG}: k3s was never started in it",
            server.name
        ))
    })?;
    read(
        &String::from_utf8_lossy(&text),
        format!("https://{host}:{port}"),
    )
}

fn read(text: &str, server: String) -> Result<Access> {
    let broken = |what: &str| {
        Error::new(
            &BROKEN_KUBECONFIG,
            format!("the kubeconfig of the server has no {what}"),
        )
        .help("delete the cluster and run again")
    };
    let value: Value =
        serde_saphyr::from_str(text).map_err(|cause| broken("form").because(cause))?;
    let decode = |path: &str, what: &str| -> Result<String> {
        let base64 = base64::engine::general_purpose::STANDARD;
        value
            .pointer(path)
            .and_then(Value::as_str)
            .and_then(|text| base64.decode(text).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| broken(what))
    };
    Ok(Access {
        server,
        authority: decode(
            "/clusters/0/cluster/certificate-authority-data",
            "authority",
        )?,
        certificate: decode("/users/0/user/client-certificate-data", "certificate")?,
        key: Secret::new(decode("/users/0/user/client-key-data", "key")?),
    })
}

/// Waits until the API answers that it is ready, as long as the server lives and says something new.
pub(super) async fn wait(job: &Job<'_>, server: &str) -> Result<k8s::Client> {
    job.work.report.tell(Happening::Waiting {
        on: "the API server".into(),
        saw: "it starts".into(),
    });
    // The kubeconfig is written early and what is in it stays: an engine that is asked for a file again and again takes the
    // processor from the server that starts.
    let find = || async move { Ok(job.client().await.ok()) }.boxed();
    let label = every(job);
    let ready = async {
        let client = job
            .engine
            .until(&label, "the server's kubeconfig", SEARCH, PATIENCE, find)
            .await?;
        let ask = || {
            let client = &client;
            async move { Ok((k8s::health(client).await == k8s::Health::Ready).then_some(())) }
                .boxed()
        };
        job.engine
            .until(&label, "the API server", PACE, PATIENCE, ask)
            .await?;
        Ok(client)
    };
    tokio::select! {
        ended = machine::alive(job, server) => Err(ended),
        client = ready => client,
    }
}

/// Waits until the engine has brought a container back.
pub(super) async fn wait_running(job: &Job<'_>, name: &str) -> Result<()> {
    let ask = || {
        async move {
            let seen = job.engine.expect(name).await?;
            Ok((seen.life == Life::Running).then_some(()))
        }
        .boxed()
    };
    job.engine
        .until(&every(job), name, PACE, PATIENCE, ask)
        .await
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_kubeconfig_of_k3s_is_read() {
        let text = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: YQ==\n    server: https://127.0.0.1:6443\n  name: default\nusers:\n- name: default\n  user:\n    client-certificate-data: Yg==\n    client-key-data: Yw==\n";
        let access = read(text, "https://127.0.0.1:6550".into()).unwrap();
        assert_eq!(
            (access.authority.as_str(), access.certificate.as_str()),
            ("a", "b")
        );
        assert_eq!(access.key.expose(), "c");
        assert!(read("clusters: []\n", String::new()).is_err());
        assert!(read("{", String::new()).is_err());
    }
}
