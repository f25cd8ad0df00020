//! `kubectl logs`: simulated pods say what KWOK's `Logs` and `ClusterLogs` kinds have them say.
//!
//! Without such an object there is nothing to show, and the answer says so. The files are on the machine that the control
//! plane runs on, as they are for KWOK.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::path::Target;
use super::registry::Kind;
use super::status::Status;
use super::{Answer, Call, resource, tail};
use crate::embedded::reach::Reach as _;
use crate::embedded::stages::kinds;

/// Answers a request for logs.
pub(super) fn answer(call: &Call<'_>, kind: &Arc<Kind>, target: &Target) -> Result<Answer, Status> {
    let pod = resource::find(call, kind, target)?;
    let value = pod.value();
    let container = container_of(&value, &target.name, call.query.text("container"))?;
    let node = value.reach("/spec/nodeName").and_then(Value::as_str);
    if node.is_none_or(str::is_empty) {
        return Ok(Answer::plain(204, ""));
    }
    let field = match call.query.flag("previous") {
        true => "previousLogsFile",
        false => "logsFile",
    };
    let said = kinds::behaviour(call.server, "logs", &target.namespace, &target.name)
        .into_iter()
        .find(|said| kinds::is_about(said, &container))
        .unwrap_or_default();
    let file = said.get(field).and_then(Value::as_str).map(str::to_owned);
    let Some(file) = file else {
        let message = format!(
            "{} \"{}\" is simulated: there is no container behind it to read logs from; a Logs object of kwok.x-k8s.io/v1alpha1 can say what container \"{container}\" prints",
            kind.resource(),
            target.name
        );
        return Err(Status::new(501, "NotImplemented", message));
    };
    let text = std::fs::read(&file).map_err(|cause| {
        Status::new(
            500,
            "InternalError",
            format!("the log file {file} cannot be read: {cause}"),
        )
    })?;
    let mut shown: &[u8] = &text;
    if let Some(lines) = call.query.number("tailLines")? {
        shown = last_lines(shown, usize::try_from(lines).unwrap_or(usize::MAX));
    }
    let most = call.query.number("limitBytes")?;
    let most = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    if let Some(most) = most {
        shown = shown.get(..most).unwrap_or(shown);
    }
    let first = Bytes::copy_from_slice(shown);
    // As with KWOK, whoever describes the log says whether it goes on.
    let goes_on = said.get("follow") == Some(&Value::Bool(true));
    if !(call.query.flag("follow") && goes_on) {
        return Ok(Answer::text(200, first).media("text/plain"));
    }
    let place = tail::Place {
        file: file.into(),
        read: text.len() as u64,
        left: most.map(|most| (most as u64).saturating_sub(first.len() as u64)),
    };
    let gone = call.server.watch(kind, pod.revision()).ok();
    let stream = tail::follow(place, first, tail::until_gone(gone, pod.key().to_owned()));
    Ok(Answer::stream(Box::pin(stream)).media("text/plain"))
}

/// The container that is meant.
pub(super) fn container_of(pod: &Value, name: &str, asked: &str) -> Result<String, Status> {
    let of = |field: &str| {
        let list = pod.reach(field).and_then(Value::as_array);
        let list = list.into_iter().flatten();
        let names = list.filter_map(|one| Some(one.get("name")?.as_str()?.to_owned()));
        names.collect::<Vec<String>>()
    };
    let containers = of("/spec/containers");
    if !asked.is_empty() {
        let known = [
            &containers,
            &of("/spec/initContainers"),
            &of("/spec/ephemeralContainers"),
        ];
        if known.iter().any(|names| names.iter().any(|n| n == asked)) {
            return Ok(asked.to_owned());
        }
        let message = format!("container {asked} is not valid for pod {name}");
        return Err(Status::bad_request(message));
    }
    let marked = pod.reach("/metadata/annotations/kubectl.kubernetes.io~1default-container");
    match (containers.as_slice(), marked.and_then(Value::as_str)) {
        (_, Some(marked)) if containers.iter().any(|n| n == marked) => Ok(marked.to_owned()),
        ([only], _) => Ok(only.clone()),
        (many, _) => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            many.join(" ")
        ))),
    }
}

fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let starts = body.iter().enumerate().rev();
    let mut ends = starts.filter(|(_, byte)| **byte == b'\n');
    match count.checked_sub(1) {
        None => &[],
        Some(skip) => match ends.nth(skip) {
            Some((at, _)) => text.get(at + 1..).unwrap_or_default(),
            None => text,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{container_of, last_lines};

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb", 5), b"a\nb");
        assert_eq!(last_lines(b"a\n", 0), b"");
    }

    #[test]
    fn a_container_must_be_named_where_there_are_several() {
        let one = json!({"spec": {"containers": [{"name": "a"}]}});
        let two = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(container_of(&one, "p", "").unwrap(), "a");
        assert!(container_of(&one, "p", "z").is_err());
        let said = container_of(&two, "p", "").unwrap_err().message;
        assert!(said.ends_with("choose one of: [a b]"));
    }
}
