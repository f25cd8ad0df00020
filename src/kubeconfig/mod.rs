//! Kubeconfig files: text in, text out. Everything that is not ours stays as it is.

use serde_json::{Map, Value, json};

use crate::diag::codes::state::{BROKEN_KUBECONFIG, NO_CONTEXT};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A kubeconfig file, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Kubeconfig(Map<String, Value>);

/// What an entry says of a cluster.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its address.
    pub server: &'a str,
    /// The certificate authority, PEM.
    pub authority: &'a str,
    /// The client certificate, PEM.
    pub certificate: &'a str,
    /// The client key, PEM.
    pub key: &'a Secret,
}

/// The three lists and the key below which each entry has its content.
const LISTS: [(&str, &str); 3] = [
    ("clusters", "cluster"),
    ("users", "user"),
    ("contexts", "context"),
];

impl Kubeconfig {
    /// Reads a file; an empty one is a new one.
    pub fn parse(text: &str) -> Result<Self> {
        let broken = |what: String| {
            Error::new(&BROKEN_KUBECONFIG, what)
                .help("mend the file, or move it away; it was left as it is")
        };
        if text.trim().is_empty() {
            return Ok(Self(
                json!({ "apiVersion": "v1", "kind": "Config" })
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
            ));
        }
        let value: Value = serde_saphyr::from_str(text)
            .map_err(|cause| broken("it is no YAML".into()).because(cause.to_string()))?;
        let Value::Object(map) = value else {
            return Err(broken("it is no map".into()));
        };
        for (list, content) in LISTS {
            match map.get(list) {
                None | Some(Value::Null) => {}
                Some(Value::Array(entries)) => {
                    let is_good = |entry: &Value| {
                        entry.get("name").is_some_and(Value::is_string)
                            && entry.get(content).is_some()
                    };
                    if !entries.iter().all(is_good) {
                        return Err(broken(format!(
                            "an entry of `{list}` has no name or no `{content}`"
                        )));
                    }
                }
                Some(_) => return Err(broken(format!("`{list}` is no list"))),
            }
        }
        Ok(Self(map))
    }

    /// Writes the file.
    pub fn text(&self) -> String {
        serde_saphyr::to_string(&self.0).unwrap_or_default()
    }

    /// Adds or replaces a context with its cluster and user, all of one name, and makes it the current one.
    pub fn merge(&mut self, context: &str, entry: &Entry<'_>) {
        use base64::Engine as _;
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let cluster = json!({ "server": entry.server, "certificate-authority-data": base64(entry.authority) });
        let user = json!({
            "client-certificate-data": base64(entry.certificate),
            "client-key-data": base64(entry.key.expose()),
        });
        // A namespace that the user chose for this context is kept.
        let mut link = json!({ "cluster": context, "user": context });
        if let Some(namespace) = self
            .content("contexts", context)
            .and_then(|old| old.get("namespace"))
        {
            link["namespace"] = namespace.clone();
        }
        for ((list, key), content) in LISTS.into_iter().zip([cluster, user, link]) {
            let fresh = json!({ "name": context, key: content });
            let slot = self.0.entry(list).or_insert_with(|| json!([]));
            if slot.is_null() {
                *slot = json!([]);
            }
            let Some(entries) = slot.as_array_mut() else {
                continue;
            };
            match entries.iter_mut().find(|entry| entry["name"] == context) {
                Some(old) => *old = fresh,
                None => entries.push(fresh),
            }
        }
        self.0.insert("current-context".into(), json!(context));
    }

    /// Removes a context with its cluster and user; says whether there was anything.
    pub fn remove(&mut self, context: &str) -> bool {
        let mut removed = false;
        for (list, _) in LISTS {
            let Some(entries) = self.0.get_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            let before = entries.len();
            entries.retain(|entry| entry["name"] != context);
            removed |= entries.len() != before;
        }
        if self.current() == Some(context) {
            self.0.insert("current-context".into(), json!(""));
            removed = true;
        }
        removed
    }

    /// Makes a context the current one.
    pub fn switch(&mut self, context: &str) -> Result<()> {
        if self.content("contexts", context).is_none() {
            return Err(Error::new(
                &NO_CONTEXT,
                format!("the kubeconfig has no context `{context}`"),
            ));
        }
        self.0.insert("current-context".into(), json!(context));
        Ok(())
    }

    /// Names the current context, which another file of the kubeconfig may hold.
    pub fn set_current(&mut self, context: &str) {
        self.0.insert("current-context".into(), json!(context));
    }

    /// The current context.
    pub fn current(&self) -> Option<&str> {
        self.0
            .get("current-context")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The names of the contexts.
    pub fn names(&self) -> Vec<&str> {
        let entries = self.0.get("contexts").and_then(Value::as_array);
        let entries = entries.map(Vec::as_slice).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| entry.get("name")?.as_str())
            .collect()
    }

    /// Whether there is such a context.
    pub fn has(&self, context: &str) -> bool {
        self.content("contexts", context).is_some()
    }

    /// The address that a context leads to.
    pub fn server(&self, context: &str) -> Option<&str> {
        let cluster = self
            .content("contexts", context)?
            .get("cluster")?
            .as_str()?;
        self.content("clusters", cluster)?.get("server")?.as_str()
    }

    fn content(&self, list: &str, name: &str) -> Option<&Value> {
        let (_, key) = LISTS.into_iter().find(|(known, _)| *known == list)?;
        self.0
            .get(list)?
            .as_array()?
            .iter()
            .find(|entry| entry["name"] == name)?
            .get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(server: &'a str, key: &'a Secret) -> Entry<'a> {
        Entry {
            server,
            authority: "CA",
            certificate: "CERT",
            key,
        }
    }

    const FOREIGN: &str = "apiVersion: v1\nkind: Config\npreferences:\n  colors: true\nclusters:\n- name: prod\n  cluster:\n    server: https://prod\n    proxy-url: http://p\nusers:\n- name: me\n  user:\n    exec:\n      command: aws\ncontexts:\n- name: prod\n  context:\n    cluster: prod\n    user: me\ncurrent-context: prod\n";

    #[test]
    fn keeps_what_is_foreign() {
        let key = Secret::new("KEY");
        let mut config = Kubeconfig::parse(FOREIGN).unwrap();
        config.merge("embedded-dev", &entry("https://127.0.0.1:1", &key));
        assert_eq!(config.current(), Some("embedded-dev"));
        assert_eq!(config.server("embedded-dev"), Some("https://127.0.0.1:1"));
        let again = Kubeconfig::parse(&config.text()).unwrap();
        assert_eq!(again, config);
        config.merge("embedded-dev", &entry("https://127.0.0.1:2", &key));
        assert_eq!(config.server("embedded-dev"), Some("https://127.0.0.1:2"));
        assert!(config.remove("embedded-dev"));
        assert!(!config.remove("embedded-dev"));
        config.switch("prod").unwrap();
        assert_eq!(config, Kubeconfig::parse(FOREIGN).unwrap());
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in [
            "[1]",
            "a: [",
            "clusters: 1",
            "clusters:\n- x: 1",
            "just text",
            "contexts:\n- name: a\n",
        ] {
            assert_eq!(
                Kubeconfig::parse(bad).unwrap_err().code().id,
                "E0604",
                "{bad}"
            );
        }
        assert!(Kubeconfig::parse("").is_ok());
        assert!(Kubeconfig::parse(FOREIGN).unwrap().switch("x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,120}") {
            let _ = Kubeconfig::parse(&text);
        }
    }
}
