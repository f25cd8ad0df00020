//! The keys and certificates of a new cluster, made here instead of on the node: kubeadm keeps what it finds, and would
//! spend seconds on RSA keys otherwise.
//!
//! The layout is kubeadm's. Nothing is kept on this machine: the files go into the first control plane.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::distribution::vanilla::{API_PORT, Settings};
use crate::error::{Error, Result};
use crate::pki::{Issuer, Key, Order, Validity};
use crate::secret::Secret;
use crate::step::File;
use crate::world::Access;

/// How long authorities count, in days, as kubeadm has it.
const AUTHORITY: u64 = 3650;
/// How long other certificates count, in days, as kubeadm has it.
const LEAF: u64 = 365;

/// The files of a control plane and the way in.
pub(super) struct Pki {
    /// The files, with their paths in the node.
    pub(super) files: Vec<File>,
    /// The certificate authority of the API, PEM.
    authority: String,
    /// A client that may do everything: certificate and key.
    admin: (String, Secret),
}

/// An authority that signs.
struct Authority {
    key: Key,
    pem: String,
}

impl Pki {
    /// Makes everything that a first control plane at this address needs.
    pub(super) fn make(settings: &Settings, node: &str, address: IpAddr) -> Result<Self> {
        let now = now();
        let (long, short) = (Validity::days(now, AUTHORITY), Validity::days(now, LEAF));
        let mut files = Vec::new();
        let ca = authority("kubernetes", "ca", long, &mut files)?;
        let front = authority("front-proxy-ca", "front-proxy-ca", long, &mut files)?;
        let etcd = authority("etcd-ca", "etcd/ca", long, &mut files)?;
        let accounts = fresh_key()?;
        files.push(pki_file("sa.key", 0o600, accounts.pem()));
        files.push(pki_file(
            "sa.pub",
            0o600,
            Secret::new(accounts.public_pem()),
        ));

        if !settings.patches_cluster() {
            let (names, addresses) = server_names(settings, node, address);
            let order = Order::server("kube-apiserver", &names, &addresses, serial(), short)?;
            leaf(&ca, order, "apiserver", &mut files)?;
            etcd_leaves(&etcd, node, &[address], short, &mut files)?;
            let cluster_admins = "kubeadm:cluster-admins";
            let order = Order::client(
                "kube-apiserver-kubelet-client",
                cluster_admins,
                serial(),
                short,
            );
            leaf(&ca, order, "apiserver-kubelet-client", &mut files)?;
            let order = Order::user("kube-apiserver-etcd-client", serial(), short);
            leaf(&etcd, order, "apiserver-etcd-client", &mut files)?;
            let order = Order::user("kube-etcd-healthcheck-client", serial(), short);
            leaf(&etcd, order, "etcd/healthcheck-client", &mut files)?;
            let order = Order::user("front-proxy-client", serial(), short);
            leaf(&front, order, "front-proxy-client", &mut files)?;
        }

        let admin = client(
            &ca,
            Order::client("kubernetes-super-admin", "system:masters", serial(), short),
        )?;
        if !settings.patches_cluster() {
            let common = format!("https://{}:{API_PORT}", settings.endpoint());
            let local = format!("https://{}:{API_PORT}", host(address));
            let name = settings.name.as_str();
            let kubelet = format!("system:node:{node}");
            let orders = [
                (
                    "admin.conf",
                    "kubernetes-admin",
                    &common,
                    Order::client(
                        "kubernetes-admin",
                        "kubeadm:cluster-admins",
                        serial(),
                        short,
                    ),
                ),
                (
                    "controller-manager.conf",
                    "system:kube-controller-manager",
                    &local,
                    Order::user("system:kube-controller-manager", serial(), short),
                ),
                (
                    "scheduler.conf",
                    "system:kube-scheduler",
                    &local,
                    Order::user("system:kube-scheduler", serial(), short),
                ),
                (
                    "kubelet.conf",
                    kubelet.as_str(),
                    &common,
                    Order::client(&kubelet, "system:nodes", serial(), short),
                ),
            ];
            for (file, user, server, order) in orders {
                let pair = client(&ca, order)?;
                files.push(kubeconfig(file, name, user, server, &ca.pem, &pair));
            }
            files.push(kubeconfig(
                "super-admin.conf",
                name,
                "kubernetes-super-admin",
                &common,
                &ca.pem,
                &admin,
            ));
        }
        Ok(Self {
            files,
            authority: ca.pem,
            admin,
        })
    }

    /// The way in through a port of the host.
    pub(super) fn access(&self, server: String) -> Access {
        Access {
            server,
            authority: self.authority.clone(),
            certificate: self.admin.0.clone(),
            key: self.admin.1.clone(),
        }
    }
}

/// New certificates of a member of etcd that is at these addresses, signed by the cluster's own authority.
pub(super) fn etcd(
    authority: &str,
    key: &str,
    node: &str,
    addresses: &[IpAddr],
) -> Result<Vec<File>> {
    let signer = Authority {
        key: Key::from_pem(key)?,
        pem: authority.to_string(),
    };
    let mut files = Vec::new();
    etcd_leaves(
        &signer,
        node,
        addresses,
        Validity::days(now(), LEAF),
        &mut files,
    )?;
    Ok(files)
}

fn etcd_leaves(
    signer: &Authority,
    node: &str,
    addresses: &[IpAddr],
    validity: Validity,
    files: &mut Vec<File>,
) -> Result<()> {
    let names = ["localhost".to_string(), node.to_string()];
    let mut all = addresses.to_vec();
    all.extend([IpAddr::from([127, 0, 0, 1]), v6_loopback()]);
    for path in ["etcd/server", "etcd/peer"] {
        let order = Order::server(node, &names, &all, serial(), validity)?.and_client();
        leaf(signer, order, path, files)?;
    }
    Ok(())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The names and addresses that the API answers to.
fn server_names(settings: &Settings, node: &str, address: IpAddr) -> (Vec<String>, Vec<IpAddr>) {
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        node,
    ]
    .map(String::from)
    .into();
    if !names.contains(&settings.endpoint()) {
        names.push(settings.endpoint());
    }
    let mut addresses = vec![address];
    for name in settings.api_names() {
        match name.parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) if names.contains(&name) => {}
            Err(_) => names.push(name),
        }
    }
    addresses.extend(
        settings
            .service_subnet
            .split(',')
            .next()
            .and_then(first_address),
    );
    addresses.dedup();
    (names, addresses)
}

/// The first usable address of a range, which the service `kubernetes` has.
fn first_address(range: &str) -> Option<IpAddr> {
    let (address, _) = range.trim().split_once('/')?;
    Some(match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => IpAddr::from(u32::from(address).checked_add(1)?.to_be_bytes()),
        IpAddr::V6(address) => IpAddr::from(u128::from(address).checked_add(1)?.to_be_bytes()),
    })
}

fn v6_loopback() -> IpAddr {
    IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
}

fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn authority(
    name: &str,
    path: &str,
    validity: Validity,
    files: &mut Vec<File>,
) -> Result<Authority> {
    let key = fresh_key()?;
    let made = Order::authority(name, serial(), validity).self_signed(&key)?;
    files.push(pki_file(
        &format!("{path}.crt"),
        0o644,
        Secret::new(made.pem.clone()),
    ));
    files.push(pki_file(&format!("{path}.key"), 0o600, key.pem()));
    Ok(Authority { key, pem: made.pem })
}

fn leaf(signer: &Authority, order: Order, path: &str, files: &mut Vec<File>) -> Result<()> {
    let (pem, key) = client(signer, order)?;
    files.push(pki_file(&format!("{path}.crt"), 0o644, Secret::new(pem)));
    files.push(pki_file(&format!("{path}.key"), 0o600, key));
    Ok(())
}

fn client(signer: &Authority, order: Order) -> Result<(String, Secret)> {
    let key = fresh_key()?;
    let made = Issuer::new(&signer.pem, &signer.key)?.sign(order, &key)?;
    Ok((made.pem, key.pem()))
}

fn pki_file(path: &str, mode: u32, content: Secret) -> File {
    File {
        path: format!("/etc/kubernetes/pki/{path}"),
        mode,
        content,
    }
}

fn kubeconfig(
    file: &str,
    cluster: &str,
    user: &str,
    server: &str,
    authority: &str,
    pair: &(String, Secret),
) -> File {
    use base64::Engine as _;
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let context = format!("{user}@{cluster}");
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": cluster, "cluster": { "server": server, "certificate-authority-data": coded(authority) } }],
        "contexts": [{ "name": context, "context": { "cluster": cluster, "user": user } }],
        "current-context": context,
        "preferences": {},
        "users": [{ "name": user, "user": { "client-certificate-data": coded(&pair.0), "client-key-data": coded(pair.1.expose()) } }],
    });
    File {
        path: format!("/etc/kubernetes/{file}"),
        mode: 0o600,
        content: Secret::new(serde_saphyr::to_string(&content).unwrap_or_default()),
    }
}

fn fresh_key() -> Result<Key> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|cause| {
        Error::new(
            &crate::diag::codes::embedded::BAD_KEY,
            "no key can be made on this machine",
        )
        .because(cause)
    })?;
    Key::from_der(pair.serialized_der())
}

fn serial() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::{Distribution, Provider};
    use crate::spec::{DistributionSpec, Draft, Options, ProviderSpec, Tree, check};

    fn pki(options: Options) -> Pki {
        let draft = Draft {
            name: "dev".into(),
            distribution: Some(DistributionSpec {
                kind: Distribution::Vanilla,
                options,
            }),
            provider: Some(ProviderSpec {
                kind: Provider::Docker,
                options: Options::new(),
            }),
            ..Draft::default()
        };
        let settings = Settings::of(&check(&draft).unwrap());
        Pki::make(&settings, "dev-control-plane", [172, 18, 0, 2].into()).unwrap()
    }

    fn text<'a>(pki: &'a Pki, path: &str) -> &'a str {
        let file = pki.files.iter().find(|file| file.path.ends_with(path));
        file.unwrap().content.expose()
    }

    #[test]
    fn the_api_answers_to_every_name_it_has() {
        let pki = pki(Options::new());
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(text(&pki, "/pki/apiserver.crt").as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        let names: Vec<String> = names
            .value
            .general_names
            .iter()
            .map(|n| n.to_string())
            .collect();
        let all = names.join(" ");
        for name in ["kubernetes.default.svc", "localhost", "dev-control-plane"] {
            assert!(all.contains(name), "{all}");
        }
        assert_eq!(first_address("10.96.0.0/16"), Some([10, 96, 0, 1].into()));
        assert_eq!(names.len(), 9, "{all}");
    }

    #[test]
    fn a_member_of_etcd_is_trusted_at_both_of_its_addresses() {
        let made = pki(Options::new());
        let (ca, key) = (text(&made, "/etcd/ca.crt"), text(&made, "/etcd/ca.key"));
        let at = [IpAddr::from([172, 18, 0, 9]), IpAddr::from([172, 18, 0, 2])];
        let files = etcd(ca, key, "dev-control-plane", &at).unwrap();
        let peer = files
            .iter()
            .find(|file| file.path.ends_with("/etcd/peer.crt"));
        let pem = peer.unwrap().content.expose().as_bytes();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 6);
        assert!(etcd(ca, "no key", "dev-control-plane", &at).is_err());
    }

    #[test]
    fn kubeadm_makes_what_a_patch_may_change() {
        let patch = Tree::List(vec!["kind: ClusterConfiguration\n".into()]);
        let pki = pki([("kubeadm_patches".to_string(), patch)].into());
        let paths: Vec<&str> = pki.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths.len(), 8, "{paths:?}");
        assert!(
            paths
                .iter()
                .all(|path| path.starts_with("/etc/kubernetes/pki/"))
        );
    }
}
