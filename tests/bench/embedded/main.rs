//! Measures the embedded control plane: `scripts/bench-embedded`.
//!
//! Every measurement is a function here or in a module beside it; arguments name the ones to run, none means all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::naive_bytecount,
    reason = "a program that measures says what it found and stops at the first surprise"
)]

mod life;
mod wire;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ksail::embedded::home::{Home, Identity};
use ksail::embedded::{InProcess, process};
use serde_json::json;

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let all: &[(&str, fn())] = &[
        ("start", start),
        ("process", start_process),
        ("wire", wire::run),
        ("pods", life::pods),
        ("deployments", life::deployments),
        ("watchers", wire::watchers),
        ("fork", fork),
    ];
    for (name, measure) in all {
        if asked.is_empty() || asked.iter().any(|word| word == name) {
            measure();
        }
    }
}

/// Runs a future on the threads that the server's own process has.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// Prints the median and the extremes of several runs.
fn spread(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    println!(
        "{what}: median {:.1?}, least {:.1?}, most {:.1?} of {}",
        at(times.len() / 2),
        at(0),
        at(times.len().saturating_sub(1)),
        times.len()
    );
}

fn start() {
    let times = (0..21).map(|_| {
        block_on(async {
            let begin = Instant::now();
            let cluster = InProcess::new().await.unwrap();
            let namespaces = cluster.server().kind("", "namespaces").unwrap();
            assert!(!cluster.server().list(&namespaces, "").objects.is_empty());
            begin.elapsed()
        })
    });
    spread("start to ready in process", times.collect());
}

/// A server process of its own on a folder that goes with it.
pub(crate) struct Process {
    pub(crate) home: Home,
    pub(crate) number: i32,
    _folder: tempfile::TempDir,
}

impl Process {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity {
            name: "bench".to_owned(),
            kubernetes: "1.35.4".to_owned(),
            port: None,
        };
        let home = Home::create(&folder.path().join("bench"), &identity).unwrap();
        let mut process = Self {
            home,
            number: 0,
            _folder: folder,
        };
        process.resume();
        process
    }

    fn resume(&mut self) {
        process::start(&self.home, &program()).unwrap();
        // The first start settles where it is reached.
        self.home = Home::open(self.home.folder()).unwrap();
        if let process::State::Running(number) = process::status(&self.home) {
            self.number = number;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = process::stop(&self.home);
    }
}

fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_ksail"));
    std::env::var_os("KSAIL").map_or_else(|| built.to_owned(), PathBuf::from)
}

fn start_process() {
    let (mut fresh, mut again, mut stops, mut resident) = (vec![], vec![], vec![], vec![]);
    for _ in 0..9 {
        let folder = tempfile::tempdir().unwrap();
        drop(folder);
        let mut process = Process::start();
        resident.push(memory_of(process.number));
        let begin = Instant::now();
        process::stop(&process.home).unwrap();
        stops.push(begin.elapsed());
        let begin = Instant::now();
        process.resume();
        again.push(begin.elapsed());
        let other = Identity {
            name: "other".to_owned(),
            kubernetes: "1.35.4".to_owned(),
            port: None,
        };
        let at = process.home.folder().with_file_name("other");
        let other = Home::create(&at, &other).unwrap();
        let begin = Instant::now();
        process::start(&other, &program()).unwrap();
        fresh.push(begin.elapsed());
        process::stop(&other).unwrap();
    }
    spread("start to ready as a process", fresh);
    spread("the same on a folder that was served before", again);
    spread("asked to end until ended", stops);
    resident.sort_unstable();
    println!(
        "resident of an idle cluster's process: {:.1} MB",
        resident.get(resident.len() / 2).copied().unwrap_or(0) as f64 / 1024.0
    );
}

/// What a process holds in memory, in KiB.
pub(crate) fn memory_of(process: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// The time on processors that a process has used; on a busy machine it says more than the clock.
pub(crate) fn effort_of(process: i32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let rest = text.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse().ok())
        .collect();
    Duration::from_millis(ticks.iter().sum::<u64>() * 10)
}

pub(crate) fn own_number() -> i32 {
    std::process::id().try_into().unwrap_or(0)
}

fn fork() {
    block_on(async {
        let cluster = InProcess::new().await.unwrap();
        let kind = cluster.server().kind("", "configmaps").unwrap();
        let options = ksail::embedded::write::Options::controller("bench");
        for number in 0..10_000 {
            let value = json!({
                "metadata": {"name": format!("c-{number}"), "namespace": "default"},
                "data": {"number": number.to_string()},
            });
            let server = cluster.server();
            server.create(&kind, "", value, &options).await.unwrap();
        }
        let mut times = Vec::new();
        let mut forks = Vec::new();
        for _ in 0..21 {
            let begin = Instant::now();
            let fork = cluster.fork().await.unwrap();
            assert_eq!(fork.server().list(&kind, "default").objects.len(), 10_001);
            times.push(begin.elapsed());
            forks.push(fork);
        }
        spread("fork of a cluster of 10,000 objects, started", times);
        let times = (0..21).map(|_| {
            let begin = Instant::now();
            let store = cluster.server().store().fork();
            let time = begin.elapsed();
            drop(store);
            time
        });
        spread("fork of its store alone", times.collect());
    });
}
