//! An engine that refuses, falls silent or dies while a cluster is made: a proxy before its socket plays it.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use super::stage::Stage;

const KWOK: &[&str] = &[
    "registry.k8s.io/etcd:3.6.10-0",
    "registry.k8s.io/kube-apiserver:v1.35.4",
    "registry.k8s.io/kube-controller-manager:v1.35.4",
    "registry.k8s.io/kube-scheduler:v1.35.4",
    "registry.k8s.io/kwok/kwok:v0.8.0",
    "busybox:1.35.0",
];
/// The longest request that is read as a whole before it is passed on.
const LARGEST: usize = 1 << 20;

/// What happens to a request.
#[derive(Clone)]
enum Fault {
    /// The proxy answers in the engine's place.
    Answer(u16, &'static str),
    /// The engine does what it was asked, and nobody hears of it.
    Silence,
    /// From here on nothing answers any more.
    Death,
}

/// A fault of the requests that contain all these words: so many pass first, then so many fail.
struct Rule {
    words: Vec<String>,
    skip: usize,
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct Inner {
    rules: Vec<Rule>,
    open: Vec<UnixStream>,
    is_dead: bool,
    /// How many requests met a fault.
    met: usize,
}

/// A proxy before the engine's socket.
struct Proxy {
    inner: Arc<Mutex<Inner>>,
}

impl Proxy {
    /// Puts a proxy between ksail and the engine; `None`, with the reason printed, if the engine has no socket.
    fn before(stage: &mut Stage) -> Option<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".into());
        let Some(engine) = host.strip_prefix("unix://").map(String::from) else {
            println!("skipped: the engine is not behind a socket");
            return None;
        };
        let path = stage.path("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = inner.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (shared, engine) = (shared.clone(), engine.clone());
                std::thread::spawn(move || {
                    let _ = pass(client, &engine, &shared);
                });
            }
        });
        let address = format!("unix://{}", path.display());
        stage.move_engine(Some(address));
        Some(Self { inner })
    }

    /// Has the requests that contain all these words fail.
    fn fail(&self, words: &[&str], skip: usize, times: usize, fault: Fault) {
        let words = words.iter().map(|word| (*word).to_string()).collect();
        self.inner.lock().unwrap().rules.push(Rule {
            words,
            skip,
            times,
            fault,
        });
    }

    /// Takes all faults away and says how many requests met one.
    fn heal(&self) -> usize {
        let mut inner = self.inner.lock().unwrap();
        inner.rules.clear();
        inner.is_dead = false;
        std::mem::take(&mut inner.met)
    }
}

/// One connection, which carries one request.
fn pass(mut client: UnixStream, engine: &str, shared: &Mutex<Inner>) -> std::io::Result<()> {
    let Some(request) = request(&mut client)? else {
        return Ok(());
    };
    let fault = {
        let mut inner = shared.lock().unwrap();
        if inner.is_dead {
            return Ok(());
        }
        inner.open.push(client.try_clone()?);
        let text = String::from_utf8_lossy(&request).into_owned();
        let fault = inner.rules.iter_mut().find_map(|rule| rule.meet(&text));
        inner.met += usize::from(fault.is_some());
        if matches!(fault, Some(Fault::Death)) {
            inner.is_dead = true;
            for open in inner.open.drain(..) {
                let _ = open.shutdown(Shutdown::Both);
            }
            return Ok(());
        }
        fault
    };
    if let Some(Fault::Answer(status, words)) = fault {
        let body = format!("{{\"message\":{words:?}}}");
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        return client.write_all((head + &body).as_bytes());
    }
    let mut upstream = UnixStream::connect(engine)?;
    upstream.write_all(&request)?;
    if matches!(fault, Some(Fault::Silence)) {
        let _ = upstream.read(&mut [0; 1])?;
        return client.shutdown(Shutdown::Both);
    }
    let (mut from, mut to) = (client.try_clone()?, upstream.try_clone()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut upstream, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = up.join();
    Ok(())
}

impl Rule {
    fn meet(&mut self, request: &str) -> Option<Fault> {
        if self.times == 0
            || !self
                .words
                .iter()
                .all(|word| request.contains(word.as_str()))
        {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.fault.clone())
    }
}

/// The head of a request, with its body where that has a length. The engine is told to close the connection afterwards,
/// so that each carries one request; what is to become a stream of its own is left as it is.
fn request(client: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&byte);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let low = text.to_lowercase();
    let length = low
        .split_once("content-length:")
        .and_then(|(_, rest)| rest.lines().next()?.trim().parse::<usize>().ok());
    let mut body = vec![0; length.filter(|length| *length <= LARGEST).unwrap_or(0)];
    client.read_exact(&mut body)?;
    if !low.contains("upgrade") {
        let kept = text.trim_end().lines();
        let kept = kept.filter(|line| !line.to_lowercase().starts_with("connection:"));
        let lines: Vec<&str> = kept.chain(["Connection: close", "", ""]).collect();
        head = lines.join("\r\n").into_bytes();
    }
    head.extend_from_slice(&body);
    Ok(Some(head))
}

fn definition(name: &str) -> String {
    format!(
        r#"cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    )
}

#[test]
fn what_the_engine_refuses_is_told_and_nothing_is_left() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("x");
    let script = stage.script(&definition(&name));
    // It has no label of ksail's, and a name like one of the cluster's.
    let bystander = format!("kwok-{name}-bystander");
    stage.tool(
        "docker",
        &["create", "--name", &bystander, "busybox:1.35.0", "true"],
    );
    let create = ["POST", "/containers/create", "kube-scheduler"];
    let start = ["POST", "-etcd/start", "HTTP"];
    let network = ["POST", "/networks/create", "HTTP"];
    for (words, status, answer, code) in [
        (create, 500, "write /x: no space left on device", "E0812"),
        (create, 500, "something broke", "E0807"),
        (create, 400, "invalid mount config", "E0808"),
        (
            create,
            409,
            "Conflict. The container name \"/x\" is already in use by container \"1\"",
            "E0814",
        ),
        (start, 404, "No such container: x", "E0819"),
        (start, 500, "operation not permitted", "E0820"),
        (network, 429, "too many requests", "E0807"),
        (
            network,
            500,
            "could not find an available, non-overlapping IPv4 address pool",
            "E0813",
        ),
    ] {
        proxy.fail(&words, 0, usize::MAX, Fault::Answer(status, answer));
        let said = stage.bad(&["run", &script]);
        assert!(said.contains(code), "{status} {answer}\n{said}");
        assert!(said.contains("cluster.rhai:1:"), "{said}");
        assert!(proxy.heal() > 0);
        stage.is_gone(&format!("kwok-{name}"));
        assert!(!stage.path("kwok/clusters").join(&name).exists());
    }
    let left = stage.engine(async |engine| engine.inspect(&bystander).await);
    stage.engine(async |engine| engine.remove(&bystander).await);
    assert!(left.is_some() || stage.tool("docker", &["--version"]).is_none());
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("y");
    let script = stage.script(&definition(&name));
    let busy = Fault::Answer(429, "too many requests");
    let broken = Fault::Answer(503, "not now");
    proxy.fail(&["POST", "/networks/create"], 0, 1, busy);
    proxy.fail(&["POST", "-etcd/start"], 0, 1, broken);
    // The engine makes the container, and its answer gets lost on the way.
    let created = ["POST", "/containers/create", "kube-controller-manager"];
    proxy.fail(&created, 0, 1, Fault::Silence);
    stage.good(&["run", &script]);
    assert_eq!(proxy.heal(), 3);
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["cluster", "delete", &name, "--yes"]);
    stage.is_gone(&format!("kwok-{name}"));
}

#[test]
fn an_engine_that_dies_in_the_middle_is_told_and_the_next_run_goes_on() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("z");
    let script = stage.script(&definition(&name));
    for words in [
        ["POST", "/networks/create"],
        ["POST", "/containers/create"],
        ["POST", "-kube-apiserver/start"],
        ["POST", "-kwok-controller/start"],
    ] {
        proxy.fail(&words, 0, 1, Fault::Death);
        let said = stage.bad(&["run", &script]);
        assert!(said.contains("E0806") || said.contains("E0801"), "{said}");
        assert!(said.contains("run again"), "{said}");
        assert_eq!(proxy.heal(), 1, "{words:?}\n{said}");
        stage.good(&["run", &script]);
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
        stage.good(&["cluster", "delete", &name, "--yes"]);
        stage.is_gone(&format!("kwok-{name}"));
    }
}

/// The folder of evidence that an error names.
fn evidence(stage: &Stage, said: &str) -> std::path::PathBuf {
    let runs = stage.path("state/runs");
    let mut all = std::fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let named = all.find(|path| said.contains(&path.display().to_string()));
    named.unwrap_or_else(|| panic!("no folder is named:\n{said}"))
}

fn holds(folder: &std::path::Path, file: &str, words: &str) {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    assert!(text.contains(words), "{file} lacks {words:?}:\n{text}");
}

#[test]
fn a_failing_creation_keeps_what_its_containers_said() {
    let Some(mut stage) = Stage::set(KWOK) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let name = stage.name("v");
    let script = stage.script(&definition(&name));
    let broken = Fault::Answer(500, "operation not permitted");
    proxy.fail(&["POST", "-kwok-controller/start"], 0, usize::MAX, broken);
    let said = stage.bad(&["run", &script]);
    proxy.heal();
    stage.is_gone(&format!("kwok-{name}"));
    let folder = evidence(&stage, &said);
    let part = |component: &str, end: &str| format!("kwok-{name}-{component}.{end}");
    holds(&folder, "problem.txt", "operation not permitted");
    holds(&folder, &part("etcd", "log"), "\"level\":\"info\"");
    holds(&folder, &part("kube-apiserver", "log"), "secure_serving");
    holds(
        &folder,
        &part("kube-apiserver", "json"),
        "\"Running\": true",
    );
    holds(&folder, &part("kwok-controller", "json"), "\"created\"");
    let started = format!("start {}", part("etcd", "").trim_end_matches('.'));
    holds(&folder, "engine-events.txt", &started);
    holds(&folder, "nodes.json", "NodeList");
}

#[test]
fn a_failing_node_leaves_the_journals_of_what_runs_in_it() {
    let Some(mut stage) = Stage::set(&["kindest/node:v1.35.4"]) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let denied = || Fault::Answer(500, "operation not permitted");
    let name = stage.name("n");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: vanilla(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    ));
    proxy.fail(&["POST", "/exec", "kubeadm join"], 0, usize::MAX, denied());
    let said = stage.bad(&["run", &script]);
    assert!(proxy.heal() > 0, "{said}");
    stage.is_gone(&format!("kind-{name}"));
    let folder = evidence(&stage, &said);
    holds(&folder, &format!("{name}-control-plane.log"), "systemd");
    holds(
        &folder,
        &format!("{name}-control-plane.containerd.log"),
        "containerd",
    );
    holds(
        &folder,
        &format!("{name}-control-plane.kubelet.log"),
        "kubelet",
    );
}

#[test]
fn a_failing_agent_leaves_the_journal_of_its_containerd() {
    let Some(mut stage) = Stage::set(super::k3s::IMAGES) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    let denied = || Fault::Answer(500, "operation not permitted");
    let name = stage.name("m");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: k3s(), provider: docker(), kubernetes: "1.35.4", workers: 1 }})"#
    ));
    // Agents are started early; the second start is the one that joins.
    proxy.fail(&["POST", "-agent-0/start"], 1, usize::MAX, denied());
    let said = stage.bad(&["run", &script]);
    assert!(proxy.heal() > 0, "{said}");
    stage.is_gone(&format!("k3d-{name}"));
    let folder = evidence(&stage, &said);
    holds(&folder, &format!("k3d-{name}-server-0.log"), "k3s");
    holds(
        &folder,
        &format!("k3d-{name}-server-0.containerd.log"),
        "containerd",
    );
    holds(&folder, "nodes.json", "NodeList");
}

#[test]
fn what_somebody_froze_in_a_container_does_not_keep_it() {
    let Some(stage) = Stage::set(&["busybox:1.35.0"]) else {
        return;
    };
    let container = ksail::step::Container {
        name: format!("live{}-frozen", std::process::id()),
        image: "busybox:1.35.0".into(),
        command: Some(
            ["sh", "-c", "sleep 600 & sleep 600"]
                .map(String::from)
                .into(),
        ),
        labels: ksail::docker::labels::shared("live-test"),
        ..ksail::step::Container::default()
    };
    let id = stage.engine(async |engine| {
        let made = engine.ensure_container(&container).await?;
        engine.start(&container.name).await?;
        made.same(&container.name)
    });
    let seen = stage.engine(async |engine| engine.inspect_raw(&id).await);
    let first = seen["State"]["Pid"].as_u64().unwrap();
    let own = std::path::Path::new("/sys/fs/cgroup/freezer/docker").join(&id);
    let below = own.join("below");
    let children = format!("/proc/{first}/task/{first}/children");
    let child = std::fs::read_to_string(children).unwrap_or_default();
    let is_frozen = std::fs::create_dir(&below)
        .and_then(|()| {
            let child = child.split_whitespace().next().unwrap_or_default();
            std::fs::write(below.join("cgroup.procs"), child)
        })
        .and_then(|()| std::fs::write(below.join("freezer.state"), "FROZEN"));
    stage.engine(async |engine| engine.remove(&id).await);
    let left = stage.engine(async |engine| engine.list(&[]).await);
    let left: Vec<&str> = left.iter().map(|one| one.name.as_str()).collect();
    assert!(
        !left.iter().any(|one| one.starts_with(&container.name)),
        "{left:?}"
    );
    if let Err(problem) = is_frozen {
        println!("skipped: no cgroups of the first version to freeze: {problem}");
    }
}
