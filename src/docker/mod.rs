//! The Docker engine as ksail uses it. Only this module knows the engine's client.
//!
//! An [`Engine`] is a handle that is cheap to clone. What it makes is described by the plain data of [`crate::step`]
//! (`Container`, `Network`, `File`) and carries the labels of [`labels`] beside those it was given. Every call is an
//! *ensure* or a look; waits follow events, logs and answers of the engine.
//!
//! ```text
//! settings   where the engine is, as the docker command finds it
//! connect    Engine: a connection of the right version; what the engine says of itself
//! fault      the engine's refusals as diagnostics
//! body       pure: a Container as the engine's request
//! container  ensure, start, stop, remove, wire up
//! look       inspect and list: what is there
//! exec       commands inside containers
//! archive    files into and out of containers
//! logs       the end of a log, and waiting for a line of it
//! events     what happens to containers
//! image      have an image, pull it, move it
//! bundle     what an archive of images holds
//! thaw       what is frozen in a container, where nothing else ends it
//! network    ensure and remove networks and volumes
//! labels     who owns what
//! ```
//!
//! To add a call: a method on `Engine` in the file of its area, with its failures mapped by `fault`.

mod archive;
mod body;
mod bundle;
mod connect;
mod container;
mod events;
mod exec;
mod fault;
mod image;
pub mod labels;
mod logs;
mod look;
mod network;
mod settings;
mod thaw;

pub use bundle::bundled;
pub use connect::{Engine, Heavy, Info};
pub use container::Ensured;
pub use events::Happened;
pub use exec::Output;
pub use logs::Tail;
pub use look::{Bound, Life, Listed, Seen};
pub use network::Kept;
pub use settings::{Settings, remote};
