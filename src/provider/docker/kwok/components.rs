//! Pure: the five containers of a KWOK cluster, named, labelled and started as kwokctl does.

use std::collections::BTreeMap;

use super::folder::Files;
use crate::secret::Secret;
use crate::spec::{Spec, Tree};
use crate::step::{Attachment, Container, File, Port, Restart};

/// The label by which kwokctl's containers are known, with the project's name.
pub(super) const PROJECT: &str = "com.docker.compose.project";
/// The components, in the order in which they need each other.
pub(super) const COMPONENTS: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
];
/// The version of KWOK without a wish of the user's.
const KWOK: &str = "0.8.0";
/// Where certificates are inside the containers.
const PKI: &str = "/etc/kubernetes/pki";
/// Where the kubeconfig is inside the containers.
const KUBECONFIG: &str = "/root/.kube/config";

/// The images, by component.
pub(super) type Images = BTreeMap<&'static str, String>;

/// The name that everything of a cluster begins with.
pub(super) fn project(name: &str) -> String {
    format!("kwok-{name}")
}

/// The name of a container.
pub(super) fn container_name(name: &str, component: &str) -> String {
    format!("{}-{component}", project(name))
}

/// The image of each component; `version` is that of Kubernetes, with its `v`.
pub(super) fn images(spec: &Spec, version: &str) -> Images {
    let kwok = spec
        .distribution
        .options
        .get("version")
        .and_then(Tree::as_text)
        .unwrap_or(KWOK);
    let mut images: Images = [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ]
    .into_iter()
    .map(|component| (component, format!("registry.k8s.io/{component}:{version}")))
    .collect();
    images.insert("etcd", format!("registry.k8s.io/etcd:{}", etcd(version)));
    images.insert(
        "kwok-controller",
        format!(
            "registry.k8s.io/kwok/kwok:v{}",
            kwok.trim_start_matches('v')
        ),
    );
    images
}

/// The version of etcd that goes with a version of Kubernetes.
fn etcd(version: &str) -> &'static str {
    let minor = version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse::<u32>().ok());
    match minor.unwrap_or(u32::MAX) {
        ..=28 => "3.5.12-0",
        29..=30 => "3.5.21-0",
        31..=33 => "3.5.24-0",
        _ => "3.6.10-0",
    }
}

/// The program of a component.
pub(super) fn program(component: &str) -> &str {
    if component == "kwok-controller" {
        "kwok"
    } else {
        component
    }
}

/// The arguments of a component.
pub(super) fn arguments(name: &str, component: &str) -> Vec<String> {
    let always = "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics";
    let own: Vec<String> = match component {
        "etcd" => vec![
            "--name=node0".into(),
            "--auto-compaction-retention=1".into(),
            "--quota-backend-bytes=8589934592".into(),
            "--data-dir=/etcd-data".into(),
            "--initial-advertise-peer-urls=http://0.0.0.0:2380".into(),
            "--listen-peer-urls=http://0.0.0.0:2380".into(),
            "--advertise-client-urls=http://0.0.0.0:2379".into(),
            "--listen-client-urls=http://0.0.0.0:2379".into(),
            "--initial-cluster=node0=http://0.0.0.0:2380".into(),
            // The only member waits for nobody's vote: without these it stands still for most of a second at its start.
            "--heartbeat-interval=20".into(),
            "--election-timeout=100".into(),
            // As kind has it: what was written outlives every process, and a crash of the whole machine may cost it.
            "--unsafe-no-fsync".into(),
        ],
        "kube-apiserver" => vec![
            "--etcd-prefix=/registry".into(),
            "--allow-privileged=true".into(),
            format!(
                "--etcd-servers=http://{}:2379",
                container_name(name, "etcd")
            ),
            "--authorization-mode=Node,RBAC".into(),
            "--bind-address=0.0.0.0".into(),
            "--secure-port=6443".into(),
            format!("--tls-cert-file={PKI}/admin.crt"),
            format!("--tls-private-key-file={PKI}/admin.key"),
            format!("--client-ca-file={PKI}/ca.crt"),
            format!("--service-account-key-file={PKI}/admin.key"),
            format!("--service-account-signing-key-file={PKI}/admin.key"),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            format!("--proxy-client-key-file={PKI}/admin.key"),
            format!("--proxy-client-cert-file={PKI}/admin.crt"),
        ],
        "kube-controller-manager" => vec![
            "--node-monitor-period=25s".into(),
            "--node-monitor-grace-period=3m20s".into(),
            format!("--kubeconfig={KUBECONFIG}"),
            always.into(),
            "--bind-address=0.0.0.0".into(),
            "--secure-port=10257".into(),
            format!("--root-ca-file={PKI}/ca.crt"),
            format!("--service-account-private-key-file={PKI}/admin.key"),
        ],
        "kube-scheduler" => vec![
            format!("--kubeconfig={KUBECONFIG}"),
            always.into(),
            "--bind-address=0.0.0.0".into(),
            "--secure-port=10259".into(),
        ],
        _ => vec![
            "--manage-all-nodes=true".into(),
            format!("--kubeconfig={KUBECONFIG}"),
            "--config=/root/.kwok/kwok.yaml".into(),
            format!("--tls-cert-file={PKI}/admin.crt"),
            format!("--tls-private-key-file={PKI}/admin.key"),
            "--node-ip=".into(),
            format!("--node-name={}", container_name(name, "kwok-controller")),
            "--node-port=10247".into(),
            "--server-address=0.0.0.0:10247".into(),
            "--node-lease-duration-seconds=200".into(),
        ],
    };
    own
}

/// The environment of a component. A control plane that starts is bound by the processor, and a fifth of what it does is
/// collecting garbage: with twice the room it does that half as often. What etcd holds is too little to matter.
pub(super) fn environment(component: &str) -> &'static [(&'static str, &'static str)] {
    match component {
        "etcd" => &[],
        _ => &[("GOGC", "200")],
    }
}

/// What a component needs to run before it.
pub(super) fn links(component: &str) -> &'static [&'static str] {
    match component {
        "etcd" => &[],
        "kube-apiserver" => &["etcd"],
        _ => &["kube-apiserver"],
    }
}

/// The files of a component, by their name in the cluster's folder and their path in the container.
pub(super) fn mounts(component: &str) -> Vec<(&'static str, &'static str)> {
    let mut mounts = Vec::new();
    if component != "etcd" {
        mounts.push(("pki/ca.crt", "/etc/kubernetes/pki/ca.crt"));
        mounts.push(("pki/admin.crt", "/etc/kubernetes/pki/admin.crt"));
        mounts.push(("pki/admin.key", "/etc/kubernetes/pki/admin.key"));
    }
    if !matches!(component, "etcd" | "kube-apiserver") {
        mounts.push(("kubeconfig", KUBECONFIG));
    }
    if component == "kwok-controller" {
        mounts.push(("kwok.yaml", "/root/.kwok/kwok.yaml"));
    }
    mounts
}

/// The port that a component serves, with its name.
pub(super) fn port(component: &str) -> (&'static str, u16) {
    match component {
        "etcd" => ("http", 2379),
        "kube-apiserver" => ("https", 6443),
        "kube-controller-manager" => ("https", 10257),
        "kube-scheduler" => ("https", 10259),
        _ => ("http", 10247),
    }
}

/// The containers.
pub(super) fn containers(
    name: &str,
    labels: &BTreeMap<String, String>,
    images: &Images,
    files: &Files,
) -> Vec<Container> {
    let project = project(name);
    COMPONENTS
        .iter()
        .map(|component| {
            let mut labels = labels.clone();
            labels.insert(PROJECT.into(), project.clone());
            let ports = if *component == "kube-apiserver" {
                vec![Port {
                    container: 6443,
                    protocol: "tcp",
                    host_address: "127.0.0.1".into(),
                    host: Some(files.port),
                }]
            } else {
                Vec::new()
            };
            let put = mounts(component).into_iter().filter_map(|(file, path)| {
                let content = files.content.get(file)?.clone();
                // The programs may run as another user than the one that owns the files.
                Some(File {
                    path: path.into(),
                    mode: 0o644,
                    content,
                })
            });
            Container {
                name: container_name(name, component),
                image: images.get(component).cloned().unwrap_or_default(),
                entrypoint: Some(vec![program(component).into()]),
                command: Some(arguments(name, component)),
                env: environment(component)
                    .iter()
                    .map(|(name, value)| ((*name).into(), Some(Secret::new(*value))))
                    .collect(),
                labels,
                networks: vec![Attachment {
                    network: project.clone(),
                    ..Attachment::default()
                }],
                ports,
                restart: Restart::UnlessStopped,
                files: put.collect(),
                ..Container::default()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcd_goes_with_the_version_of_kubernetes() {
        for (version, wanted) in [
            ("v1.28.0", "3.5.12-0"),
            ("v1.30.4", "3.5.21-0"),
            ("v1.33.0", "3.5.24-0"),
            ("v1.36.1", "3.6.10-0"),
        ] {
            assert_eq!(etcd(version), wanted);
        }
    }

    #[test]
    fn only_the_api_server_is_published_and_only_to_this_machine() {
        let files = Files {
            port: 32_766,
            content: BTreeMap::new(),
        };
        let all = containers("dev", &BTreeMap::new(), &Images::new(), &files);
        let published: Vec<(&str, &str)> = all
            .iter()
            .flat_map(|one| {
                one.ports
                    .iter()
                    .map(|port| (one.name.as_str(), port.host_address.as_str()))
            })
            .collect();
        assert_eq!(published, [("kwok-dev-kube-apiserver", "127.0.0.1")]);
    }
}
