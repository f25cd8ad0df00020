//! AWS KMS: a server written from its interface, and moto where it is in PATH.

use super::*;

#[tokio::test]
async fn aws_refusals_are_told_apart() {
    let server = server::start();
    let key = |name: &str| {
        let text = format!("arn:aws:kms:eu-west-1:111122223333:key/{name}");
        parse(Kind::AwsKms, &text)
    };
    let at = |address: &str| {
        variables(&[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL_KMS", address),
        ])
    };
    for (name, expected) in [
        ("denied", "E0966"),
        ("other", "E0967"),
        ("down", "E0968"),
        ("odd", "E0990"),
    ] {
        assert_eq!(code(at(&server.address), key(name)).await, expected);
    }
    assert_eq!(code(at("http://127.0.0.1:1"), key("k")).await, "E0968");
}

#[tokio::test]
async fn aws_keys_come_from_a_sign_on_once_for_many_files() {
    let server = server::start();
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let config = "[default]\nsso_session = mine\nsso_account_id = 1\nsso_role_name = r\n[sso-session mine]\nsso_start_url = https://start\nsso_region = eu-west-1\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let folder = home.path().display().to_string();
    let sources = || {
        variables(&[
            ("HOME", &folder),
            ("AWS_ENDPOINT_URL_KMS", &server.address),
            ("AWS_ENDPOINT_URL_SSO", &server.address),
        ])
    };
    let key = || parse(Kind::AwsKms, "arn:aws:kms:eu-west-1:111122223333:key/odd");
    let nobody = keyring(sources()).lock(&key(), &Part::new([1; 32])).await;
    assert_eq!(nobody.unwrap_err().code().id, "E0965");
    let token = json!({ "startUrl": "https://start", "expiresAt": "2999-01-01T00:00:00Z", "accessToken": "signed-on" });
    std::fs::write(cache.join("x.json"), token.to_string()).unwrap();
    let keys = keyring(sources());
    for _ in 0..2 {
        let problem = keys.lock(&key(), &Part::new([1; 32])).await.unwrap_err();
        assert_eq!(
            problem.code().id,
            "E0990",
            "the keys were good, the answer odd"
        );
    }
    let asked = server.asked.lock().unwrap();
    let signed = asked
        .iter()
        .filter(|one| one.line.starts_with("GET /federation/credentials?"));
    assert_eq!(signed.count(), 1);
}

fn moto() -> Option<(Process, String)> {
    if !has("moto_server", "--help") {
        return None;
    }
    let mut child = Command::new("moto_server")
        .args(["-H", "127.0.0.1", "-p", "0"])
        .env("PYTHONUNBUFFERED", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stderr.take().unwrap());
    let process = Process(child);
    let mut lines = output.lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("Running on http://"))?;
    let address = line.split("Running on ").nth(1)?.trim().to_owned();
    // What the server writes later must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    Some((process, address))
}

#[tokio::test]
async fn aws_is_spoken_to_as_moto_expects() {
    let Some((_process, at)) = moto() else {
        return;
    };
    let made = aws_post(&at, "TrentService.CreateKey", "{}");
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let environment = [
        ("AWS_ENDPOINT_URL", at.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let keys = keyring(variables(&environment));
    let mut key = AwsKms {
        arn: arn.clone(),
        role: None,
        context: IndexMap::from([("app".to_owned(), "x".to_owned())]),
        profile: None,
    };
    let sealed = there_and_back(&keys, Recipient::AwsKms(key.clone()))
        .await
        .unwrap();
    let mut other = sealed.clone();
    if let Recipient::AwsKms(key) = &mut other.recipient {
        key.context.clear();
    }
    let error = keys.unlock(&other).await.unwrap_err();
    assert_eq!(error.code().id, "E0956", "{error:?}");
    key.role = Some("arn:aws:iam::123456789012:role/r".to_owned());
    there_and_back(&keys, Recipient::AwsKms(key.clone()))
        .await
        .unwrap();
    key.role = None;
    key.arn = arn.replace("key/", "key/0");
    let error = there_and_back(&keys, Recipient::AwsKms(key.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.code().id, "E0967", "{error:?}");

    let home = tempfile::tempdir().unwrap();
    let profiles = home.path().join("credentials");
    std::fs::write(
        &profiles,
        "[base]\naws_access_key_id = a\naws_secret_access_key = b\n\
         [taker]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n",
    )
    .unwrap();
    let profiles = profiles.display().to_string();
    let files = [
        ("AWS_ENDPOINT_URL", at.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", profiles.as_str()),
    ];
    key.arn.clone_from(&arn);
    key.profile = Some("taker".to_owned());
    let keys = keyring(variables(&files));
    there_and_back(&keys, Recipient::AwsKms(key.clone()))
        .await
        .unwrap();
    key.profile = Some("nobody".to_owned());
    let error = there_and_back(&keys, Recipient::AwsKms(key))
        .await
        .unwrap_err();
    assert_eq!(error.code().id, "E0965");

    if !has("sops", "--help") {
        return;
    }
    let keys = keyring(variables(&environment));
    let (home, file) = locked_for(&keys, sealed.recipient).await;
    let plain = sops(home.path(), &file, &environment);
    assert!(plain.contains("world"));
}

fn aws_post(at: &str, target: &str, body: &str) -> Value {
    use std::io::{Read as _, Write as _};
    let host = at.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-target: {target}\r\ncontent-type: application/x-amz-json-1.1\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=x\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}
