//! Dotenv documents: `KEY=value` lines; the metadata are flat keys that begin with `sops_`.

use crate::cipher::tree::{Branch, Branches, Entry, Value};
use crate::diag::codes::cipher::{BROKEN_DOCUMENT, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

use super::{at_offset, plain_text};

/// What every metadata key begins with.
pub(super) const PREFIX: &str = "sops_";

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Branches> {
    let mut branch = Branch::default();
    let mut offset = 0;
    for line in text.split('\n') {
        if let Some(comment) = line.strip_prefix('#') {
            branch.comment(comment, false);
        } else if !line.is_empty() {
            let (key, value) = line.split_once('=').ok_or_else(|| {
                let error = Error::new(&BROKEN_DOCUMENT, "a dotenv line has no `=`")
                    .help("write KEY=value, or begin the line with # for a comment");
                at_offset(error, text, offset)
            })?;
            branch.push(key, Value::Text(value.replace("\\n", "\n")));
        }
        offset += line.len() + 1;
    }
    Ok(vec![branch])
}

/// Writes a document.
pub(super) fn write(branch: &Branch) -> Result<String> {
    let mut out = String::new();
    for entry in &branch.0 {
        match entry {
            Entry::Comment(comment) => {
                out.push('#');
                out.push_str(&comment.text);
            }
            Entry::Pair(key, value) => {
                if value.is_complex() {
                    return Err(Error::new(
                        &UNSUPPORTED_SHAPE,
                        format!("a dotenv file cannot hold {}", value.kind()),
                    )
                    .field(key));
                }
                out.push_str(key);
                out.push('=');
                out.push_str(&plain_text(value).replace('\n', "\\n"));
            }
        }
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn keeps_comments_and_escaped_newlines() {
        let text = "# head\nA=1\nB=x\\ny=z\n";
        assert_eq!(write(&read(text).unwrap()[0]).unwrap(), text);
        assert!(read("A=1\nB").is_err());
    }
}
