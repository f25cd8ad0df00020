//! The age key that a GitOps engine decrypts with: found on this machine, put into the cluster as the secret `sops-age`
//! and taken out of it.

use std::path::PathBuf;

use base64::Engine as _;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cipher::key::age;
use crate::cloud::kms;
use crate::diag::codes::cipher::NO_CLUSTER_KEY;
use crate::diag::codes::run::API_FAILED;
use crate::error::{Error, Result};
use crate::k8s;
use crate::secret::Secret;
use crate::step::DecryptionKey;

/// The secret's name, which Kustomizations refer to.
const NAME: &str = "sops-age";
/// The label that says who put it there.
const OWNER: (&str, &str) = ("app.kubernetes.io/managed-by", "ksail");
/// What every age private key begins with.
const PREFIX: &str = "AGE-SECRET-KEY-";

/// Whether the key that must be there is there.
pub(super) fn can(wanted: &DecryptionKey) -> Result<()> {
    match find(wanted, &process) {
        Err(error) if wanted.required => Err(error),
        _ => Ok(()),
    }
}

/// Puts the key into the cluster; a key that nobody asked for by name may be missing.
pub(super) async fn give(client: &Client, wanted: &DecryptionKey) -> Result<()> {
    let key = match find(wanted, &process) {
        Ok(key) => key,
        Err(error) if wanted.required => return Err(error),
        Err(_) => return Ok(()),
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(key.expose());
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": NAME, "namespace": wanted.namespace,
            "labels": { OWNER.0: OWNER.1 },
        },
        "data": { "sops.agekey": encoded },
    });
    k8s::apply(client, &secret).await
}

/// Takes the key out of the cluster; a secret of this name that somebody else put there stays.
pub(super) async fn take(client: &Client, namespace: &str) -> Result<()> {
    let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(client.clone(), namespace);
    let there = secrets.get_opt(NAME).await.map_err(|cause| {
        Error::new(
            &API_FAILED,
            format!("looking for the secret {NAME} in {namespace} failed"),
        )
        .because(cause)
    })?;
    let is_ours = there
        .is_some_and(|secret| secret.labels().get(OWNER.0).map(String::as_str) == Some(OWNER.1));
    if !is_ours {
        return Ok(());
    }
    let own = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": NAME, "namespace": namespace } });
    k8s::remove(client, &own).await
}

fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The private keys, one a line: the variable's, else those of the key file that were asked for.
fn find(wanted: &DecryptionKey, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret> {
    if let Some(text) = env(&wanted.variable).map(Zeroizing::new)
        && let Some(line) = private_keys(&text).next()
    {
        return Ok(Secret::new(line));
    }
    let path = match &wanted.file {
        Some(path) => Some(expanded(path, env)),
        None => kms::collect(env, std::sync::Arc::new(|_| None))?.key_file(),
    };
    let missing = |what: String| {
        Error::new(
            &NO_CLUSTER_KEY,
            format!("there is no age key for the cluster: {what}"),
        )
        .help("make one with `ksail cipher keygen --import`, or set `sops: #{ enabled: false }`")
    };
    let variable = &wanted.variable;
    let Some(path) = path else {
        return Err(missing(format!(
            "{variable} holds none, and there is no key file"
        )));
    };
    let text = std::fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|cause| {
            missing(format!(
                "{variable} holds none, and {} cannot be read",
                path.display()
            ))
            .because(cause)
        })?;
    let chosen: Vec<&str> = private_keys(&text)
        .filter(|line| {
            wanted.public_keys.is_empty()
                || age::public_of(&Secret::new(*line))
                    .is_ok_and(|public| wanted.public_keys.contains(&public))
        })
        .collect();
    if chosen.is_empty() {
        let which = if wanted.public_keys.is_empty() {
            "holds none"
        } else {
            "holds none of `public_keys`"
        };
        return Err(missing(format!("{} {which}", path.display())));
    }
    Ok(Secret::new(chosen.join("\n")))
}

fn private_keys(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with(PREFIX))
}

/// A path with the user's own folder in the place of `~`.
fn expanded(path: &str, env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), env("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::cipher::key::age;
    use crate::step::DecryptionKey;

    fn wanted() -> DecryptionKey {
        DecryptionKey {
            namespace: "flux-system".into(),
            variable: "SOPS_AGE_KEY".into(),
            file: None,
            public_keys: Vec::new(),
            required: true,
        }
    }

    #[test]
    fn the_variable_comes_first_and_gives_one_key() {
        let env = |name: &str| {
            (name == "SOPS_AGE_KEY")
                .then(|| "# x\nAGE-SECRET-KEY-1A\nAGE-SECRET-KEY-1B".to_string())
        };
        assert_eq!(find(&wanted(), &env).unwrap().expose(), "AGE-SECRET-KEY-1A");
    }

    #[test]
    fn the_key_file_gives_all_keys_or_those_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (one, public) = age::generate();
        let (two, _) = age::generate();
        let text = format!("# a\n{}\n{}\n", one.expose(), two.expose());
        std::fs::write(folder.path().join("keys.txt"), text).unwrap();
        let home = folder.path().display().to_string();
        let env = move |name: &str| (name == "HOME").then(|| home.clone());
        let mut wanted = wanted();
        wanted.file = Some("~/keys.txt".into());
        let all = find(&wanted, &env).unwrap();
        assert_eq!(all.expose(), format!("{}\n{}", one.expose(), two.expose()));
        wanted.public_keys = vec![public];
        assert_eq!(find(&wanted, &env).unwrap().expose(), one.expose());
        wanted.public_keys = vec!["age1other".into()];
        assert_eq!(find(&wanted, &env).unwrap_err().code().id, "E0958");
    }

    #[test]
    fn a_missing_key_names_the_variable_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let env = move |name: &str| (name == "HOME").then(|| home.clone());
        let error = find(&wanted(), &env).unwrap_err();
        assert_eq!(error.code().id, "E0958");
        assert!(error.message().contains("SOPS_AGE_KEY"), "{error:?}");
        assert!(error.message().contains("keys.txt"), "{error:?}");
    }
}
