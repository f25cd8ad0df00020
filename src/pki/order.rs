//! What a certificate shall say, and who signs it.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};

use super::{Certificate, Key};
use crate::diag::codes::embedded::BAD_CERTIFICATE;
use crate::error::{Error, Result};

/// From when to when a certificate counts, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: u64,
    /// The last second.
    pub until: u64,
}

impl Validity {
    /// Counts from a moment for some days; a minute earlier, for clocks that are late.
    pub fn days(now: u64, days: u64) -> Self {
        Self {
            from: now.saturating_sub(60),
            until: now.saturating_add(days.saturating_mul(24 * 3600)),
        }
    }
}

/// What a certificate shall say.
#[derive(Clone, Debug)]
pub struct Order {
    params: CertificateParams,
}

impl Order {
    fn new(name: &str, serial: [u8; 16], validity: Validity) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        // A leading zero bit keeps the number positive, a leading one keeps its length.
        let mut number = serial;
        number[0] = (number[0] & 0x7f) | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&number));
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(validity.from);
        params.not_after = epoch + Duration::from_secs(validity.until);
        Self { params }
    }

    /// A certificate authority.
    pub fn authority(name: &str, serial: [u8; 16], validity: Validity) -> Self {
        let mut order = Self::new(name, serial, validity);
        order.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        order.params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        order
    }

    /// A server that answers to these names and addresses.
    pub fn server(
        name: &str,
        names: &[String],
        addresses: &[IpAddr],
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Self> {
        let mut order = Self::new(name, serial, validity);
        for name in names {
            let name = name.as_str().try_into().map_err(|cause: rcgen::Error| {
                Error::new(
                    &BAD_CERTIFICATE,
                    format!("{name:?} cannot be a name in a certificate"),
                )
                .because(cause)
            })?;
            order.params.subject_alt_names.push(SanType::DnsName(name));
        }
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        order.params.subject_alt_names.extend(addresses);
        order.leaf(ExtendedKeyUsagePurpose::ServerAuth);
        Ok(order)
    }

    /// A client: the common name is the user, the organisation is the group, as Kubernetes reads them.
    pub fn client(user: &str, group: &str, serial: [u8; 16], validity: Validity) -> Self {
        let mut order = Self::new(user, serial, validity);
        let mut name = rcgen::DistinguishedName::new();
        name.push(DnType::OrganizationName, group);
        name.push(DnType::CommonName, user);
        order.params.distinguished_name = name;
        order.leaf(ExtendedKeyUsagePurpose::ClientAuth);
        order
    }

    /// A server that is a client too, for clusters that show one certificate everywhere.
    pub fn both(
        user: &str,
        group: &str,
        names: &[String],
        addresses: &[IpAddr],
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Self> {
        let mut order = Self::client(user, group, serial, validity);
        let server = Self::server(user, names, addresses, serial, validity)?;
        order.params.subject_alt_names = server.params.subject_alt_names;
        order
            .params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        Ok(order)
    }

    /// Lets a server be a client, too, as members of etcd are to each other.
    #[must_use]
    pub fn and_client(mut self) -> Self {
        self.params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ClientAuth);
        self
    }

    /// A client without a group.
    pub fn user(name: &str, serial: [u8; 16], validity: Validity) -> Self {
        let mut order = Self::new(name, serial, validity);
        order.leaf(ExtendedKeyUsagePurpose::ClientAuth);
        order
    }

    fn leaf(&mut self, purpose: ExtendedKeyUsagePurpose) {
        self.params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        self.params.extended_key_usages = vec![purpose];
        self.params.use_authority_key_identifier_extension = true;
    }

    /// Signs it with its own key: how an authority begins.
    pub fn self_signed(self, key: &Key) -> Result<Certificate> {
        finish(self.params.self_signed(&key.pair))
    }
}

/// A certificate authority ready to sign.
pub struct Issuer<'a> {
    issuer: rcgen::Issuer<'static, &'a rcgen::KeyPair>,
}

impl<'a> Issuer<'a> {
    /// Reads an authority's certificate; the key must be the one that belongs to it.
    pub fn new(certificate_pem: &str, key: &'a Key) -> Result<Self> {
        match rcgen::Issuer::from_ca_cert_pem(certificate_pem, &key.pair) {
            Ok(issuer) => Ok(Self { issuer }),
            Err(cause) => Err(Error::new(
                &BAD_CERTIFICATE,
                "this is no certificate of an authority",
            )
            .because(cause)),
        }
    }

    /// Signs a certificate for the owner of a key.
    pub fn sign(&self, order: Order, subject: &Key) -> Result<Certificate> {
        finish(order.params.signed_by(&subject.pair, &self.issuer))
    }

    /// Signs what somebody has asked for, with the names and the key of their request.
    pub fn sign_request(
        &self,
        request_pem: &str,
        purposes: Purposes,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Certificate> {
        let read = rcgen::CertificateSigningRequestParams::from_pem(request_pem);
        let mut request = read.map_err(|cause| {
            Error::new(&BAD_CERTIFICATE, "this is no request for a certificate").because(cause)
        })?;
        let dated = Order::new("", serial, validity).params;
        let params = &mut request.params;
        params.serial_number = dated.serial_number;
        params.not_before = dated.not_before;
        params.not_after = dated.not_after;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if purposes.encipherment {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages.clear();
        if purposes.client {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if purposes.server {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        finish(request.signed_by(&self.issuer))
    }
}

/// What a certificate is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    /// To say who a client is.
    pub client: bool,
    /// To say who a server is.
    pub server: bool,
    /// To agree on keys by them.
    pub encipherment: bool,
}

fn finish(made: Result<rcgen::Certificate, rcgen::Error>) -> Result<Certificate> {
    match made {
        Ok(certificate) => Ok(Certificate {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
        }),
        Err(cause) => {
            Err(Error::new(&BAD_CERTIFICATE, "the certificate cannot be signed").because(cause))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Issuer, Order, Purposes, Validity};
    use crate::pki::{Key, tests::PEM};

    /// An authority that has this key, and how long it is valid.
    fn authority(key: &Key) -> (Issuer<'_>, Validity) {
        let validity = Validity::days(1_700_000_000, 365);
        let ca = Order::authority("test-ca", [1; 16], validity)
            .self_signed(key)
            .unwrap();
        (Issuer::new(&ca.pem, key).unwrap(), validity)
    }

    #[test]
    fn a_request_is_signed_with_its_own_names_and_the_purposes_allowed() {
        let key = Key::from_pem(PEM).unwrap();
        let (issuer, validity) = authority(&key);
        let mut asked = rcgen::CertificateParams::default();
        asked.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut asked.distinguished_name;
        name.push(rcgen::DnType::OrganizationName, "developers");
        name.push(rcgen::DnType::CommonName, "jane");
        let request = asked.serialize_request(&key.pair).unwrap().pem().unwrap();
        let purposes = Purposes {
            client: true,
            ..Purposes::default()
        };
        let made = issuer
            .sign_request(&request, purposes, [3; 16], validity)
            .unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&made.der).unwrap();
        assert_eq!(read.subject().to_string(), "O=developers, CN=jane");
        let usage = read.extended_key_usage().unwrap().unwrap();
        assert!(usage.value.client_auth && !usage.value.server_auth);
        assert!(!read.is_ca());
        let nonsense = issuer.sign_request("nonsense", purposes, [3; 16], validity);
        assert!(nonsense.is_err());
    }

    #[test]
    fn a_client_certificate_names_user_and_group() {
        let key = Key::from_pem(PEM).unwrap();
        let (issuer, validity) = authority(&key);
        let order = Order::client("kubernetes-admin", "system:masters", [2; 16], validity);
        let made = issuer.sign(order, &key).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&made.der).unwrap();
        let names: Vec<&str> = read
            .subject()
            .iter_organization()
            .map(|o| o.as_str().unwrap())
            .collect();
        assert_eq!(names, ["system:masters"]);
        assert_eq!(read.issuer().to_string(), "CN=test-ca");
    }

    #[test]
    fn refuses_a_name_that_is_none() {
        let validity = Validity::days(0, 1);
        let names = ["bücher".to_owned()];
        let error = Order::server("x", &names, &[], [0; 16], validity)
            .err()
            .unwrap();
        assert_eq!(error.code().id, "E0702");
    }
}
