//! Defines, plans and runs a cluster from Rust: `cargo run --example embed`.
//!
//! Embedded clusters are served by the ksail program; `KSAIL` names it, else the one that cargo built is used.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::PathBuf;

use ksail::diag::Source;
use ksail::runtime::Runtime;
use ksail::script::{Options, Script};
use ksail::world::real::Places;

#[tokio::main]
async fn main() -> ksail::Result<()> {
    let text =
        r#"cluster("from-rust", #{ distribution: kwok(), provider: embedded(), workers: 3 })"#;
    let script = Script::from_source(&Source::new("inline.rhai", text), &Options::default())?;
    let fleet = script.fleet()?;

    let folder = std::env::temp_dir().join("ksail-embed");
    let built = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.parent()?.parent()?.join("ksail")));
    let program = std::env::var_os("KSAIL")
        .map(PathBuf::from)
        .or(built)
        .unwrap_or_else(|| "ksail".into());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Runtime::local(Places {
        state: folder.join("state"),
        program,
        kubeconfig: vec![folder.join("kubeconfig")],
        docker: ksail::docker::Settings::default(),
        kwok: folder.join("kwok"),
    });

    let planned = runtime.plan(&fleet).await?;
    println!("{}", ksail::plan::show::text(&planned.plan));
    runtime.run(&fleet, &planned).await?;
    println!(
        "kubectl --kubeconfig {} get nodes",
        folder.join("kubeconfig").display()
    );

    let again = runtime.plan(&fleet).await?;
    println!("{}", ksail::plan::show::summary(&again.plan));

    let removal = runtime.plan_removal(&fleet).await?;
    runtime.run(&fleet, &removal).await
}
