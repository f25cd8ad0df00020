//! Who asks, and whether they may.

pub mod rbac;
pub(super) mod review;
pub mod token;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::Digest as _;

/// Whoever makes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Such as `kubernetes-admin` or `system:serviceaccount:default:default`.
    pub name: String,
    /// Only service accounts have one.
    pub uid: String,
    /// Such as `system:masters`.
    pub groups: Vec<String>,
    /// Anything else that is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of some groups; everybody who is known is also `system:authenticated`.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        groups.push("system:authenticated".to_owned());
        Self {
            name: name.to_owned(),
            groups,
            ..Self::default()
        }
    }

    /// A part of the control plane.
    pub fn system(name: &str) -> Self {
        Self::new(&format!("system:{name}"), &["system:masters"])
    }

    /// Somebody who did not say who they are.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    /// Reads a client certificate: common name and organisations.
    pub fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next()?.as_str().ok()?;
        let groups: Vec<&str> = subject
            .iter_organization()
            .filter_map(|group| group.as_str().ok())
            .collect();
        let mut user = Self::new(name, &groups);
        let sum = sha2::Sha256::digest(der);
        let bytes: &[u8] = sum.as_ref();
        let mut id = String::from("X509SHA256=");
        for byte in bytes {
            let _ = write!(id, "{byte:02x}");
        }
        let key = "authentication.kubernetes.io/credential-id";
        user.extra.insert(key.to_owned(), vec![id]);
        Some(user)
    }

    /// The user that a request's headers ask to be treated as, if they do.
    pub fn impersonated(headers: &http::HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let name = text("impersonate-user")?;
        let groups = headers.get_all("impersonate-group");
        let groups: Vec<&str> = groups
            .iter()
            .filter_map(|group| group.to_str().ok())
            .collect();
        let mut user = Self::new(name, &groups);
        if let Some(rest) = name.strip_prefix("system:serviceaccount:")
            && groups.is_empty()
            && let Some((namespace, account)) = rest.split_once(':')
        {
            user = token::service_account(namespace, account);
        }
        if let Some(uid) = text("impersonate-uid") {
            uid.clone_into(&mut user.uid);
        }
        Some(user)
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// What is needed to know users and their rights.
#[derive(Default)]
pub struct Access {
    signer: Option<token::Signer>,
}

impl Access {
    /// Signs and reads service-account tokens with a key.
    pub fn with_key(key: &crate::pki::Key) -> crate::Result<Self> {
        Ok(Self {
            signer: Some(token::Signer::new(key)?),
        })
    }

    /// What signs tokens, if there is a key.
    pub fn signer(&self) -> Option<&token::Signer> {
        self.signer.as_ref()
    }
}
