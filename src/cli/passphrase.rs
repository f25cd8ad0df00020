//! Passphrases, typed on the terminal and not shown.
//!
//! Without a terminal nobody is asked: whoever waits for an answer there waits for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cipher::key::age::Ask;
use crate::secret::Secret;

/// Asks on the terminal, for each key once; gives nothing where there is none.
pub(super) fn ask() -> Ask {
    let typed: Mutex<HashMap<String, Option<Secret>>> = Mutex::default();
    Arc::new(move |what| {
        // Files are worked on at the same time: one question after the other.
        let mut typed = typed.lock().unwrap_or_else(PoisonError::into_inner);
        typed
            .entry(what.to_owned())
            .or_insert_with(|| terminal::ask(what))
            .clone()
    })
}

#[cfg(unix)]
mod terminal {
    use std::fs::File;
    use std::io::{IsTerminal as _, Read as _, Write as _};

    use rustix::termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
    };
    use zeroize::Zeroizing;

    use crate::secret::Secret;

    /// The longest passphrase.
    const LIMIT: usize = 4096;

    /// Puts the terminal back as it was.
    struct Quiet<'a>(&'a File, Termios);

    impl Drop for Quiet<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.0, OptionalActions::Flush, &self.1);
            let mut terminal = self.0;
            let _ = writeln!(terminal);
        }
    }

    pub(super) fn ask(what: &str) -> Option<Secret> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let mut terminal = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        let reading = terminal.try_clone().ok()?;
        let before = tcgetattr(&reading).ok()?;
        let mut quiet = before.clone();
        // Ctrl-C comes as a byte: the terminal must not be left silent.
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        write!(terminal, "{what}: ").ok()?;
        tcsetattr(&reading, OptionalActions::Flush, &quiet).ok()?;
        let _back = Quiet(&reading, before);
        read(&mut &reading)
    }

    /// Reads up to the end of the line; nothing if it was broken off.
    #[allow(
        clippy::unbuffered_bytes,
        reason = "a terminal gives one byte at a time, and what comes after the line is not ours"
    )]
    pub(super) fn read(from: &mut dyn std::io::Read) -> Option<Secret> {
        let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
        for byte in from.bytes() {
            match byte.ok()? {
                b'\r' | b'\n' => break,
                // Ctrl-C, and Ctrl-D on an empty line.
                3 => return None,
                4 if line.is_empty() => return None,
                4 => break,
                8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
                // Ctrl-U.
                21 => line.clear(),
                byte if line.len() < LIMIT => line.push(byte),
                _ => return None,
            }
        }
        let text = std::str::from_utf8(&line).ok()?;
        (!text.is_empty()).then(|| Secret::new(text))
    }

    #[cfg(test)]
    mod tests {
        use super::read;

        #[test]
        fn reads_a_line_as_it_was_meant() {
            let line = |bytes: &[u8]| read(&mut &*bytes).map(|typed| typed.expose().to_owned());
            assert_eq!(line(b"hunter2\n").as_deref(), Some("hunter2"));
            assert_eq!(
                line(b"wrong\x15h\xc3\xa9\x7fello\r").as_deref(),
                Some("hello")
            );
            assert_eq!(line(b"half\x03"), None);
            assert_eq!(line(b"\x04"), None);
            assert_eq!(line(b""), None);
        }
    }
}

#[cfg(not(unix))]
mod terminal {
    use crate::secret::Secret;

    /// A key with a passphrase can be given in a variable here.
    pub(super) fn ask(_: &str) -> Option<Secret> {
        None
    }
}
