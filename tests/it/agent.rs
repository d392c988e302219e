//! The agent end to end: a real API server, real Git over HTTPS and SSH.

use crate::cluster::Cluster;
use crate::git_server::{GitServer, key};
use crate::repo::Repo;
use crate::run::{Ran, code, json, row, stderr};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::process::{Command, Output};

pub fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{k: {value}, l: {value}}}\n"
    )
}

pub fn committed() -> Repo {
    let repo = Repo::with_config();
    repo.write("apps/one/a.yaml", &config_map("a", "v1"));
    repo.write("apps/two/b.yaml", &config_map("b", "v1"));
    repo.commit("first");
    repo
}

/// The agent of a server's repository, as installed, with a cache that is kept in the server's folder.
pub fn command(cluster: &Cluster, server: &GitServer, more: &[&str]) -> Command {
    let options = server.options();
    let cache = server.secret.path().join("cache");
    let mut arguments = vec!["agent", "-o", "json", "--git-cache", cache.to_str().unwrap()];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(more);
    let kubeconfig = server.installed.get_or_init(|| cluster.install(&server.root, &[]));
    let mut command = cluster.command(&arguments);
    command.env("KUBECONFIG", kubeconfig);
    command
}

/// One turn.
pub fn turn(cluster: &Cluster, server: &GitServer, more: &[&str]) -> Output {
    let ran = command(cluster, server, &[&["--once"], more].concat()).output().expect("spinway runs");
    assert_eq!(cluster.forbidden(), Vec::<String>::new(), "beyond what was installed: {}", Ran(&ran));
    ran
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
        let cache = server.secret.path().join("cache");
        let once = |what: &str, message: &str, expected: i32, more: &[&str]| {
            let ran = turn(cluster, server, more);
            assert_eq!(code(&ran), expected, "{what}\n{}", Ran(&ran));
            assert!(stderr(&ran).contains(message), "{what}\n{}", Ran(&ran));
            let drift = json(&ran);
            let asked: Vec<&str> = drift["requests"].as_object().unwrap().keys().map(String::as_str).collect();
            // Events are the only writes.
            assert!(
                !asked.iter().any(|verb| ["PATCH", "PUT", "DELETE", "dry-run"].contains(verb)),
                "{what}: {asked:?}"
            );
            assert_eq!(row(&drift, "ConfigMap", "a")["fields"][0]["path"], "data.k", "{what}: {drift:#}");
            assert_ne!(data(cluster, "a"), Value::Null, "{what}");
            assert_ne!(data(cluster, "b"), Value::Null, "{what}");
        };
        let refused = |what: &str, message: &str, expected: i32, more: &[&str]| {
            once(what, message, expected, more);
            // Without the cache the cluster tells by itself what drifted.
            let aside = cache.with_extension("aside");
            std::fs::rename(&cache, &aside).unwrap();
            once(&format!("{what}, without cache"), message, expected, more);
            let _ = std::fs::remove_dir_all(&cache);
            std::fs::rename(&aside, &cache).unwrap();
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
    // What was applied last stays known, so drift is told all the same, time and again.
    cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "edited"}}));
    for _ in 0..2 {
        let ran = turn(&cluster, &server, &[]);
        assert_eq!((code(&ran), &row(&json(&ran), "ConfigMap", "a")["fields"][0]["path"]), (1, &json!("data.k")));
    }
    cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "v1"}}));
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

const A: &str = "/api/v1/namespaces/default/configmaps/a";

#[test]
fn drift_is_reported_and_left_or_corrected_as_the_environment_says() {
    let mut cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    done(&turn(&cluster, &server, &[]));
    cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "edited"}}));
    cluster.send("DELETE", "/api/v1/namespaces/default/configmaps/b", "application/json", &Value::Null);
    cluster.mark();
    for _ in 0..2 {
        let report = done(&turn(&cluster, &server, &[]));
        let drifted = row(&report, "ConfigMap", "a");
        assert_eq!((&drifted["action"], &drifted["left"][0]["path"]), (&json!("unchanged"), &json!("data.k")));
        assert_eq!(drifted["left"][0]["manager"], "kubectl-edit");
        assert_eq!(row(&report, "ConfigMap", "b")["left"][0]["cause"], "missing");
        assert_eq!(code(&turn(&cluster, &server, &["--fail-on", "drift"])), 1);
    }
    assert_eq!(cluster.writes().len(), 0, "{:?}", cluster.writes());

    // What the repository changes in a drifted object is applied, and the drifted path is left.
    repo.edit("apps/one/a.yaml", "l: v1", "l: v2");
    repo.commit("pending");
    let report = done(&turn(&cluster, &server, &[]));
    assert_eq!(row(&report, "ConfigMap", "a")["fields"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(data(&cluster, "a"), json!({"k": "edited", "l": "v2"}));
    let report = done(&turn(&cluster, &server, &[]));
    assert_eq!(row(&report, "ConfigMap", "a")["left"][0]["path"], "data.k", "still drift: {report:#}");
    assert_eq!(data(&cluster, "b"), Value::Null);
    // Where the repository itself changes the very field, that is no mere drift: it is applied.
    repo.edit("apps/one/a.yaml", "k: v1", "k: v9");
    repo.commit("the same field");
    done(&turn(&cluster, &server, &[]));
    assert_eq!(data(&cluster, "a"), json!({"k": "v9", "l": "v2"}));
    repo.edit("apps/one/a.yaml", "k: v9", "k: v1");
    repo.commit("back");
    done(&turn(&cluster, &server, &[]));
    cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "edited"}}));
    // An object that is missing is made again when the repository changes it.
    repo.write("apps/two/b.yaml", &config_map("b", "v2"));
    repo.commit("b again");
    done(&turn(&cluster, &server, &[]));
    assert_eq!(data(&cluster, "b")["k"], "v2");

    repo.edit("spinway.yaml", "{name: test}", "{name: test, drift: correct}");
    repo.commit("correct");
    let report = done(&turn(&cluster, &server, &[]));
    assert_eq!(row(&report, "ConfigMap", "a")["fields"][0]["cause"], "drift");
    assert_eq!(data(&cluster, "a"), json!({"k": "v1", "l": "v2"}));
}

#[test]
fn a_field_that_flips_back_each_time_is_contested_and_then_left() {
    let mut cluster = Cluster::take();
    let repo = committed();
    repo.edit("spinway.yaml", "{name: test}", "{name: test, drift: correct}");
    repo.commit("correct");
    let server = GitServer::https(&repo);
    done(&turn(&cluster, &server, &[]));
    for _ in 0..3 {
        cluster.edit(A, "other-controller", &json!({"data": {"k": "mine"}}));
        done(&turn(&cluster, &server, &[]));
        assert_eq!(data(&cluster, "a")["k"], "v1");
    }
    cluster.edit(A, "other-controller", &json!({"data": {"k": "mine"}}));
    cluster.mark();
    let report = done(&turn(&cluster, &server, &[]));
    let because = row(&report, "ConfigMap", "a")["because"].to_string();
    assert!(because.contains("data.k is contested by other-controller"), "{report:#}");
    assert_eq!((data(&cluster, "a")["k"].clone(), cluster.writes().len()), (json!("mine"), 0));
    // What the repository wants anew is written.
    repo.write("apps/one/a.yaml", &config_map("a", "v7"));
    repo.commit("new value");
    done(&turn(&cluster, &server, &[]));
    assert_eq!(data(&cluster, "a")["l"], "v7");
}

#[test]
fn a_contested_weight_is_left_alone_while_the_rest_of_its_list_goes_through() {
    const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/r";
    let cluster = Cluster::take();
    let repo = committed();
    repo.edit("spinway.yaml", "{name: test}", "{name: test, drift: correct}");
    let route = |path: &str, weight: u16| {
        repo.write("platform/r.yaml", &format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: default}}\nspec: {{rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: a, port: 80, weight: {weight}}}, {{name: b, port: 80, weight: 10}}]}}]}}\n"
        ));
        repo.commit("route");
    };
    route("/one", 90);
    let server = GitServer::https(&repo);
    // Requests are moved only to what can serve them.
    for name in ["a", "b"] {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}]}});
        cluster.apply_as(&format!("/api/v1/namespaces/default/services/{name}"), "other", &service);
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["10.77.0.9"], "conditions": {"ready": true}}], "ports": [{"port": 80}]});
        cluster.apply_as(
            &format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{name}"),
            "other",
            &slice,
        );
    }
    let live = || {
        let rule = cluster.get(ROUTE).expect("the route")["spec"]["rules"][0].clone();
        (rule["matches"][0]["path"]["value"].clone(), rule["backendRefs"][0]["weight"].clone())
    };
    let shift = || {
        let patch = json!([{"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 50}]);
        cluster.send("PATCH", &format!("{ROUTE}?fieldManager=canary"), "application/json-patch+json", &patch);
    };
    let next = || turn(&cluster, &server, &["--timeout", "5"]);
    done(&next());
    for _ in 0..3 {
        shift();
        done(&next());
        assert_eq!(live(), (json!("/one"), json!(90)));
    }
    shift();
    let report = done(&next());
    let because = row(&report, "HTTPRoute", "r")["because"].to_string();
    assert!(because.contains("spec.rules[0].backendRefs[0].weight is contested by canary"), "{report:#}");
    assert_eq!(live(), (json!("/one"), json!(50)));
    // What the repository changes beside it is written, and the weight stays, also when the list is ours again.
    for path in ["/two", "/three"] {
        route(path, 90);
        let report = done(&next());
        let changed = row(&report, "HTTPRoute", "r");
        assert_eq!(changed["action"], "update", "{report:#}");
        let fields: Vec<_> = changed["fields"].as_array().unwrap().iter().map(|f| (&f["path"], &f["cause"])).collect();
        assert_eq!(fields, [(&json!("spec.rules[0].matches[0].path.value"), &json!("pending"))], "{report:#}");
        assert!(changed["because"].to_string().contains("weight is contested by canary"), "{report:#}");
        assert_eq!(live(), (json!(path), json!(50)));
        let report = done(&next());
        assert_eq!((&report["summary"]["update"], live().1), (&json!(0), json!(50)), "{report:#}");
    }
    // As soon as the repository wants another weight it is no drift.
    shift();
    route("/three", 70);
    let report = done(&next());
    assert_eq!(row(&report, "HTTPRoute", "r")["fields"][0]["cause"], "pending", "{report:#}");
    assert_eq!(live(), (json!("/three"), json!(70)));
    // And back again: it is wanted anew.
    route("/three", 90);
    done(&next());
    assert_eq!(live(), (json!("/three"), json!(90)));
    for _ in 0..3 {
        shift();
        done(&next());
    }
    shift();
    done(&next());
    assert_eq!(live().1, json!(50));
    // The command line corrects.
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--take-inventory", "--timeout", "5", "-o", "json"]);
    assert_eq!(live(), (json!("/three"), json!(90)), "{}", Ran(&ran));
}

#[test]
fn a_paused_object_is_held_and_a_pause_from_git_is_an_error() {
    let cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    done(&turn(&cluster, &server, &[]));
    let pause = |until: &str| {
        cluster.edit(A, "alice", &json!({"metadata": {"annotations": {"spinway.dev/pause-until": until}}}));
    };
    pause("2999-01-01T00:00:00Z");
    let report = done(&turn(&cluster, &server, &[]));
    assert!(report["diagnostics"].to_string().contains("more than 24 hours ahead"), "{report:#}");
    pause(&in_an_hour());
    // It is shown also while nothing is to be done.
    let report = done(&turn(&cluster, &server, &[]));
    assert!(
        row(&report, "ConfigMap", "a")["because"].to_string().contains("Paused in the cluster until"),
        "{report:#}"
    );
    repo.write("apps/one/a.yaml", &config_map("a", "v2"));
    repo.commit("two");
    let report = done(&turn(&cluster, &server, &[]));
    let held = row(&report, "ConfigMap", "a");
    assert_eq!(held["action"], "held");
    assert!(held["because"].to_string().contains("by alice at 20"), "{held:#}");
    assert_eq!(data(&cluster, "a")["k"], "v1");
    repo.remove("apps/one/a.yaml");
    repo.write("apps/one/c.yaml", &config_map("c", "v1"));
    repo.commit("prune");
    assert_eq!(row(&done(&turn(&cluster, &server, &[])), "ConfigMap", "a")["action"], "held");
    assert_eq!(data(&cluster, "a")["k"], "v1");
    cluster.edit(A, "alice", &json!({"metadata": {"annotations": {"spinway.dev/pause-until": null}}}));
    done(&turn(&cluster, &server, &[]));
    assert_eq!(data(&cluster, "a"), Value::Null);

    let paused = config_map("c", "v2")
        .replace("namespace: default", "namespace: default, annotations: {spinway.dev/pause-until: x}");
    repo.write("apps/one/c.yaml", &paused);
    repo.commit("pause from Git");
    let report = done(&turn(&cluster, &server, &[]));
    assert_eq!(row(&report, "ConfigMap", "c")["action"], "blocked");
    assert_eq!(data(&cluster, "c")["k"], "v1");
}

fn in_an_hour() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    jiff::Timestamp::from_second(i64::try_from(now).unwrap() + 3600).unwrap().to_string()
}

#[test]
fn a_commit_must_be_signed_by_an_allowed_signer() {
    use crate::signing::{Signer, sign_head};
    let cluster = Cluster::take();
    let repo = committed();
    let server = GitServer::https(&repo);
    let (alice, mallory, hub) = (Signer::ssh(3), Signer::ssh(4), Signer::pgp("hub"));
    let folder = server.secret.path().to_owned();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    };
    let allowed = file("allowed", &format!("alice@acme.example namespaces=\"git\" {}\n", alice.public()));
    let keyring = file("keyring", &hub.public());
    let asking = ["--allowed-signers", &allowed, "--gpg-keyring", &keyring];
    let refused = |message: &str| {
        let ran = turn(&cluster, &server, &asking);
        assert_eq!(code(&ran), 3, "{message} {}", Ran(&ran));
        assert!(stderr(&ran).contains(message), "{message} {}", Ran(&ran));
    };
    refused("is not taken: it is not signed");
    sign_head(&repo, &mallory);
    refused("its signature is by no allowed signer");
    sign_head(&repo, &Signer::pgp("other"));
    refused("its signature is by no allowed signer");
    assert_eq!(data(&cluster, "a"), Value::Null);
    let id = sign_head(&repo, &alice);
    done(&turn(&cluster, &server, &asking));
    assert_eq!(data(&cluster, "a")["k"], "v1");
    // The signature of one commit on another.
    repo.write("apps/one/a.yaml", &config_map("a", "v2"));
    repo.commit("two");
    crate::signing::steal(&repo, &id);
    refused("its signature is wrong");
    assert_eq!(data(&cluster, "a")["k"], "v1");
    sign_head(&repo, &hub);
    done(&turn(&cluster, &server, &asking));
    assert_eq!(data(&cluster, "a")["k"], "v2");
}

#[test]
fn the_installed_permissions_are_enough_for_the_shop_and_no_more() {
    let cluster = Cluster::take();
    let repo = Repo::shop();
    repo.write(
        "apps/checkout/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: own, namespace: checkout}\nstringData: {k: v}\n",
    );
    // The rights of the tenants' accounts are those that `install` prints: an agent may not give any.
    let account = |team: &&str| {
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: deployer, namespace: {team}}}\n")
    };
    repo.write(
        "platform/accounts.yaml",
        &["accounts", "catalog", "checkout"].iter().map(account).collect::<Vec<_>>().join("---\n"),
    );
    repo.commit("shop");
    let server = GitServer::https(&repo);
    let kubeconfig = cluster.install(repo.path(), &["--env", "staging"]);
    server.installed.set(kubeconfig.clone()).unwrap();
    let _operator = StandIn::start(&cluster, std::time::Duration::from_millis(50));
    let snapshot = server.secret.path().join("live.json");
    let staging = ["--env", "staging", "--snapshot-file", snapshot.to_str().unwrap()];
    let report = done(&turn(&cluster, &server, &staging));
    assert_eq!(report["summary"]["blocked"], 0, "{report:#}");
    let results: Vec<&Value> = report["changes"].as_array().unwrap().iter().map(|row| &row["result"]).collect();
    assert!(results.iter().all(|result| **result == "done"), "{report:#}");
    repo.remove("apps/checkout/secret.yaml");
    repo.commit("no secret");
    let report = done(&turn(&cluster, &server, &staging));
    assert_eq!(row(&report, "Secret", "own")["result"], "done", "{report:#}");
    let kept = std::fs::read_to_string(&snapshot).unwrap();
    assert!(!kept.contains("unknown: ") && kept.contains("SpinApp"), "all of it is read");
    // Nor is there anything beyond in telling drift from the cluster alone.
    std::fs::remove_dir_all(server.secret.path().join("cache")).unwrap();
    cluster.edit(
        "/apis/core.spinkube.dev/v1alpha1/namespaces/checkout/spinapps/pay-23f5c2",
        "kubectl-scale",
        &json!({"spec": {"image": "edited"}}),
    );
    let ran = turn(&cluster, &server, &["--env", "staging", "--branch", "gone"]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    assert_eq!(row(&json(&ran), "SpinApp", "pay-23f5c2")["fields"][0]["path"], "spec.image", "{}", Ran(&ran));
    done(&turn(&cluster, &server, &staging));
    // It is really this identity, and there is nothing that it may do beyond.
    let ask = |arguments: &[&str]| {
        let ran = Command::new(cluster.kubectl())
            .args(["--kubeconfig", kubeconfig.to_str().unwrap(), "auth", "can-i"])
            .args(arguments)
            .output();
        String::from_utf8(ran.unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(ask(&["impersonate", "serviceaccounts/deployer", "-n", "checkout"]), "yes");
    assert_eq!(ask(&["patch", "gateways", "-n", "infra"]), "yes");
    for beyond in [
        ["get", "secrets", "-n", "kube-system"].as_slice(),
        &["list", "secrets", "-A"],
        &["patch", "spinapps", "-n", "checkout"],
        &["patch", "spinapps", "-n", "default"],
        &["impersonate", "serviceaccounts/default", "-n", "checkout"],
        &["patch", "clusterroles"],
        &["patch", "roles", "-n", "checkout"],
        &["patch", "roles", "-n", "spinway-system"],
        &["delete", "configmaps", "-n", "spinway-system"],
        &["*", "*"],
    ] {
        assert_eq!(ask(beyond), "no", "{beyond:?}");
    }
}

#[test]
fn a_tag_a_pinned_commit_and_a_folder_are_followed_too() {
    let cluster = Cluster::take();
    let repo = committed();
    let first = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["tag", "-a", "v1", "-m", "one"]);
    repo.write("apps/one/a.yaml", &config_map("a", "v2"));
    repo.commit("two");
    let server = GitServer::https(&repo);
    server.installed.set(cluster.install(repo.path(), &[])).unwrap();
    done(&turn(&cluster, &server, &["--commit", &first]));
    assert_eq!(data(&cluster, "a")["k"], "v1");
    server.taken();
    done(&turn(&cluster, &server, &["--commit", &first]));
    assert_eq!(server.taken(), 0, "a pinned commit that is here needs no request");
    done(&turn(&cluster, &server, &["--tag", "v1"]));
    assert_eq!(data(&cluster, "a")["k"], "v1");
    done(&turn(&cluster, &server, &[]));
    assert_eq!(data(&cluster, "a")["k"], "v2");
    let ran = turn(&cluster, &server, &["--tag", "v1"]);
    assert_eq!(code(&ran), 3, "back to a tag is back in history: {}", Ran(&ran));
    done(&turn(&cluster, &server, &["--tag", "v1", "--rewrites", "allow"]));
    assert_eq!(data(&cluster, "a")["k"], "v1");
    // The same in a folder of the repository.
    std::fs::create_dir(repo.file("shop")).unwrap();
    repo.git(&["mv", "apps", "platform", "spinway.yaml", "shop/"]);
    repo.commit("in a folder");
    let ran = turn(&cluster, &server, &["--path", "shop"]);
    assert_eq!(code(&ran), 3, "another source: {}", Ran(&ran));
    done(&turn(&cluster, &server, &["--path", "shop", "--take-inventory"]));
    assert_eq!(data(&cluster, "a")["k"], "v2");
}

#[test]
fn the_agent_never_applies_its_own_permissions() {
    let cluster = Cluster::take();
    let repo = committed();
    repo.allow("ConfigMap, RoleBinding");
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: NAME}\nrules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]\n";
    repo.write("platform/own.yaml", &role.replace("NAME", "spinway.t.test"));
    repo.write("platform/bind.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: spinway.t.test.more}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: spinway.t.test, namespace: spinway-system}]\n");
    repo.write("platform/else.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: harmless, namespace: default}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: spinway.t.test, namespace: spinway-system}]\n");
    repo.write("apps/one/theirs.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: theirs, namespace: default}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\nsubjects: [{kind: ServiceAccount, name: app, namespace: default}]\n");
    repo.commit("more rights");
    let server = GitServer::https(&repo);
    // Even by an agent that is allowed everything.
    server.installed.set(cluster.kubeconfig()).unwrap();
    let report = done(&turn(&cluster, &server, &[]));
    assert_eq!(row(&report, "RoleBinding", "theirs")["result"], "done", "{report:#}");
    let own =
        [("ClusterRole", "spinway.t.test"), ("ClusterRoleBinding", "spinway.t.test.more"), ("RoleBinding", "harmless")];
    for (kind, name) in own {
        let change = row(&report, kind, name);
        assert!(change["action"] == "held" && change["because"].to_string().contains("administrator"), "{change:#}");
    }
    assert_eq!(report["destruction"]["digest"], "", "no consent starts it: {report:#}");
    let binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/spinway.t.test.more";
    assert_eq!(cluster.get(binding), None);
    assert_eq!(data(&cluster, "a")["k"], "v1");
    // The command line is an administrator's.
    let ran = cluster.spinway(&["plan", repo.dir(), "-o", "json", "--take-inventory"]);
    assert_eq!(row(&json(&ran), "ClusterRoleBinding", "spinway.t.test.more")["action"], "create", "{}", Ran(&ran));
}

const Z: &str = "/apis/apps/v1/namespaces/default/deployments/z";

#[test]
fn a_removed_record_of_ours_is_drift_and_comes_back_with_the_next_change() {
    let mut cluster = Cluster::take();
    let repo = committed();
    repo.write("apps/one/z.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: z, namespace: default}\nspec:\n  replicas: 0\n  selector: {matchLabels: {a: z}}\n  template:\n    metadata: {labels: {a: z}}\n    spec: {hostNetwork: false, containers: [{name: c, image: x, command: [], env: [{name: X, value: \"\"}]}]}\n");
    repo.commit("empty values");
    let server = GitServer::https(&repo);
    done(&turn(&cluster, &server, &["--timeout", "1"]));
    // With it goes what proves that an empty value was declared, and an edit by the same hand.
    let gone = json!({"metadata": {"annotations": {"spinway.dev/applied": null}}, "data": {"k": "edited"}});
    cluster.edit(A, "kubectl-replace", &gone);
    cluster.edit(Z, "kubectl-annotate", &json!({"metadata": {"annotations": {"spinway.dev/applied": null}}}));
    cluster.mark();
    let report = done(&turn(&cluster, &server, &["--timeout", "1"]));
    assert_eq!(row(&report, "Deployment", "z")["action"], "unchanged", "{:#}", row(&report, "Deployment", "z"));
    let left = row(&report, "ConfigMap", "a")["left"].to_string();
    assert!(left.contains("spinway.dev/applied") && left.contains("data.k"), "{report:#}");
    assert_eq!(cluster.writes().len(), 0, "{:?}", cluster.writes());
    repo.edit("apps/one/a.yaml", "l: v1", "l: v2");
    repo.commit("pending");
    done(&turn(&cluster, &server, &["--timeout", "1"]));
    let found = cluster.get(A).expect("the object");
    assert_ne!(found["metadata"]["annotations"]["spinway.dev/applied"], Value::Null);
    assert_eq!(found["data"], json!({"k": "edited", "l": "v2"}));
}
