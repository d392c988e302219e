//! Every fault on every type of request, between the agent and a real API server: the same end state, or a clean failure that
//! names the object, and the next turn mends it.

use crate::agent::config_map;
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::proxy::{Proxy, Strike, answer, status};
use crate::repo::Repo;
use crate::run::{Ran, code, json};
use http::request::Parts;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::process::Output;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long storms, hangs and outages last.
const LASTS: Duration = Duration::from_secs(5);

/// Types of requests, by how they look.
const REQUESTS: [&str; 8] = ["discover", "list", "get", "dry-run", "apply", "delete", "lease", "inventory"];

fn is(request: &str, head: &Parts) -> bool {
    let (method, path) = (head.method.as_str(), head.uri.path());
    let (query, own) = (head.uri.query().unwrap_or_default(), path.contains("spinway-system"));
    let listed = |path: &str| path.ends_with("/configmaps") || path.ends_with("/namespaces");
    match request {
        "discover" => method == "GET" && (path == "/api" || path == "/apis" || path.starts_with("/openapi")),
        "list" => method == "GET" && listed(path),
        "get" => method == "GET" && path.contains("/default/configmaps/"),
        "dry-run" => method == "PATCH" && query.contains("dryRun"),
        "apply" => method == "PATCH" && !query.contains("dryRun") && !own,
        "delete" => method == "DELETE",
        "lease" => path.contains("/leases"),
        _ => method == "PATCH" && own && path.contains("/configmaps/"),
    }
}

/// The faults. Those that last strike again until their time is over.
pub const FAULTS: [&str; 20] = [
    "429 storm",
    "429 with seconds",
    "429 without a word",
    "429 absurd",
    "429 negative",
    "500",
    "500 etcd leader",
    "500 webhook outage",
    "500 permanent",
    "502",
    "503",
    "504 html",
    "reset",
    "hang",
    "truncated",
    "lost answer",
    "200 html",
    "200 empty",
    "410 expired",
    "409 modified",
];

pub fn lasts(fault: &str) -> bool {
    matches!(fault, "429 storm" | "500 webhook outage" | "500 permanent")
}

pub fn strike(fault: &str) -> Strike {
    let say = |code, reason, message: &str| Strike::Answer(Box::new(status(code, reason, message)));
    let retry = |after: &str| {
        let mut answer = status(429, "TooManyRequests", "too many requests");
        answer.headers_mut().insert("retry-after", after.parse().expect("a header"));
        Strike::Answer(Box::new(answer))
    };
    let html = |code: u16| {
        let body = Full::new(Bytes::from_static(b"<html><body>proxy</body></html>"));
        let answer = http::Response::builder().status(code).header("content-type", "text/html").body(body);
        Strike::Answer(Box::new(answer.expect("an answer")))
    };
    match fault {
        "429 storm" | "429 with seconds" => retry("1"),
        "429 without a word" => say(429, "TooManyRequests", "too many requests"),
        "429 absurd" => retry("1000000000"),
        "429 negative" => retry("-5"),
        "500" => say(500, "InternalError", "something broke"),
        "500 etcd leader" => say(500, "InternalError", "etcdserver: leader changed"),
        "500 webhook outage" => say(
            500,
            "InternalError",
            "Internal error occurred: failed calling webhook \"m.example\": connection refused",
        ),
        "500 permanent" => say(
            500,
            "",
            "failed to create typed patch object (default/a; /v1, Kind=ConfigMap): .data.x: field not declared in schema",
        ),
        "502" => html(502),
        "503" => say(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        "504 html" => html(504),
        "reset" => Strike::Reset,
        "hang" => Strike::Hang(LASTS),
        "truncated" => Strike::Truncate,
        "lost answer" => Strike::Lose,
        "200 html" => html(200),
        "200 empty" => Strike::Answer(Box::new(answer(200, &json!({})))),
        "410 expired" => say(410, "Expired", "The provided continue parameter is too old"),
        _ => say(
            409,
            "Conflict",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
    }
}

/// Cells of faults and requests are run side by side on one cluster: each turn begins from the same state.
struct Bench {
    cluster: Cluster,
    repo: Repo,
    server: GitServer,
    second: String,
}

impl Bench {
    fn new() -> Self {
        let cluster = Cluster::take();
        let repo = Repo::with_config();
        repo.edit("spinway.yaml", "{name: test}", "{name: test, drift: correct}");
        for name in ["a", "b", "d"] {
            repo.write(&format!("apps/one/{name}.yaml"), &config_map(name, "v1"));
        }
        let first = repo.commit("first");
        repo.write("apps/one/a.yaml", &config_map("a", "v2"));
        repo.remove("apps/one/b.yaml");
        repo.write("apps/two/c.yaml", &config_map("c", "v2"));
        let second = repo.commit("second");
        repo.git(&["branch", "-q", "first", &first]);
        let server = GitServer::https(&repo);
        Self { cluster, repo, server, second }
    }

    fn turn(&self, kubeconfig: Option<&std::path::Path>, branch: &str) -> Output {
        let options = self.server.options();
        let cache = self.server.secret.path().join("cache");
        let mut arguments = vec![
            "agent",
            "--once",
            "-o",
            "json",
            "--timeout",
            "15",
            "--no-events",
            "--git-cache",
            cache.to_str().unwrap(),
            "--branch",
            branch,
        ];
        arguments.extend(options.iter().map(String::as_str));
        let mut command = self.cluster.command(&arguments);
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command.output().expect("spinway runs")
    }

    /// The first revision is applied, and someone edited an object of it.
    fn reset(&mut self) {
        self.cluster.again();
        let ran = self.turn(None, "first");
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        self.cluster.edit("/api/v1/namespaces/default/configmaps/d", "kubectl-edit", &json!({"data": {"k": "edited"}}));
    }

    fn state(&self) -> Value {
        let of = |name: &str| {
            let map = self.cluster.get(&format!("/api/v1/namespaces/default/configmaps/{name}"));
            map.map_or(Value::Null, |map| json!([map["data"], map["metadata"]["labels"]]))
        };
        json!(["a", "b", "c", "d"].map(of))
    }
}

fn cells() -> Vec<(&'static str, &'static str)> {
    let all: Vec<_> = FAULTS.iter().flat_map(|fault| REQUESTS.iter().map(move |request| (*fault, *request))).collect();
    assert_eq!(all.len(), 160);
    if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") {
        return all;
    }
    // A fixed sample, in which each fault and each request is.
    all.into_iter().enumerate().filter(|(n, _)| n % 11 == 3).map(|(_, cell)| cell).collect()
}

#[test]
fn a_fault_changes_nothing_in_the_end() {
    let mut bench = Bench::new();
    let file = bench.server.secret.path().join("kubeconfig");
    let (fault, request): (Arc<Mutex<&'static str>>, Arc<Mutex<&'static str>>) = Default::default();
    let (struck, since, open, longest) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(None::<Instant>)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let proxy = {
        let (fault, request, struck, since) =
            (Arc::clone(&fault), Arc::clone(&request), Arc::clone(&struck), Arc::clone(&since));
        let open = Arc::clone(&open);
        Proxy::striking(
            &bench.cluster,
            move |head| {
                open.fetch_add(1, Ordering::SeqCst);
                let (fault, request) = (*fault.lock().unwrap(), *request.lock().unwrap());
                if fault.is_empty() || !is(request, head) {
                    return Strike::Pass;
                }
                let first = *since.lock().unwrap().get_or_insert_with(Instant::now);
                let again = lasts(fault) && first.elapsed() < LASTS || fault == "500 permanent";
                if struck.fetch_add(1, Ordering::SeqCst) == 0 || again { strike(fault) } else { Strike::Pass }
            },
            |_| {},
        )
    };
    std::fs::write(&file, proxy.kubeconfig()).unwrap();
    // Without any fault.
    bench.reset();
    open.store(0, Ordering::SeqCst);
    let ran = bench.turn(Some(&file), "main");
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let (expected, usual) = (bench.state(), open.load(Ordering::SeqCst));
    let (mut clean, mut failed, mut never) = (0, 0, Vec::new());
    for (this, on) in cells() {
        bench.reset();
        (*fault.lock().unwrap(), *request.lock().unwrap(), *since.lock().unwrap()) = (this, on, None);
        struck.store(0, Ordering::SeqCst);
        open.store(0, Ordering::SeqCst);
        let start = Instant::now();
        let ran = bench.turn(Some(&file), "main");
        longest.fetch_max(start.elapsed().as_secs(), Ordering::SeqCst);
        let (cell, requests) = (format!("{this} on {on}"), open.load(Ordering::SeqCst));
        if struck.load(Ordering::SeqCst) == 0 {
            never.push(cell.clone());
        }
        assert!(start.elapsed() < Duration::from_secs(90), "{cell} took {:?}", start.elapsed());
        if bench.state() == expected && code(&ran) == 0 {
            clean += 1;
            // A storm is asked again as often as it says; all else costs half as much again at most.
            let extra = if lasts(this) { struck.load(Ordering::SeqCst) } else { 0 };
            assert!(requests.saturating_sub(extra) * 2 <= usual * 3, "{cell}: {requests} requests, {usual} without it");
        } else {
            failed += 1;
            assert!(names_what_failed(&ran), "{cell}\n{}", Ran(&ran));
        }
        // The next turn mends it.
        *fault.lock().unwrap() = "";
        let ran = bench.turn(Some(&file), "main");
        assert_eq!(code(&ran), 0, "{cell}\n{}", Ran(&ran));
        assert_eq!(bench.state(), expected, "{cell}\n{}", Ran(&ran));
    }
    assert_eq!(never, Vec::<String>::new(), "these struck nothing");
    assert_eq!(bench.repo.git(&["rev-parse", "main"]), bench.second);
    println!("{clean} cells ended as without fault, {failed} failed cleanly; the longest turn took {longest:?} s");
}

/// Whether the turn says that it failed, and at what.
fn names_what_failed(ran: &Output) -> bool {
    let told = String::from_utf8_lossy(&ran.stderr);
    if code(ran) != 0 {
        return told.contains("error: ") && told.lines().any(|line| line.starts_with("error: ") && line.len() > 20);
    }
    let report = json(ran);
    let rows = report["changes"].as_array().expect("changes").clone();
    let bad = |row: &Value| row["action"] == "blocked" || row["result"].as_str().is_some_and(|text| text != "done");
    rows.iter().any(bad) || report["diagnostics"].as_array().is_some_and(|found| !found.is_empty())
}
