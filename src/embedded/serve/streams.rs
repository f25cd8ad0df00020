//! The streams of one connection, which go on in the task of the connection itself.
//!
//! A stream of its own task would be woken on another thread, and wake the connection for each answer there. Together they
//! answer everything that has come in before anything is sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection leaves its new streams.
#[derive(Clone, Default)]
pub(super) struct Begun(Arc<Mutex<Vec<Stream>>>);

impl<F> hyper::rt::Executor<F> for Begun
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.push(Box::pin(stream));
    }
}

/// The streams that are not over.
#[derive(Default)]
pub(super) struct Streams {
    begun: Begun,
    running: FuturesUnordered<Stream>,
}

impl Streams {
    /// Where the connection leaves new ones.
    pub(super) fn begun(&self) -> Begun {
        self.begun.clone()
    }

    /// Goes on with all that can; tells whether any has ended, so that the connection has something to say.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>) -> bool {
        let mut begun = self.begun.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.running.extend(begun.drain(..));
        drop(begun);
        let mut ended = false;
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {
            ended = true;
        }
        ended
    }
}
