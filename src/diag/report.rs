//! Errors as people and programs read them: drawn by miette, or as JSON. Nothing is printed here.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use serde_json::{Value, json};

use super::{Kind, Label};
use crate::error::Error;

/// How a report is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With colours and lines.
    Colour,
    /// With lines, without colours.
    Plain,
}

/// Draws an error and the other problems found with it, each as its own report.
pub fn text(error: Error, style: Style) -> String {
    let theme = match style {
        Style::Colour => GraphicalTheme::unicode(),
        Style::Plain => GraphicalTheme::unicode_nocolor(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(110)
        .with_links(false);
    let mut text = String::new();
    for (index, error) in error.split().into_iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let drawn = Drawn::new(error);
        let mut one = String::new();
        // Writing to a text cannot fail; what could be drawn stays drawn.
        let _ = Wrapper(&handler, &drawn).write(&mut one);
        text.push_str(one.trim_start_matches('\n'));
    }
    text
}

/// An error and the other problems found with it as data, with byte and line ranges.
pub fn json(error: Error) -> Value {
    error.split().iter().map(one).collect()
}

/// An error in a few lines without drawing: what, where, why, and the fix.
pub fn brief(error: &Error) -> String {
    let mut lines = vec![format!("{}: {}", error.code().id, error.message())];
    for label in error.labels() {
        let (line, column) = label.source.position(label.span.start);
        lines.push(format!("at {}:{line}:{column}", label.source.name()));
    }
    lines.extend(error.causes().iter().map(|cause| format!("cause: {cause}")));
    lines.extend(error.helps().iter().map(|help| format!("help: {help}")));
    lines.join("\n")
}

/// One error as data.
pub fn one(error: &Error) -> Value {
    let place = |label: &Label| {
        let (line, column) = label.source.position(label.span.start);
        let (end_line, end_column) = label.source.position(label.span.end);
        json!({
            "file": label.source.name(), "text": label.text,
            "bytes": { "start": label.span.start, "end": label.span.end },
            "start": { "line": line, "column": column }, "end": { "line": end_line, "column": end_column },
        })
    };
    let trace: Vec<Value> = error
        .trace()
        .iter()
        .map(|frame| json!({ "function": frame.function, "at": frame.at.as_ref().map(place) }))
        .collect();
    json!({
        "code": error.code().id, "title": error.code().title, "message": error.message(),
        "help": error.helps(), "causes": error.causes(), "field": error.at_field(),
        "labels": error.labels().iter().map(place).collect::<Vec<_>>(), "trace": trace,
    })
}

struct Wrapper<'a>(&'a GraphicalReportHandler, &'a Drawn);

impl Wrapper<'_> {
    fn write(&self, into: &mut String) -> fmt::Result {
        self.0.render_report(into, self.1)
    }
}

/// An error in miette's terms.
#[derive(Debug)]
struct Drawn {
    error: Error,
    source: Option<NamedSource<String>>,
    help: Option<String>,
    elsewhere: Vec<Drawn>,
}

impl Drawn {
    fn new(error: Error) -> Self {
        let first = error.labels().first().map(|label| label.source.clone());
        let source = first
            .as_ref()
            .map(|source| NamedSource::new(source.name(), source.text().to_string()));
        let mut help: Vec<String> = error.helps().to_vec();
        for frame in error.trace() {
            let at = frame.at.as_ref().map(|label| {
                let (line, column) = label.source.position(label.span.start);
                format!(", called at {}:{line}:{column}", label.source.name())
            });
            help.push(format!("in {}{}", frame.function, at.unwrap_or_default()));
        }
        let elsewhere = error
            .labels()
            .iter()
            .filter(|label| first.as_ref().is_some_and(|first| *first != label.source))
            .map(|label| {
                let text = if label.text.is_empty() {
                    "here"
                } else {
                    &label.text
                };
                Self::new(Error::new(error.code(), text).label(Label {
                    text: String::new(),
                    ..label.clone()
                }))
            })
            .collect();
        let help = (!help.is_empty()).then(|| help.join("\n"));
        Self {
            error,
            source,
            help,
            elsewhere,
        }
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Drawn {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

impl Diagnostic for Drawn {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.error.code().id))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.error.kind() {
            Kind::Cancelled => miette::Severity::Warning,
            _ => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let first = self.error.labels().first()?;
        let same = self
            .error
            .labels()
            .iter()
            .filter(|label| label.source == first.source);
        let spans = same.enumerate().map(|(index, label)| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            let length = label.span.len();
            if index == 0 {
                LabeledSpan::new_primary_with_span(
                    text.or_else(|| Some("here".into())),
                    (label.span.start, length),
                )
            } else {
                LabeledSpan::new(text, label.span.start, length)
            }
        });
        Some(Box::new(spans.collect::<Vec<_>>().into_iter()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (!self.elsewhere.is_empty()).then(|| {
            Box::new(self.elsewhere.iter().map(|drawn| drawn as &dyn Diagnostic)) as Box<_>
        })
    }
}
