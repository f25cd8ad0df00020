//! Properties: what can be read of each value, and that nothing can be written.

use rhai::{Array, Dynamic, Engine, Map};

use super::change::{ChangeValue, RulingValue};
use super::cluster::{ClusterValue, components, is_own};
use super::constructor::{ComponentValue, DistributionValue, ProviderValue};
use super::effect::LiveValue;
use super::equality::same;
use super::matrix::{CellValue, MatrixValue};
use super::shape::FleetValue;
use crate::axis::Axis;
use crate::diag::codes::language::{READ_ONLY, UNKNOWN_PROPERTY};
use crate::diag::suggest;
use crate::error::Error;
use crate::script::{Fault, RhaiResult, fail, from_tree};
use crate::spec::{Options, Tree, keys};

/// A type whose properties scripts can read.
trait Readable: rhai::Variant + Clone {
    /// What messages call it.
    const WORD: &'static str;
    /// The properties there always are.
    const NAMES: &'static [&'static str];

    /// Reads one; `None` if there is none.
    fn read(&self, name: &str) -> Option<Dynamic>;
    /// All names of this very value.
    fn all_names(&self) -> Vec<String> {
        Self::NAMES.iter().map(ToString::to_string).collect()
    }
}

pub(super) fn register(engine: &mut Engine) {
    readable::<ClusterValue>(engine);
    readable::<DistributionValue>(engine);
    readable::<ProviderValue>(engine);
    readable::<ComponentValue>(engine);
    readable::<MatrixValue>(engine);
    readable::<CellValue>(engine);
    readable::<FleetValue>(engine);
    readable::<ChangeValue>(engine);
    readable::<RulingValue>(engine);
    readable::<LiveValue>(engine);
    readable::<Fault>(engine);
}

fn readable<T: Readable>(engine: &mut Engine) {
    engine.register_indexer_get(|value: &mut T, name: &str| -> RhaiResult<Dynamic> {
        value
            .read(name)
            .ok_or_else(|| fail(unknown(T::WORD, name, &value.all_names())))
    });
    engine.register_indexer_set(
        |value: &mut T, name: &str, fresh: Dynamic| -> RhaiResult<()> {
            // The engine writes a property back after any method call on it, such as `c.components.len()`.
            if value.read(name).is_some_and(|old| same(&old, &fresh)) {
                return Ok(());
            }
            let message = format!("`{name}` of a {} cannot be changed", T::WORD);
            Err(fail(Error::new(&READ_ONLY, message).help(
                "make a new value instead, such as c.with(#{ workers: 3 })",
            )))
        },
    );
}

fn unknown(word: &str, name: &str, known: &[String]) -> Error {
    let names = known.iter().map(String::as_str);
    let help = match suggest::nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", suggest::one_of(names)),
    };
    Error::new(
        &UNKNOWN_PROPERTY,
        format!("a {word} has no property `{name}`"),
    )
    .help(help)
}

/// The properties of a type, by the name the engine gives it.
pub(super) fn of(type_name: &str) -> Vec<&'static str> {
    let last = type_name.rsplit("::").next().unwrap_or(type_name);
    let names: &[&str] = match last {
        "Cluster" | "ClusterValue" => ClusterValue::NAMES,
        "Distribution" | "DistributionValue" => DistributionValue::NAMES,
        "Provider" | "ProviderValue" => ProviderValue::NAMES,
        "Component" | "ComponentValue" => ComponentValue::NAMES,
        _ => &[],
    };
    names.to_vec()
}

fn options(options: &Options, name: &str) -> Option<Dynamic> {
    options.get(name).map(from_tree)
}

fn map(options: &Options) -> Dynamic {
    options
        .iter()
        .map(|(key, value)| (key.as_str().into(), from_tree(value)))
        .collect::<Map>()
        .into()
}

impl Readable for ClusterValue {
    const WORD: &'static str = "cluster";
    const NAMES: &'static [&'static str] = &[
        "name",
        "distribution",
        "provider",
        "kubernetes",
        "control_planes",
        "workers",
        "components",
        "context",
        "ttl",
        "mirrors",
        "local_registry",
        "registries",
        "image_verification",
        "cdi",
        "import_images",
        "source",
        "sops",
        "autoscaler",
        "oidc",
    ];

    fn read(&self, name: &str) -> Option<Dynamic> {
        let spec = self.spec();
        Some(match name {
            "name" => spec.name.to_string().into(),
            "distribution" => Dynamic::from(DistributionValue {
                spec: spec.distribution.clone(),
                kubernetes: None,
            }),
            "provider" => Dynamic::from(ProviderValue(spec.provider.clone())),
            "kubernetes" => crate::distribution::kubernetes(spec).into(),
            "control_planes" => i64::from(spec.control_planes).into(),
            "workers" => i64::from(spec.workers).into(),
            "components" => components(spec).into(),
            "context" => spec.context().into(),
            "ttl" => spec.ttl.map_or(Dynamic::UNIT, |ttl| {
                crate::spec::field::duration_text(ttl).into()
            }),
            other if keys::SETTINGS.iter().any(|field| field.name == other) => {
                spec.settings.get(other).map_or(Dynamic::UNIT, from_tree)
            }
            _ => return None,
        })
    }
}

impl Readable for DistributionValue {
    const WORD: &'static str = "distribution";
    const NAMES: &'static [&'static str] = &["name", "title", "options", "kubernetes"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        Some(match name {
            "name" => self.spec.kind.name().into(),
            "title" => self.spec.kind.title().into(),
            "options" => map(&self.spec.options),
            "kubernetes" => self.kubernetes.clone().map_or(Dynamic::UNIT, Into::into),
            other => return options(&self.spec.options, other),
        })
    }
}

impl Readable for ProviderValue {
    const WORD: &'static str = "provider";
    const NAMES: &'static [&'static str] = &["name", "title", "options"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        Some(match name {
            "name" => self.0.kind.name().into(),
            "title" => self.0.kind.title().into(),
            "options" => map(&self.0.options),
            other => return options(&self.0.options, other),
        })
    }
}

impl Readable for ComponentValue {
    const WORD: &'static str = "component";
    const NAMES: &'static [&'static str] = &["name", "slot", "options", "is_own"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        Some(match name {
            "name" => self.0.part.name().to_string().into(),
            "slot" => self
                .0
                .part
                .slot()
                .map_or(Dynamic::UNIT, |slot| slot.name().into()),
            "options" => map(&self.0.options),
            "is_own" => is_own(&self.0.part).into(),
            other => return options(&self.0.options, other),
        })
    }
}

impl Readable for MatrixValue {
    const WORD: &'static str = "matrix";
    const NAMES: &'static [&'static str] = &["cells", "len", "axes"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        Some(match name {
            "cells" => self
                .cells()
                .iter()
                .map(|cell| Dynamic::from(cell.clone()))
                .collect::<Array>()
                .into(),
            "len" => i64::try_from(self.cells().len()).unwrap_or(i64::MAX).into(),
            "axes" => self
                .axes()
                .iter()
                .map(|axis| Dynamic::from(axis.clone()))
                .collect::<Array>()
                .into(),
            _ => return None,
        })
    }
}

impl Readable for CellValue {
    const WORD: &'static str = "cell";
    const NAMES: &'static [&'static str] = &["id"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        if name == "id" {
            Some(self.id().to_string().into())
        } else {
            self.value(name).cloned()
        }
    }

    fn all_names(&self) -> Vec<String> {
        std::iter::once("id".to_string())
            .chain(self.axes().map(String::from))
            .collect()
    }
}

impl Readable for FleetValue {
    const WORD: &'static str = "fleet";
    const NAMES: &'static [&'static str] = &["clusters", "len"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        Some(match name {
            "clusters" => self
                .clusters()
                .iter()
                .map(|cluster| Dynamic::from(cluster.clone()))
                .collect::<Array>()
                .into(),
            "len" => i64::try_from(self.clusters().len())
                .unwrap_or(i64::MAX)
                .into(),
            _ => return None,
        })
    }
}

impl Readable for ChangeValue {
    const WORD: &'static str = "change";
    const NAMES: &'static [&'static str] = &["path", "from", "to", "impact", "reason"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        let change = self.change();
        Some(match name {
            "path" => change.path.clone().into(),
            "from" => from_tree(&change.from),
            "to" => from_tree(&change.to),
            "impact" => change.impact.name().into(),
            "reason" => change.reason.clone().into(),
            _ => return None,
        })
    }
}

/// A plain value as scripts hold it.
fn plain(value: &impl serde::Serialize) -> Dynamic {
    from_tree(&Tree::from_json(
        &serde_json::to_value(value).unwrap_or_default(),
    ))
}

impl Readable for LiveValue {
    const WORD: &'static str = "cluster that is there";
    const NAMES: &'static [&'static str] = &[
        "name",
        "context",
        "distribution",
        "provider",
        "state",
        "kubernetes",
        "endpoint",
        "nodes",
        "components",
        "expires",
    ];

    fn read(&self, name: &str) -> Option<Dynamic> {
        let facts = self.facts();
        let text = |value: &Option<String>| value.clone().map_or(Dynamic::UNIT, Into::into);
        Some(match name {
            "name" => facts.name.to_string().into(),
            "context" => facts.context.clone().into(),
            "distribution" => facts.distribution.name().into(),
            "provider" => facts.provider.name().into(),
            "state" => facts.state.word().into(),
            "kubernetes" => text(&facts.kubernetes),
            "endpoint" => text(&facts.endpoint),
            "nodes" => plain(&facts.nodes),
            "components" => plain(&facts.components),
            "expires" => facts
                .expires
                .and_then(|at| i64::try_from(at).ok())
                .map_or(Dynamic::UNIT, Into::into),
            _ => return None,
        })
    }
}

impl Readable for RulingValue {
    const WORD: &'static str = "ruling";
    const NAMES: &'static [&'static str] = &["kind", "why", "window"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        use crate::plan::Ruling;
        let (kind, why, window) = match self.ruling() {
            Ruling::Allow => ("allow", "", ""),
            Ruling::Deny { why } => ("deny", why.as_str(), ""),
            Ruling::Confirm { why } => ("confirm", why.as_str(), ""),
            Ruling::Defer { window, why } => ("defer", why.as_str(), window.as_str()),
        };
        Some(match name {
            "kind" => kind.into(),
            "why" => why.to_string().into(),
            "window" => window.to_string().into(),
            _ => return None,
        })
    }
}

impl Readable for Fault {
    const WORD: &'static str = "problem";
    const NAMES: &'static [&'static str] = &["code", "message", "help"];

    fn read(&self, name: &str) -> Option<Dynamic> {
        let tree = self.read(|error| match name {
            "code" => Some(Tree::from(error.code().id)),
            "message" => Some(Tree::from(error.message())),
            "help" => Some(Tree::from(error.helps().join("; "))),
            _ => None,
        });
        tree.flatten().map(|tree| from_tree(&tree))
    }
}
