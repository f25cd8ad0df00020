//! Watching over HTTP: a line of JSON per change.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::query::Query;
use super::read::{Filter, expired, revision};
use super::registry::Kind;
use super::status::{Cause, Status};
use crate::embedded::server::Server;
use crate::embedded::store::{Change, ChangeKind, Object, Watch};

/// How often a watch that wants bookmarks is told how far it is.
const BOOKMARKS: Duration = Duration::from_mins(1);

/// Makes the text of an object as this watch wants it.
pub type Render = Arc<dyn Fn(&Arc<Object>) -> Bytes + Send + Sync>;

struct Following {
    watch: Watch,
    filter: Filter,
    render: Render,
    waiting: VecDeque<Bytes>,
    bookmarks: bool,
    kind: Arc<Kind>,
    next_bookmark: Instant,
    end: Option<Instant>,
    over: bool,
}

/// Begins a watch as a request wants it.
pub fn follow(
    server: &Server,
    kind: &Arc<Kind>,
    filter: Filter,
    query: &Query,
    render: Render,
) -> Result<impl Stream<Item = Bytes> + Send + 'static, Status> {
    // Where a list calls this a bad request, a watch has always called it its own mistake.
    let asked = revision(query.text("resourceVersion")).map_err(|status| {
        let message = status.message.replacen("invalid resource version: ", "", 1);
        Status::new(500, "", message)
    })?;
    let bookmarks = query.flag("allowWatchBookmarks");
    let initial = query.maybe_flag("sendInitialEvents");
    check_initial(initial, query)?;
    let store = server.store();
    let mut waiting = VecDeque::new();
    // Without a revision, or with zero, a watch begins with what is there.
    let from_now = matches!(asked, None | Some(0)) && initial != Some(false);
    let after = if from_now || initial == Some(true) {
        let listing = store.list(kind.bucket(), &filter.prefix);
        let found = listing.objects.iter().filter(|object| filter.takes(object));
        waiting.extend(found.map(|object| line("ADDED", &render(object))));
        if initial == Some(true) && bookmarks {
            waiting.push_back(bookmark(kind, listing.revision, true));
        }
        listing.revision
    } else {
        match asked {
            None | Some(0) => store.revision(),
            Some(asked) => asked,
        }
    };
    let watch = store
        .watch(kind.bucket(), after)
        .map_err(|old| expired(after, old.oldest))?;
    let now = Instant::now();
    let end = query.number("timeoutSeconds")?.filter(|s| *s > 0);
    let following = Following {
        watch,
        filter,
        render,
        waiting,
        bookmarks,
        kind: Arc::clone(kind),
        next_bookmark: now + BOOKMARKS,
        // Far enough for anybody, near enough to be a time.
        end: end.map(|seconds| now + Duration::from_secs(seconds.min(365 * 24 * 3600))),
        over: false,
    };
    Ok(futures::stream::unfold(
        following,
        |mut following| async move {
            let piece = following.next().await?;
            Some((piece, following))
        },
    ))
}

fn check_initial(initial: Option<bool>, query: &Query) -> Result<(), Status> {
    if initial.is_none() {
        return Ok(());
    }
    let complain = |message: &str| {
        let cause = Cause::forbidden("resourceVersionMatch", message);
        Err(Status::invalid_options("ListOptions", &[cause]))
    };
    if query.text("resourceVersionMatch") != "NotOlderThan" {
        return complain("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    Ok(())
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.take_waiting() {
                return Some(piece);
            }
            if self.over {
                return None;
            }
            let end = self.end;
            let until_end = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changes = self.watch.next() => match changes {
                    Ok(changes) => self.take(&changes),
                    Err(old) => self.fail(&expired(self.watch.seen(), old.oldest)),
                },
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARKS;
                    self.waiting.push_back(bookmark(&self.kind, self.watch.seen(), false));
                }
                () = until_end => {
                    self.over = true;
                    if self.bookmarks {
                        self.waiting.push_back(bookmark(&self.kind, self.watch.seen(), false));
                    }
                }
            }
        }
    }

    /// All lines that are ready, in one piece, so that a burst costs few writes.
    fn take_waiting(&mut self) -> Option<Bytes> {
        let first = self.waiting.pop_front()?;
        if self.waiting.is_empty() {
            return Some(first);
        }
        let mut piece = first.to_vec();
        while let Some(line) = self.waiting.pop_front() {
            piece.extend_from_slice(&line);
            if piece.len() > 64 << 10 {
                break;
            }
        }
        Some(Bytes::from(piece))
    }

    fn take(&mut self, changes: &[Change]) {
        for change in changes {
            let is = change.kind != ChangeKind::Deleted && self.filter.takes(&change.object);
            let was = change
                .before
                .as_ref()
                .is_some_and(|before| self.filter.takes(before));
            let kind = match (was, is) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => continue,
            };
            self.waiting
                .push_back(line(kind, &(self.render)(&change.object)));
        }
    }

    fn fail(&mut self, status: &Status) {
        let status = Bytes::from(status.to_json().to_string());
        self.waiting.push_back(line("ERROR", &status));
        self.over = true;
    }
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + 40);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    Bytes::from(out)
}

fn bookmark(kind: &Kind, revision: u64, initial: bool) -> Bytes {
    let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
    if initial && let Some(metadata) = metadata.as_object_mut() {
        let note = json!({"k8s.io/initial-events-end": "true"});
        metadata.insert("annotations".to_owned(), note);
    }
    let object: Value = json!({
        "kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata,
    });
    line("BOOKMARK", object.to_string().as_bytes())
}
