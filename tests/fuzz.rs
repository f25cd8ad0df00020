//! Rounds of made-up input: a short one in every test run, longer ones on request.
//!
//! `KSAIL_FUZZ_SECONDS=3600 cargo test --test all fuzz` goes on for an hour with each target.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Feeds inputs until the time is up that was asked for; the targets of a file share it.
pub(crate) fn run<S: Strategy>(strategy: &S, share: u32, feed: impl Fn(S::Value)) {
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
        let fed = TestRunner::new(config).run(strategy, |input| {
            feed(input);
            Ok(())
        });
        fed.unwrap();
        rounds += u64::from(cases);
        let limit = seconds.map(|seconds| Duration::from_secs(seconds) / share);
        if limit.is_none_or(|limit| began.elapsed() > limit) {
            println!("{rounds} inputs");
            return;
        }
    }
}

/// Real texts with some bytes changed, cut out or doubled.
pub(crate) fn damaged(texts: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..4_u8,
        any::<u8>(),
    );
    let changes = proptest::collection::vec(change, 1..6);
    (proptest::sample::select(texts), changes).prop_map(|(mut bytes, changes)| {
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

/// Words put together at random, with some bytes between them.
pub(crate) fn soup(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = || proptest::sample::select(words);
    let piece = prop_oneof![
        8 => word().prop_map(|word| word.as_bytes().to_vec()),
        3 => "[a-zA-Z0-9_ .]{0,8}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
        1 => (word(), 1..400_usize).prop_map(|(word, times)| word.repeat(times).into_bytes()),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}
