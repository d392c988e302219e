//! The floor: the same requests by the same HTTP client, and nothing else.

use futures::stream::{self, StreamExt as _};
use http::Request;
use kube::client::Body;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::Path;
use std::time::Instant;

/// The role that reads the paths of a file: `KUBECONFIG FILE`.
pub const LIST: &str = "--bare-list";
/// The role that sends the patches of a file, a path and a body by tab on each line: `KUBECONFIG FILE`.
pub const PATCH: &str = "--bare-patch";
/// Requests under way at once: as many as make the servers busy, and not fewer than spinway has.
const CONCURRENCY: usize = 16;

#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    #[serde(rename = "items")]
    _items: IgnoredAny,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

fn read(arguments: &[String]) -> (tokio::runtime::Runtime, kube::Client, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let client = runtime.block_on(async {
        let config = kube::config::Kubeconfig::read_from(Path::new(&arguments[0])).expect("a kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await;
        kube::Client::try_from(config.expect("a usable kubeconfig")).expect("a client")
    });
    (runtime, client, std::fs::read_to_string(&arguments[1]).expect("the requests"))
}

async fn answer(client: &kube::Client, request: Request<Vec<u8>>) -> (u16, bytes::Bytes) {
    let answer = client.send(request.map(Body::from)).await.expect("an answer");
    let code = answer.status().as_u16();
    (code, answer.into_body().collect_bytes().await.expect("a body"))
}

/// Lists every path to its last page, decoded to nothing.
pub fn list(arguments: &[String]) {
    let (runtime, client, paths) = read(arguments);
    runtime.block_on(async {
        let lists = paths.lines().map(str::to_owned).map(|path| {
            let client = client.clone();
            async move {
                let mut next = String::new();
                loop {
                    let more = if next.is_empty() { String::new() } else { format!("&continue={next}") };
                    let request = Request::get(format!("{path}{more}")).header("accept", "application/json");
                    let (code, body) = answer(&client, request.body(Vec::new()).expect("a request")).await;
                    assert_eq!(code, 200, "{path}");
                    let page: Page = serde_json::from_slice(&body).expect("a page");
                    next = page.metadata.next;
                    if next.is_empty() {
                        return;
                    }
                }
            }
        });
        // Each list on a task of its own, as many threads as there are processors.
        let tasks: Vec<_> = lists.map(|list| runtime.spawn(list)).collect();
        for task in tasks {
            task.await.expect("the list ends");
        }
    });
}

/// Sends every patch; those of namespaces and definitions first.
pub fn patch(arguments: &[String]) {
    let (runtime, client, lines) = read(arguments);
    runtime.block_on(async {
        let all: Vec<(&str, &str)> = lines.lines().filter_map(|line| line.split_once('\t')).collect();
        let (first, then): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(path, _)| path.contains("/v1/namespaces/") && path.matches('/').count() == 4);
        let start = Instant::now();
        for part in [first, then] {
            let sent = part.into_iter().map(|(path, body)| {
                let client = client.clone();
                async move {
                    let request = Request::patch(path).header("content-type", "application/apply-patch+yaml");
                    let (code, body) =
                        answer(&client, request.body(body.as_bytes().to_vec()).expect("a request")).await;
                    assert!(code < 300, "{path}: {code} {}", String::from_utf8_lossy(&body));
                }
            });
            stream::iter(sent).buffer_unordered(CONCURRENCY).collect::<Vec<()>>().await;
        }
        println!("{:.3}", start.elapsed().as_secs_f64());
    });
}
