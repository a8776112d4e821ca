//! Connections whose client asks nothing, or takes nothing of what is written to it: each ends after a while.
//! Promise: the first request has so long from the beginning, however many pieces it comes in; a write so long since
//! something was taken last. A connection that has asked, and on which nothing is to be written, is left alone.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A connection that fails with an error of the kind TimedOut when its first request does not come in time, or when
/// what is to be written cannot be for too long.
pub struct Impatient {
    stream: TcpStream,
    /// Set by whoever gets the first request.
    has_asked: Arc<AtomicBool>,
    /// Runs out when it should have come. None: it has.
    first: Option<Pin<Box<Sleep>>>,
    patience: Duration,
    /// Runs out when the write that waits has waited for too long. None: none waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    /// One whose first request, which sets `has_asked`, comes within `first`, and on which a write waits for `patience`.
    pub fn new(stream: TcpStream, has_asked: Arc<AtomicBool>, first: Duration, patience: Duration) -> Self {
        Self { stream, has_asked, first: Some(Box::pin(sleep(first))), patience, waiting: None }
    }

    /// What became of a write, or that it has waited for too long.
    fn judge(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        waiting.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.stream).poll_read(context, bytes);
        if this.first.is_some() && this.has_asked.load(Ordering::Relaxed) {
            this.first = None;
        }
        match &mut this.first {
            Some(first) if read.is_pending() => match first.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => read,
            },
            _ => read,
        }
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
