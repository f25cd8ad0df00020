//! Options of constructors, one table per distribution, provider and component.
//!
//! To add an option, add a row; checking, suggestions and `ksail doc` follow.

mod component;
mod distribution;
mod provider;

use super::field::{self, Field};
use super::tree::Options;
use crate::axis::{Component, Distribution, Provider};
use crate::error::Error;

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
