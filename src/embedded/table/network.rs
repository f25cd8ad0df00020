//! Services, their endpoints, and the ways in.

use serde_json::Value;

use super::cells::{count, joined_at, labels_at, list, or_none, plain, selector_at, text};
use super::{AGE, Column, NAME, TEXT};
use crate::embedded::reach::Reach as _;

/// The columns of these kinds.
pub(super) fn columns(group: &str, plural: &str) -> Option<Vec<Column>> {
    Some(match (group, plural) {
        ("", "services") => vec![
            NAME,
            Column("Type", TEXT, 0, |v| plain(v, "/spec/type")),
            Column("Cluster-IP", TEXT, 0, service_ip),
            Column("External-IP", TEXT, 0, service_external),
            Column("Port(s)", TEXT, 0, service_ports),
            AGE,
            Column("Selector", TEXT, 1, |v| labels_at(v, "/spec/selector")),
        ],
        ("", "endpoints") => vec![NAME, Column("Endpoints", TEXT, 0, endpoints), AGE],
        ("discovery.k8s.io", "endpointslices") => vec![
            NAME,
            Column("AddressType", TEXT, 0, |v| plain(v, "/addressType")),
            Column("Ports", TEXT, 0, slice_ports),
            Column("Endpoints", TEXT, 0, slice_endpoints),
            AGE,
        ],
        ("networking.k8s.io", "ingresses") => vec![
            NAME,
            Column("Class", TEXT, 0, |v| or_none(v, "/spec/ingressClassName")),
            Column("Hosts", TEXT, 0, ingress_hosts),
            Column("Address", TEXT, 0, balancer),
            Column("Ports", TEXT, 0, ingress_ports),
            AGE,
        ],
        ("networking.k8s.io", "networkpolicies") => vec![
            NAME,
            Column("Pod-Selector", TEXT, 0, |v| {
                selector_at(v, "/spec/podSelector")
            }),
            AGE,
        ],
        ("networking.k8s.io", "ingressclasses") => vec![
            NAME,
            Column("Controller", TEXT, 0, |v| plain(v, "/spec/controller")),
            Column("Parameters", TEXT, 0, class_parameters),
            AGE,
        ],
        ("networking.k8s.io", "ipaddresses") => {
            vec![NAME, Column("ParentRef", TEXT, 0, address_parent)]
        }
        ("networking.k8s.io", "servicecidrs") => vec![
            NAME,
            Column("CIDRs", TEXT, 0, |v| joined_at(v, "/spec/cidrs", "", "")),
            AGE,
        ],
        _ => return None,
    })
}

fn service_ip(value: &Value) -> Value {
    or_none(value, "/spec/clusterIP")
}

fn service_external(value: &Value) -> Value {
    let own: Vec<&str> = list(value, "/spec/externalIPs")
        .filter_map(Value::as_str)
        .collect();
    let given: Vec<&str> = list(value, "/status/loadBalancer/ingress")
        .map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname"),
            ip => ip,
        })
        .collect();
    match text(value, "/spec/type") {
        "LoadBalancer" if given.is_empty() && own.is_empty() => "<pending>".into(),
        "LoadBalancer" => [given, own].concat().join(",").into(),
        "ExternalName" => plain(value, "/spec/externalName"),
        _ if own.is_empty() => "<none>".into(),
        _ => own.join(",").into(),
    }
}

fn service_ports(value: &Value) -> Value {
    let ports: Vec<String> = list(value, "/spec/ports")
        .map(|port| {
            let (number, node) = (count(port, "/port"), count(port, "/nodePort"));
            let protocol = match text(port, "/protocol") {
                "" => "TCP",
                protocol => protocol,
            };
            match node {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    if ports.is_empty() {
        "<none>".into()
    } else {
        ports.join(",").into()
    }
}

fn endpoint_list(all: Vec<String>, shown: usize) -> Value {
    let more = all.len().saturating_sub(shown);
    let first: Vec<String> = all.into_iter().take(shown).collect();
    match (first.is_empty(), more) {
        (true, _) => "<none>".into(),
        (false, 0) => first.join(",").into(),
        (false, more) => format!("{} + {more} more...", first.join(",")).into(),
    }
}

fn endpoints(value: &Value) -> Value {
    let mut all = Vec::new();
    for subset in list(value, "/subsets") {
        let ports: Vec<i64> = list(subset, "/ports")
            .map(|port| count(port, "/port"))
            .collect();
        for address in list(subset, "/addresses") {
            let ip = text(address, "/ip");
            if ports.is_empty() {
                all.push(ip.to_owned());
            }
            all.extend(ports.iter().map(|port| format!("{ip}:{port}")));
        }
    }
    endpoint_list(all, 3)
}

fn slice_ports(value: &Value) -> Value {
    let ports: Vec<String> = list(value, "/ports")
        .map(|port| count(port, "/port").to_string())
        .collect();
    match ports.is_empty() {
        true => "<unset>".into(),
        false => endpoint_list(ports, 3),
    }
}

fn slice_endpoints(value: &Value) -> Value {
    let addresses = list(value, "/endpoints").flat_map(|endpoint| list(endpoint, "/addresses"));
    let all: Vec<String> = addresses
        .filter_map(|a| Some(a.as_str()?.to_owned()))
        .collect();
    match all.is_empty() {
        true => "<unset>".into(),
        false => endpoint_list(all, 3),
    }
}

fn ingress_hosts(value: &Value) -> Value {
    let hosts: Vec<&str> = list(value, "/spec/rules")
        .map(|rule| text(rule, "/host"))
        .filter(|host| !host.is_empty())
        .collect();
    if hosts.is_empty() {
        "*".into()
    } else {
        hosts.join(",").into()
    }
}

fn ingress_ports(value: &Value) -> Value {
    match list(value, "/spec/tls").next() {
        Some(_) => "80, 443".into(),
        None => "80".into(),
    }
}

fn balancer(value: &Value) -> Value {
    let given: Vec<&str> = list(value, "/status/loadBalancer/ingress")
        .map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname"),
            ip => ip,
        })
        .collect();
    given.join(",").into()
}

/// Where the parameters of an ingress class are.
fn class_parameters(value: &Value) -> Value {
    if value.reach("/spec/parameters").is_none() {
        return "<none>".into();
    }
    let part = |name: &str| text(value, &format!("/spec/parameters/{name}")).to_owned();
    let mut kind = part("kind");
    if !part("apiGroup").is_empty() {
        kind = format!("{kind}.{}", part("apiGroup"));
    }
    format!("{kind}/{}", part("name")).into()
}

fn address_parent(value: &Value) -> Value {
    let part = |name: &str| text(value, &format!("/spec/parentRef/{name}"));
    let mut said = part("resource").to_owned();
    if !part("group").is_empty() {
        said = format!("{said}.{}", part("group"));
    }
    for more in ["namespace", "name"] {
        if !part(more).is_empty() {
            said = format!("{said}/{}", part(more));
        }
    }
    said.into()
}
