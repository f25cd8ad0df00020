//! The language: what scripts yield, that every documented example runs, that hostile scripts are bounded.

use std::collections::BTreeMap;
use std::path::Path;

use ksail::axis::Distribution;
use ksail::cipher::key::age;
use ksail::diag::Source;
use ksail::diag::report::{self, Style};
use ksail::plan::{Change, Impact, Ruling};
use ksail::script::{Fleet, Limits, Options, Repl, Reply, Script, reference};
use ksail::spec::{Tree, show};

use crate::cipher_scripts::{lent, sealed};

fn options(root: &Path) -> Options {
    Options {
        root: root.to_path_buf(),
        ..Options::default()
    }
}

fn fleet(text: &str) -> ksail::Result<Fleet> {
    Script::from_source(&Source::new("test.rhai", text), &Options::default())?.fleet()
}

fn names(text: &str) -> Vec<String> {
    fleet(text)
        .unwrap()
        .clusters
        .iter()
        .map(|defined| defined.spec.name.to_string())
        .collect()
}

fn code(text: &str) -> String {
    fleet(text).unwrap_err().code().id.to_string()
}

#[test]
fn every_documented_example_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("name.txt", "dev"),
        ("values.yaml", "workers: 2"),
        ("values.json", "{\"workers\": 2}"),
        ("values.toml", "workers = 2"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let (private, public) = age::generate();
    let sealed = sealed("{\"postgres\": {\"password\": \"x\"}}", &public);
    std::fs::write(folder.path().join("secrets.enc.yaml"), sealed).unwrap();
    let options = |root: &Path| Options {
        keys: Some(lent(private.expose())),
        ..options(root)
    };
    let docs = reference();
    assert!(docs.len() > 50, "{}", docs.len());
    for doc in docs {
        assert!(
            !doc.summary.is_empty() && !doc.signatures.is_empty(),
            "{} wants a summary and a signature",
            doc.name
        );
        let source = Source::new(format!("{}.rhai", doc.name), doc.example.clone());
        let result =
            Script::from_source(&source, &options(folder.path())).and_then(|script| script.fleet());
        if let Err(error) = result {
            panic!("{}\n{}", doc.example, report::text(error, Style::Plain));
        }
    }
}

#[test]
fn a_script_may_yield_a_cluster_a_list_a_map_or_a_fleet() {
    let cluster = |name: &str| format!("cluster(\"{name}\", #{{ distribution: kwok() }})");
    assert_eq!(names(&cluster("a")), ["a"]);
    assert_eq!(
        names(&format!("[{}, (), [{}]]", cluster("a"), cluster("b"))),
        ["a", "b"]
    );
    assert_eq!(
        names(&format!("#{{ x: {}, y: {} }}", cluster("a"), cluster("b"))),
        ["a", "b"]
    );
    assert_eq!(
        names(&format!(
            "fleet([{}, fleet([{}])])",
            cluster("a"),
            cluster("b")
        )),
        ["a", "b"]
    );
    assert_eq!(code("1 + 1"), "E0109");
    assert_eq!(code("matrix(#{ a: [1] })"), "E0109");
}

#[test]
fn values_derive_compare_and_print() {
    let text = "let a = cluster(\"a\", #{ distribution: k3s(\"1.35\"), components: [cilium()] });
        if a != a.with(#{}) { throw \"equal by value\" }
        if k3s() != k3s() || k3s() == kwok() { throw \"constructors compare by value\" }
        if a.add(flux()).components.len() != 2 { throw \"add\" }
        if a.add(flux()).without(cilium()).components[0].name != \"flux\" { throw \"without\" }
        if a.distribution.name != \"k3s\" || a.workers != 0 || a.context != \"k3d-a\" { throw \"properties\" }
        a.with(\"b\", #{ workers: 2 })";
    let fleet = fleet(text).unwrap();
    assert_eq!(
        show::cluster(&fleet.clusters[0].spec),
        "cluster(\"b\", #{ distribution: k3s(), provider: docker(), kubernetes: \"1.35\", workers: 2, components: [cilium()] })"
    );
}

#[test]
fn matrices_expand_exclude_include_shard_and_pair() {
    let clusters = ".clusters(|cell| cluster(`c-${cell.id}`, #{ distribution: cell.distribution, workers: cell.workers }))";
    let matrix = "matrix(#{ distribution: [k3s(), kwok()], workers: [1, 2, 3] })";
    assert_eq!(
        names(&format!("{matrix}{clusters}")),
        [
            "c-k3s-1", "c-k3s-2", "c-k3s-3", "c-kwok-1", "c-kwok-2", "c-kwok-3"
        ]
    );
    assert_eq!(
        names(&format!(
            "{matrix}.exclude(#{{ distribution: kwok() }}){clusters}"
        ))
        .len(),
        3
    );
    assert_eq!(
        names(&format!(
            "{matrix}.exclude(|cell| cell.workers > 1){clusters}"
        )),
        ["c-k3s-1", "c-kwok-1"]
    );
    assert_eq!(
        names(&format!(
            "{matrix}.include(#{{ distribution: talos(), workers: 9 }}){clusters}"
        ))
        .len(),
        7
    );
    let mut sharded = Vec::new();
    for shard in 1..=4 {
        sharded.extend(names(&format!("{matrix}.shard({shard}, 4){clusters}")));
    }
    sharded.sort();
    let mut whole = names(&format!("{matrix}{clusters}"));
    whole.sort();
    assert_eq!(sharded, whole);
    let cube = "matrix(#{ a: [1, 2, 3], b: [1, 2, 3], c: [1, 2, 3] })";
    let paired = names(&format!(
        "{cube}.pairwise().clusters(|cell| cluster(`c${{cell.id}}`, #{{ distribution: kwok() }}))"
    ));
    assert!(
        (9..=12).contains(&paired.len()),
        "27 cells have 9 pairs for each two axes: {paired:?}"
    );
}

#[test]
fn params_are_typed_limited_and_set() {
    let text = "let n = param(\"n\", 2, \"how many\", #{ min: 1, max: 5 });\ncluster(\"a\", #{ distribution: kwok(), workers: n })";
    let with = |set: &str| {
        let sets = vec![("n".to_string(), set.to_string())];
        let options = Options {
            sets,
            ..Options::default()
        };
        Script::from_source(&Source::new("p.rhai", text), &options)
            .unwrap()
            .fleet()
    };
    assert_eq!(with("4").unwrap().clusters[0].spec.workers, 4);
    assert_eq!(with("9").unwrap_err().code().id, "E0302");
    assert_eq!(with("x").unwrap_err().code().id, "E0302");
    let script = Script::from_source(&Source::new("p.rhai", text), &Options::default()).unwrap();
    let params = script.params();
    assert_eq!(
        (
            params[0].name.as_str(),
            params[0].summary.as_str(),
            params[0].limits.max
        ),
        ("n", "how many", Some(5))
    );
}

#[test]
fn policies_are_tried_offline() {
    let text = "import \"std/policy\" as policy;
        cluster(\"a\", #{ distribution: talos(), policy: policy::all([policy::no_recreate(), |change| confirm(\"ask\")]) })";
    let fleet = fleet(text).unwrap();
    let policy = fleet.clusters[0].policy.as_ref().unwrap();
    let change = |impact| Change {
        path: "x".into(),
        from: Tree::Int(1),
        to: Tree::Int(2),
        impact,
        reason: String::new(),
    };
    assert!(matches!(
        policy.rule(&change(Impact::Recreate)).unwrap(),
        Ruling::Deny { .. }
    ));
    assert_eq!(
        policy.rule(&change(Impact::InPlace)).unwrap(),
        Ruling::Confirm { why: "ask".into() }
    );
}

#[test]
fn every_policy_of_the_library_rules() {
    let rule = |policy: &str, path: &str, from: i64, to: i64, impact: &str| {
        let text = format!(
            "import \"std/policy\" as policy; let p = {policy}; let r = p.call(change(\"{path}\", {from}, {to}, \"{impact}\"));
             cluster(r.kind, #{{ distribution: kwok() }})"
        );
        names(&text)[0].clone()
    };
    for (policy, path, from, to, impact, expected) in [
        ("policy::no_recreate()", "cni", 1, 2, "recreate", "deny"),
        ("policy::no_recreate()", "cni", 1, 2, "in-place", "allow"),
        ("policy::protect()", "cluster", 1, 2, "delete", "deny"),
        (
            "policy::never_fewer(\"workers\")",
            "workers",
            3,
            1,
            "in-place",
            "deny",
        ),
        (
            "policy::never_fewer(\"workers\")",
            "workers",
            1,
            3,
            "in-place",
            "allow",
        ),
        (
            "policy::confirm_disruption()",
            "x",
            1,
            2,
            "reboot",
            "confirm",
        ),
        (
            "policy::confirm_change_of(\"cni\")",
            "cni",
            1,
            2,
            "in-place",
            "confirm",
        ),
        (
            "policy::only_in(\"sat,sun\")",
            "x",
            1,
            2,
            "in-place",
            "defer",
        ),
        (
            "policy::any([policy::no_recreate(), |c| allow()])",
            "x",
            1,
            2,
            "recreate",
            "allow",
        ),
    ] {
        assert_eq!(rule(policy, path, from, to, impact), expected, "{policy}");
    }
}

#[test]
fn the_same_inputs_give_the_same_fleet() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/matrix.rhai"))
            .unwrap();
    let once = || {
        fleet(&text)
            .unwrap()
            .clusters
            .iter()
            .map(|defined| show::cluster(&defined.spec))
            .collect::<Vec<_>>()
    };
    assert_eq!(once(), once());
    assert_eq!(once().len(), 8);
}

#[test]
fn every_example_is_a_good_script() {
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let options = options(path.parent().unwrap());
        if let Err(error) = Script::load(&path, &options).and_then(|script| script.fleet()) {
            panic!("{}\n{}", path.display(), report::text(error, Style::Plain));
        }
        count += 1;
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn hostile_scripts_are_bounded_and_refused() {
    let limits = Limits {
        operations: 200_000,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    for (text, expected) in [
        ("loop { }", "E0107"),
        ("fn f(n) { f(n + 1) } f(0)", "E0107"),
        ("let s = \"x\"; loop { s += s; }", "E0107"),
        ("let a = [0]; loop { a += a; }", "E0107"),
        (
            "let m = #{}; let i = 0; loop { m[i.to_string()] = i; i += 1; }",
            "E0107",
        ),
        ("eval(\"1\")", "E0101"),
        ("import \"../x\" as x; 1", "E0108"),
        ("import \"/etc/passwd\" as x; 1", "E0108"),
        ("read_file(\"../../etc/passwd\")", "E0304"),
        ("read_file(\"/etc/passwd\")", "E0304"),
        ("env(\"HOME\")", "E0303"),
        (
            "let a = []; for i in 0..200 { a.push(i) } matrix(#{ a: a, b: a, c: a })",
            "E0112",
        ),
    ] {
        let result = Script::from_source(&Source::new("h.rhai", text), &options)
            .and_then(|script| script.fleet());
        assert_eq!(result.unwrap_err().code().id, expected, "{text}");
    }
}

#[test]
fn links_lead_nowhere_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(folder.path().join("out.rhai"), "fn f() { 1 }").unwrap();
    std::os::unix::fs::symlink(folder.path().join("out.rhai"), root.join("in.rhai")).unwrap();
    let source = Source::new(
        root.join("x.rhai").display().to_string(),
        "import \"in\" as x; x::f()",
    );
    let result = Script::from_source(&source, &options(&root))
        .unwrap()
        .fleet();
    assert_eq!(result.unwrap_err().code().id, "E0108");
}

#[test]
fn modules_are_read_from_below_the_script() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lib")).unwrap();
    std::fs::write(
        folder.path().join("lib/team.rhai"),
        "fn dev(name) { cluster(name, #{ distribution: kwok() }) }",
    )
    .unwrap();
    let source = Source::new(
        folder.path().join("x.rhai").display().to_string(),
        "import \"lib/team\" as team; team::dev(\"a\")",
    );
    let fleet = Script::from_source(&source, &options(folder.path()))
        .unwrap()
        .fleet()
        .unwrap();
    assert_eq!(fleet.clusters[0].spec.distribution.kind, Distribution::Kwok);
}

#[test]
fn a_secret_shows_nowhere() {
    let text = "let s = secret(\"canary\"); print(s); print(`${s}`); debug(s);
        let f = flux(#{ values: #{ password: s } }); print(f.to_string());
        let c = cluster(\"a\", #{ distribution: k3s(), components: [f], registries: [#{ host: \"ghcr.io\", password: s }] });
        print(c); if s == \"x\" { throw s } c";
    let script = Script::from_source(&Source::new("s.rhai", text), &Options::default()).unwrap();
    let fleet = script.fleet().unwrap();
    let printed = script.printed().join("\n");
    let spec = &fleet.clusters[0].spec;
    for text in [
        printed,
        show::cluster(spec),
        format!("{spec:?}"),
        serde_json::to_string(spec).unwrap(),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
    let env = BTreeMap::from([("KSAIL_TOKEN".to_string(), Some("canary".to_string()))]);
    let options = Options {
        env,
        ..Options::default()
    };
    for text in [
        "throw secret(env(\"KSAIL_TOKEN\"))",
        "cluster(\"a\", #{ distribution: kwok(), workers: secret(env(\"KSAIL_TOKEN\")) })",
        "cluster(\"a\", #{ distribution: kwok(), local_registry: `me:${env(\"KSAIL_TOKEN\")}@x:99999` })",
    ] {
        let script = Script::from_source(&Source::new("t.rhai", text), &options).unwrap();
        let thrown = report::text(script.fleet().unwrap_err(), Style::Plain);
        assert!(!thrown.contains("canary"), "{thrown}");
    }
}

#[test]
fn the_prompt_keeps_variables_and_functions() {
    let mut repl = Repl::new(&Options {
        env: BTreeMap::new(),
        ..Options::default()
    });
    let value = |reply: Reply| match reply {
        Reply::Value(value) => value.unwrap_or_default(),
        Reply::More => "more".into(),
        Reply::Problem(problem) => problem.code().id.to_string(),
    };
    assert_eq!(value(repl.feed("let x = 41;")), "");
    assert_eq!(value(repl.feed("fn next(n) { n + 1 }")), "");
    assert_eq!(value(repl.feed("next(x)")), "42");
    assert_eq!(value(repl.feed("cluster(\"a\", #{")), "more");
    assert_eq!(value(repl.feed("k3s(\"1.35\")")), "k3s(\"1.35\")");
    assert_eq!(value(repl.feed("y")), "E0103");
    assert_eq!(value(repl.feed("x")), "41");
    assert!(repl.complete("clu").contains(&"cluster".to_string()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn no_text_breaks_the_host(text in "[a-z0-9(){}#:,.\\[\\]|=\"`$; \n]{0,60}") {
        let limits = Limits { operations: 10_000, ..Limits::default() };
        let options = Options { limits, ..Options::default() };
        let source = Source::new("f.rhai", text);
        if let Err(error) = Script::from_source(&source, &options).and_then(|script| script.fleet()) {
            let _ = report::text(error, Style::Plain);
        }
    }
}
