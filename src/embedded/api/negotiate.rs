//! In which form a client wants its answer: whole objects, tables, or metadata alone.

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Objects as they are.
    #[default]
    Whole,
    /// Rows for people.
    Table,
    /// Metadata alone.
    Partial,
    /// Protobuf, for clients that read nothing else.
    Protobuf,
}

/// Reads an `Accept` header: the first that can be given.
pub fn form(accept: &str) -> Form {
    let mut proto = false;
    for part in accept.split(',') {
        let mut words = part.split(';').map(str::trim);
        let media = words.next().unwrap_or_default();
        let mut kind = "";
        for word in words {
            if let Some(name) = word.strip_prefix("as=") {
                kind = name;
            }
        }
        match (media, kind) {
            ("application/json" | "*/*" | "application/*" | "", "") => return Form::Whole,
            ("application/json", "Table") => return Form::Table,
            ("application/json", "PartialObjectMetadata" | "PartialObjectMetadataList") => {
                return Form::Partial;
            }
            ("application/vnd.kubernetes.protobuf", "") => proto = true,
            _ => {}
        }
    }
    if proto { Form::Protobuf } else { Form::Whole }
}

#[cfg(test)]
mod tests {
    use super::{Form, form};

    #[test]
    fn takes_the_first_that_can_be_given() {
        for (accept, expected) in [
            ("", Form::Whole),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Form::Table,
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Form::Whole,
            ),
            ("application/vnd.kubernetes.protobuf", Form::Protobuf),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
                Form::Partial,
            ),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }
}
