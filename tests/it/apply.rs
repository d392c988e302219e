//! `spinway apply` end to end: order, idempotence, blocked dependents.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json};
use crate::stand_in::StandIn;
use std::time::Duration;

#[test]
fn an_empty_cluster_gets_the_whole_shop_in_dependency_order() {
    let mut cluster = Cluster::take_empty();
    let _controller = StandIn::start(&cluster, Duration::from_millis(150));
    let repo = Repo::shop();
    repo.add_crds();
    let ran = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes", "--timeout", "60"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let writes = cluster.writes();
    let at = |object: &str| {
        writes.iter().position(|w| w.object == object).unwrap_or_else(|| panic!("{object} was not written"))
    };
    let chain = [
        "customresourcedefinitions /gatewayclasses.gateway.networking.k8s.io",
        "gatewayclasses /nginx",
        "gateways infra/public",
        "httproutes checkout/cart",
    ];
    assert!(chain.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{writes:#?}");
    for (first, then) in [
        ("namespaces checkout/checkout", "spinappexecutors checkout/containerd-shim-spin"),
        ("runtimeclasses /wasmtime-spin-v2", "spinappexecutors checkout/containerd-shim-spin"),
        ("spinappexecutors checkout/containerd-shim-spin", "spinapps checkout/cart-3f9c1d"),
        ("secrets checkout/cart-stripe", "spinapps checkout/cart-3f9c1d"),
        ("configmaps checkout/shop", "spinapps checkout/cart-3f9c1d"),
        ("spinapps checkout/cart-3f9c1d", "httproutes checkout/cart"),
        ("spinapps checkout/cart-a7b2e0", "httproutes checkout/cart"),
        ("referencegrants certs/gateway-reads-certificates", "gateways infra/public"),
        ("spinapps catalog/search-03736f", "horizontalpodautoscalers catalog/search-03736f"),
    ] {
        assert!(at(first) < at(then), "{first} must come before {then}");
    }
    let status = json(&cluster.spinway(&["status", repo.dir(), "--env", "staging", "-o", "json"]));
    for row in status["health"].as_array().expect("health") {
        assert_eq!(row["verdict"], "current", "{row}");
    }

    cluster.mark();
    let again = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes"]);
    assert_eq!(code(&again), 0, "{}", Ran(&again));
    assert_eq!(cluster.writes().iter().map(|w| &w.object).collect::<Vec<_>>(), Vec::<&String>::new());
    let plan = cluster.spinway(&["plan", repo.dir(), "--env", "staging", "--exit-code"]);
    assert_eq!(code(&plan), 0, "{}", Ran(&plan));
}
