//! A client from what a provider knows of a cluster.

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster,
    NamedContext,
};
use kube::{Client, Config};

use crate::diag::codes::run::API_FAILED;
use crate::error::{Error, Result};
use crate::world::Access;

/// Makes a client; nothing is sent yet.
pub async fn connect(access: &Access) -> Result<Client> {
    use base64::Engine as _;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let fail = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(
            &API_FAILED,
            format!("no client can be made for {}", access.server),
        )
        .because(cause)
    };
    let kubeconfig = Kubeconfig {
        clusters: vec![NamedCluster {
            name: "it".into(),
            cluster: Some(Cluster {
                server: Some(access.server.clone()),
                certificate_authority_data: Some(base64(&access.authority)),
                ..Cluster::default()
            }),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: "it".into(),
            auth_info: Some(AuthInfo {
                client_certificate_data: Some(base64(&access.certificate)),
                client_key_data: Some(base64(access.key.expose()).into()),
                ..AuthInfo::default()
            }),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: "it".into(),
            context: Some(Context {
                cluster: "it".into(),
                user: Some("it".into()),
                ..Context::default()
            }),
            ..NamedContext::default()
        }],
        current_context: Some("it".into()),
        ..Kubeconfig::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|cause| fail(Box::new(cause)))?;
    // kube's own connector leaves Nagle's algorithm on: a request in two writes then waits for the other side's delayed
    // acknowledgement, 40 ms each.
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let tls = config
        .rustls_https_connector_with_connector(tcp)
        .map_err(|cause| fail(Box::new(cause)))?;
    let http =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(tls);
    let namespace = config.default_namespace.clone();
    Ok(ClientBuilder::new(http, namespace)
        .with_layer(&config.base_uri_layer())
        .build())
}
