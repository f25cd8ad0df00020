//! Images: had locally first, pulled with progress, moved into nodes.

use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptions;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use super::Engine;
use super::fault::{absent, answered, fault};
use crate::diag::codes::docker::{
    ENGINE_FAILED, ENGINE_GONE, NO_IMAGE, PULL_FAILED, WRONG_PLATFORM,
};
use crate::error::{Error, Result};
use crate::spec::registry::Credentials;
use crate::world::{Happening, Reporter};

impl Engine {
    /// Whether the engine has an image, by the exact reference.
    pub async fn has_image(&self, image: &str) -> Result<bool> {
        Ok(self.look_at_image(image).await?.is_some())
    }

    /// The digest that a registry knows a local image by, or its id; `None` if it is not there.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>> {
        Ok(self.look_at_image(image).await?.and_then(|image| image.id))
    }

    /// How large a local image is, in bytes; 0 where the engine does not say.
    pub async fn image_size(&self, image: &str) -> Result<u64> {
        let found = self.look_at_image(image).await?;
        let size = found.and_then(|image| image.size);
        Ok(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0))
    }

    async fn look_at_image(&self, image: &str) -> Result<Option<ImageInspect>> {
        let answer = self.client.inspect_image(image).await;
        absent(format!("looking for the image {image}"), answer)
    }

    /// Has an image: the local one if it is there, else pulled.
    pub async fn ensure_image(&self, image: &str, report: &Reporter) -> Result<()> {
        let there = self.look_at_image(image).await?;
        let wanted = self.inner.platform.as_deref();
        if there.is_some_and(|there| wanted.is_none_or(|wanted| is_for(&there, wanted))) {
            return Ok(());
        }
        self.pull(image, None, report).await
    }

    /// Pulls an image and tells how far it is.
    pub async fn pull(
        &self,
        image: &str,
        who: Option<&Credentials>,
        report: &Reporter,
    ) -> Result<()> {
        let options = CreateImageOptions {
            from_image: Some(with_tag(image)),
            platform: self.inner.platform.clone().unwrap_or_default(),
            ..CreateImageOptions::default()
        };
        let who = who.map(|who| DockerCredentials {
            username: Some(who.username.clone()),
            password: Some(who.password.expose().to_string()),
            ..DockerCredentials::default()
        });
        let mut progress = self.client.create_image(Some(options), None, who);
        let mut told = String::new();
        while let Some(line) = progress.next().await {
            let line = line.map_err(|cause| failed(image, cause))?;
            // The engine answers 200 before it pulls; what goes wrong then is a line of its own.
            if let Some(words) = line.error_detail.and_then(|detail| detail.message) {
                return Err(sorted(
                    image,
                    answered(&format!("pulling {image}"), 500, &words),
                ));
            }
            let saw = line.status.unwrap_or_default();
            if !saw.is_empty() && saw != told {
                report.tell(Happening::Waiting {
                    on: format!("the image {image}"),
                    saw: saw.clone(),
                });
                told = saw;
            }
        }
        if self.has_image(image).await? {
            return Ok(());
        }
        let message = format!("the image {image} is not there after it was pulled");
        Err(Error::new(&NO_IMAGE, message).help("is it an image for this architecture?"))
    }

    /// The images as an archive, as `docker save` makes it.
    pub fn save(&self, images: &[&str]) -> BoxStream<'static, Result<Bytes>> {
        let what = format!("saving {}", images.join(", "));
        let stream = self.client.export_images(images);
        stream.map_err(move |cause| fault(&what, cause)).boxed()
    }
}

/// Whether an image is for a platform, such as `linux/arm64` or `linux/arm/v7`.
fn is_for(image: &ImageInspect, platform: &str) -> bool {
    let own = [&image.os, &image.architecture, &image.variant];
    let mut wanted = platform.split('/');
    own.into_iter().all(|own| match (own, wanted.next()) {
        (Some(own), Some(wanted)) => own == wanted,
        // Neither an old image nor everybody who asks is that precise.
        _ => true,
    })
}

/// The engine pulls every tag of a reference that names none.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) {
        image.to_string()
    } else {
        format!("{image}:latest")
    }
}

fn failed(image: &str, cause: bollard::errors::Error) -> Error {
    sorted(image, fault(format!("pulling {image}"), cause))
}

/// A pull that the engine failed at is a pull that failed, whatever the number of the answer.
fn sorted(image: &str, error: Error) -> Error {
    let code = error.code();
    if code.id == NO_IMAGE.id {
        return Error::new(&NO_IMAGE, format!("the image {image} cannot be had"))
            .because(error.causes().join(": "))
            .help("check its name and tag, log the engine in, or load it with `docker load`");
    }
    if code.id == WRONG_PLATFORM.id {
        let message = format!("the image {image} is not there for this platform");
        return Error::new(&WRONG_PLATFORM, message)
            .because(error.causes().join(": "))
            .help("choose another tag, or a platform that it is there for with DOCKER_DEFAULT_PLATFORM");
    }
    if code.id == ENGINE_FAILED.id || code.id == ENGINE_GONE.id {
        return Error::new(
            &PULL_FAILED,
            format!("the image {image} could not be pulled"),
        )
        .because(error.causes().join(": "))
        .help("check the network, or load the image with `docker load`");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_a_tag_means_latest() {
        assert_eq!(with_tag("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(with_tag("a:1"), "a:1");
        assert_eq!(with_tag("a@sha256:0"), "a@sha256:0");
    }

    #[test]
    fn an_image_is_for_its_platform_alone() {
        let image = ImageInspect {
            os: Some("linux".into()),
            architecture: Some("arm".into()),
            variant: Some("v7".into()),
            ..ImageInspect::default()
        };
        assert!(is_for(&image, "linux/arm") && is_for(&image, "linux/arm/v7"));
        assert!(!is_for(&image, "linux/arm/v6") && !is_for(&image, "linux/amd64"));
    }

    #[test]
    fn a_failed_pull_is_told_as_one() {
        let offline = answered(
            "x",
            500,
            "dial tcp: lookup registry-1.docker.io: no such host",
        );
        assert_eq!(sorted("x", offline).code().id, "E0810");
        let other = "no matching manifest for linux/arm64/v8 in the manifest list entries";
        assert_eq!(sorted("x", answered("x", 404, other)).code().id, "E0846");
        let absent = answered("x", 404, "manifest unknown");
        assert_eq!(sorted("x", absent).code().id, "E0809");
    }
}
