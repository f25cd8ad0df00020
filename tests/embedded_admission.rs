//! Rules, policies and other admission of the embedded API beside recorded answers of a real server.
//!
//! `scripts/record-answers KUBECONFIG admission` keeps them.

/// Cases whose answers differ, and why.
const KNOWN: &[(&str, &str)] = &[
    (
        "the namespace goes",
        "namespaces that go have a grace period of none written out",
    ),
    (
        "limits are kept",
        "nobody notes who owns a container's resources as such",
    ),
    (
        "a pod within the quota",
        "nobody notes who owns a container's resources as such",
    ),
    (
        "a claim that fits",
        "claims in use are not protected by a finalizer",
    ),
    (
        "no more quota",
        "controllers' fields have no owner, and what goes has a time",
    ),
];

#[tokio::test]
async fn admits_what_the_real_server_admits() {
    let requests = include_str!("embedded/admission.requests.json");
    let answers = include_str!("embedded/admission.answers.json");
    crate::embedded_api::compare(requests, answers, KNOWN).await;
}
