//! The commands of `ksail cipher` as people and scripts written for sops call them.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use ksail::cipher::key::age;

use crate::cipher_failures::Place;
use crate::cipher_scripts::sealed;
use crate::home::text;

/// A program that edits the file it is given with `sed`.
fn editor(place: &Place, edit: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = place.home.path("editor");
    std::fs::write(&path, format!("#!/bin/sh\nsed -i '{edit}' \"$1\"\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn readers_are_added_and_removed_in_the_editor() {
    let place = Place::new();
    let (other, public) = age::generate();
    place
        .home
        .write("other.txt", &format!("{}\n", other.expose()));
    let decrypt = |keys: &str| {
        let mut command = place.command();
        command.env("SOPS_AGE_KEY_FILE", place.home.path(keys));
        command.args(["cipher", "decrypt", "good.yaml"]).output()
    };
    let edit = |by: &str| {
        let editor = editor(&place, by);
        place.run(&["edit", "--editor", &editor, "-s", "good.yaml"])
    };
    assert!(!decrypt("other.txt").unwrap().status.success());
    let added = edit(&format!(
        "s/a: b/a: c/; s/^    age:/&\\n        - recipient: {public}/"
    ));
    assert!(added.status.success(), "{}", text(&added));
    let shown = decrypt("other.txt").unwrap();
    assert_eq!(text(&shown), "a: c\n");
    assert_eq!(text(&decrypt("keys.txt").unwrap()), "a: c\n");
    // Nobody may be left out in the dark.
    let before = std::fs::read(place.home.path("good.yaml")).unwrap();
    let emptied = edit("/^sops:/,$d");
    assert_eq!(emptied.status.code(), Some(201), "{}", text(&emptied));
    assert_eq!(std::fs::read(place.home.path("good.yaml")).unwrap(), before);
}

#[test]
fn a_new_file_is_made_for_whom_the_flags_name() {
    let place = Place::new();
    let editor = editor(&place, "s/Welcome/Hello/");
    for name in ["new.yaml", "new.json", "new.env", "new.ini", "new.bin"] {
        let made = place.run(&[
            "edit",
            "--editor",
            &editor,
            "--age",
            "PUBLIC",
            "--encrypted-regex",
            "^hello$",
            name,
        ]);
        if made.status.code() == Some(200) {
            // The formats without lists begin with another text.
            continue;
        }
        assert!(made.status.success(), "{name}: {}", text(&made));
        let kept = std::fs::read_to_string(place.home.path(name)).unwrap();
        assert!(
            kept.contains("example_value1") && !kept.contains("Hello"),
            "{kept}"
        );
        let shown = text(&place.run(&["decrypt", "-e", "[\"hello\"]", name]));
        assert!(shown.contains("Hello! Edit this file"), "{name}: {shown}");
    }
}

#[test]
fn values_come_from_files_and_standard_input() {
    let place = Place::new();
    place.home.write("value.json", "{\"deep\": [1, true]}\n");
    let set = place.run(&["set", "--value-file", "good.yaml", "[\"a\"]", "value.json"]);
    assert!(set.status.success(), "{}", text(&set));
    let shown = place.run(&["decrypt", "-e", "[\"a\"][\"deep\"][0]", "good.yaml"]);
    assert_eq!(text(&shown).trim(), "1");
    let mut command = place.command();
    let child = command
        .args(["cipher", "set", "--value-stdin", "good.yaml", "[\"a\"]"])
        .stdin(std::process::Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"\"typed\"").unwrap();
    assert!(child.wait().unwrap().success());
    let shown = place.run(&["decrypt", "-e", "[\"a\"]", "good.yaml"]);
    assert_eq!(text(&shown).trim(), "typed");
}

#[test]
fn what_is_not_there_is_removed_only_idempotently() {
    let place = Place::new();
    let before = std::fs::read(place.home.path("good.yaml")).unwrap();
    let unset = |flags: &[&str]| {
        let given = [&["unset", "good.yaml", "[\"none\"]"], flags].concat();
        place.run(&given).status.code()
    };
    assert_eq!(unset(&[]), Some(1));
    assert_eq!(unset(&["--idempotent"]), Some(0));
    assert_eq!(std::fs::read(place.home.path("good.yaml")).unwrap(), before);
}

#[test]
fn the_order_of_keys_is_a_flag_too() {
    let place = Place::new();
    let decrypt = |order: &str| place.run(&["decrypt", "--decryption-order", order, "good.yaml"]);
    assert!(decrypt("pgp,age").status.success());
    let wrong = decrypt("age,bees");
    assert!(text(&wrong).contains("`bees`"), "{}", text(&wrong));
}

#[test]
fn a_command_may_run_as_another_user() {
    let place = Place::new();
    let flat = "{\"TOKEN\": \"s3cret\"}";
    std::fs::write(place.home.path("flat.yaml"), sealed(flat, &place.public)).unwrap();
    let said = Command::new("id").arg("-un").output().unwrap();
    let own = String::from_utf8(said.stdout).unwrap().trim().to_owned();
    let mut users = vec![own.as_str()];
    if own == "root" {
        users.push("nobody");
    } else {
        println!("skipped: only root may try it with a user other than {own}");
    }
    for user in users {
        let env = place.run(&[
            "exec-env",
            "--user",
            user,
            "flat.yaml",
            "id -un; echo $TOKEN",
        ]);
        assert_eq!(text(&env), format!("{user}\ns3cret\n"));
        for flags in [&["--user", user][..], &["--user", user, "--no-fifo"]] {
            let given = [&["exec-file"], flags, &["flat.yaml", "id -un; cat {}"]].concat();
            let file = text(&place.run(&given));
            assert!(file.starts_with(user) && file.contains("s3cret"), "{file}");
        }
    }
    let unknown = place.run(&["exec-env", "--user", "no-such-user", "flat.yaml", "true"]);
    assert!(
        text(&unknown).contains("no-such-user"),
        "{}",
        text(&unknown)
    );
}

#[test]
fn commands_that_are_given_secrets_say_how_they_ended() {
    let place = Place::new();
    let flat = "{\"TOKEN\": \"s3cret\", \"N\": 5}";
    std::fs::write(place.home.path("flat.yaml"), sealed(flat, &place.public)).unwrap();
    let status = |arguments: &[&str]| place.run(arguments).status.code();
    let env = |command: &str| status(&["exec-env", "flat.yaml", command]);
    assert_eq!(env("test \"$TOKEN $N\" = 's3cret 5'"), Some(0));
    assert_eq!(env("exit 7"), Some(7));
    assert_eq!(env("kill -TERM $$"), Some(143));
    let same = ["exec-env", "--same-process", "flat.yaml"];
    assert_eq!(status(&[same[0], same[1], same[2], "exit 9"]), Some(9));
    let pristine = "test -z \"$HOME\" && test -n \"$TOKEN\"";
    assert_eq!(
        status(&["exec-env", "--pristine", "flat.yaml", pristine]),
        Some(0)
    );
    let shown = place.run(&["exec-file", "flat.yaml", "cat {}; cat {}; echo {}"]);
    assert!(shown.status.success(), "{}", text(&shown));
    let shown = text(&shown);
    assert_eq!(shown.matches("s3cret").count(), 2, "{shown}");
    let path = shown.lines().last().unwrap().to_owned();
    assert!(!Path::new(&path).exists(), "{path} is left");
    let private = "test -f {} && test \"$(stat -c %a {} 2>/dev/null || echo 600)\" = 600";
    assert_eq!(
        status(&["exec-file", "--no-fifo", "flat.yaml", private]),
        Some(0)
    );
    #[cfg(target_os = "linux")]
    assert_eq!(status(&["exec-file", "flat.yaml", "test -p {}"]), Some(0));
    assert_eq!(status(&["exec-file", "flat.yaml", "exit 7"]), Some(7));
}

/// Whoever stops ksail while a command has the file stops the command, and the file is gone.
#[test]
fn a_signal_goes_to_the_command_and_the_file_goes_away() {
    use std::io::BufRead as _;
    let place = Place::new();
    let mut child = place
        .command()
        .args(["cipher", "exec-file", "--no-fifo", "good.yaml"])
        .arg("trap 'exit 3' TERM; echo {}; while :; do sleep 1 & wait $!; done")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut path = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut path).unwrap();
    let path = Path::new(path.trim_end());
    assert!(path.exists());
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(!path.exists());
}
