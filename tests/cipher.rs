//! Files of the real sops are read, and the real sops reads ours: formats × selectors, both ways.
//!
//! The fixtures below `tests/vectors/cipher` are made by `make` there. Where a sops is in PATH, it is asked as well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ksail::cipher::document::{Mac, Sealed};
use ksail::cipher::format::{self, Format, Layout};
use ksail::cipher::key::{Kind, Recipient};
use ksail::cipher::path::Path as TreePath;
use ksail::cipher::scope::Selectors;
use ksail::cipher::tree::Value;
use ksail::ops::cipher::keys::{Env, Keys};
use ksail::ops::cipher::target::Target;
use ksail::ops::cipher::{self as ops, Change, Exchange, Formats};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cipher")
}

fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(vectors().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn key_text() -> String {
    std::fs::read_to_string(vectors().join("keys.txt")).unwrap()
}

fn public() -> String {
    key_text()
        .lines()
        .find_map(|line| line.strip_prefix("# public key: ").map(str::to_owned))
        .unwrap()
}

fn keys() -> Keys {
    let text = key_text();
    let env: Env = Arc::new(move |name| (name == "SOPS_AGE_KEY").then(|| text.clone()));
    Keys::collect(&env, Arc::new(|_| None)).unwrap()
}

fn no_keys() -> Keys {
    let env: Env = Arc::new(|_| None);
    Keys::collect(&env, Arc::new(|_| None)).unwrap()
}

fn formats(name: &str) -> Formats {
    Formats::choose(name, None, None, Layout::default())
}

fn target(selectors: Selectors) -> Target {
    Target {
        groups: vec![vec![Recipient::parse(Kind::Age, &public()).unwrap()]],
        selectors: selectors.settle().unwrap(),
        ..Target::default()
    }
}

fn selectors() -> Vec<(&'static str, Selectors)> {
    let none = Selectors::default();
    vec![
        ("default", none.clone()),
        (
            "regex",
            Selectors {
                encrypted_regex: "^(data|stringData|PASS|database)$".into(),
                ..none.clone()
            },
        ),
        (
            "unregex",
            Selectors {
                unencrypted_regex: "^(metadata|kind|USER|top)$".into(),
                ..none.clone()
            },
        ),
        (
            "suffix",
            Selectors {
                encrypted_suffix: "ata".into(),
                ..none.clone()
            },
        ),
        (
            "unsuffix",
            Selectors {
                unencrypted_suffix: "ata".into(),
                ..none.clone()
            },
        ),
        (
            "maconly",
            Selectors {
                encrypted_regex: "^data$".into(),
                mac_only_encrypted: true,
                ..none.clone()
            },
        ),
        (
            "comment",
            Selectors {
                encrypted_comment_regex: "ENCRYPT".into(),
                ..none.clone()
            },
        ),
        (
            "uncomment",
            Selectors {
                unencrypted_comment_regex: "note".into(),
                ..none
            },
        ),
    ]
}

fn sops() -> Option<Command> {
    let mut command = Command::new("sops");
    if Command::new("sops").arg("--version").output().is_err() {
        eprintln!("skipped: there is no sops in PATH");
        return None;
    }
    command
        .env("SOPS_AGE_KEY", key_text())
        .env_remove("SOPS_AGE_KEY_FILE");
    Some(command)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn decrypts_what_sops_wrote() {
    let keys = keys();
    for (name, bytes) in files("sealed") {
        let plain = wait(ops::decrypt(
            &bytes,
            formats(&name),
            Mac::Check,
            None,
            &keys,
        ))
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let expect = std::fs::read(vectors().join("opened").join(&name)).unwrap();
        assert_eq!(lossy(&plain), lossy(&expect), "{name}");
        assert_eq!(*plain, expect, "{name}");
    }
}

/// The sealed values of a file in order; comments may move.
fn values(format: Format, bytes: &[u8]) -> Vec<String> {
    let sealed = Sealed::read(format, bytes).unwrap();
    let text =
        lossy(&format::write_plain(Format::Yaml, &sealed.branches, Layout::default()).unwrap());
    let words = text
        .split_whitespace()
        .filter(|word| word.contains("ENC[") && !word.contains("type:comment"));
    words.map(str::to_owned).collect()
}

/// Hides comments that sops puts where it cannot open them again.
fn masked(bytes: &[u8]) -> String {
    let closed =
        |line: &&str| !(line.trim_start().starts_with("#ENC[") && line.ends_with("type:comment]"));
    lossy(bytes)
        .split('\n')
        .filter(closed)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn an_edit_keeps_the_ciphertext_of_what_stays() {
    let keys = keys();
    for (name, bytes) in files("sealed") {
        let format = Format::of_path(&name);
        let mut unlocked = wait(ops::unlock(&bytes, format, Mac::Check, &keys)).unwrap();
        let view = ops::edit::View {
            format,
            layout: Layout::default(),
            has_readers: false,
        };
        let text = view.text(&unlocked).unwrap();
        let again = wait(view.reseal(&mut unlocked, &text, &keys)).unwrap();
        let (before, after) = (values(format, &bytes), values(format, &again));
        assert_eq!(before.len(), after.len(), "{name}");
        for (one, other) in before.iter().zip(&after) {
            // A whole float is written like an integer and comes back as one, in sops too.
            let whole = one.contains("type:float") && other.contains("type:int");
            assert!(one == other || whole, "{name}: {one} {other}");
        }
    }
}

#[test]
fn sops_decrypts_what_we_write() {
    if sops().is_none() {
        return;
    }
    let (keys, folder) = (keys(), tempfile::tempdir().unwrap());
    for (name, bytes) in files("plain") {
        for (rule, selectors) in selectors() {
            let (stem, end) = name.rsplit_once('.').unwrap();
            let expect = vectors()
                .join("opened")
                .join(format!("{stem}.{rule}.{end}"));
            let Ok(expect) = std::fs::read(expect) else {
                continue;
            };
            let sealed = wait(ops::encrypt(
                &bytes,
                formats(&name),
                &target(selectors),
                &keys,
            ))
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let file = folder.path().join(&name);
            std::fs::write(&file, &sealed).unwrap();
            let output = sops().unwrap().arg("decrypt").arg(&file).output().unwrap();
            assert!(
                output.status.success(),
                "{name} {rule}: {}\n{}",
                lossy(&output.stderr),
                lossy(&sealed)
            );
            assert_eq!(masked(&output.stdout), masked(&expect), "{name} {rule}");
        }
    }
}

#[test]
fn rotating_and_setting_keep_the_content() {
    let keys = keys();
    for (name, bytes) in files("sealed") {
        let expect = std::fs::read(vectors().join("opened").join(&name)).unwrap();
        let rotated = wait(ops::rotate(
            &bytes,
            formats(&name),
            &Exchange::default(),
            Mac::Check,
            &keys,
        ))
        .unwrap();
        let plain = wait(ops::decrypt(
            &rotated,
            formats(&name),
            Mac::Check,
            None,
            &keys,
        ))
        .unwrap();
        assert_eq!(masked(&plain), masked(&expect), "{name}");
        if Format::of_path(&name) == Format::Binary {
            continue;
        }
        let path = TreePath::parse(if Format::of_path(&name) == Format::Ini {
            "[\"data\"][\"new\"]"
        } else {
            "[\"new\"]"
        })
        .unwrap();
        let set = wait(ops::change(
            &rotated,
            formats(&name),
            &path,
            Change::Set(Value::text("neu")),
            Mac::Check,
            &keys,
        ))
        .unwrap()
        .unwrap();
        let value = wait(ops::decrypt(
            &set,
            formats(&name),
            Mac::Check,
            Some(&path),
            &keys,
        ))
        .unwrap();
        assert_eq!(*value, b"neu", "{name}");
        let unset = wait(ops::change(
            &set,
            formats(&name),
            &path,
            Change::Unset { may_lack: false },
            Mac::Check,
            &keys,
        ))
        .unwrap()
        .unwrap();
        let plain = wait(ops::decrypt(
            &unset,
            formats(&name),
            Mac::Check,
            None,
            &keys,
        ))
        .unwrap();
        assert_eq!(masked(&plain), masked(&expect), "{name}");
    }
}

#[test]
fn tampering_is_found() {
    let keys = keys();
    let name = "nested.default.yaml";
    let bytes = std::fs::read(vectors().join("sealed").join(name)).unwrap();
    let text = lossy(&bytes);
    let code = |text: &str| {
        wait(ops::decrypt(
            text.as_bytes(),
            formats(name),
            Mac::Check,
            None,
            &keys,
        ))
        .unwrap_err()
        .code()
        .id
    };
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.trim_start().starts_with("user:"))
        .unwrap();
    let without: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .map(|(_, line)| *line)
        .collect();
    assert_eq!(code(&without.join("\n")), "E0906", "a removed value");
    assert_eq!(
        code(&text.replace("    user:", "    uses:")),
        "E0905",
        "a moved value"
    );
    assert_eq!(
        code(
            &text
                .replacen("data:", "dota:", 2)
                .replace("dota:\n", "data:\n")
        ),
        "E0905",
        "a broken value"
    );
    assert_eq!(
        code(&text.replace("key_unencrypted: open", "key_unencrypted: shut")),
        "E0906",
        "a plain value"
    );
    assert_eq!(
        code(&text.replace("lastmodified: \"2", "lastmodified: \"3")),
        "E0906",
        "another date"
    );
    let mac = text
        .lines()
        .find(|line| line.trim_start().starts_with("mac:"))
        .unwrap();
    assert_eq!(
        code(&text.replace(mac, "    mac: \"\"")),
        "E0907",
        "no code"
    );
    assert_eq!(
        code(&text.replace("recipient: age1", "recipients: age1")),
        "E0950",
        "a broken recipient"
    );
    assert_eq!(
        code(text.split("sops:").next().unwrap()),
        "E0902",
        "no metadata"
    );
    for cut in (0..text.len())
        .step_by(97)
        .filter(|cut| text.is_char_boundary(*cut))
    {
        assert!(
            wait(ops::decrypt(
                &text.as_bytes()[..cut],
                formats(name),
                Mac::Check,
                None,
                &keys
            ))
            .is_err(),
            "cut at {cut}"
        );
    }
    let error = wait(ops::decrypt(
        &bytes,
        formats(name),
        Mac::Check,
        None,
        &no_keys(),
    ))
    .unwrap_err();
    assert_eq!(error.code().id, "E0954");
}

#[test]
fn what_is_encrypted_is_not_encrypted_again() {
    let keys = keys();
    for (name, bytes) in files("sealed")
        .into_iter()
        .filter(|(name, _)| Format::of_path(name) != Format::Binary)
    {
        let error = wait(ops::encrypt(
            &bytes,
            formats(&name),
            &target(Selectors::default()),
            &keys,
        ))
        .unwrap_err();
        assert_eq!(error.code().id, "E0903", "{name}");
    }
}

/// A key file, a rules file and a plain file of some size in a folder of their own.
fn project() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.txt"), key_text()).unwrap();
    let rules = format!("creation_rules:\n  - age: {}\n", public());
    std::fs::write(folder.path().join(".sops.yaml"), rules).unwrap();
    let file = folder.path().join("big.yaml");
    let text: String = (0..20_000)
        .map(|index| format!("key{index}: value {index}\n"))
        .collect();
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn ksail(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ksail"));
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("SOPS_AGE_KEY_FILE", folder.join("keys.txt"));
    command
}

#[cfg(unix)]
#[test]
fn a_kill_leaves_the_old_file_or_the_new_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, file) = project();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let plain = std::fs::read(&file).unwrap();
    let (mut old, mut new) = (0, 0);
    for step in 0..12u64 {
        std::fs::write(&file, &plain).unwrap();
        let mut child = ksail(folder.path())
            .args(["cipher", "encrypt", "--in-place", "big.yaml"])
            .spawn()
            .unwrap();
        // Not a wait for anything: the kill is meant to hit at different moments.
        std::thread::sleep(std::time::Duration::from_millis(step * step * 12));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = std::fs::read(&file).unwrap();
        if now == plain {
            old += 1;
        } else {
            new += 1;
            let keys = keys();
            let back = wait(ops::decrypt(
                &now,
                formats("big.yaml"),
                Mac::Check,
                None,
                &keys,
            ))
            .unwrap();
            assert_eq!(*back, plain);
        }
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }
    assert_eq!(old + new, 12);
}

/// Only root can give a file to somebody else.
#[cfg(unix)]
#[test]
fn the_owner_of_a_file_stays() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let (folder, file) = project();
    std::fs::write(&file, "a: 1\n").unwrap();
    if let Err(cause) = chown(&file, Some(12_345), Some(23_456)) {
        println!("skipped: the file cannot be given away: {cause}");
        return;
    }
    for arguments in [
        ["encrypt", "--in-place", "big.yaml"],
        ["rotate", "--force", "big.yaml"],
        ["decrypt", "--in-place", "big.yaml"],
    ] {
        let output = ksail(folder.path())
            .arg("cipher")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", lossy(&output.stderr));
        let now = std::fs::metadata(&file).unwrap();
        assert_eq!((now.uid(), now.gid()), (12_345, 23_456), "{arguments:?}");
    }
}

#[test]
fn exit_codes_are_those_of_sops() {
    let (folder, file) = project();
    std::fs::write(&file, "a: 1\nb:\n  c: x\n").unwrap();
    let code = |args: &[&str]| {
        ksail(folder.path())
            .arg("cipher")
            .args(args)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(
        code(&["encrypt", "--check", "."]),
        Some(0),
        "a rule without path_regex asks for nothing"
    );
    assert_eq!(code(&["encrypt", "-i", "big.yaml"]), Some(0));
    assert_eq!(code(&["encrypt", "-i", "big.yaml"]), Some(203));
    assert_eq!(code(&["edit", "--editor", "true", "big.yaml"]), Some(200));
    assert_eq!(code(&["decrypt", "--extract", "a", "big.yaml"]), Some(91));
    assert_eq!(code(&["decrypt", "none.yaml"]), Some(100));
    assert_eq!(
        code(&["edit", "--editor", "sed -i s/x/y/", "big.yaml"]),
        Some(0)
    );
    let output = ksail(folder.path())
        .args(["cipher", "exec-env", "--pristine", "big.yaml", "exit 7"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "a mapping is no variable");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().next().unwrap().to_owned();
    std::fs::write(&file, text.replacen(&format!("{line}\n"), "", 1)).unwrap();
    assert_eq!(code(&["decrypt", "big.yaml"]), Some(51));
    std::fs::write(
        &file,
        text.replacen("a: ENC[AES256_GCM,data:", "a: ENC[AES256_GCM,data:AA", 1),
    )
    .unwrap();
    let output = ksail(folder.path())
        .args(["cipher", "decrypt", "big.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(25));
    assert!(
        lossy(&output.stderr).contains("big.yaml:1:4"),
        "{}",
        lossy(&output.stderr)
    );
    std::fs::write(&file, &text).unwrap();
    std::fs::remove_file(folder.path().join("keys.txt")).unwrap();
    assert_eq!(code(&["decrypt", "big.yaml"]), Some(128));
}
