//! A rejected Gateway stops its new routes only (law 1).

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, stderr, stdout};
use crate::stand_in::StandIn;
use std::time::Duration;

const PLATFORM: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: stand-in.example/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: good, namespace: default}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: bad
  namespace: default
  annotations: {}
spec: {gatewayClassName: c, listeners: [{name: http, port: 81, protocol: HTTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: default}
spec: {ports: [{port: 80}]}
";

fn route(name: &str, gateway: &str, path: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: default}}\nspec:\n  parentRefs:\n    - name: {gateway}\n  rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: s, port: 80}}]}}]\n"
    )
}

#[test]
fn a_rejected_gateway_blocks_the_creation_of_its_routes_only() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(30));
    let repo = Repo::with_config();
    repo.write("platform/all.yaml", PLATFORM);
    repo.write("platform/old.yaml", &route("old", "bad", "/old"));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "20"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));

    // Now the gateway is refused; new routes come, and a hotfix to the one that is there.
    repo.edit("platform/all.yaml", "annotations: {}", "annotations: {test/reject: UnsupportedAddress}");
    repo.edit("platform/all.yaml", "port: 81", "port: 82");
    repo.write("platform/new.yaml", &route("new", "bad", "/new"));
    repo.write("platform/fine.yaml", &route("fine", "good", "/fine"));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "20"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    let found =
        |name: &str| cluster.get(&format!("/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/{name}"));
    assert!(found("fine").is_some() && found("new").is_none(), "{}", Ran(&ran));
    assert!(stdout(&ran).contains("UnsupportedAddress"), "{}", Ran(&ran));

    // The next run sees it before it begins, and says where the reference stands.
    repo.write("platform/old.yaml", &route("old", "bad", "/hotfix"));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "20"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    let said = stderr(&ran);
    for part in [
        "HTTPRoute default/new",
        "Gateway default/bad",
        "UnsupportedAddress",
        "Accepted=False",
        "platform/new.yaml:6:7",
    ] {
        assert!(said.contains(part) || stdout(&ran).contains(part), "{part} is not in {}", Ran(&ran));
    }
    assert_eq!(
        found("old").expect("the old route")["spec"]["rules"][0]["matches"][0]["path"]["value"],
        "/hotfix",
        "{}",
        Ran(&ran)
    );
    assert!(found("new").is_none());
}
