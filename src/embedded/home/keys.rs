//! The keys and certificates of a new cluster.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::diag::codes::embedded::BAD_KEY;
use crate::error::{Error, Result};
use crate::pki::{Issuer, Key, Order, Validity};
use crate::secret::Secret;

/// How long certificates count, in days.
const DAYS: u64 = 3650;

/// Makes the files of `pki/` anew.
pub(super) fn make() -> Result<Vec<(&'static str, Secret)>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let validity = Validity::days(now.map_or(0, |since| since.as_secs()), DAYS);
    let (ca_key, server_key, admin_key, sa_key) =
        (fresh_key()?, fresh_key()?, fresh_key()?, fresh_key()?);
    let ca = Order::authority("kubernetes", serial(), validity).self_signed(&ca_key)?;
    let issuer = Issuer::new(&ca.pem, &ca_key)?;
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    .map(str::to_owned);
    let addresses = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
    ];
    let order = Order::server("kube-apiserver", &names, &addresses, serial(), validity)?;
    let server = issuer.sign(order, &server_key)?;
    let order = Order::client("kubernetes-admin", "system:masters", serial(), validity);
    let admin = issuer.sign(order, &admin_key)?;
    Ok(vec![
        ("ca.crt", Secret::new(ca.pem.clone())),
        ("ca.key", ca_key.pem()),
        ("server.crt", Secret::new(server.pem)),
        ("server.key", server_key.pem()),
        ("admin.crt", Secret::new(admin.pem)),
        ("admin.key", admin_key.pem()),
        ("sa.key", sa_key.pem()),
    ])
}

fn fresh_key() -> Result<Key> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|cause| Error::new(&BAD_KEY, "no key can be made").because(cause))?;
    Key::from_der(pair.serialized_der())
}

fn serial() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}
