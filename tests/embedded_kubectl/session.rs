//! Terminal sessions as files: commands, and what they printed without what differs from run to run.

use std::sync::LazyLock;

use regex::Regex;

/// What differs from run to run, and what stands for it.
const CHANGING: &[(&str, &str)] = &[
    (r"\bkubernetes-admin\b", "admin"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"https?://127\.0\.0\.1:\d+", "SERVER"),
    (r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS"),
    (r"\b127\.0\.0\.1(:\d+)?\b", "ADDRESS"),
    (r"\bkube-api-access-[a-z0-9]{5}\b", "kube-api-access-SUFFIX"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[-+]\d{4} UTC|Z)",
        "TIME",
    ),
    (
        r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [-+]\d{4}",
        "TIME",
    ),
    (r#"resourceVersion: "\d+""#, "resourceVersion: REVISION"),
    (
        r#""resourceVersion": ?"\d+""#,
        "\"resourceVersion\": REVISION",
    ),
    // What a template is like is summed up otherwise here; deployments of these sessions have the name `web`.
    (r"\bweb-[a-z0-9]{8,10}\b", "web-HASH"),
    (
        r#"(pod-template-hash"?[=:] ?"?)[a-z0-9]{8,10}\b"#,
        "${1}HASH",
    ),
    (r"\b(HASH|[a-z0-9]{8,10})-[a-z0-9]{5}\b", "HASH-SUFFIX"),
    (
        r"(<unknown>|<invalid>|\b\d+(ms|s|m|h)(\d+s)?)(\s|$|\))",
        "AGE$4",
    ),
    (
        r"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [a-z_]+\.go:\d+\] ",
        "LOG ",
    ),
    (r"  +", "  "),
];

/// The same, ready to be looked for.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let each = CHANGING.iter();
    each.map(|(changing, instead)| (Regex::new(changing).unwrap(), *instead))
        .collect()
});

/// One command of a session.
pub(super) struct Step {
    before: Vec<String>,
    /// Why it prints something else here.
    pub(super) differs: Option<String>,
    pub(super) command: String,
    pub(super) printed: String,
}

/// Reads a session; what follows the last command is part of its output.
pub(super) fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = Vec::new();
    let mut differs = None;
    for line in text.lines() {
        if let Some(reason) = line.strip_prefix("#! ") {
            differs = Some(reason.to_owned());
        } else if line.starts_with("# ") {
            before.push(line.to_owned());
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                before: std::mem::take(&mut before),
                differs: differs.take(),
                command: command.to_owned(),
                printed: String::new(),
            });
        } else if let (Some(more), Some(step)) = (line.strip_prefix("> "), steps.last_mut()) {
            step.command = format!("{}\n{more}", step.command);
        } else if let Some(step) = steps.last_mut() {
            step.printed += line;
            step.printed.push('\n');
        }
    }
    steps
}

/// Writes a session as it is read.
pub(super) fn written(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        for line in &step.before {
            text += &format!("{line}\n");
        }
        if let Some(reason) = &step.differs {
            text += &format!("#! {reason}\n");
        }
        text += &format!("$ {}\n{}", step.command.replace('\n', "\n> "), step.printed);
    }
    text
}

/// Takes out what differs from run to run, and the space that columns are filled up with.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let mut said = line.trim().to_owned();
        for (changing, instead) in PATTERNS.iter() {
            said = changing.replace_all(&said, *instead).into_owned();
        }
        out += &line[..indent];
        out += said.trim_end();
        out.push('\n');
    }
    out
}
