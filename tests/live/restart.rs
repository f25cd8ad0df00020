//! The engine itself ends and comes back: in the middle of a creation, and under a cluster that runs.
//!
//! An engine is ended only where that harms nobody: by the command of `KSAIL_LIVE_ENGINE_RESTART` (such as
//! `systemctl restart docker`), else one that no service manager keeps, that this user may signal, and on which no
//! container runs. It is started again as it was.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ksail::docker::Life;

use super::stage::Stage;

/// The command that restarts the engine.
const COMMAND: &str = "KSAIL_LIVE_ENGINE_RESTART";

/// How an engine is ended and brought back.
pub(super) enum Engine {
    /// By a command of the tests' environment.
    Command(String),
    /// By signals to its own process.
    Process(Process),
}

/// An engine's process, as it can be started again.
pub(super) struct Process {
    id: String,
    arguments: Vec<String>,
    /// Names and values; with the tests' own it would find other programs than it did.
    environment: Vec<(String, String)>,
    folder: PathBuf,
    log: PathBuf,
}

impl Engine {
    /// The engine of the stage; `None`, with the reason printed, if it must not be ended.
    pub(super) fn of(stage: &Stage) -> Option<Self> {
        if let Ok(command) = std::env::var(COMMAND) {
            return Some(Self::Command(command));
        }
        let skip = |why: &str| {
            println!("skipped: {why}; {COMMAND} names a command that restarts the engine");
            None
        };
        let Some(process) = Process::find(&host()) else {
            return skip("no engine of this machine may be signalled");
        };
        if process.is_kept() {
            return skip("the engine belongs to a service manager");
        }
        let all = stage.engine(async |engine| engine.list(&[]).await);
        if all.iter().any(|one| one.life == Life::Running) {
            return skip("containers of others run on the engine");
        }
        Some(Self::Process(process))
    }

    /// Ends the engine, at once or in order, and lets something happen meanwhile; then brings it back.
    pub(super) fn strike<T>(
        &mut self,
        stage: &Stage,
        signal: &str,
        meanwhile: impl FnOnce() -> T,
    ) -> T {
        match self {
            Self::Command(command) => {
                let done = Command::new("sh").args(["-c", command]).status().unwrap();
                assert!(done.success(), "{command} failed");
            }
            Self::Process(process) => process.end(signal),
        }
        let answer = meanwhile();
        if let Self::Process(process) = self {
            process.start();
        }
        // An engine tells nobody when it listens again.
        while !stage.is_reached() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        if let Self::Process(process) = self {
            *process = Process::find(&host()).unwrap();
        }
        answer
    }
}

/// Where the engine is.
fn host() -> String {
    std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".into())
}

impl Process {
    fn find(host: &str) -> Option<Self> {
        let own = std::fs::metadata("/proc/self").ok()?.uid();
        let entries = std::fs::read_dir("/proc").ok()?;
        entries.filter_map(|entry| entry.ok()).find_map(|entry| {
            let folder = entry.path();
            let program = std::fs::read_link(folder.join("exe")).ok()?;
            let line = std::fs::read_to_string(folder.join("cmdline")).ok()?;
            let arguments: Vec<String> = line.split_terminator('\0').map(String::from).collect();
            let environment = std::fs::read_to_string(folder.join("environ")).unwrap_or_default();
            let variables = environment.split_terminator('\0');
            let variables = variables.filter_map(|text| text.split_once('='));
            let may_signal = own == 0 || std::fs::metadata(&folder).ok()?.uid() == own;
            let is_it =
                program.file_name()? == "dockerd" && arguments.iter().any(|one| one == host);
            (is_it && may_signal).then(|| Self {
                id: entry.file_name().to_string_lossy().into_owned(),
                arguments,
                environment: variables.map(|(a, b)| (a.into(), b.into())).collect(),
                folder: std::fs::read_link(folder.join("cwd")).unwrap_or("/".into()),
                log: std::fs::read_link(folder.join("fd/2")).unwrap_or_default(),
            })
        })
    }

    /// Whether a service manager would bring it back by itself, or take it amiss.
    fn is_kept(&self) -> bool {
        let groups = std::fs::read_to_string(self.path().join("cgroup")).unwrap_or_default();
        groups.contains(".service")
    }

    fn path(&self) -> PathBuf {
        Path::new("/proc").join(&self.id)
    }

    /// Ends it, and comes back when it is gone.
    fn end(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id]).status();
        assert!(sent.unwrap().success());
        let ends = Command::new("tail")
            .args(["-f", "/dev/null", "--pid", &self.id])
            .status();
        assert!(ends.unwrap().success());
    }

    /// Starts it again as it was, outliving this test.
    fn start(&self) {
        let log = File::options().append(true).open(&self.log);
        let log = log.unwrap_or_else(|_| File::create("/dev/null").unwrap());
        let mut command = Command::new("setsid");
        let command = command.arg("--fork").args(&self.arguments);
        command.env_clear().envs(self.environment.clone());
        command.current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        assert!(command.status().unwrap().success());
    }
}

fn definition(name: &str) -> String {
    format!(
        r#"cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4", workers: 2 }})"#
    )
}

/// Begins a run, and gives what it said until it says this; what it says later is read by whoever waits for it.
fn begin(
    stage: &Stage,
    script: &str,
    line: &str,
) -> (std::process::Child, std::thread::JoinHandle<String>) {
    let mut child = stage
        .command(env!("CARGO_BIN_EXE_ksail"), &["run", script])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    for part in lines.by_ref().map_while(Result::ok) {
        said += &(part + "\n");
        if said.contains(line) {
            break;
        }
    }
    assert!(said.contains(line), "{line:?} was never said:\n{said}");
    let rest = std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .fold(said, |all, part| all + &part + "\n")
    });
    (child, rest)
}

#[test]
fn an_engine_that_restarts_in_the_middle_of_a_creation_loses_nothing() {
    let Some(mut stage) = Stage::set(super::kwok::IMAGES) else {
        return;
    };
    let Some(mut engine) = Engine::of(&stage) else {
        return;
    };
    let by_command = matches!(engine, Engine::Command(_));
    let name = stage.name("er");
    let script = stage.script(&definition(&name));
    for (line, signal) in [
        ("network done", "-KILL"),
        ("machine/", "-TERM"),
        ("waiting for the API server", "-KILL"),
    ] {
        let (mut child, rest) = begin(&stage, &script, line);
        let status = engine.strike(&stage, signal, || child.wait().unwrap());
        let said = rest.join().unwrap();
        // A command may bring it back so fast that nobody noticed.
        if !by_command {
            assert!(!status.success(), "{line}\n{said}");
            assert!(
                said.contains("E0806") || said.contains("E0801"),
                "{line}\n{said}"
            );
            assert!(said.contains("run again"), "{line}\n{said}");
        }
        stage.good(&["run", &script]);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
        stage.good(&["cluster", "delete", &name, "--yes"]);
        stage.is_gone(&format!("kwok-{name}"));
    }
}

#[test]
fn a_cluster_that_ran_when_the_engine_restarted_is_found_and_mended() {
    let Some(mut stage) = Stage::set(super::kwok::IMAGES) else {
        return;
    };
    let Some(mut engine) = Engine::of(&stage) else {
        return;
    };
    let name = stage.name("ew");
    let script = stage.script(&definition(&name));
    stage.good(&["run", &script]);
    for signal in ["-TERM", "-KILL"] {
        engine.strike(&stage, signal, || ());
        // Whatever came back by itself and whatever did not: one run, and it is as it was.
        stage.good(&["run", &script]);
        let facts = stage.info(&name);
        assert_eq!(facts["state"], "running", "{facts}");
        assert_eq!(facts["nodes"].as_array().unwrap().len(), 2, "{facts}");
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
    }
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kwok-{name}"));
}

#[test]
fn nodes_that_ran_when_the_engine_was_killed_come_back() {
    let images = [super::k3s::IMAGES, &["kindest/node:v1.35.4"]].concat();
    let Some(mut stage) = Stage::set(&images) else {
        return;
    };
    let Some(mut engine) = Engine::of(&stage) else {
        return;
    };
    let names = ["ek", "ev"].map(|short| stage.name(short));
    let [k3s, vanilla] = &names;
    let script = stage.script(&format!(
        r#"let make = |name, kind| cluster(name, #{{ distribution: kind, provider: docker(), kubernetes: "1.35.4", workers: 1 }});
[make.call("{k3s}", k3s()), make.call("{vanilla}", vanilla())]"#
    ));
    stage.good(&["run", &script]);
    for signal in ["-KILL", "-TERM"] {
        engine.strike(&stage, signal, || ());
        stage.good(&["run", &script]);
        for name in &names {
            let facts = stage.info(name);
            assert_eq!(facts["state"], "running", "{facts}");
            assert_eq!(facts["nodes"].as_array().unwrap().len(), 2, "{facts}");
        }
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
    }
    stage.good(&["run", &script, "--destroy", "--yes"]);
    stage.is_gone(&format!("k3d-{k3s}"));
    stage.is_gone(&format!("kind-{vanilla}"));
}
