//! Use cases: observe → plan → perform. One file per noun; a command and a native function that do the same call the same.

pub mod cipher;
pub mod cluster;
pub mod doctor;
pub mod fleet;
pub mod gc;
pub mod live;
pub mod snapshot;
