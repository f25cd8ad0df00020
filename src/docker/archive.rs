//! Files into and out of containers, running or not, by the engine's archive endpoint: nothing assumes that the engine
//! shares a file system with ksail.

use std::collections::BTreeSet;
use std::io::Read as _;

use bollard::query_parameters::{DownloadFromContainerOptions, UploadToContainerOptions};
use bytes::Bytes;
use futures::TryStreamExt as _;

use super::Engine;
use super::fault::fault;
use crate::diag::codes::docker::ENGINE_FAILED;
use crate::error::{Error, Result};
use crate::step::File;

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
        self.put_archive(container, "/", packed).await
    }

    /// Puts one file of any content into a container, readable by its owner alone.
    pub async fn put_bytes(&self, container: &str, path: &str, content: &[u8]) -> Result<()> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        let packed = archive
            .append_data(&mut header, path.trim_start_matches('/'), content)
            .and_then(|()| archive.into_inner());
        let packed = packed.map_err(|cause| {
            Error::new(&ENGINE_FAILED, format!("{path} cannot be packed")).because(cause)
        })?;
        self.put_archive(container, "/", packed).await
    }

    /// Unpacks a tar archive into a folder of a container.
    pub async fn put_archive(&self, container: &str, folder: &str, packed: Vec<u8>) -> Result<()> {
        let options = UploadToContainerOptions {
            path: folder.into(),
            ..UploadToContainerOptions::default()
        };
        let body = bollard::body_full(Bytes::from(packed));
        let answer = self
            .client
            .upload_to_container(container, Some(options), body)
            .await;
        answer.map_err(|cause| fault(format!("putting files into {container}"), cause))
    }

    /// A file or folder of a container as a tar archive whose names begin with its own; `None` if it is not there.
    pub async fn get_archive(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let options = DownloadFromContainerOptions {
            path: path.to_string(),
        };
        let parts = self
            .client
            .download_from_container(container, Some(options));
        let answer = parts.try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        });
        super::fault::absent(format!("reading {path} of {container}"), answer.await)
    }

    /// Reads one file of a container; `None` if it is not there.
    pub async fn get_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(packed) = self.get_archive(container, path).await? else {
            return Ok(None);
        };
        unpack(&packed).map_err(|cause| {
            let message = format!("reading {path} of {container} failed");
            Error::new(&ENGINE_FAILED, message).because(cause)
        })
    }
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
