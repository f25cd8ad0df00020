//! Mounts as text: `SOURCE:PATH[:MODE]`, with k3d's short names of paths.

use crate::diag::codes::model::BAD_VALUE;
use crate::error::{Error, Result};

/// Short names of paths in a node.
const SHORT: &[(&str, &str)] = &[
    ("k3s-storage", "/var/lib/rancher/k3s/storage"),
    (
        "k3s-manifests-custom",
        "/var/lib/rancher/k3s/server/manifests/custom",
    ),
    ("k3s-manifests", "/var/lib/rancher/k3s/server/manifests"),
    (
        "k3s-containerd-tmpl",
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
    ),
    (
        "k3s-containerd",
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    ),
    ("k3s-registry-config", "/etc/rancher/k3s/registries.yaml"),
];

/// Something mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// A path of the host or the name of a volume; `None` for a volume of its own.
    pub source: Option<String>,
    /// Its path in the node.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// `rprivate`, `rslave` or `rshared`.
    pub propagation: Option<&'static str>,
}

impl Volume {
    /// Reads a mount.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |help: &str| {
            Error::new(&BAD_VALUE, format!("{text:?} is no mount")).help(help.to_string())
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, modes) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, modes] => (Some(*source), *target, *modes),
            _ => return Err(wrong("use the form SOURCE:PATH[:MODE]")),
        };
        let target = expand(target);
        if !target.starts_with('/') {
            return Err(wrong("the path in the node begins with a slash"));
        }
        if let Some(source) = source
            && !source.starts_with('/')
            && !is_volume_name(source)
        {
            return Err(wrong(
                "the source is a whole path of the engine's host, or the name of a volume",
            ));
        }
        let mut volume = Self {
            source: source.map(String::from),
            target,
            read_only: false,
            propagation: None,
        };
        for mode in modes.split(',').filter(|mode| !mode.is_empty()) {
            match mode {
                "ro" => volume.read_only = true,
                // Relabelling for SELinux is what engines without SELinux ignore, too.
                "rw" | "z" | "Z" => {}
                "shared" | "rshared" => volume.propagation = Some("rshared"),
                "slave" | "rslave" => volume.propagation = Some("rslave"),
                "private" | "rprivate" => volume.propagation = Some("rprivate"),
                _ => return Err(wrong("the mode is ro, rw, z, Z, shared, slave or private")),
            }
        }
        Ok(volume)
    }
}

/// A path in a node, its short name spelt out: `k3s-manifests/a.yaml`.
pub fn expand(path: &str) -> String {
    let (head, rest) = path
        .split_once('/')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let long = SHORT.iter().find(|(short, _)| *short == head);
    match (long, rest) {
        (None, _) => path.to_string(),
        (Some((_, long)), None) => (*long).to_string(),
        (Some((_, long)), Some(rest)) => format!("{long}/{rest}"),
    }
}

fn is_volume_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let volume = Volume::parse("/a:/b:ro,shared").unwrap();
        assert_eq!(volume.source.as_deref(), Some("/a"));
        assert_eq!((volume.target.as_str(), volume.read_only), ("/b", true));
        assert_eq!(volume.propagation, Some("rshared"));
        assert_eq!(
            Volume::parse("data:k3s-storage").unwrap().target,
            "/var/lib/rancher/k3s/storage"
        );
        assert_eq!(Volume::parse("/b").unwrap().source, None);
        assert_eq!(
            expand("k3s-manifests-custom/a.yaml"),
            "/var/lib/rancher/k3s/server/manifests/custom/a.yaml"
        );
    }

    #[test]
    fn refuses_what_is_no_mount() {
        for text in ["", "a:b", "./a:/b", "/a:/b:up", "a:b:c:d", "-x:/b"] {
            assert!(Volume::parse(text).is_err(), "{text}");
        }
    }
}
