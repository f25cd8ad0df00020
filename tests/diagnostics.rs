//! Every code is explained, and provoked by a script whose whole report is kept beside it.
//!
//! `tests/diagnostics/CODE-name.rhai` is the script, `.txt` the report. After a change of words, run with
//! `KSAIL_ACCEPT=1` and read the difference.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ksail::diag::codes;
use ksail::diag::report::{self, Style};
use ksail::plan::{Change, Impact};
use ksail::script::{Limits, Options, Script};
use ksail::spec::Tree;

/// Codes that no script provokes, with the test that holds them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("E0113", "cli: a task that is not there"),
    ("E0211", "cli: a provider that cannot be carried out"),
    ("E0301", "cli: a parameter that is not there"),
    ("E0302", "language::params_are_typed_limited_and_set"),
    ("E04", "plans, plan::save, plan::order"),
    ("E05", "exec, ops and the tests of runs"),
    ("E06", "state, kubeconfig, world::real::contexts"),
    ("E07", "embedded"),
    ("E08", "docker"),
    ("E09", "cipher"),
    ("E10", "cli"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn scripts() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rhai")
        })
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with('E'))
        .collect();
    paths.sort();
    paths
}

/// What `ksail check` would say of a script, and a policy's ruling where it has one.
fn provoke(path: &Path) -> ksail::Error {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let limits = Limits {
        operations: 100_000,
        ..Limits::default()
    };
    let options = Options {
        root: folder(),
        limits,
        ..Options::default()
    };
    let source = ksail::diag::Source::new(name, text);
    let fleet = match Script::from_source(&source, &options).and_then(|script| script.fleet()) {
        Ok(fleet) => fleet,
        Err(error) => return error,
    };
    let change = Change {
        path: "workers".into(),
        from: Tree::Int(1),
        to: Tree::Int(2),
        impact: Impact::InPlace,
        reason: String::new(),
    };
    let policy = fleet
        .clusters
        .iter()
        .find_map(|defined| defined.policy.clone());
    policy
        .map_or_else(
            || panic!("{source:?} has no problem"),
            |policy| policy.rule(&change),
        )
        .unwrap_err()
}

#[test]
fn every_report_is_as_it_was_read() {
    let accept = std::env::var_os("KSAIL_ACCEPT").is_some();
    let mut different = Vec::new();
    for path in scripts() {
        let error = provoke(&path);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            name.starts_with(error.code().id),
            "{name} provokes {}: {error:?}",
            error.code().id
        );
        // Modules are named with their folder, which differs from clone to clone.
        let here = format!("{}/", folder().display());
        let report = report::text(error, Style::Plain).replace(&here, "");
        for raw in [
            "anon$",
            "Function not found",
            "ErrorRuntime",
            "rhai::",
            "ksail::",
            "i64",
        ] {
            assert!(!report.contains(raw), "{name} shows {raw}:\n{report}");
        }
        let kept = path.with_extension("txt");
        if accept {
            std::fs::write(&kept, &report).unwrap();
        } else if std::fs::read_to_string(&kept).unwrap_or_default() != report {
            different.push(format!("{name}:\n{report}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_code_has_a_case() {
    let cases: BTreeSet<String> = scripts()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy()[..5].to_string())
        .collect();
    for code in codes::all() {
        let is_elsewhere = ELSEWHERE
            .iter()
            .any(|(prefix, _)| code.id.starts_with(prefix));
        assert!(
            is_elsewhere || cases.contains(code.id),
            "{} ({}) has no case in tests/diagnostics",
            code.id,
            code.title
        );
    }
    for case in &cases {
        assert!(codes::find(case).is_some(), "{case} is no code");
    }
}

#[test]
fn reports_are_data_too() {
    let error = provoke(&folder().join("E0203-unknown-key.rhai"));
    let json = report::json(error);
    let label = &json[0]["labels"][0];
    assert_eq!(json[0]["code"], "E0203");
    assert!(label["bytes"]["end"].as_u64() > label["bytes"]["start"].as_u64());
    assert_eq!(label["start"]["line"], 4);
}
