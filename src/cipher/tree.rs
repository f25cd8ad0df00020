//! The ordered value tree that every format is read into.
//!
//! It keeps what encryption has to keep: the order of keys, comments where they stand, and the type of each value.
//! Text forms belong to `format/`. A new kind of value goes here, and into `seal` as a type word.

use zeroize::Zeroize;

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing; never encrypted.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes that are not UTF-8; only binary files hold them.
    Bytes(Vec<u8>),
    /// A moment, in RFC 3339 form.
    Time(String),
    /// A comment that stands between the items of a list.
    Comment(Comment),
    /// A list, with its comments.
    List(Vec<Value>),
    /// A mapping, with its comments.
    Map(Branch),
}

/// One comment line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What follows the comment mark.
    pub text: String,
    /// Whether it stands behind a value instead of on its own line; it comes before that value in the tree.
    pub inline: bool,
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A comment line.
    Comment(Comment),
    /// A key and its value.
    Pair(String, Value),
}

/// A mapping in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Branch(pub Vec<Entry>);

/// A whole document file: one mapping per document.
pub type Branches = Vec<Branch>;

impl Branch {
    /// Gives the value of the first entry with this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Gives the keys and values without the comments.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Pair(key, value) => Some((key.as_str(), value)),
            Entry::Comment(_) => None,
        })
    }

    /// Appends a pair.
    pub fn push(&mut self, key: impl Into<String>, value: Value) {
        self.0.push(Entry::Pair(key.into(), value));
    }

    /// Appends a comment.
    pub fn comment(&mut self, text: impl Into<String>, inline: bool) {
        self.0.push(Entry::Comment(Comment {
            text: text.into(),
            inline,
        }));
    }

    /// Overwrites every text in memory.
    pub fn wipe(&mut self) {
        for entry in &mut self.0 {
            match entry {
                Entry::Comment(comment) => comment.text.zeroize(),
                Entry::Pair(_, value) => value.wipe(),
            }
        }
    }
}

impl Value {
    /// Makes a text value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a text of bytes, or binary data if they are none.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    /// Gives the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Gives the mapping, if it is one.
    pub fn as_map(&self) -> Option<&Branch> {
        match self {
            Self::Map(branch) => Some(branch),
            _ => None,
        }
    }

    /// Gives the list, if it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Whether it is a list or a mapping.
    pub fn is_complex(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    /// Names its type as messages do.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "binary data",
            Self::Time(_) => "a time",
            Self::Comment(_) => "a comment",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Overwrites every text in memory.
    pub fn wipe(&mut self) {
        match self {
            Self::Text(text) | Self::Time(text) => text.zeroize(),
            Self::Bytes(bytes) => bytes.zeroize(),
            Self::Comment(comment) => comment.text.zeroize(),
            Self::List(list) => list.iter_mut().for_each(Self::wipe),
            Self::Map(branch) => branch.wipe(),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => {}
        }
    }
}
