//! Signing requests to AWS with version 4 of its signatures.
//!
//! Pure: the time comes in as text. Only what POST requests with a body need.

use ring::{digest, hmac};

use crate::secret::Secret;

/// An access key.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) token: Option<Secret>,
}

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// Header names in lower case and their values.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a str,
    /// Such as `20150830T123600Z`.
    pub(super) time: &'a str,
}

/// Gives the headers to add: the time, the session token and the signature.
pub(super) fn sign(request: &Request<'_>, by: &Credentials) -> Vec<(&'static str, String)> {
    let day = request.time.get(..8).unwrap_or_default();
    let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
    headers.push(("host", request.host));
    headers.push(("x-amz-date", request.time));
    if let Some(token) = &by.token {
        headers.push(("x-amz-security-token", token.expose()));
    }
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines = headers.iter().fold(String::new(), |lines, (name, value)| {
        lines + name + ":" + value.trim() + "\n"
    });
    let canonical = format!(
        "POST\n{}\n\n{lines}\n{names}\n{}",
        escape(request.path, true),
        hash(request.body)
    );
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        request.time,
        hash(&canonical)
    );
    let start = format!("AWS4{}", by.secret.expose());
    let key = [day, request.region, request.service, "aws4_request"]
        .iter()
        .fold(start.into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    let mut added = vec![
        ("x-amz-date", request.time.to_owned()),
        (
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
                by.id
            ),
        ),
    ];
    if let Some(token) = &by.token {
        added.push(("x-amz-security-token", token.expose().to_owned()));
    }
    added
}

/// Escapes a text for a path or a form.
pub(super) fn escape(text: &str, keep_slashes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || (keep_slashes && byte == b'/') {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    escaped
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hash(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Request, sign};
    use crate::secret::Secret;

    #[test]
    fn signs_the_published_example() {
        // The case `post-vanilla` of the vendor's test suite.
        let by = Credentials {
            id: "AKIDEXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: None,
        };
        let request = Request {
            region: "us-east-1",
            service: "service",
            host: "example.amazonaws.com",
            path: "/",
            headers: &[],
            body: "",
            time: "20150830T123600Z",
        };
        let headers = sign(&request, &by);
        assert!(
            headers[1]
                .1
                .ends_with("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            "{headers:?}"
        );
    }
}
