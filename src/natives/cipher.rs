//! Encrypted files: what was encrypted comes as secrets, opened with keys that the run was given.
//!
//! Reading is pure enough for a definition: the same file opens to the same values. What makes keys or ciphertext is random
//! or writes, so it is an effect.

use std::path::PathBuf;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map, Module};

use super::Entry;
use super::effect::too_early;
use crate::cipher::document::Mac;
use crate::cipher::format::{Format, Layout};
use crate::cipher::key::{Kind, age};
use crate::cipher::path::Path as TreePath;
use crate::cipher::scope::Selectors;
use crate::diag::codes::cipher::{KEY_NOT_LENT, NO_RECIPIENTS};
use crate::diag::codes::input::{FILE_OUTSIDE, FILE_UNREADABLE};
use crate::diag::codes::model::WRONG_TYPE;
use crate::error::{Error, Result};
use crate::ops::cipher::keys::{Keys, Lent};
use crate::ops::cipher::target::{Target, Wishes, group, layout, rules_above};
use crate::ops::cipher::{self as ops, Exchange, Formats, files, in_file, reveal};
use crate::script::{Session, below, fail, from_tree, kind, to_tree};
use crate::secret::Secret;
use crate::spec::{Tree, field};

/// What `cipher::encrypt` takes beside the value.
const OPTIONS: &[&str] = &[
    "age",
    "pgp",
    "kms",
    "gcp_kms",
    "azure_keyvault",
    "hc_vault",
    "format",
    "encrypted_regex",
    "unencrypted_regex",
    "encrypted_suffix",
    "unencrypted_suffix",
];

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    let mut module = Module::new();
    let s = session.clone();
    module.set_native_fn("open", move |path: ImmutableString| {
        open(&s, &path).map_err(fail)
    });
    let s = session.clone();
    module.set_native_fn("decrypt", move |path: ImmutableString| {
        decrypt(&s, &path, None).map_err(fail)
    });
    let s = session.clone();
    module.set_native_fn(
        "decrypt",
        move |path: ImmutableString, place: ImmutableString| {
            decrypt(&s, &path, Some(&place)).map_err(fail)
        },
    );
    let s = session.clone();
    module.set_native_fn("recipients", move |path: ImmutableString| {
        recipients(&s, &path).map_err(fail)
    });
    let s = session.clone();
    module.set_native_fn("keygen", move || keygen(&s).map_err(fail));
    let s = session.clone();
    module.set_native_fn("encrypt", move |value: Dynamic, options: Map| {
        encrypt(&s, &value, &options).map_err(fail)
    });
    let s = session.clone();
    module.set_native_fn("rotate", move |path: ImmutableString| {
        rotate(&s, &path).map_err(fail)
    });
    engine.register_static_module("cipher", module.into());
}

/// The keys that the run was given.
fn keys(session: &Session) -> Result<&Keys> {
    match &session.options().keys {
        Some(lent) => Lent::keys(lent),
        None => Err(Error::new(
            &KEY_NOT_LENT,
            "the script was given no keys to decrypt with",
        )
        .help("give it those of this machine with `--allow-keys local`")),
    }
}

/// Only what is random or writes must wait for a call back.
fn effect(session: &Session, name: &str) -> Result<()> {
    if session.is_defining() {
        return Err(too_early(&format!("cipher::{name}")));
    }
    Ok(())
}

/// A file below the script, with its bytes and format.
fn file(session: &Session, path: &str) -> Result<(PathBuf, Vec<u8>, Format)> {
    let root = &session.options().root;
    let full = below(root, &root.join(path), path).ok_or_else(|| {
        Error::new(
            &FILE_OUTSIDE,
            format!("{path:?} lies outside the script's folder"),
        )
        .help("put the file below the script, or widen the folder with `--allow-read DIR`")
    })?;
    let bytes = files::read_small(&full).map_err(|cause| {
        Error::new(
            &FILE_UNREADABLE,
            format!("{path:?} cannot be read: {cause}"),
        )
        .help("paths start at the script's folder")
    })?;
    Ok((full, bytes, Format::of_path(path)))
}

/// Waits on a thread of its own: scripts run inside and outside of a runtime.
fn wait<T: Send>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let broken = || Error::new(&FILE_UNREADABLE, "the work on the encrypted file broke off");
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|cause| broken().because(cause))?;
                runtime.block_on(work)
            })
            .join()
            .unwrap_or_else(|_| Err(broken()))
    })
}

fn open(session: &Session, path: &str) -> Result<Dynamic> {
    let (full, bytes, format) = file(session, path)?;
    let keys = keys(session)?;
    let mut documents =
        wait(reveal::reveal(&bytes, format, keys)).map_err(|error| in_file(error, &full))?;
    Ok(if documents.len() == 1 {
        from_tree(&documents.remove(0))
    } else {
        from_tree(&Tree::List(documents))
    })
}

fn decrypt(session: &Session, path: &str, place: Option<&str>) -> Result<Secret> {
    let place = place.map(TreePath::parse).transpose()?;
    let (full, bytes, format) = file(session, path)?;
    let keys = keys(session)?;
    let formats = Formats {
        input: format,
        output: format,
        layout: Layout::default(),
    };
    let plain = wait(ops::decrypt(
        &bytes,
        formats,
        Mac::Check,
        place.as_ref(),
        keys,
    ))
    .map_err(|error| in_file(error, &full))?;
    let text = String::from_utf8_lossy(&plain);
    // One value is the value itself, not a line of a file.
    let text = if place.is_some() {
        text.trim_end_matches('\n')
    } else {
        text.as_ref()
    };
    Ok(Secret::new(text))
}

fn recipients(session: &Session, path: &str) -> Result<Dynamic> {
    let (full, bytes, format) = file(session, path)?;
    let readers = reveal::readers(&bytes, format).map_err(|error| in_file(error, &full))?;
    Ok(readers.iter().map(from_tree).collect::<Array>().into())
}

fn keygen(session: &Session) -> Result<Map> {
    effect(session, "keygen")?;
    let (private, public) = age::generate();
    Ok(Map::from([
        ("private_key".into(), Dynamic::from(private)),
        ("public_key".into(), public.into()),
    ]))
}

fn encrypt(session: &Session, value: &Dynamic, options: &Map) -> Result<String> {
    effect(session, "encrypt")?;
    if let Some(key) = options.keys().find(|key| !OPTIONS.contains(&key.as_str())) {
        return Err(field::unknown_key(key, OPTIONS.iter().copied()).field(key.as_str()));
    }
    let (input, bytes) = match to_tree(value, "[0]")? {
        tree @ Tree::Map(_) => (
            Format::Json,
            zeroize::Zeroizing::new(tree.exposed().to_string().into_bytes()),
        ),
        Tree::Text(text) => (Format::Binary, zeroize::Zeroizing::new(text.into_bytes())),
        Tree::Secret(secret) => (
            Format::Binary,
            zeroize::Zeroizing::new(secret.expose().as_bytes().to_vec()),
        ),
        other => {
            return Err(Error::new(
                &WRONG_TYPE,
                format!("this is {}, not something to encrypt", other.kind()),
            )
            .help("give a map or a text")
            .field("[0]"));
        }
    };
    let output = match text(options, "format")? {
        None if input == Format::Binary => Format::Binary,
        None => Format::Yaml,
        Some(name) => Format::named(&name).ok_or_else(|| {
            Error::new(&WRONG_TYPE, format!("there is no format {name:?}"))
                .help("the formats are yaml, json, dotenv, ini and binary")
                .field("format")
        })?,
    };
    let target = target(options)?;
    let keys = match &session.options().keys {
        Some(lent) => lent.keys()?,
        // Locking for public keys of age needs no key at all.
        None => &Keys::none()?,
    };
    let formats = Formats {
        input,
        output,
        layout: Layout::default(),
    };
    let sealed = wait(ops::encrypt(&bytes, formats, &target, keys))?;
    Ok(String::from_utf8_lossy(&sealed).into_owned())
}

fn target(options: &Map) -> Result<Target> {
    let mut typed = Vec::new();
    for (kind, key) in [
        (Kind::Age, "age"),
        (Kind::Pgp, "pgp"),
        (Kind::AwsKms, "kms"),
        (Kind::GcpKms, "gcp_kms"),
        (Kind::AzureKeyVault, "azure_keyvault"),
        (Kind::Vault, "hc_vault"),
    ] {
        match options
            .get(key)
            .map(|value| to_tree(value, key))
            .transpose()?
        {
            None => {}
            Some(Tree::Text(text)) => typed.push((kind, text)),
            Some(Tree::List(list)) => {
                for entry in list {
                    let text = entry.as_text().ok_or_else(|| not_text(entry.kind(), key))?;
                    typed.push((kind, text.to_owned()));
                }
            }
            Some(other) => return Err(not_text(other.kind(), key)),
        }
    }
    let group = group(&typed, &Wishes::default())?;
    if group.is_empty() {
        return Err(
            Error::new(&NO_RECIPIENTS, "nobody would be able to read the text")
                .help("name a recipient, such as #{ age: \"age1…\" }"),
        );
    }
    let named = |key: &str| Ok::<_, Error>(text(options, key)?.unwrap_or_default());
    let selectors = Selectors {
        encrypted_regex: named("encrypted_regex")?,
        unencrypted_regex: named("unencrypted_regex")?,
        encrypted_suffix: named("encrypted_suffix")?,
        unencrypted_suffix: named("unencrypted_suffix")?,
        ..Selectors::default()
    };
    Ok(Target {
        groups: vec![group],
        selectors: selectors.settle()?,
        ..Target::default()
    })
}

fn text(options: &Map, key: &str) -> Result<Option<String>> {
    let Some(value) = options.get(key) else {
        return Ok(None);
    };
    value
        .as_immutable_string_ref()
        .map(|text| Some(text.to_string()))
        .map_err(|_| not_text(&kind(value), key))
}

fn not_text(what: &str, key: &str) -> Error {
    Error::new(&WRONG_TYPE, format!("this is {what}, not a text")).field(key)
}

fn rotate(session: &Session, path: &str) -> Result<()> {
    effect(session, "rotate")?;
    let (full, bytes, format) = file(session, path)?;
    let keys = keys(session)?;
    let rules = rules_above(&full)?;
    let formats = Formats {
        input: format,
        output: format,
        layout: layout(rules.as_ref()),
    };
    let exchange = Exchange::default();
    let rotated = wait(ops::rotate(&bytes, formats, &exchange, Mac::Check, keys))
        .map_err(|error| in_file(error, &full))?;
    files::replace(&full, &rotated)
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "cipher",
        name: "cipher::open",
        signatures: &["cipher::open(path)"],
        summary: "Opens an encrypted file below the script: a map whose encrypted values are secrets; a list of maps for several documents.",
        example: "let db = cipher::open(\"secrets.enc.yaml\");\ncluster(\"prod\", #{ distribution: k3s(), components: [flux(#{ values: #{ password: db.postgres.password } })] })",
    },
    Entry {
        group: "cipher",
        name: "cipher::decrypt",
        signatures: &["cipher::decrypt(path)", "cipher::decrypt(path, place)"],
        summary: "Decrypts a file below the script to one secret: the whole text, or the value at a place.",
        example: "let password = cipher::decrypt(\"secrets.enc.yaml\", `[\"postgres\"][\"password\"]`);\ncluster(\"prod\", #{ distribution: k3s(), registries: [#{ host: \"ghcr.io\", username: \"me\", password: password }] })",
    },
    Entry {
        group: "cipher",
        name: "cipher::recipients",
        signatures: &["cipher::recipients(path)"],
        summary: "Says who can open an encrypted file, without any key: maps with `kind`, `recipient` and `group`.",
        example: "let readers = cipher::recipients(\"secrets.enc.yaml\");\nif readers.len() == 0 { throw \"nobody reads it\" }\ncluster(\"dev\", #{ distribution: kwok() })",
    },
    Entry {
        group: "cipher",
        name: "cipher::keygen",
        signatures: &["cipher::keygen()"],
        summary: "Makes an age key, in tasks, tests and hooks: a map with `public_key` and the secret `private_key`.",
        example: "task(\"key\", || print(cipher::keygen().public_key));\ncluster(\"dev\", #{ distribution: kwok() })",
    },
    Entry {
        group: "cipher",
        name: "cipher::encrypt",
        signatures: &["cipher::encrypt(value, #{ age: …, format: … })"],
        summary: "Encrypts a map or a text for recipients, in tasks, tests and hooks: gives the text of a sops file.",
        example: "task(\"seal\", || {\n    let key = cipher::keygen();\n    print(cipher::encrypt(#{ password: \"hunter2\" }, #{ age: key.public_key }));\n});\ncluster(\"dev\", #{ distribution: kwok() })",
    },
    Entry {
        group: "cipher",
        name: "cipher::rotate",
        signatures: &["cipher::rotate(path)"],
        summary: "Gives an encrypted file below the script a new data key, in tasks, tests and hooks.",
        example: "task(\"rotate\", || cipher::rotate(\"secrets.enc.yaml\"));\ncluster(\"dev\", #{ distribution: kwok() })",
    },
];
