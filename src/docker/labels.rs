//! The labels by which ksail knows what it made.

use std::collections::BTreeMap;

/// The cluster's context; on everything that belongs to one cluster.
pub const CLUSTER: &str = "ksail.dev/cluster";
/// The cluster's name.
pub const NAME: &str = "ksail.dev/name";
/// The cluster's distribution.
pub const DISTRIBUTION: &str = "ksail.dev/distribution";
/// What a container was made from, as a digest.
pub const DIGEST: &str = "ksail.dev/digest";
/// What something is that clusters share, such as `network` or `registry`.
pub const SHARED: &str = "ksail.dev/shared";

/// The labels of something that belongs to one cluster.
pub fn owned(context: &str, name: &str, distribution: &str) -> BTreeMap<String, String> {
    [
        (CLUSTER, context),
        (NAME, name),
        (DISTRIBUTION, distribution),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_string(), value.to_string()))
    .collect()
}

/// The labels of something that clusters share and that stays when one of them goes.
pub fn shared(what: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(SHARED.to_string(), what.to_string())])
}
