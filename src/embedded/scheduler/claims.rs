//! Claims that a pod waits for before any node is looked at.

use serde_json::Value;

use crate::embedded::controllers::Context;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Object;

/// Why a pod's claims keep it from every node; `None` if they don't.
pub(super) fn missing(context: &Context, pod: &Object) -> Option<String> {
    let value = pod.value();
    let volumes = value.reach("/spec/volumes")?.as_array()?;
    let names = volumes
        .iter()
        .filter_map(|volume| volume.reach("/persistentVolumeClaim/claimName")?.as_str());
    let kind = context.server.kind("", "persistentvolumeclaims")?;
    for name in names {
        let Some(claim) = context.server.get(&kind, pod.namespace(), name) else {
            return Some(format!("persistentvolumeclaim \"{name}\" not found"));
        };
        let claim = claim.value();
        if claim.reach("/metadata/deletionTimestamp").is_some() {
            return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        if claim.reach("/spec/volumeName").is_none() && !waits_for_pods(context, &claim) {
            return Some("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
    }
    None
}

/// Whether a claim is bound only after a pod has come to a node.
fn waits_for_pods(context: &Context, claim: &Value) -> bool {
    let class = claim.reach("/spec/storageClassName");
    let mode = class.and_then(Value::as_str).and_then(|name| {
        let kind = context.server.kind("storage.k8s.io", "storageclasses")?;
        let class = context.server.get(&kind, "", name)?.value();
        Some(class.get("volumeBindingMode")?.as_str()? == "WaitForFirstConsumer")
    });
    mode.unwrap_or(false)
}
