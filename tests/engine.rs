//! The Docker engine's worst moments, played by a server of our own: what ksail makes of them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use ksail::docker::{Engine, Ensured, Settings, Tail};
use ksail::step::Container;

/// What the played engine does with a request.
#[derive(Clone, Copy)]
enum Play {
    /// Answers with this status and JSON.
    Says(u16, &'static str),
    /// Closes the connection in place of an answer.
    Hangs,
    /// Begins an answer and never goes on.
    Waits,
}

/// An engine that answers by the first part of a path that fits; everything else is 404.
struct Played {
    folder: tempfile::TempDir,
}

const VERSION: (&str, Play) = ("/version", Play::Says(200, r#"{"ApiVersion":"1.41"}"#));

impl Played {
    fn new(script: &'static [(&'static str, Play)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                std::thread::spawn(move || answer(connection, script));
            }
        });
        Self { folder }
    }

    fn settings(&self) -> Settings {
        Settings {
            host: Some(format!("unix://{}/s", self.folder.path().display())),
            ..Settings::default()
        }
    }
}

fn answer(mut connection: UnixStream, script: &[(&str, Play)]) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match connection.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let play = script.iter().find(|(part, _)| path.contains(part));
    match play.map_or(Play::Says(404, r#"{"message":"none"}"#), |(_, play)| *play) {
        Play::Hangs => {}
        Play::Says(status, body) => {
            let _ = write!(
                connection,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        Play::Waits => {
            let _ = write!(
                connection,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            // Until the other side has had enough.
            let _ = connection.read(&mut byte);
        }
    }
}

fn code<T: std::fmt::Debug>(result: ksail::Result<T>) -> &'static str {
    result.unwrap_err().code().id
}

#[tokio::test]
async fn an_engine_that_is_not_there_or_too_old_says_so() {
    let nowhere = Settings {
        host: Some("unix:///nonexistent/docker.sock".into()),
        ..Settings::default()
    };
    assert_eq!(code(Engine::connect(&nowhere).await), "E0801");
    let old = Played::new(&[("/version", Play::Says(200, r#"{"ApiVersion":"1.40"}"#))]);
    assert_eq!(code(Engine::connect(&old.settings()).await), "E0802");
    let words =
        r#"{"message":"client version 1.47 is too new. Maximum supported API version is 1.40"}"#;
    let played: &'static [(&str, Play)] = vec![("/_ping", Play::Says(400, words))].leak();
    assert_eq!(
        code(Engine::connect(&Played::new(played).settings()).await),
        "E0802"
    );
    let no_engine = Played::new(&[("/version", Play::Says(200, "<html>"))]);
    assert_eq!(code(Engine::connect(&no_engine.settings()).await), "E0801");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_told_as_that() {
    let engine = Played::new(&[VERSION, ("/containers/create", Play::Hangs)]);
    let engine = Engine::connect(&engine.settings()).await.unwrap();
    let container = Container {
        name: "c".into(),
        ..Container::default()
    };
    assert_eq!(code(engine.ensure_container(&container).await), "E0806");
}

#[tokio::test]
async fn refusals_keep_the_engines_words() {
    let engine = Played::new(&[
        VERSION,
        (
            "/containers/json",
            Play::Says(500, r#"{"message":"disk on fire"}"#),
        ),
        (
            "/containers/c/start",
            Play::Says(
                500,
                r#"{"message":"Bind for 0.0.0.0:80 failed: port is already allocated"}"#,
            ),
        ),
    ]);
    let engine = Engine::connect(&engine.settings()).await.unwrap();
    let problem = engine.list(&[]).await.unwrap_err();
    assert_eq!(problem.code().id, "E0807");
    assert_eq!(problem.causes(), ["disk on fire"]);
    assert_eq!(code(engine.start("c").await), "E0811");
    assert!(engine.inspect("absent").await.unwrap().is_none());
    assert_eq!(code(engine.expect("absent").await), "E0819");
}

#[tokio::test]
async fn waiting_for_a_line_ends_with_the_container_or_with_patience() {
    let ended = Played::new(&[
        VERSION,
        ("/containers/c/logs", Play::Says(200, "")),
        (
            "/containers/c/json",
            Play::Says(
                200,
                r#"{"Id":"1","Name":"/c","State":{"Status":"exited","ExitCode":3}}"#,
            ),
        ),
    ]);
    let engine = Engine::connect(&ended.settings()).await.unwrap();
    let problem = engine
        .wait_line("c", Tail::All, Duration::from_mins(1), |_| false)
        .await
        .unwrap_err();
    assert_eq!(problem.code().id, "E0817");
    assert!(problem.message().ends_with("ended with 3"), "{problem}");
    let silent = Played::new(&[VERSION, ("/containers/c/logs", Play::Waits)]);
    let engine = Engine::connect(&silent.settings()).await.unwrap();
    let waited = engine
        .wait_line("c", Tail::All, Duration::from_millis(20), |_| false)
        .await;
    assert_eq!(code(waited), "E0818");
}

#[test]
fn a_container_of_another_definition_is_refused() {
    assert_eq!(code(Ensured::Differs("1".into()).same("c")), "E0815");
    assert_eq!(Ensured::Kept("1".into()).same("c").unwrap(), "1");
}
