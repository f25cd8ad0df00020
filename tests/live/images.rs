//! Images that nodes are given without any registry.

use std::io::Write as _;

use futures::StreamExt as _;

use ksail::docker::labels;
use ksail::secret::Secret;
use ksail::step::{Container, File};

use super::stage::Stage;

const IMAGES: &[&str] = &[
    "kindest/node:v1.35.4",
    "rancher/k3s:v1.35.4-k3s1",
    "ghcr.io/k3d-io/k3d-proxy:5.9.0",
    "busybox:1.35.0",
    "busybox:latest",
    "registry:3",
];

/// Whether a node has an image.
fn has(stage: &Stage, node: &str, image: &str) -> bool {
    let argv = ["crictl", "inspecti", image];
    let answer = stage.engine(async |engine| engine.exec(node, &argv, None).await);
    answer.status == 0
}

#[test]
fn nodes_are_given_images_and_not_twice() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    // Compressed, as archives often are.
    let archive = std::fs::File::create(stage.path("images.tar")).unwrap();
    let mut archive = flate2::write::GzEncoder::new(archive, flate2::Compression::fast());
    stage.engine(async |engine| {
        let mut parts = engine.save(&["busybox:latest"]);
        while let Some(part) = parts.next().await {
            archive.write_all(&part?).unwrap();
        }
        Ok(())
    });
    archive.finish().unwrap();
    for (short, distribution, prefix, nodes) in [
        ("i", "vanilla", "kind", ["control-plane", "worker"]),
        ("j", "k3s", "k3d", ["server-0", "agent-0"]),
    ] {
        let name = stage.name(short);
        let nodes = nodes.map(|node| match distribution {
            "k3s" => format!("k3d-{name}-{node}"),
            _ => format!("{name}-{node}"),
        });
        let define = |images: &str| {
            stage.script(&format!(
                r#"cluster("{name}", #{{ distribution: {distribution}("1.35.4"), provider: docker(), workers: 1, import_images: {images} }})"#
            ))
        };
        let script = define(r#"["images.tar", "busybox:1.35.0"]"#);
        let plan = stage.good(&["plan", &script]);
        assert!(plan.contains("load 2 images into 2 nodes"), "{plan}");
        stage.good(&["run", &script]);
        for node in &nodes {
            for image in ["busybox:latest", "busybox:1.35.0"] {
                assert!(has(&stage, node, image), "{node} {image}");
            }
        }
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
        // Another image is loaded in place, and one that is there is not sent again.
        let script = define(r#"["images.tar", "busybox:1.35.0", "registry:3"]"#);
        assert!(stage.good(&["plan", &script]).contains("import_images"));
        let said = stage.good(&["run", &script]);
        assert!(nodes.iter().all(|node| has(&stage, node, "registry:3")));
        assert!(!said.contains("images.tar on its way"), "{said}");
        assert!(stage.good(&["run", &script]).contains("nothing to change"));
        stage.good(&["cluster", "delete", &name, "--yes"]);
        stage.is_gone(&format!("{prefix}-{name}"));
    }
}

#[test]
fn an_image_that_nobody_has_is_named_at_its_line() {
    let Some(mut stage) = Stage::set(IMAGES) else {
        return;
    };
    let name = stage.name("n");
    std::fs::write(stage.path("no.tar"), "text").unwrap();
    let script = stage.script(&format!(
        r#"cluster("{name}", #{{ distribution: k3s("1.35.4"), provider: docker(), import_images: "no.tar" }})"#
    ));
    let said = stage.bad(&["plan", &script]);
    assert!(
        said.contains("E0845") && said.contains("cluster.rhai:1"),
        "{said}"
    );
}

#[test]
fn a_program_of_another_platform_is_told_from_one_that_failed() {
    let Some(mut stage) = Stage::set(&["busybox:1.35.0"]) else {
        return;
    };
    let name = stage.name("x");
    // What the kernel takes for a program, of a processor that nobody has.
    let foreign = Container {
        name: name.clone(),
        image: "busybox:1.35.0".into(),
        entrypoint: Some(vec!["/foreign".into()]),
        labels: labels::owned(&format!("kind-{name}"), &name, "vanilla"),
        files: vec![File {
            path: "/foreign".into(),
            mode: 0o755,
            content: Secret::new(
                "\u{7f}ELF\u{2}\u{1}\u{1}\0\0\0\0\0\0\0\0\0\u{2}\0\u{7f}\u{7f}\u{1}\0\0\0",
            ),
        }],
        ..Container::default()
    };
    let problem = stage.engine(async |engine| {
        engine.ensure_container(&foreign).await?;
        let ended = match engine.start(&name).await {
            Err(problem) => problem,
            Ok(()) => {
                engine.finish(&name).await?;
                engine.ended(&name).await
            }
        };
        engine.remove(&name).await?;
        Ok(ended)
    });
    assert_eq!(problem.code().id, "E0846", "{problem:?}");
}
