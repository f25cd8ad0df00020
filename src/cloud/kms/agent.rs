//! GnuPG's agent, spoken to through its socket: it holds secret keys, asks for their passphrases itself, and opens session keys.
//!
//! Nothing is started: where no agent runs, there is none.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sources::KeySources;
use crate::cipher::key::Part;
use crate::cipher::key::pgp_agent::Question;

/// How long the agent may wait for its user.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of one line before they are escaped; the protocol takes lines of 1000.
const LINE: usize = 300;
/// An answer has some hundred bytes.
const ANSWER_LIMIT: usize = 1 << 16;
/// More keys are not tried.
const KEYS: usize = 64;

/// Opens a locked data key with whatever agent there is; nothing if none can.
pub(super) fn unlock(sources: &KeySources, questions: &[Question], enc: &str) -> Option<Part> {
    if questions.is_empty() {
        return None;
    }
    sockets(sources)
        .iter()
        .find_map(|socket| Agent::connect(socket).ok()?.unlock(questions, enc))
}

/// Where agents listen: in GnuPG's folder, or below the folder of the user's running programs.
fn sockets(sources: &KeySources) -> Vec<PathBuf> {
    let own = sources.variable("GNUPGHOME").map(PathBuf::from);
    let is_named = own.is_some();
    let mut sockets = Vec::new();
    let folder = own.or_else(|| sources.home().map(|home| home.join(".gnupg")));
    sockets.extend(folder.map(|folder| folder.join("S.gpg-agent")));
    let user = rustix::process::getuid().as_raw();
    let running = PathBuf::from(format!("/run/user/{user}/gnupg"));
    if is_named {
        // Folders other than the usual one have a folder each, named by a hash.
        let entries = std::fs::read_dir(&running).into_iter().flatten().flatten();
        sockets.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .map(|path| path.join("S.gpg-agent")),
        );
    } else {
        sockets.push(running.join("S.gpg-agent"));
    }
    sockets
}

struct Agent {
    lines: BufReader<UnixStream>,
}

impl Agent {
    fn connect(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut agent = Self {
            lines: BufReader::new(stream),
        };
        agent.until_ok(&[])?;
        if let Ok(terminal) = std::env::var("GPG_TTY") {
            // An agent that does not know the option asks elsewhere.
            let _ = agent.ask(&format!("OPTION ttyname={terminal}"), &[]);
        }
        Ok(agent)
    }

    fn unlock(&mut self, questions: &[Question], enc: &str) -> Option<Part> {
        let listed = self.ask("KEYINFO --list", &[]).ok()?;
        let mut keys: Vec<(bool, String)> = listed
            .status
            .iter()
            .filter_map(|line| {
                let mut words = line.strip_prefix("KEYINFO ")?.split(' ');
                let grip = words.next()?.to_owned();
                // Kind, serial number, name, whether it is cached, how it is protected.
                let (cached, protection) = (words.nth(3)?, words.next()?);
                let asks = cached != "1" && protection != "C";
                (grip.len() == 40 && grip.bytes().all(|byte| byte.is_ascii_hexdigit()))
                    .then_some((asks, grip))
            })
            .collect();
        // Those that need no passphrase first.
        keys.sort();
        for (_, grip) in keys.into_iter().take(KEYS) {
            for question in questions {
                self.ask(&format!("SETKEY {grip}"), &[]).ok()?;
                let Ok(answer) = self.ask("PKDECRYPT", &question.expression()) else {
                    continue;
                };
                if let Some(part) = question.open(enc, &answer.data) {
                    return Some(part);
                }
            }
        }
        None
    }

    fn ask(&mut self, command: &str, ciphertext: &[u8]) -> std::io::Result<Answer> {
        self.send(command)?;
        self.until_ok(ciphertext)
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        self.lines
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
    }

    /// Reads up to the end of an answer; gives the ciphertext when it is inquired.
    fn until_ok(&mut self, ciphertext: &[u8]) -> std::io::Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let mut line = Vec::new();
            if self.lines.read_until(b'\n', &mut line)? == 0 {
                return Err(std::io::Error::other("the agent went away"));
            }
            line.pop();
            if line == b"OK" || line.starts_with(b"OK ") {
                return Ok(answer);
            } else if let Some(data) = line.strip_prefix(b"D ") {
                answer.data.extend(plain(data));
            } else if let Some(status) = line.strip_prefix(b"S ") {
                answer
                    .status
                    .push(String::from_utf8_lossy(status).into_owned());
            } else if line.starts_with(b"INQUIRE CIPHERTEXT") {
                for piece in ciphertext.chunks(LINE) {
                    let line = format!("D {}", escaped(piece));
                    self.send(&line)?;
                }
                self.send("END")?;
            } else if line.starts_with(b"INQUIRE ") {
                self.send("END")?;
            } else if line.starts_with(b"ERR ") {
                let why = String::from_utf8_lossy(&line).into_owned();
                return Err(std::io::Error::other(why));
            }
            if answer.data.len() > ANSWER_LIMIT || answer.status.len() > ANSWER_LIMIT {
                return Err(std::io::Error::other("the agent's answer is too long"));
            }
        }
    }
}

#[derive(Default)]
struct Answer {
    data: zeroize::Zeroizing<Vec<u8>>,
    status: Vec<String>,
}

/// Every byte that is no letter or digit as `%XX`: the line stays text.
fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Takes `%XX` back.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|_| *byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{escaped, plain};

    #[test]
    fn bytes_travel_as_lines() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(plain(escaped(&all).as_bytes()), all);
        assert_eq!(plain(b"%4"), b"%4");
        assert_eq!(plain(b"%zz%"), b"%zz%");
    }
}
