//! Registries, mirrors and image verification: whether a cluster can have them, and from where they are reached.

use super::super::registry::{Mirror, Registry};
use super::super::{Options, Tree, Version, Warning};
use crate::axis::{Axis, Distribution, Feature, Provider};
use crate::diag::codes::model::{CONTRADICTION, NOT_ON_DISTRIBUTION};
use crate::error::Error;
use crate::support::{self, Support};

/// Says what of the wanted features cannot be had here, or not as asked.
pub(super) fn check(
    settings: &Options,
    distribution: Distribution,
    provider: Provider,
    options: &Options,
    warnings: &mut Vec<Warning>,
    problems: &mut Vec<Error>,
) {
    for (feature, key) in [
        (Feature::LocalRegistry, "local_registry"),
        (Feature::Mirrors, "mirrors"),
        (Feature::Registries, "registries"),
        (Feature::ImageVerification, "image_verification"),
    ] {
        let Some(value) = settings.get(key).filter(|value| is_wanted(value)) else {
            continue;
        };
        match support::feature(feature, distribution, provider).value {
            Support::Unsupported => problems.push(
                Error::new(
                    &NOT_ON_DISTRIBUTION,
                    format!("`{key}` cannot be had on {}", distribution.name()),
                )
                .help("leave it out")
                .field(key),
            ),
            Support::Since(since) => check_since(since, options, key, problems),
            Support::Skipped => warnings.push(Warning {
                field: key.into(),
                text: format!("`{key}` is left out on {}", distribution.name()),
            }),
            _ => check_places(value, key, provider, problems),
        }
    }
}

fn check_since(since: &str, options: &Options, key: &str, problems: &mut Vec<Error>) {
    let given = options
        .get("version")
        .and_then(|version| Version::parse(version.as_text()?).ok());
    if let (Some(given), Ok(since)) = (given, Version::parse(since))
        && (given.major, given.minor) < (since.major, since.minor)
    {
        problems.push(
            Error::new(
                &CONTRADICTION,
                format!(
                    "`{key}` wants version {since} of the distribution, and {given} is asked for"
                ),
            )
            .help(format!(
                "raise `version` to {since} or newer, or leave `{key}` out"
            ))
            .field(key),
        );
    }
}

/// Registries beside the cluster are Docker's; elsewhere they have to be reachable from there.
fn check_places(value: &Tree, key: &str, provider: Provider, problems: &mut Vec<Error>) {
    if matches!(provider, Provider::Docker | Provider::Embedded) {
        return;
    }
    let is_local = match (key, value) {
        ("local_registry", Tree::Bool(true)) => true,
        ("local_registry", Tree::Text(text)) => {
            Registry::parse(text).is_ok_and(|registry| !registry.is_external())
        }
        ("mirrors", Tree::List(mirrors)) if provider != Provider::Kubernetes => {
            mirrors.iter().any(|mirror| {
                let upstream = mirror
                    .as_text()
                    .and_then(|text| Mirror::parse(text).ok())
                    .map(|mirror| mirror.upstream);
                let local = [
                    "localhost",
                    "127.0.0.1",
                    "0.0.0.0",
                    "host.docker.internal",
                    "[::1]",
                ];
                upstream.is_some_and(|upstream| local.iter().any(|host| upstream.contains(host)))
            })
        }
        _ => false,
    };
    if is_local {
        problems.push(
            Error::new(
                &CONTRADICTION,
                format!(
                    "a registry on this machine cannot be reached from {}",
                    provider.title()
                ),
            )
            .help("use an external registry, such as \"ghcr.io/you/app\"")
            .field(key),
        );
    }
}

fn is_wanted(value: &Tree) -> bool {
    match value {
        Tree::Bool(answer) => *answer,
        Tree::List(list) => !list.is_empty(),
        Tree::Null => false,
        _ => true,
    }
}
