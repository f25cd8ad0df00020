//! A proxy before the engine's socket, which counts what passes and plays an engine that fails.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use super::stage::Stage;

/// The longest request that is read as a whole before it is passed on.
const LARGEST: usize = 1 << 20;

/// What happens to a request.
#[derive(Clone)]
pub(super) enum Fault {
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
    /// What was asked, by method and path.
    asked: Vec<String>,
}

/// A proxy before the engine's socket.
pub(super) struct Proxy {
    inner: Arc<Mutex<Inner>>,
}

impl Proxy {
    /// Puts a proxy between ksail and the engine; `None`, with the reason printed, if the engine has no socket.
    pub(super) fn before(stage: &mut Stage) -> Option<Self> {
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
    pub(super) fn fail(&self, words: &[&str], skip: usize, times: usize, fault: Fault) {
        let words = words.iter().map(|word| (*word).to_string()).collect();
        self.inner.lock().unwrap().rules.push(Rule {
            words,
            skip,
            times,
            fault,
        });
    }

    /// Takes all faults away and says how many requests met one.
    pub(super) fn heal(&self) -> usize {
        let mut inner = self.inner.lock().unwrap();
        inner.rules.clear();
        inner.is_dead = false;
        std::mem::take(&mut inner.met)
    }

    /// What was asked since this was asked last, by method and path.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().asked)
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
        let line = text.lines().next().unwrap_or_default();
        inner
            .asked
            .push(line.trim_end_matches(" HTTP/1.1").to_string());
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
