//! What is known of an expression before it is evaluated.

use std::fmt;
use std::sync::Arc;

use super::schema::Shape;

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::embedded) enum Type {
    /// Known only when it is evaluated.
    Dyn,
    /// Nothing is known because something is wrong.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Str,
    Bytes,
    Duration,
    Timestamp,
    /// A type as a value.
    Meta,
    List(Arc<Type>),
    Map(Arc<Type>, Arc<Type>),
    Optional(Arc<Type>),
    /// Fields that a schema declares.
    Object(Arc<Shape>),
    /// Fields that are declared one by one.
    Fields(Arc<Vec<(Arc<str>, Type)>>),
    /// One of Kubernetes' own.
    Opaque(&'static str),
    /// Any type, but the same wherever the letter is.
    Param(char),
}

/// The types that are Kubernetes' own: their names here, and their full names.
pub(super) const OPAQUE: &[(&str, &str)] = &[
    ("Quantity", "kubernetes.Quantity"),
    ("URL", "kubernetes.URL"),
    ("IP", "net.IP"),
    ("CIDR", "net.CIDR"),
    ("Format", "kubernetes.NamedFormat"),
    ("Semver", "kubernetes.Semver"),
    ("Authorizer", "kubernetes.authorization.Authorizer"),
    ("PathCheck", "kubernetes.authorization.PathCheck"),
    ("GroupCheck", "kubernetes.authorization.GroupCheck"),
    ("ResourceCheck", "kubernetes.authorization.ResourceCheck"),
    ("Decision", "kubernetes.authorization.Decision"),
];

impl Type {
    pub(super) fn list(of: Type) -> Self {
        Self::List(Arc::new(of))
    }

    pub(super) fn map(key: Type, value: Type) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    pub(in crate::embedded) fn optional(of: Type) -> Self {
        Self::Optional(Arc::new(of))
    }

    /// A simple type by the name that expressions give it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "dyn" => Self::Dyn,
            "null_type" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::Uint,
            "double" => Self::Double,
            "string" => Self::Str,
            "bytes" => Self::Bytes,
            "google.protobuf.Duration" => Self::Duration,
            "google.protobuf.Timestamp" => Self::Timestamp,
            "type" => Self::Meta,
            "list" => Self::list(Self::Dyn),
            "map" => Self::map(Self::Dyn, Self::Dyn),
            "optional_type" => Self::optional(Self::Dyn),
            other => Self::Opaque(OPAQUE.iter().find(|(_, full)| *full == other)?.1),
        })
    }

    fn is_message(&self) -> bool {
        matches!(
            self,
            Self::Object(_)
                | Self::Fields(_)
                | Self::Opaque(_)
                | Self::Duration
                | Self::Timestamp
                | Self::Null
        )
    }

    /// Whether a value of the other type can be where this one is wanted.
    pub(super) fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Error, _) | (_, Self::Dyn | Self::Error) => true,
            (Self::Null, other) => other.is_message(),
            (wanted, Self::Null) => wanted.is_message(),
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.takes(b),
            (Self::Map(a, b), Self::Map(c, d)) => a.takes(c) && b.takes(d),
            (Self::Object(a), Self::Object(b)) => a.is_same(b),
            (a, b) => a == b,
        }
    }

    /// What the letters of a signature stand for in it.
    pub(super) fn filled(&self, bound: &[(char, Type)]) -> Self {
        match self {
            Self::Param(letter) => bound
                .iter()
                .find(|(own, _)| own == letter)
                .map_or(Self::Dyn, |(_, of)| of.clone()),
            Self::List(of) => Self::list(of.filled(bound)),
            Self::Optional(of) => Self::optional(of.filled(bound)),
            Self::Map(key, value) => Self::map(key.filled(bound), value.filled(bound)),
            other => other.clone(),
        }
    }

    /// Whether an argument fits a parameter; notes what its letters stand for.
    pub(super) fn fits(&self, argument: &Type, bound: &mut Vec<(char, Type)>) -> bool {
        match (self, argument) {
            (Self::Param(letter), argument) => {
                let Some(known) = bound.iter_mut().find(|(own, _)| own == letter) else {
                    bound.push((*letter, argument.clone()));
                    return true;
                };
                if !known.1.takes(argument) {
                    return false;
                }
                if matches!(argument, Self::Dyn) || matches!(known.1, Self::Null) {
                    known.1 = argument.clone();
                }
                true
            }
            (_, Self::Dyn | Self::Error) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => {
                a.fits(b, bound)
            }
            (Self::Map(a, b), Self::Map(c, d)) => a.fits(c, bound) && b.fits(d, bound),
            (wanted, argument) => wanted.takes(argument),
        }
    }

    /// A type that both belong to.
    pub(super) fn joined(&self, other: &Self) -> Self {
        if self == other {
            self.clone()
        } else {
            Self::Dyn
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Dyn => "dyn",
            Self::Error => "!error!",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Str => "string",
            Self::Bytes => "bytes",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Meta => "type",
            Self::Object(_) | Self::Fields(_) => "object",
            Self::Opaque(name) => name,
            Self::List(of) => return write!(f, "list({of})"),
            Self::Map(key, value) => return write!(f, "map({key}, {value})"),
            Self::Optional(of) => return write!(f, "optional_type({of})"),
            Self::Param(letter) => return write!(f, "{letter}"),
        };
        f.write_str(name)
    }
}
