//! Pure: a [`Container`] as the engine's request, and the digest by which a container is known to be as defined.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HostConfig,
    HostConfigCgroupnsModeEnum, NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use sha2::{Digest as _, Sha256};

use super::labels;
use crate::step::{Attachment, Container, Restart, Source};

/// The request that makes the container; only its first network is in it, for engines before API 1.44 take one alone.
/// Its owner, if it has one, is no part of the definition.
pub(super) fn body(container: &Container, owner: Option<&str>) -> ContainerCreateBody {
    let mut all = labels::signed(&container.labels, owner);
    all.insert(labels::DIGEST.to_string(), digest(container));
    let env = container.env.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={}", value.expose()),
        None => name.clone(),
    });
    let anonymous = container
        .mounts
        .iter()
        .filter(|mount| mount.source == Source::Anonymous);
    let anonymous: Vec<String> = anonymous.map(|mount| mount.target.clone()).collect();
    let exposed: Vec<String> = container
        .ports
        .iter()
        .map(|port| format!("{}/{}", port.container, port.protocol))
        .collect();
    ContainerCreateBody {
        hostname: container.hostname.clone(),
        user: container.user.clone(),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(container.tty),
        env: Some(env.collect()),
        cmd: container.command.clone(),
        entrypoint: container.entrypoint.clone(),
        image: Some(container.image.clone()),
        labels: Some(all),
        stop_signal: container.stop_signal.clone(),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        volumes: (!anonymous.is_empty()).then_some(anonymous),
        host_config: Some(host(container)),
        networking_config: container.networks.first().map(|first| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(first.network.clone(), endpoint(first))])),
        }),
        ..ContainerCreateBody::default()
    }
}

/// The place of a container in a network.
pub(super) fn endpoint(attachment: &Attachment) -> EndpointSettings {
    EndpointSettings {
        aliases: (!attachment.aliases.is_empty()).then(|| attachment.aliases.clone()),
        ipam_config: attachment
            .address
            .as_ref()
            .map(|address| EndpointIpamConfig {
                ipv4_address: Some(address.clone()),
                ..EndpointIpamConfig::default()
            }),
        ..EndpointSettings::default()
    }
}

fn host(container: &Container) -> HostConfig {
    let mut ports: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &container.ports {
        let binding = PortBinding {
            host_ip: Some(port.host_address.clone()),
            // An empty port has the engine choose a free one.
            host_port: Some(port.host.map(|port| port.to_string()).unwrap_or_default()),
        };
        let key = format!("{}/{}", port.container, port.protocol);
        ports
            .entry(key)
            .or_default()
            .get_or_insert_with(Vec::new)
            .push(binding);
    }
    let binds = container.mounts.iter().filter_map(|mount| {
        let source = match &mount.source {
            Source::Host(path) => path,
            Source::Volume(name) => name,
            Source::Anonymous => return None,
        };
        let mut options: Vec<&str> = Vec::new();
        if mount.read_only {
            options.push("ro");
        }
        options.extend(mount.propagation);
        let tail = if options.is_empty() {
            String::new()
        } else {
            format!(":{}", options.join(","))
        };
        Some(format!("{source}:{}{tail}", mount.target))
    });
    let binds: Vec<String> = binds.collect();
    let devices = container.devices.iter().map(|path| DeviceMapping {
        path_on_host: Some(path.clone()),
        path_in_container: Some(path.clone()),
        cgroup_permissions: Some("rwm".into()),
    });
    let limits = container.limits.iter().map(|limit| ResourcesUlimits {
        name: Some(limit.name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    });
    let filled =
        |map: &std::collections::BTreeMap<String, String>| -> Option<HashMap<String, String>> {
            (!map.is_empty()).then(|| map.clone().into_iter().collect())
        };
    let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    HostConfig {
        network_mode: container
            .networks
            .first()
            .map(|first| first.network.clone()),
        port_bindings: (!ports.is_empty()).then_some(ports),
        binds: (!binds.is_empty()).then_some(binds),
        tmpfs: filled(&container.tmpfs),
        privileged: Some(container.privileged),
        security_opt: list(&container.security),
        cgroupns_mode: container
            .cgroup_namespace
            .as_deref()
            .map(|mode| match mode {
                "host" => HostConfigCgroupnsModeEnum::HOST,
                _ => HostConfigCgroupnsModeEnum::PRIVATE,
            }),
        pid_mode: container.pid_mode.clone(),
        devices: (!container.devices.is_empty()).then(|| devices.collect()),
        sysctls: filled(&container.sysctls),
        extra_hosts: list(&container.extra_hosts),
        restart_policy: Some(restart(container.restart)),
        init: container.init,
        memory: container.memory,
        userns_mode: container.user_namespace.clone(),
        ulimits: (!container.limits.is_empty()).then(|| limits.collect()),
        ..HostConfig::default()
    }
}

fn restart(restart: Restart) -> RestartPolicy {
    let (name, times) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::OnFailure(times) => (RestartPolicyNameEnum::ON_FAILURE, Some(times)),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: times,
    }
}

/// What changes when the definition does. The contents of files do not count: they are put in as they then are.
pub(super) fn digest(container: &Container) -> String {
    let mut hash = Sha256::new();
    let files: Vec<(&str, u32)> = container
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.mode))
        .collect();
    let bare = Container {
        files: Vec::new(),
        env: std::collections::BTreeMap::new(),
        ..container.clone()
    };
    hash.update(format!("{bare:?}{files:?}"));
    for (name, value) in &container.env {
        hash.update(name);
        hash.update([u8::from(value.is_some())]);
        hash.update(value.as_ref().map_or("", |value| value.expose()));
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::step::{Mount, Port};

    fn container() -> Container {
        Container {
            name: "c".into(),
            image: "busybox:1".into(),
            env: [
                ("A".to_string(), Some(Secret::new("1"))),
                ("B".to_string(), None),
            ]
            .into(),
            ports: vec![Port {
                container: 6443,
                protocol: "tcp",
                host_address: "127.0.0.1".into(),
                host: None,
            }],
            mounts: vec![
                Mount {
                    source: Source::Host("/lib/modules".into()),
                    target: "/lib/modules".into(),
                    read_only: true,
                    propagation: Some("rslave"),
                },
                Mount {
                    source: Source::Volume("v".into()),
                    target: "/data".into(),
                    read_only: false,
                    propagation: None,
                },
                Mount {
                    source: Source::Anonymous,
                    target: "/var".into(),
                    read_only: false,
                    propagation: None,
                },
            ],
            networks: vec![Attachment {
                network: "n".into(),
                aliases: vec!["a".into()],
                address: None,
            }],
            ..Container::default()
        }
    }

    #[test]
    fn a_container_becomes_the_engines_request() {
        let made = serde_json::to_value(body(&container(), None)).unwrap();
        assert_eq!(made["Env"], serde_json::json!(["A=1", "B"]));
        assert_eq!(made["Volumes"], serde_json::json!({ "/var": {} }));
        assert_eq!(
            made["HostConfig"]["Binds"],
            serde_json::json!(["/lib/modules:/lib/modules:ro,rslave", "v:/data"])
        );
        assert_eq!(
            made["HostConfig"]["PortBindings"]["6443/tcp"][0],
            serde_json::json!({ "HostIp": "127.0.0.1", "HostPort": "" })
        );
        assert_eq!(made["HostConfig"]["NetworkMode"], "n");
        assert_eq!(
            made["NetworkingConfig"]["EndpointsConfig"]["n"]["Aliases"],
            serde_json::json!(["a"])
        );
    }

    #[test]
    fn the_digest_counts_secrets_and_not_the_contents_of_files() {
        let one = container();
        let mut two = container();
        two.env.insert("A".into(), Some(Secret::new("2")));
        assert_ne!(digest(&one), digest(&two));
        let file = |content: &str| crate::step::File {
            path: "/f".into(),
            mode: 0o600,
            content: Secret::new(content),
        };
        let (mut three, mut four) = (container(), container());
        three.files.push(file("x"));
        four.files.push(file("y"));
        assert_eq!(digest(&three), digest(&four));
        assert_ne!(digest(&one), digest(&three));
    }
}
