//! The registries.yaml of a node: where its containerd pulls images from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Definition;
use crate::secret::Secret;
use crate::spec::registry::{Credentials, LOCAL_PORT, Mirror, Registry};
use crate::spec::{Options, Tree};
use crate::step::File;

/// The path of the file in a node.
const PATH: &str = "/etc/rancher/k3s/registries.yaml";

/// A registry that a k3d.yaml wants made with the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The host's address.
    pub address: String,
    /// The host's port.
    pub port: Option<u16>,
    /// Whether it listens on the host's port inside, too.
    pub is_matched: bool,
    /// What it pulls through: address, user and password.
    pub upstream: Option<(String, Option<Secret>, Option<Secret>)>,
    /// What is mounted into it, as text.
    pub volumes: Vec<String>,
}

impl Made {
    /// The port it listens on inside.
    pub fn inner_port(&self) -> u16 {
        self.port.filter(|_| self.is_matched).unwrap_or(5000)
    }
}

impl Definition<'_> {
    /// The registry that the k3d.yaml wants made.
    pub fn registry(self) -> Option<Made> {
        let create = self.file("registries.create")?.as_map()?;
        let text = |key: &str| create.get(key).and_then(Tree::as_text).map(String::from);
        let upstream = create
            .get("proxy")
            .and_then(Tree::as_map)
            .and_then(|proxy| {
                let address = proxy.get("remoteURL")?.as_text()?.to_string();
                Some((
                    address,
                    secret(proxy, "username"),
                    secret(proxy, "password"),
                ))
            });
        let volumes = create
            .get("volumes")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        Some(Made {
            name: text("name").unwrap_or_else(|| format!("k3d-{}-registry", self.name())),
            image: text("image").unwrap_or_else(|| "docker.io/library/registry:2".into()),
            address: match text("host").as_deref() {
                None => "0.0.0.0".into(),
                Some("localhost") => "127.0.0.1".into(),
                Some(address) => address.into(),
            },
            port: crate::spec::options::k3d::port_number(create.get("hostPort"))
                .ok()
                .flatten(),
            is_matched: create
                .get("enforcePortMatch")
                .and_then(Tree::as_bool)
                .unwrap_or(false),
            upstream,
            volumes: volumes
                .iter()
                .filter_map(Tree::as_text)
                .map(String::from)
                .collect(),
        })
    }

    /// Registries that are there and that nodes are to use, as container and port.
    pub fn used_registries(self) -> Vec<(String, u16)> {
        let list = self
            .file("registries.use")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        list.iter()
            .filter_map(Tree::as_text)
            .map(|text| match text.rsplit_once(':') {
                Some((name, port)) => (name.to_string(), port.parse().unwrap_or(5000)),
                None => (text.to_string(), 5000),
            })
            .collect()
    }

    /// The registries.yaml, if there is anything to say.
    pub fn registries(self) -> Option<Secret> {
        let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut configs: BTreeMap<String, Value> = BTreeMap::new();
        let mut add = |host: String, endpoints: Vec<String>| {
            mirrors.entry(host).or_default().extend(endpoints);
        };
        if let Some(made) = self.registry() {
            let endpoint = format!("http://{}:{}", made.name, made.inner_port());
            for port in [made.port, Some(made.inner_port())].into_iter().flatten() {
                add(format!("{}:{port}", made.name), vec![endpoint.clone()]);
            }
            if let Some((upstream, _, _)) = &made.upstream {
                add(pulled(upstream), vec![endpoint, upstream.clone()]);
            }
        }
        for (name, port) in self.used_registries() {
            add(
                format!("{name}:{port}"),
                vec![format!("http://{name}:{port}")],
            );
        }
        let settings = &self.spec().settings;
        for mirror in list(settings, "mirrors").iter().filter_map(Tree::as_text) {
            let Ok(mirror) = Mirror::parse(mirror) else {
                continue;
            };
            let name = format!("{}-{}", self.name(), mirror.host.replace(['/', ':'], "-"));
            add(
                mirror.host,
                vec![format!("http://{name}:5000"), mirror.upstream],
            );
        }
        for registry in externals(settings) {
            if let Some(credentials) = &registry.credentials {
                configs.insert(authority(&registry), auth(credentials));
            }
        }
        if let Some(port) = local(settings) {
            let endpoint = format!("http://{}-local-registry:5000", self.name());
            add(
                format!("{}-local-registry:5000", self.name()),
                vec![endpoint.clone()],
            );
            add(format!("localhost:{port}"), vec![endpoint]);
        }
        let mut all = self.written();
        if mirrors.is_empty() && configs.is_empty() && all.is_empty() {
            return None;
        }
        section(
            &mut all,
            "mirrors",
            mirrors
                .into_iter()
                .map(|(host, endpoint)| (host, json!({ "endpoint": endpoint }))),
        );
        section(&mut all, "configs", configs);
        serde_saphyr::to_string(&Value::Object(all))
            .ok()
            .map(Secret::new)
    }

    /// The same as a file of a node.
    pub fn registries_file(self) -> Option<File> {
        self.registries().map(|content| File {
            path: PATH.into(),
            mode: 0o600,
            content,
        })
    }

    /// The user's own registries.yaml.
    fn written(self) -> Map<String, Value> {
        let text = match self.file("registries.config") {
            Some(Tree::Secret(secret)) => secret.expose(),
            Some(Tree::Text(text)) => text,
            _ => "",
        };
        match serde_saphyr::from_str(text) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }
}

/// The file that names no registry.
pub fn no_registries() -> File {
    File {
        path: PATH.into(),
        mode: 0o600,
        content: Secret::new(""),
    }
}

/// Adds entries to a section; what the user wrote himself wins.
fn section(
    all: &mut Map<String, Value>,
    name: &str,
    entries: impl IntoIterator<Item = (String, Value)>,
) {
    let mut there = match all.remove(name) {
        Some(Value::Object(there)) => there,
        _ => Map::new(),
    };
    for (host, value) in entries {
        there.entry(host).or_insert(value);
    }
    if !there.is_empty() {
        all.insert(name.into(), Value::Object(there));
    }
}

fn secret(map: &Options, key: &str) -> Option<Secret> {
    match map.get(key) {
        Some(Tree::Secret(secret)) => Some(secret.clone()).filter(|secret| !secret.is_empty()),
        Some(Tree::Text(text)) if !text.is_empty() => Some(Secret::new(text.as_str())),
        _ => None,
    }
}

fn list<'a>(settings: &'a Options, key: &str) -> &'a [Tree] {
    settings
        .get(key)
        .and_then(Tree::as_list)
        .unwrap_or_default()
}

/// The registry whose images an upstream has: Docker's own has another address than name.
fn pulled(upstream: &str) -> String {
    let host = upstream
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    match host.trim_end_matches('/') {
        "registry-1.docker.io" => "docker.io".into(),
        host => host.into(),
    }
}

fn local(settings: &Options) -> Option<u16> {
    match settings.get("local_registry")? {
        Tree::Bool(true) => Some(LOCAL_PORT),
        Tree::Text(text) => Registry::parse(text)
            .ok()
            .filter(|registry| !registry.is_external())
            .map(|registry| registry.port),
        _ => None,
    }
}

fn externals(settings: &Options) -> Vec<Registry> {
    let mut found = Vec::new();
    if let Some(Tree::Text(text)) = settings.get("local_registry") {
        found.extend(Registry::parse(text).ok().filter(Registry::is_external));
    }
    for entry in list(settings, "registries") {
        match entry {
            Tree::Text(text) => found.extend(Registry::parse(text).ok()),
            Tree::Map(map) => found.extend(written_out(map)),
            _ => {}
        }
    }
    found
}

/// A registry whose credentials are options of their own.
fn written_out(map: &Options) -> Option<Registry> {
    let mut registry = Registry::parse(map.get("host")?.as_text()?).ok()?;
    if let (Some(username), Some(password)) = (secret(map, "username"), secret(map, "password")) {
        registry.credentials = Some(Credentials {
            username: username.expose().to_string(),
            password,
        });
    }
    Some(registry)
}

fn authority(registry: &Registry) -> String {
    match registry.port {
        0 => registry.host.clone(),
        port => format!("{}:{port}", registry.host),
    }
}

fn auth(credentials: &Credentials) -> Value {
    json!({ "auth": { "username": credentials.username, "password": credentials.password.expose() } })
}
