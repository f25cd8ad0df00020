//! What all controllers want to know of pods, kept up to date in one place.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{Change, ChangeKind, Object, Watch};

/// A pod in short.
#[derive(Clone)]
pub(in crate::embedded) struct Pod {
    pub(in crate::embedded) object: Arc<Object>,
    /// The uid of the object that controls it.
    pub(in crate::embedded) owner: Box<str>,
    pub(in crate::embedded) node: Box<str>,
    pub(in crate::embedded) phase: Box<str>,
    pub(in crate::embedded) ready: bool,
    /// Since when it is ready, in seconds since 1970.
    pub(in crate::embedded) ready_since: i64,
    pub(in crate::embedded) going: bool,
    pub(in crate::embedded) created: Box<str>,
    /// What it asks for.
    pub(in crate::embedded) asks: Usage,
    /// Whether a job controls it.
    pub(in crate::embedded) job: bool,
    /// Who is to find it a node.
    pub(in crate::embedded) scheduler: Box<str>,
    /// Whether that has to wait for somebody's consent.
    pub(in crate::embedded) gated: bool,
    /// What it keeps from others; most pods nothing.
    pub(in crate::embedded) pushes: Option<Box<Pushes>>,
}

/// What a pod keeps from others on its node, or near it.
#[derive(Clone)]
pub(in crate::embedded) struct Pushes {
    /// Ports of the node.
    pub(in crate::embedded) ports: Vec<i64>,
    /// Places where it wants certain other pods not to be.
    pub(in crate::embedded) away: Vec<Value>,
}

impl Pushes {
    fn read(pod: &Value) -> Option<Box<Self>> {
        let list = |value: &Value, at: &str| -> Vec<Value> {
            let list = value.reach(at).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let away = "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
        let pushes = Self {
            ports: host_ports(pod),
            away: list(pod, away),
        };
        (!pushes.ports.is_empty() || !pushes.away.is_empty()).then(|| Box::new(pushes))
    }
}

/// The ports of its node that a pod wants.
pub(in crate::embedded) fn host_ports(pod: &Value) -> Vec<i64> {
    fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
        let list = value.reach(at).and_then(Value::as_array);
        list.into_iter().flatten()
    }
    let ports = list(pod, "/spec/containers").flat_map(|container| list(container, "/ports"));
    ports
        .filter_map(|port| port.get("hostPort")?.as_i64())
        .filter(|port| *port > 0)
        .collect()
}

/// Resources, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Usage {
    pub(in crate::embedded) cpu: i128,
    pub(in crate::embedded) memory: i128,
    pub(in crate::embedded) pods: i128,
}

impl Usage {
    fn add(&mut self, other: Usage, times: i128) {
        self.cpu += other.cpu * times;
        self.memory += other.memory * times;
        self.pods += other.pods * times;
    }
}

impl Pod {
    fn read(object: &Arc<Object>) -> Self {
        let value = object.value();
        let text = |at: &str| -> Box<str> {
            let text = value.reach(at).and_then(Value::as_str);
            text.unwrap_or_default().into()
        };
        let (ready, ready_since) = readiness(&value);
        Self {
            object: Arc::clone(object),
            owner: object
                .controller()
                .map(|owner| owner.uid.clone())
                .unwrap_or_default(),
            node: text("/spec/nodeName"),
            phase: text("/status/phase"),
            ready,
            ready_since,
            going: object.is_going(),
            job: object
                .controller()
                .is_some_and(|owner| &*owner.kind == "Job"),
            scheduler: text("/spec/schedulerName"),
            gated: value.reach("/spec/schedulingGates/0").is_some(),
            pushes: Pushes::read(&value),
            created: text("/metadata/creationTimestamp"),
            asks: asks_of(&value),
        }
    }

    /// Whether it has neither ended nor is about to.
    pub(in crate::embedded) fn is_active(&self) -> bool {
        !self.going && !self.has_ended()
    }

    /// Whether its containers have run to their end.
    pub(in crate::embedded) fn has_ended(&self) -> bool {
        matches!(&*self.phase, "Succeeded" | "Failed")
    }
}

fn readiness(value: &Value) -> (bool, i64) {
    let conditions = value.reach("/status/conditions").and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"));
    let text = |name: &str| {
        ready
            .and_then(|ready| ready.get(name))
            .and_then(Value::as_str)
    };
    let since: Option<jiff::Timestamp> = text("lastTransitionTime").and_then(|t| t.parse().ok());
    (
        text("status") == Some("True"),
        since.map_or(0, jiff::Timestamp::as_second),
    )
}

fn asks_of(value: &Value) -> Usage {
    let sum = |name: &str, list: &str| -> Vec<i128> {
        let containers = value.reach(list).and_then(Value::as_array);
        containers
            .into_iter()
            .flatten()
            .map(|container| {
                let asked = container.reach(&format!("/resources/requests/{name}"));
                asked.and_then(quantity::of).unwrap_or(0)
            })
            .collect()
    };
    let total = |name: &str| {
        // Init containers run one after another, before the others.
        let together: i128 = sum(name, "/spec/containers").iter().sum();
        let largest = sum(name, "/spec/initContainers").into_iter().max();
        together.max(largest.unwrap_or(0))
    };
    Usage {
        cpu: total("cpu"),
        memory: total("memory"),
        pods: 1000,
    }
}

/// All pods in short, by key, by owner and by node.
pub(in crate::embedded) struct Pods {
    server: Server,
    index: Mutex<Index>,
}

#[derive(Default)]
pub(in crate::embedded) struct Index {
    watch: Option<Watch>,
    by_key: HashMap<Box<str>, Arc<Pod>>,
    by_owner: HashMap<Box<str>, BTreeMap<Box<str>, Arc<Pod>>>,
    by_node: HashMap<Box<str>, BTreeMap<Box<str>, Arc<Pod>>>,
    used: HashMap<Box<str>, Usage>,
    /// Those that keep something from others.
    pushing: BTreeMap<Box<str>, Arc<Pod>>,
    /// Those that nobody controls.
    free: BTreeMap<Box<str>, Arc<Pod>>,
}

impl Pods {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            server: server.clone(),
            index: Mutex::new(Index::default()),
        }
    }

    /// The index as of now: every write that has returned is in it.
    pub(in crate::embedded) fn look(&self) -> MutexGuard<'_, Index> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = index.watch.as_mut().map(Watch::ready);
        if let Some(Ok(changes)) = ready {
            for change in &changes {
                index.take(change);
            }
        } else if let Some(kind) = self.server.kind("", "pods") {
            let listing = self.server.list(&kind, "");
            *index = Index::default();
            for object in &listing.objects {
                index.put(Pod::read(object));
            }
            index.watch = self.server.watch(&kind, listing.revision).ok();
        }
        index
    }

    /// The pods that an object controls.
    pub(in crate::embedded) fn owned_by(&self, uid: &str) -> Vec<Arc<Pod>> {
        let index = self.look();
        let owned = index.by_owner.get(uid);
        owned
            .into_iter()
            .flat_map(|pods| pods.values().cloned())
            .collect()
    }
}

impl Index {
    fn take(&mut self, change: &Change) {
        self.remove(change.object.key());
        if change.kind != ChangeKind::Deleted {
            self.put(Pod::read(&change.object));
        }
    }

    fn put(&mut self, pod: Pod) {
        let key: Box<str> = pod.object.key().into();
        let pod = Arc::new(pod);
        if pod.owner.is_empty() {
            self.free.insert(key.clone(), Arc::clone(&pod));
        } else {
            let owned = self.by_owner.entry(pod.owner.clone()).or_default();
            owned.insert(key.clone(), Arc::clone(&pod));
        }
        if !pod.node.is_empty() {
            let there = self.by_node.entry(pod.node.clone()).or_default();
            there.insert(key.clone(), Arc::clone(&pod));
            if !pod.has_ended() {
                self.used
                    .entry(pod.node.clone())
                    .or_default()
                    .add(pod.asks, 1);
            }
        }
        if pod.pushes.is_some() {
            self.pushing.insert(key.clone(), Arc::clone(&pod));
        }
        self.by_key.insert(key, pod);
    }

    fn remove(&mut self, key: &str) {
        let Some(pod) = self.by_key.remove(key) else {
            return;
        };
        self.pushing.remove(key);
        self.free.remove(key);
        if let Some(owned) = self.by_owner.get_mut(&pod.owner) {
            owned.remove(key);
            if owned.is_empty() {
                self.by_owner.remove(&pod.owner);
            }
        }
        if let Some(there) = self.by_node.get_mut(&pod.node) {
            there.remove(key);
            if !pod.has_ended()
                && let Some(used) = self.used.get_mut(&pod.node)
            {
                used.add(pod.asks, -1);
            }
        }
    }

    /// Finds a pod by its key.
    pub(in crate::embedded) fn get(&self, key: &str) -> Option<&Arc<Pod>> {
        self.by_key.get(key)
    }

    /// All pods.
    #[allow(clippy::iter_over_hash_type, reason = "who asks sorts or counts")]
    pub(in crate::embedded) fn all(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_key.values()
    }

    /// How many there are.
    pub(in crate::embedded) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The pods that keep something from others.
    pub(in crate::embedded) fn pushing(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pushing.values()
    }

    /// The pods of a namespace that nobody controls.
    pub(in crate::embedded) fn free_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<Pod>> {
        let prefix = format!("{namespace}/");
        self.free
            .range(Box::from(prefix.as_str())..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, pod)| pod)
    }

    /// The pods of a node.
    pub(in crate::embedded) fn on_node(&self, node: &str) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_node
            .get(node)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// What the pods of a node ask for together.
    pub(in crate::embedded) fn used_on(&self, node: &str) -> Usage {
        self.used.get(node).copied().unwrap_or_default()
    }
}
