//! The notes below the support tables, by number.

/// The text of a note; numbers 1 to 12 are those of the published tables.
pub fn note(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "The virtual control plane has its own pod network; nothing is installed.",
        2 => "Storage is the virtual control plane's own; nothing is installed.",
        3 => "Load balancers are the host's; the setting has no effect.",
        4 => "Metrics come with the virtual control plane.",
        5 => {
            "The storage that kind brings cannot be told from one that was installed, so this is not compared; recreate the cluster to change it."
        }
        6 => {
            "Through containerd's image verifier plugin: wants containerd 2 (kindest/node 1.35.1 or newer) and verifier programs in /opt/image-verifier/bin of the node image."
        }
        7 => "Objects are created and their pods are shown as running; nothing is executed.",
        8 => {
            "A policy engine's webhooks would intercept every request with nobody to answer; it is left out with a warning."
        }
        9 => "Flux cannot sync with simulated controllers; it is left out with a warning.",
        10 => {
            "Beyond the published tables, which call EKS planned: ksail creates and updates EKS clusters."
        }
        11 => "Simulated pods have no network; the choice is left out with a warning.",
        12 => "It wants a real process to become ready; it is left out with a warning.",
        13 => {
            "Beyond the published tables: KWOK's workers are simulated nodes and are scaled in place."
        }
        14 => {
            "ksail's own provider: nodes, pods and components are simulated inside ksail, as the distribution would show them."
        }
        15 => {
            "The provider decides the implementation: MetalLB on Docker, Hetzner's controller on Hetzner."
        }
        _ => return None,
    })
}
