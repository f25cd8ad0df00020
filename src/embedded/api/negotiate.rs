//! In which form a client wants its answer: whole objects, tables, or metadata alone.

use super::status::Status;

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

/// Refuses forms that what is asked for does not have.
pub(super) fn not_acceptable() -> Status {
    Status::not_acceptable(
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    )
}

/// Reads an `Accept` header: the first that can be given; refuses if nothing that is asked for can.
pub fn form(accept: &str) -> Result<Form, Status> {
    let (mut proto, mut known) = (false, accept.is_empty());
    for part in accept.split(',') {
        let mut words = part.split(';').map(str::trim);
        let media = words.next().unwrap_or_default();
        let mut kind = "";
        for word in words {
            if let Some(name) = word.strip_prefix("as=") {
                kind = name;
            }
            if matches!(word.strip_prefix("v="), Some(version) if !matches!(version, "v1" | "v1beta1"))
            {
                kind = "unknown";
            }
        }
        known |= matches!(
            media,
            "application/json" | "application/yaml" | "application/vnd.kubernetes.protobuf"
        );
        match (media, kind) {
            ("application/json" | "application/yaml" | "*/*" | "application/*" | "", "") => {
                return Ok(Form::Whole);
            }
            ("application/json" | "application/yaml", "Table") => return Ok(Form::Table),
            ("application/json", "PartialObjectMetadata" | "PartialObjectMetadataList") => {
                return Ok(Form::Partial);
            }
            ("application/vnd.kubernetes.protobuf", "") => proto = true,
            _ => {}
        }
    }
    match (proto, known) {
        (true, _) => Ok(Form::Protobuf),
        (false, true) if accept.is_empty() => Ok(Form::Whole),
        (false, true) => Err(not_acceptable()),
        (false, false) => Err(Status::not_acceptable(
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
        )
        .with_details()),
    }
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
            assert_eq!(form(accept).unwrap(), expected, "{accept}");
        }
        for refused in ["text/html", "application/json;as=Table;v=v9;g=meta.k8s.io"] {
            assert_eq!(form(refused).unwrap_err().code, 406, "{refused}");
        }
    }
}
