//! The descriptors: read once, when the first protobuf body comes.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::LazyLock;

static PACKED: &[u8] = include_bytes!("messages.gz");
static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

/// How often a field may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Optional,
    Repeated,
    Map,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Bytes,
    Int,
    Bool,
    Double,
    Float,
    Message(usize),
}

/// One field of a message.
pub struct Field {
    pub(super) number: u32,
    pub(super) label: Label,
    /// Whether its being there says something even if it is zero.
    pub(super) pointer: bool,
    /// Whether JSON leaves it out when it is zero.
    pub(super) omitted: bool,
    /// Whether JSON has its fields where it would be itself.
    pub(super) inline: bool,
    pub(super) kind: Type,
    pub(super) name: Box<str>,
    /// How it is merged; boxed because few fields say anything.
    pub(super) merging: Option<Box<Merging>>,
}

/// How the values of a field are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merging {
    /// Whether a strategic patch merges the list rather than replacing it.
    pub patched: bool,
    /// By which key it does, if its items are objects.
    pub patch_key: Option<Box<str>>,
    /// Whether a strategic patch may say which keys stay.
    pub retain_keys: bool,
    /// By which keys server-side apply tells items apart.
    pub list_keys: Vec<Box<str>>,
    /// Whether server-side apply treats the list as a set.
    pub is_set: bool,
    /// Whether it is owned as a whole.
    pub is_atomic: bool,
}

impl Merging {
    fn read(words: &[&str]) -> Option<Box<Self>> {
        if words.is_empty() {
            return None;
        }
        let mut merging = Self::default();
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("pm", "") => merging.patched = true,
                ("pm", key) => {
                    merging.patched = true;
                    merging.patch_key = Some(key.into());
                }
                ("pk", _) => merging.retain_keys = true,
                ("lm", keys) => merging.list_keys = keys.split(',').map(Into::into).collect(),
                ("ls", _) => merging.is_set = true,
                ("a", _) => merging.is_atomic = true,
                _ => {}
            }
        }
        Some(Box::new(merging))
    }
}

/// Messages whose JSON is not an object of their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Fields,
    List,
    Time,
    MicroTime,
    Duration,
    IntOrString,
    Quantity,
    Raw,
    OrBool,
    OrArray,
    OrStrings,
}

pub struct Message {
    pub(super) shape: Shape,
    /// Whether server-side apply owns it as a whole.
    pub(super) is_atomic: bool,
    pub(super) fields: Vec<Field>,
}

impl Message {
    /// Finds a field by its JSON name, also among those that are inlined.
    pub(super) fn named(&self, name: &str) -> Option<&Field> {
        let own = self
            .fields
            .iter()
            .find(|field| !field.inline && &*field.name == name);
        own.or_else(|| {
            let inlined = self.fields.iter().filter(|field| field.inline);
            inlined
                .filter_map(|field| match field.kind {
                    Type::Message(at) => table().message(at),
                    _ => None,
                })
                .find_map(|inner| inner.named(name))
        })
    }

    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

pub(super) struct Table {
    messages: Vec<Message>,
    names: Vec<Box<str>>,
    by_name: HashMap<Box<str>, usize>,
    packages: HashMap<Box<str>, Box<str>>,
}

/// The descriptors.
pub(super) fn table() -> &'static Table {
    &TABLE
}

impl Table {
    /// Finds the message of a version and kind.
    pub(super) fn find(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let package = self.packages.get(api_version)?;
        let own = self.by_name.get(format!("{package}.{kind}").as_str());
        // Options and the like are sent under the version of what they are about.
        let shared = || {
            let name = format!("k8s.io.apimachinery.pkg.apis.meta.v1.{kind}");
            self.by_name.get(name.as_str())
        };
        self.messages.get(*own.or_else(shared)?)
    }

    /// The name of a message.
    pub(super) fn name(&self, at: usize) -> Option<&str> {
        self.names.get(at).map(|name| &**name)
    }

    pub(super) fn message(&self, at: usize) -> Option<&Message> {
        self.messages.get(at)
    }

    fn read() -> Self {
        let mut text = String::new();
        let mut table = Self {
            messages: Vec::new(),
            names: Vec::new(),
            by_name: HashMap::new(),
            packages: HashMap::new(),
        };
        // The data is part of the program; a test reads it whole.
        if flate2::read::GzDecoder::new(PACKED)
            .read_to_string(&mut text)
            .is_err()
        {
            return table;
        }
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["M" | "L" | "A", name] => {
                    let at = table.slot();
                    let shape = shape_of(name, line.starts_with('L'));
                    if let Some(message) = table.messages.get_mut(at) {
                        message.shape = shape;
                        message.is_atomic = line.starts_with('A');
                    }
                    table.names.push((*name).into());
                    table.by_name.insert((*name).into(), at);
                }
                ["P", package, version] => {
                    table.packages.insert((*version).into(), (*package).into());
                }
                _ => {}
            }
        }
        let mut at = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["M" | "L" | "A", name] => at = table.by_name.get(*name).copied(),
                [number, flags, kind, name, merging @ ..] => {
                    let field = table.field(number, flags, kind, name, merging);
                    let message = at.and_then(|at| table.messages.get_mut(at));
                    if let (Some(message), Some(field)) = (message, field) {
                        message.fields.push(field);
                    }
                }
                _ => {}
            }
        }
        table
    }

    fn slot(&mut self) -> usize {
        self.messages.push(Message {
            shape: Shape::Fields,
            is_atomic: false,
            fields: Vec::new(),
        });
        self.messages.len() - 1
    }

    fn field(
        &self,
        number: &str,
        flags: &str,
        kind: &str,
        name: &str,
        merging: &[&str],
    ) -> Option<Field> {
        Some(Field {
            number: number.parse().ok()?,
            label: match flags.as_bytes().first()? {
                b'r' => Label::Repeated,
                b'm' => Label::Map,
                _ => Label::Optional,
            },
            pointer: flags.contains('p'),
            omitted: flags.contains('o'),
            inline: flags.contains('i'),
            kind: match kind {
                "string" => Type::Text,
                "bytes" => Type::Bytes,
                "int32" | "int64" | "uint32" | "uint64" => Type::Int,
                "bool" => Type::Bool,
                "double" => Type::Double,
                "float" => Type::Float,
                message => Type::Message(*self.by_name.get(message)?),
            },
            name: name.into(),
            merging: Merging::read(merging),
        })
    }
}

fn shape_of(name: &str, list: bool) -> Shape {
    match name.rsplit('.').next().unwrap_or_default() {
        _ if list => Shape::List,
        "Time" | "Timestamp" => Shape::Time,
        "MicroTime" => Shape::MicroTime,
        "Duration" => Shape::Duration,
        "IntOrString" => Shape::IntOrString,
        "Quantity" => Shape::Quantity,
        "RawExtension" | "FieldsV1" | "JSON" => Shape::Raw,
        "JSONSchemaPropsOrBool" => Shape::OrBool,
        "JSONSchemaPropsOrArray" => Shape::OrArray,
        "JSONSchemaPropsOrStringArray" => Shape::OrStrings,
        _ => Shape::Fields,
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, table};

    #[test]
    fn the_data_is_whole() {
        let pod = table().find("v1", "Pod").unwrap();
        assert!(pod.fields.iter().any(|field| &*field.name == "spec"));
        assert_eq!(pod.shape, Shape::Fields);
        assert!(table().find("apps/v1", "DeleteOptions").is_some());
        assert!(table().find("apps/v1", "Nonsense").is_none());
        assert!(table().messages.len() > 900);
    }
}
