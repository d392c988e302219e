//! Who is told what, and the agent that runs all the time.

use crate::agent::{command, committed, config_map, turn};
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::http_server::HttpServer;
use crate::run::{Ran, code, stderr};
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::{Duration, Instant};

const A: &str = "/api/v1/namespaces/default/configmaps/a";

fn edit(cluster: &Cluster, value: &str) {
    cluster.edit(A, "kubectl-edit", &json!({"data": {"k": value}}));
}

#[test]
fn events_tell_of_an_object_once_and_drift_alone_writes_nothing_else() {
    let mut cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    turn(&cluster, &server, &[]);
    let events = || {
        let found = cluster.get("/api/v1/namespaces/default/events").expect("events");
        let items = found["items"].as_array().expect("items").clone();
        let uids = ["a", "b"].map(|name| {
            cluster.get(&format!("/api/v1/namespaces/default/configmaps/{name}")).unwrap()["metadata"]["uid"].clone()
        });
        let ours = items.into_iter().filter(|event| uids.contains(&event["involvedObject"]["uid"]));
        ours.map(|event| {
            format!(
                "{} {} {}",
                event["reason"].as_str().unwrap(),
                event["involvedObject"]["name"].as_str().unwrap(),
                event["message"].as_str().unwrap()
            )
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(events().len(), 2, "{:?}", events());
    edit(&cluster, "edited");
    for _ in 0..3 {
        turn(&cluster, &server, &[]);
    }
    let drifted: Vec<String> = events().into_iter().filter(|event| event.starts_with("Drifted")).collect();
    assert_eq!(drifted, ["Drifted a data.k was changed by kubectl-edit"]);
    cluster.mark();
    turn(&cluster, &server, &[]);
    let writes: Vec<String> =
        cluster.audit().into_iter().map(|w| format!("{} {}", w.verb, w.object.split(' ').next().unwrap())).collect();
    assert!(writes.iter().all(|write| write == "create events"), "{writes:?}");
}

#[test]
fn owners_are_told_once_and_again_when_it_is_over() {
    let cluster = Cluster::take();
    let repo = committed();
    repo.edit("spinway.yaml", "paths: [apps/one]}", "paths: [apps/one], owners: [team-one]}");
    repo.commit("owners");
    let server = GitServer::https(&repo);
    let team = HttpServer::start(|_| (200, json!({})));
    let failing = HttpServer::start(|_| (500, json!({})));
    let others = HttpServer::start(|_| (200, json!({})));
    let file = server.secret.path().join("notify.yaml");
    std::fs::write(&file, format!("routes:\n- {{owners: [team-one], url: \"{}/hook\", format: slack}}\n- {{owners: [team-one], url: \"{}/secret-path\"}}\n- {{url: \"{}\"}}\n", team.url, failing.url, others.url)).unwrap();
    let telling = ["--notify", file.to_str().unwrap()];
    turn(&cluster, &server, &telling);
    assert_eq!((team.take().len(), others.take().len()), (0, 0), "nothing is wrong");
    edit(&cluster, "edited");
    let ran = turn(&cluster, &server, &telling);
    assert_eq!(code(&ran), 0, "who cannot be told holds nothing up: {}", Ran(&ran));
    assert!(!stderr(&ran).contains("secret-path"), "{}", Ran(&ran));
    let told = team.take();
    let text = told[0].body["text"].as_str().unwrap();
    assert!(text.contains("Drifted ConfigMap default/a: data.k was changed by kubectl-edit"), "{text}");
    assert_eq!((told.len(), others.take().len(), failing.take().len()), (1, 0, 3));
    turn(&cluster, &server, &telling);
    assert_eq!((team.take().len(), failing.take().len()), (0, 3), "told once; what was not taken is tried again");
    edit(&cluster, "v1");
    turn(&cluster, &server, &telling);
    let text = team.take()[0].body["text"].as_str().unwrap().to_owned();
    assert!(text.contains("resolved: Drifted ConfigMap default/a"), "{text}");

    // A refused turn is told to those who are told of everything else.
    let ran = turn(&cluster, &server, &[telling[0], telling[1], "--branch", "gone"]);
    assert_eq!(code(&ran), 3);
    let told = others.take();
    assert!(told[0].body["news"].to_string().contains("is not on the server any more"), "{told:?}");
}

#[test]
fn a_held_destruction_is_told_with_the_consent_ready_to_commit() {
    let cluster = Cluster::take();
    let repo = committed();
    repo.write("platform/ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: old}\n");
    repo.commit("namespace");
    let server = GitServer::https(&repo);
    let others = HttpServer::start(|_| (200, json!({})));
    let file = server.secret.path().join("notify.yaml");
    std::fs::write(&file, format!("routes: [{{url: \"{}\"}}]\n", others.url)).unwrap();
    let telling = ["--notify", file.to_str().unwrap()];
    turn(&cluster, &server, &telling);
    repo.remove("platform/ns.yaml");
    repo.commit("remove it");
    turn(&cluster, &server, &telling);
    let told = others.take();
    let news = told[0].body["news"].as_array().unwrap().iter().find(|news| news["object"].is_null()).unwrap().clone();
    let text = news["text"].as_str().unwrap();
    let approval = &text[text.find("apiVersion").expect("a text to commit")..];
    repo.write("approvals/ready.yaml", approval);
    repo.commit("approve");
    turn(&cluster, &server, &telling);
    let gone =
        || cluster.get("/api/v1/namespaces/old").is_none_or(|ns| ns["metadata"]["deletionTimestamp"].is_string());
    cluster.wait("the namespace to go", gone);
}

#[test]
fn a_commit_status_says_what_came_of_a_revision() {
    let cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    let hub = HttpServer::start(|_| (201, json!({})));
    std::fs::write(server.secret.path().join("status-token"), "st4tus").unwrap();
    let url = format!("{}/repos/acme/shop", hub.url);
    turn(&cluster, &server, &["--statuses", &url]);
    let said = hub.take();
    assert_eq!(said[0].path, format!("/repos/acme/shop/statuses/{}", repo.git(&["rev-parse", "HEAD"])));
    assert_eq!((said[0].body["state"].as_str(), said[0].authorization.as_str()), (Some("success"), "Bearer st4tus"));
    assert_eq!(said[0].body["context"], "spinway/test");
    turn(&cluster, &server, &["--statuses", &url]);
    assert_eq!(hub.take().len(), 0, "nothing new is said of it");
    repo.write("apps/one/bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: nowhere}\n");
    repo.commit("bad");
    turn(&cluster, &server, &["--statuses", &url]);
    assert_eq!(hub.take()[0].body["state"], "failure");
}

#[test]
fn metrics_are_written_for_a_collector() {
    let cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    let file = server.secret.path().join("spinway.prom");
    let telling = ["--metrics-file", file.to_str().unwrap()];
    turn(&cluster, &server, &telling);
    edit(&cluster, "edited");
    turn(&cluster, &server, &telling);
    let text = std::fs::read_to_string(&file).unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("spinway_objects{state=\"drifted\"}"), 1.0);
    assert_eq!(value("spinway_objects{state=\"blocked\"}"), 0.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - value("spinway_last_success_timestamp_seconds")).abs() < 60.0);
    assert!((now - value("spinway_applied_timestamp_seconds")).abs() < 60.0);
    assert!(value("spinway_requests_total{verb=\"LIST\"}") > 1.0 && value("spinway_turn_duration_seconds") > 0.0);
}

#[test]
fn an_agent_that_runs_all_the_time_sees_commits_and_drift_and_idles_by_one_git_request() {
    let mut cluster = Cluster::take();
    let repo = committed();
    repo.edit("spinway.yaml", "{name: test}", "{name: test, drift: correct}");
    repo.commit("correct");
    let server = GitServer::https(&repo);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut agent = command(&cluster, &server, &["--interval", "1s", "--metrics", &address])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let value = || cluster.get(A).map_or(Value::Null, |map| map["data"]["k"].clone());
    cluster.wait("the first turn", || value() == "v1");
    repo.write("apps/one/a.yaml", &config_map("a", "v2"));
    repo.commit("two");
    cluster.wait("the commit", || value() == "v2");
    // It is seen by its watch, long before the next turn would be due.
    let start = Instant::now();
    edit(&cluster, "edited");
    cluster.wait("the correction", || value() == "v2");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let mut text = String::new();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("spinway_turns_total{result=\"completed\"}"), "{text}");
    // Idle: the Git server alone is asked.
    std::thread::sleep(Duration::from_secs(3));
    server.taken();
    cluster.mark();
    std::thread::sleep(Duration::from_secs(4));
    assert!((3..=5).contains(&server.taken()));
    assert_eq!(cluster.by_agents(), Vec::<String>::new());
    let start = Instant::now();
    terminate(agent.id());
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(cluster.forbidden(), Vec::<String>::new());
}

/// SIGTERM.
fn terminate(id: u32) {
    let process = nix::unistd::Pid::from_raw(i32::try_from(id).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).unwrap();
}

#[test]
fn who_does_not_answer_cannot_delay_the_end_of_the_agent() {
    let cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    // It takes the connection, and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let notify = server.secret.path().join("notify.yaml");
    let url = format!("http://{}/", deaf.local_addr().unwrap());
    std::fs::write(&notify, format!("routes: [{{url: \"{url}\", format: json}}]\n")).unwrap();
    let arguments = ["--interval", "1s", "--notify", notify.to_str().unwrap()];
    let mut agent = command(&cluster, &server, &arguments);
    let mut agent = agent.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    cluster.wait("the first turn", || cluster.get(A).is_some());
    edit(&cluster, "edited");
    let held = deaf.accept().unwrap();
    let start = Instant::now();
    terminate(agent.id());
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    // It would go on trying for 15 seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(held);
}
