//! The last step of an answer: YAML or gzip, if the client asks for it.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::Value;

use super::body::Body;

/// Smaller bodies are not worth packing; the real server draws the line here as well.
const LEAST: usize = 128 << 10;

/// Gives a finished answer the form that the client's headers ask for.
pub(super) fn finish(asked: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    let text = |name: header::HeaderName| {
        let value = asked.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    };
    let accept = text(header::ACCEPT);
    let wants_yaml = accept.split(',').next().map(str::trim) == Some("application/yaml");
    let packed = text(header::ACCEPT_ENCODING)
        .split(',')
        .any(|coding| coding.trim().split(';').next() == Some("gzip"));
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        if packed && !wants_yaml {
            return response;
        }
        unpack(&mut response);
    }
    if wants_yaml && is_json(&response) {
        to_yaml(&mut response);
    }
    if packed {
        pack(&mut response);
    }
    response
}

fn is_json(response: &Response<Body>) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE);
    media.is_some_and(|media| media.as_bytes().starts_with(b"application/json"))
}

fn to_yaml(response: &mut Response<Body>) {
    let Body::Full(bytes) = response.body() else {
        return;
    };
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if let Ok(text) = serde_yaml::to_string(&value) {
        *response.body_mut() = Body::Full(Bytes::from(text));
        let media = HeaderValue::from_static("application/yaml");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
    }
}

fn pack(response: &mut Response<Body>) {
    let Body::Full(bytes) = response.body() else {
        return;
    };
    if bytes.len() < LEAST {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    if encoder.write_all(bytes).is_err() {
        return;
    }
    if let Ok(packed) = encoder.finish() {
        *response.body_mut() = Body::Full(Bytes::from(packed));
        mark(response.headers_mut());
    }
}

/// Says of a body that it is packed.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

fn unpack(response: &mut Response<Body>) {
    let Body::Full(bytes) = response.body() else {
        return;
    };
    let mut text = Vec::new();
    // Only what was packed here is marked so.
    if GzDecoder::new(&bytes[..]).read_to_end(&mut text).is_ok() {
        *response.body_mut() = Body::Full(Bytes::from(text));
        response.headers_mut().remove(header::CONTENT_ENCODING);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Response, header};

    use super::{LEAST, finish};
    use crate::embedded::api::body::Body;

    fn answer(size: usize, asked: &[(header::HeaderName, &str)]) -> Response<Body> {
        let headers: HeaderMap = asked
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let text = format!("{{\"a\":\"{}\"}}", "x".repeat(size));
        let mut response = Response::new(Body::Full(Bytes::from(text)));
        let media = "application/json".parse().unwrap();
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        finish(&headers, response)
    }

    #[test]
    fn only_large_answers_are_packed() {
        let gzip = [(header::ACCEPT_ENCODING, "gzip")];
        let packed =
            |response: &Response<Body>| response.headers().contains_key(header::CONTENT_ENCODING);
        assert!(packed(&answer(LEAST, &gzip)));
        assert!(!packed(&answer(10, &gzip)));
        assert!(!packed(&answer(LEAST, &[])));
    }

    #[test]
    fn what_is_packed_already_is_unpacked_for_those_who_do_not_ask_for_it() {
        let gzip: HeaderMap = [(header::ACCEPT_ENCODING, "gzip".parse().unwrap())]
            .into_iter()
            .collect();
        let packed = finish(&gzip, answer(LEAST, &[]));
        assert!(packed.headers().contains_key(header::CONTENT_ENCODING));
        let plain = finish(&HeaderMap::new(), packed);
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let Body::Full(text) = plain.body() else {
            panic!("a stream");
        };
        assert_eq!(text.len(), LEAST + 8);
    }

    #[test]
    fn yaml_is_given_to_those_who_ask() {
        let response = answer(1, &[(header::ACCEPT, "application/yaml")]);
        let Body::Full(text) = response.body() else {
            panic!("a stream");
        };
        assert_eq!(text, "a: x\n");
    }
}
