//! Parsers of encrypted files against broken and hostile input: nothing panics, nothing grows without bound.
//!
//! `KSAIL_FUZZ_SECONDS=3600 cargo test --test all cipher_fuzz` goes on for an hour; without it, a short round is made.

use std::time::{Duration, Instant};

use ksail::cipher::document::Sealed;
use ksail::cipher::format::{self, Format, Layout};
use ksail::cipher::key::age::{self, Identities};
use ksail::cipher::key::{Kind, Recipient, pgp};
use ksail::cipher::path::Path;
use ksail::cipher::rules::Rules;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

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

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        3 => "[a-zA-Z0-9_ .]{0,8}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
        1 => (proptest::sample::select(WORDS), 1..400_usize).prop_map(|(word, times)| word.repeat(times).into_bytes()),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A real file with some bytes changed, cut out or doubled.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
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
    let change = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..4_u8,
        any::<u8>(),
    );
    (
        proptest::sample::select(files),
        proptest::collection::vec(change, 1..6),
    )
        .prop_map(|(mut bytes, changes)| {
            for (at, other, how, byte) in changes {
                if bytes.is_empty() {
                    break;
                }
                let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
                let (from, to) = (at.min(other), at.max(other));
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    2 => drop(bytes.drain(from..to)),
                    _ => {
                        let piece = bytes[from..to].to_vec();
                        bytes.splice(at..at, piece);
                    }
                }
            }
            bytes
        })
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

fn run(strategy: &impl Strategy<Value = Vec<u8>>, share: u32) {
    let seconds = std::env::var("KSAIL_FUZZ_SECONDS").ok();
    let seconds: Option<u64> = seconds.and_then(|text| text.parse().ok());
    let began = Instant::now();
    let mut rounds = 0_u64;
    loop {
        let cases = if seconds.is_some() { 500 } else { 60 };
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config)
            .run(strategy, |bytes| {
                feed(&bytes);
                Ok(())
            })
            .unwrap();
        rounds += u64::from(cases);
        let limit = seconds.map(|seconds| Duration::from_secs(seconds) / share);
        if limit.is_none_or(|limit| began.elapsed() > limit) {
            println!("{rounds} inputs");
            return;
        }
    }
}

#[test]
fn soups_of_meaningful_pieces_break_nothing() {
    run(&soup(), 2);
}

#[test]
fn damaged_files_break_nothing() {
    run(&damaged(), 2);
}
