//! Snapshots: they plan as the cluster does, hold nothing that planning does not read, and agents keep them for pull requests.

use crate::agent::{committed, config_map, turn};
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::repo::Repo;
use crate::run::{Ran, code, json, row, run, stdout};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

const CANARY: &str = "c4n4ry-v4lue";

/// What a plan says of objects, without times.
fn told(report: &Value) -> Vec<Value> {
    let rows = report["changes"].as_array().expect("changes").iter();
    rows.map(|row| json!([row["object"], row["action"], row["fields"], row["steps"], row["partition"]])).collect()
}

fn snapshot(cluster: &Cluster, dir: &str, more: &[&str], file: &Path) -> String {
    let arguments = [&["snapshot", dir, "-o", file.to_str().unwrap()], more].concat();
    let ran = cluster.spinway(&arguments);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    fs::read_to_string(file).expect("the snapshot")
}

#[test]
fn a_plan_by_snapshot_is_the_plan_of_the_cluster() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    let repo = Repo::shop();
    // With the definitions of its kinds.
    repo.add_crds();
    let ran = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes", "--adopt", "--timeout", "60"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    // Others write: a route, a replica count, a value, a label, a field beside ours.
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/checkout/httproutes/cart";
    let mut rules = cluster.get(route).expect("the route")["spec"]["rules"].clone();
    rules[0]["backendRefs"][0]["weight"] = json!(50);
    cluster.edit(route, "kubectl-edit", &json!({"spec": {"rules": rules}}));
    let app = "/apis/core.spinkube.dev/v1alpha1/namespaces/checkout/spinapps/pay-23f5c2";
    cluster.edit(app, "kubectl-scale", &json!({"spec": {"replicas": 9}, "metadata": {"labels": {"team": "x"}}}));
    // Until it is calm again.
    let (deployment, replicas) = ("/apis/apps/v1/namespaces/checkout/deployments/pay-23f5c2", json!(9));
    let scaled = || cluster.get(deployment).is_some_and(|d| d["status"]["availableReplicas"] == replicas);
    cluster.wait("nine replicas", scaled);
    let staging = |dir: &str, more: &[&str]| {
        let ran = cluster.spinway(&[&["plan", dir, "--env", "staging", "-o", "json"], more].concat());
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    };
    let file = repo.file("snapshot.json");
    snapshot(&cluster, repo.dir(), &["--env", "staging"], &file);
    let offline = |more: &[&str]| {
        let by = ["plan", repo.dir(), "--env", "staging", "-o", "json", "--snapshot", file.to_str().unwrap()];
        let ran = run(&[&by, more].concat());
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    };
    let (live, by_file) = (staging(repo.dir(), &[]), offline(&[]));
    assert!(live["summary"]["update"].as_u64() >= Some(2), "{live:#}");
    assert_eq!(told(&by_file), told(&live));
    let health = |report: &Value| report["health"].as_array().expect("rows").clone();
    let status = ["status", repo.dir(), "--env", "staging", "-o", "json"];
    let by_file = run(&[&status[..], &["--snapshot", file.to_str().unwrap()]].concat());
    for (by_file, live) in health(&json(&by_file)).iter().zip(health(&json(&cluster.spinway(&status)))) {
        assert_eq!(*by_file, live);
    }
    // And of a repository that goes on: an image, a removed app, a new one, a listener.
    repo.edit("apps/checkout/pay.yaml", "pay:2.1.0@sha256:23f5c2", "pay:3.0.0@sha256:5d1e00");
    repo.remove("apps/catalog/search.yaml");
    repo.write("apps/catalog/new.yaml", &config_map("new", "v1").replace("default", "catalog"));
    let (live, by_file) = (staging(repo.dir(), &[]), offline(&[]));
    assert!(live["summary"]["delete"].as_u64() >= Some(1) && live["summary"]["create"].as_u64() >= Some(1), "{live:#}");
    assert_eq!(told(&by_file), told(&live));
    assert_eq!(by_file["destruction"], live["destruction"]);
    assert_eq!(by_file["snapshot"]["hours"], 0);
}

#[test]
fn an_old_snapshot_plans_and_issues_no_approval() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    for n in 0..5 {
        repo.write(&format!("apps/one/c{n}.yaml"), &config_map(&format!("c{n}"), "v"));
    }
    repo.write("apps/two/stays.yaml", &config_map("stays", "v"));
    assert_eq!(code(&cluster.spinway(&["apply", repo.dir(), "--yes"])), 0);
    let file = repo.file("snapshot.json");
    let text = snapshot(&cluster, repo.dir(), &[], &file);
    (0..5).for_each(|n| repo.remove(&format!("apps/one/c{n}.yaml")));
    let plan = |format: &str| run(&["plan", repo.dir(), "--snapshot", file.to_str().unwrap(), "-o", format]);
    let digest = json(&plan("json"))["destruction"]["digest"].as_str().expect("a digest").to_owned();
    assert!(digest.starts_with("sha256:"));
    assert!(stdout(&plan("text")).contains("less than an hour old"));
    for (time, words) in [
        ("2026-01-01T00:00:00Z", "over 24 hours old"),
        ("no time\u{1b}[2J", "of an unknown age"),
        ("2999-01-01T00:00:00Z", "of an unknown age"),
    ] {
        let head = json!({"schema": "spinway.dev/snapshot/v1", "time": time}).to_string();
        let rest = text.split_once('\n').expect("lines").1;
        fs::write(&file, format!("{},\n{rest}", head.trim_end_matches('}'))).unwrap();
        let report = json(&plan("json"));
        assert_eq!((&report["destruction"]["digest"], &report["snapshot"]["stale"]), (&json!(""), &json!(true)));
        assert_eq!(report["summary"]["held"], 5);
        for format in ["text", "markdown"] {
            let shown = stdout(&plan(format));
            assert!(shown.contains(words) && !shown.contains(&digest) && !shown.contains('\u{1b}'), "{shown}");
        }
    }
}

#[test]
fn nothing_that_planning_does_not_read_leaves_the_cluster() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    let repo = Repo::shop();
    let ran = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes", "--timeout", "60"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let merge = |path: &str, body: Value| cluster.edit(path, "someone", &body);
    // In objects of ours: values and annotations that others put beside what we declared, or in its place.
    let config = "/api/v1/namespaces/catalog/configmaps/search-settings";
    let known = cluster.get(config).is_some();
    if !known {
        repo.write("apps/catalog/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: search-settings, namespace: catalog}\ndata: {known: from-git}\n");
        assert_eq!(code(&cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes", "--timeout", "60"])), 0);
    }
    merge(
        config,
        json!({"data": {"known": CANARY, "beside": CANARY}, "metadata": {"annotations": {"others": CANARY}}}),
    );
    let app = "/apis/core.spinkube.dev/v1alpha1/namespaces/checkout/spinapps/pay-23f5c2";
    merge(
        app,
        json!({"spec": {"image": "other", "variables": [{"name": "k", "value": CANARY}], "podAnnotations": {"others": CANARY}}}),
    );
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/checkout/httproutes/cart";
    let mut rules = cluster.get(route).expect("the route")["spec"]["rules"].clone();
    rules[0]["filters"] = json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "authorization", "value": CANARY}]}}]);
    merge(route, json!({"spec": {"rules": rules}}));
    // Objects of others, of kinds that are listed whole.
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "annotations": {"others": CANARY}}, "spec": {"ports": [{"port": 80}], "externalName": CANARY}});
    cluster.send("POST", "/api/v1/namespaces/catalog/services", "application/json", &service);
    let deployment = "/apis/apps/v1/namespaces/checkout/deployments/pay-23f5c2";
    cluster.wait("the operator", || cluster.get(deployment).is_some_and(|d| d.to_string().contains(CANARY)));
    let file = repo.file("snapshot.json");
    let text = snapshot(&cluster, repo.dir(), &["--env", "staging"], &file);
    let at = text.find(CANARY).map(|at| &text[at.saturating_sub(300)..at + 20]);
    assert_eq!(at, None);
    // What differs is seen all the same, also where the repository goes on beside a value that is not shown.
    let plan = || {
        let file = file.to_str().unwrap();
        json(&run(&["plan", repo.dir(), "--env", "staging", "-o", "json", "--snapshot", file]))
    };
    let seen = |plan: &Value| {
        for (kind, name) in [("ConfigMap", "search-settings"), ("HTTPRoute", "cart"), ("SpinApp", "pay-23f5c2")] {
            let change = row(plan, kind, name);
            assert_eq!(change["action"], "update", "{change:#}");
        }
    };
    seen(&plan());
    repo.edit("apps/checkout/cart.yaml", "weight: 10", "weight: 20");
    let plan = plan();
    let paths: Vec<String> =
        row(&plan, "HTTPRoute", "cart")["fields"].as_array().unwrap().iter().map(|f| f["path"].to_string()).collect();
    assert!(paths.iter().any(|path| path.contains("weight")), "{paths:?}");
}

/// The snapshot on the branch, and its commit.
fn on_branch(repo: &Repo) -> Option<(String, String)> {
    let branch = "refs/heads/live/test";
    let known = repo.git(&["for-each-ref", branch]);
    (!known.is_empty()).then(|| (repo.git(&["rev-parse", branch]), repo.git(&["show", &format!("{branch}:test.json")])))
}

#[test]
fn an_agent_keeps_a_snapshot_for_pull_requests_when_something_changed() {
    for ssh in [false, true] {
        let cluster = Cluster::take();
        let repo = committed();
        let server = if ssh { GitServer::ssh(&repo) } else { GitServer::https(&repo) };
        repo.git(&["config", "http.receivepack", "true"]);
        *server.password.lock().unwrap() = Some("reads".to_owned());
        *server.push_password.lock().unwrap() = Some("writes".to_owned());
        let own = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(server.secret.path()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), own.path().join(entry.file_name())).unwrap();
        }
        fs::write(server.secret.path().join("token"), "reads").unwrap();
        if !ssh {
            fs::write(own.path().join("token"), "writes").unwrap();
        }
        let file = own.path().join("live.json");
        let options = ["--env", "test", "--snapshot-file", file.to_str().unwrap(), "--snapshot-branch", "live"];
        let options = [&options[..], &["--snapshot-secret", own.path().to_str().unwrap()]].concat();
        let once = || {
            let ran = turn(&cluster, &server, &options);
            assert_eq!(code(&ran), 0, "{}", Ran(&ran));
            ran
        };
        once();
        let (commit, text) = on_branch(&repo).expect("a snapshot");
        assert_eq!(text.trim(), fs::read_to_string(&file).unwrap().trim());
        assert_eq!(repo.git(&["rev-list", "--count", "refs/heads/live/test"]), "1");
        // Nothing changed: once it is looked at again, since the turn before wrote; then nothing is asked any more.
        once();
        server.taken();
        once();
        assert_eq!((server.taken(), on_branch(&repo)), (1, Some((commit.clone(), text.clone()))));
        // Without what was remembered the branch itself tells.
        fs::remove_dir_all(server.secret.path().join("cache")).unwrap();
        once();
        assert_eq!(on_branch(&repo), Some((commit, text)));
        // Someone else's edit, and a revision.
        cluster.edit("/api/v1/namespaces/default/configmaps/a", "kubectl-edit", &json!({"data": {"k": CANARY}}));
        once();
        let (edited, text) = on_branch(&repo).expect("a snapshot");
        assert!(!text.contains(CANARY) && text.contains("kubectl-edit"), "{text}");
        repo.write("apps/one/new.yaml", &config_map("new", "v1"));
        repo.commit("next");
        once();
        let (next, text) = on_branch(&repo).expect("a snapshot");
        assert!(next != edited && text.contains(r#""name":"new""#));
        assert_eq!(repo.git(&["rev-list", "--count", "refs/heads/live/test"]), "1");
        // A pull request is planned by it, with no cluster.
        repo.write("apps/one/new.yaml", &config_map("new", "v2"));
        let plan = json(&run(&["plan", repo.dir(), "-o", "json", "--snapshot", file.to_str().unwrap()]));
        assert_eq!(row(&plan, "ConfigMap", "new")["fields"][0]["before"], "v1");
        // Who may only read cannot push: the turn is done, and the log says so.
        if !ssh {
            fs::write(own.path().join("token"), "reads").unwrap();
            repo.commit("more");
            let ran = once();
            assert!(crate::run::stderr(&ran).contains("no snapshot was written"), "{}", Ran(&ran));
            assert_eq!(on_branch(&repo).expect("a snapshot").0, next);
        }
    }
}
