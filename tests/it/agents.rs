//! Several agents of one environment, stopped and killed at random: one writes at a time, and the end is that of one agent.

use crate::agent::{config_map, turn};
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::proxy::{Proxy, Strike};
use crate::repo::Repo;
use crate::run::{Ran, code, json};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Objects of the repository.
const COUNT: usize = 24;

fn write_all(repo: &Repo, value: &str) -> String {
    for n in 0..COUNT {
        let tenant = ["one", "two"][n % 2];
        repo.write(&format!("apps/{tenant}/c{n}.yaml"), &config_map(&format!("c{n}"), value));
    }
    repo.commit(value)
}

fn values(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.get("/api/v1/namespaces/default/configmaps").expect("a list");
    let ours =
        |map: &&Value| map["metadata"]["name"].as_str().is_some_and(|name| name.starts_with('c') && name.len() < 4);
    list["items"].as_array().expect("items").iter().filter(ours).map(|map| map["data"]["k"].clone()).collect()
}

fn send(child: &Child, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("an id")), signal);
}

/// A repository whose first revision an agent has applied.
fn applied(cluster: &Cluster) -> (Repo, GitServer) {
    let repo = Repo::with_config();
    write_all(&repo, "v1");
    let server = GitServer::https(&repo);
    let ran = turn(cluster, &server, &[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    (repo, server)
}

/// A kubeconfig that leads through a proxy.
fn through(server: &GitServer, proxy: &Proxy) -> PathBuf {
    let path = server.secret.path().join("slow");
    std::fs::write(&path, proxy.kubeconfig()).unwrap();
    path
}

/// An agent with a cache of its own.
fn agent(cluster: &Cluster, server: &GitServer, kubeconfig: &Path, name: &str, more: &[&str]) -> Command {
    let cache = server.secret.path().join(format!("cache-{name}"));
    let options = server.options();
    let mut arguments = vec!["agent", "--lease", "4", "--timeout", "10", "--git-cache", cache.to_str().unwrap()];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(more);
    let mut command = cluster.command(&arguments);
    command.env("KUBECONFIG", kubeconfig).env("HOSTNAME", name).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn an_agent_that_was_stopped_sends_nothing_more_when_another_took_over() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    write_all(&repo, "v1");
    let server = GitServer::https(&repo);
    // Writes of the first agent take long, so that it can be stopped among them.
    let writes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&writes);
    let proxy = Proxy::striking(
        &cluster,
        move |head| {
            let path = head.uri.path();
            // A renewal of the Lease names the resourceVersion that it builds on: it changes nothing that another one holds.
            let changes_nothing =
                head.uri.query().is_some_and(|query| query.contains("dryRun")) || path.contains("/leases");
            if head.method.as_str() == "GET" || changes_nothing {
                return Strike::Pass;
            }
            seen.lock().unwrap().push(format!("{} {path}", head.method));
            Strike::Hang(Duration::from_millis(150))
        },
        |_| {},
    );
    let slow = through(&server, &proxy);
    let mut first =
        agent(&cluster, &server, &slow, "first", &["--once", "--no-events", "--concurrency", "2"]).spawn().unwrap();
    cluster.wait("the first agent to write", || values(&cluster).len() > 4);
    send(&first, Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(400));
    let before = (writes.lock().unwrap().len(), values(&cluster).len());
    assert!(before.1 < COUNT, "it was stopped among its writes: {before:?}");
    // Another takes over when the lease is over, and does a newer revision.
    write_all(&repo, "v2");
    let second = agent(&cluster, &server, &cluster.kubeconfig(), "second", &["--once"]).status().unwrap();
    assert_eq!(second.code(), Some(0));
    assert_eq!(values(&cluster), vec![Value::from("v2"); COUNT]);
    send(&first, Signal::SIGCONT);
    let status = first.wait().unwrap();
    assert_ne!(status.code(), Some(0), "it says that it could not record what it did");
    let after = writes.lock().unwrap().split_off(before.0);
    assert!(after.len() <= 2, "two were being sent: {after:?}");
    assert_eq!(values(&cluster), vec![Value::from("v2"); COUNT]);
}

#[test]
fn five_agents_that_are_stopped_and_killed_at_random_come_to_the_end_of_one() {
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full");
    let lasts = Duration::from_secs(if full { 180 } else { 12 });
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    let mut revisions = vec![write_all(&repo, "v0")];
    let server = GitServer::https(&repo);
    let kubeconfig = server.installed.get_or_init(|| cluster.install(&server.root, &[])).clone();
    let start_agent = |n: usize| {
        let name = format!("agent-{n}");
        agent(&cluster, &server, &kubeconfig, &name, &["--interval", "300ms"]).spawn().expect("an agent")
    };
    let mut agents: Vec<Child> = (0..5).map(start_agent).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let start = Instant::now();
    while start.elapsed() < lasts {
        let n = usize::try_from(next(5)).unwrap();
        match next(5) {
            0 => {
                send(&agents[n], Signal::SIGSTOP);
                std::thread::sleep(Duration::from_millis(next(6000)));
                send(&agents[n], Signal::SIGCONT);
            }
            1 => {
                send(&agents[n], Signal::SIGKILL);
                let _ = agents[n].wait();
                agents[n] = start_agent(n);
            }
            _ => revisions.push(write_all(&repo, &format!("v{}", revisions.len()))),
        }
        std::thread::sleep(Duration::from_millis(next(900)));
    }
    for agent in &mut agents {
        send(agent, Signal::SIGCONT);
        send(agent, Signal::SIGTERM);
    }
    for agent in &mut agents {
        assert_eq!(agent.wait().unwrap().code(), Some(0));
    }
    // One further turn; a lease that a killed agent left is waited for.
    let ran = turn(&cluster, &server, &["--lease", "4"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let last = format!("v{}", revisions.len() - 1);
    assert_eq!(values(&cluster), vec![Value::from(last); COUNT]);
    let ran = turn(&cluster, &server, &[]);
    assert_eq!(json(&ran)["summary"]["unchanged"], COUNT, "{}", Ran(&ran));
    // Histories go one way, and only along the repository's own.
    let history = cluster.spinway(&["history", "-o", "json"]);
    for partition in ["one", "two"] {
        let entries = json(&history)[partition]["history"].as_array().expect("a history").clone();
        let place =
            |entry: &Value| revisions.iter().position(|revision| entry["revision"] == **revision).expect("a revision");
        let places: Vec<usize> = entries.iter().map(place).collect();
        assert!(!places.is_empty() && places.is_sorted(), "{partition}: {places:?}");
    }
    println!(
        "{} revisions, {} of them recorded",
        revisions.len(),
        json(&history)["one"]["history"].as_array().unwrap().len()
    );
}

#[test]
fn what_a_killed_agent_did_and_could_not_record_is_recorded_by_the_next() {
    let mut cluster = Cluster::take();
    let (repo, server) = applied(&cluster);
    let revision = write_all(&repo, "v2");
    // Its record never arrives.
    let proxy = Proxy::striking(
        &cluster,
        |head| {
            let records = head.method == "PATCH" && head.uri.path().contains("/spinway-system/configmaps/");
            if records { Strike::Hang(Duration::from_secs(60)) } else { Strike::Pass }
        },
        |_| {},
    );
    let slow = through(&server, &proxy);
    let mut killed = agent(&cluster, &server, &slow, "killed", &["--once", "--no-events"]).spawn().unwrap();
    cluster.wait("all of it", || values(&cluster) == vec![Value::from("v2"); COUNT]);
    send(&killed, Signal::SIGKILL);
    let _ = killed.wait();
    cluster.mark();
    for _ in 0..2 {
        let ran = turn(&cluster, &server, &["--lease", "4"]);
        assert_eq!((code(&ran), &json(&ran)["summary"]["unchanged"]), (0, &Value::from(COUNT)), "{}", Ran(&ran));
    }
    let history = json(&cluster.spinway(&["history", "-o", "json"]));
    for partition in ["one", "two"] {
        let entries = history[partition]["history"].as_array().expect("a history");
        let newest = entries.last().expect("an entry");
        assert_eq!(
            (entries.len(), &newest["revision"], &newest["result"]),
            (2, &Value::from(revision.as_str()), &Value::from("done"))
        );
    }
    // Once, and nothing else is written.
    let written: Vec<String> =
        cluster.writes().into_iter().map(|write| write.object).filter(|object| !object.contains("leases")).collect();
    assert_eq!(written.len(), 2, "{written:?}");
}

#[test]
fn a_turn_that_is_overtaken_before_it_writes_begins_anew_with_the_pull() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    write_all(&repo, "v1");
    let server = GitServer::https(&repo);
    let old = repo.git(&["rev-parse", "HEAD"]);
    write_all(&repo, "v2");
    let new = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["update-ref", "refs/heads/main", &old]);
    // When the first asks for the Lease the branch moves on, and another agent does all of it.
    let (dir, newer) = (repo.path().to_owned(), new.clone());
    let other = Mutex::new(Some(agent(&cluster, &server, &cluster.kubeconfig(), "other", &["--once", "--no-events"])));
    let proxy = Proxy::striking(
        &cluster,
        move |head| {
            if head.uri.path().contains("/leases")
                && let Some(mut other) = other.lock().unwrap().take()
            {
                let mut git = Command::new("git");
                git.args(["update-ref", "refs/heads/main", &newer]).current_dir(&dir);
                assert!(git.status().unwrap().success());
                assert!(other.status().unwrap().success());
            }
            Strike::Pass
        },
        |_| {},
    );
    let slow = through(&server, &proxy);
    let ran = agent(&cluster, &server, &slow, "first", &["--once", "--no-events", "-o", "json"]);
    let ran = { ran }.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let report = json(&ran);
    assert_eq!(
        (&report["revision"]["id"], &report["summary"]["unchanged"]),
        (&Value::from(new.as_str()), &Value::from(COUNT))
    );
    assert_eq!(values(&cluster), vec![Value::from("v2"); COUNT]);
    let history = json(&cluster.spinway(&["history", "-o", "json"]));
    let entries = history["one"]["history"].as_array().expect("a history");
    assert!(entries.iter().all(|entry| entry["revision"] == *new), "nothing of the older one: {entries:?}");
}

#[test]
fn what_people_say_while_a_turn_is_recorded_is_kept_and_so_is_the_record() {
    let cluster = Cluster::take();
    let (repo, server) = applied(&cluster);
    let revision = write_all(&repo, "v2");
    let says = Mutex::new(Some(cluster.command(&["suspend", "--tenant", "one", "--until", "1h"])));
    let proxy = Proxy::striking(
        &cluster,
        move |head| {
            if head.method == "PATCH"
                && head.uri.path().ends_with("/configmaps/spinway.t.test.one")
                && let Some(mut says) = says.lock().unwrap().take()
            {
                assert!(says.output().unwrap().status.success());
            }
            Strike::Pass
        },
        |_| {},
    );
    let slow = through(&server, &proxy);
    let status = agent(&cluster, &server, &slow, "first", &["--once", "--no-events"]).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let history = json(&cluster.spinway(&["history", "-o", "json"]));
    let newest = history["one"]["history"].as_array().and_then(|entries| entries.last().cloned());
    assert_eq!(newest.map(|entry| entry["revision"].clone()), Some(Value::from(revision)));
    let parent = cluster.get("/api/v1/namespaces/spinway-system/configmaps/spinway.t.test.one").expect("the inventory");
    assert!(parent["metadata"]["annotations"]["spinway.dev/stops"].is_string(), "{parent:#}");
}
