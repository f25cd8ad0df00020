//! What an identity provider asks of an API server, the same for every distribution.

use std::collections::BTreeMap;

use crate::spec::{Spec, Tree};

/// The arguments of the API server without their dashes, but for the certificate authority, whose path differs.
pub(super) fn arguments(spec: &Spec) -> BTreeMap<String, String> {
    let Some(oidc) = spec.settings.get("oidc").and_then(Tree::as_map) else {
        return BTreeMap::new();
    };
    [
        ("issuer_url", "oidc-issuer-url", ""),
        ("client_id", "oidc-client-id", ""),
        ("username_claim", "oidc-username-claim", "email"),
        ("username_prefix", "oidc-username-prefix", "oidc:"),
        ("groups_claim", "oidc-groups-claim", "groups"),
        ("groups_prefix", "oidc-groups-prefix", "oidc:"),
    ]
    .into_iter()
    .map(|(key, argument, default)| {
        let given = oidc.get(key).and_then(Tree::as_text);
        (argument.to_string(), given.unwrap_or(default).to_string())
    })
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

/// The certificate authority of the identity provider, PEM.
pub(super) fn authority(spec: &Spec) -> Option<String> {
    let oidc = spec.settings.get("oidc")?.as_map()?;
    Some(oidc.get("ca")?.as_text()?.to_string())
}
