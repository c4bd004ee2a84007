//! A stream that is written to in one piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// Hides that the stream within could be written to in several pieces at once. Told so, h2 copies a message of up to a
/// kibibyte behind its head and the trailers behind that, and a whole answer is one write; otherwise it is two of them
/// from 256 bytes on, and over TLS two records.
pub(super) struct InOnePiece<T>(pub(super) T);

impl<T: Read + Unpin> Read for InOnePiece<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<T: Write + Unpin> Write for InOnePiece<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Body;
    use http::{HeaderMap, Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;

    use super::*;

    /// Counts what is written with anything in it that an answer has: all but the settings and acknowledgements of a
    /// connection.
    struct Counting<T>(T, Arc<AtomicUsize>);

    impl<T: Read + Unpin> Read for Counting<T> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl<T: Write + Unpin> Write for Counting<T> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            const STREAM_ID: std::ops::Range<usize> = 5..9;
            if bytes.get(STREAM_ID).is_some_and(|stream| stream != [0; 4]) {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            pieces: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_write(cx, &pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>())
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// Answers as a unary call of gRPC does, with so many bytes and trailers.
    async fn writes_of_an_answer(bytes: usize) -> usize {
        let (client, server) = tokio::io::duplex(1 << 20);
        let writes = Arc::new(AtomicUsize::new(0));
        let stream = InOnePiece(Counting(TokioIo::new(server), writes.clone()));
        let answer = hyper::service::service_fn(move |_: Request<hyper::body::Incoming>| async move {
            let trailers = async { Some(Ok(HeaderMap::from_iter([(http::header::AGE, 0.into())]))) };
            Ok::<_, Infallible>(Response::new(
                Full::<prost::bytes::Bytes>::from(vec![b'x'; bytes]).with_trailers(trailers),
            ))
        });
        tokio::spawn(async move {
            auto::Builder::new(TokioExecutor::new()).serve_connection(stream, answer).await.ok();
        });
        let connect = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client));
        let (mut client, connection) = connect.await.unwrap();
        tokio::spawn(connection);
        let answer = client.send_request(Request::new(Body::empty())).await.unwrap();
        let answer = answer.into_body().collect().await.unwrap();
        assert!(answer.trailers().is_some());
        assert_eq!(answer.to_bytes().len(), bytes);
        writes.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn an_answer_of_a_kibibyte_is_one_write() {
        assert_eq!(writes_of_an_answer(1000).await, 1);
    }

    #[tokio::test]
    async fn a_long_answer_arrives_whole() {
        writes_of_an_answer(200_000).await;
    }
}
