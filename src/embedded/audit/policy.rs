//! Which requests count: `audit.k8s.io/v1` policies, as the real server reads them.

use serde::Deserialize;
use serde_json::Value;

use super::About;
use crate::diag::codes::embedded::BAD_AUDIT_POLICY;
use crate::embedded::access::User;
use crate::error::{Error, Result};

/// How much of a request is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum Level {
    #[default]
    None,
    Metadata,
    Request,
    RequestResponse,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

/// Rules of which the first that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(default, rename = "apiVersion")]
    _api_version: String,
    #[serde(default, rename = "kind")]
    _kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Value,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<String>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: Level,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<Resources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    paths: Vec<String>,
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Resources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

/// What a policy says of one request.
pub(super) struct Ruling {
    pub(super) level: Level,
    pub(super) omitted: Vec<String>,
    pub(super) without_managed_fields: bool,
}

impl Policy {
    /// Reads a policy, or the name of a level that is to be kept of everything.
    pub fn read(value: &Value) -> Result<Self> {
        let fail = |what: String| {
            Error::new(&BAD_AUDIT_POLICY, what).help(
                "give `Metadata`, `Request` or `RequestResponse`, or a Policy of audit.k8s.io/v1",
            )
        };
        if value.is_string() {
            let level = Level::deserialize(value)
                .map_err(|cause| fail("the audit level is not known".to_owned()).because(cause))?;
            let rule = Rule {
                level,
                ..Rule::default()
            };
            return Ok(Self {
                rules: vec![rule],
                omit_stages: vec!["RequestReceived".to_owned()],
                ..Self::default()
            });
        }
        let policy = Self::deserialize(value)
            .map_err(|cause| fail("the audit policy cannot be read".to_owned()).because(cause))?;
        if policy.rules.is_empty() {
            return Err(fail("the audit policy has no rules".to_owned()));
        }
        Ok(policy)
    }

    pub(super) fn rule(&self, user: &User, about: &About) -> Ruling {
        let Some(rule) = self.rules.iter().find(|rule| rule.fits(user, about)) else {
            return Ruling {
                level: Level::None,
                omitted: Vec::new(),
                without_managed_fields: false,
            };
        };
        let omitted = self.omit_stages.iter().chain(&rule.omit_stages);
        Ruling {
            level: rule.level,
            omitted: omitted.cloned().collect(),
            without_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
        }
    }
}

fn names(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == name)
}

impl Rule {
    fn fits(&self, user: &User, about: &About) -> bool {
        let in_group = |group: &String| user.is_in(group);
        if !names(&self.users, &user.name)
            || !names(&self.verbs, &about.verb)
            || !(self.user_groups.is_empty() || self.user_groups.iter().any(in_group))
        {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return about.is_resource
                && names(&self.namespaces, &about.namespace)
                && (self.resources.is_empty() || self.resources.iter().any(|r| r.fit(about)));
        }
        if !self.paths.is_empty() {
            return !about.is_resource && self.paths.iter().any(|path| leads_to(path, &about.path));
        }
        true
    }
}

/// Whether a path of a rule, which may end with a star, is about a path.
fn leads_to(rule: &str, path: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => rule == path,
    }
}

impl Resources {
    fn fit(&self, about: &About) -> bool {
        if self.group != about.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        let whole = match about.subresource.as_str() {
            "" => about.resource.clone(),
            part => format!("{}/{part}", about.resource),
        };
        let fits = |one: &String| {
            one == "*"
                || *one == whole
                || one
                    .strip_prefix("*/")
                    .is_some_and(|part| part == about.subresource)
                || one
                    .strip_suffix("/*")
                    .is_some_and(|all| all == about.resource)
        };
        self.resources.iter().any(fits) && names(&self.resource_names, &about.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Level, Policy};
    use crate::embedded::access::User;
    use crate::embedded::audit::About;

    fn about(verb: &str, resource: &str, part: &str) -> About {
        About {
            verb: verb.to_owned(),
            path: "/api/v1".to_owned(),
            is_resource: !resource.is_empty(),
            resource: resource.to_owned(),
            subresource: part.to_owned(),
            ..About::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let policy = Policy::read(&json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                {"level": "None", "users": ["quiet"]},
                {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "pods/log"]}]},
                {"level": "RequestResponse", "verbs": ["create"], "resources": [{"group": ""}]},
                {"level": "None", "nonResourceURLs": ["/healthz*"]},
                {"level": "Request"},
            ],
        }))
        .unwrap();
        let level = |user: &str, about: &About| policy.rule(&User::new(user, &[]), about).level;
        assert_eq!(level("quiet", &about("get", "pods", "")), Level::None);
        assert_eq!(level("a", &about("create", "secrets", "")), Level::Metadata);
        assert_eq!(level("a", &about("get", "pods", "log")), Level::Metadata);
        assert_eq!(
            level("a", &about("create", "pods", "")),
            Level::RequestResponse
        );
        assert_eq!(level("a", &about("get", "pods", "")), Level::Request);
        let mut health = about("get", "", "");
        health.path = "/healthz/ping".to_owned();
        assert_eq!(level("a", &health), Level::None);
    }

    #[test]
    fn a_level_alone_is_a_policy_and_nonsense_is_none() {
        let policy = Policy::read(&json!("Metadata")).unwrap();
        let ruling = policy.rule(&User::new("a", &[]), &about("get", "pods", ""));
        assert_eq!(ruling.level, Level::Metadata);
        for bad in [
            json!("Everything"),
            json!({"rules": []}),
            json!({"rules": [{"level": "Metadata", "colour": "red"}]}),
            json!(3),
        ] {
            assert_eq!(Policy::read(&bad).unwrap_err().code().id, "E0711", "{bad}");
        }
    }
}
