//! The names and labels that k3d knows a cluster by: it keeps nothing elsewhere.

use std::collections::BTreeMap;

use super::{Definition, Given};
use crate::spec::options::k3d::filter::Member;

/// The version of k3d whose layout this is, and whose images of helpers are used.
pub const VERSION: &str = "5.9.0";

/// The label with the cluster's name.
pub const CLUSTER: &str = "k3d.cluster";
/// The label with a container's role.
pub const ROLE: &str = "k3d.role";
/// The label with the token that nodes join with.
pub const TOKEN: &str = "k3d.cluster.token";
/// The label of a server with the API's host name.
pub const API_HOST: &str = "k3d.server.api.host";
/// The label of a server with the API's port on the host.
pub const API_PORT: &str = "k3d.server.api.port";
/// The label with the name of the load balancer, empty where there is none.
pub const FRONT: &str = "k3d.server.loadbalancer";
/// The label that says whether the network was there before.
pub const EXTERNAL: &str = "k3d.cluster.network.external";
/// The label with the network's name.
pub const NETWORK: &str = "k3d.cluster.network";

/// The name of a container.
pub fn container(cluster: &str, member: Member) -> String {
    match member {
        Member::Server(index) => format!("k3d-{cluster}-server-{index}"),
        Member::Agent(index) => format!("k3d-{cluster}-agent-{index}"),
        Member::Balancer => balancer(cluster),
    }
}

/// The name of the load balancer.
pub fn balancer(cluster: &str) -> String {
    format!("k3d-{cluster}-serverlb")
}

/// The name of the volume that nodes share for images.
pub fn image_volume(cluster: &str) -> String {
    format!("k3d-{cluster}-images")
}

/// Which container of a cluster a name is.
pub fn member(cluster: &str, name: &str) -> Option<Member> {
    let rest = name
        .strip_prefix("k3d-")?
        .strip_prefix(cluster)?
        .strip_prefix('-')?;
    if rest == "serverlb" {
        return Some(Member::Balancer);
    }
    let (role, index) = rest.split_once('-')?;
    let index = index.parse().ok()?;
    match role {
        "server" => Some(Member::Server(index)),
        "agent" => Some(Member::Agent(index)),
        _ => None,
    }
}

/// The labels of everything that belongs to a cluster.
pub fn owned(cluster: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app".into(), "k3d".into()),
        (CLUSTER.into(), cluster.into()),
        ("k3d.version".into(), format!("v{VERSION}")),
    ])
}

/// The labels of a server, an agent or the load balancer.
pub(super) fn labels(
    definition: Definition<'_>,
    given: &Given,
    member: Member,
) -> BTreeMap<String, String> {
    let cluster = definition.name();
    let mut labels = definition.labels(member);
    labels.extend(owned(cluster));
    let role = match member {
        Member::Server(_) => "server",
        Member::Agent(_) => "agent",
        Member::Balancer => "loadbalancer",
    };
    let mut add = |key: &str, value: String| labels.insert(key.to_string(), value);
    add(ROLE, role.into());
    add("k3d.cluster.url", url(cluster));
    add(TOKEN, given.token.expose().to_string());
    let volume = if definition.has_image_volume() {
        image_volume(cluster)
    } else {
        String::new()
    };
    add("k3d.cluster.imageVolume", volume);
    add(NETWORK, definition.network());
    add("k3d.cluster.network.id", given.network.id.clone());
    add("k3d.cluster.network.iprange", given.network.range.clone());
    add(EXTERNAL, given.network.is_external.to_string());
    let before = if definition.has_balancer() {
        balancer(cluster)
    } else {
        String::new()
    };
    add(FRONT, before);
    let aliases = definition.aliases();
    if !aliases.is_empty() {
        let list: Vec<_> = aliases
            .into_iter()
            .map(|(ip, hostnames)| serde_json::json!({ "ip": ip, "hostnames": hostnames }))
            .collect();
        add(
            "k3d.cluster.start.hostaliases",
            serde_json::Value::Array(list).to_string(),
        );
    }
    if let Member::Server(index) = member {
        let (address, _, _) = definition.api();
        add(API_HOST, given.api_host.clone());
        add("k3d.server.api.hostIP", address);
        add(API_PORT, given.api_port.to_string());
        if definition.servers() > 1 {
            add("k3d.server.init", (index == 0).to_string());
        }
    }
    if let Some(address) = given.address(definition, member)
        && member != Member::Balancer
    {
        add("k3d.node.staticIP", address);
    }
    labels
}

/// Where nodes find the first server.
pub(super) fn url(cluster: &str) -> String {
    format!("https://{}:6443", container(cluster, Member::Server(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_members_by_name() {
        assert_eq!(member("a-b", "k3d-a-b-server-2"), Some(Member::Server(2)));
        assert_eq!(member("a", "k3d-a-agent-0"), Some(Member::Agent(0)));
        assert_eq!(member("a", "k3d-a-serverlb"), Some(Member::Balancer));
        assert_eq!(member("a", "k3d-a-tools"), None);
        assert_eq!(member("a", "k3d-a-b-server-0"), None);
    }
}
