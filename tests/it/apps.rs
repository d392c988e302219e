//! Apps on the real API server: how versions take over, canaries, the way from a path to a host.

use crate::cluster::{Audited, Cluster};
use crate::repo::Repo;
use crate::run::{Ran, code};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PLATFORM: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: stand-in.example/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g, namespace: shop}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: containerd-shim-spin, namespace: shop}
spec: {createDeployment: true}
";

/// An image whose version is named by the digit.
fn image(digit: char) -> String {
    format!("example/cart:1@sha256:{}", digit.to_string().repeat(64))
}

fn version(digit: char) -> String {
    format!("cart-{}", digit.to_string().repeat(6))
}

const BY_PATH: &str = "{name: by-path, gateway: g, hosts: [shop.example], path: /cart}";
const BY_HOST: &str = "{name: by-host, gateway: g, hosts: [cart.shop.example]}";
const REDIRECTED: &str = "{name: by-path, gateway: g, hosts: [shop.example], path: /cart, redirectTo: by-host}";

struct Shop {
    cluster: Cluster,
    _controller: StandIn,
    repo: Repo,
}

impl Shop {
    fn open() -> Self {
        let cluster = Cluster::take();
        let _controller = StandIn::start(&cluster, Duration::from_millis(30));
        let repo = Repo::with_config();
        repo.write("platform/all.yaml", PLATFORM);
        Self { cluster, _controller, repo }
    }

    /// Applies the App with this rest of its spec; gives the writes of it: `VERB OBJECT`, and the bodies.
    fn apply(&mut self, image: &str, routes: &[&str], more: &str) -> Vec<Audited> {
        let app = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec:\n  image: {image}\n  \
             replicas: 1\n  rollout: {{settle: 1s}}\n  routes: [{}]\n{more}",
            routes.join(", ")
        );
        self.repo.write("apps/one/cart.yaml", &app);
        self.cluster.mark();
        let ran = self.cluster.spinway(&["apply", self.repo.dir(), "--yes", "--timeout", "30"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        let again = self.cluster.spinway(&["plan", self.repo.dir(), "--exit-code"]);
        assert_eq!(code(&again), 0, "{}", Ran(&again));
        self.cluster.writes().into_iter().filter(|w| !w.object.starts_with("configmaps")).collect()
    }

    fn route(&self, name: &str) -> Value {
        let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/{name}");
        self.cluster.get(&path).expect("the route")
    }

    /// The versions that the route by path leads to, with their weights.
    fn weights(&self) -> Vec<(String, u64)> {
        let backends = self.route("cart-by-path")["spec"]["rules"].as_array().and_then(|rules| rules.last().cloned());
        let backends = backends.expect("a rule")["backendRefs"].as_array().cloned().unwrap_or_default();
        let weight = |b: &Value| (b["name"].as_str().unwrap_or_default().to_owned(), b["weight"].as_u64().unwrap_or(1));
        backends.iter().map(weight).collect()
    }

    fn service(&self) -> Value {
        self.cluster.get("/api/v1/namespaces/shop/services/cart").expect("the stable Service")["spec"]["selector"]
            .clone()
    }
}

fn selector(digit: char) -> Value {
    json!({format!("core.spinkube.dev/app.{}.status", version(digit)): "ready"})
}

/// The writes in words; those that may come in either order are sorted where they are neighbours.
fn said(writes: &[Audited]) -> Vec<String> {
    writes.iter().map(|write| format!("{} {}", write.verb, write.object)).collect()
}

fn position(said: &[String], wanted: &str) -> usize {
    said.iter().position(|write| write == wanted).unwrap_or_else(|| panic!("no {wanted} in {said:#?}"))
}

#[test]
fn a_new_version_takes_over_when_it_is_healthy_and_the_old_one_goes_after_the_drain() {
    let mut shop = Shop::open();
    let first = said(&shop.apply(&image('a'), &[BY_PATH], ""));
    let made = position(&first, "patch spinapps shop/cart-aaaaaa");
    assert!(made < position(&first, "patch httproutes shop/cart-by-path"));
    assert!(made < position(&first, "patch services shop/cart"));
    assert_eq!((shop.weights(), shop.service()), (vec![(version('a'), 1)], selector('a')));

    let begun = Instant::now();
    let mut second = said(&shop.apply(&image('b'), &[BY_PATH], ""));
    assert!(begun.elapsed() >= Duration::from_secs(1), "the old version rests before it goes");
    second[1..3].sort();
    assert_eq!(
        second,
        [
            "patch spinapps shop/cart-bbbbbb",
            "patch httproutes shop/cart-by-path",
            "patch services shop/cart",
            "delete spinapps shop/cart-aaaaaa"
        ]
    );
    assert_eq!((shop.weights(), shop.service()), (vec![(version('b'), 1)], selector('b')));
}

#[test]
fn a_version_that_does_not_start_gets_no_requests() {
    let mut shop = Shop::open();
    shop.apply(&image('a'), &[BY_PATH], "");
    shop.repo.edit("apps/one/cart.yaml", &image('a'), &image('b').replace("cart:1", "bad:1"));
    shop.cluster.mark();
    let ran = shop.cluster.spinway(&["apply", shop.repo.dir(), "--yes", "--timeout", "5"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    let writes: Vec<Audited> =
        shop.cluster.writes().into_iter().filter(|w| !w.object.starts_with("configmaps")).collect();
    assert_eq!(said(&writes), ["patch spinapps shop/cart-bbbbbb"]);
    assert_eq!((shop.weights(), shop.service()), (vec![(version('a'), 1)], selector('a')));
    // Back again: the failed version was never used, and goes.
    let back = said(&shop.apply(&image('a'), &[BY_PATH], ""));
    assert_eq!(back, ["delete spinapps shop/cart-bbbbbb"]);
}

#[test]
fn a_canary_starts_grows_and_is_promoted_or_given_up_by_weights_alone() {
    let mut shop = Shop::open();
    shop.apply(&image('a'), &[BY_PATH], "");
    let canary = |digit, weight: u8| format!("  canary: {{image: {}, weight: {weight}}}\n", image(digit));

    let start = said(&shop.apply(&image('a'), &[BY_PATH], &canary('b', 10)));
    assert_eq!(start, ["patch spinapps shop/cart-bbbbbb", "patch httproutes shop/cart-by-path"]);
    assert_eq!(shop.weights(), [(version('a'), 90), (version('b'), 10)]);
    assert_eq!(shop.service(), selector('a'), "callers inside the cluster keep the version that is served");

    let grow = said(&shop.apply(&image('a'), &[BY_PATH], &canary('b', 50)));
    assert_eq!(grow, ["patch httproutes shop/cart-by-path"]);
    assert_eq!(shop.weights(), [(version('a'), 50), (version('b'), 50)]);

    let mut promote = said(&shop.apply(&image('b'), &[BY_PATH], ""));
    promote[..2].sort();
    assert_eq!(
        promote,
        ["patch httproutes shop/cart-by-path", "patch services shop/cart", "delete spinapps shop/cart-aaaaaa"],
        "the canary becomes what is served as it is"
    );
    assert_eq!((shop.weights(), shop.service()), (vec![(version('b'), 1)], selector('b')));

    shop.apply(&image('b'), &[BY_PATH], &canary('c', 10));
    let abort = said(&shop.apply(&image('b'), &[BY_PATH], ""));
    assert_eq!(abort, ["patch httproutes shop/cart-by-path", "delete spinapps shop/cart-cccccc"]);
    assert_eq!((shop.weights(), shop.service()), (vec![(version('b'), 1)], selector('b')));
}

#[test]
fn an_app_moves_from_a_path_to_a_host_in_steps() {
    let mut shop = Shop::open();
    shop.apply(&image('a'), &[BY_PATH], "");
    let both = said(&shop.apply(&image('a'), &[BY_PATH, BY_HOST], ""));
    assert_eq!(both, ["patch httproutes shop/cart-by-host"]);
    let redirect = said(&shop.apply(&image('a'), &[REDIRECTED, BY_HOST], ""));
    assert_eq!(redirect, ["patch httproutes shop/cart-by-path"]);
    let rule = shop.route("cart-by-path")["spec"]["rules"][0].clone();
    assert_eq!(
        rule["filters"][0]["requestRedirect"],
        json!({"hostname": "cart.shop.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}, "statusCode": 308})
    );
    assert_eq!(rule.get("backendRefs"), None);
    let host = shop.route("cart-by-host")["spec"]["rules"][0].clone();
    assert_eq!((&host["backendRefs"][0]["name"], host.get("filters")), (&json!(version('a')), None));
    // A new version is switched to on the route that serves, and the old one still goes after it.
    let next = said(&shop.apply(&image('b'), &[REDIRECTED, BY_HOST], ""));
    assert!(
        position(&next, "patch httproutes shop/cart-by-host") < position(&next, "delete spinapps shop/cart-aaaaaa")
    );
}
