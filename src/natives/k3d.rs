//! What a k3d.yaml needs beside being read: its variables, and the files that it names.

use super::input;
use crate::error::{Error, Result};
use crate::script::Session;
use crate::spec::Tree;
use crate::spec::options::k3d;

/// Puts the values of variables in place of `$NAME` and `${NAME}`, as k3d does before it reads anything else; comments
/// are left as they are.
pub(super) fn expand(session: &Session, text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('#') {
            out.push_str(line);
        } else {
            expand_line(line, &mut out, &|name| input::variable(session, name, ""))?;
        }
    }
    Ok(out)
}

fn expand_line(line: &str, out: &mut String, value: &dyn Fn(&str) -> Result<String>) -> Result<()> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'));
        let (name, after) = braced.unwrap_or_else(|| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
            after.split_at(end)
        });
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(&value(name)?);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(())
}

/// Puts the content of the files that a k3d.yaml names in place of their paths, and hides what must not show.
/// Their paths start from `folder`, which is the file's own.
pub(super) fn fill(session: &Session, folder: &str, file: &mut Tree) -> Vec<Error> {
    let mut problems = Vec::new();
    let Tree::Map(file) = file else {
        return problems;
    };
    let mut inline = |value: Option<&mut Tree>, field: &str| {
        problems.extend(
            inline(session, folder, value)
                .err()
                .map(|problem| problem.field(field)),
        );
    };
    if let Some(Tree::List(files)) = file.get_mut("files") {
        for (index, entry) in files.iter_mut().enumerate() {
            let Tree::Map(entry) = entry else { continue };
            let field = format!("files[{index}].source");
            inline(entry.get_mut("source"), &field);
        }
    }
    if let Some(Tree::Map(registries)) = file.get_mut("registries") {
        let config = registries.get_mut("config");
        inline(config, "registries.config");
    }
    k3d::conceal(file);
    problems
}

/// A text of one line is a path below the script's folder; one of several is the content itself.
fn inline(session: &Session, folder: &str, value: Option<&mut Tree>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    let Some(path) = value.as_text().filter(|text| !text.contains('\n')) else {
        return Ok(());
    };
    let path = if folder.is_empty() {
        path.to_string()
    } else {
        format!("{folder}/{path}")
    };
    let text = input::read(session, &path)?;
    // What was read must not look like a path when it is read again.
    let is_whole = text.contains('\n');
    *value = Tree::Text(if is_whole { text } else { format!("{text}\n") });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::expand_line;

    #[test]
    fn puts_values_in_place_of_variables() {
        let mut out = String::new();
        let value = |name: &str| Ok(format!("<{name}>"));
        expand_line("a: $HOME/x ${USER}y $ $1 100$\n", &mut out, &value).unwrap();
        assert_eq!(out, "a: <HOME>/x <USER>y $ <1> 100$\n");
    }
}
