//! What is found and removed when no cluster has it any more, and clusters that remove themselves.

use super::stage::Stage;
use ksail::step::{Container, Network};

#[test]
fn leftovers_are_shown_then_removed_and_nothing_else() {
    let Some(mut stage) = Stage::set(&["busybox:1.35.0"]) else {
        return;
    };
    let name = stage.name("g");
    let context = format!("kwok-{name}");
    let labels = ksail::docker::labels::owned(&context, &name, "KWOK");
    let network = Network {
        name: context.clone(),
        labels: labels.clone(),
        ..Network::default()
    };
    let container = Container {
        name: format!("{name}-local-registry"),
        image: "busybox:1.35.0".into(),
        labels: labels.clone(),
        ..Container::default()
    };
    let bystander = Container {
        name: format!("{name}-bystander"),
        image: "busybox:1.35.0".into(),
        labels: ksail::docker::labels::shared("live-test"),
        ..Container::default()
    };
    stage.engine(async |engine| {
        engine.ensure_network(&network).await?;
        engine.ensure_container(&container).await?;
        engine.ensure_container(&bystander).await?;
        engine.ensure_volume(&name, &labels).await
    });
    let shown = stage.good(&["gc"]);
    for wanted in [&container.name, &network.name, &name] {
        assert!(shown.contains(wanted.as_str()), "{shown}");
    }
    assert!(!shown.contains("bystander"), "{shown}");
    assert_eq!(
        stage
            .containers(&format!("ksail.dev/cluster={context}"))
            .len(),
        1
    );
    // What other runs on this engine left behind is none of this test's business.
    assert!(stage.good(&["gc", &context, "--yes"]).contains("removed"));
    stage.is_gone(&context);
    let volumes = stage.engine(async |engine| engine.volumes("ksail.dev/cluster").await);
    assert!(!volumes.contains_key(&name), "{volumes:?}");
    let left = stage.engine(async |engine| engine.inspect(&bystander.name).await);
    assert!(left.is_some());
    stage.engine(async |engine| engine.remove(&bystander.name).await);
    assert!(!stage.good(&["gc"]).contains(&name));
}

#[test]
fn what_another_user_is_at_is_no_leftover() {
    let Some(mut stage) = Stage::set(&["busybox:1.35.0"]) else {
        return;
    };
    let name = stage.name("u");
    let labels = ksail::docker::labels::owned(&format!("kwok-{name}"), &name, "KWOK");
    let mut theirs = labels.clone();
    theirs.insert(ksail::docker::labels::OWNER.into(), "somebody else".into());
    let network = |name: &str, labels| Network {
        name: name.to_string(),
        labels,
        ..Network::default()
    };
    let (old, half) = (format!("{name}-old"), format!("{name}-half"));
    stage.engine(async |engine| {
        engine.ensure_network(&network(&old, labels)).await?;
        engine.ensure_network(&network(&half, theirs)).await
    });
    let shown = stage.good(&["gc"]);
    stage.engine(async |engine| {
        engine.remove_network(&old).await?;
        engine.remove_network(&half).await
    });
    assert!(shown.contains(&old) && !shown.contains(&half), "{shown}");
}

/// Waits, by the engine's own word, until a container is removed.
fn removed(stage: &Stage, label: &str) {
    stage.engine(async |engine| {
        let mut events = engine.events(label);
        while !engine.list(&[label]).await?.is_empty() {
            let next = futures::StreamExt::next(&mut events);
            let _ = tokio::time::timeout(std::time::Duration::from_secs(5), next).await;
        }
        Ok(())
    });
}

#[test]
fn a_cluster_with_a_time_to_live_removes_itself() {
    let Some(mut stage) = Stage::set(super::kwok::IMAGES) else {
        return;
    };
    let name = stage.name("l");
    let context = format!("kwok-{name}");
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: kwok(), provider: docker(), kubernetes: "1.35.4", ttl: "20s" }})"#
    ));
    stage.good(&["run", &script]);
    let info = stage.good(&["cluster", "info", &name, "--output", "json"]);
    let facts: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert!(facts["expires"].as_u64().is_some(), "{facts}");
    removed(&stage, &format!("ksail.dev/cluster={context}"));
    // Its last container is gone; the process that removes it goes on with the rest, and deleting waits for it.
    let busy = |said: &str| said.contains("E0603");
    while busy(&crate::home::text(&stage.ksail(&[
        "cluster",
        "delete",
        "--if-exists",
        &context,
        "--yes",
    ]))) {}
    stage.is_gone(&context);
}

#[test]
fn the_doctor_sees_the_engine() {
    let Some(stage) = Stage::set(&[]) else {
        return;
    };
    let output = stage.ksail(&["doctor", "--output", "json"]);
    let checks: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let engine = &checks[0];
    assert_eq!(
        (&engine["name"], &engine["verdict"]),
        (&"engine".into(), &"good".into()),
        "{checks}"
    );
}
