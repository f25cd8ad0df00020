//! The text formats: bytes to tree and back, and where each keeps the metadata.
//!
//! A new format is one file here, one row in [`Format`] and its arm in each function below.

mod dotenv;
mod flatten;
mod ini;
mod json;
pub(in crate::cipher) mod yaml;

use super::metadata::{KEY, Metadata};
use super::number;
use super::tree::{Branch, Branches, Entry, Value};
use crate::diag::codes::cipher::{
    ALREADY_ENCRYPTED, BROKEN_DOCUMENT, BROKEN_METADATA, EMPTY_DOCUMENT, NOT_ENCRYPTED, TOO_LARGE,
    UNSUPPORTED_SHAPE,
};
use crate::diag::{Label, Source};
use crate::error::{Error, Result};

/// How deep a document may be nested.
pub(in crate::cipher) const DEPTH: usize = 256;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML, with comments and several documents.
    Yaml,
    /// JSON.
    Json,
    /// Lines of `KEY=value`.
    Dotenv,
    /// Sections of keys.
    Ini,
    /// Any bytes, kept as one value.
    Binary,
}

/// How formats are laid out; `None` means the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Spaces of one level in YAML.
    pub yaml: Option<usize>,
    /// Spaces of one level in JSON; a tab by default.
    pub json: Option<usize>,
    /// Spaces of one level in the JSON around binary data.
    pub binary: Option<usize>,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::Yaml,
        Self::Json,
        Self::Dotenv,
        Self::Ini,
        Self::Binary,
    ];

    /// The name that flags take.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Binary => "binary",
        }
    }

    /// Reads the name that flags take.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Chooses by the end of a path; what is unknown is binary.
    pub fn of_path(path: &str) -> Self {
        let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
        if ends(&[".yaml", ".yml"]) {
            Self::Yaml
        } else if ends(&[".json"]) {
            Self::Json
        } else if ends(&[".env"]) {
            Self::Dotenv
        } else if ends(&[".ini"]) {
            Self::Ini
        } else {
            Self::Binary
        }
    }
}

/// Reads a plain file.
pub fn read_plain(format: Format, bytes: &[u8]) -> Result<Branches> {
    let branches = match format {
        Format::Yaml => yaml::read(utf8(bytes)?)?,
        Format::Json => json::read(utf8(bytes)?)?,
        Format::Dotenv => dotenv::read(utf8(bytes)?)?,
        Format::Ini => ini::read(utf8(bytes)?)?,
        Format::Binary => {
            let mut branch = Branch::default();
            branch.push("data", Value::from_bytes(bytes.to_vec()));
            vec![branch]
        }
    };
    if branches.is_empty() {
        return Err(Error::new(&EMPTY_DOCUMENT, "the file is empty")
            .help("a file must hold at least one document"));
    }
    Ok(branches)
}

/// Writes a plain file.
pub fn write_plain(format: Format, branches: &Branches, layout: Layout) -> Result<Vec<u8>> {
    let none = Branch::default();
    let first = branches.first().unwrap_or(&none);
    let text = match format {
        Format::Yaml => yaml::write(branches, layout.yaml),
        Format::Json => json::write(first, layout.json),
        Format::Dotenv => dotenv::write(first)?,
        Format::Ini => ini::write(first)?,
        Format::Binary => match first.get("data") {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Bytes(bytes)) => return Ok(bytes.clone()),
            _ => {
                return Err(Error::new(
                    &UNSUPPORTED_SHAPE,
                    "the document has no text `data`, which binary files are made of",
                )
                .help("name the format it was encrypted in with --output-type"));
            }
        },
    };
    Ok(text.into_bytes())
}

/// Writes one value, as `--extract` prints it.
pub fn write_value(format: Format, value: &Value, layout: Layout) -> Result<Vec<u8>> {
    match value {
        Value::Text(text) => return Ok(text.clone().into_bytes()),
        Value::Bytes(bytes) => return Ok(bytes.clone()),
        _ => {}
    }
    let text = match format {
        Format::Yaml => yaml::write_value(value),
        Format::Json | Format::Ini => json::write_value(value, layout.json),
        Format::Dotenv | Format::Binary => {
            return Err(Error::new(
                &UNSUPPORTED_SHAPE,
                format!(
                    "{} files hold plain texts, not {}",
                    format.name(),
                    value.kind()
                ),
            )
            .help("choose another format with --output-type"));
        }
    };
    Ok(text.into_bytes())
}

/// Reads a value as `set` is given it: JSON.
pub fn read_value(text: &str) -> Result<Value> {
    json::read_value(text)
}

/// Reads an encrypted file into its tree and its metadata.
pub fn read_sealed(format: Format, bytes: &[u8]) -> Result<(Branches, Metadata)> {
    let text = utf8(bytes)?;
    let mut branches = match format {
        Format::Yaml => yaml::read(text)?,
        Format::Json | Format::Binary => json::read(text)?,
        Format::Dotenv => dotenv::read(text)?,
        Format::Ini => ini::read(text)?,
    };
    let section = take_section(format, &mut branches)?.ok_or_else(|| {
        Error::new(&NOT_ENCRYPTED, "there is no sops metadata in it")
            .help("encrypt it first, or name its format with --input-type")
    })?;
    let metadata = Metadata::read(&section).map_err(|error| {
        let at = text.find("sops").unwrap_or(0);
        if error.labels().is_empty() {
            at_offset(error, text, at)
        } else {
            error
        }
    })?;
    Ok((branches, metadata))
}

/// Writes an encrypted file.
pub fn write_sealed(
    format: Format,
    branches: &Branches,
    metadata: &Metadata,
    layout: Layout,
) -> Result<Vec<u8>> {
    let section = metadata.write();
    let mut branches = branches.clone();
    for branch in &mut branches {
        match format {
            Format::Dotenv => {
                for (key, value) in flatten::flatten(&section) {
                    branch.push(format!("{}{key}", dotenv::PREFIX), value);
                }
            }
            Format::Ini => {
                let mut flat = Branch::default();
                for (key, value) in flatten::flatten(&section) {
                    let value = match value {
                        Value::Text(text) => Value::Text(text.replace('\n', "\\n")),
                        other => other,
                    };
                    flat.push(key, value);
                }
                branch.push(KEY, Value::Map(flat));
            }
            Format::Yaml | Format::Json | Format::Binary => {
                branch.push(KEY, Value::Map(section.clone()));
            }
        }
    }
    match format {
        Format::Binary => {
            let layout = Layout {
                json: layout.binary,
                ..layout
            };
            write_plain(Format::Json, &branches, layout)
        }
        _ => write_plain(format, &branches, layout),
    }
}

/// Whether a tree holds what looks like metadata.
pub fn has_metadata(format: Format, branches: &Branches) -> bool {
    let Some(first) = branches.first() else {
        return false;
    };
    first.pairs().any(|(key, _)| {
        if format == Format::Dotenv {
            key.starts_with(dotenv::PREFIX)
        } else {
            key == KEY
        }
    })
}

/// Refuses a plain tree whose keys are those of the metadata.
pub fn refuse_metadata(format: Format, branches: &Branches) -> Result<()> {
    let reserved = branches
        .iter()
        .any(|branch| has_metadata(format, &vec![branch.clone()]));
    if !reserved {
        return Ok(());
    }
    let name = if format == Format::Dotenv {
        "keys that begin with `sops_`"
    } else {
        "a top-level key `sops`"
    };
    Err(Error::new(
        &ALREADY_ENCRYPTED,
        format!("it holds {name}, so it is encrypted already or uses a reserved name"),
    )
    .help("change it with `ksail cipher edit` or `set`; make a new data key with `rotate`"))
}

fn take_section(format: Format, branches: &mut Branches) -> Result<Option<Branch>> {
    let twice = || Error::new(&BROKEN_METADATA, "there are two `sops` sections");
    if format == Format::Dotenv {
        let Some(first) = branches.first_mut() else {
            return Ok(None);
        };
        let mut flat = Vec::new();
        first.0.retain_mut(|entry| match entry {
            Entry::Pair(key, value) if key.starts_with(dotenv::PREFIX) => {
                flat.push((
                    key[dotenv::PREFIX.len()..].to_owned(),
                    std::mem::replace(value, Value::Null),
                ));
                false
            }
            _ => true,
        });
        return if flat.is_empty() {
            Ok(None)
        } else {
            flatten::unflatten(flat).map(Some)
        };
    }
    let mut sections = Vec::new();
    for (index, branch) in branches.iter_mut().enumerate() {
        branch.0.retain_mut(|entry| match entry {
            Entry::Pair(key, value) if key == KEY => {
                if index == 0 {
                    sections.push(std::mem::replace(value, Value::Null));
                }
                false
            }
            _ => true,
        });
    }
    if sections.len() > 1 {
        return Err(twice());
    }
    let Some(section) = sections.pop() else {
        return Ok(None);
    };
    let Value::Map(section) = section else {
        return Err(Error::new(
            &BROKEN_METADATA,
            format!("`sops` is {} and must be a mapping", section.kind()),
        )
        .field("sops"));
    };
    if format != Format::Ini {
        return Ok(Some(section));
    }
    let flat = section
        .pairs()
        .map(|(key, value)| {
            let value = match value {
                Value::Text(text) => Value::Text(text.replace("\\n", "\n")),
                other => other.clone(),
            };
            (key.to_owned(), value)
        })
        .collect();
    flatten::unflatten(flat).map(Some)
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|cause| {
        Error::new(
            &BROKEN_DOCUMENT,
            format!("the file is not UTF-8, at byte {}", cause.valid_up_to()),
        )
        .help("save it as UTF-8, or encrypt it with --input-type binary")
    })
}

/// Writes a plain value without quotes, for the flat formats.
fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(whole) => whole.to_string(),
        Value::Float(float) => {
            let text = number::general(*float, 21, 'E');
            if text.contains(['.', 'E']) || !float.is_finite() {
                text
            } else {
                format!("{float:.1}")
            }
        }
        Value::Text(text) | Value::Time(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Comment(comment) => comment.text.clone(),
        Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// The problem of a document that goes on nesting.
pub(in crate::cipher) fn too_deep(text: &str, offset: usize) -> Error {
    let message = format!("the document is nested more than {DEPTH} levels deep");
    at_offset(Error::new(&TOO_LARGE, message), text, offset)
}

/// Points an error at a byte of a text that has no name yet.
pub(in crate::cipher) fn at_offset(error: Error, text: &str, offset: usize) -> Error {
    let mut start = offset.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let end = text[start..]
        .chars()
        .next()
        .map_or(start, |c| start + c.len_utf8());
    error.label(Label::new(&Source::new("", text), start..end, ""))
}
