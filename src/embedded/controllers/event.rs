//! Events: what controllers tell people.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Context;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Object;
use crate::embedded::write::{self, Options, Part};

/// Something worth telling about an object.
pub(in crate::embedded) struct Event<'a> {
    warning: bool,
    /// Such as `SuccessfulCreate`.
    reason: &'a str,
    /// For people.
    message: String,
    /// Who tells.
    source: &'a str,
}

impl<'a> Event<'a> {
    /// Something that went as it should.
    pub(in crate::embedded) fn normal(source: &'a str, reason: &'a str, message: String) -> Self {
        Self {
            warning: false,
            reason,
            message,
            source,
        }
    }

    /// Something that somebody should look at.
    pub(in crate::embedded) fn warning(source: &'a str, reason: &'a str, message: String) -> Self {
        Self {
            warning: true,
            ..Self::normal(source, reason, message)
        }
    }

    /// That a pod was made, or why it was not.
    pub(super) fn of_creation(source: &'a str, made: &Result<Arc<Object>, Status>) -> Self {
        match made {
            Ok(pod) => Self::normal(
                source,
                "SuccessfulCreate",
                format!("Created pod: {}", pod.name()),
            ),
            Err(status) => Self::warning(
                source,
                "FailedCreate",
                format!("Error creating: {}", status.message),
            ),
        }
    }

    /// That a pod was removed.
    pub(super) fn of_deletion(source: &'a str, pod: &Object) -> Self {
        let message = format!("Deleted pod: {}", pod.name());
        Self::normal(source, "SuccessfulDelete", message)
    }

    /// Writes it down; the same again is counted. An event that cannot be written stops nothing.
    pub(in crate::embedded) async fn tell(self, context: &Context, kind: &Kind, object: &Object) {
        let Some(events) = context.server.kind("", "events") else {
            return;
        };
        let value = object.value();
        let uid = value
            .reach("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let namespace = match object.namespace() {
            "" => "default",
            namespace => namespace,
        };
        let name = format!("{}.{}", object.name(), self.id(uid));
        let options = Options::controller(self.source);
        let now = write::now();
        if context.server.get(&events, namespace, &name).is_some() {
            let edit = |value: &mut Value| {
                let count = value.get("count").and_then(Value::as_i64).unwrap_or(1);
                json_patch::merge(value, &json!({"count": count + 1, "lastTimestamp": now}));
            };
            let _ = context
                .server
                .modify(&events, namespace, &name, Part::Main, &options, &edit)
                .await;
            return;
        }
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "kind": kind.kind, "namespace": object.namespace(), "name": object.name(), "uid": uid,
                "apiVersion": kind.api_version(), "resourceVersion": object.revision().to_string(),
            },
            "reason": self.reason, "message": self.message,
            "source": {"component": self.source},
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            "type": if self.warning { "Warning" } else { "Normal" },
            "eventTime": null, "reportingComponent": self.source, "reportingInstance": "",
        });
        let _ = context
            .server
            .create(&events, namespace, event, &options)
            .await;
    }

    /// A text that is the same for the same event about the same object.
    fn id(&self, uid: &str) -> String {
        use sha2::Digest as _;
        let mut digest = sha2::Sha256::new();
        for part in [uid, self.reason, &self.message, self.source] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let sum = digest.finalize();
        let bytes: &[u8] = sum.as_ref();
        bytes.iter().take(8).fold(String::new(), |mut out, byte| {
            out.push_str(&format!("{byte:02x}"));
            out
        })
    }
}
