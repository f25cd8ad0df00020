//! The `ksail` program: a thin face on the library.

fn main() -> std::process::ExitCode {
    ksail::cli::main()
}
