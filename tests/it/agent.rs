//! The agent end to end: a real API server, real Git over HTTPS and SSH.

use crate::cluster::Cluster;
use crate::git_server::{GitServer, key};
use crate::repo::Repo;
use crate::run::{Ran, code, json, row, stderr};
use serde_json::{Value, json};
use std::process::Output;

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{k: {value}, l: {value}}}\n"
    )
}

fn committed() -> Repo {
    let repo = Repo::with_config();
    repo.write("apps/one/a.yaml", &config_map("a", "v1"));
    repo.write("apps/two/b.yaml", &config_map("b", "v1"));
    repo.commit("first");
    repo
}

/// One turn, with a cache that is kept in the server's folder.
fn turn(cluster: &Cluster, server: &GitServer, more: &[&str]) -> Output {
    let options = server.options();
    let cache = server.secret.path().join("cache");
    let mut arguments =
        vec!["agent", "--once", "-o", "json", "--timeout", "20", "--git-cache", cache.to_str().unwrap()];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(more);
    cluster.spinway(&arguments)
}

fn done(ran: &Output) -> Value {
    assert_eq!(code(ran), 0, "{}", Ran(ran));
    json(ran)
}

fn data(cluster: &Cluster, name: &str) -> Value {
    cluster.get(&format!("/api/v1/namespaces/default/configmaps/{name}")).map_or(Value::Null, |map| map["data"].clone())
}

fn both(mut test: impl FnMut(&Cluster, &Repo, &GitServer)) {
    let mut cluster = Cluster::take();
    for ssh in [false, true] {
        let repo = committed();
        let server = if ssh { GitServer::ssh(&repo) } else { GitServer::https(&repo) };
        test(&cluster, &repo, &server);
        cluster.again();
    }
}

#[test]
fn a_commit_is_live_after_one_turn_and_an_idle_turn_costs_one_request() {
    both(|cluster, repo, server| {
        let report = done(&turn(cluster, server, &[]));
        assert_eq!(report["summary"]["create"], 2, "{report:#}");
        assert_eq!(data(cluster, "a")["k"], "v1");
        server.taken();
        let report = done(&turn(cluster, server, &[]));
        assert_eq!((server.taken(), &report["requests"]["GIT"]), (1, &json!(1)), "{report:#}");
        assert!(report["requests"].get("PATCH").is_none() && report["requests"].get("POST").is_none(), "{report:#}");
        for round in 2..4 {
            repo.write("apps/one/a.yaml", &config_map("a", &format!("v{round}")));
            repo.commit("next");
            done(&turn(cluster, server, &[]));
            assert_eq!(data(cluster, "a")["k"], format!("v{round}"));
        }
        // The cache is disposable.
        std::fs::remove_dir_all(server.secret.path().join("cache")).unwrap();
        repo.write("apps/one/a.yaml", &config_map("a", "v9"));
        repo.commit("without cache");
        done(&turn(cluster, server, &[]));
        assert_eq!(data(cluster, "a")["k"], "v9");
    });
}

#[test]
fn what_must_not_be_believed_is_refused_and_drift_is_reported_all_the_same() {
    both(|cluster, repo, server| {
        done(&turn(cluster, server, &[]));
        cluster.edit("/api/v1/namespaces/default/configmaps/a", "kubectl-edit", &json!({"data": {"k": "edited"}}));
        let refused = |what: &str, message: &str, expected: i32, more: &[&str]| {
            let ran = turn(cluster, server, more);
            assert_eq!(code(&ran), expected, "{what}\n{}", Ran(&ran));
            assert!(stderr(&ran).contains(message), "{what}\n{}", Ran(&ran));
            let drift = json(&ran);
            let asked: Vec<&str> = drift["requests"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(asked, ["DISCOVER", "GIT", "LIST", "OPENAPI"], "{what}: only reads");
            assert_eq!(row(&drift, "ConfigMap", "a")["fields"][0]["path"], "data.k", "{what}: {drift:#}");
            assert_ne!(data(cluster, "a"), Value::Null, "{what}");
            assert_ne!(data(cluster, "b"), Value::Null, "{what}");
        };
        let first = repo.git(&["rev-parse", "HEAD"]);
        refused("wrong directory", "the directory `nowhere` is not in revision", 3, &["--path", "nowhere"]);
        refused("vanished branch", "branch `gone` is not on the server any more", 3, &["--branch", "gone"]);
        // Rewritten history.
        repo.remove("apps/two/b.yaml");
        repo.git(&["add", "-A"]);
        repo.git(&["commit", "-q", "--amend", "-m", "rewritten"]);
        refused("force push", "history was rewritten", 3, &[]);
        let orphan = repo.git(&["commit-tree", "HEAD^{tree}", "-m", "orphan"]);
        repo.git(&["checkout", "-q", "--detach"]);
        repo.git(&["branch", "-q", "-f", "main", &orphan]);
        refused("orphan", "history was rewritten", 3, &[]);
        // Emptied.
        repo.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        repo.git(&["update-ref", "-d", "refs/heads/main"]);
        refused("emptied", "the repository on the server is empty", 3, &[]);
        repo.git(&["update-ref", "refs/heads/main", &first]);
        done(&turn(cluster, server, &[]));
    });
}

#[test]
fn a_server_that_is_not_trusted_or_does_not_trust_is_told_apart() {
    let cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    let secret = |name: &str, text: &str| std::fs::write(server.secret.path().join(name), text).unwrap();
    *server.password.lock().unwrap() = Some("t0ken-c4nary".to_owned());
    secret("token", "t0ken-c4nary\n");
    done(&turn(&cluster, &server, &[]));
    // The token expires.
    *server.password.lock().unwrap() = Some("another".to_owned());
    let ran = turn(&cluster, &server, &[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("refuses our credentials") && !stderr(&ran).contains("t0ken"), "{}", Ran(&ran));
    // It is sent elsewhere.
    *server.redirect.lock().unwrap() = Some("https://169.254.169.254/latest".to_owned());
    let ran = turn(&cluster, &server, &[]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("redirects to another host"), "{}", Ran(&ran));
    *server.redirect.lock().unwrap() = None;
    // Its certificate is nobody's we know.
    std::fs::remove_file(server.secret.path().join("ca.crt")).unwrap();
    let ran = turn(&cluster, &server, &[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));

    let server = GitServer::ssh(&repo);
    done(&turn(&cluster, &server, &["--take-inventory"]));
    server.trust(key(9).public_key());
    let ran = turn(&cluster, &server, &["--take-inventory"]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("has changed or is revoked: it shows SHA256:"), "{}", Ran(&ran));
    std::fs::write(server.secret.path().join("known_hosts"), "").unwrap();
    let ran = turn(&cluster, &server, &["--take-inventory"]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("is unknown: it shows SHA256:"), "{}", Ran(&ran));
    server.trust(key(1).public_key());
    std::fs::write(server.secret.path().join("identity"), key(5).to_openssh(Default::default()).unwrap().as_bytes())
        .unwrap();
    let ran = turn(&cluster, &server, &["--take-inventory"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("the SSH key is not accepted"), "{}", Ran(&ran));
}
