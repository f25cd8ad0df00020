//! What the commands that read a script have in common: the file, parameters, the sandbox.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::show;
use crate::axis::{Axis as _, Provider};
use crate::error::Result;
use crate::ops::cipher::keys::{Lent, Reach, process_env};
use crate::plan::{self, Ruling};
use crate::script::{Fleet, Limits, Options, Script};
use crate::spec::Spec;

/// The script, what it may see, and which of its clusters are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The script
    #[arg(default_value = "cluster.rhai", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Only clusters whose name matches this pattern, such as 'ci-*'
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    #[command(flatten)]
    pub(super) sandbox: Sandbox,
}

/// What a script may see and use.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Sandbox {
    /// Set a parameter of the script
    #[arg(long = "set", short = 's', value_name = "NAME=VALUE", value_parser = pair)]
    sets: Vec<(String, String)>,
    /// Replace every provider by the embedded one
    #[arg(long)]
    pub(super) simulate: bool,
    /// Let the script read this environment variable
    #[arg(long, value_name = "NAME", help_heading = "Sandbox")]
    allow_env: Vec<String>,
    /// Let the script read below this folder in place of its own
    #[arg(long, value_name = "DIR", help_heading = "Sandbox")]
    allow_read: Option<PathBuf>,
    /// Let the script take this many operations
    #[arg(long, value_name = "N", help_heading = "Sandbox")]
    allow_operations: Option<u64>,
    /// Which keys the script may decrypt with
    #[arg(long, value_name = "KEYS", value_enum, default_value_t = Lend::Local, help_heading = "Sandbox")]
    allow_keys: Lend,
}

/// Which keys a script is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Lend {
    /// None
    None,
    /// Those on this machine: age, SSH and OpenPGP keys
    Local,
    /// Those of key services as well
    All,
}

impl Lend {
    fn keys(self) -> Option<Lent> {
        let reach = match self {
            Self::None => return None,
            Self::Local => Reach::Local,
            Self::All => Reach::All,
        };
        Some(Lent::new(
            process_env(),
            std::sync::Arc::new(|_| None),
            reach,
        ))
    }
}

/// The keys that scripts are lent without a word of the user's.
pub(super) fn usual_keys() -> Option<Lent> {
    Lend::Local.keys()
}

impl Source {
    /// Reads the script.
    pub(super) fn script(&self) -> Result<Script> {
        Script::load(&self.file, &self.sandbox.options(&self.file))
    }

    /// Evaluates the script to the clusters that are meant.
    pub(super) fn fleet(&self, script: &Script) -> Result<Fleet> {
        let mut fleet = script.fleet()?;
        if !self.only.is_empty() {
            fleet
                .clusters
                .retain(|defined| is_wanted(&self.only, defined.spec.name.as_str()));
        }
        if self.sandbox.simulate {
            for defined in &mut fleet.clusters {
                if let Some(line) = in_earnest(&defined.spec)? {
                    show::note(&line);
                }
                defined.spec = defined.spec.clone().simulated();
            }
        }
        Ok(fleet)
    }
}

/// What it would take to make a cluster where its definition says; one that is simulated anyway shows that by itself.
fn in_earnest(spec: &Spec) -> Result<Option<String>> {
    if spec.provider.kind == Provider::Embedded {
        return Ok(None);
    }
    let plan = plan::cluster(spec, None, &|change| Ok(Ruling::default_for(change)))?;
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    Ok(Some(format!(
        "{}: on {} its creation takes {} steps: {}",
        plan.context,
        plan.provider.name(),
        steps.len(),
        steps.join(", ")
    )))
}

impl Sandbox {
    /// What widens the sandbox, for displays.
    pub(super) fn widened(&self) -> Vec<String> {
        let env = self
            .allow_env
            .iter()
            .map(|name| format!("the script may read the environment variable {name}"));
        let read = self
            .allow_read
            .iter()
            .map(|folder| format!("the script may read below {}", folder.display()));
        let operations = self
            .allow_operations
            .iter()
            .map(|n| format!("the script may take {n} operations"));
        let keys = (self.allow_keys == Lend::All)
            .then(|| "the script may ask key services to decrypt".to_string());
        env.chain(read).chain(operations).chain(keys).collect()
    }

    /// The options of a script.
    pub(super) fn options(&self, file: &Path) -> Options {
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut env: BTreeMap<String, Option<String>> = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, Some(value.into_string().ok()?)))
            })
            .filter(|(name, _)| {
                name == "CI" || name.starts_with("KSAIL_") || self.allow_env.contains(name)
            })
            .collect();
        for name in &self.allow_env {
            env.entry(name.clone()).or_insert(None);
        }
        let mut limits = Limits::default();
        if let Some(operations) = self.allow_operations {
            limits.operations = operations;
        }
        Options {
            root: self
                .allow_read
                .clone()
                .unwrap_or_else(|| folder.to_path_buf()),
            sets: self.sets.clone(),
            env,
            limits,
            keys: self.allow_keys.keys(),
            ..Options::default()
        }
    }
}

/// Whether a name matches one of these patterns; without any, every name does.
pub(super) fn is_wanted(globs: &[String], name: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| matches(glob, name))
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    // The last star seen, and how much of the name it has eaten.
    let (mut g, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || Some(c) == name.get(n) => {
                g += 1;
                n += 1;
            }
            _ => match star {
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    g = at + 1;
                    n = eaten + 1;
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(g).all(|c| *c == '*')
}

/// The parameters of the script in `run FILE --help`, as help text.
pub(super) fn parameters_help(arguments: &[OsString]) -> Option<String> {
    let words: Vec<&str> = arguments
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .collect();
    let asks = words.first() == Some(&"run")
        && words.iter().any(|word| *word == "--help" || *word == "-h");
    let file = words
        .iter()
        .skip(1)
        .find(|word| word.ends_with(".rhai"))
        .filter(|_| asks)?;
    let options = Options {
        root: Path::new(file)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default(),
        keys: usual_keys(),
        ..Options::default()
    };
    let script = Script::load(Path::new(file), &options).ok()?;
    let mut text = format!("Parameters of {file}:");
    // The result does not matter here, only what was declared on the way.
    let is_broken = script.fleet().is_err();
    let params = script.params();
    if params.is_empty() && !is_broken {
        text.push_str("\n  none");
    }
    for param in params {
        let mut limits = Vec::new();
        limits.extend(param.limits.min.map(|min| format!("at least {min}")));
        limits.extend(param.limits.max.map(|max| format!("at most {max}")));
        if !param.limits.choices.is_empty() {
            let choices: Vec<String> = param
                .limits
                .choices
                .iter()
                .map(ToString::to_string)
                .collect();
            limits.push(format!("one of {}", choices.join(", ")));
        }
        let limits = if limits.is_empty() {
            String::new()
        } else {
            format!(" ({})", limits.join(", "))
        };
        text.push_str(&format!(
            "\n  --set {}={}    {}{limits}",
            param.name, param.default, param.summary
        ));
    }
    if is_broken {
        text.push_str(&format!(
            "\n  there may be more: the script has a problem, which `ksail check {file}` shows"
        ));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        for (glob, name, does) in [
            ("ci-*", "ci-1", true),
            ("*", "x", true),
            ("c?", "ci", true),
            ("ci", "ci-1", false),
            ("*-a-*", "x-a-b-a-c", true),
            ("a*b", "ac", false),
        ] {
            assert_eq!(matches(glob, name), does, "{glob} {name}");
        }
    }
}
