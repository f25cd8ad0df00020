//! Every code is explained, and provoked by a script whose whole report is kept beside it.
//!
//! `tests/diagnostics/CODE-name.rhai` is the script, `.txt` the report. After a change of words, run with
//! `KSAIL_ACCEPT=1` and read the difference.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ksail::diag::codes;
use ksail::diag::report::{self, Style};
use ksail::docker::Settings;
use ksail::plan::{Change, Impact};
use ksail::script::{Limits, Options, Script};
use ksail::spec::Tree;

/// Codes that neither a script nor another test provokes, with the reason.
const UNPROVOKED: &[(&str, &str)] = &[
    (
        "E0503",
        "wants a cluster whose nodes never become Ready, for a minute",
    ),
    (
        "E0514",
        "wants a script that declares other tests the second time, which a pure definition never does",
    ),
    ("E0710", "wants a server that outlives being killed"),
    ("E0919", "wants a machine without random numbers"),
    ("E1002", "wants a machine without threads"),
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
    if source.text().contains("test(") {
        return provoke_by_test(&source, &options);
    }
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

/// What the first test of a suite fails with.
fn provoke_by_test(source: &ksail::diag::Source, options: &Options) -> ksail::Error {
    let (source, options) = (source.clone(), options.clone());
    let load = move || Script::from_source(&source, &options);
    let suite = ksail::runtime::Suite::new(load, env!("CARGO_BIN_EXE_ksail"), Settings::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cases = runtime.block_on(suite.run(|_| true, &|_| {})).unwrap();
    cases.remove(0).problem.unwrap()
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

/// Everything that tests say, but for this file.
fn test_code() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests/diagnostics.rs")
            {
                let code = std::fs::read_to_string(&path).unwrap();
                let from = if path.starts_with(root.join("tests")) {
                    Some(0)
                } else {
                    code.find("mod tests")
                };
                text.push_str(from.map_or("", |from| &code[from..]));
            }
        }
    }
    text
}

#[test]
fn every_code_has_a_case() {
    let cases: BTreeSet<String> = scripts()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy()[..5].to_string())
        .collect();
    let tests = test_code();
    for code in codes::all() {
        let is_excused = UNPROVOKED.iter().any(|(id, _)| *id == code.id);
        let is_tested = cases.contains(code.id) || tests.contains(code.id);
        assert!(
            is_tested != is_excused,
            "{} ({}) is provoked by no script in tests/diagnostics and named by no test; or it is, and listed as not",
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
