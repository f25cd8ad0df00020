//! A distribution's own configuration file (`kind.yaml` and its like), read into the definition.
//!
//! The definition carries the content, not the path: a plan compares it, and nothing reads the user's files later.
//! To have another distribution's file read, add its fields in `spec::options::config_of`.

use super::input;
use crate::axis::Distribution;
use crate::diag::Source;
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
    let (Some((fields, required)), Some(path)) = (
        options::config_of(kind),
        given.get("config").and_then(Tree::as_text),
    ) else {
        return Ok(None);
    };
    let text = input::read(session, path).map_err(|problem| problem.field("config"))?;
    let document = Document::parse(Source::new(path, text))?;
    let content = document.tree().clone();
    let mut problems = Vec::new();
    match content.as_map() {
        Some(map) => {
            field::check(fields, required, map, "", &mut problems);
            if problems.is_empty() {
                problems = options::contradictions_of_config(kind, map);
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
