//! `/healthz`, `/livez` and `/readyz`: that the server answers is all there is to say, in the words of the real checks.

use super::Answer;
use super::query::Query;

/// What the real server looks at; here each is true as soon as requests are answered.
const CHECKS: &[&str] = &[
    "ping",
    "log",
    "etcd",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
];
/// What only readiness asks.
const READY: &[&str] = &["informer-sync", "shutdown"];

/// Answers a path such as `readyz` or `livez/ping`; `None` if there is no such check.
pub(super) fn answer(path: &str, query: &Query) -> Option<Answer> {
    let (endpoint, check) = path.split_once('/').unwrap_or((path, ""));
    let more: &[&str] = match endpoint {
        "readyz" => READY,
        _ => &[],
    };
    let all = || CHECKS.iter().chain(more);
    if !check.is_empty() {
        return all()
            .any(|known| *known == check)
            .then(|| Answer::plain(200, "ok"));
    }
    if !query.flag("verbose") {
        return Some(Answer::plain(200, "ok"));
    }
    let mut text: String = all()
        .map(
            |check| match query.all("exclude").any(|out| out == *check) {
                true => format!("[+]{check} excluded: ok\n"),
                false => format!("[+]{check} ok\n"),
            },
        )
        .collect();
    text.push_str(&format!("{endpoint} check passed\n"));
    Some(Answer::plain(200, &text))
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::embedded::api::query::Query;

    #[test]
    fn checks_that_are_not_there_are_not_answered() {
        let query = Query::parse(Some("verbose"));
        assert!(answer("livez", &query).is_some());
        assert!(answer("readyz/shutdown", &query).is_some());
        assert!(answer("livez/shutdown", &query).is_none());
        assert!(answer("livez/nope", &query).is_none());
    }
}
