//! Options of constructors, one table per distribution, provider and component.
//!
//! To add an option, add a row; checking, suggestions and `ksail doc` follow.

mod component;
mod distribution;
pub mod k3d;
pub mod kind;
mod provider;

use super::DistributionSpec;
use super::field::{self, Field};
use super::tree::{Options, Tree};
use crate::axis::{Component, Distribution, Provider};
use crate::error::Error;
use crate::facts::Role;

pub use component::{HELM, KUSTOMIZE, MANIFESTS};

/// The options of a distribution.
pub fn of_distribution(kind: Distribution) -> &'static [Field] {
    distribution::fields(kind)
}

/// The options of a provider.
pub fn of_provider(kind: Provider) -> &'static [Field] {
    provider::fields(kind)
}

/// The options of a component.
pub fn of_component(kind: Component) -> &'static [Field] {
    component::fields(kind)
}

/// Checks a constructor's options; every problem, or none.
pub fn check(fields: &'static [Field], required: &[&str], given: &Options) -> Vec<Error> {
    let mut problems = Vec::new();
    field::check(fields, required, given, "", &mut problems);
    problems
}

/// The form of the file that a distribution's option `config` names, and the fields it must have; `None` for those whose
/// files are not read into the definition.
pub fn config_of(kind: Distribution) -> Option<(&'static [Field], &'static [&'static str])> {
    match kind {
        Distribution::Vanilla => Some((self::kind::CLUSTER, &["kind", "apiVersion"])),
        Distribution::K3s => Some((k3d::CLUSTER, &["kind", "apiVersion"])),
        _ => None,
    }
}

/// What must hold within such a file, whose fields are right by themselves.
pub fn contradictions_of_config(kind: Distribution, file: &Options) -> Vec<Error> {
    match kind {
        Distribution::Vanilla => kind::check(file),
        Distribution::K3s => k3d::check(file),
        _ => Vec::new(),
    }
}

/// How many control planes and workers the distribution's own file names, where it names any.
pub fn counts(distribution: &DistributionSpec) -> Option<(u32, u32)> {
    let file = distribution.options.get("config")?.as_map()?;
    match distribution.kind {
        Distribution::Vanilla => {}
        Distribution::K3s => return Some(k3d::counts(file)),
        _ => return None,
    }
    let roles = kind::roles(file);
    let count = |wanted: Role| {
        let nodes = roles.iter().filter(|(role, _)| *role == wanted).count();
        u32::try_from(nodes).unwrap_or(u32::MAX)
    };
    (!roles.is_empty()).then(|| (count(Role::ControlPlane), count(Role::Worker)))
}

/// What has to hold between a provider's options, whose values are right by themselves.
pub fn contradictions_of_provider(kind: Provider, given: &Options) -> Vec<Error> {
    provider::contradictions(kind, given)
}

/// What has to hold between a distribution's options, whose values are right by themselves.
pub fn contradictions(kind: Distribution, given: &Options) -> Vec<Error> {
    match kind {
        Distribution::Vanilla => vanilla(given),
        Distribution::K3s => k3s(given),
        _ => Vec::new(),
    }
}

fn k3s(given: &Options) -> Vec<Error> {
    let Some(file) = given.get("config").and_then(Tree::as_map) else {
        return Vec::new();
    };
    let found = k3d::check(file).into_iter().map(|problem| {
        let path = format!("config.{}", problem.at_field().unwrap_or_default());
        problem.field(path)
    });
    found.collect()
}

fn vanilla(given: &Options) -> Vec<Error> {
    let mut problems = Vec::new();
    let file = given.get("config").and_then(Tree::as_map);
    if let Some(file) = file {
        let found = kind::check(file).into_iter().map(|problem| {
            let path = format!("config.{}", problem.at_field().unwrap_or_default());
            problem.field(path)
        });
        problems.extend(found);
    }
    let family = given.get("ip_family").or_else(|| {
        let networking = file?.get("networking")?.as_map()?;
        networking.get("ipFamily")
    });
    let family = family.and_then(Tree::as_text).unwrap_or("ipv4");
    for key in ["pod_subnet", "service_subnet"] {
        if let Some(text) = given.get(key).and_then(Tree::as_text) {
            let problem = kind::subnets(text, family).err();
            problems.extend(problem.map(|problem| problem.field(key)));
        }
    }
    problems.extend(kind::patches(given));
    problems
}

/// Code and field of each problem of a peer's file, for the tests of what `kind` and `k3d` check.
#[cfg(test)]
fn problems(
    fields: &'static [Field],
    more: fn(&Options) -> Vec<Error>,
    file: &serde_json::Value,
) -> Vec<String> {
    let tree = Tree::from_json(file);
    let file = tree.as_map().unwrap();
    let mut found = check(fields, &[], file);
    found.extend(more(file));
    let told = |problem: &Error| {
        let field = problem.at_field().unwrap_or_default();
        format!("{} {field}", problem.code().id)
    };
    found.iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Axis;

    #[test]
    fn every_option_is_documented_once() {
        let tables = Distribution::ALL
            .iter()
            .map(|kind| of_distribution(*kind))
            .chain(Provider::ALL.iter().map(|kind| of_provider(*kind)))
            .chain(Component::ALL.iter().map(|kind| of_component(*kind)))
            .chain([HELM, MANIFESTS, KUSTOMIZE, crate::spec::keys::SETTINGS]);
        for table in tables {
            let mut names: Vec<&str> = table.iter().map(|field| field.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.len());
            for field in table {
                assert!(field.summary.ends_with('.'), "{}", field.name);
            }
        }
    }
}
