//! The house: layers, leftovers, documents that equal their data, licences of dependencies.

use std::path::{Path, PathBuf};

/// Modules by layer, lowest first; `world::real` is a layer of its own.
const LAYERS: &[&[&str]] = &[
    &["error", "diag", "axis", "secret"],
    &["support", "kubeconfig", "pki", "cipher"],
    &["spec", "facts", "step", "world"],
    &["component", "distribution"],
    &["plan"],
    &[
        "docker",
        "k8s",
        "oci",
        "cloud",
        "state",
        "provider",
        "embedded",
        "exec",
        "world::real",
    ],
    &["ops"],
    &["script", "natives", "runtime"],
    &["cli"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every source file with its module's name, its text without comments and tests.
fn sources() -> Vec<(String, String, String)> {
    let mut paths = Vec::new();
    files(&root().join("src"), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(root().join("src"))
                .unwrap()
                .display()
                .to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: String = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            (name, text, code)
        })
        .collect()
}

fn module(file: &str) -> String {
    if file.starts_with("world/real") {
        return "world::real".into();
    }
    file.split('/')
        .next()
        .unwrap()
        .trim_end_matches(".rs")
        .to_string()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn lower_layers_never_name_higher_ones() {
    let mut wrong = Vec::new();
    for (file, _, code) in sources() {
        let Some(own) = layer(&module(&file)) else {
            continue;
        };
        for part in code.split("crate::").skip(1) {
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let first: String = part.chars().take_while(|c| is_name(*c)).collect();
            let is_real = part.starts_with("world::real");
            let named = if is_real {
                "world::real"
            } else {
                first.as_str()
            };
            if layer(named).is_some_and(|theirs| theirs > own) {
                wrong.push(format!("{file} (layer {own}) names {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        assert!(
            ["lib", "main"].contains(&name) || layer(name).is_some(),
            "src/{name} has no layer"
        );
    }
}

#[test]
fn pure_layers_have_no_effects() {
    let banned = [
        "std::fs",
        "std::env::",
        "SystemTime",
        "Instant::now",
        "reqwest",
        "tokio::",
        "hyper::",
    ];
    let mut wrong = Vec::new();
    for (file, _, code) in sources() {
        if layer(&module(&file)).is_some_and(|layer| layer <= 4) {
            wrong.extend(
                banned
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{file} has {word}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn clients_stay_in_their_places() {
    let places: &[(&str, &[&str])] = &[
        ("bollard::", &["docker"]),
        ("kube::", &["k8s", "embedded", "provider"]),
        ("rhai::", &["script", "natives"]),
        ("clap::", &["cli"]),
    ];
    let mut wrong = Vec::new();
    for (file, _, code) in sources() {
        for (client, allowed) in places {
            let uses = code.lines().any(|line| {
                line.split(*client).next().is_some_and(|before| {
                    before.len() < line.len()
                        && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            });
            if uses && !allowed.contains(&module(&file).as_str()) {
                wrong.push(format!("{file} uses {client}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_is_in_it_and_nothing_is_left_over() {
    let words = [
        "TO".to_string() + "DO",
        "FIX".to_string() + "ME",
        "dbg".to_string() + "!(",
        "unimpl".to_string() + "emented!(",
    ];
    let mut wrong = Vec::new();
    for (file, text, _) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{file} has no header"));
        }
        wrong.extend(
            words
                .iter()
                .filter(|word| text.contains(word.as_str()))
                .map(|word| format!("{file} has {word}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_file_is_listed() {
    let main = std::fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(
                main.contains(&format!("mod {module};")),
                "tests/{name} is not listed in tests/main.rs"
            );
        }
    }
}

#[test]
fn the_readme_has_the_support_tables() {
    let path = root().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- support: begin -->\n", "<!-- support: end -->");
    let tables: Vec<String> = ksail::support::grids()
        .iter()
        .map(ksail::support::markdown)
        .collect();
    let wanted = format!("\n{}\n", tables.join("\n"));
    let (before, rest) = text.split_once(begin).unwrap();
    let (there, after) = rest.split_once(end).unwrap();
    if there != wanted && std::env::var_os("KSAIL_ACCEPT").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(there, wanted, "run with KSAIL_ACCEPT=1 to write the tables");
}

#[test]
fn every_dependency_has_a_licence_that_goes_with_ours() {
    let allowed = [
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-1-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "CC0-1.0",
        "0BSD",
        "MPL-2.0",
        "Unlicense",
        "BSL-1.0",
        "CDLA-Permissive-2.0",
        "MIT-0",
        "Apache-2.0 WITH LLVM-exception",
        "bzip2-1.0.6",
    ];
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    if !output.status.success() {
        println!("skipped: cargo metadata does not answer without a network here");
        return;
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"]
            .as_str()
            .unwrap_or_default()
            .replace('/', " OR ");
        // Of alternatives one must do; of what holds together, all.
        let is_good = licence.split(" OR ").any(|choice| {
            choice
                .split(" AND ")
                .all(|part| allowed.contains(&part.trim().trim_matches(['(', ')'])))
        });
        if !is_good && package["license_file"].is_null() {
            wrong.push(format!(
                "{}: {licence:?}",
                package["name"].as_str().unwrap_or_default()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
