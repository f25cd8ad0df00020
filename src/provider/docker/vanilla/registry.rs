//! What containerd is told of registries: one `hosts.toml` for each, in a folder of its own.

use base64::Engine as _;
use futures::future::try_join_all;

use super::super::Job;
use crate::distribution::vanilla::Settings;
use crate::error::Result;
use crate::secret::Secret;
use crate::spec::registry::{Credentials, Mirror, Registry};
use crate::spec::{Spec, Tree};
use crate::step::File;

/// Where containerd looks.
const FOLDER: &str = "/etc/containerd/certs.d";

/// What the files begin with that were written for a definition; others are somebody else's.
const OURS: &str = "# written by ksail\n";
/// Removes the files that were written for a definition.
const SWEEP: &str =
    "grep -lsx '# written by ksail' /etc/containerd/certs.d/*/hosts.toml | xargs -r rm -f";

/// Tells nodes that run of the registries there are now; containerd looks at its files whenever it pulls.
pub(super) async fn rewire(job: &Job<'_>, nodes: &[String]) -> Result<()> {
    let files = files(job.spec()?)?;
    let files = files.as_slice();
    let all = nodes.iter().map(|node| async move {
        let answer = job.engine.exec(node, &["sh", "-c", SWEEP], None).await?;
        answer.success(format!("taking back what {node} knew of registries"))?;
        job.engine.put_files(node, files).await
    });
    try_join_all(all).await.map(|_| ())
}

/// The files of all registries of a definition.
pub(super) fn files(spec: &Spec) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for text in texts(spec, "mirrors") {
        let mirror = Mirror::parse(text)?;
        let cache = mirror.host.replace(['/', ':'], "-");
        let cache = format!("http://{}-{cache}:5000", spec.name);
        let content = format!(
            "server = \"{}\"\n\n[host.\"{cache}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
            mirror.upstream
        );
        files.push(hosts(&mirror.host, Secret::new(content)));
    }
    match spec.settings.get("local_registry") {
        Some(Tree::Bool(true)) => files.extend(local(spec, crate::spec::registry::LOCAL_PORT)),
        Some(Tree::Text(text)) => {
            let registry = Registry::parse(text)?;
            if registry.is_external() {
                files.extend(external(&registry));
            } else {
                files.extend(local(spec, registry.port));
            }
        }
        _ => {}
    }
    let list = spec.settings.get("registries").and_then(Tree::as_list);
    for entry in list.unwrap_or_default() {
        if let Some(registry) = given(entry)? {
            files.extend(external(&registry));
        }
    }
    // The user's own files win over what was made of the settings.
    let own = Settings::of(spec).mirror_files;
    files.retain(|file| {
        !own.keys()
            .any(|path| file.path == format!("{FOLDER}/{path}"))
    });
    files.extend(own.into_iter().map(|(path, text)| File {
        path: format!("{FOLDER}/{path}"),
        mode: 0o600,
        content: Secret::new(text),
    }));
    Ok(files)
}

/// The local registry is `localhost` to people and its container's name to nodes.
fn local(spec: &Spec, port: u16) -> Vec<File> {
    let name = format!("{}-local-registry", spec.name);
    let content = format!("[host.\"http://{name}:5000\"]\n");
    [format!("localhost:{port}"), format!("{name}:5000")]
        .iter()
        .map(|host| hosts(host, Secret::new(content.clone())))
        .collect()
}

/// A registry elsewhere that wants credentials.
fn external(registry: &Registry) -> Option<File> {
    let Credentials { username, password } = registry.credentials.as_ref()?;
    let host = match registry.port {
        0 => registry.host.clone(),
        port => format!("{}:{port}", registry.host),
    };
    let who = format!("{username}:{}", password.expose());
    let who = base64::engine::general_purpose::STANDARD.encode(who);
    let content = format!(
        "server = \"https://{host}\"\n\n[host.\"https://{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  [host.\"https://{host}\".header]\n    Authorization = [\"Basic {who}\"]\n"
    );
    Some(hosts(&host, Secret::new(content)))
}

fn given(entry: &Tree) -> Result<Option<Registry>> {
    match entry {
        Tree::Text(text) => Registry::parse(text).map(Some),
        Tree::Map(map) => {
            let text = |key: &str| map.get(key).and_then(Tree::as_text);
            let Some(host) = text("host") else {
                return Ok(None);
            };
            let mut registry = Registry::parse(host)?;
            let password = match map.get("password") {
                Some(Tree::Secret(secret)) => Some(secret.clone()),
                Some(Tree::Text(text)) => Some(Secret::new(text.clone())),
                _ => None,
            };
            if let (Some(username), Some(password)) = (text("username"), password) {
                let username = username.to_string();
                registry.credentials = Some(Credentials { username, password });
            }
            Ok(Some(registry))
        }
        _ => Ok(None),
    }
}

fn hosts(host: &str, content: Secret) -> File {
    File {
        path: format!("{FOLDER}/{host}/hosts.toml"),
        // It may hold credentials; only containerd, which is root, reads it.
        mode: 0o600,
        content: Secret::new(format!("{OURS}{}", content.expose())),
    }
}

fn texts<'a>(spec: &'a Spec, key: &str) -> Vec<&'a str> {
    let list = spec.settings.get(key).and_then(Tree::as_list);
    list.unwrap_or_default()
        .iter()
        .filter_map(Tree::as_text)
        .collect()
}
