//! Names and versions that have been checked.

use std::fmt;

use serde::Serialize;

use crate::axis::{Axis, Distribution, Provider};
use crate::diag::codes::model::{BAD_NAME, BAD_VALUE};
use crate::error::{Error, Result};

/// The longest cluster name.
pub const MAX_NAME: usize = 63;

/// A cluster's name: 1 to 63 lower-case letters, digits and hyphens, beginning with a letter, not ending with a hyphen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ClusterName(String);

impl ClusterName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self> {
        let problem = if name.is_empty() {
            "the cluster name is empty".to_string()
        } else if name.chars().count() > MAX_NAME {
            format!(
                "the cluster name `{}…` is longer than {MAX_NAME} characters",
                name.chars().take(20).collect::<String>()
            )
        } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            format!("the cluster name {name:?} does not begin with a lower-case letter")
        } else if name.ends_with('-') {
            format!("the cluster name {name:?} ends with a hyphen")
        } else if let Some(wrong) = name
            .chars()
            .find(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit() && *c != '-')
        {
            format!("the cluster name {name:?} has a {wrong:?} in it")
        } else {
            return Ok(Self(name.to_string()));
        };
        Err(Error::new(&BAD_NAME, problem).help(
            "use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen",
        ))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a cluster's kubeconfig context.
pub fn context(name: &ClusterName, distribution: Distribution, provider: Provider) -> String {
    use Distribution as D;
    match (distribution, provider) {
        (_, Provider::Embedded) => format!("embedded-{name}"),
        (D::Vanilla, _) => format!("kind-{name}"),
        (D::K3s, Provider::Kubernetes) => format!("k3k-{name}"),
        (D::K3s, _) => format!("k3d-{name}"),
        (D::Talos, _) => format!("admin@{name}"),
        (D::VCluster, Provider::Kubernetes) => format!("vcluster-{name}"),
        (D::VCluster, _) => format!("vcluster-docker_{name}"),
        (D::Kwok, _) => format!("kwok-{name}"),
        (D::Eks, _) => format!("{name}.eks"),
    }
}

/// A version as `1.35` or `1.35.4`, without the leading `v`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// The patch number, where one was given.
    pub patch: Option<u32>,
}

impl Version {
    /// Reads a version; a leading `v` is allowed.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(&BAD_VALUE, format!("{text:?} is no version"))
                .help("write it as \"1.35\" or \"1.35.4\"")
        };
        let parts: Vec<&str> = text.strip_prefix('v').unwrap_or(text).split('.').collect();
        let number = |part: &str| -> Option<u32> {
            let is_plain = !part.is_empty()
                && part.len() <= 6
                && part.bytes().all(|byte| byte.is_ascii_digit());
            if is_plain { part.parse().ok() } else { None }
        };
        match parts.as_slice() {
            [major, minor] => Some((number(major), number(minor), None)),
            [major, minor, patch] => {
                number(patch).map(|patch| (number(major), number(minor), Some(patch)))
            }
            _ => None,
        }
        .and_then(|(major, minor, patch)| {
            Some(Self {
                major: major?,
                minor: minor?,
                patch,
            })
        })
        .ok_or_else(wrong)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            Some(patch) => write!(f, ".{patch}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Finds the name of an axis entry, or says which there are.
pub fn pick<A: Axis>(name: &str) -> Result<A> {
    A::parse(name).ok_or_else(|| {
        let near = crate::diag::suggest::nearest(name, A::names());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", crate::diag::suggest::one_of(A::names())),
        };
        Error::new(&BAD_VALUE, format!("there is no {} {name:?}", A::WORD)).help(help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_good_names_only() {
        for good in ["a", "dev", "ci-1-35", &"a".repeat(63)] {
            assert!(ClusterName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Dev",
            "1a",
            "-a",
            "a-",
            "a_b",
            "ä",
            "a.b",
            "../x",
            &"a".repeat(64),
        ] {
            let error = ClusterName::parse(bad).unwrap_err();
            assert_eq!(error.code().id, "E0207", "{bad}");
        }
    }

    #[test]
    fn reads_versions() {
        assert_eq!(Version::parse("v1.35.4").unwrap().to_string(), "1.35.4");
        assert_eq!(Version::parse("1.35").unwrap().to_string(), "1.35");
        for bad in [
            "",
            "1",
            "1.x",
            "1.2.3.4",
            "1.35-rc1",
            "99999999999.1",
            "1..2",
            "+1.2",
        ] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn suggests_names() {
        let error = pick::<Distribution>("kwokk").unwrap_err();
        assert_eq!(error.helps(), ["did you mean `kwok`?"]);
    }

    proptest::proptest! {
        #[test]
        fn parsers_never_panic(text in "\\PC{0,80}") {
            let _ = ClusterName::parse(&text);
            let _ = Version::parse(&text);
        }
    }
}
