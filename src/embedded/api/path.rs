//! What a URL names.

/// A resource, or one object of it, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// Empty if the path names none.
    pub namespace: String,
    /// Such as `deployments`.
    pub plural: String,
    /// Empty for the whole collection.
    pub name: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// What follows the subresource (`proxy/…`).
    pub rest: String,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `/`: the list of paths.
    Root,
    /// `/healthz`, `/livez`, `/readyz` and their parts.
    Health(String),
    /// `/version`.
    Version,
    /// `/metrics`.
    Metrics,
    /// `/api`: the versions of the core group.
    CoreVersions,
    /// `/apis`: all groups.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    GroupVersion(String, String),
    /// `/openapi/v2`.
    OpenApi2,
    /// `/openapi/v3`, with what follows.
    OpenApi3(String),
    /// `/.well-known/openid-configuration` and `/openid/v1/jwks`.
    OpenId(String),
    /// Anything about objects.
    Resource(Target),
    /// Nothing.
    Unknown,
}

/// Reads a path.
pub fn parse(path: &str) -> Path {
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [] => Path::Root,
        ["healthz" | "livez" | "readyz", ..] => Path::Health(parts.join("/")),
        ["version"] => Path::Version,
        ["metrics"] => Path::Metrics,
        ["api"] => Path::CoreVersions,
        ["apis"] => Path::Groups,
        ["apis", group] => Path::Group((*group).to_owned()),
        ["api", version] => Path::GroupVersion(String::new(), (*version).to_owned()),
        ["apis", group, version] => Path::GroupVersion((*group).to_owned(), (*version).to_owned()),
        ["api", version, rest @ ..] => resource("", version, rest),
        ["apis", group, version, rest @ ..] => resource(group, version, rest),
        ["openapi", "v2"] => Path::OpenApi2,
        ["openapi", "v3", rest @ ..] => Path::OpenApi3(rest.join("/")),
        [".well-known", "openid-configuration"] | ["openid", "v1", "jwks"] => {
            Path::OpenId(parts.join("/"))
        }
        _ => Path::Unknown,
    }
}

fn resource(group: &str, version: &str, rest: &[&str]) -> Path {
    // `/watch/` is the old spelling of `?watch=1`; the caller learns of it from the path itself.
    let rest = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (namespace, rest) = match rest {
        // These are parts of the namespace object, not resources in it.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let (plural, name, subresource, tail): (&str, &str, &str, &[&str]) = match rest {
        [plural] => (plural, "", "", &[]),
        [plural, name] => (plural, name, "", &[]),
        [plural, name, subresource, tail @ ..] => (plural, name, subresource, tail),
        [] => return Path::Unknown,
    };
    Path::Resource(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        plural: plural.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        rest: tail.join("/"),
    })
}

/// Undoes percent-encoding; what is no encoding stays as it is.
pub fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let ([b'%', ..], [high, low, after @ ..]) = (rest, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high * 16 + low);
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Reads a query string into pairs.
pub fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |part: &str| decode(&part.replace('+', " "));
            (plain(key), plain(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Path, parse, query};

    fn resource(path: &str) -> String {
        let Path::Resource(target) = parse(path) else {
            return "none".to_owned();
        };
        format!(
            "{}|{}|{}|{}|{}|{}",
            target.group,
            target.version,
            target.namespace,
            target.plural,
            target.name,
            target.subresource
        )
    }

    #[test]
    fn reads_resource_paths() {
        for (path, expected) in [
            ("/api/v1/pods", "|v1||pods||"),
            ("/api/v1/namespaces", "|v1||namespaces||"),
            ("/api/v1/namespaces/a", "|v1||namespaces|a|"),
            ("/api/v1/namespaces/a/status", "|v1||namespaces|a|status"),
            ("/api/v1/namespaces/a/pods/b/log", "|v1|a|pods|b|log"),
            (
                "/apis/apps/v1/namespaces/a/deployments/x",
                "apps|v1|a|deployments|x|",
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "rbac.authorization.k8s.io|v1||clusterroles|system:node|",
            ),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn reads_queries() {
        let pairs = query("labelSelector=a%3Db%2Cc&watch=1&x");
        let pairs: Vec<String> = pairs.into_iter().map(|(k, v)| format!("{k}:{v}")).collect();
        assert_eq!(pairs, ["labelSelector:a=b,c", "watch:1", "x:"]);
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_panic(text in ".{0,60}") {
            parse(&text);
            query(&text);
        }
    }
}
