//! Files into and out of containers, running or not, by the engine's archive endpoint: nothing assumes that the engine
//! shares a file system with ksail.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use bollard::query_parameters::{DownloadFromContainerOptions, UploadToContainerOptions};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::Engine;
use super::fault::fault;
use crate::diag::codes::docker::{ENGINE_FAILED, ENGINE_GONE};
use crate::error::{Error, Result};
use crate::step::File;

/// How large a block of a tar archive is.
const BLOCK: u64 = 512;
/// How much of a file is read at once.
const PART: usize = 256 << 10;

impl Engine {
    /// Puts files into a container, with their folders; what is there is written over.
    pub async fn put_files(&self, container: &str, files: &[File]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let packed = pack(files).map_err(|cause| {
            Error::new(
                &ENGINE_FAILED,
                format!("files for {container} cannot be packed"),
            )
            .because(cause)
        })?;
        self.upload(container, "/", part(packed)).await
    }

    /// Puts a file of this machine into a container, readable by its owner alone; it is sent as it is read.
    pub async fn copy_in(&self, container: &str, path: &str, file: &Path) -> Result<()> {
        let unread = |cause: std::io::Error| {
            let message = format!("{} cannot be read", file.display());
            Error::new(&ENGINE_FAILED, message).because(cause)
        };
        let open = tokio::fs::File::open(file).await.map_err(unread)?;
        let size = open.metadata().await.map_err(unread)?.len();
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(size);
        header
            .set_path(path.trim_start_matches('/'))
            .map_err(unread)?;
        header.set_cksum();
        // Files fill whole blocks, and two empty ones end an archive.
        let fill = usize::try_from(size.next_multiple_of(BLOCK) - size + 2 * BLOCK).unwrap_or(0);
        let parts = part(header.as_bytes().to_vec())
            .chain(ReaderStream::with_capacity(open.take(size), PART))
            .chain(part(vec![0; fill]));
        self.upload(container, "/", parts).await
    }

    /// Copies one file of a container into an open file of this machine, as it comes; says whether it was there.
    pub async fn copy_out(
        &self,
        container: &str,
        path: &str,
        mut file: std::fs::File,
    ) -> Result<bool> {
        let Some(parts) = self.download(container, path).await? else {
            return Ok(false);
        };
        let packed = SyncIoBridge::new(StreamReader::new(parts));
        let write = move || {
            for entry in tar::Archive::new(packed).entries()? {
                let mut entry = entry?;
                if entry.header().entry_type().is_file() {
                    std::io::copy(&mut entry, &mut file)?;
                    return Ok(true);
                }
            }
            Ok::<bool, std::io::Error>(false)
        };
        let written = tokio::task::spawn_blocking(write).await;
        let failed = |cause: std::io::Error| {
            let message = format!("copying {path} of {container} failed");
            Error::new(&ENGINE_FAILED, message).because(cause)
        };
        written
            .map_err(|cause| failed(cause.into()))?
            .map_err(failed)
    }

    /// Copies a file or folder of one container into a folder of another, as it comes; says whether it was there.
    pub async fn copy_across(
        &self,
        from: &str,
        path: &str,
        to: &str,
        folder: &str,
    ) -> Result<bool> {
        match self.download(from, path).await? {
            Some(parts) => self.upload(to, folder, parts).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// A file or folder of a container as parts of a tar archive; `None` if it is not there.
    async fn download(
        &self,
        container: &str,
        path: &str,
    ) -> Result<Option<BoxStream<'static, std::io::Result<Bytes>>>> {
        let options = DownloadFromContainerOptions {
            path: path.to_string(),
        };
        let mut parts = self
            .client
            .download_from_container(container, Some(options))
            .boxed();
        let first = parts.next().await.unwrap_or(Ok(Bytes::new()));
        let first = super::fault::absent(format!("reading {path} of {container}"), first)?;
        Ok(first.map(|first| {
            let rest = parts.map_err(std::io::Error::other);
            stream::once(async { Ok(first) }).chain(rest).boxed()
        }))
    }

    async fn upload(
        &self,
        container: &str,
        folder: &str,
        parts: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        let body = bollard::body_try_stream(parts);
        let options = UploadToContainerOptions {
            path: folder.into(),
            ..UploadToContainerOptions::default()
        };
        let answer = self
            .client
            .upload_to_container(container, Some(options), body)
            .await;
        answer.map_err(|cause| fault(format!("putting files into {container}"), cause))
    }

    /// Reads one file of a container; `None` if it is not there.
    pub async fn get_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let what = format!("reading {path} of {container}");
        let Some(parts) = self.download(container, path).await? else {
            return Ok(None);
        };
        let packed = parts.try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        });
        let packed = packed
            .await
            .map_err(|cause| Error::new(&ENGINE_GONE, format!("{what} failed")).because(cause))?;
        unpack(&packed)
            .map_err(|cause| Error::new(&ENGINE_FAILED, format!("{what} failed")).because(cause))
    }
}

/// A stream of one part.
fn part(bytes: Vec<u8>) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::once(async move { Ok(Bytes::from(bytes)) })
}

/// A tar archive of the files; folders that are surely there are left as they are.
fn pack(files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    for file in files {
        let path = file.path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..end).unwrap_or_default();
            // The engine would make missing folders unreadable for others on some versions; common ones keep their mode.
            if folder.contains('/') && folders.insert(folder.to_string()) {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                archive.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
            }
        }
        let content = file.content.expose().as_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content)?;
    }
    archive.into_inner()
}

/// The content of the first file in a tar archive.
fn unpack(packed: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(packed).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(Some(content));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn what_is_packed_is_unpacked() {
        let file = |path: &str, text: &str| File {
            path: path.into(),
            mode: 0o600,
            content: Secret::new(text),
        };
        let packed = pack(&[
            file("/etc/kubernetes/pki/ca.crt", "CA"),
            file("/kind/x", ""),
        ])
        .unwrap();
        assert_eq!(unpack(&packed).unwrap().unwrap(), b"CA");
        let mut archive = tar::Archive::new(packed.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "etc/kubernetes/",
                "etc/kubernetes/pki/",
                "etc/kubernetes/pki/ca.crt",
                "kind/x"
            ]
        );
    }

    #[test]
    fn rubbish_is_no_archive() {
        assert!(unpack(&[7; 600]).is_err());
        assert_eq!(unpack(&[]).unwrap(), None);
    }
}
