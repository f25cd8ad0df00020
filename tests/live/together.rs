//! Several clusters of one definition, made and removed side by side.

use serde_json::Value;

use super::stage::Stage;

#[test]
fn three_clusters_come_and_go_side_by_side() {
    let images = [super::kwok::IMAGES, super::k3s::IMAGES].concat();
    let Some(mut stage) = Stage::set(&images) else {
        return;
    };
    let names = ["ta", "tb", "tc"].map(|short| stage.name(short));
    let [one, two, three] = &names;
    let script = stage.script(&format!(
        r#"let make = |name, kind| cluster(name, #{{ distribution: kind, provider: docker(), kubernetes: "1.35.4", workers: 1 }});
[make.call("{one}", kwok()), make.call("{two}", k3s()), make.call("{three}", kwok())]"#
    ));
    stage.good(&["run", &script]);
    let list = stage.ksail(&["cluster", "list", "--output", "json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let listed = list.as_array().or_else(|| list["clusters"].as_array());
    for name in &names {
        let facts = listed.unwrap().iter().find(|one| one["name"] == **name);
        let facts = facts.unwrap();
        assert_eq!(facts["state"], "running", "{facts}");
        let nodes = facts["nodes"].as_array().unwrap();
        assert!(nodes.iter().all(|node| node["ready"] == true), "{facts}");
    }
    assert!(stage.good(&["run", &script]).contains("nothing to change"));
    stage.good(&["run", &script, "--destroy", "--yes"]);
    for (prefix, name) in ["kwok", "k3d", "kwok"].into_iter().zip(&names) {
        stage.is_gone(&format!("{prefix}-{name}"));
    }
}
