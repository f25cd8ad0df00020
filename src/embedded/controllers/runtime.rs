//! The loop that every controller runs in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::select_all;
use tokio_util::time::{DelayQueue, delay_queue};

use super::Pods;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::server::Server;
use crate::embedded::store::{Change, ChangeKind, Object, Watch};

/// What every controller needs.
#[derive(Clone)]
pub(in crate::embedded) struct Context {
    pub(in crate::embedded) server: Server,
    pub(in crate::embedded) pods: Arc<Pods>,
}

impl Context {
    /// Finds a built-in kind.
    pub(in crate::embedded) fn kind(&self, group: &str, plural: &str) -> Result<Arc<Kind>, Status> {
        let kind = self.server.kind(group, plural);
        kind.ok_or_else(Status::no_such_path)
    }

    /// Finds an object by its key.
    pub(in crate::embedded) fn find(&self, kind: &Kind, key: &str) -> Option<Arc<Object>> {
        self.server.store().get(kind.bucket(), key)
    }
}

/// What is to be done about a key after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Next {
    /// Nothing until something changes.
    Done,
    /// The same again after a while.
    After(Duration),
}

/// One kind of work.
pub(in crate::embedded) trait Controller: Send + 'static {
    /// Whether a key stands for many objects that change at a time, such as the pods of a set: then many changes are looked at
    /// together as soon as a look takes long.
    const GATHERS: bool = false;

    /// The kinds whose changes wake it: group and plural.
    fn sources(&self) -> &'static [(&'static str, &'static str)];

    /// Which keys a change is about; `source` counts as in [`Controller::sources`].
    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String>;

    /// Brings things to order for a key.
    fn reconcile(
        &mut self,
        context: &Context,
        key: &str,
    ) -> impl Future<Output = Result<Next, Status>> + Send;
}

/// After so many wakings in a row that were about nothing here, no hurry is made about the next.
const CALM: u32 = 16;
/// How long then more changes are waited for, to look at them together.
const NAP: Duration = Duration::from_millis(2);
/// A round through all keys that takes longer than this is followed by a rest.
const LONG: Duration = Duration::from_millis(1);
/// How many times as long the rest is.
const REST: u32 = 2;
const LONGEST_REST: Duration = Duration::from_millis(50);

struct Source {
    kind: Arc<Kind>,
    watch: Watch,
}

#[derive(Default)]
struct Queue {
    /// The keys that wait, in order, each once.
    ready: VecDeque<String>,
    queued: HashSet<String>,
    later: DelayQueue<String>,
    /// The appointments, by key: a new one takes the place of an earlier one.
    appointments: HashMap<String, delay_queue::Key>,
    failures: HashMap<String, u32>,
}

impl Queue {
    fn push(&mut self, key: String) {
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<String> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        Some(key)
    }

    fn postpone(&mut self, key: String, time: Duration) {
        let at = self.later.insert(key.clone(), time);
        if let Some(earlier) = self.appointments.insert(key, at) {
            self.later.try_remove(&earlier);
        }
    }

    /// The time of a key has come.
    fn take(&mut self, key: String) {
        self.appointments.remove(&key);
        self.push(key);
    }
}

/// Runs a controller for as long as the task lives.
pub(in crate::embedded) async fn run<C: Controller>(context: Context, mut controller: C) {
    let mut queue = Queue::default();
    let mut sources = Vec::new();
    for (at, (group, plural)) in controller.sources().iter().enumerate() {
        let Some(kind) = context.server.kind(group, plural) else {
            continue;
        };
        let watch = begin(&context, &kind, at, &mut controller, &mut queue);
        sources.push(Source { kind, watch });
    }
    let mut round = Instant::now();
    let mut idle = 0;
    loop {
        if !C::GATHERS || queue.ready.is_empty() {
            if C::GATHERS && round.elapsed() > LONG {
                tokio::time::sleep((round.elapsed() * REST).min(LONGEST_REST)).await;
            }
            collect(&context, &mut sources, &mut controller, &mut queue);
            round = Instant::now();
        }
        let Some(key) = queue.pop() else {
            wait(&mut sources, &mut queue).await;
            idle += 1;
            if idle > CALM {
                tokio::time::sleep(NAP).await;
            }
            round = Instant::now();
            continue;
        };
        idle = 0;
        match controller.reconcile(&context, &key).await {
            Ok(next) => {
                queue.failures.remove(&key);
                if let Next::After(time) = next {
                    queue.postpone(key, time);
                }
            }
            // It will be looked at again anyway if what was missing comes.
            Err(status) if status.code == 404 => {
                queue.failures.remove(&key);
            }
            Err(_) => {
                let failures = queue.failures.entry(key.clone()).or_insert(0);
                *failures = (*failures + 1).min(10);
                let wait = Duration::from_millis(5 << *failures);
                queue.postpone(key, wait);
            }
        }
        // Everything above is plain calls; others must have their turn.
        tokio::task::yield_now().await;
    }
}

/// Lists a source as if everything in it were new, and watches from there.
fn begin<C: Controller>(
    context: &Context,
    kind: &Arc<Kind>,
    at: usize,
    controller: &mut C,
    queue: &mut Queue,
) -> Watch {
    loop {
        let listing = context.server.list(kind, "");
        for object in listing.objects {
            let change = Change {
                kind: ChangeKind::Added,
                object,
                before: None,
            };
            for key in controller.keys(context, at, &change) {
                queue.push(key);
            }
        }
        // The revision is the newest there is, so only a flood in between could make this fail.
        if let Ok(watch) = context.server.watch(kind, listing.revision) {
            return watch;
        }
    }
}

fn collect<C: Controller>(
    context: &Context,
    sources: &mut [Source],
    controller: &mut C,
    queue: &mut Queue,
) {
    for (at, source) in sources.iter_mut().enumerate() {
        match source.watch.ready() {
            Ok(changes) => {
                for change in changes {
                    for key in controller.keys(context, at, &change) {
                        queue.push(key);
                    }
                }
            }
            Err(_) => {
                source.watch = begin(context, &source.kind, at, controller, queue);
            }
        }
    }
    while let Some(Some(due)) = futures::FutureExt::now_or_never(queue.later.next()) {
        queue.take(due.into_inner());
    }
}

async fn wait(sources: &mut [Source], queue: &mut Queue) {
    let changed = select_all(
        sources
            .iter_mut()
            .map(|source| Box::pin(source.watch.wait())),
    );
    let due = async {
        match queue.later.next().await {
            Some(due) => due.into_inner(),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = changed => {}
        key = due => {
            queue.take(key);
        }
    }
}
