//! The server in a pod: it says which image answered.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// How long a request takes.
const LATENCY: Duration = Duration::from_millis(15);

/// A running server. When it is dropped it ends as a process does: with its connections.
pub struct Backend {
    task: AbortHandle,
    up: Arc<AtomicBool>,
}

impl Backend {
    /// Listens; until it is up every answer is 503.
    pub async fn start(address: SocketAddr, image: String, pod: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let up = Arc::new(AtomicBool::new(false));
        let serving = serve(listener, Arc::clone(&up), Arc::from(image), Arc::from(pod));
        Ok(Self { task: tokio::spawn(serving).abort_handle(), up })
    }

    pub fn set_up(&self) {
        self.up.store(true, Ordering::Relaxed);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, up: Arc<AtomicBool>, image: Arc<str>, pod: Arc<str>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let (up, image, pod) = (Arc::clone(&up), Arc::clone(&image), Arc::clone(&pod));
        connections.spawn(async move {
            let service = service_fn(move |request: http::Request<Incoming>| {
                answer(request, up.load(Ordering::Relaxed), Arc::clone(&image), Arc::clone(&pod))
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: http::Request<Incoming>,
    up: bool,
    image: Arc<str>,
    pod: Arc<str>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(LATENCY).await;
    let path = request.uri().path();
    let answer = http::Response::builder()
        .status(if up { 200 } else { 503 })
        .header("x-image", &*image)
        .header("x-pod", &*pod)
        .body(Full::new(Bytes::from(format!("{image} {path}\n"))));
    Ok(answer.expect("an answer"))
}
