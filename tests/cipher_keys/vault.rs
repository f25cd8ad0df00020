//! The transit engine: a server written from its interface, and a real OpenBao where `bao` is in PATH.

use super::*;

#[tokio::test]
async fn vault_is_spoken_to_as_it_expects() {
    let server = server::start();
    let key = |name: &str| {
        parse(
            Kind::Vault,
            &format!("{}/v1/transit/keys/{name}", server.address),
        )
    };
    let good = || variables(&[("VAULT_TOKEN", "good"), ("VAULT_NAMESPACE", "team")]);
    let sealed = there_and_back(&keyring(good()), key("k")).await.unwrap();
    assert!(sealed.enc.starts_with("vault:v1:"));
    let asked = server.asked.lock().unwrap().clone();
    assert!(asked[0].line.starts_with("PUT /v1/transit/encrypt/k "));
    assert!(
        asked[0]
            .headers
            .contains(&"x-vault-namespace: team".to_owned())
    );
    assert_eq!(code(good(), key("other")).await, "E0982");
    assert_eq!(
        code(variables(&[("VAULT_TOKEN", "bad")]), key("k")).await,
        "E0981"
    );
    assert_eq!(code(variables(&[]), key("k")).await, "E0980");
    let nowhere = parse(Kind::Vault, "http://127.0.0.1:1/v1/transit/keys/k");
    assert_eq!(code(good(), nowhere).await, "E0983");

    if !has("sops", "--help") {
        return;
    }
    let (home, file) = locked_for(&keyring(good()), key("k")).await;
    let plain = sops(home.path(), &file, &[("VAULT_TOKEN", "good")]);
    assert!(plain.contains("world"));
}

/// A development server of OpenBao with a transit engine; gives its address.
async fn openbao() -> Option<(Process, String)> {
    if !has("bao", "version") {
        return None;
    }
    // The port is free again when the server takes it.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new("bao")
        .args(["server", "-dev", "-dev-root-token-id=root"])
        .args(["-dev-no-store-token", "-dev-listen-address", &host])
        .env("HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let process = Process(child);
    let mut lines = output.lines().map_while(Result::ok);
    lines.find(|line| line.contains("Root Token"))?;
    // What the server writes later must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    let at = format!("http://{host}");
    root(&at, "sys/mounts/transit", json!({ "type": "transit" })).await;
    root(&at, "transit/keys/k", json!({})).await;
    Some((process, at))
}

/// Asks the server as root.
async fn root(at: &str, path: &str, body: Value) -> Value {
    let answer = reqwest::Client::new()
        .post(format!("{at}/v1/{path}"))
        .header("x-vault-token", "root")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{path} {}", answer.status());
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_default()
}

#[tokio::test]
async fn a_real_transit_engine_locks_and_opens() {
    let Some((_process, at)) = openbao().await else {
        return;
    };
    let good = || variables(&[("VAULT_TOKEN", "root")]);
    let key = |name: &str| parse(Kind::Vault, &format!("{at}/v1/transit/keys/{name}"));
    let sealed = there_and_back(&keyring(good()), key("k")).await.unwrap();
    assert!(sealed.enc.starts_with("vault:v1:"));
    let refusal = async |sources: KeySources, recipient: Recipient, enc: &str| {
        let sealed = SealedKey {
            recipient,
            enc: enc.to_owned(),
            created_at: String::new(),
        };
        let error = keyring(sources).unlock(&sealed).await.unwrap_err();
        error.code().id
    };
    assert_eq!(refusal(good(), key("none"), &sealed.enc).await, "E0982");
    let elsewhere = parse(Kind::Vault, &format!("{at}/v1/elsewhere/keys/k"));
    assert_eq!(refusal(good(), elsewhere, &sealed.enc).await, "E0982");
    let mut other = sealed.enc.clone();
    other.insert_str(20, "AAAA");
    for broken in [other.as_str(), "vault:v1:AAAA", "vault:v9:AAAA", "x"] {
        assert_eq!(refusal(good(), key("k"), broken).await, "E0956", "{broken}");
    }
    let wrong = variables(&[("VAULT_TOKEN", "bad")]);
    assert_eq!(refusal(wrong, key("k"), &sealed.enc).await, "E0981");
    let made = root(&at, "auth/token/create", json!({ "policies": ["default"] })).await;
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    let poor = variables(&[("VAULT_TOKEN", &token)]);
    assert_eq!(refusal(poor, key("k"), &sealed.enc).await, "E0981");
    // A key that was turned still opens what its older version locked.
    root(&at, "transit/keys/k/rotate", json!({})).await;
    assert!(keyring(good()).unlock(&sealed).await.is_ok());
    let newer = there_and_back(&keyring(good()), key("k")).await.unwrap();
    assert!(newer.enc.starts_with("vault:v2:"));

    if !has("sops", "--help") {
        return;
    }
    let (home, file) = locked_for(&keyring(good()), key("k")).await;
    let plain = sops(home.path(), &file, &[("VAULT_TOKEN", "root")]);
    assert!(plain.contains("world"));
}
