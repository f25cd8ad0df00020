//! Rules, policies and other admission of the embedded API beside recorded answers of a real server.
//!
//! `scripts/record-answers KUBECONFIG admission` keeps them.

/// Cases whose answers differ, and why.
const KNOWN: &[(&str, &str)] = &[(
    "no more quota",
    "controllers' fields have no owner, and what goes has a time",
)];

#[tokio::test]
async fn admits_what_the_real_server_admits() {
    let requests = include_str!("embedded/admission.requests.json");
    let answers = include_str!("embedded/admission.answers.json");
    crate::embedded_api::compare(requests, answers, KNOWN).await;
}
