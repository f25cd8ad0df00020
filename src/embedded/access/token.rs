//! Service-account tokens: signed by the cluster, checked against the account that is there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::User;
use crate::diag::codes::embedded::BAD_KEY;
use crate::embedded::api::path::Target;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::api::{Answer, Call};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::write;
use crate::error::{Error, Result};
use crate::pki::Key;

/// Who issues tokens, and for whom they are meant.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The key that tokens are signed with.
pub struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// Takes the service-account key.
    pub fn new(key: &Key) -> Result<Self> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.der(), &random)
            .map_err(|cause| {
            Error::new(&BAD_KEY, "the service-account key cannot sign").because(cause.to_string())
        })?;
        Ok(Self { pair, random })
    }

    /// Signs claims.
    fn sign(&self, claims: &Value) -> Option<String> {
        let head = json!({"alg": "ES256", "kid": self.key_id(), "typ": "JWT"});
        let text = format!("{}.{}", encode(&head), encode(claims));
        let signature = self.pair.sign(&self.random, text.as_bytes()).ok()?;
        Some(format!(
            "{text}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ))
    }

    /// Reads the claims of a token that this key signed.
    fn read(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        public.verify(text.as_bytes(), &signature).ok()?;
        let (_, claims) = text.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    fn key_id(&self) -> String {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(self.pair.public_key());
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// The public half, as `/openid/v1/jwks` shows it.
    pub fn key_set(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        // An uncompressed point: a mark, then two halves.
        let half =
            |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.key_id(), "crv": "P-256", "alg": "ES256",
            "x": half(1), "y": half(33),
        }]})
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Finds out whose token this is.
pub fn user_of(server: &Server, token: &str) -> Option<User> {
    let claims = server.access().signer()?.read(token)?;
    let now = jiff::Timestamp::now().as_second();
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    if number("exp")? < now || number("nbf").is_some_and(|from| from > now + 60) {
        return None;
    }
    let own = claims.get("kubernetes.io")?;
    let text = |at: &str| own.reach(at).and_then(Value::as_str);
    let (namespace, name) = (text("/namespace")?, text("/serviceaccount/name")?);
    let uid = text("/serviceaccount/uid")?;
    let kind = server.kind("", "serviceaccounts")?;
    let account = server.get(&kind, namespace, name)?;
    // A token outlives neither its account nor the pod it was made for.
    if account
        .value()
        .reach("/metadata/uid")
        .and_then(Value::as_str)
        != Some(uid)
    {
        return None;
    }
    let mut user = service_account(namespace, name);
    user.uid = uid.to_owned();
    if let (Some(pod), Some(pod_uid)) = (text("/pod/name"), text("/pod/uid")) {
        let pods = server.kind("", "pods")?;
        let found = server.get(&pods, namespace, pod)?;
        if found.value().reach("/metadata/uid").and_then(Value::as_str) != Some(pod_uid) {
            return None;
        }
        let one = |value: &str| vec![value.to_owned()];
        user.extra
            .insert("authentication.kubernetes.io/pod-name".to_owned(), one(pod));
        user.extra.insert(
            "authentication.kubernetes.io/pod-uid".to_owned(),
            one(pod_uid),
        );
    }
    let id = claims
        .get("jti")
        .and_then(Value::as_str)
        .unwrap_or_default();
    user.extra.insert(
        "authentication.kubernetes.io/credential-id".to_owned(),
        vec![format!("JTI={id}")],
    );
    Some(user)
}

/// The user that a service account is.
pub fn service_account(namespace: &str, name: &str) -> User {
    let all = "system:serviceaccounts";
    User::new(
        &format!("{all}:{namespace}:{name}").replacen("accounts", "account", 1),
        &[all, &format!("{all}:{namespace}")],
    )
}

/// Answers a TokenRequest.
pub(in crate::embedded) fn request(
    call: &Call<'_>,
    kind: &Arc<Kind>,
    target: &Target,
) -> Result<Answer, Status> {
    let mut body = crate::embedded::api::object_of(call, "TokenRequest")?;
    let account = call
        .server
        .get(kind, &target.namespace, &target.name)
        .ok_or_else(|| Status::not_found(kind, &target.name))?;
    let seconds = body
        .reach("/spec/expirationSeconds")
        .and_then(Value::as_i64);
    let seconds = seconds.unwrap_or(3600);
    if seconds < 600 {
        let cause = Cause::invalid(
            "spec.expirationSeconds",
            &seconds.into(),
            "may not specify a duration less than 10 minutes",
        );
        let mut request = (**kind).clone();
        request.group = "authentication.k8s.io".to_owned();
        request.kind = "TokenRequest".to_owned();
        return Err(Status::invalid(&request, "", &[cause]));
    }
    let audiences = body.reach("/spec/audiences").and_then(Value::as_array);
    let audiences = match audiences {
        Some(list) if !list.is_empty() => list.clone(),
        _ => vec![ISSUER.into()],
    };
    let now = jiff::Timestamp::now();
    let until = now
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .map_err(|_| Status::bad_request("expirationSeconds is out of range"))?;
    let mut own = json!({
        "namespace": target.namespace,
        "serviceaccount": {
            "name": target.name,
            "uid": account.value().reach("/metadata/uid").cloned().unwrap_or_default(),
        },
    });
    add_bound_object(call.server, target, &body, &mut own)?;
    let claims = json!({
        "aud": audiences, "exp": until.as_second(), "iat": now.as_second(), "iss": ISSUER,
        "jti": uuid::Uuid::new_v4().to_string(), "kubernetes.io": own, "nbf": now.as_second(),
        "sub": service_account(&target.namespace, &target.name).name,
    });
    let token = call
        .server
        .access()
        .signer()
        .and_then(|signer| signer.sign(&claims));
    let Some(token) = token else {
        return Err(Status::new(
            500,
            "InternalError",
            "this control plane has no key to sign tokens with",
        ));
    };
    let metadata = json!({
        "name": target.name, "namespace": target.namespace, "creationTimestamp": write::time(now),
    });
    if let Some(root) = body.as_object_mut() {
        root.insert("kind".to_owned(), "TokenRequest".into());
        root.insert("apiVersion".to_owned(), "authentication.k8s.io/v1".into());
        root.insert("metadata".to_owned(), metadata);
    }
    let filled = json!({
        "spec": {"audiences": audiences, "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": write::time(until)},
    });
    json_patch::merge(&mut body, &filled);
    Ok(Answer::json(201, &body))
}

/// Ties a token to the life of an object, if the request asks for it.
fn add_bound_object(
    server: &Server,
    target: &Target,
    body: &Value,
    own: &mut Value,
) -> Result<(), Status> {
    let Some(bound) = body.reach("/spec/boundObjectRef").filter(|b| b.is_object()) else {
        return Ok(());
    };
    let text = |name: &str| bound.get(name).and_then(Value::as_str).unwrap_or_default();
    let (part, plural, namespace) = match text("kind") {
        "Pod" => ("pod", "pods", target.namespace.as_str()),
        "Secret" => ("secret", "secrets", target.namespace.as_str()),
        "Node" => ("node", "nodes", ""),
        other => {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {:?} to object of type {other:?}",
                target.name
            )));
        }
    };
    let kind = server.kind("", plural).ok_or_else(Status::no_such_path)?;
    let object = server
        .get(&kind, namespace, text("name"))
        .ok_or_else(|| Status::not_found(&kind, text("name")))?;
    let uid = object
        .value()
        .reach("/metadata/uid")
        .cloned()
        .unwrap_or_default();
    if let Some(own) = own.as_object_mut() {
        own.insert(part.to_owned(), json!({"name": text("name"), "uid": uid}));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Signer, service_account};
    use crate::pki::{Key, tests::PEM};

    #[test]
    fn reads_only_what_it_signed() {
        let signer = Signer::new(&Key::from_pem(PEM).unwrap()).unwrap();
        let claims = json!({"sub": "x"});
        let token = signer.sign(&claims).unwrap();
        assert_eq!(signer.read(&token).unwrap(), claims);
        let (text, signature) = token.rsplit_once('.').unwrap();
        assert!(signer.read(&format!("{text}x.{signature}")).is_none());
        for bad in ["", ".", "..", "a.b.c"] {
            assert!(signer.read(bad).is_none());
        }
    }

    #[test]
    fn a_service_account_is_a_user_in_two_groups() {
        let user = service_account("ns", "sa");
        assert_eq!(user.name, "system:serviceaccount:ns:sa");
        assert!(user.is_in("system:serviceaccounts:ns"));
    }
}
