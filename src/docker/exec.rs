//! Commands inside running containers.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::io::AsyncWriteExt as _;

use super::Engine;
use super::fault::fault;
use crate::diag::codes::docker::EXEC_FAILED;
use crate::error::{Error, Result};

/// How much of a failed command's output goes into the message.
const TAIL: usize = 2_000;

/// What a command came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub status: i64,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: Vec<u8>,
}

impl Output {
    /// What it printed, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The end of what it printed and complained, for messages.
    pub fn tail(&self) -> String {
        let all = [self.stdout.as_slice(), self.stderr.as_slice()].concat();
        let text = String::from_utf8_lossy(&all).into_owned();
        let skip = text.chars().count().saturating_sub(TAIL);
        text.chars()
            .skip(skip)
            .collect::<String>()
            .trim()
            .to_string()
    }

    /// Itself if the command succeeded, else an error that says what it was and what it printed.
    pub fn success(self, what: impl std::fmt::Display) -> Result<Self> {
        if self.status == 0 {
            return Ok(self);
        }
        let message = format!("{what} ended with {}", self.status);
        Err(Error::new(&EXEC_FAILED, message).because(self.tail()))
    }
}

impl Engine {
    /// Runs a command in a container, feeds it and waits for its end.
    pub async fn exec(
        &self,
        container: &str,
        argv: &[&str],
        stdin: Option<&[u8]>,
    ) -> Result<Output> {
        self.exec_lines(container, argv, stdin, &mut |_| {}).await
    }

    /// The same, and tells each line of output as it comes.
    pub async fn exec_lines(
        &self,
        container: &str,
        argv: &[&str],
        stdin: Option<&[u8]>,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Output> {
        let stdin = stdin.map(|bytes| {
            let bytes = Bytes::copy_from_slice(bytes);
            futures::stream::once(async move { Ok(bytes) }).boxed()
        });
        self.run(container, argv, stdin, tell).await
    }

    /// The same, fed as its input comes.
    pub async fn exec_fed(
        &self,
        container: &str,
        argv: &[&str],
        stdin: BoxStream<'static, Result<Bytes>>,
    ) -> Result<Output> {
        self.run(container, argv, Some(stdin), &mut |_| {}).await
    }

    async fn run(
        &self,
        container: &str,
        argv: &[&str],
        stdin: Option<BoxStream<'static, Result<Bytes>>>,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Output> {
        let what = || {
            format!(
                "running {} in {container}",
                argv.first().unwrap_or(&"nothing")
            )
        };
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(argv.iter().map(|word| (*word).to_string()).collect()),
            // kubeadm and systemctl look at what the container itself may do, not at what was asked of the command.
            privileged: Some(true),
            ..CreateExecOptions::default()
        };
        let made = self.client.create_exec(container, options).await;
        let id = made.map_err(|cause| fault(what(), cause))?.id;
        let options = StartExecOptions {
            output_capacity: Some(64 * 1024),
            ..StartExecOptions::default()
        };
        let started = self.client.start_exec(&id, Some(options)).await;
        let mut found = Output::default();
        if let StartExecResults::Attached {
            mut output,
            mut input,
        } = started.map_err(|cause| fault(what(), cause))?
        {
            let write = async {
                let mut fed = Ok(());
                if let Some(mut parts) = stdin {
                    while let Some(part) = parts.next().await {
                        let written = match part {
                            Ok(part) => input.write_all(&part).await,
                            Err(problem) => {
                                fed = Err(problem);
                                break;
                            }
                        };
                        // A command may end before it has read everything; its exit code says whether that was well.
                        if written.is_err() {
                            break;
                        }
                    }
                    let _ = input.flush().await;
                }
                // The half-close is what the command sees as the end of its input.
                let _ = input.shutdown().await;
                fed
            };
            let read = async {
                let mut line = Vec::new();
                while let Some(part) = output.next().await {
                    match part.map_err(|cause| fault(what(), cause))? {
                        LogOutput::StdErr { message } => {
                            found.stderr.extend_from_slice(&message);
                            lines(&mut line, &message, tell);
                        }
                        LogOutput::StdOut { message } | LogOutput::Console { message } => {
                            found.stdout.extend_from_slice(&message);
                            lines(&mut line, &message, tell);
                        }
                        LogOutput::StdIn { .. } => {}
                    }
                }
                Ok::<(), Error>(())
            };
            let (fed, read) = tokio::join!(write, read);
            fed?;
            read?;
        }
        found.status = self.exit_code(&id).await?;
        Ok(found)
    }

    /// The exit code, which the engine may know an instant after the stream has ended.
    async fn exit_code(&self, id: &str) -> Result<i64> {
        let mut pause = std::time::Duration::from_millis(2);
        loop {
            let answer = self.client.inspect_exec(id).await;
            let seen = answer.map_err(|cause| fault("asking for a command's exit code", cause))?;
            if !seen.running.unwrap_or(false) {
                return Ok(seen.exit_code.unwrap_or(-1));
            }
            // The engine has no event for the end of a command that carries its code before API 1.44.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(std::time::Duration::from_millis(50));
        }
    }
}

fn lines(open: &mut Vec<u8>, part: &[u8], tell: &mut (dyn FnMut(&str) + Send)) {
    for byte in part {
        if *byte == b'\n' {
            tell(String::from_utf8_lossy(open).trim_end());
            open.clear();
        } else {
            open.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Output;

    #[test]
    fn a_failure_says_the_end_of_the_output() {
        let output = Output {
            status: 1,
            stdout: vec![b'x'; 5_000],
            stderr: b"no such host\n".to_vec(),
        };
        let error = output.success("kubeadm init").unwrap_err();
        assert_eq!(error.code().id, "E0816");
        let causes = error.causes().join("");
        assert!(causes.ends_with("no such host") && causes.len() < 2_100);
    }
}
