//! How the program is linked.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=scripts/build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // At a fixed address, as the Go tools it stands beside: the 54,000 pointers in its tables are then right in the file,
    // and not to be set at every start and kept by each process. A hundred clusters are a hundred processes, and opening a
    // small file is mostly starting. Stack, heap and libraries stay at random addresses.
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bin=ksail=-no-pie");
    }
}
