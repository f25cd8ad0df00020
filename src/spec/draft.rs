//! A cluster as typed.

use std::collections::BTreeSet;

use super::{ComponentSpec, DistributionSpec, Hook, Options, ProviderSpec};

/// A cluster as typed: every part optional, nothing checked but the parts' own options.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Draft {
    /// The name.
    pub name: String,
    /// The distribution.
    pub distribution: Option<DistributionSpec>,
    /// The provider.
    pub provider: Option<ProviderSpec>,
    /// The components, flattened, each with the path of the field that it came from, such as `components[1][0]`.
    pub components: Vec<(String, ComponentSpec)>,
    /// Every other setting, by the keys of [`super::keys`].
    pub settings: Options,
    /// The moments the script wants to be called back at.
    pub hooks: BTreeSet<Hook>,
}
