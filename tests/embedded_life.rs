//! What makes objects live in the embedded control plane, seen by a client.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::await_condition;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use ksail::embedded::store::Store;
use ksail::embedded::{InProcess, Settings};

use crate::control_plane;

/// Runs a test on a fresh control plane.
fn on_a_cluster<F: Future<Output = ()>>(test: impl FnOnce(kube::Client, InProcess) -> F) {
    control_plane::on_a_cluster(1, |cluster| test(cluster.client(), cluster));
}

async fn create(client: &kube::Client, value: Value) {
    let text = |at: &str| {
        let text = value.pointer(at).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let (group, version) = match version.split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), version),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(&group, &version, &kind));
    let cluster_wide = matches!(
        kind.as_str(),
        "Node" | "StorageClass" | "PersistentVolume" | "Namespace"
    );
    let api: Api<DynamicObject> = match cluster_wide {
        true => Api::all_with(client.clone(), &resource),
        false => Api::default_namespaced_with(client.clone(), &resource),
    };
    let object: DynamicObject = serde_json::from_value(value).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// Waits until an object says what is expected of it.
async fn until<K>(api: Api<K>, name: &str, says: impl Fn(&Value) -> bool) -> Value
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + DeserializeOwned + serde::Serialize,
    K: 'static,
{
    let found = await_condition(api, name, |object: Option<&K>| {
        object.is_some_and(|object| says(&serde_json::to_value(object).unwrap_or_default()))
    });
    serde_json::to_value(found.await.unwrap()).unwrap()
}

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    })
}

fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn class(binding: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "example.com/disk", "volumeBindingMode": binding,
    })
}

fn phase_is(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |value| value.pointer("/status/phase") == Some(&phase.into())
}

#[test]
fn claims_get_volumes_of_the_default_class_and_give_them_back() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, claim("data")).await;
        create(&client, class("Immediate")).await;
        let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client.clone());
        let bound = until(claims.clone(), "data", phase_is("Bound")).await;
        assert_eq!(bound["spec"]["storageClassName"], "standard");
        assert_eq!(bound["status"]["capacity"]["storage"], "1Gi");
        let volumes: Api<PersistentVolume> = Api::all(client.clone());
        let name = bound["spec"]["volumeName"].as_str().unwrap();
        until(volumes.clone(), name, phase_is("Bound")).await;
        claims
            .delete("data", &DeleteParams::default())
            .await
            .unwrap();
        await_condition(volumes, name, |volume: Option<&PersistentVolume>| {
            volume.is_none()
        })
        .await
        .unwrap();
    });
}

#[test]
fn claims_can_wait_for_a_pod_that_uses_them() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, class("WaitForFirstConsumer")).await;
        create(&client, claim("data")).await;
        create(&client, node("one")).await;
        create(
            &client,
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"},
                "spec": {
                    "containers": [{"name": "c", "image": "busybox"}],
                    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
                },
            }),
        )
        .await;
        let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client.clone());
        until(claims, "data", phase_is("Bound")).await;
    });
}

#[test]
fn volumes_made_by_hand_are_bound_to_what_fits() {
    on_a_cluster(|client, _cluster| async move {
        for (name, size) in [("small", "500Mi"), ("large", "5Gi"), ("right", "2Gi")] {
            create(&client, json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
                "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}},
            })).await;
        }
        create(&client, claim("data")).await;
        let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client.clone());
        let bound = until(claims.clone(), "data", phase_is("Bound")).await;
        assert_eq!(bound["spec"]["volumeName"], "right");
        claims
            .delete("data", &DeleteParams::default())
            .await
            .unwrap();
        let volumes: Api<PersistentVolume> = Api::all(client.clone());
        until(volumes, "right", phase_is("Released")).await;
    });
}

#[test]
fn load_balancers_get_an_address() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "web"}},
        })).await;
        let services: Api<Service> = Api::default_namespaced(client.clone());
        until(services, "web", |value| {
            value.pointer("/status/loadBalancer/ingress/0/ip").is_some()
        })
        .await;
    });
}

#[test]
fn budgets_count_the_pods_that_may_go() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, node("one")).await;
        create(&client, deployment("web", 3)).await;
        create(&client, json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
        })).await;
        let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(client.clone());
        let budget = until(budgets, "web", |value| {
            value.pointer("/status/currentHealthy") == Some(&3.into())
        })
        .await;
        assert_eq!(budget["status"]["disruptionsAllowed"], 1);
        assert_eq!(budget["status"]["desiredHealthy"], 2);
    });
}

#[test]
fn stateful_sets_bring_claims_for_each_pod() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, class("WaitForFirstConsumer")).await;
        create(&client, node("one")).await;
        create(&client, json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {
                "replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                "template": {
                    "metadata": {"labels": {"app": "db"}},
                    "spec": {"containers": [{
                        "name": "c", "image": "postgres", "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }]},
                },
                "volumeClaimTemplates": [{
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }],
            },
        })).await;
        let sets: Api<StatefulSet> = Api::default_namespaced(client.clone());
        until(sets, "db", |value| {
            value.pointer("/status/readyReplicas") == Some(&2.into())
        })
        .await;
        let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client.clone());
        until(claims, "data-db-1", phase_is("Bound")).await;
    });
}

#[test]
fn autoscalers_keep_their_bounds() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, node("one")).await;
        create(&client, deployment("web", 1)).await;
        create(&client, json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {
                "minReplicas": 2, "maxReplicas": 4,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
        })).await;
        let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
        until(deployments, "web", |value| {
            value.pointer("/status/readyReplicas") == Some(&2.into())
        })
        .await;
    });
}

#[test]
fn pods_wait_for_claims_that_are_not_there() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, node("one")).await;
        create(&client, class("Immediate")).await;
        create(
            &client,
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"},
                "spec": {
                    "containers": [{"name": "c", "image": "busybox"}],
                    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
                },
            }),
        )
        .await;
        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        until(pods.clone(), "user", |value| {
            let why = value.pointer("/status/conditions/0/message");
            why.and_then(Value::as_str).is_some_and(|why| {
                why.starts_with(
                    "0/1 nodes are available: persistentvolumeclaim \"data\" not found.",
                )
            })
        })
        .await;
        create(&client, claim("data")).await;
        until(pods, "user", phase_is("Running")).await;
    });
}

fn pod(name: &str, label: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": label}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    })
}

#[test]
fn free_pods_that_fit_are_adopted_and_set_free_when_they_no_longer_fit() {
    on_a_cluster(|client, _cluster| async move {
        create(&client, node("n")).await;
        create(&client, pod("lonely", "web")).await;
        create(&client, deployment("other", 1)).await;
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "nginx"}]},
                },
            },
        });
        create(&client, set).await;
        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        let owner = |value: &Value| value.pointer("/metadata/ownerReferences/0/name").cloned();
        until(pods.clone(), "lonely", |value| {
            owner(value) == Some("web".into())
        })
        .await;
        let patch = kube::api::Patch::Merge(json!({"metadata": {"labels": {"app": "free"}}}));
        let params = kube::api::PatchParams::default();
        pods.patch("lonely", &params, &patch).await.unwrap();
        until(pods, "lonely", |value| owner(value).is_none()).await;
    });
}

#[test]
fn an_autoscaler_is_shown_in_both_versions() {
    on_a_cluster(|client, _cluster| async move {
        let first = json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {
                "maxReplicas": 3, "targetCPUUtilizationPercentage": 60,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
        });
        create(&client, first).await;
        type Second = k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
        let second: Api<Second> = Api::default_namespaced(client.clone());
        let found = serde_json::to_value(second.get("web").await.unwrap()).unwrap();
        let target = "/spec/metrics/0/resource/target/averageUtilization";
        assert_eq!(found.pointer(target), Some(&json!(60)));
        type First = k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
        let first: Api<First> = Api::default_namespaced(client);
        let found = serde_json::to_value(first.get("web").await.unwrap()).unwrap();
        assert_eq!(found["spec"]["targetCPUUtilizationPercentage"], 60);
        assert!(found["spec"].get("metrics").is_none());
    });
}

#[test]
fn every_group_version_has_an_api_service_that_is_available() {
    on_a_cluster(|client, _cluster| async move {
        let kind = GroupVersionKind::gvk("apiregistration.k8s.io", "v1", "APIService");
        let services: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&kind));
        let available =
            |value: &Value| value.pointer("/status/conditions/0/reason") == Some(&"Local".into());
        let condition = await_condition(services, "v1.apps", |object: Option<&DynamicObject>| {
            object.is_some_and(|object| available(&object.data))
        });
        condition.await.unwrap();
    });
}

#[test]
fn a_node_that_is_not_heard_of_is_given_up_and_loses_its_pods() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let test = async {
        let settings = Settings {
            node_grace: Duration::from_secs(1),
            ..Settings::default()
        };
        let cluster = InProcess::with(Store::in_memory(), settings).await.unwrap();
        let client = cluster.client();
        for name in ["well", "lost"] {
            create(&client, node(name)).await;
        }
        let nodes: Api<Node> = Api::all(client.clone());
        let ready = |value: &Value| {
            let conditions = value.pointer("/status/conditions");
            let conditions = conditions.and_then(Value::as_array).cloned();
            let mut ready = conditions.unwrap_or_default();
            ready.retain(|condition| condition["type"] == "Ready");
            let status = ready.first().map(|condition| condition["status"].clone());
            status.unwrap_or_default()
        };
        until(nodes.clone(), "lost", |value| ready(value) == "True").await;
        let toleration = |key: &str| {
            json!({
                "key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 0,
            })
        };
        let pod = |name: &str, tolerations: Value| {
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {
                    "nodeName": "lost", "containers": [{"name": "c", "image": "nginx"}], "tolerations": tolerations,
                },
            })
        };
        let hasty = json!([toleration("unreachable"), toleration("not-ready")]);
        create(&client, pod("hasty", hasty)).await;
        create(&client, pod("patient", json!([]))).await;
        let pods: Api<Pod> = Api::default_namespaced(client);
        until(pods.clone(), "patient", |value| ready(value) == "True").await;
        let mark = |value: &str| {
            kube::api::Patch::Merge(
                json!({"metadata": {"annotations": {"kwok.x-k8s.io/node": value}}}),
            )
        };
        let params = kube::api::PatchParams::default();
        nodes.patch("lost", &params, &mark("silent")).await.unwrap();
        let lost = until(nodes.clone(), "lost", |value| {
            value.pointer("/spec/taints/1").is_some()
        });
        let lost = lost.await;
        assert_eq!(ready(&lost), "Unknown");
        let taint = |at: usize| {
            let taint = &lost["spec"]["taints"][at];
            (taint["key"].clone(), taint["effect"].clone())
        };
        let key = "node.kubernetes.io/unreachable";
        assert_eq!(taint(0), (key.into(), "NoSchedule".into()));
        assert_eq!(taint(1), (key.into(), "NoExecute".into()));
        await_condition(pods.clone(), "hasty", |pod: Option<&Pod>| pod.is_none())
            .await
            .unwrap();
        until(pods.clone(), "patient", |value| ready(value) == "False").await;
        nodes.patch("lost", &params, &mark("fake")).await.unwrap();
        until(nodes.clone(), "lost", |value| {
            ready(value) == "True" && value.pointer("/spec/taints").is_none()
        })
        .await;
        until(pods, "patient", |value| ready(value) == "True").await;
        let well = nodes.get("well").await.unwrap();
        assert_eq!(ready(&serde_json::to_value(well).unwrap()), "True");
    };
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_mins(1), test).await })
        .unwrap();
}
