//! What a creation costs the engine. It starts a process for each file that it is asked for, on the processors that the
//! cluster needs to start: asking again and again is the easiest way to be slow.

use super::proxy::Proxy;
use super::stage::Stage;

#[test]
fn a_creation_asks_the_engine_for_little() {
    let images = [
        super::kwok::IMAGES,
        super::k3s::IMAGES,
        super::vanilla::IMAGES,
    ]
    .concat();
    let Some(mut stage) = Stage::set(&images) else {
        return;
    };
    let Some(proxy) = Proxy::before(&mut stage) else {
        return;
    };
    // As many as there were, and some more for what is asked until it is there.
    for (distribution, workers, most_files, most) in [
        ("kwok", 2, 6, 60),
        ("k3s", 1, 12, 60),
        ("vanilla", 1, 16, 60),
    ] {
        let name = stage.name(distribution);
        let script = stage.script(&format!(
            r#"cluster("{name}", #{{ distribution: {distribution}(), provider: docker(), kubernetes: "1.35.4", workers: {workers} }})"#
        ));
        proxy.asked();
        stage.good(&["run", &script]);
        let asked = proxy.asked();
        let files = asked.iter().filter(|line| line.contains("/archive"));
        let files = files.count();
        assert!(
            files <= most_files && asked.len() <= most,
            "{distribution}: {files} files, {} requests\n{}",
            asked.len(),
            asked.join("\n")
        );
        stage.good(&["cluster", "delete", &name, "--yes"]);
    }
}
