//! Writing files whole: the old content or the new one, never half of it.

use std::io::Write as _;
use std::path::Path;

/// Writes a file beside its place and moves it there; folders are made, the owner alone may read it.
pub fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)
        .map(|_| ())
        .map_err(|failed| failed.error)
}
