//! What a definition may read: parameters, allowed environment variables, files below the script.

use std::path::Path;
use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::Entry;
use crate::diag::codes::input::{
    BAD_PARAM, DUPLICATE_PARAM, ENV_NOT_ALLOWED, FILE_OUTSIDE, FILE_UNREADABLE,
};
use crate::diag::codes::model::{UNKNOWN_KEY, WRONG_TYPE};
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::script::{
    Param, ParamLimits, RhaiResult, Session, below, fail, from_tree, read_small, to_tree,
};
use crate::spec::Tree;

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    let s = session.clone();
    engine.register_fn("param", move |name: ImmutableString, default: Dynamic| {
        param(&s, &name, &default, "", &Map::new())
    });
    let s = session.clone();
    engine.register_fn(
        "param",
        move |name: ImmutableString, default: Dynamic, summary: ImmutableString| {
            param(&s, &name, &default, &summary, &Map::new())
        },
    );
    let s = session.clone();
    engine.register_fn(
        "param",
        move |name: ImmutableString, default: Dynamic, summary: ImmutableString, limits: Map| {
            param(&s, &name, &default, &summary, &limits)
        },
    );
    let s = session.clone();
    engine.register_fn("env", move |name: ImmutableString| env(&s, &name, ""));
    let s = session.clone();
    engine.register_fn(
        "env",
        move |name: ImmutableString, default: ImmutableString| env(&s, &name, &default),
    );
    let s = session.clone();
    engine.register_fn("read_file", move |path: ImmutableString| {
        read(&s, &path).map_err(fail)
    });
    let s = session.clone();
    engine.register_fn("read_yaml", move |path: ImmutableString| {
        parsed(&s, &path, "YAML", |text| {
            serde_saphyr::from_str::<serde_json::Value>(text).map_err(|cause| cause.to_string())
        })
    });
    let s = session.clone();
    engine.register_fn("read_json", move |path: ImmutableString| {
        parsed(&s, &path, "JSON", |text| {
            serde_json::from_str(text).map_err(|cause| cause.to_string())
        })
    });
    let s = session.clone();
    engine.register_fn("read_toml", move |path: ImmutableString| {
        parsed(&s, &path, "TOML", |text| {
            let table: toml::Table = toml::from_str(text).map_err(|cause| cause.to_string())?;
            serde_json::to_value(table).map_err(|cause| cause.to_string())
        })
    });
}

fn param(
    session: &Session,
    name: &str,
    default: &Dynamic,
    summary: &str,
    limits: &Map,
) -> RhaiResult<Dynamic> {
    value_of_param(session, name, default, summary, limits)
        .map(|tree| from_tree(&tree))
        .map_err(fail)
}

fn value_of_param(
    session: &Session,
    name: &str,
    default: &Dynamic,
    summary: &str,
    limits: &Map,
) -> Result<Tree> {
    let default = to_tree(default, "[1]")?;
    if !matches!(
        default,
        Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) | Tree::Text(_)
    ) {
        let message = format!(
            "the default of `{name}` is {}, and parameters are texts, numbers or booleans",
            default.kind()
        );
        return Err(Error::new(&WRONG_TYPE, message)
            .help("give a default such as 2, \"dev\" or false")
            .field("[1]"));
    }
    let limits = read_limits(limits)?;
    let param = Param {
        name: name.into(),
        default: default.clone(),
        summary: summary.into(),
        limits,
    };
    if let Some(earlier) = session.declare(param.clone())
        && (earlier.default != param.default || earlier.limits != param.limits)
    {
        let message = format!(
            "the parameter `{name}` is declared twice, with {} and {}",
            earlier.default, param.default
        );
        return Err(
            Error::new(&DUPLICATE_PARAM, message).help("declare it once and pass its value on")
        );
    }
    let given = session
        .options()
        .sets
        .iter()
        .rev()
        .find(|(key, _)| key == name);
    let value = match given {
        Some((_, text)) => typed(name, text, &default)?,
        None => default,
    };
    hold(&param, &value)?;
    Ok(value)
}

fn read_limits(given: &Map) -> Result<ParamLimits> {
    let mut limits = ParamLimits::default();
    for (key, value) in given {
        let tree = to_tree(value, key)?;
        match (key.as_str(), &tree) {
            ("min", Tree::Int(number)) => limits.min = Some(*number),
            ("max", Tree::Int(number)) => limits.max = Some(*number),
            ("choices", Tree::List(list)) => limits.choices.clone_from(list),
            ("min" | "max", _) => {
                return Err(Error::new(
                    &WRONG_TYPE,
                    format!("this is {}, not a whole number", tree.kind()),
                )
                .field(key.as_str()));
            }
            ("choices", _) => {
                return Err(Error::new(
                    &WRONG_TYPE,
                    format!("this is {}, not a list", tree.kind()),
                )
                .field(key.as_str()));
            }
            _ => {
                let known = ["min", "max", "choices"];
                let near = suggest::nearest(key, known);
                let help = near.map_or_else(
                    || format!("known are {}", suggest::one_of(known)),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(
                    Error::new(&UNKNOWN_KEY, format!("there is no option `{key}`"))
                        .help(help)
                        .field(key.as_str()),
                );
            }
        }
    }
    Ok(limits)
}

/// Reads what was typed as the type of the default.
fn typed(name: &str, text: &str, default: &Tree) -> Result<Tree> {
    let value = match default {
        Tree::Bool(_) => text.parse().ok().map(Tree::Bool),
        Tree::Int(_) => text.parse().ok().map(Tree::Int),
        Tree::Float(_) => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Tree::Float),
        _ => Some(Tree::Text(text.to_string())),
    };
    value.ok_or_else(|| {
        Error::new(
            &BAD_PARAM,
            format!(
                "{text:?} is not {}, as the parameter `{name}` wants",
                default.kind()
            ),
        )
        .help(format!("give one: `--set {name}={default}`"))
    })
}

fn hold(param: &Param, value: &Tree) -> Result<()> {
    let limits = &param.limits;
    let wrong = |allowed: String| {
        Error::new(
            &BAD_PARAM,
            format!("{value} is not allowed for the parameter `{}`", param.name),
        )
        .help(allowed)
    };
    if let Some(number) = value.as_int()
        && (limits.min.is_some_and(|min| number < min)
            || limits.max.is_some_and(|max| number > max))
    {
        return Err(wrong(match (limits.min, limits.max) {
            (Some(min), Some(max)) => format!("use a number from {min} to {max}"),
            (Some(min), None) => format!("use a number of at least {min}"),
            (_, max) => format!("use a number of at most {}", max.unwrap_or_default()),
        }));
    }
    if !limits.choices.is_empty() && !limits.choices.contains(value) {
        let choices: Vec<String> = limits.choices.iter().map(ToString::to_string).collect();
        return Err(wrong(format!("use one of {}", choices.join(", "))));
    }
    Ok(())
}

fn env(session: &Session, name: &str, default: &str) -> RhaiResult<ImmutableString> {
    variable(session, name, default)
        .map(ImmutableString::from)
        .map_err(fail)
}

/// The value of an environment variable that the script may read.
pub(super) fn variable(session: &Session, name: &str, default: &str) -> Result<String> {
    match session.options().env.get(name) {
        Some(value) => Ok(value.clone().unwrap_or_else(|| default.to_string())),
        // These may always be seen; whoever starts the script put in those that are set.
        None if name == "CI" || name.starts_with("KSAIL_") => Ok(default.into()),
        None => Err(Error::new(
            &ENV_NOT_ALLOWED,
            format!("the script may not read the environment variable `{name}`"),
        )
        .help(format!(
            "allow it with `--allow-env {name}`, or make it a parameter: param(\"{}\", …)",
            name.to_lowercase()
        ))),
    }
}

/// Reads a text below the script's folder.
pub(super) fn read(session: &Session, path: &str) -> Result<String> {
    let root = &session.options().root;
    let full = below(root, &root.join(path), path).ok_or_else(|| {
        Error::new(
            &FILE_OUTSIDE,
            format!("{path:?} lies outside the script's folder"),
        )
        .help("put the file below the script, or widen the folder with `--allow-read DIR`")
    })?;
    read_small(&full).map_err(|cause| unreadable(Path::new(path), cause.to_string()))
}

/// The names in a folder below the script, in order; those that begin with a dot are nobody's business.
pub(super) fn names(session: &Session, path: &str) -> Result<Vec<String>> {
    let root = &session.options().root;
    let full = below(root, &root.join(path), path).ok_or_else(|| {
        Error::new(
            &FILE_OUTSIDE,
            format!("{path:?} lies outside the script's folder"),
        )
        .help("put the folder below the script")
    })?;
    let entries =
        std::fs::read_dir(full).map_err(|cause| unreadable(Path::new(path), cause.to_string()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}

/// The objects that a script means: a map, a list of them, or those of a file or folder below the script.
pub(super) fn objects(session: &Session, what: &Dynamic) -> Result<Vec<serde_json::Value>> {
    let Ok(path) = what.as_immutable_string_ref() else {
        let tree = to_tree(what, "[0]")?;
        return match tree {
            Tree::Map(_) => Ok(vec![tree.exposed()]),
            Tree::List(list) => Ok(list.iter().map(Tree::exposed).collect()),
            other => Err(Error::new(
                &WRONG_TYPE,
                format!("this is {}, not objects", other.kind()),
            )
            .help("give a map, a list of maps, or the path of a file or folder")
            .field("[0]")),
        };
    };
    objects_at(session, &path)
}

/// The objects of a file, or of the manifests in a folder, below the script.
pub(super) fn objects_at(session: &Session, path: &str) -> Result<Vec<serde_json::Value>> {
    let mut objects = Vec::new();
    for file in manifests(session, path)? {
        let text = read(session, &file)?;
        let found: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text)
            .map_err(|cause| unreadable(Path::new(&file), format!("it is no YAML: {cause}")))?;
        objects.extend(found.into_iter().filter(|object| !object.is_null()));
    }
    Ok(objects)
}

/// The file itself, or the manifests in a folder, in the order of their names.
fn manifests(session: &Session, path: &str) -> Result<Vec<String>> {
    let folder = session.options().root.join(path);
    if !folder.is_dir() {
        return Ok(vec![path.to_string()]);
    }
    let entries = std::fs::read_dir(&folder)
        .map_err(|cause| unreadable(Path::new(path), cause.to_string()))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            [".yaml", ".yml", ".json"]
                .iter()
                .any(|end| name.ends_with(end))
        })
        .map(|name| format!("{}/{name}", path.trim_end_matches('/')))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(unreadable(
            Path::new(path),
            "it has no .yaml, .yml or .json in it".into(),
        ));
    }
    Ok(files)
}

fn parsed(
    session: &Session,
    path: &str,
    form: &str,
    parse: impl Fn(&str) -> std::result::Result<serde_json::Value, String>,
) -> RhaiResult<Dynamic> {
    let text = read(session, path).map_err(fail)?;
    match parse(&text) {
        Ok(value) => Ok(from_tree(&Tree::from_json(&value))),
        Err(cause) => Err(fail(unreadable(
            Path::new(path),
            format!("it is no {form}: {cause}"),
        ))),
    }
}

pub(super) fn unreadable(path: &Path, cause: String) -> Error {
    Error::new(
        &FILE_UNREADABLE,
        format!("{} cannot be read", path.display()),
    )
    .because(cause)
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "input",
        name: "param",
        signatures: &[
            "param(name, default)",
            "param(name, default, summary)",
            "param(name, default, summary, #{ min, max, choices })",
        ],
        summary: "Declares a parameter and gives its value: that of `--set name=value`, else the default, whose type it has.",
        example: "let workers = param(\"workers\", 2, \"worker nodes\", #{ min: 0, max: 9 });\ncluster(\"dev\", #{ distribution: kwok(), workers: workers })",
    },
    Entry {
        group: "input",
        name: "env",
        signatures: &["env(name)", "env(name, default)"],
        summary: "Reads an environment variable that scripts may see: CI, KSAIL_…, and those of `--allow-env`; empty where it is not set.",
        example: "cluster(\"dev\", #{ distribution: kwok(), workers: if env(\"CI\") == \"true\" { 1 } else { 3 } })",
    },
    Entry {
        group: "input",
        name: "read_file",
        signatures: &["read_file(path)"],
        summary: "Reads a text below the script's folder.",
        example: "let name = read_file(\"name.txt\");\nname.trim();\ncluster(name, #{ distribution: kwok() })",
    },
    Entry {
        group: "input",
        name: "read_yaml",
        signatures: &["read_yaml(path)"],
        summary: "Reads a YAML file below the script's folder.",
        example: "let values = read_yaml(\"values.yaml\");\ncluster(\"dev\", #{ distribution: kwok(), workers: values.workers })",
    },
    Entry {
        group: "input",
        name: "read_json",
        signatures: &["read_json(path)"],
        summary: "Reads a JSON file below the script's folder.",
        example: "let values = read_json(\"values.json\");\ncluster(\"dev\", #{ distribution: kwok(), workers: values.workers })",
    },
    Entry {
        group: "input",
        name: "read_toml",
        signatures: &["read_toml(path)"],
        summary: "Reads a TOML file below the script's folder.",
        example: "let values = read_toml(\"values.toml\");\ncluster(\"dev\", #{ distribution: kwok(), workers: values.workers })",
    },
];
