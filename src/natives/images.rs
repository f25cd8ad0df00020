//! The setting `import_images`: archives are found below the script's folder and named with what they hold, so that a plan
//! sees when an archive has changed.

use std::path::Path;

use super::input::unreadable;
use crate::diag::codes::input::FILE_OUTSIDE;
use crate::docker::bundled;
use crate::error::{Error, Result};
use crate::script::{Session, below};
use crate::spec::Tree;

/// What an archive's name ends with.
const ENDS: [&str; 3] = [".tar", ".tar.gz", ".tgz"];

/// Puts archives in place of their paths; values of another form are left to those who check the setting.
pub(super) fn found(session: &Session, given: Tree) -> Result<Tree> {
    let entries = match given {
        Tree::Text(path) => return Ok(Tree::List(vec![archive(session, &path)?])),
        Tree::List(entries) => entries,
        other => return Ok(other),
    };
    let entries = entries.into_iter().enumerate().map(|(index, entry)| {
        let path = match &entry {
            Tree::Text(text) if ENDS.iter().any(|end| text.ends_with(end)) => text.clone(),
            Tree::Map(map) => {
                // One that was read back from a cluster.
                let root = session.options().root.canonicalize().unwrap_or_default();
                let path = map
                    .get("archive")
                    .and_then(Tree::as_text)
                    .unwrap_or_default();
                let inner = Path::new(path).strip_prefix(&root);
                inner.map_or_else(|_| path.to_string(), |inner| inner.display().to_string())
            }
            _ => return Ok(entry),
        };
        archive(session, &path).map_err(|problem| problem.field(format!("import_images[{index}]")))
    });
    entries.collect::<Result<Vec<Tree>>>().map(Tree::List)
}

fn archive(session: &Session, path: &str) -> Result<Tree> {
    let root = &session.options().root;
    let full = below(root, &root.join(path), path).ok_or_else(|| {
        Error::new(
            &FILE_OUTSIDE,
            format!("{path} is outside the script's folder"),
        )
        .help("put the archive below the script")
        .field("import_images")
    })?;
    let full = full
        .canonicalize()
        .map_err(|cause| unreadable(Path::new(path), cause.to_string()).field("import_images"))?;
    let holds = bundled(&full).map_err(|problem| problem.field("import_images"))?;
    let holds = holds.into_iter().map(Tree::Text).collect();
    let fields = [
        (
            "archive".to_string(),
            Tree::Text(full.display().to_string()),
        ),
        ("holds".to_string(), Tree::List(holds)),
    ];
    Ok(Tree::Map(fields.into()))
}
