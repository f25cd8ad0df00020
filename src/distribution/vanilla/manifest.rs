//! The manifests that a node image carries: the pod network and the storage class.

use serde_json::{Value, json};

use super::kubeadm::PORT;
use super::settings::Settings;
use crate::diag::codes::docker::BAD_NODE_IMAGE;
use crate::error::{Error, Result};
use crate::spec::document;

/// The pod network's manifest in a node.
pub const CNI: &str = "/kind/manifests/default-cni.yaml";
/// The storage class's manifest in a node.
pub const STORAGE: &str = "/kind/manifests/default-storage.yaml";

/// The objects of the pod network, with what the image leaves open filled in.
pub fn cni(text: &str, settings: &Settings) -> Result<Vec<Value>> {
    let mut text = text.to_string();
    if text.contains("would you kindly template this file") {
        for form in ["{{ .PodSubnet }}", "{{.PodSubnet}}"] {
            text = text.replace(form, &settings.pod_subnet);
        }
    }
    let is_patched = text.contains("would you kindly patch this file");
    let mut objects = objects(&text)?;
    if is_patched {
        for object in objects.iter_mut().filter(|o| o["kind"] == "DaemonSet") {
            let env = object.pointer_mut("/spec/template/spec/containers/0/env");
            if let Some(Value::Array(env)) = env {
                let value = format!("{}:{PORT}", settings.endpoint());
                env.push(json!({ "name": "CONTROL_PLANE_ENDPOINT", "value": value }));
            }
        }
    }
    Ok(objects)
}

/// The objects of a manifest, in order.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    document::values(text).map_err(|cause| {
        Error::new(&BAD_NODE_IMAGE, "a manifest of the node image is no YAML").because(cause)
    })
}

/// What very old images have in place of a manifest for storage.
pub fn old_storage() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": { "name": "standard", "annotations": { "storageclass.kubernetes.io/is-default-class": "true" } },
        "provisioner": "kubernetes.io/host-path",
    })
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::spec;
    use super::*;

    #[test]
    fn fills_in_what_the_image_leaves_open() {
        let text = "# would you kindly template this file\n# would you kindly patch this file\nkind: ServiceAccount\n---\nkind: DaemonSet\nspec: {template: {spec: {containers: [{env: [{name: POD_SUBNET, value: \"{{ .PodSubnet }}\"}]}]}}}\n---\n";
        let settings = Settings::of(&spec(json!({}), json!({})));
        let all = cni(text, &settings).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[1]["spec"]["template"]["spec"]["containers"][0]["env"],
            json!([{ "name": "POD_SUBNET", "value": "10.244.0.0/16" }, { "name": "CONTROL_PLANE_ENDPOINT", "value": "dev-control-plane:6443" }])
        );
    }
}
