//! Connections, and whether the server has said anything on one.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::{Service as _, service_fn};

/// A connection that is made when it is first used, and again by itself when it breaks.
pub(crate) fn connect_lazy(endpoint: &Endpoint, timeout: Duration) -> Channel {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(timeout));
    endpoint.connect_with_connector_lazy(service_fn(move |address: Uri| {
        let mut http = http.clone();
        async move { Ok::<_, tower::BoxError>(TokioIo::new(Telling::new(http.call(address).await?.into_inner()))) }
    }))
}

/// A connection that fails as one that was refused, if it ends before the server has said anything on it. A system takes connections
/// for a server and resets those that it had not come to when it ended; and the first that a server does with one is to send its
/// settings (RFC 9113 section 3.4), before it reads a request. So nothing was taken.
pub(crate) struct Telling {
    stream: TcpStream,
    has_said_something: bool,
}

impl Telling {
    const fn new(stream: TcpStream) -> Self {
        Self { stream, has_said_something: false }
    }

    fn write<T>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let error = match ready!(write(Pin::new(&mut self.stream), cx)) {
            Err(error) if !self.has_said_something => error,
            written => return Poll::Ready(written),
        };
        // It may have said something that nobody has read.
        let mut byte = [0];
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(1..)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Err(nothing_was_said())),
        }
    }
}

impl AsyncRead for Telling {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_said_something {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.has_said_something = read.is_ok() && buffer.filled().len() > before;
        Poll::Ready(if self.has_said_something || buffer.remaining() == 0 { read } else { Err(nothing_was_said()) })
    }
}

impl AsyncWrite for Telling {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What a connection fails with on which the server has said nothing: by its kind it is known later.
fn nothing_was_said() -> io::Error {
    io::Error::new(ErrorKind::ConnectionRefused, "the server ended before it said anything")
}

#[cfg(test)]
mod tests;
