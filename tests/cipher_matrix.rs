//! Formats × kinds of key × rules through the commands, both ways with the real sops where it is in PATH.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::home::Home;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
const PGP: &str = "42BDBE45F7D4156E55BAC364625D460193FAC817";
/// One file for each format, with what the real sops decrypts of it.
const FILES: &[&str] = &[
    "nested.yaml",
    "plain.json",
    "vars.env",
    "conf.ini",
    "blob.bin",
];

/// The age and SSH public keys whose private halves are among the fixtures, from a file that sops wrote.
fn recipients() -> (String, String) {
    let text = std::fs::read_to_string(format!("{VECTORS}/keys/all.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let own = std::fs::read_to_string(format!("{VECTORS}/keys/age.txt")).unwrap();
    let age = own
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();
    let ssh = document["sops"]["age"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["recipient"].as_str())
        .find(|name| name.starts_with("ssh-rsa"))
        .unwrap();
    (age.to_owned(), ssh.to_owned())
}

fn kinds() -> Vec<(&'static str, String)> {
    let (age, ssh) = recipients();
    vec![
        ("age", format!("age: {age}")),
        ("ssh", format!("age: {ssh}")),
        ("pgp", format!("pgp: {PGP}")),
        ("age and pgp", format!("age: {age}\n    pgp: {PGP}")),
        (
            "two of three groups",
            format!(
                "shamir_threshold: 2\n    key_groups:\n      - age: [{age}]\n      - age: [{ssh}]\n      - pgp: [{PGP}]"
            ),
        ),
    ]
}

/// What a rule says of values; the names are those of the fixtures.
const SELECTORS: &[(&str, &str)] = &[
    ("default", ""),
    (
        "regex",
        "encrypted_regex: ^(data|stringData|PASS|database)$",
    ),
    ("unregex", "unencrypted_regex: ^(metadata|kind|USER|top)$"),
    ("suffix", "encrypted_suffix: ata"),
    ("unsuffix", "unencrypted_suffix: ata"),
    (
        "maconly",
        "encrypted_regex: ^data$\n    mac_only_encrypted: true",
    ),
    ("comment", "encrypted_comment_regex: ENCRYPT"),
    ("uncomment", "unencrypted_comment_regex: note"),
];

/// The keys as ksail finds them, and as sops does.
fn with_keys(command: &mut Command, gnupg: &Path) {
    command
        .env_remove("SOPS_AGE_KEY")
        .env("SOPS_AGE_KEY_FILE", format!("{VECTORS}/keys/age.txt"))
        .env(
            "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
            format!("{VECTORS}/keys/ssh_rsa"),
        )
        .env("KSAIL_PGP_KEY_FILE", format!("{VECTORS}/keys/rsa.sec.asc"))
        .env("GNUPGHOME", gnupg);
}

fn run(home: &Home, program: &str, arguments: &[&str], file: &Path) -> Vec<u8> {
    let mut command = home.command(program);
    with_keys(&mut command, &home.path("gnupg"));
    // sops looks for the rules from here, ksail from the file.
    command.current_dir(home.path(""));
    let output = command.args(arguments).arg(file).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?} {}\n{}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("skipped: {program} is not in PATH");
    }
    there
}

/// sops takes the OpenPGP keys from GnuPG.
fn has_judge(home: &Home) -> bool {
    if !is_there("sops") || !is_there("gpg") {
        return false;
    }
    let folder = home.path("gnupg");
    std::fs::create_dir(&folder).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let key = PathBuf::from(format!("{VECTORS}/keys/rsa.sec.asc"));
    run(home, "gpg", &["--batch", "--quiet", "--import"], &key);
    true
}

/// sops leaves some comments closed, each time with another nonce.
fn masked(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .split('\n')
        .filter(|line| !line.trim_start().starts_with("#ENC["))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is left of an encrypted file when ciphertext and metadata are taken away: which values are sealed, and the layout.
fn shape(name: &str, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let text = match name.rsplit_once('.').unwrap().1 {
        "yaml" => text.split("\nsops:\n").next().unwrap().to_owned(),
        "ini" => text.split("[sops]").next().unwrap().to_owned(),
        "env" => text
            .lines()
            .filter(|line| !line.starts_with("sops_"))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => {
            let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
            document.as_object_mut().unwrap().remove("sops");
            document.to_string()
        }
    };
    let mut parts = text.split("ENC[AES256_GCM,data:");
    let mut shape = parts.next().unwrap().to_owned();
    for part in parts {
        let (sealed, rest) = part.split_once(']').unwrap();
        shape.push_str("SEALED ");
        shape.push_str(sealed.rsplit_once(",type:").unwrap().1);
        shape.push_str(rest);
    }
    shape
}

/// What the real sops opens the file to, with this selector.
fn opened(name: &str, selector: &str) -> String {
    let (stem, end) = name.rsplit_once('.').unwrap();
    let of =
        |selector: &str| std::fs::read(format!("{VECTORS}/cipher/opened/{stem}.{selector}.{end}"));
    masked(&of(selector).or_else(|_| of("default")).unwrap())
}

/// Each selector meets each format, and each kind of key meets both; `KSAIL_FULL_MATRIX=1` takes all three crossed.
#[test]
fn every_format_for_every_kind_of_key_goes_there_and_back() {
    let home = Home::new();
    let judged = has_judge(&home);
    let full = std::env::var_os("KSAIL_FULL_MATRIX").is_some();
    let ksail = env!("CARGO_BIN_EXE_ksail");
    let (mut files, mut judgements) = (0, 0);
    let kinds = kinds();
    for (k, (kind, keys)) in kinds.iter().enumerate() {
        for (s, (selector, lines)) in SELECTORS.iter().enumerate() {
            for (f, name) in FILES.iter().enumerate() {
                if !full && (k + s + f) % kinds.len() != 0 {
                    continue;
                }
                let what = format!("{kind}, {selector}, {name}");
                let rules = format!("creation_rules:\n  - {keys}\n    {lines}\n");
                home.write(".sops.yaml", &rules);
                let opened = opened(name, selector);
                let file = home.path(name);
                let plain = std::fs::read(format!("{VECTORS}/cipher/plain/{name}")).unwrap();
                std::fs::write(&file, &plain).unwrap();
                run(&home, ksail, &["cipher", "encrypt", "--in-place"], &file);
                let ours = std::fs::read(&file).unwrap();
                assert_ne!(ours, plain, "{what}");
                let back = run(&home, ksail, &["cipher", "decrypt"], &file);
                assert!(masked(&back) == opened, "{what} is not what it was");
                files += 1;
                if !judged {
                    continue;
                }
                let back = run(&home, "sops", &["decrypt"], &file);
                assert!(
                    masked(&back) == opened,
                    "sops opens {what} to something else"
                );
                std::fs::write(&file, &plain).unwrap();
                run(&home, "sops", &["encrypt", "--in-place"], &file);
                let theirs = std::fs::read(&file).unwrap();
                assert_eq!(shape(name, &ours), shape(name, &theirs), "{what}");
                let back = run(&home, ksail, &["cipher", "decrypt"], &file);
                assert!(masked(&back) == opened, "{what} of sops is not what it was");
                judgements += 2;
            }
        }
    }
    println!("{files} files; sops judged {judgements}");
    if judged {
        let mut command = home.command("gpgconf");
        let _ = command
            .args(["--kill", "all"])
            .env("GNUPGHOME", home.path("gnupg"))
            .status();
    }
}

/// What sops 1.13 and 1.18 wrote: no key groups, an `attention` text, an empty list of a kind, values of the type `bytes`.
#[test]
fn files_of_old_versions_open_and_keep_what_is_not_known() {
    let home = Home::new();
    let ksail = env!("CARGO_BIN_EXE_ksail");
    for (name, change) in [
        ("v1.yaml", Some(("[\"app2\"][\"port\"]", "5432"))),
        ("v1.18.json", Some(("[\"app2\"][\"port\"]", "5432"))),
        ("v1.18.txt", None),
    ] {
        let file = home.path(name);
        std::fs::copy(format!("{VECTORS}/cipher/old/{name}"), &file).unwrap();
        let expected = std::fs::read(format!("{VECTORS}/cipher/old/{name}.opened")).unwrap();
        let opened = run(&home, ksail, &["cipher", "decrypt"], &file);
        assert_eq!(opened, expected, "{name}");
        let Some((path, old)) = change else {
            continue;
        };
        let mut command = home.command(ksail);
        with_keys(&mut command, &home.path("gnupg"));
        let set = command
            .args(["cipher", "set"])
            .arg(&file)
            .args([path, "5433"])
            .status()
            .unwrap();
        assert!(set.success(), "{name}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("attention"), "{text}");
        let changed = run(&home, ksail, &["cipher", "decrypt"], &file);
        let expected = String::from_utf8(expected).unwrap();
        assert_eq!(
            String::from_utf8(changed).unwrap(),
            expected.replace(old, "5433")
        );
    }
}
