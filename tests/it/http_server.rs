//! A server on loopback that remembers what it was asked: for those whom spinway tells things.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub authorization: String,
    pub body: Value,
}

type Answer = Arc<dyn Fn(&Asked) -> (u16, Value) + Send + Sync>;

/// The server; it ends with the test.
pub struct HttpServer {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

impl HttpServer {
    /// Starts one that answers so.
    pub fn start(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://127.0.0.1:{}", listener.local_addr().expect("a port").port());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (asked, answer): (Arc<Mutex<Vec<Asked>>>, Answer) = (Arc::default(), Arc::new(answer));
        let server = Self { url, asked: Arc::clone(&asked), _runtime: runtime };
        server._runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                tokio::spawn(async move {
                    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                        async move { respond(request, &asked, &answer).await }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        server
    }

    /// What was asked since it was asked last.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("a lock"))
    }
}

async fn respond(
    request: http::Request<hyper::body::Incoming>,
    asked: &Mutex<Vec<Asked>>,
    answer: &Answer,
) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let header = |name: &str| head.headers.get(name).and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned();
    let asking = Asked {
        method: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authorization: header("authorization"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (code, value) = answer(&asking);
    asked.lock().expect("a lock").push(asking);
    let response = http::Response::builder().status(code).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(value.to_string()))).expect("an answer"))
}
