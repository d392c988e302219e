//! A proxy in front of the API server that answers some requests itself, or does something when one was answered.

use crate::cluster::Cluster;
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An answer that the API server gives.
pub type Answer = http::Response<Full<Bytes>>;
type Before = Arc<dyn Fn(&Parts) -> Option<Answer> + Send + Sync>;
type After = Arc<dyn Fn(usize) + Send + Sync>;

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
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a port").port();
        let proxy = Self { port, count: Arc::default() };
        let (client, count) = (cluster.client(), Arc::clone(&proxy.count));
        let (before, after): (Before, After) = (Arc::new(before), Arc::new(after));
        cluster.runtime().spawn(async move {
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

async fn forward(
    request: http::Request<Incoming>,
    client: kube::Client,
    before: &Before,
) -> Result<Answer, hyper::Error> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if let Some(answer) = before(&head) {
        return Ok(answer);
    }
    for header in ["host", "authorization", "accept-encoding", "content-length"] {
        head.headers.remove(header);
    }
    head.uri = head.uri.path_and_query().expect("a path").as_str().parse().expect("a URI");
    let answer = client.send(http::Request::from_parts(head, kube::client::Body::from(body.to_vec()))).await;
    let (status, body) = match answer {
        Ok(answer) => {
            let status = answer.status();
            (status, answer.into_body().collect_bytes().await.unwrap_or_default())
        }
        Err(_) => (http::StatusCode::BAD_GATEWAY, Bytes::new()),
    };
    let mut response = http::Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}
