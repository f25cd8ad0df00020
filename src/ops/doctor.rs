//! Whether this machine can do what ksail needs: looked at before a user meets it in a failing run.

use std::net::TcpListener;
use std::path::Path;

use serde::Serialize;

use crate::docker::{Engine, Info};
use crate::error::Error;
use crate::spec::registry::LOCAL_PORT;
use crate::world::real::{Files, Places};

/// The fewest inotify watches that several nodes on one machine do with.
const WATCHES: u64 = 524_288;
/// The fewest inotify instances.
const INSTANCES: u64 = 512;
/// From how many free bytes on pulling images is no risk.
const ROOMY: u64 = 10_000_000_000;
/// How many free bytes the smallest cluster wants.
const CRAMPED: u64 = 2_000_000_000;
/// The capability to raise limits, which nodes want.
const RESOURCE: u32 = 24;

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// It may get in the way.
    Doubtful,
    /// It is in the way.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen.
    pub saw: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

fn good(name: &'static str, saw: impl Into<String>) -> Check {
    Check {
        name,
        verdict: Verdict::Good,
        saw: saw.into(),
        fix: None,
    }
}

fn wrong(
    name: &'static str,
    verdict: Verdict,
    saw: impl Into<String>,
    fix: impl Into<String>,
) -> Check {
    Check {
        name,
        verdict,
        saw: saw.into(),
        fix: Some(fix.into()),
    }
}

/// Looks at everything, and changes nothing that stays.
pub async fn examine(places: &Places) -> Vec<Check> {
    let mut checks = Vec::new();
    match engine(places).await {
        Ok(info) => {
            let saw = format!(
                "version {} at {}, API {}",
                info.version, info.address, info.api
            );
            checks.push(good("engine", saw));
            checks.push(cgroups(&info));
            checks.push(size(&info));
            if info.address.starts_with("unix://") {
                checks.extend(disk(Path::new(&info.folder)));
            }
        }
        Err(problem) => checks.push(failed("engine", Verdict::Bad, &problem)),
    }
    checks.extend(limit("max_user_watches", "inotify watches", WATCHES));
    checks.extend(limit("max_user_instances", "inotify instances", INSTANCES));
    checks.extend(capabilities());
    checks.push(port());
    checks.push(kubeconfig(places));
    checks.push(state(&places.state));
    checks
}

async fn engine(places: &Places) -> Result<Info, Error> {
    let engine = Engine::connect(&places.docker).await?;
    engine.info().await.cloned()
}

fn failed(name: &'static str, verdict: Verdict, problem: &Error) -> Check {
    let fix = problem.helps().join("; ");
    wrong(
        name,
        verdict,
        format!("{}: {problem}", problem.code().id),
        fix,
    )
}

fn cgroups(info: &Info) -> Check {
    match info.cgroups.as_str() {
        "2" => good("cgroups", format!("version 2, {}", info.cgroup_driver)),
        version => wrong(
            "cgroups",
            Verdict::Doubtful,
            format!("version {version}, {}", info.cgroup_driver),
            "newer kubelets want version 2: boot with systemd.unified_cgroup_hierarchy=1",
        ),
    }
}

fn size(info: &Info) -> Check {
    let gigabytes = info.memory as f64 / 1e9;
    let saw = format!("{} CPUs, {gigabytes:.1} GB of memory", info.cpus);
    if info.cpus < 2 || gigabytes < 3.5 {
        let fix =
            "a node wants 2 CPUs and 2 GB; give the engine more, or use `provider: embedded()`";
        wrong("size", Verdict::Doubtful, saw, fix)
    } else {
        good("size", saw)
    }
}

/// The free space where the engine keeps everything; nothing where that cannot be seen from here.
fn disk(folder: &Path) -> Option<Check> {
    let seen = rustix::fs::statvfs(folder).ok()?;
    let free = seen.f_bavail.saturating_mul(seen.f_frsize);
    let saw = format!("{:.1} GB free in {}", free as f64 / 1e9, folder.display());
    let fix =
        "`docker system prune` removes what nobody uses, `ksail gc` what clusters left behind";
    Some(if free < CRAMPED {
        wrong("disk", Verdict::Bad, saw, fix)
    } else if free < ROOMY {
        wrong("disk", Verdict::Doubtful, saw, fix)
    } else {
        good("disk", saw)
    })
}

/// A limit of the kernel; nothing where the kernel is another.
fn limit(file: &str, name: &'static str, wanted: u64) -> Option<Check> {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{file}")).ok()?;
    let there: u64 = text.trim().parse().ok()?;
    Some(if there < wanted {
        let fix = format!(
            "`sysctl fs.inotify.{file}={wanted}`, and the same in /etc/sysctl.d for the next boot"
        );
        wrong(name, Verdict::Doubtful, format!("{there}"), fix)
    } else {
        good(name, format!("{there}"))
    })
}

/// Whether this machine lets processes raise limits; nothing where that cannot be read.
fn capabilities() -> Option<Check> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))?;
    let bound = u64::from_str_radix(line.trim(), 16).ok()?;
    Some(if bound & (1 << RESOURCE) == 0 {
        wrong(
            "privileges",
            Verdict::Doubtful,
            "CAP_SYS_RESOURCE is held back",
            "nodes may not raise limits: run the engine where it has all capabilities",
        )
    } else {
        good("privileges", "none is held back that nodes want")
    })
}

fn port() -> Check {
    match TcpListener::bind(("127.0.0.1", LOCAL_PORT)) {
        Ok(_) => good("registry port", format!("{LOCAL_PORT} is free")),
        Err(cause) => wrong(
            "registry port",
            Verdict::Doubtful,
            format!("{LOCAL_PORT} is in use: {cause}"),
            "give local registries another one: `local_registry: \"localhost:5051\"`",
        ),
    }
}

fn kubeconfig(places: &Places) -> Check {
    match Files::new(places.kubeconfig.clone()).current() {
        Ok(Some(current)) => good("kubeconfig", format!("the current context is {current}")),
        Ok(None) => good("kubeconfig", "no context is the current one"),
        Err(problem) => failed("kubeconfig", Verdict::Bad, &problem),
    }
}

fn state(folder: &Path) -> Check {
    let shown = folder.display().to_string();
    // The nearest folder that is there is where the first write would go.
    let there = folder.ancestors().find(|folder| folder.exists());
    match there.map(tempfile::tempfile_in) {
        Some(Ok(_)) => good("state folder", shown),
        Some(Err(cause)) => wrong(
            "state folder",
            Verdict::Bad,
            format!("{shown} cannot be written: {cause}"),
            "check its owner and mode, or name another with KSAIL_HOME",
        ),
        None => wrong(
            "state folder",
            Verdict::Bad,
            format!("{shown} cannot be made"),
            "name another with KSAIL_HOME",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_old_engines_are_doubtful_and_say_what_to_do() {
        let info = Info {
            cpus: 1,
            memory: 1_000_000_000,
            cgroups: "1".into(),
            ..Info::default()
        };
        for check in [cgroups(&info), size(&info)] {
            assert_eq!(check.verdict, Verdict::Doubtful, "{check:?}");
            assert!(check.fix.is_some(), "{check:?}");
        }
    }

    #[test]
    fn a_state_folder_that_is_not_there_yet_is_judged_by_where_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(state(&folder.path().join("a/b")).verdict, Verdict::Good);
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn a_limit_that_is_too_low_names_the_command() {
        let Some(check) = limit("max_user_watches", "inotify watches", u64::MAX) else {
            println!("skipped: this kernel has no inotify");
            return;
        };
        assert!(
            check
                .fix
                .unwrap()
                .starts_with("`sysctl fs.inotify.max_user_watches=")
        );
    }
}
