//! From (Spec, Facts) to Plan: pure, deterministic, printable.

mod change;

pub use change::{Change, Impact, Ruling};
