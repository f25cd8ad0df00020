//! The closed lists of names: which distributions, providers, slots and components there are.
//!
//! A list is declared once with `axis!`; parsing, documentation, script constants, `--help` values and the reference
//! tables are all made from it. What goes together is said in [`crate::support`], not here.

use std::fmt;

/// A closed list of names.
pub trait Axis: Copy + Eq + fmt::Display + Send + Sync + 'static {
    /// What one entry is called in a sentence, such as `distribution`.
    const WORD: &'static str;
    /// Every entry, in the order of the reference tables.
    const ALL: &'static [Self];

    /// The name as scripts write it.
    fn name(self) -> &'static str;
    /// The name as people write it.
    fn title(self) -> &'static str;
    /// One sentence about it.
    fn summary(self) -> &'static str;

    /// Finds an entry by its script name, in any case.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|entry| entry.name().eq_ignore_ascii_case(name))
    }

    /// All script names.
    fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|entry| entry.name())
    }
}

/// Declares an axis: `Variant = "script_name" "Title" "One sentence."`.
macro_rules! axis {
    ($(#[$meta:meta])* $Axis:ident is $word:literal { $($Variant:ident = $name:literal $title:literal $summary:literal)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $Axis {
            $(#[doc = $summary] $Variant,)*
        }

        impl Axis for $Axis {
            const WORD: &'static str = $word;
            const ALL: &'static [Self] = &[$(Self::$Variant),*];

            fn name(self) -> &'static str {
                match self { $(Self::$Variant => $name,)* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$Variant => $title,)* }
            }

            fn summary(self) -> &'static str {
                match self { $(Self::$Variant => $summary,)* }
            }
        }

        impl fmt::Display for $Axis {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $Axis {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Axis {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no {}", $word)))
            }
        }
    };
}

axis! {
    /// What kind of Kubernetes a cluster is.
    Distribution is "distribution" {
        Vanilla = "vanilla" "Vanilla (Kind)" "Upstream Kubernetes by kubeadm, as kind lays it out."
        K3s = "k3s" "K3s (K3d)" "Lightweight Kubernetes with storage, load balancer and metrics included, as k3d lays it out."
        Talos = "talos" "Talos" "Immutable, API-managed Kubernetes nodes."
        VCluster = "vcluster" "VCluster (Vind)" "A virtual control plane with optional worker nodes."
        Kwok = "kwok" "KWOK (kwokctl)" "A real API server whose nodes and pods are simulated."
        Eks = "eks" "EKS" "Amazon's managed Kubernetes."
    }
}

axis! {
    /// Where a cluster runs.
    Provider is "provider" {
        Docker = "docker" "Docker" "Nodes are containers of a Docker engine."
        Kubernetes = "kubernetes" "Kubernetes" "Nodes are pods of another Kubernetes cluster."
        Hetzner = "hetzner" "Hetzner" "Nodes are Hetzner Cloud servers."
        Omni = "omni" "Omni" "Machines are enrolled by Sidero Omni."
        Aws = "aws" "AWS" "The control plane and node groups are Amazon's."
        Embedded = "embedded" "Embedded" "A Kubernetes API server inside ksail; nodes and pods are simulated, nothing else is needed."
    }
}

axis! {
    /// A role that at most one component fills.
    Slot is "slot" {
        Cni = "cni" "CNI" "The pod network."
        Csi = "csi" "CSI" "Persistent storage."
        LoadBalancer = "load_balancer" "LoadBalancer" "Addresses for services of type LoadBalancer."
        Metrics = "metrics_server" "Metrics server" "Resource metrics of nodes and pods."
        CertManager = "cert_manager" "cert-manager" "Certificates as resources."
        PolicyEngine = "policy_engine" "Policy engine" "Admission policies."
        GitOps = "gitops" "GitOps engine" "Keeps the cluster at what a repository says."
    }
}

axis! {
    /// Something that can be installed into a cluster.
    Component is "component" {
        Cilium = "cilium" "Cilium" "eBPF networking and network policy."
        Calico = "calico" "Calico" "Networking and network policy by the Tigera operator."
        AmazonVpcCni = "amazon_vpc_cni" "Amazon VPC CNI" "Pod addresses from the VPC; part of EKS."
        LocalPathProvisioner = "local_path_provisioner" "Local Path Provisioner" "Volumes from folders on the nodes."
        HetznerCsi = "hetzner_csi" "Hetzner CSI Driver" "Volumes of Hetzner Cloud."
        AmazonEbsCsi = "amazon_ebs_csi" "Amazon EBS CSI Driver" "Volumes of Amazon EBS; part of EKS."
        LoadBalancer = "load_balancer" "LoadBalancer Support" "Whatever gives services of type LoadBalancer an address on this distribution and provider."
        CloudProviderKind = "cloud_provider_kind" "Cloud Provider KIND" "Load balancers for kind's nodes, as a container beside them."
        Metallb = "metallb" "MetalLB" "Load balancers by announcing addresses on the local network."
        HetznerCcm = "hetzner_ccm" "Hetzner CCM" "Load balancers and node addresses of Hetzner Cloud."
        AwsLoadBalancerController = "aws_load_balancer_controller" "AWS Load Balancer Controller" "Load balancers of AWS."
        Flux = "flux" "Flux" "GitOps by the Flux operator."
        Argocd = "argocd" "ArgoCD" "GitOps by Argo CD."
        MetricsServer = "metrics_server" "Metrics Server" "Resource metrics of nodes and pods."
        CertManager = "cert_manager" "cert-manager" "Issues and renews certificates."
        Kyverno = "kyverno" "Kyverno" "Policies written as resources."
        Gatekeeper = "gatekeeper" "Gatekeeper" "Policies in Rego by Open Policy Agent."
    }
}

axis! {
    /// A property of a cluster that is no component but depends on the distribution as one.
    Feature is "feature" {
        LocalRegistry = "local_registry" "Local Registry" "A registry beside the cluster, for pushed images and artifacts."
        Mirrors = "mirrors" "Mirror Registries" "Pull-through caches of public registries."
        Registries = "registries" "External Registries with Auth" "Registries elsewhere that want credentials."
        ImageVerification = "image_verification" "Image Verification" "Signatures are checked before an image runs."
    }
}

axis! {
    /// What can change about a cluster, as the update table lists it.
    Aspect is "aspect" {
        Distribution = "distribution" "Distribution" "Another kind of Kubernetes."
        Provider = "provider" "Provider" "Another place to run."
        Cni = "cni" "CNI" "Another pod network."
        Csi = "csi" "CSI" "Other persistent storage."
        MetricsServer = "metrics_server" "Metrics Server" "With or without resource metrics."
        LoadBalancer = "load_balancer" "Load Balancer" "With or without load balancers."
        CertManager = "cert_manager" "cert-manager" "With or without cert-manager."
        PolicyEngine = "policy_engine" "Policy Engine" "Another policy engine, or none."
        GitOps = "gitops" "GitOps Engine" "Another GitOps engine, or none."
        LocalRegistry = "local_registry" "Local Registry" "Another local registry, or none."
        Mirrors = "mirrors" "Mirrors Dir" "Other mirror registries."
        ControlPlanes = "control_planes" "Control Planes" "More or fewer control planes."
        Workers = "workers" "Workers" "More or fewer workers."
        HetznerServerType = "provider.control_plane_server_type" "Hetzner Server Type (CP)" "Another size of control-plane server."
        HetznerLocation = "provider.location" "Hetzner Location" "Another place of Hetzner's."
        HetznerNetwork = "provider.network" "Hetzner Network" "Another private network."
        Kubernetes = "kubernetes" "Kubernetes version" "Another version of Kubernetes."
        DistributionOptions = "distribution.options" "Distribution options" "Other options of the distribution."
        ProviderOptions = "provider.options" "Provider options" "Other options of the provider."
        Registries = "registries" "External registries" "Other external registries or credentials."
        ImportedImages = "import_images" "Imported images" "Other images that are loaded into nodes."
        ImageVerification = "image_verification" "Image verification" "With or without image verification."
        Cdi = "cdi" "Container device interface" "With or without device injection."
        Oidc = "oidc" "OIDC" "Another identity provider."
        Autoscaler = "autoscaler" "Autoscaler" "Other node pools or limits."
        Source = "source" "Workload source" "Another source or tag that the GitOps engine follows."
        Components = "components" "Other components" "A component outside the slots, or another version or other values of one."
        Ttl = "ttl" "Time to live" "Another time after which the cluster is removed."
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Component, Distribution, Provider};

    #[test]
    fn parses_every_name_in_any_case() {
        for distribution in Distribution::ALL {
            assert_eq!(
                Distribution::parse(
                    &distribution
                        .title()
                        .split(' ')
                        .next()
                        .unwrap()
                        .to_uppercase()
                ),
                Some(*distribution)
            );
        }
        for component in Component::ALL {
            assert_eq!(Component::parse(component.name()), Some(*component));
        }
        assert_eq!(Provider::parse("gcp"), None);
    }

    #[test]
    fn serialises_by_name() {
        assert_eq!(
            serde_json::to_string(&Distribution::K3s).unwrap(),
            "\"k3s\""
        );
        assert!(serde_json::from_str::<Provider>("\"azure\"").is_err());
    }
}
