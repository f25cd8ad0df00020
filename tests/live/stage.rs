//! What every live test stands on: an engine, a lock, a home, and the cleaning up.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use ksail::docker::{Engine, Listed, Settings};

use crate::home::{Home, text};

/// An engine for one test, with a home of its own.
pub(crate) struct Stage {
    home: Home,
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    /// What the names of this run's clusters begin with.
    prefix: String,
    clusters: Vec<String>,
    /// Where the programs find the engine, if not where this test does.
    host: Option<String>,
    _lock: File,
}

/// Where the engine is, as the tests' own environment says.
fn settings() -> Settings {
    let home = std::env::var("HOME").unwrap_or_default();
    Settings {
        host: std::env::var("DOCKER_HOST").ok(),
        context: std::env::var("DOCKER_CONTEXT").ok(),
        config: std::path::Path::new(&home).join(".docker"),
        platform: std::env::var("DOCKER_DEFAULT_PLATFORM").ok(),
        ..Settings::default()
    }
}

impl Stage {
    /// Sets the stage; `None`, with the reason printed, where there is no engine or an image is missing.
    pub(crate) fn set(images: &[&str]) -> Option<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let engine = match runtime.block_on(Engine::connect(&settings())) {
            Ok(engine) => engine,
            Err(problem) => {
                println!("skipped: {problem}");
                return None;
            }
        };
        for image in images {
            if !runtime.block_on(engine.has_image(image)).unwrap_or(false) {
                println!("skipped: the engine has no image {image}");
                return None;
            }
        }
        let lock = File::create(std::env::temp_dir().join("ksail-live.lock")).unwrap();
        lock.lock().unwrap();
        Some(Self {
            home: Home::new(),
            runtime,
            engine,
            prefix: format!("live{}", std::process::id()),
            clusters: Vec::new(),
            host: None,
            _lock: lock,
        })
    }

    /// Whether the engine can be reached now, by a new connection.
    pub(crate) fn is_reached(&self) -> bool {
        let again = self.runtime.block_on(Engine::connect(&settings()));
        again.is_ok()
    }

    /// Has programs find the engine at another address.
    pub(crate) fn move_engine(&mut self, host: Option<String>) {
        self.host = host;
    }

    /// A name for a cluster, which is removed at the end.
    pub(crate) fn name(&mut self, short: &str) -> String {
        let name = format!("{}{short}", self.prefix);
        self.clusters.push(name.clone());
        name
    }

    /// Writes a script into the home.
    pub(crate) fn script(&self, text: &str) -> String {
        self.home.write("cluster.rhai", text).display().to_string()
    }

    /// A path in the home.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path(name)
    }

    /// A program in the home, with the engine in reach.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.home.command(program);
        match self
            .host
            .clone()
            .map(Into::into)
            .or_else(|| std::env::var_os("DOCKER_HOST"))
        {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command.env_remove("DOCKER_HOST"),
        };
        command
            .env("KWOK_WORKDIR", self.home.path("kwok"))
            .args(arguments);
        command
    }

    /// Runs ksail.
    pub(crate) fn ksail(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_ksail"), arguments)
            .output()
            .unwrap()
    }

    /// What ksail knows of a cluster.
    pub(crate) fn info(&self, name: &str) -> serde_json::Value {
        let output = self.ksail(&["cluster", "info", name, "--output", "json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs ksail, wants success and gives everything it printed.
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.ksail(arguments);
        assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
        text(&output)
    }

    /// Runs ksail, wants failure and gives everything it printed.
    pub(crate) fn bad(&self, arguments: &[&str]) -> String {
        let output = self.ksail(arguments);
        assert!(!output.status.success(), "{arguments:?}\n{}", text(&output));
        text(&output)
    }

    /// Runs ksail and kills it, beyond any handler, as soon as it says this; then everything it had said.
    pub(crate) fn kill_at(&self, arguments: &[&str], line: &str) -> String {
        let mut child = self
            .command(env!("CARGO_BIN_EXE_ksail"), arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        for part in BufReader::new(child.stderr.take().unwrap()).lines() {
            let part = part.unwrap();
            said += &part;
            said.push('\n');
            if part.contains(line) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(said.contains(line), "{line:?} was never said:\n{said}");
        said
    }

    /// Kills a run at each of these lines, each time of a new cluster, and holds that the next run brings it to its end:
    /// what `check` says of it, then nothing to change, then nothing left.
    pub(crate) fn survives_kills(
        &mut self,
        prefix: &str,
        lines: &[&str],
        definition: impl Fn(&str) -> String,
        check: impl Fn(&Self, &str),
    ) {
        for (at, line) in lines.iter().enumerate() {
            let name = self.name(&format!("k{at}"));
            let script = self.script(&definition(&name));
            self.kill_at(&["run", &script], line);
            self.good(&["run", &script]);
            check(self, &name);
            let again = self.good(&["run", &script]);
            assert!(again.contains("nothing to change"), "{line}\n{again}");
            self.good(&["cluster", "delete", &name, "--yes"]);
            self.is_gone(&format!("{prefix}-{name}"));
        }
    }

    /// Runs another program and gives its standard output; `None`, with the reason printed, if it is not there.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> Option<String> {
        match self.command(program, arguments).output() {
            Ok(output) => {
                assert!(
                    output.status.success(),
                    "{program} {arguments:?}\n{}",
                    text(&output)
                );
                Some(String::from_utf8(output.stdout).unwrap())
            }
            Err(_) => {
                println!("skipped: there is no {program}");
                None
            }
        }
    }

    /// The containers that have a label.
    pub(crate) fn containers(&self, label: &str) -> Vec<Listed> {
        self.runtime.block_on(self.engine.list(&[label])).unwrap()
    }

    /// Works with the engine itself.
    pub(crate) fn engine<T>(&self, work: impl AsyncFnOnce(&Engine) -> ksail::Result<T>) -> T {
        self.runtime.block_on(work(&self.engine)).unwrap()
    }

    /// Holds that nothing of a cluster is left: containers, networks, context, state.
    pub(crate) fn is_gone(&self, context: &str) {
        let label = format!("ksail.dev/cluster={context}");
        let containers = self.containers(&label);
        let names: Vec<&str> = containers.iter().map(|one| one.name.as_str()).collect();
        assert!(names.is_empty(), "{names:?}");
        let networks = self.engine(async |engine| engine.networks(&label).await);
        assert!(networks.is_empty(), "{networks:?}");
        let kubeconfig = std::fs::read_to_string(self.path("kubeconfig")).unwrap_or_default();
        assert!(!kubeconfig.contains(context), "{kubeconfig}");
        assert!(!self.path("state/clusters").join(context).exists());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for name in &self.clusters {
            let _ = self.ksail(&["cluster", "delete", name, "--yes"]);
        }
    }
}
