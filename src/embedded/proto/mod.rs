//! Protobuf of the built-in kinds, both ways, by descriptors as data.
//!
//! Go clients send `application/vnd.kubernetes.protobuf`: four letters, then an envelope that names version and kind and
//! holds the message. [`decode`] makes the JSON that the same client would have sent, [`encode`] the reverse. Field
//! numbers are in `messages.gz`, which `scripts/generate-proto` writes; to follow a new Kubernetes version, run it.

mod decode;
pub(super) mod encode;
mod moment;
pub mod shape;
mod table;

pub use decode::decode;
pub use encode::encode;
pub use table::Merging;

/// The media type.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// What every such body begins with.
const MAGIC: &[u8; 4] = b"k8s\0";

/// How deep messages may lie in each other.
const DEPTH: u32 = 128;

/// A body that cannot be read or written as protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{decode, encode};

    #[test]
    fn what_is_encoded_decodes_again() {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "default", "labels": {"app": "web"},
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                "template": {"metadata": {}, "spec": {
                    "volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}],
                    "containers": [{
                        "name": "nginx", "image": "nginx",
                        "resources": {"limits": {"cpu": "100m"}},
                        "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10},
                        "envFrom": [{"configMapRef": {"name": "c"}}],
                    }],
                }},
            },
        });
        let bytes = encode(&deployment).unwrap();
        assert_eq!(decode(&bytes).unwrap(), deployment);
    }

    #[test]
    fn lists_and_schemas_go_both_ways() {
        for value in [
            json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "7"},
                "items": [{"metadata": {"name": "s"}, "data": {"k": "djE="}, "type": "Opaque"}]}),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "spec": {"group": "g", "versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true, "default": {"a": [1, null]},
                    "items": {"type": "string"}, "additionalProperties": false, "maximum": 1.5,
                    "properties": {"p": {"additionalProperties": {"type": "integer"}}}}}}]}}),
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "spec": {"renewTime": "2026-01-02T03:04:05.000006Z", "leaseDurationSeconds": 40}}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}),
        ] {
            let bytes = encode(&value).unwrap();
            assert_eq!(decode(&bytes).unwrap(), value);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes).is_ok();
            let mut whole = b"k8s\0\x0a\x0a\x0a\x02v1\x12\x03Pod\x00\x12".to_vec();
            whole.extend(bytes);
            let _ = decode(&whole).is_ok();
        }

        #[test]
        fn config_maps_go_both_ways(data in prop::collection::btree_map("[a-z]{1,8}", ".{0,20}", 0..5)) {
            let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data});
            let again = decode(&encode(&value).unwrap()).unwrap();
            let same = again.get("data").cloned().unwrap_or_else(|| json!({}));
            prop_assert_eq!(same, json!(data));
        }
    }
}
