//! An agent that runs on and on, while the repository changes and requests fail: it stays as small as it was, and the newest
//! revision is live. The full campaign takes ten minutes.

use crate::agent::config_map;
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::proxy::{Proxy, Strike, status};
use crate::repo::Repo;
use crate::run::{Ran, code, json};
use serde_json::Value;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Resident memory in KiB, and open files.
fn size(id: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the agent runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("its memory");
    let memory = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).expect("its files").count();
    (memory, files as u64)
}

fn mean(samples: &[(u64, u64)]) -> (u64, u64) {
    let count = samples.len().max(1) as u64;
    (samples.iter().map(|s| s.0).sum::<u64>() / count, samples.iter().map(|s| s.1).sum::<u64>() / count)
}

#[test]
fn an_agent_that_runs_on_stays_small_and_keeps_up() {
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full");
    let (lasts, every) = if full { (600, 5) } else { (15, 3) };
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    let write = |n: usize| {
        for k in 0..20 {
            repo.write(&format!("apps/one/c{k}.yaml"), &config_map(&format!("c{k}"), &format!("v{n}")));
        }
        repo.commit(&format!("v{n}"))
    };
    let mut revisions = vec![write(0)];
    let server = GitServer::https(&repo);
    // One request in a hundred fails, one way or another.
    let count = AtomicU64::new(0);
    let proxy = Proxy::striking(
        &cluster,
        move |head| {
            let n = count.fetch_add(1, Ordering::SeqCst);
            if n % 100 != 99 || head.uri.path().contains("/leases") {
                return Strike::Pass;
            }
            match n / 100 % 4 {
                0 => Strike::Answer(Box::new(status(500, "InternalError", "something broke"))),
                1 => Strike::Reset,
                2 => Strike::Answer(Box::new(status(429, "TooManyRequests", "too many requests"))),
                _ => Strike::Lose,
            }
        },
        |_| {},
    );
    let kubeconfig = server.secret.path().join("kubeconfig");
    std::fs::write(&kubeconfig, proxy.kubeconfig()).unwrap();
    let cache = server.secret.path().join("cache");
    let mut arguments = vec!["agent", "--interval", "1s", "--timeout", "10", "--git-cache", cache.to_str().unwrap()];
    let options = server.options();
    arguments.extend(options.iter().map(String::as_str));
    let mut agent = cluster.command(&arguments);
    let mut agent = agent.env("KUBECONFIG", &kubeconfig).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (start, mut samples, mut written) = (Instant::now(), Vec::new(), Instant::now());
    while start.elapsed() < Duration::from_secs(lasts) {
        std::thread::sleep(Duration::from_millis(500));
        samples.push(size(agent.id()));
        if written.elapsed() >= Duration::from_secs(every) {
            // Two at once now and then: the first is overtaken.
            revisions.push(write(revisions.len()));
            if revisions.len().is_multiple_of(4) {
                revisions.push(write(revisions.len()));
            }
            written = Instant::now();
        }
    }
    let last = format!("v{}", revisions.len() - 1);
    let newest = || {
        let map = cluster.get("/api/v1/namespaces/default/configmaps/c19");
        map.is_some_and(|map| map["data"]["k"] == *last)
    };
    cluster.wait("the newest revision", newest);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(agent.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    let history = cluster.spinway(&["history", "-o", "json"]);
    assert_eq!(code(&history), 0, "{}", Ran(&history));
    let entries = json(&history)["one"]["history"].as_array().expect("a history").clone();
    // Each revision since the first recorded one was applied, or recorded as overtaken.
    let first = revisions.iter().position(|revision| entries[0]["revision"] == **revision).expect("a revision");
    let told: Vec<String> = entries
        .iter()
        .flat_map(|entry| {
            std::iter::once(&entry["revision"]).chain(entry["superseded"].as_array().into_iter().flatten())
        })
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let missing: Vec<&String> = revisions[first..].iter().filter(|revision| !told.contains(revision)).collect();
    assert!(missing.is_empty(), "neither applied nor overtaken: {missing:?}");
    if full {
        let minute = 2 * 60;
        let (second, end) = (mean(&samples[minute..2 * minute]), mean(&samples[samples.len() - minute..]));
        println!(
            "memory {} -> {} KiB, files {} -> {}, {} revisions",
            second.0,
            end.0,
            second.1,
            end.1,
            revisions.len()
        );
        assert!(end.0 * 10 <= second.0 * 11, "memory grows: {second:?} {end:?}");
        assert!(end.1 * 10 <= second.1 * 11 + 10, "files are left open: {second:?} {end:?}");
    }
}
