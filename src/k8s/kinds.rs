//! The kinds that a cluster serves, found by any of their names.

use kube::Client;
use kube::core::ApiResource;
use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery};

use super::failed;
use crate::diag::codes::run::NO_SUCH_KIND;
use crate::diag::suggest;
use crate::error::{Error, Result};

/// A kind that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What requests are made with.
    pub resource: ApiResource,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// Its singular and short names.
    names: Vec<String>,
}

/// All kinds that a cluster serves, in the server's order of preference.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// Asks the server.
    pub async fn discover(client: &Client) -> Result<Self> {
        let (core, groups) = tokio::try_join!(
            client.list_core_api_versions_aggregated(),
            client.list_api_groups_aggregated()
        )
        .map_err(|cause| failed("asking for the kinds that are served", cause))?;
        Ok(Self::from_lists([core, groups]))
    }

    fn from_lists(lists: impl IntoIterator<Item = APIGroupDiscoveryList>) -> Self {
        let mut kinds = Vec::new();
        for group in lists.into_iter().flat_map(|list| list.items) {
            let name = group
                .metadata
                .and_then(|meta| meta.name)
                .unwrap_or_default();
            for version in group.versions {
                let number = version.version.unwrap_or_default();
                let found = version
                    .resources
                    .iter()
                    .filter_map(|resource| kind(&name, &number, resource));
                kinds.extend(found);
            }
        }
        Self(kinds)
    }

    /// Finds a kind as kubectl would: `pods`, `pod`, `po`, `Pod`, `deployments.apps`, `deployments.v1.apps`.
    pub fn find(&self, word: &str) -> Result<&Kind> {
        let (name, rest) = word.split_once('.').unwrap_or((word, ""));
        let is_it = |kind: &&Kind| {
            let resource = &kind.resource;
            let in_group = rest.is_empty()
                || rest == resource.group
                || rest == format!("{}.{}", resource.version, resource.group);
            let is_called = resource.plural.eq_ignore_ascii_case(name)
                || resource.kind.eq_ignore_ascii_case(name)
                || kind
                    .names
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(name));
            in_group && is_called
        };
        self.0.iter().find(is_it).ok_or_else(|| {
            let known = self.0.iter().map(|kind| kind.resource.plural.as_str());
            let help = match suggest::nearest(&name.to_lowercase(), known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`kubectl api-resources` lists the kinds".to_string(),
            };
            Error::new(
                &NO_SUCH_KIND,
                format!("the cluster serves no kind `{word}`"),
            )
            .help(help)
        })
    }

    /// Finds the kind of an object.
    pub fn of(&self, api_version: &str, kind: &str) -> Result<&Kind> {
        let found = self
            .0
            .iter()
            .find(|known| known.resource.api_version == api_version && known.resource.kind == kind);
        found.ok_or_else(|| {
            Error::new(
                &NO_SUCH_KIND,
                format!("the cluster serves no kind `{kind}` of {api_version}"),
            )
            .help("apply the CustomResourceDefinition first, or look at the `apiVersion`")
        })
    }
}

fn kind(group: &str, version: &str, found: &APIResourceDiscovery) -> Option<Kind> {
    let plural = found.resource.clone()?;
    let response = found.response_kind.as_ref()?;
    let api_version = if group.is_empty() {
        version.to_string()
    } else {
        format!("{group}/{version}")
    };
    let mut names = found.short_names.clone();
    names.extend(found.singular_resource.clone());
    Some(Kind {
        resource: ApiResource {
            group: group.into(),
            version: version.into(),
            api_version,
            kind: response.kind.clone().unwrap_or_default(),
            plural,
        },
        is_namespaced: found.scope.as_deref() == Some("Namespaced"),
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> Kinds {
        let list = serde_json::json!({ "items": [
            { "metadata": { "name": "" }, "versions": [{ "version": "v1", "resources": [
                { "resource": "pods", "singularResource": "pod", "shortNames": ["po"], "scope": "Namespaced",
                  "responseKind": { "group": "", "version": "v1", "kind": "Pod" } },
                { "resource": "nodes", "singularResource": "node", "shortNames": ["no"], "scope": "Cluster",
                  "responseKind": { "group": "", "version": "v1", "kind": "Node" } },
            ] }] },
            { "metadata": { "name": "apps" }, "versions": [{ "version": "v1", "resources": [
                { "resource": "deployments", "singularResource": "deployment", "shortNames": ["deploy"],
                  "scope": "Namespaced", "responseKind": { "group": "apps", "version": "v1", "kind": "Deployment" } },
            ] }] },
        ] });
        Kinds::from_lists([serde_json::from_value(list).unwrap()])
    }

    #[test]
    fn finds_a_kind_by_any_of_its_names() {
        let kinds = kinds();
        for word in [
            "deployment",
            "deployments",
            "deploy",
            "Deployment",
            "deployments.apps",
            "deployments.v1.apps",
        ] {
            assert_eq!(
                kinds.find(word).unwrap().resource.api_version,
                "apps/v1",
                "{word}"
            );
        }
        assert!(!kinds.find("no").unwrap().is_namespaced);
        assert!(kinds.of("v1", "Pod").is_ok() && kinds.of("v2", "Pod").is_err());
    }

    #[test]
    fn names_the_nearest_kind() {
        let error = kinds().find("pds").unwrap_err();
        assert_eq!(error.helps(), ["did you mean `pods`?"]);
        assert!(kinds().find("deployments.extensions").is_err());
    }
}
