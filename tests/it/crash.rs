//! SIGKILL after the n-th request of an apply, then a rerun: always the same end state.

use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::repo::Repo;
use crate::run::{Ran, code};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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
    let (victim, fatal): (Arc<Mutex<Option<Child>>>, Arc<AtomicUsize>) = Default::default();
    let (shot, at) = (Arc::clone(&victim), Arc::clone(&fatal));
    let proxy = Proxy::start(
        &cluster,
        |_| None,
        move |number| {
            if number == at.load(Ordering::SeqCst)
                && let Some(child) = shot.lock().expect("the victim").as_mut()
            {
                let _ = child.kill();
            }
        },
    );
    let kubeconfig = repo.file("kubeconfig");
    std::fs::write(&kubeconfig, proxy.kubeconfig()).expect("a file");
    // The Lease of the killed one is waited for.
    let arguments = ["apply", repo.dir(), "--yes", "--timeout", "20", "--lease", "4"];
    let through = |request: usize| {
        proxy.count.store(0, Ordering::SeqCst);
        fatal.store(request, Ordering::SeqCst);
        let child = cluster
            .command(&arguments)
            .env("KUBECONFIG", &kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("spinway runs");
        *victim.lock().expect("the victim") = Some(child);
        loop {
            let ended = victim.lock().expect("the victim").as_mut().expect("a child").try_wait().expect("a state");
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
