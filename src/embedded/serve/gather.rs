//! A stream that gathers what is written to it until its connection has nothing more to say for now.
//!
//! HTTP/2 flushes after every frame, and each flush is a record of TLS and a call into the kernel of its own. Here flushing
//! waits for whoever drives the connection, who sends everything at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When so much is gathered it is sent before more is taken.
const MOST: usize = 64 << 10;
/// Room that is kept for what comes next.
const KEPT: usize = 16 << 10;

/// The stream; clones are handles on the same one.
pub(super) struct Gather<S>(Arc<Mutex<Inner<S>>>);

impl<S> Clone for Gather<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<S> {
    stream: S,
    out: Vec<u8>,
    /// How much of it is sent.
    sent: usize,
    /// Whether somebody drives the connection; without them a flush is one.
    driven: bool,
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Gathers what is written to a stream; whoever made it has to call [`Gather::poll_send`].
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            stream,
            out: Vec::new(),
            sent: 0,
            driven: true,
        })))
    }

    /// Sends what was gathered.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().send(cx)
    }

    /// Nobody drives the connection any more: from now on every flush sends.
    pub(super) fn let_go(&self) {
        self.inner().driven = false;
    }

    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.sent = 0;
        self.out.clear();
        self.out.shrink_to(KEPT);
        Poll::Ready(Ok(()))
    }

    fn make_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.out.len() {
            0..MOST => Poll::Ready(Ok(())),
            _ => self.drain(cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        ready!(inner.make_room(cx))?;
        inner.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        ready!(inner.make_room(cx))?;
        for piece in pieces {
            inner.out.extend_from_slice(piece);
        }
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        match inner.driven {
            true => Poll::Ready(Ok(())),
            false => inner.send(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{Gather, MOST};

    #[tokio::test]
    async fn what_is_written_goes_out_when_it_is_sent_and_not_before() {
        let (mut far, near) = tokio::io::duplex(4096);
        let mut near = Gather::new(near);
        near.write_all(b"one ").await.unwrap();
        near.flush().await.unwrap();
        near.write_all(b"two").await.unwrap();
        near.flush().await.unwrap();
        let mut read = [0; 7];
        let early = futures::FutureExt::now_or_never(far.read(&mut read));
        assert!(early.is_none());
        poll_fn(|cx| near.poll_send(cx)).await.unwrap();
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"one two");
        // As after an upgrade, when others write.
        near.let_go();
        near.write_all(b"three").await.unwrap();
        near.flush().await.unwrap();
        far.read_exact(&mut read[..5]).await.unwrap();
        assert_eq!(&read[..5], b"three");
    }

    #[tokio::test]
    async fn much_goes_out_by_itself_in_order() {
        let (mut far, near) = tokio::io::duplex(1000);
        let bytes: Vec<u8> = (0..4 * MOST).map(|number| number as u8).collect();
        let wanted = bytes.clone();
        let writer = tokio::spawn(async move {
            let mut near = Gather::new(near);
            for piece in bytes.chunks(777) {
                near.write_all(piece).await.unwrap();
            }
            near.shutdown().await.unwrap();
        });
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        writer.await.unwrap();
        assert!(read == wanted);
    }
}
