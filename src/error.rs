//! The one error type of the crate.
//!
//! An [`Error`] is one word wide and says everything a person needs: a stable [`Code`], a message, the place in the
//! script, the call trace, help, the cause, and any other problems found on the way. Library code builds it with
//! [`Error::new`]; the script host adds places; only the command line shows it.

use std::error::Error as StdError;
use std::fmt;

use crate::diag::{Code, Frame, Kind, Label};

/// The result of anything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A problem, explained.
pub struct Error(Box<Problem>);

struct Problem {
    code: &'static Code,
    message: String,
    field: Option<String>,
    help: Vec<String>,
    labels: Vec<Label>,
    trace: Vec<Frame>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    also: Vec<Error>,
}

impl Error {
    /// Makes an error of this code; the message is one sentence in lower case without a full stop.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            code,
            message: message.into(),
            field: None,
            help: Vec::new(),
            labels: Vec::new(),
            trace: Vec::new(),
            source: None,
            also: Vec::new(),
        }))
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }

    /// Adds help where there is some.
    #[must_use]
    pub fn maybe_help(self, help: Option<impl Into<String>>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Names the field of a definition that it is about, such as `components[1].version`.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Names the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Points at a place in a source text. The first label is the principal one.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.0.labels.push(label);
        self
    }

    /// Adds a call, innermost first.
    #[must_use]
    pub fn frame(mut self, frame: Frame) -> Self {
        self.0.trace.push(frame);
        self
    }

    /// Adds further problems that were found in the same go.
    #[must_use]
    pub fn also(mut self, others: impl IntoIterator<Item = Error>) -> Self {
        self.0.also.extend(others);
        self
    }

    /// Puts context before the message: `context: message`.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Joins several problems into one error, the first leading; `None` if there are none.
    pub fn gather(errors: impl IntoIterator<Item = Error>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let first = errors.next()?;
        Some(first.also(errors))
    }

    /// The stable code.
    pub fn code(&self) -> &'static Code {
        self.0.code
    }

    /// What class of problem it is; decides the exit code.
    pub fn kind(&self) -> Kind {
        self.0.code.kind
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field of a definition that it is about.
    pub fn at_field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The help lines.
    pub fn helps(&self) -> &[String] {
        &self.0.help
    }

    /// The places it points at.
    pub fn labels(&self) -> &[Label] {
        &self.0.labels
    }

    /// The script calls that led to it, innermost first.
    pub fn trace(&self) -> &[Frame] {
        &self.0.trace
    }

    /// The other problems found with it.
    pub fn others(&self) -> &[Error] {
        &self.0.also
    }

    /// Takes the other problems out, so that each can be shown on its own.
    pub fn split(mut self) -> Vec<Error> {
        let others = std::mem::take(&mut self.0.also);
        let mut all = vec![self];
        all.extend(others.into_iter().flat_map(Error::split));
        all
    }

    /// The messages of the causes, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many crates repeat the inner text in the outer one; saying it once is enough.
            if causes
                .last()
                .is_none_or(|last: &String| !last.contains(&text))
            {
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.id, self.0.message)?;
        for cause in self.causes() {
            write!(f, ": {cause}")?;
        }
        for other in &self.0.also {
            write!(f, "; {other:?}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::diag::codes::state::BROKEN_STATE;

    #[test]
    fn splits_into_each_problem() {
        let one = Error::new(&BROKEN_STATE, "one");
        let error = Error::gather([
            one,
            Error::new(&BROKEN_STATE, "two"),
            Error::new(&BROKEN_STATE, "three"),
        ]);
        let all: Vec<String> = error
            .unwrap()
            .split()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(all, ["one", "two", "three"]);
    }

    #[test]
    fn names_each_cause_once() {
        let cause = std::io::Error::other("no space");
        let error = Error::new(&BROKEN_STATE, "cannot write").because(cause);
        assert_eq!(error.causes(), ["no space"]);
    }
}
