//! The tables themselves. Columns stand in the order of the axes; a note's text is in [`super::notes`].

use super::{Cell, Effect, Support};
use crate::axis::{Aspect, Component, Distribution, Feature, Provider};

/// Which providers a distribution runs on.
pub struct ProviderRow {
    /// The distribution.
    pub distribution: Distribution,
    /// One cell for each provider.
    pub cells: [Cell<bool>; 6],
}

/// What a row of the component table speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A component.
    Component(Component),
    /// A feature.
    Feature(Feature),
}

/// How each distribution stands to a component or feature.
pub struct ComponentRow {
    /// The heading that it stands under.
    pub group: &'static str,
    /// The component or feature.
    pub subject: Subject,
    /// One cell for each distribution.
    pub cells: [Cell<Support>; 6],
}

/// What a change costs on each distribution.
pub struct UpdateRow {
    /// What changes.
    pub aspect: Aspect,
    /// Whether the published table has this row; the others are ksail's own.
    pub is_published: bool,
    /// One cell for each distribution.
    pub cells: [Cell<Effect>; 6],
}

const fn plain<T>(value: T) -> Cell<T> {
    Cell {
        value,
        note: None,
        published: None,
    }
}

const fn noted<T>(value: T, note: u8) -> Cell<T> {
    Cell {
        value,
        note: Some(note),
        published: None,
    }
}

/// ksail does `value`; the published table says something less, or counts its notes differently.
const fn beyond<T>(value: T, note: u8, published: &'static str) -> Cell<T> {
    Cell {
        value,
        note: Some(note),
        published: Some(published),
    }
}

const ON: Cell<bool> = plain(true);
const OFF: Cell<bool> = plain(false);
/// The embedded provider is ksail's own: the published table has no such column.
const OURS: Cell<bool> = noted(true, 14);

/// Distribution × provider.
pub static PROVIDERS: [ProviderRow; 6] = {
    use Distribution as D;
    const fn row(distribution: Distribution, cells: [Cell<bool>; 6]) -> ProviderRow {
        ProviderRow {
            distribution,
            cells,
        }
    }
    //                docker kubernetes hetzner omni aws embedded
    [
        row(D::Vanilla, [ON, ON, OFF, OFF, OFF, OURS]),
        row(D::K3s, [ON, ON, OFF, OFF, OFF, OURS]),
        row(D::Talos, [ON, ON, ON, ON, OFF, OURS]),
        row(D::VCluster, [ON, ON, OFF, OFF, OFF, OURS]),
        row(D::Kwok, [ON, ON, OFF, OFF, OFF, OURS]),
        row(D::Eks, [OFF, OFF, OFF, OFF, beyond(true, 10, "🚧¹⁰"), OURS]),
    ]
};

/// Component × distribution.
pub static COMPONENTS: &[ComponentRow] = {
    use Component as C;
    use Feature as F;
    const YES: Cell<Support> = plain(Support::Install);
    const NO: Cell<Support> = plain(Support::Unsupported);
    const BUILT_IN: Cell<Support> = plain(Support::BuiltIn);
    const SIM: Cell<Support> = noted(Support::Simulated, 7);
    const EKS: Cell<Support> = beyond(Support::Install, 10, "🚧¹⁰");
    const ON_DOCKER: Cell<Support> = plain(Support::InstallOn(&[Provider::Docker]));
    const ON_HETZNER: Cell<Support> = plain(Support::InstallOn(&[Provider::Hetzner]));
    const ON_BOTH: Cell<Support> =
        plain(Support::InstallOn(&[Provider::Docker, Provider::Hetzner]));
    const fn managed(note: u8) -> Cell<Support> {
        noted(Support::Managed, note)
    }
    const fn skipped(note: u8) -> Cell<Support> {
        noted(Support::Skipped, note)
    }
    const fn row(
        group: &'static str,
        component: Component,
        cells: [Cell<Support>; 6],
    ) -> ComponentRow {
        ComponentRow {
            group,
            subject: Subject::Component(component),
            cells,
        }
    }
    const fn feature(
        group: &'static str,
        feature: Feature,
        cells: [Cell<Support>; 6],
    ) -> ComponentRow {
        ComponentRow {
            group,
            subject: Subject::Feature(feature),
            cells,
        }
    }
    //                                  vanilla k3s talos vcluster kwok eks
    &[
        row(
            "CNI",
            C::Cilium,
            [YES, YES, YES, managed(1), skipped(11), NO],
        ),
        row(
            "CNI",
            C::Calico,
            [YES, YES, YES, managed(1), skipped(11), NO],
        ),
        row("CNI", C::AmazonVpcCni, [NO, NO, NO, NO, NO, BUILT_IN]),
        row(
            "CSI",
            C::LocalPathProvisioner,
            [YES, BUILT_IN, ON_DOCKER, managed(2), skipped(12), NO],
        ),
        row("CSI", C::HetznerCsi, [NO, NO, ON_HETZNER, NO, NO, NO]),
        row("CSI", C::AmazonEbsCsi, [NO, NO, NO, NO, NO, BUILT_IN]),
        row(
            "LoadBalancer",
            C::LoadBalancer,
            [YES, BUILT_IN, ON_BOTH, managed(3), SIM, BUILT_IN],
        ),
        row(
            "LoadBalancer",
            C::CloudProviderKind,
            [YES, NO, NO, NO, NO, NO],
        ),
        row("LoadBalancer", C::Metallb, [NO, NO, ON_DOCKER, NO, NO, NO]),
        row(
            "LoadBalancer",
            C::HetznerCcm,
            [NO, NO, ON_HETZNER, NO, NO, NO],
        ),
        row(
            "LoadBalancer",
            C::AwsLoadBalancerController,
            [NO, NO, NO, NO, NO, EKS],
        ),
        row("GitOps", C::Flux, [YES, YES, YES, YES, skipped(9), EKS]),
        row("GitOps", C::Argocd, [YES, YES, YES, YES, SIM, EKS]),
        row(
            "Observability",
            C::MetricsServer,
            [YES, BUILT_IN, YES, managed(4), SIM, EKS],
        ),
        row(
            "Security",
            C::CertManager,
            [YES, YES, YES, YES, skipped(12), EKS],
        ),
        row(
            "Security",
            C::Kyverno,
            [YES, YES, YES, YES, skipped(8), EKS],
        ),
        row(
            "Security",
            C::Gatekeeper,
            [YES, YES, YES, YES, skipped(8), EKS],
        ),
        feature("Registry", F::LocalRegistry, [YES, YES, YES, YES, SIM, NO]),
        feature("Registry", F::Mirrors, [YES, YES, YES, YES, SIM, NO]),
        feature("Registry", F::Registries, [YES, YES, YES, YES, SIM, EKS]),
        feature(
            "Image Verification",
            F::ImageVerification,
            [
                noted(Support::Install, 6),
                NO,
                plain(Support::Since("1.13")),
                NO,
                NO,
                NO,
            ],
        ),
    ]
};

/// Kind of change × distribution.
pub static UPDATES: [UpdateRow; 28] = {
    use Aspect as A;
    const RECREATE: Cell<Effect> = plain(Effect::Recreate);
    const REBOOT: Cell<Effect> = plain(Effect::Reboot);
    const IN_PLACE: Cell<Effect> = plain(Effect::InPlace);
    const NONE: Cell<Effect> = plain(Effect::NotApplicable);
    const NO: Cell<Effect> = plain(Effect::Unsupported);
    const SIM: Cell<Effect> = noted(Effect::Simulated, 7);
    const EKS_RECREATE: Cell<Effect> = beyond(Effect::Recreate, 10, "🚧¹⁰");
    const EKS_IN_PLACE: Cell<Effect> = beyond(Effect::InPlace, 10, "🚧¹⁰");
    const fn none(note: u8) -> Cell<Effect> {
        noted(Effect::NotApplicable, note)
    }
    const fn skipped(note: u8) -> Cell<Effect> {
        noted(Effect::Skipped, note)
    }
    const fn row(aspect: Aspect, cells: [Cell<Effect>; 6]) -> UpdateRow {
        UpdateRow {
            aspect,
            is_published: true,
            cells,
        }
    }
    const fn ours(aspect: Aspect, cells: [Cell<Effect>; 6]) -> UpdateRow {
        UpdateRow {
            aspect,
            is_published: false,
            cells,
        }
    }
    const KWOK_WORKERS: Cell<Effect> = beyond(Effect::InPlace, 13, "N/A");
    const TALOS_LB: Cell<Effect> = beyond(Effect::NotApplicable, 15, "N/A¹");
    //                                 vanilla k3s talos vcluster kwok eks
    [
        row(
            A::Distribution,
            [
                RECREATE,
                RECREATE,
                RECREATE,
                RECREATE,
                RECREATE,
                EKS_RECREATE,
            ],
        ),
        row(
            A::Provider,
            [
                RECREATE,
                RECREATE,
                RECREATE,
                RECREATE,
                RECREATE,
                EKS_RECREATE,
            ],
        ),
        row(
            A::Cni,
            [IN_PLACE, IN_PLACE, IN_PLACE, NONE, none(11), EKS_RECREATE],
        ),
        row(
            A::Csi,
            [none(5), IN_PLACE, IN_PLACE, NONE, skipped(12), EKS_IN_PLACE],
        ),
        row(
            A::MetricsServer,
            [IN_PLACE, IN_PLACE, IN_PLACE, NONE, SIM, EKS_IN_PLACE],
        ),
        row(
            A::LoadBalancer,
            [IN_PLACE, IN_PLACE, TALOS_LB, NONE, SIM, EKS_IN_PLACE],
        ),
        row(
            A::CertManager,
            [
                IN_PLACE,
                IN_PLACE,
                IN_PLACE,
                IN_PLACE,
                skipped(12),
                EKS_IN_PLACE,
            ],
        ),
        row(
            A::PolicyEngine,
            [
                IN_PLACE,
                IN_PLACE,
                IN_PLACE,
                IN_PLACE,
                skipped(8),
                EKS_IN_PLACE,
            ],
        ),
        row(
            A::GitOps,
            [IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, SIM, EKS_IN_PLACE],
        ),
        row(
            A::LocalRegistry,
            [RECREATE, IN_PLACE, IN_PLACE, IN_PLACE, SIM, NO],
        ),
        row(A::Mirrors, [RECREATE, NONE, NONE, NONE, NONE, NO]),
        row(
            A::ControlPlanes,
            [
                RECREATE,
                RECREATE,
                IN_PLACE,
                RECREATE,
                RECREATE,
                EKS_RECREATE,
            ],
        ),
        row(
            A::Workers,
            [
                RECREATE,
                IN_PLACE,
                IN_PLACE,
                NONE,
                KWOK_WORKERS,
                EKS_IN_PLACE,
            ],
        ),
        row(
            A::HetznerServerType,
            [NONE, NONE, RECREATE, NONE, NONE, NONE],
        ),
        row(A::HetznerLocation, [NONE, NONE, RECREATE, NONE, NONE, NONE]),
        row(A::HetznerNetwork, [NONE, NONE, RECREATE, NONE, NONE, NONE]),
        ours(
            A::Kubernetes,
            [RECREATE, RECREATE, IN_PLACE, RECREATE, RECREATE, IN_PLACE],
        ),
        ours(
            A::DistributionOptions,
            [RECREATE, RECREATE, REBOOT, RECREATE, RECREATE, RECREATE],
        ),
        ours(
            A::ProviderOptions,
            [RECREATE, RECREATE, RECREATE, RECREATE, RECREATE, RECREATE],
        ),
        ours(
            A::Registries,
            [IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, SIM, IN_PLACE],
        ),
        ours(
            A::ImportedImages,
            [IN_PLACE, IN_PLACE, NONE, NONE, NONE, NONE],
        ),
        ours(A::ImageVerification, [RECREATE, NO, IN_PLACE, NO, NO, NO]),
        ours(A::Cdi, [RECREATE, NONE, REBOOT, NONE, NONE, NONE]),
        ours(
            A::Oidc,
            [RECREATE, RECREATE, IN_PLACE, RECREATE, NONE, NONE],
        ),
        ours(A::Autoscaler, [NONE, NONE, IN_PLACE, NONE, NONE, NONE]),
        ours(
            A::Source,
            [IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, SIM, IN_PLACE],
        ),
        ours(
            A::Components,
            [IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE],
        ),
        ours(
            A::Ttl,
            [IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE, IN_PLACE],
        ),
    ]
};
