//! A connection that waits only so long for its reader.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits::HTTP_TAKEN_BYTES_MIN;

/// Fails a write that waits, when its reader takes fewer than [`HTTP_TAKEN_BYTES_MIN`] within
/// its patience.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Runs while a reader is behind, and what it has taken since.
    deadline: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Patient<S> {
    /// `patience`: how long a reader has for its bytes.
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, deadline: None }
    }

    /// Notes how a write of `offered` bytes has gone.
    fn note(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                let taken = self.deadline.as_mut().map(|(_, taken)| {
                    *taken = taken.saturating_add(count);
                    *taken
                });
                if count >= offered || taken.is_some_and(|taken| taken >= HTTP_TAKEN_BYTES_MIN) {
                    self.deadline = None;
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = self.patience;
                let (deadline, _) =
                    self.deadline.get_or_insert_with(|| (Box::pin(sleep(patience)), 0));
                if deadline.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader is too slow")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = pieces.iter().map(|piece| piece.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.note(context, offered, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, interval};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let (near, _far) = duplex(100);
        let mut near = Patient::new(near, SHORT);
        let start = Instant::now();
        let error = near.write_all(&[0; 1_000]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
    }

    #[tokio::test]
    async fn a_reader_that_trickles_is_given_up_and_one_that_reads_is_not() {
        for (bytes_each, is_served) in [(10, false), (2 * HTTP_TAKEN_BYTES_MIN, true)] {
            let total = 8 * HTTP_TAKEN_BYTES_MIN;
            let (near, mut far) = duplex(100);
            let mut near = Patient::new(near, SHORT);
            let writing = tokio::spawn(async move { near.write_all(&vec![0; total]).await });
            let (mut read, mut clock) = (0, interval(SHORT / 10));
            while read < total {
                let mut piece = vec![0; bytes_each.min(total - read)];
                if far.read_exact(&mut piece).await.is_err() {
                    break;
                }
                read += piece.len();
                clock.tick().await;
            }
            assert_eq!(writing.await.expect("no panic").is_ok(), is_served, "{bytes_each}");
        }
    }
}
