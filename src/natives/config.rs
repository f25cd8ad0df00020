//! A distribution's own configuration file (`kind.yaml` and its like), read into the definition.
//!
//! The definition carries the content, not the path: a plan compares it, and nothing reads the user's files later.
//! To have another distribution's file read, add its fields in `spec::options::config_of`.

use super::{input, k3d};
use crate::axis::Distribution;
use crate::diag::Source;
use crate::diag::codes::model::BAD_VALUE;
use crate::error::{Error, Result};
use crate::script::Session;
use crate::spec::document::Document;
use crate::spec::{Options, Tree, field, options};

/// A file that was read.
pub(super) struct Config {
    /// What is in it.
    pub(super) content: Tree,
    /// What is wrong with it, each pointing into the file.
    pub(super) problems: Vec<Error>,
}

/// Reads the file that the option `config` names; `None` where it names none.
pub(super) fn read(
    session: &Session,
    kind: Distribution,
    given: &Options,
) -> Result<Option<Config>> {
    if kind == Distribution::Kwok {
        let path = given.get("config").and_then(Tree::as_text);
        return path.map(|path| stages(session, path)).transpose();
    }
    let Some((fields, required)) = options::config_of(kind) else {
        return Ok(None);
    };
    let path = match given.get("config") {
        Some(Tree::Text(path)) => path,
        Some(content @ Tree::Map(_)) if kind == Distribution::K3s => {
            return Ok(Some(written(session, content.clone())));
        }
        _ => return Ok(None),
    };
    let mut text = input::read(session, path).map_err(|problem| problem.field("config"))?;
    if kind == Distribution::K3s {
        text = k3d::expand(session, &text).map_err(|problem| problem.field("config"))?;
    }
    let document = Document::parse(Source::new(path, text))?;
    let mut content = document.tree().clone();
    let mut problems = Vec::new();
    match content.as_map() {
        Some(map) => {
            field::check(fields, required, map, "", &mut problems);
            if problems.is_empty() {
                problems = options::contradictions_of_config(kind, map);
            }
            if problems.is_empty() && kind == Distribution::K3s {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                problems = k3d::fill(session, folder, &mut content);
            }
        }
        None => field::check_value(
            &field::Shape::Map(fields, required),
            &content,
            "",
            &mut problems,
        ),
    }
    let problems = problems
        .into_iter()
        .map(|problem| document.place(problem))
        .collect();
    Ok(Some(Config { content, problems }))
}

/// Puts the files of the folder `mirrors_dir` in its place, one folder for each registry.
pub(super) fn carry_mirrors(session: &Session, options: &mut Options) -> Result<()> {
    let Some(folder) = options.get("mirrors_dir").and_then(Tree::as_text) else {
        return Ok(());
    };
    let mut files = Options::new();
    let at = |problem: Error| problem.field("mirrors_dir");
    for host in input::names(session, folder).map_err(at)? {
        let inner = format!("{folder}/{host}");
        for file in input::names(session, &inner).map_err(at)? {
            let text = input::read(session, &format!("{inner}/{file}")).map_err(at)?;
            if file.ends_with(".toml")
                && let Err(cause) = toml::from_str::<toml::Table>(&text)
            {
                let path = format!("{inner}/{file}");
                return Err(at(input::unreadable(
                    std::path::Path::new(&path),
                    format!("it is no TOML: {cause}"),
                )));
            }
            files.insert(format!("{host}/{file}"), Tree::Text(text));
        }
    }
    options.insert("mirrors_dir".into(), Tree::Map(files));
    Ok(())
}

/// The stages of a file or folder, for KWOK.
fn stages(session: &Session, path: &str) -> Result<Config> {
    let found = input::objects_at(session, path).map_err(|problem| problem.field("config"))?;
    let problems = found
        .iter()
        .enumerate()
        .filter_map(|(at, stage)| wrong(path, at, stage));
    let mut problems: Vec<Error> = problems.collect();
    if found.is_empty() {
        let message = format!("there is no Stage in {path}");
        problems.push(Error::new(&BAD_VALUE, message).field("config"));
    }
    let content = Tree::List(found.iter().map(Tree::from_json).collect());
    Ok(Config { content, problems })
}

/// What is wrong with a stage, if anything.
fn wrong(path: &str, at: usize, stage: &serde_json::Value) -> Option<Error> {
    let problem = |message: String, help: &str| {
        Some(Error::new(&BAD_VALUE, message).help(help).field("config"))
    };
    let text = |pointer: &str| stage.pointer(pointer).and_then(serde_json::Value::as_str);
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let who = match name {
        Some(name) => format!("the stage {name} in {path}"),
        None => format!("object {} in {path}", at + 1),
    };
    let version = text("/apiVersion").unwrap_or("no version");
    if kind != Some("Stage") || !version.starts_with("kwok.x-k8s.io/") {
        return problem(
            format!(
                "{who} is {} of {version}, and only a Stage of kwok.x-k8s.io is read",
                kind.unwrap_or("of no kind"),
            ),
            "leave it out; versions, nodes and components have options of their own",
        );
    }
    if name.is_none() {
        return problem(format!("{who} has no name"), "give it a `metadata.name`");
    }
    if text("/spec/resourceRef/kind").is_none() {
        return problem(
            format!("{who} names no kind that it drives"),
            "add `spec.resourceRef`, such as `{ apiGroup: v1, kind: Pod }`",
        );
    }
    let is_map = |pointer: &str| stage.pointer(pointer).is_some_and(|it| it.is_object());
    let has_steps = stage.pointer("/spec/steps").is_some_and(|it| it.is_array());
    if !is_map("/spec/next") && !has_steps {
        return problem(format!("{who} does nothing"), "add `spec.next`");
    }
    None
}

/// A k3d.yaml that is written into the script as a map, whose own checks come with those of the other options.
fn written(session: &Session, mut content: Tree) -> Config {
    let problems = k3d::fill(session, "", &mut content);
    let problems = problems
        .into_iter()
        .map(|problem| {
            let path = format!("config.{}", problem.at_field().unwrap_or_default());
            problem.field(path)
        })
        .collect();
    Config { content, problems }
}
