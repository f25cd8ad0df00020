//! `ksail test`: the tests that scripts declare.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::scripted::{Sandbox, is_wanted};
use super::{Context, Output, machine, show};
use crate::diag::codes::command::CANNOT_WRITE;
use crate::diag::codes::input::FILE_UNREADABLE;
use crate::diag::report;
use crate::error::{Error, Result};
use crate::runtime::{Case, Suite};
use crate::script::Script;

const EXAMPLES: &str = "Examples:
  ksail test                             every *.test.rhai below this folder
  ksail test web.test.rhai               one suite
  ksail test --only 'rolls out*'         the tests of this name
  ksail test --junit report.xml          with a report for CI
  ksail test --simulate                  with every provider simulated";

/// Run the tests of scripts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The scripts, or folders with *.test.rhai in them
    #[arg(value_name = "FILE", default_value = ".")]
    files: Vec<PathBuf>,
    /// Only tests whose name matches this pattern, such as 'rolls out*'
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Show the names of the tests and run none
    #[arg(long)]
    list: bool,
    /// How many tests run at once; as many as there are CPUs by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    parallel: Option<u16>,
    /// Leave the clusters of a test that fails, for a look
    #[arg(long)]
    keep: bool,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    sandbox: Sandbox,
}

/// A script with its tests that were run.
struct Ran {
    file: PathBuf,
    cases: Vec<Case>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let files = find(&args.files)?;
    if args.list {
        return list(args, &files, cx);
    }
    let began = Instant::now();
    let mut ran = Vec::new();
    for file in files {
        let mut suite = suite(args, &file)?;
        let cases = machine::block_on(async |cancel| {
            suite.cancel = cancel;
            let wanted = |name: &str| is_wanted(&args.only, name);
            suite.run(wanted, &|case| tell(&file, case, cx)).await
        })?;
        ran.push(Ran { file, cases });
    }
    if let Some(path) = &args.junit {
        write_junit(path, &ran, began.elapsed())?;
    }
    Ok(finish(ran, began.elapsed(), cx))
}

fn suite(args: &Args, file: &Path) -> Result<Suite> {
    let options = args.sandbox.options(file);
    let path = file.to_path_buf();
    let load = move || Script::load(&path, &options);
    let places = machine::places()?;
    let mut suite = Suite::new(load, places.program, places.docker);
    suite.simulate = args.sandbox.simulate;
    suite.keep = args.keep;
    if let Some(parallel) = args.parallel {
        suite.parallel = usize::from(parallel);
    }
    Ok(suite)
}

/// The files that are named, and those in the folders that are named.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            search(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    if found.is_empty() {
        return Err(Error::new(&FILE_UNREADABLE, "there is no *.test.rhai here")
            .help("name a script: `ksail test web.rhai`"));
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|cause| {
        let message = format!("{} cannot be read", folder.display());
        Error::new(&FILE_UNREADABLE, message).because(cause)
    })?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Links may lead in circles; hidden and built folders have no suites.
        let is_folder = path.is_dir() && !path.is_symlink();
        if is_folder && !name.starts_with('.') && !matches!(&*name, "target" | "node_modules") {
            search(&path, found)?;
        } else if name.ends_with(".test.rhai") {
            found.push(path.strip_prefix("./").unwrap_or(&path).to_path_buf());
        }
    }
    Ok(())
}

fn list(args: &Args, files: &[PathBuf], cx: &Context) -> Result<ExitCode> {
    let mut all = Vec::new();
    for file in files {
        let names = suite(args, file)?.names()?;
        let wanted = names.into_iter().filter(|name| is_wanted(&args.only, name));
        all.extend(wanted.map(|name| (file.display().to_string(), name)));
    }
    if cx.output == Output::Json {
        let tests: Vec<_> = all
            .iter()
            .map(|(file, name)| json!({ "file": file, "test": name }))
            .collect();
        show::json(&tests);
    } else {
        for (file, name) in all {
            show::data(&format!("{file}: {name}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a test as soon as it has ended.
fn tell(file: &Path, case: &Case, cx: &Context) {
    let millis = case.took.as_millis();
    if cx.output == Output::Json {
        let mut line = json!({
            "event": "test", "file": file.display().to_string(), "test": case.name,
            "passed": case.problem.is_none(), "millis": u64::try_from(millis).unwrap_or(u64::MAX),
            "printed": case.printed,
        });
        if let Some(problem) = &case.problem {
            line["problem"] = report::one(problem);
        }
        show::data(&line.to_string());
        return;
    }
    let word = if case.problem.is_none() {
        "ok  "
    } else {
        "FAIL"
    };
    show::data(&format!("{word}  {}  {millis} ms", case.name));
    for line in &case.printed {
        show::data(&format!("      {line}"));
    }
    if let Some(folder) = &case.kept {
        let folder = folder.display();
        show::data(&format!(
            "      kept: KSAIL_HOME={folder}/state KUBECONFIG={folder}/kubeconfig"
        ));
    }
}

/// Shows the problems and the numbers; fails if a test did.
fn finish(ran: Vec<Ran>, took: Duration, cx: &Context) -> ExitCode {
    let cases: Vec<Case> = ran.into_iter().flat_map(|ran| ran.cases).collect();
    let failed = cases.iter().filter(|case| case.problem.is_some()).count();
    let passed = cases.len() - failed;
    let millis = took.as_millis();
    if cx.output == Output::Json {
        let line = json!({
            "event": "summary", "passed": passed, "failed": failed,
            "millis": u64::try_from(millis).unwrap_or(u64::MAX),
        });
        show::data(&line.to_string());
    } else {
        for case in cases {
            if let Some(problem) = case.problem {
                show::note(&format!("\n{}:", case.name));
                show::error(problem, cx);
            }
        }
        show::data(&format!("{passed} passed, {failed} failed in {millis} ms"));
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn write_junit(path: &Path, ran: &[Ran], took: Duration) -> Result<()> {
    let mut report = Report::new("ksail");
    report.set_time(took);
    for ran in ran {
        let mut suite = TestSuite::new(ran.file.display().to_string());
        for case in &ran.cases {
            let status = match &case.problem {
                None => TestCaseStatus::success(),
                Some(problem) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_type(problem.code().id);
                    status.set_message(problem.message());
                    status.set_description(report::brief(problem));
                    status
                }
            };
            let mut entry = TestCase::new(case.name.as_str(), status);
            entry.set_classname(ran.file.display().to_string());
            entry.set_time(case.took);
            if !case.printed.is_empty() {
                entry.set_system_out(case.printed.join("\n"));
            }
            suite.add_test_case(entry);
        }
        report.add_test_suite(suite);
    }
    let fail = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(
            &CANNOT_WRITE,
            format!("{} cannot be written", path.display()),
        )
        .because(cause)
    };
    let text = report.to_string().map_err(|cause| fail(cause.into()))?;
    crate::state::write_whole(path, text.as_bytes()).map_err(|cause| fail(cause.into()))
}
