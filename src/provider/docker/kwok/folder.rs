//! The folder of a KWOK cluster below `~/.kwok/clusters`, in the form that kwokctl reads and writes.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::components::{
    COMPONENTS, Images, arguments, container_name, environment, links, mounts, port, program,
    project,
};
use super::keys;
use crate::diag::codes::docker::{FOREIGN_FILE, PORT_TAKEN};
use crate::diag::codes::state::STATE_UNWRITABLE;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::state::write_whole;
use crate::world::Access;

/// Where the search for a port begins; it goes down, as kwokctl's does.
const HIGHEST: u16 = 32_766;
/// Where it ends.
const LOWEST: u16 = 30_000;
/// The version of KWOK whose form of kwok.yaml this is.
const WRITTEN: &str = "0.8.0";

/// The folder of one cluster.
pub(super) struct Folder {
    root: PathBuf,
    name: String,
}

/// What goes into the containers.
pub(super) struct Files {
    /// The host's port of the API server.
    pub(super) port: u16,
    /// The files by their name in the folder.
    pub(super) content: BTreeMap<&'static str, Secret>,
}

/// The clusters of the docker runtime that have a folder.
pub(super) fn clusters(home: &Path) -> Result<Vec<String>> {
    let folder = home.join("clusters");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(&folder, cause)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| {
            let config = Folder::new(home, name).config().ok().flatten();
            config.is_some_and(|config| config["options"]["runtime"] == "docker")
        })
        .collect();
    names.sort();
    Ok(names)
}

impl Folder {
    /// The folder of this cluster.
    pub(super) fn new(home: &Path, name: &str) -> Self {
        Self {
            root: home.join("clusters").join(name),
            name: name.to_string(),
        }
    }

    /// Whether kwokctl would show it.
    pub(super) fn exists(&self) -> bool {
        self.path("kwok.yaml").exists()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Writes what is missing and gives what goes into the containers. Keys that are there stay; so does the port,
    /// unless it is one of those tried.
    pub(super) fn ensure(&self, images: &Images, stages: &str, tried: &[u16]) -> Result<Files> {
        self.keys()?;
        let known = self.port()?.filter(|port| !tried.contains(port));
        let port = match known {
            Some(port) => port,
            None => self.free_port(tried)?,
        };
        let inner = format!(
            "https://{}:6443",
            container_name(&self.name, "kube-apiserver")
        );
        let outer = format!("https://127.0.0.1:{port}");
        let pki = self.path("pki");
        self.write(
            "kubeconfig",
            &kubeconfig(&self.name, &inner, Path::new("/etc/kubernetes/pki")),
        )?;
        self.write("kubeconfig.yaml", &kubeconfig(&self.name, &outer, &pki))?;
        self.write(
            "kwok.yaml",
            &format!("{}{stages}", yaml(&self.kwok_yaml(images, port))),
        )?;
        let mut content = BTreeMap::new();
        for component in COMPONENTS {
            for (file, _) in mounts(component) {
                if !content.contains_key(file) {
                    content.insert(file, Secret::new(self.read(file)?));
                }
            }
        }
        Ok(Files { port, content })
    }

    /// The image of each component.
    pub(super) fn images(&self) -> Result<Images> {
        let config = self.config()?.unwrap_or_default();
        let all = config["components"].as_array().cloned().unwrap_or_default();
        let image = |name: &str| {
            let found = all.iter().find(|one| one["name"] == *name);
            found.and_then(|one| Some(one["image"].as_str()?.to_string()))
        };
        let missing = |name: &str| {
            let path = self.path("kwok.yaml");
            let message = format!("{} names no image of {name}", path.display());
            Error::new(&FOREIGN_FILE, message).help("delete the cluster and run again")
        };
        COMPONENTS
            .iter()
            .map(|name| Ok((*name, image(name).ok_or_else(|| missing(name))?)))
            .collect()
    }

    /// Everything that kwok.yaml says beside the cluster itself: what nodes and pods go through.
    pub(super) fn stages(&self) -> Result<String> {
        let text = self.read("kwok.yaml")?;
        let rest = text.split_once("\n---");
        Ok(rest.map_or(String::new(), |(_, rest)| format!("---{rest}")))
    }

    /// The way to the API, ours or kwokctl's.
    pub(super) fn access(&self) -> Result<Access> {
        let port = self.port()?.ok_or_else(|| {
            Error::new(
                &FOREIGN_FILE,
                format!(
                    "{} names no port of the API server",
                    self.path("kwok.yaml").display()
                ),
            )
            .help("delete the cluster and run again")
        })?;
        Ok(Access {
            server: format!("https://127.0.0.1:{port}"),
            authority: self.read("pki/ca.crt")?,
            certificate: self.read("pki/admin.crt")?,
            key: Secret::new(self.read("pki/admin.key")?),
        })
    }

    /// Removes the folder, the file that makes it a cluster first.
    pub(super) fn remove(&self) -> Result<()> {
        for outcome in [
            std::fs::remove_file(self.path("kwok.yaml")),
            std::fs::remove_dir_all(&self.root),
        ] {
            match outcome {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unwritable(&self.root, cause));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The ports that other clusters have been given.
    pub(super) fn ports_of_others(&self) -> Result<Vec<u16>> {
        let Some(home) = self.root.parent().and_then(Path::parent) else {
            return Ok(Vec::new());
        };
        let mut ports = Vec::new();
        for name in clusters(home)?
            .into_iter()
            .filter(|name| *name != self.name)
        {
            ports.extend(Folder::new(home, &name).port().ok().flatten());
        }
        Ok(ports)
    }

    fn port(&self) -> Result<Option<u16>> {
        let config = self.config()?;
        let port = config
            .as_ref()
            .and_then(|config| config["options"]["kubeApiserverPort"].as_u64());
        Ok(port
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0))
    }

    /// The first document of kwok.yaml; `None` if there is no file.
    fn config(&self) -> Result<Option<Value>> {
        let path = self.path("kwok.yaml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(unreadable(&path, cause)),
        };
        let first = text.split("\n---").next().unwrap_or_default();
        serde_yaml::from_str(first)
            .map(Some)
            .map_err(|cause| unreadable(&path, cause))
    }

    /// A port that nobody listens on now; the engine has the last word when the container starts.
    fn free_port(&self, tried: &[u16]) -> Result<u16> {
        let free = (LOWEST..=HIGHEST)
            .rev()
            .find(|port| !tried.contains(port) && TcpListener::bind(("0.0.0.0", *port)).is_ok());
        free.ok_or_else(|| {
            Error::new(
                &PORT_TAKEN,
                format!("no port from {LOWEST} to {HIGHEST} is free"),
            )
            .help("stop what uses them")
        })
    }

    /// Makes the keys unless they are there; all of them appear at once.
    fn keys(&self) -> Result<()> {
        let pki = self.path("pki");
        if pki.exists() {
            return Ok(());
        }
        let fresh = keys::fresh(&self.name)?;
        let fail = |cause: std::io::Error| unwritable(&self.root, cause);
        std::fs::create_dir_all(&self.root).map_err(fail)?;
        let new = tempfile::Builder::new()
            .prefix(".pki-")
            .tempdir_in(&self.root)
            .map_err(fail)?;
        for (file, text) in [
            ("ca.key", fresh.authority_key.expose()),
            ("ca.crt", fresh.authority.as_str()),
            ("admin.key", fresh.key.expose()),
            ("admin.crt", fresh.certificate.as_str()),
        ] {
            write_whole(&new.path().join(file), text.as_bytes()).map_err(fail)?;
        }
        std::fs::rename(new.keep(), &pki).map_err(fail)
    }

    fn kwok_yaml(&self, images: &Images, host_port: u16) -> Value {
        let tag = |component: &str| -> String {
            let image = images.get(component).map_or("", String::as_str);
            image.rsplit(':').next().unwrap_or_default().to_string()
        };
        let components: Vec<Value> = COMPONENTS
            .iter()
            .map(|component| {
                let (port_name, number) = port(component);
                let mut open = json!({ "name": port_name, "port": number, "protocol": "TCP" });
                if *component == "kube-apiserver" {
                    open["hostPort"] = json!(host_port);
                }
                let volumes: Vec<Value> = mounts(component)
                    .into_iter()
                    .map(|(file, path)| json!({ "hostPath": self.path(file), "mountPath": path, "readOnly": true }))
                    .collect();
                let envs: Vec<Value> = environment(component)
                    .iter()
                    .map(|(name, value)| json!({ "name": name, "value": value }))
                    .collect();
                json!({
                    "name": component, "image": images.get(component), "version": tag(component).trim_start_matches('v'),
                    "command": [program(component)], "args": arguments(&self.name, component),
                    "links": links(component), "ports": [open], "volumes": volumes, "envs": envs,
                    "workDir": self.root,
                })
            })
            .collect();
        let image = |component: &str| images.get(component).cloned().unwrap_or_default();
        json!({
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "metadata": { "name": self.name },
            "options": {
                "runtime": "docker",
                "runtimes": ["docker"],
                "components": COMPONENTS,
                "securePort": true,
                "kubeAuthorization": true,
                "kubeAdmission": true,
                "kubeVersion": tag("kube-apiserver"),
                "kubeApiserverPort": host_port,
                "kubeApiserverImage": image("kube-apiserver"),
                "kubeControllerManagerImage": image("kube-controller-manager"),
                "kubeSchedulerImage": image("kube-scheduler"),
                "kwokVersion": tag("kwok-controller"),
                "kwokControllerImage": image("kwok-controller"),
                "etcdVersion": tag("etcd"),
                "etcdImage": image("etcd"),
                "etcdPrefix": "/registry",
                "etcdQuotaBackendSize": "8Gi",
                "bindAddress": "0.0.0.0",
                "heartbeatFactor": 1,
                "nodeLeaseDurationSeconds": 200,
                "nodeStatusUpdateFrequencyMilliseconds": 50_000,
                "kubeControllerManagerNodeMonitorPeriodMilliseconds": 25_000,
                "kubeControllerManagerNodeMonitorGracePeriodMilliseconds": 200_000,
            },
            "components": components,
            "status": { "version": WRITTEN },
        })
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.path(file);
        std::fs::read_to_string(&path).map_err(|cause| unreadable(&path, cause))
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.path(file);
        // A file that says the same is left alone: kwokctl may be reading it.
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        write_whole(&path, text.as_bytes()).map_err(|cause| unwritable(&path, cause))
    }
}

fn kubeconfig(name: &str, server: &str, pki: &Path) -> String {
    let name = project(name);
    yaml(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": { "server": server, "certificate-authority": pki.join("ca.crt") } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
        "users": [{ "name": name, "user": {
            "client-certificate": pki.join("admin.crt"), "client-key": pki.join("admin.key"),
        } }],
    }))
}

fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}

fn unreadable(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(&FOREIGN_FILE, format!("{} cannot be read", path.display()))
        .because(cause)
        .help("mend it, or delete the cluster with the tool that made it")
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(
        &STATE_UNWRITABLE,
        format!("{} cannot be written", path.display()),
    )
    .because(cause)
    .help("check the folder's owner, its mode and the free space")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::docker::kwok::stages::STAGES;

    fn images() -> Images {
        COMPONENTS
            .iter()
            .map(|component| (*component, format!("x/{component}:v1.35.4")))
            .collect()
    }

    #[test]
    fn a_second_run_finds_keys_and_port_as_they_were() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path(), "dev");
        let first = folder.ensure(&images(), STAGES, &[]).unwrap();
        let before = std::fs::read_to_string(folder.path("kwok.yaml")).unwrap();
        let second = folder.ensure(&images(), STAGES, &[]).unwrap();
        assert_eq!(first.port, second.port);
        assert_eq!(first.content, second.content);
        assert_eq!(
            before,
            std::fs::read_to_string(folder.path("kwok.yaml")).unwrap()
        );
        assert_eq!(clusters(home.path()).unwrap(), ["dev"]);
        assert_eq!(
            folder.access().unwrap().server,
            format!("https://127.0.0.1:{}", first.port)
        );
        let third = folder.ensure(&images(), STAGES, &[first.port]).unwrap();
        assert_ne!(first.port, third.port);
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert!(clusters(home.path()).unwrap().is_empty());
    }

    #[test]
    fn ports_of_others_are_left_to_them() {
        let home = tempfile::tempdir().unwrap();
        let one = Folder::new(home.path(), "one");
        let port = one.ensure(&images(), STAGES, &[]).unwrap().port;
        let two = Folder::new(home.path(), "two");
        assert_eq!(two.ports_of_others().unwrap(), [port]);
    }

    #[test]
    fn a_broken_file_is_named_and_left() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path(), "dev");
        std::fs::create_dir_all(&folder.root).unwrap();
        std::fs::write(folder.path("kwok.yaml"), "options: [").unwrap();
        assert_eq!(folder.access().err().unwrap().code().id, "E0821");
        assert!(clusters(home.path()).unwrap().is_empty());
    }
}
