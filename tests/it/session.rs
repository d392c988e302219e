//! How an apply meets the person or the script that runs it.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, stderr, stdout};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn maps(count: usize) -> String {
    (0..count)
        .map(|n| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}, namespace: default}}\n"))
        .collect()
}

#[test]
fn only_the_plan_that_was_looked_at_is_applied() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &maps(2));
    let file = repo.file("plan.json").display().to_string();
    let target = format!("json={file}");
    let report = cluster.spinway(&["plan", repo.dir(), "-o", &target, "-o", "text"]);
    assert_eq!(code(&report), 0, "{}", Ran(&report));
    repo.write("platform/a.yaml", &maps(3));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--plan", &file]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    repo.write("platform/a.yaml", &maps(2));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--plan", &file]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
}

#[test]
fn without_a_terminal_consent_is_an_option() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &maps(1));
    let ran = cluster.spinway(&["apply", repo.dir()]);
    assert_eq!(code(&ran), 64, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("--yes"));
    repo.write("platform/broken.yaml", "a: [\n");
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--strict"]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    assert!(cluster.writes().is_empty());
}

#[test]
fn events_are_streamed_as_lines_and_the_last_is_the_report() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &maps(2));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "-o", "jsonl"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let lines: Vec<serde_json::Value> =
        stdout(&ran).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().filter(|l| l["event"] == "done").count() == 2, "{lines:#?}");
    assert_eq!(lines.last().expect("a report")["schema"], "spinway.dev/report/v1");
}

#[test]
fn an_interrupt_finishes_what_is_in_flight_and_the_next_run_completes_it() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    // No controller answers for the class, so the gateway waits.
    repo.write("platform/a.yaml", &format!("apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {{name: c}}\nspec: {{controllerName: example.com/none}}\n---\n\
        apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g, namespace: default}}\nspec: {{gatewayClassName: c, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n{}", maps(5)));
    let child = cluster
        .command(&["apply", repo.dir(), "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spinway runs");
    let start = Instant::now();
    while cluster.get("/api/v1/namespaces/default/configmaps/c4").is_none() && start.elapsed() < Duration::from_secs(20)
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let ran = child.wait_with_output().expect("spinway ends");
    assert_eq!(code(&ran), 130, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("Interrupted"), "{}", Ran(&ran));
    assert!(cluster.get("/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/g").is_none());
    cluster.send("PATCH", "/apis/gateway.networking.k8s.io/v1/gatewayclasses/c/status", "application/merge-patch+json",
        &json!({"status": {"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}]}}));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1", "-o", "json"]);
    assert_eq!(json(&ran)["summary"]["create"], 1, "{}", Ran(&ran));
    assert!(cluster.get("/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/g").is_some());
}

#[test]
fn a_kubeconfig_with_an_exec_plugin_works() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &maps(1));
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(cluster.kubeconfig()).expect("a kubeconfig")).expect("JSON");
    let token = config["users"][0]["user"]["token"].as_str().expect("a token").to_owned();
    let credential =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}})
            .to_string();
    repo.write("credential.json", &credential);
    config["users"][0]["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": [repo.file("credential.json")], "interactiveMode": "Never"}});
    repo.write("kubeconfig.json", &config.to_string());
    let file = repo.file("kubeconfig.json").display().to_string();
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--kubeconfig", &file, "--context", "test"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let ran = cluster.spinway(&["plan", repo.dir(), "--kubeconfig", &file, "--context", "none"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("hint:"), "{}", Ran(&ran));
}

#[test]
fn on_a_terminal_the_plan_is_shown_and_asked_about() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &maps(2));
    // `script` (util-linux) gives the program a terminal.
    let on_terminal = |answer: &str| {
        let command = format!("{} apply {}", env!("CARGO_BIN_EXE_spinway"), repo.dir());
        let mut child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs");
        std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), format!("{answer}\n").as_bytes())
            .expect("an answer");
        child.wait_with_output().expect("script ends")
    };
    let ran = on_terminal("n");
    let shown = stdout(&ran);
    assert!(
        code(&ran) == 0
            && shown.contains("2 to create")
            && shown.contains("Apply this plan?")
            && shown.contains("Nothing was done"),
        "{}",
        Ran(&ran)
    );
    assert!(cluster.writes().is_empty());
    let ran = on_terminal("y");
    assert!(code(&ran) == 0 && stdout(&ran).contains("healthy     ConfigMap default/c1"), "{}", Ran(&ran));
    assert!(cluster.get("/api/v1/namespaces/default/configmaps/c1").is_some());
}
