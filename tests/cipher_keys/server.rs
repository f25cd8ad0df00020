//! A small HTTP server that answers like the key services, written from their published interfaces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// One request as it came.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// A running server and what it was asked.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
}

/// Starts a server on a free port; it ends with the process.
pub(crate) fn start() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || serve(stream, &seen));
        }
    });
    Server { address, asked }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(text) = header.strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
        headers.push(header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked {
        line: line.trim().to_owned(),
        headers,
        body: String::from_utf8(body).ok()?,
    };
    let (status, answer) = answer(&asked);
    seen.lock().unwrap().push(asked);
    let text = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
    .ok()
}

fn answer(asked: &Asked) -> (u16, Value) {
    let path = asked.line.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let is = |header: &str| asked.headers.iter().any(|one| one == header);
    // "Encrypting" is turning round: enough to see that bytes come back.
    let turned = |text: &str| text.chars().rev().collect::<String>();
    match path {
        "/token" | "/tenant/oauth2/v2.0/token" => (200, json!({ "access_token": "good" })),
        path if path.starts_with("/v1/transit/") => {
            if !is("x-vault-token: good") {
                return (403, json!({ "errors": ["permission denied"] }));
            }
            match path.trim_start_matches("/v1/transit/") {
                "encrypt/k" => {
                    let text = format!("vault:v1:{}", turned(&text("plaintext")));
                    (200, json!({ "data": { "ciphertext": text } }))
                }
                "decrypt/k" => {
                    let text = text("ciphertext");
                    let text = turned(text.trim_start_matches("vault:v1:"));
                    (200, json!({ "data": { "plaintext": text } }))
                }
                _ => (404, json!({ "errors": ["no handler for route"] })),
            }
        }
        path if path.starts_with("/v1/projects/") => {
            if !is("authorization: bearer good") {
                let error = json!({ "code": 403, "message": "Permission denied.", "status": "PERMISSION_DENIED" });
                return (403, json!({ "error": error }));
            }
            match path.rsplit_once("/k:") {
                Some((_, "encrypt")) => (200, json!({ "ciphertext": flip(&text("plaintext")) })),
                Some((_, "decrypt")) => (200, json!({ "plaintext": flip(&text("ciphertext")) })),
                _ => {
                    let error =
                        json!({ "code": 404, "message": "not found", "status": "NOT_FOUND" });
                    (404, json!({ "error": error }))
                }
            }
        }
        path if path.starts_with("/keys/") => {
            if !is("authorization: bearer good") {
                return (
                    401,
                    json!({ "error": { "code": "Unauthorized", "message": "no" } }),
                );
            }
            match path {
                "/keys/k" => (200, json!({ "key": { "kid": "https://v/keys/k/77" } })),
                "/keys/k/77/encrypt" | "/keys/k/77/decrypt" => {
                    let mut bytes = URL_SAFE_NO_PAD.decode(text("value")).unwrap();
                    bytes.reverse();
                    (200, json!({ "value": URL_SAFE_NO_PAD.encode(bytes) }))
                }
                _ => (
                    404,
                    json!({ "error": { "code": "KeyNotFound", "message": "no key" } }),
                ),
            }
        }
        "/denied/oauth2/v2.0/token" => (401, json!({ "error": "invalid_client" })),
        // AWS says in the key's identifier what it is asked to answer.
        "/" => match text("KeyId").rsplit('/').next() {
            Some("denied") => (
                400,
                json!({ "__type": "AccessDeniedException", "Message": "no" }),
            ),
            Some("odd") => (200, json!({})),
            Some("down") => (503, json!("later")),
            _ => (400, json!({ "__type": "NotFoundException" })),
        },
        "/federation/credentials" => {
            if !is("x-amz-sso_bearer_token: signed-on") {
                return (401, json!({ "message": "Session token not found" }));
            }
            let keys = json!({ "accessKeyId": "id", "secretAccessKey": "s", "sessionToken": "t" });
            (200, json!({ "roleCredentials": keys }))
        }
        _ => (500, json!("what")),
    }
}

fn flip(text: &str) -> String {
    let mut bytes = STANDARD.decode(text).unwrap();
    bytes.reverse();
    STANDARD.encode(bytes)
}
