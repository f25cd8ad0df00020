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
pub(super) struct Field {
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

pub(super) struct Message {
    pub(super) shape: Shape,
    pub(super) fields: Vec<Field>,
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

pub(super) struct Table {
    messages: Vec<Message>,
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

    pub(super) fn message(&self, at: usize) -> Option<&Message> {
        self.messages.get(at)
    }

    fn read() -> Self {
        let mut text = String::new();
        let mut table = Self {
            messages: Vec::new(),
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
                ["M" | "L", name] => {
                    let at = table.slot();
                    let shape = shape_of(name, line.starts_with('L'));
                    if let Some(message) = table.messages.get_mut(at) {
                        message.shape = shape;
                    }
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
                ["M" | "L", name] => at = table.by_name.get(*name).copied(),
                [number, flags, kind, name] => {
                    let field = table.field(number, flags, kind, name);
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
            fields: Vec::new(),
        });
        self.messages.len() - 1
    }

    fn field(&self, number: &str, flags: &str, kind: &str, name: &str) -> Option<Field> {
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
