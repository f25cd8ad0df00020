//! Who goes together with whom: the support tables and the questions asked of them.
//!
//! The data stands in `table` and nowhere else; validation, planning, `ksail support`, `--help` and the documentation ask
//! here. A test holds every cell against the published tables that ksail promises to cover.

mod notes;
mod show;
mod table;

pub use notes::note;
pub use show::{Grid, grids, json, markdown, superscript};
pub use table::{COMPONENTS, PROVIDERS, Subject, UPDATES};

use crate::axis::{Aspect, Axis, Component, Distribution, Feature, Provider, Slot};

/// How a distribution stands to a component or feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// ksail installs it.
    Install,
    /// ksail installs it on these providers.
    InstallOn(&'static [Provider]),
    /// ksail sets it up from this version of the distribution on.
    Since(&'static str),
    /// The distribution brings it.
    BuiltIn,
    /// The distribution manages this itself; the setting has no effect.
    Managed,
    /// Its objects are there, and simulated.
    Simulated,
    /// It is left out with a warning.
    Skipped,
    /// It cannot be had.
    Unsupported,
}

/// What a change costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It has no meaning on this distribution.
    NotApplicable,
    /// The distribution does not have it; it is left out.
    Skipped,
    /// It changes simulated objects.
    Simulated,
    /// It is applied without disruption.
    InPlace,
    /// Nodes restart one after another.
    Reboot,
    /// The cluster is removed and made anew.
    Recreate,
    /// It cannot be had.
    Unsupported,
}

/// One cell of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<T> {
    /// What ksail does.
    pub value: T,
    /// The number of the note that says more.
    pub note: Option<u8>,
    /// What the published table says where ksail goes beyond it.
    pub published: Option<&'static str>,
}

/// The providers a distribution runs on; the first is the default.
pub fn providers(distribution: Distribution) -> impl Iterator<Item = Provider> {
    Provider::ALL
        .iter()
        .copied()
        .filter(move |provider| runs_on(distribution, *provider))
}

/// Whether a distribution runs on a provider.
pub fn runs_on(distribution: Distribution, provider: Provider) -> bool {
    let row = &PROVIDERS[distribution as usize];
    row.cells[provider as usize].value
}

/// Whether nodes are simulated: on the embedded provider, and always with KWOK.
pub fn is_simulated(distribution: Distribution, provider: Provider) -> bool {
    provider == Provider::Embedded || distribution == Distribution::Kwok
}

/// How a distribution on a provider stands to a component: never [`Support::InstallOn`].
pub fn component(
    component: Component,
    distribution: Distribution,
    provider: Provider,
) -> Cell<Support> {
    resolve(cell(Subject::Component(component), distribution), provider)
}

/// How a distribution on a provider stands to a feature: never [`Support::InstallOn`].
pub fn feature(feature: Feature, distribution: Distribution, provider: Provider) -> Cell<Support> {
    resolve(cell(Subject::Feature(feature), distribution), provider)
}

/// What a change of an aspect costs.
pub fn update(aspect: Aspect, distribution: Distribution) -> Cell<Effect> {
    UPDATES[aspect as usize].cells[distribution as usize]
}

/// The slot that a component fills.
pub fn slot(component: Component) -> Option<Slot> {
    use Component as C;
    Some(match component {
        C::Cilium | C::Calico | C::AmazonVpcCni => Slot::Cni,
        C::LocalPathProvisioner | C::HetznerCsi | C::AmazonEbsCsi => Slot::Csi,
        C::LoadBalancer
        | C::CloudProviderKind
        | C::Metallb
        | C::HetznerCcm
        | C::AwsLoadBalancerController => Slot::LoadBalancer,
        C::Flux | C::Argocd => Slot::GitOps,
        C::MetricsServer => Slot::Metrics,
        C::CertManager => Slot::CertManager,
        C::Kyverno | C::Gatekeeper => Slot::PolicyEngine,
    })
}

/// The components that fill a slot.
pub fn fillers(wanted: Slot) -> impl Iterator<Item = Component> {
    Component::ALL
        .iter()
        .copied()
        .filter(move |component| slot(*component) == Some(wanted))
}

/// The component that stands behind `load_balancer()` on a distribution and provider, where ksail installs one.
pub fn load_balancer(distribution: Distribution, provider: Provider) -> Option<Component> {
    match (distribution, provider) {
        (Distribution::Vanilla, Provider::Docker | Provider::Embedded) => {
            Some(Component::CloudProviderKind)
        }
        (Distribution::Talos, Provider::Docker | Provider::Embedded) => Some(Component::Metallb),
        (Distribution::Talos, Provider::Hetzner) => Some(Component::HetznerCcm),
        (Distribution::Eks, Provider::Aws | Provider::Embedded) => {
            Some(Component::AwsLoadBalancerController)
        }
        _ => None,
    }
}

fn cell(subject: Subject, distribution: Distribution) -> Cell<Support> {
    // Every component and feature has a row; a test holds that.
    COMPONENTS.iter().find(|row| row.subject == subject).map_or(
        Cell {
            value: Support::Unsupported,
            note: None,
            published: None,
        },
        |row| row.cells[distribution as usize],
    )
}

/// Answers for one provider. The embedded provider stands in for whichever provider a component wants.
fn resolve(mut cell: Cell<Support>, provider: Provider) -> Cell<Support> {
    if let Support::InstallOn(providers) = cell.value {
        let there = provider == Provider::Embedded || providers.contains(&provider);
        cell.value = if there {
            Support::Install
        } else {
            Support::Unsupported
        };
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_and_feature_has_a_row() {
        for component in Component::ALL {
            assert!(
                COMPONENTS
                    .iter()
                    .any(|row| row.subject == Subject::Component(*component)),
                "{component}"
            );
        }
        for feature in Feature::ALL {
            assert!(
                COMPONENTS
                    .iter()
                    .any(|row| row.subject == Subject::Feature(*feature)),
                "{feature}"
            );
        }
        for (index, aspect) in Aspect::ALL.iter().enumerate() {
            assert_eq!(UPDATES[index].aspect, *aspect);
        }
        for (index, distribution) in Distribution::ALL.iter().enumerate() {
            assert_eq!(PROVIDERS[index].distribution, *distribution);
        }
    }

    #[test]
    fn answers_for_one_provider() {
        use Component as C;
        use Distribution::{K3s, Talos};
        assert_eq!(
            component(C::Metallb, Talos, Provider::Docker).value,
            Support::Install
        );
        assert_eq!(
            component(C::Metallb, Talos, Provider::Hetzner).value,
            Support::Unsupported
        );
        assert_eq!(
            component(C::HetznerCcm, Talos, Provider::Embedded).value,
            Support::Install
        );
        assert_eq!(
            component(C::MetricsServer, K3s, Provider::Docker).value,
            Support::BuiltIn
        );
        assert_eq!(providers(Talos).next(), Some(Provider::Docker));
        assert_eq!(providers(Distribution::Eks).next(), Some(Provider::Aws));
    }
}
