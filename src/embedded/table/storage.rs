//! Volumes, claims and classes of storage.

use serde_json::Value;

use super::cells::{access_modes, count_at, joined_at, lower_bool, or_unset, plain, text};
use super::{AGE, CREATED, Column, NAME, NUMBER, TEXT};
use crate::embedded::reach::Reach as _;

/// The columns of these kinds.
pub(super) fn columns(group: &str, plural: &str) -> Option<Vec<Column>> {
    Some(match (group, plural) {
        ("", "persistentvolumes") => vec![
            NAME,
            Column("Capacity", TEXT, 0, |v| plain(v, "/spec/capacity/storage")),
            Column("Access Modes", TEXT, 0, |v| {
                access_modes(v, "/spec/accessModes")
            }),
            Column("Reclaim Policy", TEXT, 0, |v| {
                plain(v, "/spec/persistentVolumeReclaimPolicy")
            }),
            Column("Status", TEXT, 0, volume_status),
            Column("Claim", TEXT, 0, volume_claim),
            Column("StorageClass", TEXT, 0, |v| {
                plain(v, "/spec/storageClassName")
            }),
            Column("VolumeAttributesClass", TEXT, 0, |v| {
                or_unset(v, "/spec/volumeAttributesClassName")
            }),
            Column("Reason", TEXT, 0, |v| plain(v, "/status/reason")),
            AGE,
            Column("VolumeMode", TEXT, 1, |v| or_unset(v, "/spec/volumeMode")),
        ],
        ("", "persistentvolumeclaims") => vec![
            NAME,
            Column("Status", TEXT, 0, volume_status),
            Column("Volume", TEXT, 0, |v| plain(v, "/spec/volumeName")),
            Column("Capacity", TEXT, 0, |v| {
                plain(v, "/status/capacity/storage")
            }),
            Column("Access Modes", TEXT, 0, |v| {
                access_modes(v, "/status/accessModes")
            }),
            Column("StorageClass", TEXT, 0, |v| {
                plain(v, "/spec/storageClassName")
            }),
            Column("VolumeAttributesClass", TEXT, 0, |v| {
                or_unset(v, "/spec/volumeAttributesClassName")
            }),
            AGE,
            Column("VolumeMode", TEXT, 1, |v| or_unset(v, "/spec/volumeMode")),
        ],
        ("storage.k8s.io", "storageclasses") => vec![
            Column("Name", TEXT, 0, class_name),
            Column("Provisioner", TEXT, 0, |v| plain(v, "/provisioner")),
            Column("ReclaimPolicy", TEXT, 0, |v| plain(v, "/reclaimPolicy")),
            Column("VolumeBindingMode", TEXT, 0, |v| {
                plain(v, "/volumeBindingMode")
            }),
            Column("AllowVolumeExpansion", TEXT, 0, |v| {
                lower_bool(v, "/allowVolumeExpansion")
            }),
            AGE,
        ],
        ("storage.k8s.io", "csidrivers") => vec![
            NAME,
            Column("AttachRequired", "boolean", 0, |v| {
                lower_bool(v, "/spec/attachRequired")
            }),
            Column("PodInfoOnMount", "boolean", 0, |v| {
                lower_bool(v, "/spec/podInfoOnMount")
            }),
            Column("StorageCapacity", "boolean", 0, |v| {
                lower_bool(v, "/spec/storageCapacity")
            }),
            Column("TokenRequests", TEXT, 0, |v| {
                joined_at(v, "/spec/tokenRequests", "/audience", "<unset>")
            }),
            Column("RequiresRepublish", "boolean", 0, |v| {
                lower_bool(v, "/spec/requiresRepublish")
            }),
            Column("Modes", TEXT, 0, |v| {
                joined_at(v, "/spec/volumeLifecycleModes", "", "<none>")
            }),
            AGE,
        ],
        ("storage.k8s.io", "csinodes") => vec![
            NAME,
            Column("Drivers", NUMBER, 0, |v| count_at(v, "/spec/drivers")),
            AGE,
        ],
        ("storage.k8s.io", "csistoragecapacities") => vec![NAME, CREATED],
        ("storage.k8s.io", "volumeattachments") => vec![
            NAME,
            Column("Attacher", TEXT, 0, |v| plain(v, "/spec/attacher")),
            Column("PV", TEXT, 0, |v| {
                plain(v, "/spec/source/persistentVolumeName")
            }),
            Column("Node", TEXT, 0, |v| plain(v, "/spec/nodeName")),
            Column("Attached", "boolean", 0, |v| {
                lower_bool(v, "/status/attached")
            }),
            AGE,
        ],
        ("storage.k8s.io", "volumeattributesclasses") => vec![
            NAME,
            Column("DriverName", TEXT, 0, |v| plain(v, "/driverName")),
            AGE,
        ],
        _ => return None,
    })
}

fn volume_status(value: &Value) -> Value {
    match value.reach("/metadata/deletionTimestamp") {
        Some(_) => "Terminating".into(),
        None => plain(value, "/status/phase"),
    }
}

fn volume_claim(value: &Value) -> Value {
    match value.reach("/spec/claimRef") {
        Some(claim) => format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")).into(),
        None => "".into(),
    }
}

fn class_name(value: &Value) -> Value {
    let annotations = value.reach("/metadata/annotations");
    let is_default = annotations
        .and_then(|all| all.get("storageclass.kubernetes.io/is-default-class"))
        .is_some_and(|value| value == "true");
    let name = text(value, "/metadata/name");
    if is_default {
        format!("{name} (default)").into()
    } else {
        name.into()
    }
}
