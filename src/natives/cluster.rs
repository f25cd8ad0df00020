//! Clusters: defined, derived, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext};

use super::constructor::{ComponentValue, DistributionValue, ProviderValue, gathered};
use super::shape::ConditionalValue;
use super::{Entry, images, input, value_type};
use crate::diag::Label;
use crate::diag::codes::model::WRONG_TYPE;
use crate::error::Error;
use crate::script::{RhaiResult, Session, fail, to_tree};
use crate::spec::{self, ComponentSpec, Draft, Hook, Part, Spec, Tree, field, keys, show};

/// A cluster, as scripts hold it: cheap to clone, never changes.
#[derive(Clone, Debug)]
pub struct ClusterValue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: Spec,
    recipe: Recipe,
    place: Option<Label>,
}

/// What the cluster was made of, so that others can be derived from it.
#[derive(Clone, Debug, Default)]
struct Recipe {
    draft: Draft,
    conditional: Vec<(String, ConditionalValue)>,
    policy: Option<FnPtr>,
    hooks: BTreeMap<Hook, FnPtr>,
}

impl ClusterValue {
    /// The cluster, checked.
    pub fn spec(&self) -> &Spec {
        &self.0.spec
    }

    /// Where it is defined.
    pub fn place(&self) -> Option<&Label> {
        self.0.place.as_ref()
    }

    pub(crate) fn policy(&self) -> Option<&FnPtr> {
        self.0.recipe.policy.as_ref()
    }

    pub(crate) fn hooks(&self) -> &BTreeMap<Hook, FnPtr> {
        &self.0.recipe.hooks
    }
}

impl PartialEq for ClusterValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.spec == other.0.spec
    }
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    value_type::<ClusterValue>(engine, "Cluster", |value| show::cluster(value.spec()));
    let at = session.clone();
    engine.register_fn(
        "cluster",
        move |cx: NativeCallContext, name: ImmutableString, keys: Map| {
            let mut recipe = Recipe {
                draft: Draft {
                    name: name.to_string(),
                    ..Draft::default()
                },
                ..Recipe::default()
            };
            let problems = read(&at, &mut recipe, &keys);
            build(&cx, &at, recipe, problems)
        },
    );
    let at = session.clone();
    engine.register_fn(
        "with",
        move |cx: NativeCallContext, cluster: ClusterValue, keys: Map| {
            let mut recipe = cluster.0.recipe.clone();
            let problems = read(&at, &mut recipe, &keys);
            build(&cx, &at, recipe, problems)
        },
    );
    let at = session.clone();
    engine.register_fn(
        "with",
        move |cx: NativeCallContext, cluster: ClusterValue, name: ImmutableString, keys: Map| {
            let mut recipe = cluster.0.recipe.clone();
            recipe.draft.name = name.to_string();
            let problems = read(&at, &mut recipe, &keys);
            build(&cx, &at, recipe, problems)
        },
    );
    let at = session.clone();
    engine.register_fn(
        "add",
        move |cx: NativeCallContext, cluster: ClusterValue, component: Dynamic| {
            let mut recipe = cluster.0.recipe.clone();
            let mut problems = Vec::new();
            collect(&component, "", &mut recipe, &mut problems);
            build(&cx, &at, recipe, problems)
        },
    );
    let at = session.clone();
    engine.register_fn(
        "without",
        move |cx: NativeCallContext, cluster: ClusterValue, component: Dynamic| {
            let mut recipe = cluster.0.recipe.clone();
            let name = match (
                component.as_immutable_string_ref(),
                component.read_lock::<ComponentValue>(),
            ) {
                (Ok(name), _) => name.to_string(),
                (_, Some(component)) => component.0.part.name().to_string(),
                _ => {
                    return Err(fail(wrong(
                        "component",
                        "the name of a component, or a component",
                        &component,
                    )));
                }
            };
            recipe
                .draft
                .components
                .retain(|(_, component)| component.part.name() != name);
            recipe
                .conditional
                .retain(|(_, conditional)| !conditional.holds(&name));
            build(&cx, &at, recipe, Vec::new())
        },
    );
}

/// Reads the keys of `cluster(…)` over what is there.
fn read(session: &Session, recipe: &mut Recipe, given: &Map) -> Vec<Error> {
    let mut problems = Vec::new();
    for (key, value) in given {
        let key = key.as_str();
        let hook = Hook::ALL.iter().find(|hook| hook.name() == key);
        match (key, hook) {
            ("distribution", _) => match value.read_lock::<DistributionValue>() {
                Some(distribution) => {
                    recipe.draft.distribution = Some(distribution.spec.clone());
                    if let (Some(version), false) =
                        (&distribution.kubernetes, given.contains_key("kubernetes"))
                    {
                        recipe
                            .draft
                            .settings
                            .insert("kubernetes".into(), version.as_str().into());
                    }
                }
                None => problems.push(wrong(key, "a distribution such as `k3s()`", value)),
            },
            ("provider", _) => match value.read_lock::<ProviderValue>() {
                Some(provider) => recipe.draft.provider = Some(provider.0.clone()),
                None => problems.push(wrong(key, "a provider such as `docker()`", value)),
            },
            ("components", _) => {
                recipe.draft.components.clear();
                recipe.conditional.clear();
                collect(value, key, recipe, &mut problems);
            }
            ("gitops", _) => match value.read_lock::<ComponentValue>() {
                _ if value.is_unit() => {}
                Some(component) => recipe
                    .draft
                    .components
                    .push((key.into(), component.0.clone())),
                None => problems.push(wrong(key, "`flux()`, `argocd()` or `()`", value)),
            },
            ("policy", _) => match value.read_lock::<FnPtr>() {
                Some(pointer) => recipe.policy = Some(pointer.clone()),
                None => problems.push(wrong(key, "a closure `|change| ruling`", value)),
            },
            (_, Some(hook)) => match value.read_lock::<FnPtr>() {
                Some(pointer) => {
                    recipe.hooks.insert(*hook, pointer.clone());
                    recipe.draft.hooks.insert(*hook);
                }
                None => problems.push(wrong(key, "a closure `|cluster|`", value)),
            },
            _ if !keys::all().any(|known| known == key) => {
                problems.push(field::unknown_key(key, keys::all()).field(key));
            }
            _ if value.is_unit() => {
                recipe.draft.settings.remove(key);
            }
            _ => match setting(session, key, value) {
                Ok(tree) => {
                    recipe.draft.settings.insert(key.into(), tree);
                }
                Err(problem) => problems.push(problem),
            },
        }
    }
    problems
}

/// Reads one setting; files that it names are found now.
fn setting(session: &Session, key: &str, value: &Dynamic) -> Result<Tree, Error> {
    let tree = to_tree(value, key)?;
    match key {
        "import_images" => images::found(session, tree),
        "oidc" => authority(session, tree),
        _ => Ok(tree),
    }
}

/// Reads the file that `ca_file` of an identity provider names: whoever runs the cluster may have no such file.
fn authority(session: &Session, mut tree: Tree) -> Result<Tree, Error> {
    if let Tree::Map(oidc) = &mut tree
        && let Some(Tree::Text(path)) = oidc.remove("ca_file")
    {
        let text = input::read(session, &path).map_err(|problem| problem.field("oidc.ca_file"))?;
        oidc.insert("ca".into(), Tree::Text(text));
    }
    Ok(tree)
}

/// Collects components: `()` is nothing, lists are flattened, conditions on the cluster are kept for later.
fn collect(value: &Dynamic, path: &str, recipe: &mut Recipe, problems: &mut Vec<Error>) {
    if value.is_unit() {
    } else if let Some(component) = value.read_lock::<ComponentValue>() {
        recipe
            .draft
            .components
            .push((path.into(), component.0.clone()));
    } else if let Some(conditional) = value.read_lock::<ConditionalValue>() {
        recipe.conditional.push((path.into(), conditional.clone()));
    } else if let Some(list) = value.read_lock::<Array>() {
        for (index, entry) in list.iter().enumerate() {
            collect(entry, &format!("{path}[{index}]"), recipe, problems);
        }
    } else {
        let path = if path.is_empty() { "components" } else { path };
        problems.push(wrong(
            path,
            "a component such as `cilium()`, a list of them, or `()`",
            value,
        ));
    }
}

/// Checks the cluster, asks conditions with it, and checks what that makes of it.
fn build(
    cx: &NativeCallContext,
    session: &Session,
    recipe: Recipe,
    mut problems: Vec<Error>,
) -> RhaiResult<ClusterValue> {
    let place = place(cx, session);
    let spec = match spec::check(&recipe.draft) {
        Ok(spec) => Some(spec),
        Err(found) => {
            // A part of the wrong type was told already; that it is missing now is no news.
            let told: Vec<String> = problems
                .iter()
                .filter_map(|p| p.at_field().map(String::from))
                .collect();
            let is_news = |p: &Error| {
                !(told.iter().any(|field| field == "distribution") && p.at_field() == Some(""))
            };
            problems.extend(found.into_iter().filter(is_news));
            None
        }
    };
    gathered(problems)?;
    let Some(spec) = spec else {
        return Err(fail(Error::new(&WRONG_TYPE, "the cluster cannot be made")));
    };
    let unconditional = ClusterValue(Arc::new(Inner {
        spec,
        recipe,
        place,
    }));
    if unconditional.0.recipe.conditional.is_empty() {
        return Ok(unconditional);
    }
    let mut draft = unconditional.0.recipe.draft.clone();
    for (path, conditional) in &unconditional.0.recipe.conditional {
        if conditional.ask(cx, Dynamic::from(unconditional.clone()))? {
            draft
                .components
                .extend(conditional.components(path).map_err(fail)?);
        }
    }
    let spec = match spec::check(&draft) {
        Ok(spec) => spec,
        Err(found) => return gathered(found).map(|()| unconditional),
    };
    let (recipe, place) = (
        unconditional.0.recipe.clone(),
        unconditional.0.place.clone(),
    );
    Ok(ClusterValue(Arc::new(Inner {
        spec,
        recipe,
        place,
    })))
}

fn place(cx: &NativeCallContext, session: &Session) -> Option<Label> {
    let at = cx.call_position();
    let source = session.source(cx.fn_source().or(cx.call_source()));
    let start = source.offset(at.line()?, at.position()?);
    let end = source
        .text()
        .get(start..)?
        .find('(')
        .map_or(start, |length| start + length);
    Some(Label::new(&source, start..end.max(start + 1), ""))
}

fn wrong(path: &str, wanted: &str, given: &Dynamic) -> Error {
    let kind = crate::script::kind(given);
    Error::new(&WRONG_TYPE, format!("this is {kind}, not {wanted}"))
        .help(format!("give {wanted}"))
        .field(path)
}

/// The components of a value that may be one or a list.
pub(super) fn components_of(
    value: &Dynamic,
    path: &str,
) -> crate::error::Result<Vec<(String, ComponentSpec)>> {
    let mut recipe = Recipe::default();
    let mut problems = Vec::new();
    collect(value, path, &mut recipe, &mut problems);
    match Error::gather(problems) {
        Some(problem) => Err(problem),
        None => Ok(recipe.draft.components),
    }
}

/// Whether a value holds a component of this name.
pub(super) fn holds(value: &Dynamic, name: &str) -> bool {
    components_of(value, "").is_ok_and(|all| {
        all.iter()
            .any(|(_, component)| component.part.name() == name)
    })
}

/// The components of a cluster, as scripts see them.
pub(super) fn components(spec: &Spec) -> Array {
    spec.components
        .iter()
        .map(|component| Dynamic::from(ComponentValue(component.clone())))
        .collect()
}

/// Whether a component is the user's own.
pub(super) fn is_own(part: &Part) -> bool {
    !matches!(part, Part::Known(_))
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "shape",
        name: "cluster",
        signatures: &["cluster(name, #{ … })"],
        summary: "Defines a cluster; `ksail doc cluster` lists its keys.",
        example: "cluster(\"dev\", #{ distribution: k3s(), provider: embedded(), workers: 2 })",
    },
    Entry {
        group: "shape",
        name: "with",
        signatures: &["c.with(#{ … })", "c.with(name, #{ … })"],
        summary: "Makes a cluster like this one with other keys, and another name where one is given.",
        example: "let a = cluster(\"a\", #{ distribution: kwok() });\n[a, a.with(\"b\", #{ workers: 3 })]",
    },
    Entry {
        group: "shape",
        name: "add",
        signatures: &["c.add(component)"],
        summary: "Makes a cluster like this one with one more component, or a list of them.",
        example: "cluster(\"dev\", #{ distribution: k3s() }).add(cilium())",
    },
    Entry {
        group: "shape",
        name: "without",
        signatures: &["c.without(component)"],
        summary: "Makes a cluster like this one without a component, named or given.",
        example: "cluster(\"dev\", #{ distribution: k3s(), components: [flux(), kyverno()] }).without(\"kyverno\")",
    },
];
