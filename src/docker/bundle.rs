//! What an archive of images holds, as `docker save` and its like write it; only its table of contents is read.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::diag::codes::docker::NO_ARCHIVE;
use crate::error::{Error, Result};

/// How large a table of contents may be.
const LIMIT: u64 = 4 << 20;
/// How large a compressed archive may be that is looked into, as a file.
const LARGE: u64 = 256 << 20;
/// What a compressed file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
}

/// The images in an archive, as `name@id`. Nothing is told of those that name images by their manifests alone, and of
/// compressed ones that are very large: finding out would cost as much as loading them.
pub fn bundled(path: &Path) -> Result<Vec<String>> {
    let wrong = |cause: String| {
        Error::new(
            &NO_ARCHIVE,
            format!("{} is no archive of images", path.display()),
        )
        .because(cause)
        .help("make one with `docker save -o images.tar IMAGE…`")
    };
    let mut file = File::open(path).map_err(|cause| wrong(cause.to_string()))?;
    let mut start = [0; 2];
    let is_packed = file.read_exact(&mut start).is_ok() && start == GZIP;
    file.rewind().map_err(|cause| wrong(cause.to_string()))?;
    if !is_packed {
        let mut archive = tar::Archive::new(file);
        let entries = archive.entries_with_seek();
        return contents(entries).map_err(wrong);
    }
    if file.metadata().is_ok_and(|about| about.len() > LARGE) {
        return Ok(Vec::new());
    }
    // Several parts after one another, as programs write that compress side by side, are one file.
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    contents(archive.entries()).map_err(wrong)
}

fn contents<R: Read>(
    entries: std::io::Result<tar::Entries<'_, R>>,
) -> std::result::Result<Vec<String>, String> {
    let text = |cause: std::io::Error| cause.to_string();
    let mut is_indexed = false;
    for entry in entries.map_err(text)? {
        let mut entry = entry.map_err(text)?;
        let name = entry.path().map_err(text)?.display().to_string();
        match name.trim_start_matches("./") {
            "manifest.json" => {
                let mut table = String::new();
                let read = entry.by_ref().take(LIMIT).read_to_string(&mut table);
                read.map_err(text)?;
                let saved: Vec<Saved> =
                    serde_json::from_str(&table).map_err(|cause| cause.to_string())?;
                return Ok(saved.iter().flat_map(names).collect());
            }
            "index.json" => is_indexed = true,
            _ => {}
        }
    }
    if is_indexed {
        return Ok(Vec::new());
    }
    Err("it has neither a manifest.json nor an index.json".into())
}

/// The names of an image, each with the image's id, which is the digest of its configuration.
fn names(saved: &Saved) -> Vec<String> {
    let file = saved.config.rsplit('/').next().unwrap_or_default();
    let digest = file.trim_end_matches(".json");
    let tags = saved.tags.iter().flatten();
    tags.map(|tag| format!("{tag}@sha256:{digest}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (name, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            builder
                .append_data(&mut header, name, text.as_bytes())
                .unwrap();
        }
        builder.finish().unwrap();
        file
    }

    #[test]
    fn names_images_with_their_ids() {
        let old = r#"[{"Config":"0a.json","RepoTags":["busybox:1","web:dev"],"Layers":[]},{"Config":"blobs/sha256/0b","RepoTags":null}]"#;
        let file = archive(&[("layer/layer.tar", "x"), ("manifest.json", old)]);
        assert_eq!(
            bundled(file.path()).unwrap(),
            ["busybox:1@sha256:0a", "web:dev@sha256:0a"]
        );
        assert!(
            bundled(archive(&[("index.json", "{}")]).path())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn looks_into_compressed_archives() {
        let table = r#"[{"Config":"0a.json","RepoTags":["busybox:1"]}]"#;
        let plain = std::fs::read(archive(&[("x", "y"), ("manifest.json", table)]).path()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut packed =
            flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &plain).unwrap();
        packed.finish().unwrap();
        assert_eq!(bundled(file.path()).unwrap(), ["busybox:1@sha256:0a"]);
    }

    #[test]
    fn other_files_are_no_archives() {
        for file in [archive(&[("a", "b")]), archive(&[("manifest.json", "{")])] {
            assert_eq!(bundled(file.path()).unwrap_err().code().id, "E0845");
        }
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), vec![7; 2_000]).unwrap();
        assert_eq!(bundled(text.path()).unwrap_err().code().id, "E0845");
        assert_eq!(
            bundled(Path::new("/absent.tar")).unwrap_err().code().id,
            "E0845"
        );
        std::fs::write(text.path(), [0x1f, 0x8b, 8, 0]).unwrap();
        assert_eq!(bundled(text.path()).unwrap_err().code().id, "E0845");
    }
}
