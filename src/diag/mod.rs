//! Words for problems: codes, places, help. Nothing here knows a terminal.
//!
//! To add a code: one entry in a file of [`codes`], and a case in `tests/diagnostics/` that provokes it.

pub mod codes;
mod place;
pub mod report;
pub mod suggest;

pub use codes::{Code, Kind};
pub use place::{Frame, Label, Source};
