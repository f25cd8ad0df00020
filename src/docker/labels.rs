//! The labels by which ksail knows what it made.

use std::collections::{BTreeMap, HashMap};

/// The cluster's context; on everything that belongs to one cluster.
pub const CLUSTER: &str = "ksail.dev/cluster";
/// The cluster's name.
pub const NAME: &str = "ksail.dev/name";
/// The cluster's distribution.
pub const DISTRIBUTION: &str = "ksail.dev/distribution";
/// What a container was made from, as a digest.
pub const DIGEST: &str = "ksail.dev/digest";
/// Whose ksail made it, as an id of that ksail's own memory; beside [`CLUSTER`]. Several users may share an engine.
pub const OWNER: &str = "ksail.dev/owner";
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

/// Labels with their owner, if they are those of one cluster.
pub(super) fn signed(
    labels: &BTreeMap<String, String>,
    owner: Option<&str>,
) -> HashMap<String, String> {
    let owner = owner.filter(|_| labels.contains_key(CLUSTER));
    let owner = owner.map(|owner| (OWNER.to_string(), owner.to_string()));
    labels.clone().into_iter().chain(owner).collect()
}

/// The labels of something that clusters share and that stays when one of them goes.
pub fn shared(what: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(SHARED.to_string(), what.to_string())])
}
