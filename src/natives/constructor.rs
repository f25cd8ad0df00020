//! Constructors of distributions, providers and components, one for each name of the axes.

use std::fmt::Write as _;
use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::{config, input, value_type};
use crate::axis::{Axis, Component, Distribution, Provider};
use crate::error::{Error, Result};
use crate::script::{Doc, RhaiResult, Session, fail, to_tree};
use crate::spec::{
    ComponentSpec, DistributionSpec, Field, Options, Part, ProviderSpec, Tree, Version, options,
    show,
};
use crate::support;

/// A distribution, as scripts hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionValue {
    /// The distribution.
    pub spec: DistributionSpec,
    /// The Kubernetes version that was given with it.
    pub kubernetes: Option<String>,
}

/// A provider, as scripts hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderValue(pub ProviderSpec);

/// A component, as scripts hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentValue(pub ComponentSpec);

impl DistributionValue {
    /// As a script would write it.
    pub fn text(&self) -> String {
        let name = self.spec.kind.name();
        match (&self.kubernetes, self.spec.options.is_empty()) {
            (None, _) => show::call(name, &self.spec.options),
            (Some(version), true) => format!("{name}({version:?})"),
            (Some(version), false) => format!(
                "{name}({version:?}, {})",
                Tree::Map(self.spec.options.clone())
            ),
        }
    }
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    value_type::<DistributionValue>(engine, "Distribution", DistributionValue::text);
    value_type::<ProviderValue>(engine, "Provider", |value| {
        show::call(value.0.kind.name(), &value.0.options)
    });
    value_type::<ComponentValue>(engine, "Component", |value| show::component(&value.0));
    for kind in Distribution::ALL.iter().copied() {
        let s = session.clone();
        engine.register_fn(kind.name(), move || {
            distribution(&s, kind, None, &Map::new())
        });
        let s = session.clone();
        engine.register_fn(kind.name(), move |version: ImmutableString| {
            distribution(&s, kind, Some(version), &Map::new())
        });
        let s = session.clone();
        engine.register_fn(kind.name(), move |given: Map| {
            distribution(&s, kind, None, &given)
        });
        let s = session.clone();
        engine.register_fn(kind.name(), move |version: ImmutableString, given: Map| {
            distribution(&s, kind, Some(version), &given)
        });
    }
    for kind in Provider::ALL.iter().copied() {
        engine.register_fn(kind.name(), move || provider(kind, &Map::new()));
        engine.register_fn(kind.name(), move |given: Map| provider(kind, &given));
    }
    for kind in Component::ALL.iter().copied() {
        engine.register_fn(kind.name(), move || component(kind, &Map::new()));
        engine.register_fn(kind.name(), move |given: Map| component(kind, &given));
    }
    engine.register_fn("helm", |name: ImmutableString, given: Map| {
        own(Part::Helm(name.into()), &given)
    });
    let s = session.clone();
    engine.register_fn(
        "manifests",
        move |name: ImmutableString, given: Map| -> RhaiResult<ComponentValue> {
            let mut component = own(Part::Manifests(name.into()), &given)?;
            carry_objects(&s, &mut component.0.options).map_err(fail)?;
            Ok(component)
        },
    );
    engine.register_fn("kustomize", |name: ImmutableString, given: Map| {
        own(Part::Kustomize(name.into()), &given)
    });
}

fn distribution(
    session: &Session,
    kind: Distribution,
    version: Option<ImmutableString>,
    given: &Map,
) -> RhaiResult<DistributionValue> {
    let mut problems = Vec::new();
    if let Some(Err(problem)) = version.as_deref().map(Version::parse) {
        problems.push(problem);
    }
    let mut options = read(options::of_distribution(kind), &[], given, &mut problems);
    if problems.is_empty() {
        match config::read(session, kind, &options) {
            Ok(Some(config)) => {
                problems.extend(config.problems);
                options.insert("config".into(), config.content);
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if kind == Distribution::Vanilla && problems.is_empty() {
        problems.extend(config::carry_mirrors(session, &mut options).err());
    }
    if problems.is_empty() {
        problems = options::contradictions(kind, &options);
    }
    gathered(problems)?;
    let kubernetes = version.map(|version| version.trim_start_matches('v').to_string());
    Ok(DistributionValue {
        spec: DistributionSpec { kind, options },
        kubernetes,
    })
}

fn provider(kind: Provider, given: &Map) -> RhaiResult<ProviderValue> {
    let mut problems = Vec::new();
    let options = read(options::of_provider(kind), &[], given, &mut problems);
    if problems.is_empty() {
        problems = options::contradictions_of_provider(kind, &options);
    }
    gathered(problems)?;
    Ok(ProviderValue(ProviderSpec { kind, options }))
}

fn component(kind: Component, given: &Map) -> RhaiResult<ComponentValue> {
    let mut problems = Vec::new();
    let options = read(options::of_component(kind), &[], given, &mut problems);
    gathered(problems)?;
    Ok(ComponentValue(ComponentSpec {
        part: Part::Known(kind),
        options,
    }))
}

fn own(part: Part, given: &Map) -> RhaiResult<ComponentValue> {
    let (fields, required): (_, &[&str]) = match &part {
        Part::Helm(_) => (options::HELM, &["chart"]),
        Part::Manifests(_) => (options::MANIFESTS, &[]),
        _ => (options::KUSTOMIZE, &["path"]),
    };
    let mut problems = Vec::new();
    if let Err(problem) = crate::spec::ClusterName::parse(part.name()) {
        let message = format!("{:?} cannot name a component", part.name());
        problems.push(
            Error::new(problem.code(), message)
                .help("use lower-case letters, digits and hyphens")
                .field("name"),
        );
    }
    let options = read(fields, required, given, &mut problems);
    gathered(problems)?;
    Ok(ComponentValue(ComponentSpec { part, options }))
}

/// Puts the objects of a file or folder in place of its path: the definition carries the content, so that a plan compares
/// it and nothing reads the user's files later.
fn carry_objects(session: &Session, options: &mut Options) -> Result<()> {
    let Some(Tree::Text(path)) = options.remove("path") else {
        return Ok(());
    };
    let read = input::objects_at(session, &path).map_err(|problem| problem.field("path"))?;
    let mut objects = options
        .get("objects")
        .and_then(Tree::as_list)
        .unwrap_or_default()
        .to_vec();
    objects.extend(read.iter().map(Tree::from_json));
    options.insert("objects".into(), Tree::List(objects));
    Ok(())
}

/// Reads and checks an option map.
fn read(
    fields: &'static [Field],
    required: &[&str],
    given: &Map,
    problems: &mut Vec<Error>,
) -> Options {
    let tree: Result<Tree> = to_tree(&Dynamic::from(given.clone()), "");
    match tree {
        Ok(Tree::Map(options)) => {
            problems.extend(options::check(fields, required, &options));
            options
        }
        Ok(_) => Options::new(),
        Err(problem) => {
            problems.push(problem);
            Options::new()
        }
    }
}

/// Fails with all problems, if there are any.
pub(super) fn gathered(problems: Vec<Error>) -> RhaiResult<()> {
    match Error::gather(problems) {
        Some(problem) => Err(fail(problem)),
        None => Ok(()),
    }
}

/// The documentation of the constructors, from the axes and their option tables.
pub(super) fn docs() -> Vec<Doc> {
    let mut docs = Vec::new();
    let doc =
        |group: &str, name: &str, signatures: Vec<String>, about: String, example: String| Doc {
            group: group.into(),
            name: name.into(),
            signatures,
            summary: about,
            example,
        };
    for kind in Distribution::ALL {
        let name = kind.name();
        let mut signatures = vec![format!("{name}()"), format!("{name}(version)")];
        if !options::of_distribution(*kind).is_empty() {
            signatures.extend([
                format!("{name}(options)"),
                format!("{name}(version, options)"),
            ]);
        }
        let about = with_options(kind.summary(), options::of_distribution(*kind));
        let example = format!(
            "cluster(\"dev\", #{{ distribution: {name}(\"1.35\"), provider: embedded() }})"
        );
        docs.push(doc("distribution", name, signatures, about, example));
    }
    for kind in Provider::ALL {
        let name = kind.name();
        let on = Distribution::ALL
            .iter()
            .find(|distribution| support::runs_on(**distribution, *kind));
        let example = format!(
            "cluster(\"dev\", #{{ distribution: {}(), provider: {name}() }})",
            on.map_or("kwok", |distribution| distribution.name())
        );
        let signatures = vec![format!("{name}()"), format!("{name}(options)")];
        docs.push(doc(
            "provider",
            name,
            signatures,
            with_options(kind.summary(), options::of_provider(*kind)),
            example,
        ));
    }
    for kind in Component::ALL {
        let name = kind.name();
        let mut signatures = vec![format!("{name}()")];
        if !options::of_component(*kind).is_empty() {
            signatures.push(format!("{name}(options)"));
        }
        // A cell where it can be had; every component has one.
        let cell = Distribution::ALL
            .iter()
            .flat_map(|d| support::providers(*d).map(move |p| (*d, p)))
            .find(|(d, p)| {
                support::component(*kind, *d, *p).value != support::Support::Unsupported
            });
        let (distribution, provider) = cell.unwrap_or((Distribution::Kwok, Provider::Embedded));
        let example = format!(
            "cluster(\"dev\", #{{ distribution: {distribution}(), provider: {provider}(), components: [{name}()] }})"
        );
        docs.push(doc(
            "component",
            name,
            signatures,
            with_options(kind.summary(), options::of_component(*kind)),
            example,
        ));
    }
    let mut own = |name: &str, about: &str, fields: &'static [Field], example: &str| {
        let example =
            format!("cluster(\"dev\", #{{ distribution: kwok(), components: [{example}] }})");
        docs.push(doc(
            "component",
            name,
            vec![format!("{name}(name, options)")],
            with_options(about, fields),
            example,
        ));
    };
    own(
        "helm",
        "A chart of the user's own.",
        options::HELM,
        "helm(\"podinfo\", #{ chart: \"podinfo\", repo: \"https://stefanprodan.github.io/podinfo\" })",
    );
    own(
        "manifests",
        "Objects of the user's own.",
        options::MANIFESTS,
        "manifests(\"team\", #{ objects: [#{ apiVersion: \"v1\", kind: \"Namespace\", metadata: #{ name: \"team\" } }] })",
    );
    own(
        "kustomize",
        "A kustomization of the user's own.",
        options::KUSTOMIZE,
        "kustomize(\"app\", #{ path: \"k8s\" })",
    );
    docs
}

fn with_options(summary: &str, fields: &[Field]) -> String {
    let mut text = summary.to_string();
    if !fields.is_empty() {
        text.push_str(" Options:");
    }
    for field in fields {
        let _ = write!(
            text,
            "\n  {}: {} — {}",
            field.name,
            field.shape.describe(),
            field.summary
        );
        if !field.default.is_empty() {
            let _ = write!(text, " Default: {}.", field.default);
        }
    }
    text
}
