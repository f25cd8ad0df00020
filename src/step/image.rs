//! Images that nodes are given, as data.

use serde::Serialize;

/// Where images come from that nodes are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum ImageSource {
    /// An image of the engine, pulled there if it has it not.
    Engine {
        /// Its reference.
        image: String,
    },
    /// An archive on this machine, as `docker save` makes it.
    Archive {
        /// Its path.
        path: String,
        /// What is in it, as `name@id`; empty where that cannot be told without unpacking it.
        holds: Vec<String>,
    },
}

impl ImageSource {
    /// What titles call it.
    pub fn word(&self) -> &str {
        match self {
            Self::Engine { image } => image,
            Self::Archive { path, .. } => path.rsplit(['/', '\\']).next().unwrap_or(path),
        }
    }
}
