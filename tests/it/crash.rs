//! SIGKILL after the n-th request of an apply, then a rerun: always the same end state.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A proxy in front of the API server that kills a process once the server has answered its n-th request.
struct Proxy {
    port: u16,
    count: Arc<AtomicUsize>,
    victim: Arc<Mutex<Option<Child>>>,
    fatal: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(cluster: &Cluster) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a port").port();
        let proxy = Self { port, count: Arc::default(), victim: Arc::default(), fatal: Arc::default() };
        let (client, count, victim, fatal) =
            (cluster.client(), Arc::clone(&proxy.count), Arc::clone(&proxy.victim), Arc::clone(&proxy.fatal));
        cluster.runtime().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let (client, count, victim, fatal) =
                    (client.clone(), Arc::clone(&count), Arc::clone(&victim), Arc::clone(&fatal));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        forward(request, client.clone(), Arc::clone(&count), Arc::clone(&victim), Arc::clone(&fatal))
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        proxy
    }
}

async fn forward(
    request: http::Request<Incoming>,
    client: kube::Client,
    count: Arc<AtomicUsize>,
    victim: Arc<Mutex<Option<Child>>>,
    fatal: Arc<AtomicUsize>,
) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    for header in ["host", "authorization", "accept-encoding", "content-length"] {
        head.headers.remove(header);
    }
    head.uri = head.uri.path_and_query().expect("a path").as_str().parse().expect("a URI");
    let answer = client.send(http::Request::from_parts(head, kube::client::Body::from(body.to_vec()))).await;
    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
    if number == fatal.load(Ordering::SeqCst)
        && let Some(child) = victim.lock().expect("the victim").as_mut()
    {
        let _ = child.kill();
    }
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

const COUNT: usize = 60;

/// Sixty objects; the second state creates five, changes twenty and deletes five of them.
fn state(second: bool) -> String {
    let range = if second { 5..COUNT + 5 } else { 0..COUNT };
    let value = |n: usize| if second && n < 25 { "changed" } else { "v" };
    let maps = range.map(|n| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}, namespace: default}}\ndata: {{k: {}}}\n",
            value(n)
        )
    });
    maps.collect()
}

fn contents(cluster: &Cluster) -> BTreeMap<String, Value> {
    let list = cluster.get("/api/v1/namespaces/default/configmaps").expect("a list");
    let items = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|c| c["metadata"]["name"].as_str().unwrap_or_default().starts_with('c'));
    items
        .map(|c| {
            (
                c["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                json!([c["data"], c["metadata"]["labels"], c["metadata"]["annotations"]]),
            )
        })
        .collect()
}

#[test]
fn an_apply_that_is_killed_after_any_request_is_completed_by_the_next() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    let proxy = Proxy::start(&cluster);
    let kubeconfig = repo.file("kubeconfig");
    std::fs::write(&kubeconfig, json!({"apiVersion": "v1", "kind": "Config", "current-context": "p", "contexts": [{"name": "p", "context": {"cluster": "p", "user": "p"}}],
        "clusters": [{"name": "p", "cluster": {"server": format!("http://127.0.0.1:{}", proxy.port)}}], "users": [{"name": "p", "user": {}}]}).to_string()).expect("a file");
    let arguments = ["apply", repo.dir(), "--yes", "--timeout", "20"];
    let through = |fatal: usize| {
        proxy.count.store(0, Ordering::SeqCst);
        proxy.fatal.store(fatal, Ordering::SeqCst);
        let child = cluster
            .command(&arguments)
            .env("KUBECONFIG", &kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("spinway runs");
        *proxy.victim.lock().expect("the victim") = Some(child);
        loop {
            let ended =
                proxy.victim.lock().expect("the victim").as_mut().expect("a child").try_wait().expect("a state");
            if let Some(status) = ended {
                return status.code();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let prepare = |second: bool| repo.write("platform/all.yaml", &state(second));
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full");
    // The first apply of all sixty, and then one that creates, changes and deletes.
    for second in [false, true] {
        let begin = || {
            drop_all(&cluster);
            prepare(false);
            if second {
                assert_eq!(through(0), Some(0), "the first state");
                prepare(true);
            }
        };
        begin();
        assert_eq!(through(0), Some(0));
        let (requests, expected) = (proxy.count.load(Ordering::SeqCst), contents(&cluster));
        let points: Vec<usize> = (1..=requests).step_by(if full { 1 } else { requests / 4 }).collect();
        for &fatal in &points {
            begin();
            let killed = through(fatal);
            let ran = cluster.spinway(&arguments);
            assert_eq!(code(&ran), 0, "after a kill at request {fatal} of {requests} ({killed:?}): {}", Ran(&ran));
            let found = contents(&cluster);
            let names = |map: &BTreeMap<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&found), names(&expected), "after a kill at request {fatal}");
            assert!(found == expected, "other contents after a kill at request {fatal}");
        }
        println!(
            "an apply of {} objects in {requests} requests was killed after each of {} of them",
            expected.len(),
            points.len()
        );
    }
    let mut deleted = BTreeMap::new();
    for uid in deletions(&cluster) {
        *deleted.entry(uid).or_insert(0) += 1;
    }
    assert!(deleted.values().all(|count| *count == 1), "something was deleted twice: {deleted:?}");
    cluster.mark();
}

/// The uids of all successful deletes by spinway.
fn deletions(cluster: &Cluster) -> Vec<String> {
    cluster
        .writes()
        .into_iter()
        .filter(|w| w.verb == "delete")
        .map(|w| w.body["preconditions"]["uid"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Deletes the objects and the inventory, as an administrator would.
fn drop_all(cluster: &Cluster) {
    cluster.send("DELETE", "/api/v1/namespaces/default/configmaps", "application/json", &Value::Null);
    let _ =
        cluster.try_send("DELETE", "/api/v1/namespaces/spinway-system/configmaps", "application/json", &Value::Null);
}
