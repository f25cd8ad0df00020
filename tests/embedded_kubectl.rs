//! `kubectl` prints what it prints against a real server.
//!
//! Each file of `embedded/kubectl/` is a terminal session: `$ ` begins a command for the shell and `> ` goes on with it, what follows
//! is what it printed against a real control plane of Kubernetes 1.35.4 with simulated nodes, `[1]` the exit status if it was not 0.
//! A line `#! reason` before a command says why it prints something else here; it must do so, and the list should shrink.
//!
//! Every session has a namespace of its name and the two nodes of `nodes.yaml`. To write the answers of new commands, run
//! `KSAIL_RECORD_KUBECONFIG=… cargo test --test all embedded_kubectl`, with a fresh real cluster's kubeconfig. `KSAIL_TEST_KUBECTL`
//! names another kubectl than the one on the PATH, `KSAIL_TEST_SESSION` the only session to run.

mod session;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use ksail::embedded::home::Home;
use ksail::embedded::process;
use serde_json::json;
use tokio::process::Command;

use session::{plain, steps, written};

use crate::control_plane::made;

/// The kubectl that the sessions were recorded with; others word some things otherwise.
const VERSION: &str = "v1.35.";

/// Where commands are run: with a kubeconfig, a kubectl and a folder of their own.
struct Shell {
    folder: tempfile::TempDir,
    path: String,
}

impl Shell {
    fn new(kubectl: &Path, kubeconfig: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(kubectl, folder.path().join("bin/kubectl")).unwrap();
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        let path = format!(
            "{}:{}",
            folder.path().join("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        Self { folder, path }
    }

    /// Runs a command and says what it printed and how it ended.
    async fn run(&self, command: &str) -> String {
        let script = format!("exec 2>&1\n{command}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let mut said = plain(&String::from_utf8_lossy(&output.stdout));
        match output.status.code() {
            Some(0) => {}
            code => {
                said += &format!(
                    "[{}]\n",
                    code.map_or("killed".to_owned(), |c| c.to_string())
                )
            }
        }
        said.replace(&*self.folder.path().to_string_lossy(), "FOLDER")
    }

    async fn must(&self, command: &str) {
        let said = self.run(command).await;
        assert!(!said.ends_with("]\n"), "{command}: {said}");
    }

    /// Makes what every session finds there.
    async fn prepare(&self, session: &str) {
        let nodes = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/embedded/kubectl/nodes.yaml"
        );
        self.must(&format!("kubectl apply -f {nodes}")).await;
        self.must("kubectl wait --for=condition=Ready nodes --all --timeout=60s")
            .await;
        self.must(&format!("kubectl create namespace {session}"))
            .await;
        self.must(&format!(
            "kubectl config set-context --current --namespace {session}"
        ))
        .await;
    }
}

/// The kubectl to test with, if it is one that the sessions were recorded with.
async fn kubectl() -> Result<PathBuf, String> {
    let named = std::env::var_os("KSAIL_TEST_KUBECTL").map(PathBuf::from);
    let program = match named {
        Some(named) => named,
        None => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut all = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
            let found = all.find(|program| program.is_file());
            found.ok_or("there is no kubectl on the PATH")?
        }
    };
    let version = Command::new(&program)
        .args(["version", "--client"])
        .output()
        .await
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&version.stdout).into_owned();
    match said.lines().next() {
        Some(line) if line.contains(VERSION) => Ok(program),
        line => Err(format!(
            "the sessions are those of kubectl {VERSION}, and here is {}",
            line.unwrap_or_default()
        )),
    }
}

fn sessions() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embedded/kubectl");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "session"));
    files.sort();
    if let Some(only) = std::env::var_os("KSAIL_TEST_SESSION") {
        files.retain(|file| file.file_stem() == Some(&only));
    }
    files
}

fn name(session: &Path) -> &str {
    session.file_stem().unwrap().to_str().unwrap()
}

/// A control plane in a process of its own, as users have it; it ends with this.
struct Served {
    home: Home,
    _folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let (folder, home) = made("kubectl");
        process::start(&home, Path::new(env!("CARGO_BIN_EXE_ksail"))).unwrap();
        Self {
            home,
            _folder: folder,
        }
    }

    fn kubeconfig(&self) -> String {
        let data = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let (certificate, key) = self.home.admin().unwrap();
        let cluster = json!({
            "server": self.home.url(), "certificate-authority-data": data(&self.home.authority().unwrap()),
        });
        let user = json!({
            "client-certificate-data": data(&certificate), "client-key-data": data(key.expose()),
        });
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "c", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        })
        .to_string()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        process::stop(&self.home).unwrap();
    }
}

/// Runs a session against a fresh control plane and says what differs.
async fn compare(kubectl: &Path, session: &Path) -> Vec<String> {
    let served = Served::new();
    let shell = Shell::new(kubectl, &served.kubeconfig());
    shell.prepare(name(session)).await;
    let mut wrong = Vec::new();
    for step in steps(&std::fs::read_to_string(session).unwrap()) {
        let (real, ours) = (plain(&step.printed), shell.run(&step.command).await);
        let at = format!("{}: {}", name(session), step.command);
        if (ours == real) == step.differs.is_some() {
            let what = match step.differs {
                Some(_) => "is right now",
                None => "differs",
            };
            wrong.push(format!("{at}\n{what}; real\n{real}ours\n{ours}"));
        }
    }
    wrong
}

/// Runs a session against a real cluster and writes what it prints.
async fn record(kubectl: &Path, session: &Path, kubeconfig: &str) {
    let shell = Shell::new(kubectl, kubeconfig);
    shell.prepare(name(session)).await;
    let mut steps = steps(&std::fs::read_to_string(session).unwrap());
    for step in &mut steps {
        step.printed = shell.run(&step.command).await;
    }
    std::fs::write(session, written(&steps)).unwrap();
    shell
        .must(&format!("kubectl delete namespace {}", name(session)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_prints_what_it_prints_against_a_real_server() {
    let kubectl = match kubectl().await {
        Ok(kubectl) => kubectl,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    if let Ok(real) = std::env::var("KSAIL_RECORD_KUBECONFIG") {
        let kubeconfig = std::fs::read_to_string(real).unwrap();
        for session in sessions() {
            record(&kubectl, &session, &kubeconfig).await;
        }
        return;
    }
    let mut wrong = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for session in sessions() {
        if running.len() == 3 {
            wrong.extend(running.join_next().await.unwrap().unwrap());
        }
        let kubectl = kubectl.clone();
        running.spawn(async move { compare(&kubectl, &session).await });
    }
    wrong.extend(running.join_all().await.concat());
    assert!(
        wrong.is_empty(),
        "{} commands:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
