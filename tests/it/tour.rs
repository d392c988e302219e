//! Every command of the guides that say so, in order.

use crate::cluster::Cluster;
use crate::run::{Ran, code, stdout};
use crate::stand_in::StandIn;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Runs the commands of a page in a folder; gives each with what it said.
fn follow(page: &str, here: &Path, cluster: &Cluster) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [Path::new(env!("CARGO_BIN_EXE_spinway")), &cluster.kubectl()]
        .map(|p| p.parent().expect("a folder").display().to_string());
    let path = format!("{}:{}", folders.join(":"), std::env::var("PATH").expect("a PATH"));
    let text = std::fs::read_to_string(root.join(page)).expect("the page");
    let mut outputs = Vec::new();
    for command in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let ran = Command::new("bash")
            .args(["-c", command])
            .current_dir(here)
            .env("PATH", &path)
            .env("SPINWAY", root)
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HOME", here)
            .output()
            .expect("bash runs");
        assert_eq!(code(&ran), 0, "{command}: {}", Ran(&ran));
        outputs.push((command.to_owned(), stdout(&ran)));
    }
    outputs
}

#[test]
fn every_command_of_the_tour_works() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    let here = tempfile::tempdir().expect("a folder");
    let outputs = follow("docs/guides/tour.md", here.path(), &cluster);
    assert!(outputs.len() >= 15, "{outputs:?}");
    let said = |command: &str, text: &str| outputs.iter().any(|(c, o)| c.starts_with(command) && o.contains(text));
    assert!(said("spinway graph", "because of spec.executor"));
    assert!(said("spinway drift shop", "kubectl-patch by Update"), "{outputs:#?}");
    assert!(said("spinway drift shop", "is gone (writer not recorded)"));
    assert!(here.path().join("plan.md").exists());
}

#[test]
fn every_command_from_nothing_works() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    install_classes(&cluster);
    let here = tempfile::tempdir().expect("a folder");
    let outputs = follow("docs/guides/start.md", here.path(), &cluster);
    assert!(outputs.len() >= 9, "{outputs:?}");
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/checkout/httproutes/cart";
    let host = cluster.get(route).expect("the route")["spec"]["hostnames"].clone();
    assert_eq!(host, json!(["staging.shop.example"]));
}

#[test]
fn every_command_of_the_guardrails_works() {
    let cluster = Cluster::take();
    let here = tempfile::tempdir().expect("a folder");
    let outputs = follow("docs/guides/guardrails.md", here.path(), &cluster);
    assert!(outputs.len() >= 13, "{outputs:?}");
    let said = |command: &str, text: &str| outputs.iter().any(|(c, o)| c.starts_with(command) && o.contains(text));
    assert!(said("spinway check shop --base HEAD", "tenants checkout (namespaces)"), "{outputs:#?}");
    assert!(said("spinway check shop --baseline", "0 errors, 0 warnings, 0 notes"), "{outputs:#?}");
    assert!(said("spinway check shop --env staging --controller", "SPW027"), "{outputs:#?}");
}

/// What the charts of the Gateway's controller and of SpinKube install beside themselves.
pub fn install_classes(cluster: &Cluster) {
    for (path, object) in [
        (
            "/apis/gateway.networking.k8s.io/v1/gatewayclasses",
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "nginx"},
                   "spec": {"controllerName": "gateway.nginx.org/nginx-gateway-controller"}}),
        ),
        (
            "/apis/node.k8s.io/v1/runtimeclasses",
            json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "wasmtime-spin-v2"}, "handler": "spin"}),
        ),
    ] {
        cluster.send("POST", path, "application/json", &object);
    }
}
