//! The steps that give a GitOps engine the age key it decrypts with, and take it back.

use crate::axis::{Axis as _, Component};
use crate::component;
use crate::spec::{ComponentSpec, Options, Part, Spec, Tree};
use crate::step::{Action, DecryptionKey, Step};

/// The step for a component; `None` for one that decrypts nothing, or where it is switched off.
pub(super) fn key_step(spec: &Spec, component: &ComponentSpec) -> Option<Step> {
    let Part::Known(engine @ (Component::Flux | Component::Argocd)) = &component.part else {
        return None;
    };
    let none = Options::new();
    let given = spec
        .settings
        .get("sops")
        .and_then(Tree::as_map)
        .unwrap_or(&none);
    if is_switched_off(spec) {
        return None;
    }
    let enabled = given.get("enabled").and_then(Tree::as_bool);
    let text = |key: &str| given.get(key).and_then(Tree::as_text).map(str::to_owned);
    let public_keys = given
        .get("public_keys")
        .and_then(Tree::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(|key| key.as_text().map(str::to_owned))
        .collect();
    let required = enabled == Some(true);
    let action = Action::DecryptionKey(DecryptionKey {
        namespace: component::release(*engine).namespace.into(),
        variable: text("env").unwrap_or_else(|| "SOPS_AGE_KEY".into()),
        file: text("file"),
        public_keys,
        required,
    });
    let name = component.part.name();
    let title = format!("give {name} the age key");
    let why = if required {
        "it decrypts what sops encrypted"
    } else {
        "it decrypts what sops encrypted, if there is a key"
    };
    Some(Step::new("decryption-key", title, why, action).after([format!("component/{name}")]))
}

/// The step that takes the key from an engine that is gone or must not decrypt any more; `None` for what never had one.
pub fn take_key_step(component: &str, why: &str) -> Option<Step> {
    let engine = [Component::Flux, Component::Argocd]
        .into_iter()
        .find(|engine| engine.name() == component)?;
    let action = Action::TakeDecryptionKey {
        namespace: component::release(engine).namespace.into(),
    };
    let title = format!("take the age key from {component}");
    Some(Step::new("take-decryption-key", title, why, action))
}

/// Whether a definition says that nothing is decrypted.
pub fn is_switched_off(spec: &Spec) -> bool {
    let sops = spec.settings.get("sops").and_then(Tree::as_map);
    sops.and_then(|sops| sops.get("enabled"))
        .and_then(Tree::as_bool)
        == Some(false)
}

#[cfg(test)]
mod tests {
    use super::key_step;
    use crate::axis::{Component, Distribution};
    use crate::spec::{ComponentSpec, DistributionSpec, Draft, Options, Part, Tree, check};
    use crate::step::Action;

    fn step(sops: &serde_json::Value, part: Component) -> Option<super::Step> {
        let component = ComponentSpec {
            part: Part::Known(part),
            options: Options::new(),
        };
        let draft = Draft {
            name: "dev".into(),
            distribution: Some(DistributionSpec {
                kind: Distribution::K3s,
                options: Options::new(),
            }),
            settings: Options::from([("sops".to_string(), Tree::from_json(sops))]),
            ..Draft::default()
        };
        key_step(&check(&draft).unwrap(), &component)
    }

    #[test]
    fn gitops_engines_get_the_key_in_their_namespace() {
        for (part, expected) in [
            (Component::Flux, "flux-system"),
            (Component::Argocd, "argocd"),
        ] {
            let step = step(
                &serde_json::json!({ "env": "MY_KEY", "enabled": true }),
                part,
            );
            let Some(Action::DecryptionKey(key)) = step.map(|step| step.action) else {
                panic!("{expected} gets no key");
            };
            assert_eq!(key.namespace, expected);
            assert_eq!((key.variable.as_str(), key.required), ("MY_KEY", true));
        }
    }

    #[test]
    fn no_key_is_given_where_it_is_switched_off_or_of_no_use() {
        let off = serde_json::json!({ "enabled": false });
        assert!(step(&off, Component::Flux).is_none());
        assert!(step(&serde_json::json!({}), Component::Kyverno).is_none());
    }
}
