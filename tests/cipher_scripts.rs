//! Encrypted files in scripts: what they open to, what the sandbox holds back, and that no secret gets out.

use std::sync::Arc;

use ksail::cipher::format::{Format, Layout};
use ksail::cipher::key::{Kind, Recipient, age};
use ksail::diag::Source;
use ksail::diag::report::{self, Style};
use ksail::ops::cipher::keys::{Keys, Lent, Reach};
use ksail::ops::cipher::target::Target;
use ksail::ops::cipher::{self as ops, Formats};
use ksail::script::{Fleet, Options, Script};
use ksail::spec::Tree;

use crate::home::{Home, text};

const CANARY: &str = "canary-4711-in-the-mine";

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// JSON as an encrypted YAML file.
pub(crate) fn sealed(json: &str, public: &str) -> Vec<u8> {
    let formats = Formats {
        input: Format::Json,
        output: Format::Yaml,
        layout: Layout::default(),
    };
    let target = Target {
        groups: vec![vec![Recipient::parse(Kind::Age, public).unwrap()]],
        ..Target::default()
    };
    wait(ops::encrypt(
        json.as_bytes(),
        formats,
        &target,
        &Keys::none().unwrap(),
    ))
    .unwrap()
}

/// Lends one age key.
pub(crate) fn lent(private: &str) -> Lent {
    let private = private.to_string();
    let env = Arc::new(move |name: &str| (name == "SOPS_AGE_KEY").then(|| private.clone()));
    Lent::new(env, Arc::new(|_| None), Reach::Local)
}

/// A folder with `s.yaml`, and the options of a script in it.
fn project(json: &str) -> (tempfile::TempDir, Options) {
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = age::generate();
    std::fs::write(folder.path().join("s.yaml"), sealed(json, &public)).unwrap();
    let options = Options {
        root: folder.path().to_path_buf(),
        keys: Some(lent(private.expose())),
        ..Options::default()
    };
    (folder, options)
}

fn fleet(script: &str, options: &Options) -> ksail::Result<Fleet> {
    Script::from_source(&Source::new("t.rhai", script), options)?.fleet()
}

fn code(script: &str, options: &Options) -> &'static str {
    fleet(script, options).unwrap_err().code().id
}

#[test]
fn what_was_encrypted_opens_to_secrets_and_what_was_plain_stays_plain() {
    let (_folder, options) = project(
        "{\"user\": {\"password\": \"hunter2\", \"port\": 5432}, \"replicas_unencrypted\": 3, \"list\": [\"a\", null]}",
    );
    let script = "let s = cipher::open(\"s.yaml\");
        if s.user.password != secret(\"hunter2\") || s.user.port != secret(\"5432\") { throw \"not the secrets\" }
        if s.replicas_unencrypted != 3 { throw \"plain numbers stay\" }
        if s.list[0] != secret(\"a\") || s.list[1] != () { throw \"lists\" }
        if cipher::decrypt(\"s.yaml\", `[\"user\"][\"password\"]`) != secret(\"hunter2\") { throw \"one value\" }
        let r = cipher::recipients(\"s.yaml\");
        if r.len() != 1 || r[0].kind != \"age\" || r[0].group != 1 || !r[0].recipient.starts_with(\"age1\") { throw \"readers\" }
        cluster(\"dev\", #{ distribution: k3s(), components: [flux(#{ values: #{ password: s.user.password } })] })";
    let fleet = fleet(script, &options).unwrap();
    let values = &fleet.clusters[0].spec.components[0].options["values"];
    let Some(Tree::Secret(secret)) = values.as_map().and_then(|map| map.get("password")) else {
        panic!("{values:?}");
    };
    assert_eq!(secret.expose(), "hunter2");
}

#[test]
fn decrypting_is_held_to_the_folder_and_to_the_keys_that_were_given() {
    let (folder, options) = project("{\"a\": \"b\"}");
    assert_eq!(code("cipher::open(\"../s.yaml\")", &options), "E0304");
    assert_eq!(code("cipher::open(\"/etc/passwd\")", &options), "E0304");
    assert_eq!(code("cipher::open(\"no.yaml\")", &options), "E0305");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.yaml")).unwrap();
    assert_eq!(code("cipher::decrypt(\"link.yaml\")", &options), "E0304");
    let without = Options {
        keys: None,
        ..options.clone()
    };
    assert_eq!(code("cipher::open(\"s.yaml\")", &without), "E0957");
    let (other, _) = age::generate();
    let wrong = Options {
        keys: Some(lent(other.expose())),
        ..options.clone()
    };
    assert_eq!(code("cipher::open(\"s.yaml\")", &wrong), "E0954");
    std::fs::write(folder.path().join("p.yaml"), "a: 1\n").unwrap();
    assert_eq!(code("cipher::open(\"p.yaml\")", &options), "E0902");
    assert_eq!(code("cipher::open(7)", &options), "E0104");
    // A service would be asked over the network: scripts are not lent it.
    let service = "a: ENC[AES256_GCM,data:Cg==,iv:AA==,tag:AA==,type:str]\nsops:\n  kms:\n    - arn: arn:aws:kms:eu-west-1:111122223333:key/x\n      created_at: '2026-01-01T00:00:00Z'\n      enc: AAAA\n  lastmodified: '2026-01-01T00:00:00Z'\n  mac: x\n  version: 3.13.3\n";
    std::fs::write(folder.path().join("k.yaml"), service).unwrap();
    let problem = fleet("cipher::open(\"k.yaml\")", &options).unwrap_err();
    let whole = report::text(problem, Style::Plain);
    assert!(whole.contains("E0957"), "{whole}");
}

#[test]
fn what_is_random_or_writes_waits_for_a_task() {
    let (folder, options) = project("{\"a\": \"b\"}");
    for script in [
        "cipher::keygen()",
        "cipher::rotate(\"s.yaml\")",
        "cipher::encrypt(#{}, #{ age: \"x\" })",
    ] {
        assert_eq!(code(script, &options), "E0111", "{script}");
    }
    let script = "task(\"t\", || {
            let key = cipher::keygen();
            let text = cipher::encrypt(#{ a: key.private_key, b: 1 }, #{ age: [key.public_key], format: \"json\", encrypted_regex: \"^a$\" });
            cipher::rotate(\"s.yaml\");
            if cipher::open(\"s.yaml\").a != secret(\"b\") { throw \"lost\" }
            text
        });
        task(\"wrong\", || cipher::encrypt(#{}, #{ agee: \"x\" }));
        task(\"nobody\", || cipher::encrypt(\"x\", #{}));
        cluster(\"dev\", #{ distribution: kwok() })";
    let before = std::fs::read(folder.path().join("s.yaml")).unwrap();
    let fleet = fleet(script, &options).unwrap();
    let (made, _) = fleet.tasks[0].closure.call_task().unwrap();
    let made: serde_json::Value = serde_json::from_str(made.as_text().unwrap()).unwrap();
    assert!(made["a"].as_str().unwrap().starts_with("ENC["), "{made}");
    assert_eq!(made["b"], 1);
    assert_ne!(std::fs::read(folder.path().join("s.yaml")).unwrap(), before);
    let code = |at: usize| fleet.tasks[at].closure.call_task().unwrap_err().code().id;
    assert_eq!(code(1), "E0203");
    assert_eq!(code(2), "E0914");
}

/// Every file below a folder that holds the canary.
fn leaks(folder: std::path::PathBuf) -> Vec<String> {
    let (mut folders, mut found, mut read) = (vec![folder], Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            read += 1;
            let content = std::fs::read(&path).unwrap_or_default();
            let has = content
                .windows(CANARY.len())
                .any(|window| window == CANARY.as_bytes());
            // The cluster's own store holds what it was given, as etcd would; nobody else may read it.
            if has && !path.to_string_lossy().contains("/embedded/") {
                found.push(path.display().to_string());
            }
        }
    }
    assert!(read > 5);
    found
}

#[test]
fn an_opened_file_reaches_the_cluster_and_nothing_else() {
    let home = Home::new();
    let (private, public) = age::generate();
    let file = sealed(
        &format!("{{\"db\": {{\"password\": \"{CANARY}\"}}}}"),
        &public,
    );
    std::fs::write(home.path("s.yaml"), file).unwrap();
    let script = home
        .write(
            "c.rhai",
            "let s = cipher::open(\"s.yaml\");
            print(s); print(`${s.db.password}`); debug(s.db);
            let object = #{ apiVersion: \"v1\", kind: \"Secret\", metadata: #{ name: \"db\", namespace: \"default\" }, stringData: #{ password: s.db.password } };
            let c = cluster(\"dev\", #{ distribution: k3s(), provider: embedded(), sops: #{ enabled: true },
                components: [manifests(\"db\", #{ objects: [object] }), flux(#{ values: #{ password: s.db.password } })] });
            task(\"look\", || {
                let given = c.get(\"secret/db\");
                if given.data.password == () || given.data.password == \"PHNlY3JldD4=\" { throw \"the cluster got no password\" }
                let key = c.get(\"secret/sops-age\", \"flux-system\");
                if key.data[\"sops.agekey\"] == () || key.metadata.labels[\"app.kubernetes.io/managed-by\"] != \"ksail\" { throw \"no key\" }
                \"both are there\"
            });
            task(\"throw\", || { throw s.db });
            c",
        )
        .display()
        .to_string();
    let plan = home.path("plan.json").display().to_string();
    let mut all = String::new();
    let run = |arguments: &[&str], key: &str| {
        let output = home
            .command(env!("CARGO_BIN_EXE_ksail"))
            .env("SOPS_AGE_KEY", key)
            .env("RUST_BACKTRACE", "1")
            .args(arguments)
            .output()
            .unwrap();
        (output.status.success(), text(&output))
    };
    for arguments in [
        vec!["check", &script, "--output", "json"],
        vec!["plan", &script, "--out", &plan],
        vec!["plan", &script, "--output", "json"],
        vec!["run", &script, "--output", "json"],
        vec!["run", &script],
        vec!["run", &script, "look"],
        vec!["cluster", "list", "--output", "json"],
    ] {
        let (good, said) = run(&arguments, private.expose());
        assert!(good, "{arguments:?}\n{said}");
        all.push_str(&said);
    }
    assert!(all.contains("both are there"), "{all}");
    assert!(all.contains("decryption-key"), "{all}");
    let (good, said) = run(&["run", &script, "throw"], private.expose());
    assert!(!good);
    all.push_str(&said);
    let (other, _) = age::generate();
    let (good, said) = run(&["run", &script], other.expose());
    assert!(!good && said.contains("E0954"), "{said}");
    all.push_str(&said);
    for hidden in [CANARY, private.expose(), other.expose()] {
        assert!(!all.contains(hidden), "{all}");
    }
    assert_eq!(leaks(home.path("")), Vec::<String>::new());
}

#[test]
fn a_gitops_engine_that_must_decrypt_wants_a_key_before_anything_is_made() {
    let home = Home::new();
    let script = |enabled: &str| {
        let text = format!(
            "cluster(\"dev\", #{{ distribution: k3s(), provider: embedded(), components: [argocd()], sops: #{{ {enabled} }} }})"
        );
        home.write("c.rhai", &text).display().to_string()
    };
    let output = home.ksail(&["run", &script("enabled: true, env: \"MY_AGE_KEY\"")]);
    assert!(text(&output).contains("E0958"), "{}", text(&output));
    assert!(text(&output).contains("MY_AGE_KEY"), "{}", text(&output));
    assert!(home.good(&["cluster", "list"]).contains("No clusters"));
    // Nobody asked for it by name: without a key there is none.
    home.good(&["run", &script("")]);
    assert!(
        home.good(&["run", &script("")])
            .contains("nothing to change")
    );
}

/// The names of the secrets that ksail put into the engine's namespace, as kubectl sees them.
fn keys_in(home: &Home, namespace: &str) -> Option<String> {
    let kubectl = home
        .command("kubectl")
        .args(["get", "secret", "--namespace", namespace])
        .args(["--output", "name", "--kubeconfig"])
        .arg(home.path("kubeconfig"))
        .output();
    let output = match kubectl {
        Ok(output) => output,
        Err(cause) => {
            println!("skipped: kubectl cannot be run: {cause}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", text(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_key_leaves_the_cluster_when_nothing_is_decrypted_any_more() {
    let home = Home::new();
    let (private, _) = age::generate();
    home.write("keys.txt", private.expose());
    let run = |sops: &str| {
        let script = home.write(
            "c.rhai",
            &format!("cluster(\"dev\", #{{ distribution: k3s(), provider: embedded(), components: [flux()], sops: #{{ {sops} }} }})"),
        );
        let output = home
            .command(env!("CARGO_BIN_EXE_ksail"))
            .env("SOPS_AGE_KEY_FILE", home.path("keys.txt"))
            .env_remove("SOPS_AGE_KEY")
            .arg("run")
            .arg(script)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    run("enabled: true");
    let Some(there) = keys_in(&home, "flux-system") else {
        return;
    };
    assert!(there.contains("secret/sops-age"), "{there}");
    let said = run("enabled: false");
    assert!(said.contains("take-decryption-key done"), "{said}");
    let there = keys_in(&home, "flux-system").unwrap();
    assert!(!there.contains("sops-age"), "{there}");
    assert!(run("enabled: false").contains("nothing to change"));
}
