//! Test suites: each test on its own thread, with its own cluster, state and kubeconfig.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::diag::codes::run::{CANCELLED, TEST_FAILED};
use crate::docker::Settings;
use crate::error::{Error, Result};
use crate::script::{Effects, Script, Test};
use crate::world::Silent;
use crate::world::real::{Machine, Places};

/// The tests of a script, and how they are run.
///
/// ```no_run
/// use ksail::runtime::Suite;
/// use ksail::script::{Options, Script};
/// # async fn demo() -> ksail::Result<()> {
/// let suite = Suite::new(
///     || Script::load("web.test.rhai".as_ref(), &Options::default()),
///     "/usr/local/bin/ksail",
///     ksail::docker::Settings::default(),
/// );
/// for case in suite.run(|_| true, &|case| println!("{}", case.name)).await? {
///     assert!(case.problem.is_none(), "{}: {:?}", case.name, case.problem);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Suite {
    load: Arc<dyn Fn() -> Result<Script> + Send + Sync>,
    /// The ksail binary, which serves embedded clusters.
    program: PathBuf,
    docker: Settings,
    /// How many tests run at once.
    pub parallel: usize,
    /// Whether every provider is replaced by the embedded one.
    pub simulate: bool,
    /// Whether the clusters of a test that fails are left for a look.
    pub keep: bool,
    /// Whether to stop.
    pub cancel: CancellationToken,
}

/// A test that was run.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// How long it took, with its cluster.
    pub took: Duration,
    /// What went wrong, if something did.
    pub problem: Option<Error>,
    /// The lines that it printed.
    pub printed: Vec<String>,
    /// The state folder of its clusters, where they were kept.
    pub kept: Option<PathBuf>,
}

impl Suite {
    /// Runs the tests of the script that this loads; each test evaluates it anew, for nothing may be shared.
    pub fn new(
        load: impl Fn() -> Result<Script> + Send + Sync + 'static,
        program: impl Into<PathBuf>,
        docker: Settings,
    ) -> Self {
        Self {
            load: Arc::new(load),
            program: program.into(),
            docker,
            parallel: std::thread::available_parallelism().map_or(2, usize::from),
            simulate: false,
            keep: false,
            cancel: CancellationToken::new(),
        }
    }

    /// The names of the tests, in the order of the script.
    pub fn names(&self) -> Result<Vec<String>> {
        let tests = (self.load)()?.tests()?;
        Ok(tests.into_iter().map(|test| test.name).collect())
    }

    /// Runs the tests whose name is wanted, telling each as it ends; gives them back in the order of the script.
    pub async fn run(
        &self,
        wanted: impl Fn(&str) -> bool,
        ended: &dyn Fn(&Case),
    ) -> Result<Vec<Case>> {
        let names: Vec<String> = self
            .names()?
            .into_iter()
            .filter(|name| wanted(name))
            .collect();
        let runs = names.iter().enumerate().map(|(index, name)| async move {
            let case = self.case(name.clone()).await;
            (index, case)
        });
        let mut runs = futures::stream::iter(runs).buffer_unordered(self.parallel.max(1));
        let mut cases = Vec::new();
        while let Some((index, case)) = runs.next().await {
            ended(&case);
            cases.push((index, case));
        }
        cases.sort_by_key(|(index, _)| *index);
        Ok(cases.into_iter().map(|(_, case)| case).collect())
    }

    /// One test, on a thread of its own: scripts may take their time.
    async fn case(&self, name: String) -> Case {
        let began = Instant::now();
        let one = One {
            load: self.load.clone(),
            program: self.program.clone(),
            docker: self.docker.clone(),
            simulate: self.simulate,
            keep: self.keep,
            cancel: self.cancel.clone(),
        };
        let work = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || one.run(&name))
        };
        let done = work.await.unwrap_or_else(|cause| Done {
            problem: Some(Error::new(&TEST_FAILED, "the test was cut off").because(cause)),
            ..Done::default()
        });
        Case {
            name,
            took: began.elapsed(),
            problem: done.problem,
            printed: done.printed,
            kept: done.kept,
        }
    }
}

/// What one test needs.
struct One {
    load: Arc<dyn Fn() -> Result<Script> + Send + Sync>,
    program: PathBuf,
    docker: Settings,
    simulate: bool,
    keep: bool,
    cancel: CancellationToken,
}

#[derive(Default)]
struct Done {
    problem: Option<Error>,
    printed: Vec<String>,
    kept: Option<PathBuf>,
}

impl One {
    fn run(self, name: &str) -> Done {
        match self.try_run(name) {
            Ok(done) => done,
            Err(problem) => Done {
                problem: Some(problem),
                ..Done::default()
            },
        }
    }

    fn try_run(self, name: &str) -> Result<Done> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(&CANCELLED, "the test was not begun"));
        }
        let script = (self.load)()?;
        let tests = script.tests()?;
        let Some(test) = tests.into_iter().find(|test| test.name == name) else {
            let message = format!("the script declares no test {name:?} the second time");
            return Err(Error::new(&TEST_FAILED, message).help(
                "a definition that reads nothing but its inputs declares the same tests each time",
            ));
        };
        let folder = tempfile::Builder::new()
            .prefix("ksail-test-")
            .tempdir()
            .map_err(|cause| {
                Error::new(
                    &TEST_FAILED,
                    "no folder can be made for the test's clusters",
                )
                .because(cause)
            })?;
        let places = Places {
            state: folder.path().join("state"),
            program: self.program.clone(),
            kubeconfig: vec![folder.path().join("kubeconfig")],
            docker: self.docker.clone(),
            kwok: folder.path().join("kwok"),
        };
        let unique: String = folder
            .path()
            .to_string_lossy()
            .chars()
            .rev()
            .take(5)
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let world = Arc::new(Machine::new(places));
        let reach = Effects::new(world, Arc::new(Silent), self.cancel)
            .simulate(self.simulate)
            .suffix(format!("t{unique}"));
        let effects = script.allow(reach);
        let problem = attempt(&test, &effects).err();
        let printed = test.printed();
        if self.keep && problem.is_some() {
            return Ok(Done {
                problem,
                printed,
                kept: Some(folder.keep()),
            });
        }
        let cleaned = effects.clean();
        Ok(Done {
            problem: Error::gather(problem.into_iter().chain(cleaned.err())),
            printed,
            kept: None,
        })
    }
}

fn attempt(test: &Test, effects: &Effects) -> Result<()> {
    let cluster = test.cluster()?;
    if let Some(cluster) = &cluster {
        effects.bring(cluster, crate::ops::fleet::Goal::Ensure)?;
    }
    test.run(cluster.as_ref())
}
