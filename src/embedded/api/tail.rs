//! Following a file that grows: `kubectl logs --follow`.
//!
//! The kernel tells when the file is written to; nothing is looked at in between. What the log says is `logs`' business.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::net::unix::pipe::Receiver;

use crate::embedded::store::{ChangeKind, Watch};

/// How much is sent in one piece.
const PIECE: u64 = 64 << 10;

/// How far a file has been read.
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) read: u64,
    /// How much more the client wants at most.
    pub(super) left: Option<u64>,
}

/// Sends what is there, and then whatever is added, until the client goes or a future says that it is over.
pub(super) fn follow(
    place: Place,
    first: Bytes,
    over: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Bytes> + Send {
    let rest = futures::stream::unfold((place, None), |(mut place, mut news)| async move {
        loop {
            // Heard of before looking, so that what is written in between is not missed.
            let heard = match news.take() {
                Some(heard) => heard,
                None => listen(&place.file)?,
            };
            let piece = next_piece(&mut place).await?;
            if !piece.is_empty() {
                return Some((piece, (place, Some(heard))));
            }
            news = Some(heard_again(heard).await?);
        }
    });
    let first = futures::stream::iter((!first.is_empty()).then_some(first));
    let all = futures::StreamExt::chain(first, rest);
    futures::StreamExt::take_until(all, Box::pin(over))
}

/// Waits until the pod whose log it is has gone.
pub(super) async fn until_gone(watch: Option<Watch>, key: String) {
    let Some(mut watch) = watch else { return };
    while let Ok(changes) = watch.next().await {
        let gone = |change: &crate::embedded::store::Change| {
            change.kind == ChangeKind::Deleted && change.object.key() == key
        };
        if changes.iter().any(gone) {
            return;
        }
    }
}

fn listen(file: &Path) -> Option<Receiver> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
    let flags = WatchFlags::MODIFY | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    inotify::add_watch(&watch, file, flags).ok()?;
    // It is no pipe, but is waited for and read like one.
    Receiver::from_owned_fd_unchecked(watch).ok()
}

/// Waits until something is told, and takes note of it.
async fn heard_again(news: Receiver) -> Option<Receiver> {
    news.readable().await.ok()?;
    let mut buffer = [0_u8; 4096];
    while news.try_read(&mut buffer).is_ok_and(|count| count > 0) {}
    Some(news)
}

/// What was added to the file since; `None` if there will be no more.
async fn next_piece(place: &mut Place) -> Option<Bytes> {
    let mut file = tokio::fs::File::open(&place.file).await.ok()?;
    let length = file.metadata().await.ok()?.len();
    if length < place.read {
        // It was begun anew.
        place.read = 0;
    }
    if place.left == Some(0) {
        return None;
    }
    file.seek(SeekFrom::Start(place.read)).await.ok()?;
    let most = place.left.unwrap_or(PIECE).min(PIECE);
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text).await.ok()?;
    place.read += text.len() as u64;
    place.left = place
        .left
        .map(|left| left.saturating_sub(text.len() as u64));
    Some(Bytes::from(text))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::pin::pin;

    use bytes::Bytes;
    use futures::StreamExt as _;

    use super::{Place, follow};

    #[tokio::test]
    async fn what_is_added_to_a_file_is_sent_on() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"one\n").unwrap();
        let place = Place {
            file: file.path().to_owned(),
            read: 4,
            left: Some(7),
        };
        let first = Bytes::from_static(b"one\n");
        let mut lines = pin!(follow(place, first, std::future::pending()));
        assert_eq!(lines.next().await.unwrap(), "one\n");
        file.write_all(b"two\n").unwrap();
        assert_eq!(lines.next().await.unwrap(), "two\n");
        file.write_all(b"three\n").unwrap();
        assert_eq!(lines.next().await.unwrap(), "thr");
        assert_eq!(lines.next().await, None);
    }
}
