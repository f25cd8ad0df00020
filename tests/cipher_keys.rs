//! Keys of encrypted files: what sops locked opens here, what is locked here opens with sops, and services are spoken to
//! as they expect.

#[path = "cipher_keys/aws.rs"]
mod aws;
#[path = "cipher_keys/server.rs"]
mod server;
#[path = "cipher_keys/vault.rs"]
mod vault;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use indexmap::IndexMap;
use ksail::Error;
use ksail::cipher::key::{
    AwsKms, DataKey, Keyring, Kind, Order, Part, Recipient, SealedKey, lock_groups, unlock_groups,
};
use ksail::cipher::seal::Sealer;
use ksail::cloud::kms::{Found, KeySources, Keys, collect, keyring};
use ksail::secret::Secret;
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys");

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{name}")).unwrap()
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&vector(name)).unwrap()
}

fn sealed(kind: &str, entry: &Value) -> SealedKey {
    let get = |field: &str| entry[field].as_str().unwrap_or_default();
    SealedKey::read(kind, get, IndexMap::new()).unwrap()
}

fn group(section: &Value) -> Vec<SealedKey> {
    Kind::ALL
        .iter()
        .flat_map(|kind| {
            let list = section[kind.name()].as_array().cloned().unwrap_or_default();
            list.into_iter()
                .map(|entry| sealed(kind.name(), &entry))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Keys from the named files alone; every passphrase is the same.
fn with(age: &[&str], pgp: &[&str]) -> KeySources {
    let found = |name: &&str| Found {
        place: (*name).to_owned(),
        bytes: vector(name).into(),
    };
    let mut sources = KeySources::none();
    sources.age = age.iter().map(found).collect();
    sources.pgp = pgp.iter().map(found).collect();
    sources.ask = Arc::new(|_| Some(Secret::new("hunter2")));
    sources
        .variables
        .insert("SOPS_GPG_EXEC".into(), Secret::new("/nonexistent/gpg"));
    sources
}

fn variables(pairs: &[(&str, &str)]) -> KeySources {
    let mut sources = KeySources::none();
    for (name, text) in pairs {
        sources
            .variables
            .insert((*name).to_owned(), Secret::new(*text));
    }
    sources
}

fn opens(key: &DataKey, document: &Value) {
    let text = document["hello"].as_str().unwrap();
    let (value, _) = Sealer::new(key.expose()).open(text, "hello:").unwrap();
    assert_eq!(value, ksail::cipher::tree::Value::text("world"));
}

/// Every kind of key in the fixture: its files and how many recipients they open.
const EACH: &[(&[&str], &[&str])] = &[
    (&["age.txt"], &[]),
    (&["ssh_ed25519"], &[]),
    (&["ssh_ed25519_locked"], &[]),
    (&["ssh_rsa"], &[]),
    (&["locked.age"], &[]),
    (&[], &["rsa.sec.asc"]),
    (&[], &["curve.sec.asc"]),
];

#[tokio::test]
async fn every_kind_of_key_opens_what_sops_locked() {
    let document = document("all.json");
    let groups = [group(&document["sops"])];
    for (age, pgp) in EACH {
        let keys = keyring(with(age, pgp));
        let key = unlock_groups(&keys, &groups, 0, &Order::default())
            .await
            .unwrap();
        opens(&key, &document);
    }
}

#[tokio::test]
async fn enough_groups_open_what_sops_split() {
    let document = document("groups.json");
    let groups: Vec<Vec<SealedKey>> = document["sops"]["key_groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(group)
        .collect();
    for (age, pgp) in [
        (vec!["age.txt"], vec!["rsa.sec.asc"]),
        (vec!["age.txt", "locked.age"], vec![]),
        (vec!["locked.age"], vec!["rsa.sec.asc"]),
    ] {
        let keys = keyring(with(&age, &pgp));
        let key = unlock_groups(&keys, &groups, 2, &Order::default())
            .await
            .unwrap();
        opens(&key, &document);
    }
    let keys = keyring(with(&["age.txt"], &[]));
    let error = unlock_groups(&keys, &groups, 2, &Order::default())
        .await
        .unwrap_err();
    assert_eq!(error.code().id, "E0954");
}

#[tokio::test]
async fn a_failure_names_every_key_and_place() {
    let document = document("all.json");
    let groups = [group(&document["sops"])];
    let mut sources = with(&[], &[]);
    sources.looked.push("SOPS_AGE_KEY is not set".to_owned());
    let keys = keyring(sources);
    let error = unlock_groups(&keys, &groups, 0, &Order::default())
        .await
        .unwrap_err();
    let all: Vec<Error> = error.split();
    let text = format!("{all:?}");
    assert!(text.contains("age `age1"), "{text}");
    assert!(
        text.contains("pgp `42BDBE45F7D4156E55BAC364625D460193FAC817`"),
        "{text}"
    );
    assert!(text.contains("SOPS_AGE_KEY is not set"), "{text}");
}

/// Locks the fixture's data key anew for its recipients, each in a document of its own.
async fn relocked() -> Vec<(Recipient, Value)> {
    let document = document("all.json");
    let groups = [group(&document["sops"])];
    let keys = keyring(with(&["age.txt"], &["pubring.kbx"]));
    let key = unlock_groups(&keys, &groups, 0, &Order::default())
        .await
        .unwrap();
    let mut made = Vec::new();
    for one in &groups[0] {
        let recipients = vec![one.recipient.clone()];
        let now = "2026-01-01T00:00:00Z";
        let locked = lock_groups(&keys, &[recipients], 0, &key, now, &mut |_| Ok(()))
            .await
            .unwrap();
        let mut document = document.clone();
        put(&mut document["sops"], &locked[0][0]);
        made.push((one.recipient.clone(), document));
    }
    made
}

fn put(section: &mut Value, sealed: &SealedKey) {
    for kind in Kind::ALL {
        section.as_object_mut().unwrap().shift_remove(kind.name());
    }
    let mut entry = json!({ "enc": sealed.enc, "created_at": sealed.created_at });
    for (field, text) in sealed.recipient.fields() {
        entry[field] = Value::String(text);
    }
    if let Recipient::AwsKms(key) = &sealed.recipient
        && !key.context.is_empty()
    {
        entry["context"] = json!(key.context);
    }
    section[sealed.recipient.kind().name()] = json!([entry]);
}

fn has(program: &str, argument: &str) -> bool {
    let found = Command::new(program)
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        println!("skipped: {program} is not there");
    }
    found
}

fn sops(home: &Path, file: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("sops");
    command.arg("decrypt").arg(file).env("HOME", home);
    for (name, _) in std::env::vars() {
        if name.starts_with("SOPS_") || name.starts_with("AWS_") || name.starts_with("XDG_") {
            command.env_remove(name);
        }
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[tokio::test]
async fn sops_opens_what_is_locked_here() {
    if !has("sops", "--help") || !has("gpg", "--version") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let gnupg = home.path().join("g");
    std::fs::create_dir(&gnupg).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&gnupg, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let gnupg = gnupg.display().to_string();
    let imported = Command::new("gpg")
        .args(["--batch", "--quiet", "--import"])
        .arg(format!("{FOLDER}/rsa.sec.asc"))
        .env("GNUPGHOME", &gnupg)
        .status()
        .unwrap();
    assert!(imported.success());
    let mut opened = 0;
    for (recipient, document) in relocked().await {
        let file = home.path().join("file.json");
        std::fs::write(&file, document.to_string()).unwrap();
        let name = recipient.to_string();
        let age = format!("{FOLDER}/age.txt");
        let rsa = format!("{FOLDER}/ssh_rsa");
        let ed = format!("{FOLDER}/ssh_ed25519");
        let keys = [
            ("SOPS_AGE_KEY_FILE", age.as_str()),
            ("GNUPGHOME", gnupg.as_str()),
            (
                "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
                if name.starts_with("ssh-rsa") {
                    &rsa
                } else {
                    &ed
                },
            ),
        ];
        let mine = ["age13k7c", "ssh-rsa", "AAAAIFr8kZp984", "42BDBE45"];
        if !mine.iter().any(|part| name.contains(part)) {
            continue;
        }
        let plain: Value = serde_json::from_str(&sops(home.path(), &file, &keys)).unwrap();
        assert_eq!(plain["hello"], "world");
        opened += 1;
    }
    assert_eq!(opened, 4);
    let _ = Command::new("gpgconf")
        .args(["--kill", "all"])
        .env("GNUPGHOME", &gnupg)
        .status();
}

#[tokio::test]
async fn sops_joins_what_is_split_here() {
    if !has("sops", "--help") {
        return;
    }
    let mut document = document("groups.json");
    let groups: Vec<Vec<SealedKey>> = document["sops"]["key_groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(group)
        .collect();
    let keys = keyring(with(&["age.txt", "locked.age"], &[]));
    let key = unlock_groups(&keys, &groups, 2, &Order::default())
        .await
        .unwrap();
    let public = |file: &str| {
        let text = String::from_utf8(vector(file)).unwrap();
        let private = text
            .lines()
            .find(|line| line.starts_with("AGE-SECRET-KEY-"));
        ksail::cipher::key::age::public_of(&Secret::new(private.unwrap())).unwrap()
    };
    let (_, stranger) = ksail::cipher::key::age::generate();
    let (private, second) = ksail::cipher::key::age::generate();
    let recipients: Vec<Vec<Recipient>> = [stranger, second, public("age.txt")]
        .into_iter()
        .map(|text| vec![Recipient::Age(text)])
        .collect();
    let mut next = 0u8;
    let mut fill = |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(77);
            *byte = next;
        }
        Ok(())
    };
    let locked = lock_groups(&keys, &recipients, 2, &key, "", &mut fill)
        .await
        .unwrap();
    let written: Vec<Value> = locked
        .iter()
        .map(|group| json!({ "age": [{ "recipient": group[0].recipient.to_string(), "enc": group[0].enc }] }))
        .collect();
    document["sops"]["key_groups"] = Value::Array(written);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let age = format!("{FOLDER}/age.txt");
    let own = [
        ("SOPS_AGE_KEY_FILE", age.as_str()),
        ("SOPS_AGE_KEY", private.expose()),
    ];
    let plain: Value = serde_json::from_str(&sops(home.path(), &file, &own)).unwrap();
    assert_eq!(plain["hello"], "world");
}

/// A folder of GnuPG's with a secret key, and its agent running; the agent ends with it.
struct Gnupg(tempfile::TempDir);

impl Gnupg {
    fn with(key: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let gnupg = Self(home);
        let key = format!("{FOLDER}/{key}");
        assert!(gnupg.run("gpg", &["--batch", "--quiet", "--import", &key]));
        gnupg
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        Command::new(program)
            .args(arguments)
            .env("GNUPGHOME", self.0.path())
            .status()
            .unwrap()
            .success()
    }

    fn environment(&self, gpg: &'static str) -> impl Fn(&str) -> Option<String> + use<> {
        let folder = self.0.path().display().to_string();
        move |name: &str| match name {
            "GNUPGHOME" => Some(folder.clone()),
            "SOPS_GPG_EXEC" => Some(gpg.to_owned()),
            _ => None,
        }
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        self.run("gpgconf", &["--kill", "all"]);
    }
}

#[tokio::test]
async fn keys_that_gnupg_holds_open_through_it() {
    if !has("gpg", "--version") {
        return;
    }
    let gnupg = Gnupg::with("rsa.sec.asc");
    let document = document("all.json");
    let groups = [group(&document["sops"])];
    assert!(gnupg.run("gpgconf", &["--kill", "gpg-agent"]));
    let sources = collect(&gnupg.environment("gpg"), Arc::new(|_| None)).unwrap();
    let opened = unlock_groups(&keyring(sources), &groups, 0, &Order::default()).await;
    opens(&opened.unwrap(), &document);
}

#[tokio::test]
async fn keys_of_a_running_agent_open_through_its_socket() {
    if !has("gpg", "--version") {
        return;
    }
    // RSA, and a curve: made here, because the one among the fixtures has a passphrase.
    let gnupg = Gnupg::with("rsa.sec.asc");
    let made = [
        "--batch",
        "--quiet",
        "--passphrase",
        "",
        "--quick-generate-key",
        "curve@example.org",
        "future-default",
        "default",
        "never",
    ];
    assert!(gnupg.run("gpg", &made));
    let sources = collect(&gnupg.environment("/nonexistent/gpg"), Arc::new(|_| None)).unwrap();
    let certificates = &sources.pgp;
    assert!(!certificates.is_empty());
    let listed = Command::new("gpg")
        .args(["--batch", "--with-colons", "--list-keys"])
        .env("GNUPGHOME", gnupg.0.path())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut primary = false;
    let mut opened = 0;
    for line in listed.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if fields[0] == "pub" {
            primary = true;
        } else if fields[0] == "fpr" && std::mem::take(&mut primary) {
            let keys = keyring(sources.clone());
            there_and_back(&keys, parse(Kind::Pgp, fields[9]))
                .await
                .unwrap();
            opened += 1;
        }
    }
    assert_eq!(opened, 2, "{listed}");
}

async fn there_and_back(keys: &Keys, recipient: Recipient) -> Result<SealedKey, Error> {
    let part = Part::new([42; 33]);
    let recipient = keys.settle(&recipient).await?;
    let enc = keys.lock(&recipient, &part).await?;
    let sealed = SealedKey {
        recipient,
        enc,
        created_at: String::new(),
    };
    let back = keys.unlock(&sealed).await?;
    assert_eq!(back.expose(), part.expose());
    Ok(sealed)
}

fn parse(kind: Kind, text: &str) -> Recipient {
    Recipient::parse(kind, text).unwrap()
}

async fn code(sources: KeySources, recipient: Recipient) -> &'static str {
    let keys = keyring(sources);
    there_and_back(&keys, recipient)
        .await
        .unwrap_err()
        .code()
        .id
}

#[tokio::test]
async fn google_is_spoken_to_as_it_expects() {
    let server = server::start();
    let at = server.address.as_str();
    let key = |name: &str| {
        let text = format!("projects/p/locations/l/keyRings/r/cryptoKeys/{name}");
        parse(Kind::GcpKms, &text)
    };
    let token = variables(&[
        ("SOPS_GCP_KMS_ENDPOINT", at),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "good"),
    ]);
    there_and_back(&keyring(token.clone()), key("k"))
        .await
        .unwrap();
    assert_eq!(code(token, key("other")).await, "E0972");
    let file = String::from_utf8(vector("gcp.json")).unwrap();
    let file = file.replace("TOKEN_URI", &format!("{at}/token"));
    let account = variables(&[("SOPS_GCP_KMS_ENDPOINT", at), ("GOOGLE_CREDENTIALS", &file)]);
    there_and_back(&keyring(account), key("k")).await.unwrap();
    let asked = server.asked.lock().unwrap().clone();
    let exchange = asked
        .iter()
        .find(|one| one.line.contains("/token"))
        .unwrap();
    assert!(exchange.body.contains("jwt-bearer&assertion=ey"));
    let bad = variables(&[
        ("SOPS_GCP_KMS_ENDPOINT", at),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "bad"),
    ]);
    assert_eq!(code(bad, key("k")).await, "E0971");
    let broken = variables(&[("GOOGLE_CREDENTIALS", "{canary")]);
    assert_eq!(code(broken, key("k")).await, "E0970");
    let dead = [
        ("SOPS_GCP_KMS_ENDPOINT", "http://127.0.0.1:1"),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "x"),
    ];
    assert_eq!(code(variables(&dead), key("k")).await, "E0973");
}

#[tokio::test]
async fn azure_is_spoken_to_as_it_expects() {
    let server = server::start();
    let at = server.address.as_str();
    let login = [
        ("AZURE_AUTHORITY_HOST", at),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "me"),
        ("AZURE_CLIENT_SECRET", "s&t"),
    ];
    let keys = keyring(variables(&login));
    let newest = parse(Kind::AzureKeyVault, &format!("{at}/keys/k"));
    let sealed = there_and_back(&keys, newest).await.unwrap();
    assert_eq!(sealed.recipient.to_string(), format!("{at}/keys/k/77"));
    let asked = server.asked.lock().unwrap().clone();
    assert!(asked[0].body.contains("client_secret=s%26t"));
    let missing = parse(Kind::AzureKeyVault, &format!("{at}/keys/k/1"));
    assert_eq!(code(variables(&login), missing).await, "E0977");
    let nowhere = parse(Kind::AzureKeyVault, "http://127.0.0.1:1/keys/k/1");
    assert_eq!(code(variables(&login), nowhere).await, "E0978");
    let mut denied = login;
    denied[1].1 = "denied";
    let any = || parse(Kind::AzureKeyVault, &format!("{at}/keys/k/77"));
    assert_eq!(code(variables(&denied), any()).await, "E0976");
    if !has("az", "--version") {
        assert_eq!(code(variables(&[]), any()).await, "E0975");
    }
}

/// Stops the server when the test ends, in whatever way.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes the fixture locked for one other recipient into a folder of its own.
async fn locked_for(keys: &Keys, recipient: Recipient) -> (tempfile::TempDir, std::path::PathBuf) {
    let mut document = document("all.json");
    let own = keyring(with(&["age.txt"], &[]));
    let groups = [group(&document["sops"])];
    let data = unlock_groups(&own, &groups, 0, &Order::default())
        .await
        .unwrap();
    let now = "2026-01-01T00:00:00Z";
    let recipients = [vec![recipient]];
    let locked = lock_groups(keys, &recipients, 0, &data, now, &mut |_| Ok(()))
        .await
        .unwrap();
    put(&mut document["sops"], &locked[0][0]);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file.json");
    std::fs::write(&file, document.to_string()).unwrap();
    (home, file)
}
