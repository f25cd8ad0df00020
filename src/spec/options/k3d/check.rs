//! What has to hold within a k3d.yaml whose fields are right by themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::filter::{Filter, Member, Way};
use super::port;
use super::volume::{Volume, expand};
use crate::diag::codes::model::{BAD_VALUE, CONTRADICTION, NOT_THERE_YET};
use crate::error::{Error, Result};
use crate::spec::tree::{Options, Tree};

/// What takes a filter, and what it means without one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    /// It is for all nodes.
    All,
    /// It must say which, unless there is only one container.
    Unclear,
}

/// Finds what does not hold together.
pub fn check(file: &Options) -> Vec<Error> {
    let mut problems = Vec::new();
    let whole = File::of(file);
    for (key, inner, without) in [
        ("volumes", "volume", Without::Unclear),
        ("env", "envVar", Without::Unclear),
        ("files", "source", Without::All),
        ("ports", "port", Without::All),
        ("options.k3s.extraArgs", "arg", Without::Unclear),
        ("options.k3s.nodeLabels", "label", Without::Unclear),
        ("options.runtime.labels", "label", Without::Unclear),
    ] {
        for (index, entry) in entries(file, key) {
            let path = format!("{key}[{index}]");
            whole.filters(entry, &path, without, &mut problems);
            let text = entry.get(inner).and_then(Tree::as_text).unwrap_or_default();
            let problem = value(key, text).err();
            problems.extend(problem.map(|problem| problem.field(format!("{path}.{inner}"))));
        }
    }
    whole.ports(&mut problems);
    destinations(file, &mut problems);
    api(file, &mut problems);
    aliases(file, &mut problems);
    registry(file, &mut problems);
    options(file, &whole, &mut problems);
    problems
}

/// How many servers and agents the file asks for.
pub fn counts(file: &Options) -> (u32, u32) {
    let whole = File::of(file);
    (whole.servers, whole.agents)
}

/// The value below a path of keys such as `options.k3s`.
pub fn at<'a>(file: &'a Options, path: &str) -> Option<&'a Tree> {
    let (map, key) = match path.rsplit_once('.') {
        Some((outer, key)) => (at(file, outer)?.as_map()?, key),
        None => (file, path),
    };
    map.get(key)
}

fn entries<'a>(file: &'a Options, path: &str) -> Vec<(usize, &'a Options)> {
    let list = at(file, path).and_then(Tree::as_list).unwrap_or_default();
    list.iter()
        .enumerate()
        .filter_map(|(index, entry)| Some((index, entry.as_map()?)))
        .collect()
}

/// How many containers the file speaks of.
struct File<'a> {
    file: &'a Options,
    servers: u32,
    agents: u32,
    has_balancer: bool,
}

impl<'a> File<'a> {
    fn of(file: &'a Options) -> Self {
        let count = |key: &str, default: u32| {
            file.get(key)
                .and_then(Tree::as_int)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(default)
        };
        let disabled = at(file, "options.k3d.disableLoadbalancer").and_then(Tree::as_bool);
        Self {
            file,
            servers: count("servers", 1),
            agents: count("agents", 0),
            has_balancer: !disabled.unwrap_or(false),
        }
    }

    fn filters(&self, entry: &Options, path: &str, without: Without, problems: &mut Vec<Error>) {
        let given = entry
            .get("nodeFilters")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        let is_alone = self.servers + self.agents + u32::from(self.has_balancer) == 1;
        if given.is_empty() && without == Without::Unclear && !is_alone {
            problems.push(
                Error::new(&BAD_VALUE, "this does not say which nodes it is for")
                    .help("add `nodeFilters`, such as `[server:*, agent:*]`")
                    .field(path),
            );
        }
        for (index, text) in given.iter().enumerate() {
            let problem = Filter::parse(text.as_text().unwrap_or_default()).err();
            problems.extend(
                problem.map(|problem| problem.field(format!("{path}.nodeFilters[{index}]"))),
            );
        }
    }

    /// Ports of the host that two entries want, and ports that cannot be published as asked.
    fn ports(&self, problems: &mut Vec<Error>) {
        let mut taken: BTreeMap<(u16, &str), String> = BTreeMap::new();
        for (index, entry) in entries(self.file, "ports") {
            let path = format!("ports[{index}]");
            let text = entry
                .get("port")
                .and_then(Tree::as_text)
                .unwrap_or_default();
            for port in port::parse(text).unwrap_or_default() {
                let Some(host) = port.host else { continue };
                let other = taken.insert((host, port.protocol), path.clone());
                if let Some(other) = other.filter(|other| *other != path) {
                    let message = format!(
                        "the host's port {host} is wanted twice, by `{other}` and `{path}`"
                    );
                    problems.push(
                        Error::new(&CONTRADICTION, message)
                            .help("give one of them another port of the host")
                            .field(format!("{path}.port")),
                    );
                    break;
                }
            }
            self.ways(entry, &path, problems);
        }
    }

    fn ways(&self, entry: &Options, path: &str, problems: &mut Vec<Error>) {
        let given = entry
            .get("nodeFilters")
            .and_then(Tree::as_list)
            .unwrap_or_default();
        let filters = given
            .iter()
            .enumerate()
            .filter_map(|(index, text)| Some((index, Filter::parse(text.as_text()?).ok()?)));
        for (index, filter) in filters {
            let field = format!("{path}.nodeFilters[{index}]");
            let is_direct = filter.way == Some(Way::Direct);
            if !self.has_balancer && !is_direct && self.servers + self.agents > 1 {
                problems.push(
                    Error::new(
                        &CONTRADICTION,
                        "without a load balancer a port is published by one node itself",
                    )
                    .help("name the node: `server:0:direct`")
                    .field(field.clone()),
                );
            }
            let members = (0..self.servers)
                .map(Member::Server)
                .chain((0..self.agents).map(Member::Agent));
            let picked = members.filter(|member| filter.picks(*member)).count();
            if is_direct && picked > 1 {
                problems.push(
                    Error::new(
                        &CONTRADICTION,
                        "two nodes cannot publish one port of the host",
                    )
                    .help("name one node, such as `server:0:direct`, or use `proxy`")
                    .field(field),
                );
            }
        }
    }
}

/// The small languages inside values.
fn value(key: &str, text: &str) -> Result<()> {
    let wrong = |what: &str, help: &str| {
        Err(Error::new(&BAD_VALUE, format!("{text:?} is no {what}")).help(help.to_string()))
    };
    let name = text.split('=').next().unwrap_or_default();
    match key {
        "volumes" => Volume::parse(text).map(|_| ()),
        "ports" => port::parse(text).map(|_| ()),
        "env" if name.is_empty() || name.contains(char::is_whitespace) => {
            wrong("variable", "use the form NAME=VALUE")
        }
        "options.k3s.extraArgs" if !text.starts_with('-') => {
            wrong("argument", "begin with `--`, such as `--disable=traefik`")
        }
        "options.k3s.nodeLabels" | "options.runtime.labels" if name.is_empty() => {
            wrong("label", "use the form KEY=VALUE")
        }
        "options.runtime.labels"
            if name == "app" || name.starts_with("k3d.") || name.starts_with("k3s.") =>
        {
            Err(
                Error::new(&BAD_VALUE, format!("the label `{name}` is k3d's own"))
                    .help("use another key"),
            )
        }
        _ => Ok(()),
    }
}

fn destinations(file: &Options, problems: &mut Vec<Error>) {
    for (index, entry) in entries(file, "files") {
        let text = entry
            .get("destination")
            .and_then(Tree::as_text)
            .unwrap_or_default();
        if !expand(text).starts_with('/') {
            problems.push(
                Error::new(&BAD_VALUE, format!("{text:?} is no path in a node"))
                    .help(
                        "begin with a slash, or with a short name such as `k3s-manifests-custom/`",
                    )
                    .field(format!("files[{index}].destination")),
            );
        }
    }
}

/// A port given as a number or as text; `None` where any will do.
pub fn port_number(value: Option<&Tree>) -> Result<Option<u16>> {
    let wrong = |text: &str| {
        Error::new(&BAD_VALUE, format!("{text:?} is no port"))
            .help("use a number from 1 to 65535, or `random`")
    };
    match value {
        Some(Tree::Int(number)) => {
            let port = u16::try_from(*number).map_err(|_| wrong(&number.to_string()))?;
            Ok((port > 0).then_some(port))
        }
        Some(Tree::Text(text)) if text != "random" => {
            let port: u16 = text.parse().map_err(|_| wrong(text))?;
            Ok((port > 0).then_some(port))
        }
        _ => Ok(None),
    }
}

fn api(file: &Options, problems: &mut Vec<Error>) {
    for path in ["kubeAPI.hostIP", "registries.create.host"] {
        let Some(text) = at(file, path).and_then(Tree::as_text) else {
            continue;
        };
        if text.parse::<IpAddr>().is_err() && text != "localhost" {
            problems.push(no_address(text).field(path));
        }
    }
    for path in ["kubeAPI.hostPort", "registries.create.hostPort"] {
        let problem = port_number(at(file, path)).err();
        problems.extend(problem.map(|problem| problem.field(path)));
    }
    let Some(text) = file.get("subnet").and_then(Tree::as_text) else {
        return;
    };
    let is_range = text.split_once('/').is_some_and(|(address, bits)| {
        let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= 29);
        address.parse::<std::net::Ipv4Addr>().is_ok() && bits.is_some()
    });
    if text == "auto" {
        problems.push(
            Error::new(
                &NOT_THERE_YET,
                "ksail does not choose a subnet of its own yet",
            )
            .help("name one, such as \"172.28.0.0/16\", or leave it to the engine")
            .field("subnet"),
        );
    } else if !is_range {
        problems.push(
            Error::new(&BAD_VALUE, format!("{text:?} is no address range"))
                .help("use one such as \"172.28.0.0/16\"")
                .field("subnet"),
        );
    }
}

fn no_address(text: &str) -> Error {
    Error::new(&BAD_VALUE, format!("{text:?} is no address"))
        .help("use an address such as \"127.0.0.1\"")
}

fn aliases(file: &Options, problems: &mut Vec<Error>) {
    for (index, entry) in entries(file, "hostAliases") {
        let text = entry.get("ip").and_then(Tree::as_text).unwrap_or_default();
        if text.parse::<IpAddr>().is_err() {
            problems.push(no_address(text).field(format!("hostAliases[{index}].ip")));
        }
    }
}

fn registry(file: &Options, problems: &mut Vec<Error>) {
    let config = at(file, "registries.config");
    let text = match config {
        Some(Tree::Text(text)) => text.as_str(),
        Some(Tree::Secret(secret)) => secret.expose(),
        _ => "",
    };
    // In one line it is a path, which whoever reads the file replaces by what is in it.
    let read = serde_saphyr::from_str::<serde_json::Value>(text);
    let is_map = matches!(
        &read,
        Ok(serde_json::Value::Object(_) | serde_json::Value::Null)
    );
    if text.contains('\n') && !is_map {
        problems.push(
            Error::new(&BAD_VALUE, "the registries.yaml is no map")
                .help("write `mirrors:` and `configs:` as k3s reads them")
                .field("registries.config"),
        );
    }
    let list = at(file, "registries.create.volumes")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    for (index, text) in list.iter().enumerate() {
        let problem = Volume::parse(text.as_text().unwrap_or_default()).err();
        problems.extend(
            problem.map(|problem| problem.field(format!("registries.create.volumes[{index}]"))),
        );
    }
}

fn options(file: &Options, whole: &File<'_>, problems: &mut Vec<Error>) {
    for path in [
        "options.runtime.serversMemory",
        "options.runtime.agentsMemory",
    ] {
        if let Some(text) = at(file, path).and_then(Tree::as_text)
            && memory(text).is_none()
        {
            problems.push(
                Error::new(&BAD_VALUE, format!("{text:?} is no amount of memory"))
                    .help("use one such as \"2g\" or \"512m\"")
                    .field(path),
            );
        }
    }
    if at(file, "options.runtime.gpuRequest").is_some() {
        problems.push(
            Error::new(&NOT_THERE_YET, "ksail cannot give GPUs to nodes yet")
                .help("take `gpuRequest` out")
                .field("options.runtime.gpuRequest"),
        );
    }
    if file.get("network").and_then(Tree::as_text) == Some("host") {
        problems.push(
            Error::new(
                &NOT_THERE_YET,
                "ksail cannot make clusters in the host's network yet",
            )
            .help("leave `network` out")
            .field("network"),
        );
    }
    let overrides = at(file, "options.k3d.loadbalancer.configOverrides")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    for (index, text) in overrides.iter().enumerate() {
        let text = text.as_text().unwrap_or_default();
        let is_right = text
            .strip_prefix("settings.")
            .and_then(|rest| rest.split_once('='))
            .is_some_and(|(key, value)| !key.is_empty() && value.parse::<u32>().is_ok());
        if !is_right {
            problems.push(
                Error::new(
                    &BAD_VALUE,
                    format!("{text:?} is no setting of the load balancer"),
                )
                .help("use a form such as `settings.workerConnections=2048`")
                .field(format!("options.k3d.loadbalancer.configOverrides[{index}]")),
            );
        }
    }
    if !whole.has_balancer && !overrides.is_empty() {
        problems.push(
            Error::new(&CONTRADICTION, "there is no load balancer to have settings")
                .help("take `disableLoadbalancer` or `loadbalancer` out")
                .field("options.k3d.loadbalancer"),
        );
    }
}

/// An amount of memory in bytes, as Docker writes it: `512m`, `2g`, `1.5GiB`.
pub fn memory(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let factor: f64 = match unit.trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1024.0 * 1024.0,
        "g" => 1024.0 * 1024.0 * 1024.0,
        "t" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    // Docker itself refuses less than 6 MiB; what is beyond 2^53 is no machine's.
    #[allow(clippy::cast_possible_truncation, reason = "held to the range before")]
    (6_291_456.0..9_007_199_254_740_992.0)
        .contains(&bytes)
        .then_some(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(json: serde_json::Value) -> Vec<String> {
        crate::spec::options::problems(super::super::CLUSTER, check, &json)
    }

    #[test]
    fn takes_a_full_file() {
        let filters = json!(["server:0", "agent:*"]);
        let file = json!({
            "apiVersion": "k3d.io/v1alpha5", "kind": "Simple", "metadata": { "name": "dev" },
            "servers": 3, "agents": 2, "image": "rancher/k3s:v1.35.4-k3s1", "network": "mine", "subnet": "172.28.0.0/16",
            "token": "canary", "kubeAPI": { "host": "k.example", "hostIP": "127.0.0.1", "hostPort": "6445" },
            "volumes": [{ "volume": "/a:/b:ro", "nodeFilters": filters }],
            "ports": [{ "port": "8080:80", "nodeFilters": ["loadbalancer"] }, { "port": "8081:81", "nodeFilters": ["agent:1:direct"] }],
            "env": [{ "envVar": "A=b=c", "nodeFilters": ["all"] }],
            "files": [{ "source": "a: 1\n", "destination": "k3s-manifests-custom/a.yaml", "description": "x" }],
            "registries": { "create": { "name": "r", "host": "0.0.0.0", "hostPort": 5000, "proxy": { "remoteURL": "https://registry-1.docker.io" } },
                            "use": ["k3d-other:5000"], "config": "mirrors:\n  a: {endpoint: [http://b]}\n" },
            "hostAliases": [{ "ip": "1.2.3.4", "hostnames": ["a.b"] }],
            "options": {
                "k3d": { "wait": true, "timeout": "60s", "loadbalancer": { "configOverrides": ["settings.workerConnections=2048"] } },
                "k3s": { "extraArgs": [{ "arg": "--disable=traefik", "nodeFilters": ["server:*"] }], "nodeLabels": [{ "label": "a=b", "nodeFilters": ["agent:1"] }] },
                "kubeconfig": { "updateDefaultKubeconfig": true },
                "runtime": { "serversMemory": "2g", "labels": [{ "label": "a=b", "nodeFilters": ["server:0"] }], "ulimits": [{ "name": "nofile", "soft": 1, "hard": 2 }] },
            },
        });
        assert_eq!(problems(file), Vec::<String>::new());
    }

    #[test]
    fn names_what_is_wrong_and_where() {
        let cases = [
            (
                json!({ "volumes": [{ "volume": "/a:/b" }] }),
                "E0201 volumes[0]",
            ),
            (
                json!({ "ports": [{ "port": "80:80" }, { "port": "80:81" }] }),
                "E0209 ports[1].port",
            ),
            (
                json!({ "agents": 2, "ports": [{ "port": "80:80", "nodeFilters": ["agent:*:direct"] }] }),
                "E0209 ports[0].nodeFilters[0]",
            ),
            (
                json!({ "env": [{ "envVar": "=x", "nodeFilters": ["all"] }] }),
                "E0201 env[0].envVar",
            ),
            (
                json!({ "files": [{ "source": "a\n", "destination": "b" }] }),
                "E0201 files[0].destination",
            ),
            (json!({ "subnet": "here" }), "E0201 subnet"),
            (
                json!({ "kubeAPI": { "hostPort": "high" } }),
                "E0201 kubeAPI.hostPort",
            ),
            (
                json!({ "hostAliases": [{ "ip": "x", "hostnames": [] }] }),
                "E0201 hostAliases[0].ip",
            ),
            (
                json!({ "registries": { "config": "- a\n- b\n" } }),
                "E0201 registries.config",
            ),
            (
                json!({ "options": { "runtime": { "agentsMemory": "lots" } } }),
                "E0201 options.runtime.agentsMemory",
            ),
            (
                json!({ "options": { "runtime": { "labels": [{ "label": "k3d.role=x", "nodeFilters": ["all"] }] } } }),
                "E0201 options.runtime.labels[0].label",
            ),
            (json!({ "server": 1 }), "E0203 server"),
        ];
        for (file, expected) in cases {
            assert_eq!(problems(file), [expected]);
        }
    }

    #[test]
    fn reads_amounts_of_memory() {
        assert_eq!(memory("2g"), Some(2_147_483_648));
        assert_eq!(memory("512MiB"), Some(536_870_912));
        assert_eq!(memory("x"), None);
        assert_eq!(memory("1k"), None);
    }
}
