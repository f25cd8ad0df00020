//! What runs did, a line a step: for people who look what happened. ksail itself looks at the world instead.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::world::Note;

/// The journal's name in the cluster's folder.
pub(super) const FILE: &str = "journal.jsonl";

/// Appends a line; a journal that cannot be written stops nothing.
pub(super) fn append(folder: &Path, note: &Note<'_>) {
    let Ok(mut line) = serde_json::to_string(note) else {
        return;
    };
    line.push('\n');
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join(FILE));
    if let Ok(mut file) = file {
        // One write, so that lines of two processes never mix.
        let _ = file.write_all(line.as_bytes());
    }
}
