//! Parsers of encrypted files against broken and hostile input: nothing panics, nothing grows without bound.

use ksail::cipher::document::Sealed;
use ksail::cipher::format::{self, Format, Layout};
use ksail::cipher::key::age::{self, Identities};
use ksail::cipher::key::{Kind, Recipient, pgp};
use ksail::cipher::path::Path;
use ksail::cipher::rules::Rules;

use crate::fuzz;

/// Pieces that mean something to one parser or another; random bytes alone would hardly get past its first line.
const WORDS: &[&str] = &[
    "sops",
    "sops_",
    "sops__",
    "mac",
    "version",
    "lastmodified",
    "age",
    "pgp",
    "kms",
    "enc",
    "recipient",
    "fp",
    "arn",
    "__list_0__map_",
    "__list_99999999__map_",
    "__map_",
    "[",
    "]",
    "{",
    "}",
    ":",
    ": ",
    ", ",
    "=",
    "#",
    ";",
    "\n",
    "\n  ",
    "\n    - ",
    "- ",
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "<<: *a",
    "|\n",
    ">-\n",
    "|2+\n",
    "!!str ",
    "!!binary ",
    "? ",
    "'",
    "\"",
    "\\",
    "\\n",
    "\\u0000",
    "\\x",
    "%YAML 1.1\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "\u{2028}",
    "~",
    "null",
    "true",
    "0x7f",
    "0o17",
    "1e999",
    "-.inf",
    ".nan",
    "9223372036854775808",
    "2001-12-14t21:59:43.10-05:00",
    "ENC[AES256_GCM,data:Cg==,iv:AA==,tag:AA==,type:str]",
    "ENC[AES256_GCM,",
    ",type:comment]",
    "creation_rules",
    "destination_rules",
    "stores",
    "path_regex",
    "key_groups",
    "shamir_threshold",
    "unencrypted_suffix",
    "(?i)",
    "(a+)+$",
    "-----BEGIN AGE ENCRYPTED FILE-----\n",
    "-----END AGE ENCRYPTED FILE-----\n",
    "-----BEGIN PGP MESSAGE-----\n\n",
    "-----END PGP MESSAGE-----\n",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n",
    "age-encryption.org/v1\n",
    "-> X25519 ",
    "-> scrypt AAAA 99\n",
    "--- ",
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==",
    "AGE-SECRET-KEY-1",
    "age1",
    "ssh-ed25519 AAAA",
    "arn:aws:kms:eu-west-1:111122223333:key/x",
    "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    "https://v.vault.azure.net/keys/k/1",
    "https://v/v1/transit/keys/k",
    "KBXf",
    "é",
    "\u{10ffff}",
];

/// Files that the real tools wrote.
fn files() -> Vec<Vec<u8>> {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let mut files: Vec<Vec<u8>> = Vec::new();
    for folder in ["cipher/sealed", "cipher/plain", "keys"] {
        let entries = std::fs::read_dir(format!("{vectors}/{folder}"));
        files.extend(
            entries
                .unwrap()
                .map(|entry| std::fs::read(entry.unwrap().path()).unwrap()),
        );
    }
    assert!(files.len() > 20);
    files
}

/// Gives everything to every parser; what reads is written and read again.
fn feed(bytes: &[u8]) {
    for format in Format::ALL {
        if let Ok(branches) = format::read_plain(format, bytes)
            && let Ok(text) = format::write_plain(format, &branches, Layout::default())
        {
            let again = format::read_plain(format, &text);
            assert!(
                again.is_ok(),
                "{format:?} does not read what it wrote: {text:?}"
            );
        }
        if let Ok(sealed) = Sealed::read(format, bytes) {
            let _ = sealed.write(format, Layout::default());
            let _ = sealed.open(&[7; 32], ksail::cipher::document::Mac::Ignore);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(rules) = Rules::read(&text) {
        let _ = rules.find(&text);
        let _ = rules.find("a/b.yaml");
    }
    let _ = Path::parse(&text);
    let _ = format::read_value(&text);
    for kind in &Kind::ALL {
        let _ = Recipient::parse(*kind, &text);
    }
    let ask: age::Ask = std::sync::Arc::new(|_| None);
    let mut identities = Identities::default();
    let _ = identities.read("x", &text);
    let (own, _) = age::generate();
    let _ = identities.read("own", own.expose());
    let _ = identities.unlock("age1x", &text, &ask);
    let mut keys = pgp::Keys::default();
    let _ = keys.read("x", bytes);
    let _ = keys.unlock(&text, &ask);
}

#[test]
fn soups_of_meaningful_pieces_break_nothing() {
    fuzz::run(&fuzz::soup(WORDS), 2, |bytes| feed(&bytes));
}

#[test]
fn damaged_files_break_nothing() {
    fuzz::run(&fuzz::damaged(files()), 2, |bytes| feed(&bytes));
}
