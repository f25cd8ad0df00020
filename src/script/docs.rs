//! The reference: every function of the library with its signature, summary and example.

use serde::Serialize;

use super::modules::STD;

/// One function, documented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doc {
    /// The group it belongs to, such as `distribution` or `std/policy`.
    pub group: String,
    /// Its name.
    pub name: String,
    /// How it is called.
    pub signatures: Vec<String>,
    /// What it does, in one sentence.
    pub summary: String,
    /// A script that uses it; runs as a test.
    pub example: String,
}

/// Every function there is, native ones first.
pub fn reference() -> Vec<Doc> {
    let mut docs = crate::natives::docs();
    docs.extend(STD.iter().flat_map(|(module, text)| scripted(module, text)));
    docs
}

/// Reads the documentation of a module from the comments before its functions.
fn scripted(module: &str, text: &str) -> Vec<Doc> {
    let mut docs = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("///") {
            comment.push(line.strip_prefix(' ').unwrap_or(line));
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let signature = rest.split(" {").next().unwrap_or(rest).to_string();
            let name = signature.split('(').next().unwrap_or_default().to_string();
            let summary = comment
                .iter()
                .take_while(|line| !line.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(" ");
            let example: Vec<&str> = comment
                .iter()
                .skip_while(|line| !line.starts_with("```"))
                .skip(1)
                .take_while(|line| !line.starts_with("```"))
                .copied()
                .collect();
            docs.push(Doc {
                group: module.into(),
                name,
                signatures: vec![signature],
                summary,
                example: example.join("\n"),
            });
            comment.clear();
        } else {
            comment.clear();
        }
    }
    docs
}
