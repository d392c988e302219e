//! A proxy in front of the API server that answers some requests itself, harms others, or does something when one was
//! answered.

use crate::cluster::Cluster;
use http::request::Parts;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An answer that the API server gives.
pub type Answer = http::Response<Full<Bytes>>;
type Trouble = std::io::Error;
type Response = http::Response<UnsyncBoxBody<Bytes, Trouble>>;
type Before = Arc<dyn Fn(&Parts) -> Strike + Send + Sync>;
type After = Arc<dyn Fn(usize) + Send + Sync>;

/// What happens to a request.
pub enum Strike {
    /// Nothing.
    Pass,
    /// It is answered in the server's place.
    Answer(Box<Answer>),
    /// The connection is cut before anything is sent on.
    Reset,
    /// It is sent on later.
    Hang(Duration),
    /// It is sent on, and the answer is cut in the middle.
    Truncate,
    /// It is sent on, and its answer is lost.
    Lose,
}

/// The proxy; it runs as long as the cluster's runtime.
pub struct Proxy {
    pub port: u16,
    /// How many requests were answered.
    pub count: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts it: `before` may answer a request in the server's place, `after` hears the number of each answer.
    pub fn start(
        cluster: &Cluster,
        before: impl Fn(&Parts) -> Option<Answer> + Send + Sync + 'static,
        after: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        let strike = move |head: &Parts| before(head).map_or(Strike::Pass, |answer| Strike::Answer(Box::new(answer)));
        Self::striking(cluster, strike, after)
    }

    /// Starts one that harms requests.
    pub fn striking(
        cluster: &Cluster,
        before: impl Fn(&Parts) -> Strike + Send + Sync + 'static,
        after: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        Self::before(cluster.client(), cluster.runtime().handle(), before, after)
    }

    /// Starts one in front of any API server; it sends on as that client.
    pub fn before(
        client: kube::Client,
        handle: &tokio::runtime::Handle,
        before: impl Fn(&Parts) -> Strike + Send + Sync + 'static,
        after: impl Fn(usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a port").port();
        let proxy = Self { port, count: Arc::default() };
        let count = Arc::clone(&proxy.count);
        let (before, after): (Before, After) = (Arc::new(before), Arc::new(after));
        handle.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let (client, count) = (client.clone(), Arc::clone(&count));
                let (before, after) = (Arc::clone(&before), Arc::clone(&after));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (client, count) = (client.clone(), Arc::clone(&count));
                        let (before, after) = (Arc::clone(&before), Arc::clone(&after));
                        async move {
                            let answer = forward(request, client, &before).await;
                            after(count.fetch_add(1, Ordering::SeqCst) + 1);
                            answer
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        proxy
    }

    /// A kubeconfig that leads through it.
    pub fn kubeconfig(&self) -> String {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: p, clusters: [{{name: p, cluster: {{server: \"http://127.0.0.1:{}\"}}}}], users: [{{name: p, user: {{}}}}], contexts: [{{name: p, context: {{cluster: p, user: p}}}}]}}",
            self.port
        )
    }
}

/// A `Status` with a code.
pub fn status(code: u16, reason: &str, message: &str) -> Answer {
    let body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
    answer(code, &body)
}

/// An answer with a JSON body.
pub fn answer(code: u16, body: &Value) -> Answer {
    let mut answer = http::Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = http::StatusCode::from_u16(code).expect("a code");
    answer
}

fn boxed(answer: Answer) -> Response {
    answer.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

async fn forward(request: http::Request<Incoming>, client: kube::Client, before: &Before) -> Result<Response, Trouble> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map_err(Trouble::other)?.to_bytes();
    let strike = before(&head);
    match strike {
        Strike::Answer(answer) => return Ok(boxed(*answer)),
        Strike::Reset => return Err(Trouble::other("reset")),
        Strike::Hang(time) => tokio::time::sleep(time).await,
        Strike::Pass | Strike::Truncate | Strike::Lose => {}
    }
    for header in ["host", "authorization", "accept-encoding", "content-length"] {
        head.headers.remove(header);
    }
    head.uri = head.uri.path_and_query().expect("a path").as_str().parse().expect("a URI");
    let answer = client.send(http::Request::from_parts(head, kube::client::Body::from(body.to_vec()))).await;
    let Ok(answer) = answer else {
        return Ok(boxed(http::Response::builder().status(502).body(Full::default()).expect("an answer")));
    };
    let (status, content) = (answer.status(), answer.headers().get("content-type").cloned());
    let body = match strike {
        Strike::Lose => return Err(Trouble::other("lost")),
        Strike::Truncate => {
            let whole = answer.into_body().collect_bytes().await.unwrap_or_default();
            let half = whole.slice(..whole.len() / 2);
            let pieces: [Result<Frame<Bytes>, Trouble>; 2] = [Ok(Frame::data(half)), Err(Trouble::other("cut"))];
            StreamBody::new(futures::stream::iter(pieces)).boxed_unsync()
        }
        _ => answer.into_body().map_err(Trouble::other).boxed_unsync(),
    };
    let mut answer = http::Response::builder().status(status).body(body).expect("an answer");
    // kubectl tells by it which of the forms of discovery it was given.
    answer.headers_mut().extend(content.map(|content| (http::header::CONTENT_TYPE, content)));
    Ok(answer)
}
