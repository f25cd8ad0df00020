//! The keys of a KWOK cluster: an authority, and one certificate that every server and client shows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::diag::codes::embedded::BAD_KEY;
use crate::error::{Error, Result};
use crate::pki::{Issuer, Key, Order, Validity};
use crate::secret::Secret;

/// How long the certificates count, as kwokctl's do.
const DAYS: u64 = 100 * 365;

/// An authority and what it signed, in PEM.
pub(super) struct Keys {
    pub(super) authority: String,
    pub(super) authority_key: Secret,
    pub(super) certificate: String,
    pub(super) key: Secret,
}

/// Makes fresh keys for a cluster.
pub(super) fn fresh(name: &str) -> Result<Keys> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let validity = Validity::days(now.saturating_sub(24 * 3600), DAYS);
    let (authority_key, key) = (fresh_key()?, fresh_key()?);
    let authority = Order::authority("kwok-ca", serial(), validity).self_signed(&authority_key)?;
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
    for component in ["kube-apiserver", "kwok-controller"] {
        names.push(super::components::container_name(name, component));
    }
    let addresses = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let order = Order::both(
        "kwok-admin",
        "system:masters",
        &names,
        &addresses,
        serial(),
        validity,
    )?;
    let certificate = Issuer::new(&authority.pem, &authority_key)?.sign(order, &key)?;
    Ok(Keys {
        authority: authority.pem,
        authority_key: authority_key.sec1_pem()?,
        certificate: certificate.pem,
        key: key.sec1_pem()?,
    })
}

fn fresh_key() -> Result<Key> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|cause| Error::new(&BAD_KEY, "no key can be made").because(cause))?;
    Key::from_der(pair.serialized_der())
}

fn serial() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}
