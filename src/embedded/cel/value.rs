//! What expressions work on.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::functions::authorize::Authorize;
use super::functions::network::{Cidr, Ip, Url};
use super::functions::semver::Semver;

/// A value.
#[derive(Debug, Clone)]
pub(in crate::embedded) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    /// In nanoseconds.
    Duration(i64),
    Timestamp(Timestamp),
    List(Arc<List>),
    Map(Arc<Map>),
    /// A type as a value, by name.
    Type(Arc<str>),
    Optional(Option<Arc<Val>>),
    /// In thousandths.
    Quantity(i128),
    Url(Arc<Url>),
    Ip(Ip),
    Cidr(Cidr),
    Format(&'static str),
    Semver(Arc<Semver>),
    Authorize(Arc<Authorize>),
    /// Something that failed where it was defined and fails again wherever it is looked at.
    Failed(Arc<str>),
}

/// Items in order.
#[derive(Debug, Default)]
pub(in crate::embedded) struct List {
    pub(in crate::embedded) items: Vec<Val>,
    pub(in crate::embedded) merge: Merge,
}

/// How two lists are the same and what their sum is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::embedded) enum Merge {
    /// By place; the sum is one after the other.
    #[default]
    Atomic,
    /// Whatever the order; the sum holds nothing twice.
    Set,
    /// By the values of keys; the right replaces what the left has under the same.
    ByKeys(Arc<[String]>),
}

/// Values by keys, in order.
pub(in crate::embedded) type Map = IndexMap<Key, Val>;

/// What a map may be keyed by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::embedded) enum Key {
    Bool(bool),
    Int(i128),
    Str(Arc<str>),
}

impl Key {
    /// Reads a key; numbers of all types that are the same number are the same key.
    pub(super) fn of(value: &Val) -> Option<Self> {
        Some(match value {
            Val::Bool(value) => Self::Bool(*value),
            Val::Int(value) => Self::Int((*value).into()),
            Val::Uint(value) => Self::Int((*value).into()),
            Val::Double(value) if value.fract() == 0.0 && value.abs() < 1e18 => {
                Self::Int(*value as i128)
            }
            Val::Str(value) => Self::Str(Arc::clone(value)),
            _ => return None,
        })
    }

    /// The value again.
    pub(super) fn value(&self) -> Val {
        match self {
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(value) => match i64::try_from(*value) {
                Ok(value) => Val::Int(value),
                Err(_) => Val::Uint(u64::try_from(*value).unwrap_or(u64::MAX)),
            },
            Self::Str(value) => Val::Str(Arc::clone(value)),
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Str(value) => value.to_string(),
        }
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<Vec<Val>> for Val {
    fn from(items: Vec<Val>) -> Self {
        let merge = Merge::Atomic;
        Self::List(Arc::new(List { items, merge }))
    }
}

impl From<Map> for Val {
    fn from(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }
}

impl Val {
    /// A value that is there or not.
    pub(super) fn optional(value: Option<Val>) -> Self {
        Self::Optional(value.map(Arc::new))
    }

    /// The name of its type.
    pub(super) fn type_name(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Authorize(of) => of.type_name(),
            Self::Failed(_) => "error",
        }
    }

    /// Whether it is what its type begins with: zero, empty, nothing.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Double(value) => *value == 0.0,
            Self::Str(value) => value.is_empty(),
            Self::Bytes(value) => value.is_empty(),
            Self::Duration(value) => *value == 0,
            Self::List(value) => value.items.is_empty(),
            Self::Map(value) => value.is_empty(),
            Self::Optional(value) => value.is_none(),
            _ => false,
        }
    }

    /// Whether two values are the same; numbers of all types are one kind of thing.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Str(a), Self::Str(b)) | (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Format(a), Self::Format(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a == b,
            (Self::Optional(Some(a)), Self::Optional(Some(b))) => a.same(b),
            (Self::Optional(a), Self::Optional(b)) => a.is_none() && b.is_none(),
            (Self::List(a), Self::List(b)) => same_lists(a, b),
            (Self::Map(a), Self::Map(b)) => {
                Arc::ptr_eq(a, b)
                    || a.len() == b.len()
                        && a.iter()
                            .all(|(key, value)| b.get(key).is_some_and(|other| value.same(other)))
            }
            _ => self.order(other) == Some(std::cmp::Ordering::Equal),
        }
    }

    /// Which of two values comes first, if they can be compared.
    pub(super) fn order(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Self::Uint(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Uint(a), Self::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Double(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Int(a), Self::Double(b)) => (*a as f64).partial_cmp(b),
            (Self::Double(a), Self::Uint(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Uint(a), Self::Double(b)) => (*a as f64).partial_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Str(a), Self::Str(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// How much it counts when it is gone through: letters or items.
    pub(super) fn size(&self) -> u64 {
        let size = match self {
            Self::Str(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.items.len(),
            Self::Map(map) => map.len(),
            _ => 1,
        };
        size as u64
    }

    /// How much it counts when it is gone through with all that is in it.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Str(text) => text.len() as u64 / 10 + 1,
            Self::Bytes(bytes) => bytes.len() as u64 / 10 + 1,
            Self::List(list) => 1 + list.items.iter().map(Val::weight).sum::<u64>(),
            Self::Map(map) => 1 + map.values().map(|value| 1 + value.weight()).sum::<u64>(),
            _ => 1,
        }
    }
}

fn same_lists(a: &List, b: &List) -> bool {
    if std::ptr::eq(a, b) {
        return true;
    }
    if a.items.len() != b.items.len() {
        return false;
    }
    let merge = if a.merge == Merge::Atomic {
        &b.merge
    } else {
        &a.merge
    };
    match merge {
        Merge::Atomic => a.items.iter().zip(&b.items).all(|(a, b)| a.same(b)),
        Merge::Set | Merge::ByKeys(_) => a
            .items
            .iter()
            .all(|item| b.items.iter().any(|other| item.same(other))),
    }
}

impl List {
    /// One list and another.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut items = self.items.clone();
        let merge = self.merge.clone();
        match &merge {
            Merge::Atomic => items.extend(other.items.iter().cloned()),
            Merge::Set => {
                for item in &other.items {
                    if !items.iter().any(|own| own.same(item)) {
                        items.push(item.clone());
                    }
                }
            }
            Merge::ByKeys(keys) => {
                let id = |item: &Val| -> Vec<Option<Val>> {
                    let Val::Map(map) = item else {
                        return Vec::new();
                    };
                    let field = |key: &String| map.get(&Key::Str(key.as_str().into())).cloned();
                    keys.iter().map(field).collect()
                };
                let same = |a: &Val, b: &Val| {
                    let pairs = id(a).into_iter().zip(id(b));
                    pairs.into_iter().all(|pair| match pair {
                        (Some(a), Some(b)) => a.same(&b),
                        (a, b) => a.is_none() && b.is_none(),
                    })
                };
                for item in &other.items {
                    match items.iter_mut().find(|own| same(own, item)) {
                        Some(own) => *own = item.clone(),
                        None => items.push(item.clone()),
                    }
                }
            }
        }
        Self { items, merge }
    }
}
