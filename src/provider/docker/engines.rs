//! Which engine a cluster is on: the one that its definition names, else the one that the docker command would use.
//!
//! It is written down in the cluster's folder when its first container is about to be made, so that whoever knows only the
//! cluster's name finds it again, also when the docker command has turned to another engine meanwhile. It is forgotten when
//! the cluster is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::diag::codes::docker::ENGINE_MOVED;
use crate::diag::codes::state::BROKEN_STATE;
use crate::docker::{Engine, Settings, labels};
use crate::error::{Error, Result};
use crate::spec::{Spec, Tree};
use crate::state::{State as Store, write_whole};

/// The file in a cluster's folder.
const FILE: &str = "engine.json";

/// Where an engine is, as a definition names it; without anything it is the docker command's own choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    host: Option<String>,
    context: Option<String>,
}

impl Place {
    /// The place that a definition names.
    pub(super) fn of(spec: &Spec) -> Self {
        let text = |key: &str| {
            let value = spec.provider.options.get(key).and_then(Tree::as_text);
            value.map(String::from)
        };
        Self {
            host: text("host"),
            context: text("context"),
        }
    }

    /// Whether it is the docker command's own choice.
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    fn settings(&self, usual: &Settings) -> Settings {
        if self.is_usual() {
            return usual.clone();
        }
        Settings {
            host: self.host.clone(),
            context: self.context.clone(),
            ..usual.clone()
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.host, &self.context) {
            (Some(host), _) => f.write_str(host),
            (None, Some(context)) => write!(f, "the docker context `{context}`"),
            (None, None) => f.write_str("the docker command's own choice"),
        }
    }
}

/// What is written down of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    /// The place that its definition names.
    #[serde(flatten)]
    place: Place,
    /// Where the docker command's own choice led when it was made, if its definition names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    led: Option<Place>,
}

/// The engines that are in use; each is connected to when it is first needed.
pub(super) struct Engines {
    usual: Settings,
    store: Store,
    open: Mutex<BTreeMap<Place, Engine>>,
}

impl Engines {
    pub(super) fn new(usual: Settings, store: Store) -> Self {
        Self {
            usual,
            store,
            open: Mutex::default(),
        }
    }

    /// The engine at a place.
    pub(super) async fn at(&self, place: &Place) -> Result<Engine> {
        let mut open = self.open.lock().await;
        if let Some(engine) = open.get(place) {
            return Ok(engine.clone());
        }
        let mut settings = place.settings(&self.usual);
        settings.owner = Some(self.store.owner()?);
        let engine = Engine::connect(&settings).await?;
        open.insert(place.clone(), engine.clone());
        Ok(engine)
    }

    /// Where a cluster is, by what was written down; a new one is where its definition says.
    pub(super) async fn place(&self, context: &str, spec: Option<&Spec>) -> Result<Place> {
        match self.remembered(context)? {
            Some(noted) => Ok(self.resolve(context, noted).await),
            None => Ok(spec.map(Place::of).unwrap_or_default()),
        }
    }

    /// The engine of a cluster.
    pub(super) async fn of(&self, context: &str, spec: Option<&Spec>) -> Result<Engine> {
        self.at(&self.place(context, spec).await?).await
    }

    /// Where a cluster is made, which is written down; one that was begun elsewhere is not begun a second time.
    pub(super) async fn settle(&self, context: &str, spec: &Spec) -> Result<Place> {
        let wanted = Place::of(spec);
        let noted = self.remembered(context)?;
        if let Some(noted) = &noted {
            let there = self.resolve(context, noted.clone()).await;
            if there != wanted {
                let message = format!("{context} is on another engine: {there}");
                return Err(Error::new(&ENGINE_MOVED, message).help(format!(
                    "remove it there first: `ksail cluster delete {context}`"
                )));
            }
        }
        let now = Noted {
            led: wanted.is_usual().then(|| self.led()).transpose()?,
            place: wanted.clone(),
        };
        if noted.as_ref() != Some(&now) {
            self.remember(context, &now)?;
        }
        Ok(wanted)
    }

    /// Writes down that a cluster is made where another one is.
    pub(super) fn follow(&self, context: &str, other: &str) -> Result<()> {
        match self.remembered(context)? {
            Some(noted) => self.remember(other, &noted),
            None => Ok(()),
        }
    }

    /// Where the docker command's own choice leads now.
    fn led(&self) -> Result<Place> {
        let (host, context) = self.usual.choice()?;
        Ok(Place { host, context })
    }

    /// Where a cluster is now. The docker command's own choice may have changed since the cluster was made: it is still the
    /// one that counts, unless the cluster is not there and is where it was.
    async fn resolve(&self, context: &str, noted: Noted) -> Place {
        let Some(led) = noted.led.filter(|_| noted.place.is_usual()) else {
            return noted.place;
        };
        let has_moved = self.led().is_ok_and(|now| now != led);
        if has_moved && !self.has(&Place::default(), context).await && self.has(&led, context).await
        {
            return led;
        }
        Place::default()
    }

    /// Whether anything of a cluster is at a place.
    async fn has(&self, place: &Place, context: &str) -> bool {
        let label = format!("{}={context}", labels::CLUSTER);
        match self.at(place).await {
            Ok(engine) => engine
                .list(&[&label])
                .await
                .is_ok_and(|all| !all.is_empty()),
            Err(_) => false,
        }
    }

    fn remember(&self, context: &str, noted: &Noted) -> Result<()> {
        let text = serde_json::to_string(noted).unwrap_or_default();
        let path = self.path(context);
        write_whole(&path, text.as_bytes()).map_err(|cause| {
            let message = format!("{} cannot be written", path.display());
            Error::new(&crate::diag::codes::state::STATE_UNWRITABLE, message).because(cause)
        })
    }

    /// Forgets where a cluster was.
    pub(super) fn forget(&self, context: &str) {
        // What is not forgotten here goes with the cluster's folder.
        let _ = std::fs::remove_file(self.path(context));
    }

    /// All places where clusters may be: the usual one and those that were written down, with their clusters.
    pub(super) async fn all(&self) -> Result<BTreeMap<Place, BTreeSet<String>>> {
        let mut all = BTreeMap::from([(Place::default(), BTreeSet::new())]);
        for context in self.store.contexts()? {
            if let Some(noted) = self.remembered(&context)? {
                let place = self.resolve(&context, noted).await;
                if !place.is_usual() {
                    all.entry(place).or_default().insert(context);
                }
            }
        }
        Ok(all)
    }

    fn remembered(&self, context: &str) -> Result<Option<Noted>> {
        let path = self.path(context);
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|cause| {
            Error::new(&BROKEN_STATE, format!("{} cannot be read", path.display()))
                .because(cause)
                .help("mend the file: it names the engine that the cluster is on")
        })
    }

    fn path(&self, context: &str) -> PathBuf {
        self.store.cluster(context).join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::{Distribution, Provider};
    use crate::spec::{DistributionSpec, Draft, Options, ProviderSpec, check};

    fn spec(options: &[(&str, &str)]) -> Spec {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_string(), Tree::Text((*value).into())));
        let draft = Draft {
            name: "dev".into(),
            distribution: Some(DistributionSpec {
                kind: Distribution::Vanilla,
                options: Options::new(),
            }),
            provider: Some(ProviderSpec {
                kind: Provider::Docker,
                options: options.collect(),
            }),
            ..Draft::default()
        };
        check(&draft).unwrap()
    }

    /// Where no engine is.
    fn nowhere() -> Settings {
        Settings {
            host: Some("unix:///nonexistent/docker.sock".into()),
            ..Settings::default()
        }
    }

    #[tokio::test]
    async fn a_named_engine_is_remembered_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let engines = Engines::new(nowhere(), Store::new(folder.path()));
        let there = spec(&[("host", "tcp://10.0.0.1:2375")]);
        let place = engines.settle("kind-dev", &there).await.unwrap();
        assert_eq!(engines.place("kind-dev", None).await.unwrap(), place);
        assert_eq!(
            place.settings(&Settings::default()).host.as_deref(),
            Some("tcp://10.0.0.1:2375")
        );
        assert_eq!(
            engines.all().await.unwrap()[&place],
            ["kind-dev".to_string()].into()
        );
        let problem = engines.settle("kind-dev", &spec(&[])).await.unwrap_err();
        assert_eq!(problem.code().id, "E0843");
        engines.forget("kind-dev");
        let place = engines.place("kind-dev", None).await;
        assert!(place.unwrap().is_usual());
        let place = engines.settle("kind-dev", &spec(&[])).await;
        assert!(place.unwrap().is_usual());
    }

    #[test]
    fn a_context_of_the_definition_goes_before_the_host_of_the_environment() {
        let usual = Settings {
            host: Some("tcp://usual:2375".into()),
            ..Settings::default()
        };
        let settings = Place::of(&spec(&[("context", "other")])).settings(&usual);
        assert_eq!(
            (settings.host, settings.context.as_deref()),
            (None, Some("other"))
        );
    }
}
