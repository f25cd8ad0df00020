//! Snapshots of a cluster's folder: saved to a file, put back, or the beginning of another cluster.
//!
//! A snapshot is a write log with nothing but a snapshot in it, so reading one is reading a log. The log of a cluster that
//! runs is only ever appended to or replaced as a whole: reading it gives everything that was acknowledged before, and a
//! record that is being written right now counts as not there yet. Nobody has to ask the process that serves the folder.

use std::path::Path;

use rustix::process::{Pid, getpid};

use super::home::{Home, Identity};
use super::store::Store;
use crate::error::Result;

/// Saves what a cluster holds to a file that is not there yet.
pub fn save(home: &Home, file: &Path) -> Result<()> {
    Store::read(&home.log_file())?.save(file)
}

/// Puts back what a file holds, in place of what a stopped cluster holds.
///
/// Revisions go on from the higher of the two, so no client takes an old object for a new one: whoever followed the
/// cluster is told that its revision is gone, and lists again.
pub fn restore(home: &Home, file: &Path) -> Result<()> {
    let _lock = home.lock(Pid::as_raw(Some(getpid())))?;
    let store = Store::read(file)?;
    let now = Store::read(&home.log_file()).map_or(0, |now| now.revision());
    store.move_past(now);
    let fresh = home.log_file().with_extension("restored");
    // Left over from a restore that was cut off; nobody refers to it.
    let _ = std::fs::remove_file(&fresh);
    store.save(&fresh)?;
    home.replace_log(&fresh)
}

/// Makes a folder for a new cluster that holds what another holds now, with the same keys.
pub fn fork(home: &Home, folder: &Path, identity: &Identity) -> Result<Home> {
    let store = Store::read(&home.log_file())?;
    Home::copy(home, folder, identity, |log| store.save(log))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fork, restore, save};
    use crate::embedded::home::{Home, Identity};
    use crate::embedded::store::{Expect, Store};

    fn identity(name: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            kubernetes: "1.35.4".to_owned(),
            port: None,
        }
    }

    fn put(home: &Home, name: &str) {
        let (store, _) = Store::open(&home.log_folder()).unwrap();
        let value = json!({"metadata": {"name": name}});
        let key = format!("a/{name}");
        store.put("pods", &key, Expect::Absent, value).unwrap();
    }

    fn names(home: &Home) -> Vec<String> {
        let (store, note) = Store::open(&home.log_folder()).unwrap();
        assert_eq!(note, None);
        let all = store.list("pods", "").objects;
        all.iter().map(|object| object.name().to_owned()).collect()
    }

    #[test]
    fn what_was_saved_is_put_back_and_revisions_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("dev"), &identity("dev")).unwrap();
        put(&home, "one");
        let file = folder.path().join("one.snapshot");
        save(&home, &file).unwrap();
        assert_eq!(save(&home, &file).unwrap_err().code().id, "E0706");
        put(&home, "two");
        let before = Store::open(&home.log_folder()).unwrap().0.revision();
        restore(&home, &file).unwrap();
        assert_eq!(names(&home), ["one"]);
        let (store, _) = Store::open(&home.log_folder()).unwrap();
        assert!(store.revision() > before);
        assert!(store.list_at("pods", "", before).is_err());
    }

    #[test]
    fn a_fork_has_the_same_keys_and_a_port_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("dev"), &identity("dev")).unwrap();
        put(&home, "one");
        let copy = fork(&home, &folder.path().join("copy"), &identity("copy")).unwrap();
        put(&home, "two");
        assert_eq!(names(&copy), ["one"]);
        assert_eq!(copy.authority().unwrap(), home.authority().unwrap());
        assert_ne!(copy.config().port, home.config().port);
        assert_eq!(copy.config().name, "copy");
    }

    #[test]
    fn what_is_no_snapshot_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("dev"), &identity("dev")).unwrap();
        put(&home, "one");
        let file = folder.path().join("wrong");
        std::fs::write(&file, "something else").unwrap();
        assert_eq!(restore(&home, &file).unwrap_err().code().id, "E0705");
        assert!(restore(&home, &folder.path().join("nothing")).is_err());
        assert_eq!(names(&home), ["one"]);
    }
}
