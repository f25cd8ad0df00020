//! Images that nodes are given before anything is installed.

use super::nodes;
use crate::spec::{Options, Spec, Tree};
use crate::step::{Action, ImageSource, Step};

/// The step that loads the images that a definition names into its nodes, where it names any.
pub fn images_step(spec: &Spec, why: &str) -> Option<Step> {
    let images = sources(&spec.settings);
    if images.is_empty() {
        return None;
    }
    let nodes: Vec<String> = nodes(spec).into_iter().map(|node| node.name).collect();
    let what = match images.as_slice() {
        [one] => one.word().to_string(),
        several => format!("{} images", several.len()),
    };
    let title = match nodes.len() {
        1 => format!("load {what} into the node"),
        n => format!("load {what} into {n} nodes"),
    };
    Some(Step::new(
        "images",
        title,
        why,
        Action::Images { images, nodes },
    ))
}

/// What the setting `import_images` names.
fn sources(settings: &Options) -> Vec<ImageSource> {
    let list = settings.get("import_images").and_then(Tree::as_list);
    let one = |entry: &Tree| match entry {
        Tree::Text(image) => Some(ImageSource::Engine {
            image: image.clone(),
        }),
        Tree::Map(map) => {
            let holds = map.get("holds").and_then(Tree::as_list).unwrap_or_default();
            Some(ImageSource::Archive {
                path: map.get("archive")?.as_text()?.to_string(),
                holds: holds
                    .iter()
                    .filter_map(Tree::as_text)
                    .map(String::from)
                    .collect(),
            })
        }
        _ => None,
    };
    list.unwrap_or_default().iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::axis::{Distribution, Provider};
    use crate::spec::{DistributionSpec, Draft, ProviderSpec, check};

    fn spec(settings: &serde_json::Value) -> Spec {
        let draft = Draft {
            name: "dev".into(),
            distribution: Some(DistributionSpec {
                kind: Distribution::Vanilla,
                options: Options::new(),
            }),
            provider: Some(ProviderSpec {
                kind: Provider::Docker,
                options: Options::new(),
            }),
            settings: Tree::from_json(settings).as_map().cloned().unwrap(),
            ..Draft::default()
        };
        check(&draft).unwrap()
    }

    #[test]
    fn says_what_goes_into_how_many_nodes() {
        let title = |settings| images_step(&spec(&settings), "").map(|step| step.title);
        assert_eq!(title(json!({})), None);
        assert_eq!(
            title(json!({ "import_images": ["busybox:1"] })).as_deref(),
            Some("load busybox:1 into the node")
        );
        let archive = json!({ "archive": "/home/me/images.tar", "holds": ["a@sha256:1"] });
        assert_eq!(
            title(json!({ "workers": 2, "import_images": [archive] })).as_deref(),
            Some("load images.tar into 3 nodes")
        );
    }
}
