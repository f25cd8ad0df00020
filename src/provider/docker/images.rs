//! Images into nodes: read once, from the engine or from an archive on this machine, and sent to all nodes side by side
//! that do not have them. Nothing is written to a disk in between, and the engine may be on another machine.

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use futures::stream::{BoxStream, StreamExt as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::Job;
use crate::diag::codes::docker::NO_ARCHIVE;
use crate::error::{Error, Result};
use crate::step::ImageSource;
use crate::world::Happening;

/// Asks a node for images by their names; one answer for each, `null` for none.
const ASK: &str =
    r#"for image in "$@"; do crictl inspecti "$image" 2>/dev/null || echo null; done"#;
/// Takes an archive in, into the place where the node's own runtime keeps images.
const TAKE: &str = r#"snap=$(containerd config dump 2>/dev/null | sed -n "s/^ *snapshotter = [\"']\([a-z-]\{1,\}\)[\"'].*/\1/p" | head -n 1)
exec ctr --namespace=k8s.io images import --digests --snapshotter="${snap:-overlayfs}" -"#;
/// How many parts may be on their way to a node; the slowest one sets the pace.
const AHEAD: usize = 16;
/// How much is sent between two words on it.
const STRIDE: u64 = 32 << 20;
const MEGA: u64 = 1_000_000;

/// One image by name; the id where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    id: Option<String>,
}

/// Has nodes hold images.
pub(super) async fn load(job: &Job<'_>, images: &[ImageSource], nodes: &[String]) -> Result<()> {
    let mut wanted = Vec::new();
    for source in images {
        wanted.push(known(job, source).await?);
    }
    let all: Vec<&Known> = wanted.iter().flatten().collect();
    let looks = nodes.iter().map(|node| lacks(job, node, &all));
    let lacking: Vec<Vec<&Known>> = try_join_all(looks).await?;
    // All images of the engine go in one stream: layers that they share are sent once.
    let mut of_engine: (Vec<&str>, Vec<&str>) = Default::default();
    for (source, known) in images.iter().zip(&wanted) {
        let takers = nodes.iter().zip(&lacking).filter(|(_, lacking)| {
            known.is_empty() || lacking.iter().any(|one| known.contains(one))
        });
        let takers: Vec<&str> = takers.map(|(node, _)| node.as_str()).collect();
        match source {
            _ if takers.is_empty() => {}
            ImageSource::Engine { image } => {
                of_engine.0.push(image);
                of_engine.1.extend(takers);
            }
            ImageSource::Archive { path, .. } => {
                let (stream, size) = open(path).await?;
                pour(job, source.word(), stream, size, &takers).await?;
            }
        }
    }
    let (images, mut takers) = of_engine;
    takers.sort_unstable();
    takers.dedup();
    if images.is_empty() {
        return Ok(());
    }
    let mut size = 0;
    for image in &images {
        size += job.engine.image_size(image).await?;
    }
    let stream = job.engine.save(&images);
    pour(job, &images.join(", "), stream, size, &takers).await
}

/// The images of a source; those of the engine are there afterwards.
async fn known(job: &Job<'_>, source: &ImageSource) -> Result<Vec<Known>> {
    match source {
        ImageSource::Engine { image } => {
            job.engine.ensure_image(image, job.work.report).await?;
            Ok(vec![Known {
                name: image.clone(),
                id: job.engine.image_id(image).await?,
            }])
        }
        ImageSource::Archive { holds, .. } => Ok(holds
            .iter()
            .map(|text| match text.split_once('@') {
                Some((name, id)) => Known {
                    name: name.into(),
                    id: Some(id.into()),
                },
                None => Known {
                    name: text.clone(),
                    id: None,
                },
            })
            .collect()),
    }
}

/// Which of these images a node does not have.
async fn lacks<'a>(job: &Job<'_>, node: &str, images: &[&'a Known]) -> Result<Vec<&'a Known>> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let mut argv = vec!["sh", "-c", ASK, "sh"];
    argv.extend(images.iter().map(|image| image.name.as_str()));
    let answer = job.engine.exec(node, &argv, None).await?;
    let answer = answer.success(format!("asking {node} for its images"))?;
    let there = ids(&answer.stdout);
    let lacking = images.iter().enumerate().filter(|(index, image)| {
        let id = there.get(*index).and_then(Option::as_ref);
        image.id.is_none() || id != image.id.as_ref()
    });
    Ok(lacking.map(|(_, image)| *image).collect())
}

/// The ids in a node's answers, in order.
fn ids(answers: &[u8]) -> Vec<Option<String>> {
    let answers = serde_json::Deserializer::from_slice(answers).into_iter::<Value>();
    answers
        .map_while(std::result::Result::ok)
        .map(|answer| Some(answer.pointer("/status/id")?.as_str()?.to_string()))
        .collect()
}

/// Opens an archive; with its size.
async fn open(path: &str) -> Result<(BoxStream<'static, Result<Bytes>>, u64)> {
    let wrong = |cause: std::io::Error| {
        Error::new(&NO_ARCHIVE, "the archive of images cannot be read").because(cause)
    };
    let file = tokio::fs::File::open(path).await.map_err(wrong)?;
    let size = file.metadata().await.map_err(wrong)?.len();
    let stream = ReaderStream::with_capacity(file, 256 << 10);
    Ok((stream.map(move |part| part.map_err(wrong)).boxed(), size))
}

/// Sends a stream to several nodes at once.
async fn pour(
    job: &Job<'_>,
    what: &str,
    mut stream: BoxStream<'static, Result<Bytes>>,
    size: u64,
    nodes: &[&str],
) -> Result<()> {
    let (senders, takers): (Vec<_>, Vec<_>) = nodes
        .iter()
        .map(|node| {
            let (sender, parts) = mpsc::channel::<Bytes>(AHEAD);
            let parts = futures::stream::unfold(parts, |mut parts| async move {
                let part = parts.recv().await?;
                Some((Ok(part), parts))
            });
            (Some(sender), take(job, node, parts.boxed()))
        })
        .unzip();
    let mut senders = senders;
    let read = async {
        let (mut sent, mut told) = (0, 0);
        while let Some(part) = stream.next().await {
            let part = part?;
            sent += part.len() as u64;
            for sender in &mut senders {
                // One that takes no more has ended, and says itself why.
                if let Some(open) = sender
                    && open.send(part.clone()).await.is_err()
                {
                    *sender = None;
                }
            }
            if sent >= told + STRIDE {
                told = sent;
                let saw = format!("{} of about {} MB", sent / MEGA, size.max(sent) / MEGA);
                let on = format!("{what} on its way into {}", nodes.join(", "));
                job.work.report.tell(Happening::Waiting { on, saw });
            }
        }
        drop(senders);
        Ok::<(), Error>(())
    };
    let (read, taken) = tokio::join!(read, join_all(takers));
    read?;
    match Error::gather(taken.into_iter().filter_map(Result::err)) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

async fn take(job: &Job<'_>, node: &str, parts: BoxStream<'static, Result<Bytes>>) -> Result<()> {
    let argv = ["sh", "-c", TAKE];
    let answer = job.engine.exec_fed(node, &argv, parts).await?;
    let what = format!("loading images into {node}");
    answer.success(what).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_answer_for_each_image() {
        let answers = b"{\"status\": {\"id\": \"sha256:1\"}, \"info\": {}}\nnull\n{\"status\": {\"id\": \"sha256:2\"}}\n";
        let id = |text: &str| Some(text.to_string());
        assert_eq!(ids(answers), [id("sha256:1"), None, id("sha256:2")]);
        assert_eq!(ids(b"crictl: not found"), []);
    }
}
