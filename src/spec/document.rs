//! A YAML file of the user's: its content as a [`Tree`], and where each part of it stands.
//!
//! Checks speak of fields by path, such as `nodes[0].role`; [`Document::place`] turns that into a place in the text.
//! Reading the file is the business of whoever may read files.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

use super::tree::Tree;
use crate::diag::codes::input::FILE_UNREADABLE;
use crate::diag::codes::model::UNKNOWN_KEY;
use crate::diag::{Label, Source};
use crate::error::{Error, Result};

/// How deep a file may be nested.
const DEPTH: usize = 64;

/// Reads the documents of a text as values; `y` and `on` stay the texts they are, empty documents are left out.
pub fn values(text: &str) -> Result<Vec<serde_json::Value>, serde_saphyr::Error> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let all: Vec<serde_json::Value> = serde_saphyr::from_multiple_with_options(text, options)?;
    Ok(all.into_iter().filter(|value| !value.is_null()).collect())
}

/// A file that was read.
pub struct Document {
    source: Source,
    tree: Tree,
    places: BTreeMap<String, Place>,
}

/// Byte offsets of a part's key and value.
struct Place {
    key: Option<(usize, usize)>,
    value: (usize, usize),
}

impl Document {
    /// Reads one YAML document; an empty text is an empty map.
    pub fn parse(source: Source) -> Result<Self> {
        let text = source.text().to_string();
        let nodes =
            MarkedYaml::load_from_str(&text).map_err(|cause| {
                let at = source.offset(cause.marker().line(), cause.marker().col() + 1);
                Error::new(&FILE_UNREADABLE, format!("{} is no YAML", source.name()))
                    .label(Label::new(&source, at..at, cause.info()))
            })?;
        if nodes.len() > 1 {
            return Err(Error::new(
                &FILE_UNREADABLE,
                format!("{} holds more than one document", source.name()),
            )
            .help("keep one of them"));
        }
        let mut document = Self {
            source,
            tree: Tree::Map(BTreeMap::new()),
            places: BTreeMap::new(),
        };
        if let Some(node) = nodes.first() {
            let tree = document.read(node, "", None, DEPTH)?;
            if tree != Tree::Null {
                document.tree = tree;
            }
        }
        Ok(document)
    }

    /// What is in it.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Points a problem at the part of the file that its field names, or at the deepest part there is.
    pub fn place(&self, problem: Error) -> Error {
        let mut path = problem.at_field().unwrap_or_default().to_string();
        let mut is_whole = true;
        while !self.places.contains_key(&path) {
            match path.rfind(['.', '[']) {
                Some(end) => path.truncate(end),
                None => path.clear(),
            }
            is_whole = false;
            if path.is_empty() {
                break;
            }
        }
        let range = match self.places.get(&path) {
            // A key that should not be there is wrong in its name, everything else in its value.
            Some(place) if problem.code().id == UNKNOWN_KEY.id || !is_whole => {
                place.key.unwrap_or(place.value)
            }
            Some(place) => place.value,
            None => (0, self.line_end(0)),
        };
        problem.label(Label::new(&self.source, range.0..range.1, ""))
    }

    fn read(
        &mut self,
        node: &MarkedYaml<'_>,
        path: &str,
        key: Option<(usize, usize)>,
        depth: usize,
    ) -> Result<Tree> {
        let value = self.range(node);
        self.places.insert(path.to_string(), Place { key, value });
        let source = self.source.clone();
        let wrong = |what: &str| {
            Error::new(&FILE_UNREADABLE, format!("{} holds {what}", source.name()))
                .label(Label::new(&source, value.0..value.1, ""))
        };
        if depth == 0 {
            return Err(wrong("values that are nested too deeply"));
        }
        let tree = match &node.data {
            YamlData::Value(scalar) => match scalar {
                Scalar::Null => Tree::Null,
                Scalar::Boolean(answer) => Tree::Bool(*answer),
                Scalar::Integer(number) => Tree::Int(*number),
                Scalar::FloatingPoint(number) => Tree::Float(number.0),
                Scalar::String(text) => Tree::Text(text.to_string()),
            },
            YamlData::Sequence(list) => {
                let mut entries = Vec::new();
                for (index, entry) in list.iter().enumerate() {
                    entries.push(self.read(entry, &format!("{path}[{index}]"), None, depth - 1)?);
                }
                Tree::List(entries)
            }
            YamlData::Mapping(map) => {
                let mut entries = BTreeMap::new();
                for (key, value) in map {
                    let Some(name) = key.data.as_str().map(String::from) else {
                        return Err(wrong("a key that is no text"));
                    };
                    let inner = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    let at = Some(self.range(key));
                    let tree = self.read(value, &inner, at, depth - 1)?;
                    // `key:` without a value is a key that was not given.
                    if tree != Tree::Null {
                        entries.insert(name, tree);
                    }
                }
                Tree::Map(entries)
            }
            YamlData::Tagged(_, inner) => return self.read(inner, path, key, depth - 1),
            YamlData::Representation(text, ..) => Tree::Text(text.to_string()),
            YamlData::Alias(_) | YamlData::BadValue => {
                return Err(wrong("a value that cannot be read"));
            }
        };
        Ok(tree)
    }

    /// The bytes of a node; of one over several lines, its first line.
    fn range(&self, node: &MarkedYaml<'_>) -> (usize, usize) {
        let offset = |at: saphyr::Marker| self.source.offset(at.line(), at.col() + 1);
        let (start, end) = (offset(node.span.start), offset(node.span.end));
        let end = end.min(self.line_end(start)).max(start);
        (start, end)
    }

    fn line_end(&self, start: usize) -> usize {
        let rest = self.source.text().get(start..).unwrap_or_default();
        start + rest.lines().next().unwrap_or_default().trim_end().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::codes::model::BAD_VALUE;

    fn at(text: &str, code: &'static crate::diag::Code, field: &str) -> String {
        let document = Document::parse(Source::new("kind.yaml", text)).unwrap();
        let problem = document.place(Error::new(code, "x").field(field));
        let label = &problem.labels()[0];
        let (line, column) = label.source.position(label.span.start);
        format!("{line}:{column} {}", &text[label.span.clone()])
    }

    #[test]
    fn finds_where_things_stand() {
        let text = "kind: Cluster\nnodes:\n- role: controlplane\n  image: a\n- role: worker\n  labelz: {a: b}\n";
        assert_eq!(at(text, &BAD_VALUE, "nodes[0].role"), "3:9 controlplane");
        assert_eq!(at(text, &UNKNOWN_KEY, "nodes[1].labelz"), "6:3 labelz");
        assert_eq!(
            at(text, &BAD_VALUE, "networking.podSubnet"),
            "1:1 kind: Cluster"
        );
        assert_eq!(at(text, &BAD_VALUE, "nodes[1].image"), "5:3 role: worker");
    }

    #[test]
    fn reads_values_as_they_are_meant() {
        let document = Document::parse(Source::new(
            "x",
            "a: 1\nb: \"1\"\nc: true\nd:\ne: [x, 1.5]\nf: |\n  two\n  lines\n",
        ))
        .unwrap();
        assert_eq!(
            document.tree().to_json(),
            serde_json::json!({ "a": 1, "b": "1", "c": true, "e": ["x", 1.5], "f": "two\nlines\n" })
        );
        assert_eq!(
            Document::parse(Source::new("x", "")).unwrap().tree(),
            &Tree::Map(BTreeMap::new())
        );
    }

    #[test]
    fn says_where_the_text_is_broken() {
        for text in ["a: [", "a: 1\n b: 2\n", "a: 1\n---\nb: 2\n", "? [a]\n: b\n"] {
            let Err(problem) = Document::parse(Source::new("x", text)) else {
                panic!("{text:?} was read")
            };
            assert_eq!(problem.code().id, "E0305", "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ a:\\-\\[\\]{}\"'|>&*!?#\\n\\t1é]{0,60}") {
            if let Ok(document) = Document::parse(Source::new("x", text)) {
                let _ = document.place(Error::new(&BAD_VALUE, "x").field("a[0].b"));
            }
        }
    }
}
