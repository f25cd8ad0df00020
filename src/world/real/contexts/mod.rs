//! The user's kubeconfig on disk: which of its files has what, and how contexts come and go.

mod file;
mod together;

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};

use self::file::Seen;
use self::together::Together;
use crate::diag::codes::state::{KUBECONFIG_UNWRITABLE, NO_CONTEXT};
use crate::error::{Error, Result};
use crate::kubeconfig::{Entry, Kubeconfig};
use crate::world::{Access, Contexts};

/// The files of a kubeconfig.
#[derive(Clone, Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    seen: Arc<Seen>,
    together: Arc<Together>,
}

impl Files {
    /// Uses these files, in the order of `KUBECONFIG`.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self {
            paths: files,
            seen: Arc::default(),
            together: Arc::default(),
        }
    }

    /// Makes a context the current one, in the file that names the current one or has the context.
    pub fn switch(&self, context: &str) -> Result<()> {
        let Some(path) = self.owner(context)? else {
            return Err(Error::new(
                &NO_CONTEXT,
                format!("the kubeconfig has no context `{context}`"),
            ));
        };
        // The first file that names a current context decides for kubectl.
        let mut target = path;
        for file in &self.paths {
            if self
                .seen
                .read(file)?
                .is_some_and(|config| config.current().is_some())
            {
                target.clone_from(file);
                break;
            }
        }
        file::edit(&target, |config| {
            if config.switch(context).is_err() {
                config.set_current(context);
            }
            true
        })
    }

    /// The current context.
    pub fn current(&self) -> Result<Option<String>> {
        for file in &self.paths {
            if let Some(current) = self
                .seen
                .read(file)?
                .and_then(|config| config.current().map(String::from))
            {
                return Ok(Some(current));
            }
        }
        Ok(None)
    }

    /// The contexts that lead to this machine.
    pub fn local(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for file in &self.paths {
            let Some(config) = self.seen.read(file)? else {
                continue;
            };
            let is_local = |name: &&str| {
                let host = config
                    .server(name)
                    .and_then(|server| server.split("://").nth(1));
                host.is_some_and(|host| {
                    ["127.0.0.1:", "localhost:", "0.0.0.0:", "[::1]:"]
                        .iter()
                        .any(|local| host.starts_with(local))
                })
            };
            let local = config.names().into_iter().filter(is_local);
            names.extend(local.map(String::from));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The file that has a context.
    fn owner(&self, context: &str) -> Result<Option<PathBuf>> {
        for file in &self.paths {
            if self
                .seen
                .read(file)?
                .is_some_and(|config| config.has(context))
            {
                return Ok(Some(file.clone()));
            }
        }
        Ok(None)
    }

    /// Where a new context goes: the first file that is there, else the last one named.
    fn target(&self) -> PathBuf {
        let there = self.paths.iter().find(|file| file.exists());
        there
            .or(self.paths.last())
            .cloned()
            .unwrap_or_else(|| PathBuf::from("kubeconfig"))
    }
}

impl Contexts for Files {
    fn merge<'a>(&'a self, context: &'a str, access: &'a Access) -> BoxFuture<'a, Result<()>> {
        let files = self.clone();
        let (context, access) = (context.to_string(), access.clone());
        blocking(move || {
            let path = files.owner(&context)?.unwrap_or_else(|| files.target());
            let change = move |config: &mut Kubeconfig| {
                let entry = Entry {
                    server: &access.server,
                    authority: &access.authority,
                    certificate: &access.certificate,
                    key: &access.key,
                };
                config.merge(&context, &entry);
                true
            };
            files.together.edit(&path, Box::new(change))
        })
    }

    fn remove<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<()>> {
        let files = self.clone();
        let context = context.to_string();
        blocking(move || {
            for file in files.paths.iter().filter(|file| file.exists()) {
                let context = context.clone();
                let change = move |config: &mut Kubeconfig| config.remove(&context);
                files.together.edit(file, Box::new(change))?;
            }
            Ok(())
        })
    }

    fn leads_to<'a>(&'a self, context: &'a str, server: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move {
            for file in &self.paths {
                if let Some(config) = self.seen.read(file)?.filter(|config| config.has(context)) {
                    return Ok(config.server(context) == Some(server));
                }
            }
            Ok(false)
        }
        .boxed()
    }
}

fn blocking<'a>(work: impl FnOnce() -> Result<()> + Send + 'static) -> BoxFuture<'a, Result<()>> {
    async move {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(cause) => Err(Error::new(
                &KUBECONFIG_UNWRITABLE,
                "the work on the kubeconfig was cut off",
            )
            .because(cause)),
        }
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::secret::Secret;

    fn access(server: &str) -> Access {
        Access {
            server: server.into(),
            authority: "CA".into(),
            certificate: "C".into(),
            key: Secret::new("K"),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(vec![folder.path().join("config")]);
        let merges = (0..50).map(|n| {
            let files = files.clone();
            async move { files.merge(&format!("c{n}"), &access("https://x")).await }
        });
        futures::future::try_join_all(merges).await.unwrap();
        for n in 0..50 {
            assert!(
                files.leads_to(&format!("c{n}"), "https://x").await.unwrap(),
                "c{n}"
            );
        }
        let mode = std::fs::metadata(folder.path().join("config"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_broken_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, "clusters: [").unwrap();
        let error = Files::new(vec![path.clone()])
            .merge("a", &access("x"))
            .await
            .unwrap_err();
        assert_eq!(error.code().id, "E0604");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "clusters: [");
        assert!(!folder.path().join("config.lock").exists());
    }

    #[tokio::test]
    async fn the_lock_of_a_killed_ksail_is_taken_over_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::write(folder.path().join("real.lock"), "ksail 1").unwrap();
        Files::new(vec![link.clone()])
            .merge("a", &access("x"))
            .await
            .unwrap();
        assert!(link.is_symlink());
        assert!(
            std::fs::read_to_string(&real)
                .unwrap()
                .contains("current-context")
        );
    }

    #[tokio::test]
    async fn of_several_files_the_owner_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["one", "two"]
            .iter()
            .map(|name| folder.path().join(name))
            .collect();
        Files::new(vec![paths[1].clone()])
            .merge("b", &access("old"))
            .await
            .unwrap();
        let files = Files::new(paths.clone());
        files.merge("b", &access("new")).await.unwrap();
        assert!(!paths[0].exists());
        assert!(files.leads_to("b", "new").await.unwrap());
        files.remove("b").await.unwrap();
        assert!(!files.leads_to("b", "new").await.unwrap());
    }
}
