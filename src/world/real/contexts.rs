//! The user's kubeconfig on disk: read, merged under a lock, written whole.
//!
//! Two locks exclude others: an OS lock on a file of ksail's own, which no crash leaves behind, and the `.lock` file that
//! kubectl and other Go clients make. A `.lock` that a killed ksail left is known by its content and removed.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt as _};

use crate::diag::codes::state::{
    BROKEN_KUBECONFIG, KUBECONFIG_LOCKED, KUBECONFIG_UNWRITABLE, NO_CONTEXT,
};
use crate::error::{Error, Result};
use crate::kubeconfig::{Entry, Kubeconfig};
use crate::world::{Access, Contexts};

/// How long another program may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the other program's lock is looked at: there is nothing to be woken by.
const LOOK: Duration = Duration::from_millis(10);
/// What ksail writes into its `.lock` files.
const MARK: &str = "ksail";

/// The files of a kubeconfig.
#[derive(Clone, Debug)]
pub struct Files(Vec<PathBuf>);

impl Files {
    /// Uses these files, in the order of `KUBECONFIG`.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
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
        for file in &self.0 {
            if read(file)?.is_some_and(|config| config.current().is_some()) {
                target.clone_from(file);
                break;
            }
        }
        edit(&target, |config| {
            if config.switch(context).is_err() {
                config.set_current(context);
            }
            true
        })
    }

    /// The current context.
    pub fn current(&self) -> Result<Option<String>> {
        for file in &self.0 {
            if let Some(current) = read(file)?.and_then(|config| config.current().map(String::from))
            {
                return Ok(Some(current));
            }
        }
        Ok(None)
    }

    /// The file that has a context.
    fn owner(&self, context: &str) -> Result<Option<PathBuf>> {
        for file in &self.0 {
            if read(file)?.is_some_and(|config| config.has(context)) {
                return Ok(Some(file.clone()));
            }
        }
        Ok(None)
    }

    /// Where a new context goes: the first file that is there, else the last one named.
    fn target(&self) -> PathBuf {
        let there = self.0.iter().find(|file| file.exists());
        there
            .or(self.0.last())
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
            let entry = Entry {
                server: &access.server,
                authority: &access.authority,
                certificate: &access.certificate,
                key: &access.key,
            };
            edit(&path, |config| {
                config.merge(&context, &entry);
                true
            })
        })
    }

    fn remove<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<()>> {
        let files = self.clone();
        let context = context.to_string();
        blocking(move || {
            for file in files.0.iter().filter(|file| file.exists()) {
                edit(file, |config| config.remove(&context))?;
            }
            Ok(())
        })
    }

    fn leads_to<'a>(&'a self, context: &'a str, server: &'a str) -> BoxFuture<'a, Result<bool>> {
        async move {
            for file in &self.0 {
                if let Some(config) = read(file)?.filter(|config| config.has(context)) {
                    return Ok(config.server(context) == Some(server));
                }
            }
            Ok(false)
        }
        .boxed()
    }
}

fn read(path: &Path) -> Result<Option<Kubeconfig>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Kubeconfig::parse(&text)
            .map(Some)
            .map_err(|error| error.within(path.display())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::new(
            &BROKEN_KUBECONFIG,
            format!("{} cannot be read", path.display()),
        )
        .because(cause)),
    }
}

/// Reads, changes and writes a file under both locks; a change that says `false` writes nothing.
fn edit(path: &Path, change: impl FnOnce(&mut Kubeconfig) -> bool) -> Result<()> {
    let fail = |cause: std::io::Error| {
        Error::new(
            &KUBECONFIG_UNWRITABLE,
            format!("{} cannot be written", path.display()),
        )
        .because(cause)
        .help("check the folder's owner, its mode and the free space")
    };
    // A link stays a link: what it points at is written.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = real
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_path_buf();
    std::fs::create_dir_all(&folder).map_err(fail)?;
    let name = real
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let own = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(format!(".{name}.ksail")))
        .map_err(fail)?;
    own.lock().map_err(fail)?;
    let _shared = Shared::take(&folder.join(format!("{name}.lock")))?;
    let mut config = read(&real)?.map_or_else(|| Kubeconfig::parse(""), Ok)?;
    if !change(&mut config) {
        return Ok(());
    }
    let mode = std::fs::metadata(&real).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(&folder)
        .map_err(fail)?;
    file.write_all(config.text().as_bytes()).map_err(fail)?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(fail)?;
    file.persist(&real).map_err(|failed| fail(failed.error))?;
    Ok(())
}

/// The `.lock` file that Go clients respect; removed when dropped.
struct Shared(PathBuf);

impl Shared {
    /// Makes the file, waiting a while for whoever has made it before.
    fn take(path: &Path) -> Result<Self> {
        let began = Instant::now();
        loop {
            match File::create_new(path) {
                Ok(mut file) => {
                    let _ = write!(file, "{MARK} {}", std::process::id());
                    return Ok(Self(path.to_path_buf()));
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
                    // Ours are only ever made under the OS lock, which is held here: such a file was left by a kill.
                    if std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(MARK)) {
                        let _ = std::fs::remove_file(path);
                        continue;
                    }
                    if began.elapsed() > PATIENCE {
                        return Err(Error::new(&KUBECONFIG_LOCKED, format!("{} stays", path.display()))
                            .help("make sure that no other program writes the kubeconfig, then remove the file"));
                    }
                    std::thread::sleep(LOOK);
                }
                Err(cause) => {
                    let message = format!("{} cannot be made", path.display());
                    return Err(Error::new(&KUBECONFIG_UNWRITABLE, message).because(cause));
                }
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
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
