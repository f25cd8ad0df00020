//! Certificate signing requests: those that were approved get their certificate from the cluster's own authority.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::owned::{set_status, text};
use super::{Context, Controller, Next};
use crate::embedded::api::status::Status;
use crate::embedded::home::Home;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, ChangeKind};
use crate::error::Result;
use crate::pki::{Issuer, Key, Purposes, Validity};

const GROUP: &str = "certificates.k8s.io";
const NAME: &str = "csrsigning";
/// How long a certificate counts if nobody says.
const DAYS: u64 = 365;

/// The controller.
pub(super) struct Certificates;

impl Controller for Certificates {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, "certificatesigningrequests")]
    }

    fn keys(&mut self, _: &Context, _: usize, change: &Change) -> Vec<String> {
        match change.kind {
            ChangeKind::Deleted => Vec::new(),
            _ => vec![change.object.key().to_owned()],
        }
    }

    async fn reconcile(
        &mut self,
        context: &Context,
        key: &str,
    ) -> std::result::Result<Next, Status> {
        let kind = context.kind(GROUP, "certificatesigningrequests")?;
        let (Some(object), Some(home)) =
            (context.find(&kind, key), &context.server.settings().keys)
        else {
            return Ok(Next::Done);
        };
        let value = object.value();
        let has = |name: &str| {
            let list = value.reach("/status/conditions").and_then(Value::as_array);
            let mut list = list.into_iter().flatten();
            list.any(|one| text(one, "/type") == name && text(one, "/status") != "False")
        };
        let signer = text(&value, "/spec/signerName");
        if !has("Approved") || has("Denied") || has("Failed") || !is_ours(signer) {
            return Ok(Next::Done);
        }
        if !text(&value, "/status/certificate").is_empty() {
            return Ok(Next::Done);
        }
        let status = match sign(home, &value) {
            Ok(pem) => json!({"certificate": STANDARD.encode(pem)}),
            Err(error) => {
                let list = value.reach("/status/conditions").and_then(Value::as_array);
                let mut list = list.cloned().unwrap_or_default();
                let now = crate::embedded::write::now();
                list.push(json!({
                    "type": "Failed", "status": "True", "reason": "SignerValidationFailure",
                    "message": error.to_string(), "lastUpdateTime": now, "lastTransitionTime": now,
                }));
                json!({"conditions": list})
            }
        };
        set_status(context, &kind, &object, status, NAME).await?;
        Ok(Next::Done)
    }
}

/// Whether the cluster's authority signs for a signer.
fn is_ours(signer: &str) -> bool {
    matches!(
        signer,
        "kubernetes.io/kube-apiserver-client"
            | "kubernetes.io/kube-apiserver-client-kubelet"
            | "kubernetes.io/kubelet-serving"
            | "kubernetes.io/legacy-unknown"
    )
}

fn sign(home: &Home, value: &Value) -> Result<String> {
    let request = STANDARD
        .decode(text(value, "/spec/request"))
        .unwrap_or_default();
    let request = String::from_utf8_lossy(&request).into_owned();
    let usages = value.reach("/spec/usages").and_then(Value::as_array);
    let asks = |usage: &str| {
        let mut list = usages.into_iter().flatten();
        list.any(|one| one.as_str() == Some(usage))
    };
    let purposes = Purposes {
        client: asks("client auth"),
        server: asks("server auth"),
        encipherment: asks("key encipherment"),
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut validity = Validity::days(now, DAYS);
    let seconds = value.reach("/spec/expirationSeconds");
    if let Some(seconds) = seconds.and_then(Value::as_u64) {
        validity.until = validity.until.min(now.saturating_add(seconds));
    }
    let key = Key::from_pem(home.read_pki("ca.key")?.expose())?;
    let issuer = Issuer::new(&home.authority()?, &key)?;
    let serial = *uuid::Uuid::new_v4().as_bytes();
    Ok(issuer
        .sign_request(&request, purposes, serial, validity)?
        .pem)
}
