//! The `ksail` program: a thin face on the library.

fn main() {}
