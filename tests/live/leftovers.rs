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
    stage.engine(async |engine| {
        engine.remove(&container.name).await?;
        engine.remove_network(&network.name).await?;
        engine.remove_volume(&name).await?;
        engine.remove(&bystander.name).await
    });
    stage.is_gone(&context);
    assert!(!stage.good(&["gc"]).contains(&name));
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
