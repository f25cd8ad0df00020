//! Every problem of encrypted files, as people meet it: the code, and that the file stays as it was.

use std::path::Path;
use std::process::{Command, Output};

use ksail::cipher::key::age;

use crate::cipher_scripts::sealed;
use crate::home::{Home, text};

/// A home with a key file, a rule, and files in every state.
pub(crate) struct Place {
    pub(crate) home: Home,
    pub(crate) public: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let (private, public) = age::generate();
        home.write("keys.txt", &format!("{}\n", private.expose()));
        std::fs::create_dir(home.path("ruled")).unwrap();
        std::fs::create_dir(home.path("broken")).unwrap();
        let rules = format!(
            "creation_rules:\n  - path_regex: '\\.secret\\.yaml$'\n    age: {public}\ndestination_rules:\n  - s3_bucket: b\n"
        );
        home.write("ruled/.sops.yaml", &rules);
        home.write("ruled/plain.yaml", "a: 1\n");
        home.write("ruled/plain.secret.yaml", "a: 1\n");
        home.write("broken/.sops.yaml", "creation_rules: 7\n");
        home.write("broken/plain.yaml", "a: 1\n");
        home.write("plain.yaml", "a: 1\n");
        home.write("empty.yaml", "");
        home.write("list.yaml", "- a\n- b\n");
        home.write("cut.yaml", "a: [1,\n");
        home.write(
            "deep.json",
            &format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000)),
        );
        let good = String::from_utf8(sealed("{\"a\": \"b\"}", &public)).unwrap();
        home.write("good.yaml", &good);
        let mac = good.find("    mac: ").unwrap();
        home.write(
            "badmeta.yaml",
            &good.replace("    mac: ", "    mac: [1]\n    x: "),
        );
        assert!(mac > 0);
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(300_000));
        std::fs::write(home.path("long.yaml"), sealed(&long, &public)).unwrap();
        Self { home, public }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_ksail"));
        command
            .current_dir(self.home.path(""))
            .env("SOPS_AGE_KEY_FILE", self.home.path("keys.txt"));
        for name in [
            "SOPS_EDITOR",
            "KUBE_EDITOR",
            "EDITOR",
            "VISUAL",
            "XDG_CONFIG_HOME",
            "SOPS_AGE_KEY",
            "SOPS_AGE_RECIPIENTS",
            "SOPS_PGP_FP",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|one| one.replace("PUBLIC", &self.public))
            .collect();
        self.command()
            .arg("cipher")
            .args(arguments)
            .output()
            .unwrap()
    }
}

fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_mistake_has_its_code_and_leaves_the_files_alone() {
    let place = Place::new();
    let before = everything(&place.home.path(""));
    for (code, exit, arguments) in [
        (
            "E0901",
            2,
            vec!["encrypt", "--age", "PUBLIC", "-i", "cut.yaml"],
        ),
        ("E0904", 1, vec!["decrypt", "-i", "badmeta.yaml"]),
        (
            "E0926",
            92,
            vec!["encrypt", "--age", "PUBLIC", "-i", "empty.yaml"],
        ),
        (
            "E0908",
            2,
            vec!["encrypt", "--age", "PUBLIC", "-i", "list.yaml"],
        ),
        (
            "E0909",
            1,
            vec!["encrypt", "--age", "PUBLIC", "-i", "deep.json"],
        ),
        ("E0910", 1, vec!["encrypt", "-i", "broken/plain.yaml"]),
        ("E0911", 1, vec!["encrypt", "-i", "ruled/plain.yaml"]),
        (
            "E0912",
            91,
            vec!["decrypt", "--extract", "a.b", "good.yaml"],
        ),
        (
            "E0913",
            1,
            vec!["decrypt", "--extract", "[\"zz\"]", "good.yaml"],
        ),
        ("E0914", 1, vec!["encrypt", "-i", "plain.yaml"]),
        (
            "E0915",
            8,
            vec![
                "encrypt",
                "--age",
                "PUBLIC",
                "--encrypted-regex",
                "a",
                "--unencrypted-regex",
                "b",
                "plain.yaml",
            ],
        ),
        (
            "E0916",
            1,
            vec![
                "encrypt",
                "--age",
                "PUBLIC",
                "--encrypted-regex",
                "(",
                "plain.yaml",
            ],
        ),
        ("E0917", 100, vec!["decrypt", "missing.yaml"]),
        ("E0917", 2, vec!["inspect", "missing.yaml"]),
        ("E0912", 7, vec!["set", "good.yaml", "a", "1"]),
        ("E0927", 7, vec!["set", "good.yaml", "[\"a\"]", "text"]),
        (
            "E0928",
            6,
            vec![
                "encrypt",
                "--kms",
                "arn:aws:kms:eu-west-1:1:key/a",
                "--encryption-context",
                "none",
                "plain.yaml",
            ],
        ),
        (
            "E0918",
            3,
            vec!["decrypt", "-o", "/proc/none/x", "good.yaml"],
        ),
        ("E0921", 200, vec!["edit", "--editor", "true", "good.yaml"]),
        ("E0922", 201, vec!["edit", "--editor", "false", "good.yaml"]),
        ("E0923", 1, vec!["encrypt", "--check", "ruled"]),
        ("E0924", 1, vec!["exec-env", "long.yaml", "true"]),
        ("E0925", 1, vec!["import", "AGE-SECRET-KEY-1CANARY"]),
    ] {
        let output = place.run(&arguments);
        let said = text(&output);
        assert!(said.contains(code), "{arguments:?} {code}\n{said}");
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}\n{said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
    assert_eq!(everything(&place.home.path("")), before);
}

#[test]
fn keys_that_do_not_help_are_named_with_their_places() {
    let place = Place::new();
    let decrypt = |variable: &str, value: &str| {
        let output = place
            .command()
            .env_remove("SOPS_AGE_KEY_FILE")
            .env(variable, value)
            .args(["cipher", "decrypt", "good.yaml"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(128), "{}", text(&output));
        text(&output)
    };
    let said = decrypt("SOPS_AGE_KEY", "AGE-SECRET-KEY-1CANARY");
    assert!(
        said.contains("E0952") && said.contains("SOPS_AGE_KEY"),
        "{said}"
    );
    assert!(!said.contains("CANARY"), "{said}");
    let said = decrypt("SOPS_AGE_KEY_FILE", "/nonexistent/keys.txt");
    assert!(
        said.contains("E0960") && said.contains("/nonexistent/keys.txt"),
        "{said}"
    );
    let said = decrypt("SOPS_AGE_KEY_CMD", "false");
    assert!(
        said.contains("E0960") && said.contains("SOPS_AGE_KEY_CMD"),
        "{said}"
    );
}

#[test]
fn without_an_editor_the_flag_is_named() {
    let place = Place::new();
    let output = place
        .command()
        .env("PATH", "/nonexistent")
        .args(["cipher", "edit", "good.yaml"])
        .output()
        .unwrap();
    assert!(text(&output).contains("E0920"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(201));
}

#[test]
fn shares_that_do_not_fit_are_refused() {
    let one = ksail::cipher::shamir::combine(&[vec![1, 2, 3]]).unwrap_err();
    assert_eq!(one.code().id, "E0953");
    let other = ksail::cipher::shamir::combine(&[vec![1, 2, 3], vec![1, 2]]).unwrap_err();
    assert_eq!(other.code().id, "E0953");
}

#[test]
fn destination_rules_are_named_as_unsupported() {
    let place = Place::new();
    let good = std::fs::read(place.home.path("good.yaml")).unwrap();
    std::fs::write(place.home.path("ruled/a.secret.yaml"), good).unwrap();
    let said = text(&place.run(&["inspect", "ruled/a.secret.yaml"]));
    assert!(said.contains("destination_rules"), "{said}");
}

/// Whoever reads a file that a key was asked for on a terminal must not wait for ever without one.
#[test]
fn a_passphrase_without_a_terminal_is_a_problem_and_no_wait() {
    let place = Place::new();
    let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys/locked.age");
    let output = place
        .command()
        .env("SOPS_AGE_KEY_FILE", locked)
        .args(["cipher", "decrypt", "good.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(128));
    assert!(text(&output).contains("E0955"), "{}", text(&output));
}

/// What an editor leaves that cannot be read is kept, encrypted, and the next edit goes on with it.
#[cfg(unix)]
#[test]
fn a_failed_edit_is_resumed() {
    let place = Place::new();
    let before = std::fs::read(place.home.path("good.yaml")).unwrap();
    let edit = |editor: &str| place.run(&["edit", "--editor", editor, "good.yaml"]);
    let kept = place.home.path("good.yaml.unfinished-edit");
    let editor = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = place.home.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    };
    let breaks = editor("breaks", "echo 'new: [CANARY' >> \"$1\"");
    let output = edit(&breaks);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(201), "{said}");
    assert!(
        said.contains("E0922") && said.contains("unfinished-edit"),
        "{said}"
    );
    assert_eq!(std::fs::read(place.home.path("good.yaml")).unwrap(), before);
    let sealed = std::fs::read_to_string(&kept).unwrap();
    assert!(
        sealed.contains("ENC[") && !sealed.contains("CANARY"),
        "{sealed}"
    );

    let mends = editor("mends", "sed -i 's/CANARY/mended]/' \"$1\"");
    let output = edit(&mends);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("last edit"), "{}", text(&output));
    assert!(!kept.exists());
    let shown = place.run(&["decrypt", "good.yaml"]);
    assert!(text(&shown).contains("- mended"), "{}", text(&shown));

    // Taken back to what the file holds, there is nothing left to resume.
    edit(&breaks);
    assert!(kept.exists());
    let takes_back = editor("takes-back", "sed -i '/CANARY/d' \"$1\"");
    assert_eq!(edit(&takes_back).status.code(), Some(200));
    assert!(!kept.exists());
}

/// A new file has nobody to be kept for until its rule is known: that comes first.
#[test]
fn a_new_file_without_readers_opens_no_editor() {
    let place = Place::new();
    let output = place.run(&["edit", "--editor", "touch ran; false", "new.yaml"]);
    assert!(text(&output).contains("E0914"), "{}", text(&output));
    assert!(!place.home.path("ran").exists());
}

#[test]
fn what_is_too_large_is_refused_unread() {
    let place = Place::new();
    let file = std::fs::File::create(place.home.path("huge.yaml")).unwrap();
    // The file has a hole: it takes no room on the disk.
    file.set_len(1 << 30).unwrap();
    for arguments in [
        ["encrypt", "--age", "PUBLIC", "-i", "huge.yaml"].as_slice(),
        &["decrypt", "huge.yaml"],
        &["inspect", "huge.yaml"],
        &["edit", "--editor", "true", "huge.yaml"],
    ] {
        let output = place.run(arguments);
        assert!(text(&output).contains("E0909"), "{}", text(&output));
        assert_eq!(output.status.code(), Some(1));
    }
}

/// Every command that prints data prints JSON when asked.
#[test]
fn data_comes_as_json() {
    let place = Place::new();
    let json = |arguments: &[&str]| -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let output = place.run(&all);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|cause| panic!("{arguments:?} {cause}\n{}", text(&output)))
    };
    assert_eq!(json(&["decrypt", "good.yaml"])["a"], "b");
    assert_eq!(json(&["inspect", "good.yaml"])[0]["encrypted"], 1);
    assert_eq!(
        json(&["encrypt", "--check", "ruled"])[0],
        "ruled/plain.secret.yaml"
    );
    let made = json(&["keygen"]);
    let private = made["private_key"].as_str().unwrap();
    assert_eq!(json(&["import", private])["public_key"], made["public_key"]);
    std::fs::copy(
        place.home.path("good.yaml"),
        place.home.path("ruled/good.secret.yaml"),
    )
    .unwrap();
    assert_eq!(
        json(&["updatekeys", "--check", "ruled/good.secret.yaml"]),
        serde_json::json!([])
    );
    let other = made["public_key"].as_str().unwrap();
    let rules = std::fs::read_to_string(place.home.path("ruled/.sops.yaml")).unwrap();
    place.home.write(
        "ruled/.sops.yaml",
        &rules.replace(&place.public, &format!("{},{other}", place.public)),
    );
    let told = json(&["updatekeys", "--check", "ruled/good.secret.yaml"]);
    assert_eq!(told[0]["key_changes"]["added"][0], format!("age {other}"));
    let done = json(&["rotate", "--force", "good.yaml"]);
    assert_eq!(done[0]["outcome"], "rotated");
}

/// Folders and several files in one call, back and forth; standard input under another name.
#[test]
fn several_files_go_in_one_call() {
    let place = Place::new();
    std::fs::create_dir(place.home.path("many")).unwrap();
    for name in ["a.yaml", "b.json", "c.env", ".ksail-x.new"] {
        let text = if name == "c.env" {
            "A=b\n"
        } else {
            "{\"a\": \"b\"}"
        };
        place.home.write(&format!("many/{name}"), text);
    }
    let output = place.run(&["encrypt", "--age", "PUBLIC", "-i", "many"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output).matches("encrypted many/").count(), 3);
    let output = place.run(&["decrypt", "-i", "many", "good.yaml"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output).matches("decrypted ").count(), 4);
    let plain = std::fs::read_to_string(place.home.path("many/c.env")).unwrap();
    assert_eq!(plain, "A=b\n");
    let file = std::fs::File::open(place.home.path("many/c.env")).unwrap();
    let output = place
        .command()
        .args(["cipher", "encrypt", "--age", &place.public])
        .args(["--filename-override", "x.env"])
        .stdin(file)
        .output()
        .unwrap();
    assert!(text(&output).starts_with("A=ENC["), "{}", text(&output));
}
