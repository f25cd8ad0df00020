//! Addresses and ports that the server gives to services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;

/// Ports for the outside.
const PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

/// Gives a service what it lacks.
pub(super) fn service(
    server: &Server,
    kind: &Kind,
    name: &str,
    value: &mut Value,
) -> Result<(), Status> {
    if !kind.group.is_empty() || kind.plural != "services" {
        return Ok(());
    }
    let text = |value: &Value, at: &str| -> String {
        let text = value.reach(at).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let of = text(value, "/spec/type");
    if of == "ExternalName" {
        return Ok(());
    }
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
        spec.entry("ipFamilyPolicy")
            .or_insert_with(|| "SingleStack".into());
    }
    let mut addresses = BTreeSet::new();
    let mut ports = BTreeSet::new();
    let own = text(value, "/metadata/uid");
    for other in server.list(kind, "").objects {
        let other = other.value();
        if text(&other, "/metadata/uid") == own {
            continue;
        }
        addresses.insert(text(&other, "/spec/clusterIP"));
        let list = other.reach("/spec/ports").and_then(Value::as_array);
        ports.extend(
            list.into_iter()
                .flatten()
                .filter_map(|port| port.get("nodePort")?.as_i64()),
        );
    }
    let address = text(value, "/spec/clusterIP");
    if address.is_empty() {
        let address = free_address(&own, &addresses);
        json_patch::merge(
            value,
            &json!({"spec": {"clusterIP": address, "clusterIPs": [address]}}),
        );
    } else if address != "None" && addresses.contains(&address) {
        let detail = format!("failed to allocate IP {address}: provided IP is already allocated");
        let cause = Cause::invalid("spec.clusterIPs", &json!([address]), &detail);
        return Err(Status::invalid(kind, name, &[cause]));
    } else if value.reach("/spec/clusterIPs").is_none() {
        json_patch::merge(value, &json!({"spec": {"clusterIPs": [address]}}));
    }
    let external = matches!(of.as_str(), "NodePort" | "LoadBalancer");
    let list = value.reach_mut("/spec/ports").and_then(Value::as_array_mut);
    for (at, port) in list.into_iter().flatten().enumerate() {
        let Some(port) = port.as_object_mut() else {
            continue;
        };
        match port.get("nodePort").and_then(Value::as_i64) {
            Some(wanted) if ports.contains(&wanted) => {
                let field = format!("spec.ports[{at}].nodePort");
                let cause =
                    Cause::invalid(field, &wanted.into(), "provided port is already allocated");
                return Err(Status::invalid(kind, name, &[cause]));
            }
            Some(wanted) => {
                ports.insert(wanted);
            }
            None if external => {
                let free = free_port(&format!("{own}{at}"), &ports);
                ports.extend(free);
                if let Some(free) = free {
                    port.insert("nodePort".to_owned(), free.into());
                }
            }
            None => {}
        }
    }
    Ok(())
}

fn spread(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn free_address(seed: &str, taken: &BTreeSet<String>) -> String {
    let mut at = spread(seed);
    loop {
        // 10.96.0.0/12 without the first block, where the well-known addresses are.
        let [_, a, b, c] = at.to_be_bytes();
        let address = format!("10.{}.{b}.{}", 96 + (a & 0x0f), c.clamp(1, 254));
        if !taken.contains(&address) && !address.starts_with("10.96.0.") {
            return address;
        }
        at = at.wrapping_add(0x9e37_79b9);
    }
}

fn free_port(seed: &str, taken: &BTreeSet<i64>) -> Option<i64> {
    let size = PORTS.end() - PORTS.start() + 1;
    let start = i64::from(spread(seed)) % size;
    (0..size)
        .map(|step| PORTS.start() + (start + step) % size)
        .find(|port| !taken.contains(port))
}
