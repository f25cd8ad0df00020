//! What is wrong with an expression, drawn the way Kubernetes draws it.

/// A problem and where it is, in characters from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::embedded) struct Problem {
    pub(in crate::embedded) at: usize,
    pub(in crate::embedded) message: String,
}

impl Problem {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

/// Draws problems under the lines they are in.
pub(super) fn draw(source: &str, problems: &[Problem]) -> String {
    let each: Vec<String> = problems
        .iter()
        .map(|problem| draw_one(source, problem))
        .collect();
    each.join("\n")
}

fn draw_one(source: &str, problem: &Problem) -> String {
    let mut line = 1;
    let mut start = 0;
    for (at, letter) in source.chars().enumerate() {
        if at >= problem.at {
            break;
        }
        if letter == '\n' {
            line += 1;
            start = at + 1;
        }
    }
    let column = problem.at.saturating_sub(start);
    let text = source.lines().nth(line - 1).unwrap_or_default();
    let text = text.replace('\t', " ");
    let dots = ".".repeat(column);
    format!(
        "ERROR: <input>:{line}:{}: {}\n | {text}\n | {dots}^",
        column + 1,
        problem.message
    )
}

#[cfg(test)]
mod tests {
    use super::{Problem, draw};

    #[test]
    fn problems_are_drawn_under_their_line() {
        let problem = Problem::new(10, "undefined field 'foo'");
        assert_eq!(
            draw("a &&\n self.foo", &[problem]),
            "ERROR: <input>:2:6: undefined field 'foo'\n |  self.foo\n | .....^"
        );
    }
}
