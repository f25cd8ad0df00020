//! What of a k3d.yaml must not show.

use crate::secret::Secret;
use crate::spec::tree::{Options, Tree};

/// Turns what must not show into secrets.
pub fn conceal(file: &mut Options) {
    hide(file, &["token"]);
    hide(file, &["registries", "config"]);
    hide(file, &["registries", "create", "proxy", "username"]);
    hide(file, &["registries", "create", "proxy", "password"]);
}

fn hide(map: &mut Options, path: &[&str]) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    match map.get_mut(*key) {
        Some(Tree::Map(inner)) => hide(inner, rest),
        Some(value) if rest.is_empty() => {
            if let Some(text) = value.as_text() {
                *value = Tree::Secret(Secret::new(text));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hides_what_must_not_show() {
        let tree = Tree::from_json(
            &json!({ "token": "canary", "registries": { "config": "canary\n", "create": { "proxy": { "password": "canary" } } } }),
        );
        let mut file = tree.as_map().unwrap().clone();
        conceal(&mut file);
        assert!(!format!("{file:?}").contains("canary"));
    }
}
