//! One sealed value: AES-256-GCM with the value's path as additional data.
//!
//! The text form is `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`. Which values are sealed is decided in `walk`.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{Aes256Gcm, AesGcm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::number;
use super::tree::{Comment, Value};
use crate::diag::codes::cipher::{BROKEN_VALUE, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

/// Bytes of a fresh nonce.
pub const NONCE: usize = 32;

type Wide = AesGcm<Aes256, U32>;

/// Seals and opens values under one data key.
pub struct Sealer {
    wide: Box<Wide>,
    narrow: Box<Aes256Gcm>,
}

impl Sealer {
    /// Prepares the cipher for a data key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            wide: Box::new(Wide::new(key.into())),
            narrow: Box::new(Aes256Gcm::new(key.into())),
        }
    }

    /// Seals a value; an empty text stays empty.
    pub fn seal(&self, value: &Value, path: &str, nonce: &[u8; NONCE]) -> Result<String> {
        if is_empty(value) {
            return Ok(String::new());
        }
        let kind = type_word(value).ok_or_else(|| {
            Error::new(
                &UNSUPPORTED_SHAPE,
                format!("cannot encrypt {}", value.kind()),
            )
        })?;
        let mut data = Zeroizing::new(hashed_bytes(value));
        let tag = self
            .wide
            .encrypt_inout_detached(nonce.into(), path.as_bytes(), data.as_mut_slice().into())
            .map_err(|_| Error::new(&UNSUPPORTED_SHAPE, "the value is too long to encrypt"))?;
        Ok(format!(
            "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{kind}]",
            STANDARD.encode(data.as_slice()),
            STANDARD.encode(nonce),
            STANDARD.encode(tag),
        ))
    }

    /// Opens a sealed text; gives the value and the nonce it was sealed with.
    pub fn open(&self, text: &str, path: &str) -> Result<(Value, Vec<u8>)> {
        if text.is_empty() {
            return Ok((Value::text(""), Vec::new()));
        }
        let parts = Parts::read(text)?;
        let mut data = Zeroizing::new(parts.data);
        let tag: &[u8; 16] = parts
            .tag
            .as_slice()
            .try_into()
            .map_err(|_| broken("its tag has not 16 bytes"))?;
        let aad = path.as_bytes();
        let opened = match parts.nonce.len() {
            32 => {
                let nonce: &[u8; 32] = parts
                    .nonce
                    .as_slice()
                    .try_into()
                    .map_err(|_| broken("its iv is cut off"))?;
                self.wide.decrypt_inout_detached(
                    nonce.into(),
                    aad,
                    data.as_mut_slice().into(),
                    tag.into(),
                )
            }
            12 => {
                let nonce: &[u8; 12] = parts
                    .nonce
                    .as_slice()
                    .try_into()
                    .map_err(|_| broken("its iv is cut off"))?;
                self.narrow.decrypt_inout_detached(
                    nonce.into(),
                    aad,
                    data.as_mut_slice().into(),
                    tag.into(),
                )
            }
            other => return Err(broken(&format!("its iv has {other} bytes instead of 32"))),
        };
        opened.map_err(|_| {
            Error::new(&BROKEN_VALUE, "the encrypted value does not belong here or was changed")
                .help("the key, the path of the value and its text must all be those it was encrypted with; restore the file from version control")
        })?;
        let plain = std::mem::take(&mut *data);
        Ok((typed(plain, &parts.kind)?, parts.nonce))
    }
}

struct Parts {
    data: Vec<u8>,
    nonce: Vec<u8>,
    tag: Vec<u8>,
    kind: String,
}

impl Parts {
    fn read(text: &str) -> Result<Self> {
        let form = || broken("it has not the form ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]");
        let inner = text.strip_prefix("ENC[AES256_GCM,data:").ok_or_else(form)?;
        let (data, rest) = inner.split_once(",iv:").ok_or_else(form)?;
        let (nonce, rest) = rest.split_once(",tag:").ok_or_else(form)?;
        let (tag, rest) = rest.split_once(",type:").ok_or_else(form)?;
        let (kind, _) = rest.rsplit_once(']').ok_or_else(form)?;
        let bytes = |name: &str, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|cause| broken(&format!("its {name} is not base64")).because(cause))
        };
        Ok(Self {
            data: bytes("data", data)?,
            nonce: bytes("iv", nonce)?,
            tag: bytes("tag", tag)?,
            kind: kind.to_owned(),
        })
    }
}

/// Whether a text looks like a sealed value.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with("ENC[AES256_GCM,data:")
}

fn broken(what: &str) -> Error {
    Error::new(
        &BROKEN_VALUE,
        format!("the encrypted value cannot be read: {what}"),
    )
    .help("the file was cut off or edited by hand; restore it from version control")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Text(text) | Value::Comment(Comment { text, .. }) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        _ => false,
    }
}

fn type_word(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Text(_) | Value::Bytes(_) => "str",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Bool(_) => "bool",
        Value::Time(_) => "time",
        Value::Comment(_) => "comment",
        Value::Null | Value::List(_) | Value::Map(_) => return None,
    })
}

fn typed(bytes: Vec<u8>, kind: &str) -> Result<Value> {
    if matches!(kind, "str" | "bytes") {
        return Ok(Value::from_bytes(bytes));
    }
    let text = String::from_utf8(bytes).map_err(|_| broken("its content is not UTF-8"))?;
    let unlike = || {
        broken(&format!(
            "its content is not of the type {kind} that it names"
        ))
    };
    Ok(match kind {
        "int" => Value::Int(text.parse().map_err(|_| unlike())?),
        "float" => Value::Float(text.parse().map_err(|_| unlike())?),
        "bool" => Value::Bool(match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => return Err(unlike()),
        }),
        "time" => Value::Time(text),
        "comment" => Value::Comment(Comment {
            text,
            inline: false,
        }),
        other => return Err(broken(&format!("its type `{other}` is unknown"))),
    })
}

/// Gives the bytes that are sealed and that the integrity code is made over.
pub fn hashed_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) | Value::Time(text) | Value::Comment(Comment { text, .. }) => {
            text.as_bytes().to_vec()
        }
        Value::Bytes(bytes) => bytes.clone(),
        Value::Int(number) => number.to_string().into_bytes(),
        Value::Float(number) => number::plain(*number).into_bytes(),
        Value::Bool(true) => b"True".to_vec(),
        Value::Bool(false) => b"False".to_vec(),
        Value::Null | Value::List(_) | Value::Map(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::Sealer;
    use crate::cipher::tree::Value;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealer = Sealer::new(&[7; 32]);
        for value in [
            Value::text("geheim"),
            Value::Int(-5),
            Value::Float(1.5),
            Value::Bool(true),
            Value::Time("2024-01-02T03:04:05Z".into()),
        ] {
            let text = sealer.seal(&value, "a:b:", &[9; 32]).unwrap();
            let (opened, nonce) = sealer.open(&text, "a:b:").unwrap();
            assert_eq!((opened, nonce.len()), (value, 32));
            assert!(sealer.open(&text, "a:c:").is_err(), "another path");
            assert!(
                Sealer::new(&[8; 32]).open(&text, "a:b:").is_err(),
                "another key"
            );
        }
    }

    #[test]
    fn refuses_broken_texts() {
        let sealer = Sealer::new(&[7; 32]);
        for text in [
            "ENC[",
            "ENC[AES256_GCM,data:,iv:,tag:,type:str]",
            "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]",
            "ENC[AES256_GCM,data:!,iv:AA==,tag:AA==,type:str]",
            "plain",
        ] {
            assert!(sealer.open(text, "a:").is_err(), "{text}");
        }
    }
}
