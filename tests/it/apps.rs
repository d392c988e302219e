//! Apps on the real API server: how versions take over, canaries, the way from a path to a host.

use crate::cluster::{Audited, Cluster};
use crate::control_plane::module_dir;
use crate::repo::Repo;
use crate::run::{Ran, code, json, run};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use spinway::desired::yaml;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
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
        self.cluster.writes().into_iter().filter(Audited::is_of_the_repository).collect()
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

/// The turn that made the version was killed before it saw it crash: the next one sees it, and does what the first would have done.
#[test]
fn a_version_that_fails_after_its_turn_was_killed_is_brought_back_from() {
    let shop = Shop::open();
    let write = |digit: char, mode: &str| {
        let app = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec:\n  image: {}\n  \
             replicas: 1\n  variables: {{mode: {mode}}}\n  rollout: {{settle: 1s, onFailure: rollback}}\n  routes: [{BY_PATH}]\n",
            image(digit)
        );
        shop.repo.write("apps/one/cart.yaml", &app);
        shop.repo.commit(mode);
    };
    let arguments = ["apply", shop.repo.dir(), "--ref", "HEAD", "--yes", "--timeout", "60", "--lease", "2"];
    write('a', "calm");
    let ran = shop.cluster.spinway(&arguments);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    write('b', "crash");
    let mut killed = shop.cluster.command(&arguments).spawn().expect("spinway runs");
    let made = "/apis/core.spinkube.dev/v1alpha1/namespaces/shop/spinapps/cart-bbbbbb";
    let begun = Instant::now();
    while shop.cluster.get(made).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the version is not made");
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().expect("it can be killed");
    let _ = killed.wait();
    let ran = shop.cluster.spinway(&arguments);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(format!("{}", Ran(&ran)).contains("App shop/cart was brought back"), "{}", Ran(&ran));
    assert_eq!(shop.weights(), [(version('a'), 1)]);
    assert!(shop.cluster.get(made).is_none(), "the version that failed is gone");
}

/// The breaks that a plan of the shop names: `OBJECT: why`.
fn breaks(shop: &Shop) -> Vec<String> {
    let planned = shop.cluster.spinway(&["plan", shop.repo.dir(), "-o", "json"]);
    let report = json(&planned);
    let changes = report["changes"].as_array().expect("changes").iter().filter(|change| !change["breaks"].is_null());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    changes.map(|change| format!("{}: {}", text(&change["object"]["kind"]), text(&change["breaks"]))).collect()
}

#[test]
fn a_change_of_the_kind_of_rollout_names_what_it_breaks() {
    let mut shop = Shop::open();
    shop.apply(&image('a'), &[BY_PATH], "");
    shop.repo.edit("apps/one/cart.yaml", "{settle: 1s}", "{type: inPlace}");
    let found = breaks(&shop);
    assert!(found.len() == 1 && found[0].starts_with("Service: The operator makes one of this name"), "{found:?}");
    let ran = shop.cluster.spinway(&["apply", shop.repo.dir(), "--yes", "--timeout", "30"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    shop.repo.edit("apps/one/cart.yaml", "{type: inPlace}", "{settle: 1s}");
    let found = breaks(&shop);
    assert!(found.len() == 1 && found[0].starts_with("SpinApp: Service shop/cart was made for it"), "{found:?}");
}

#[test]
fn a_version_that_does_not_start_gets_no_requests() {
    let mut shop = Shop::open();
    shop.apply(&image('a'), &[BY_PATH], "");
    shop.repo.edit("apps/one/cart.yaml", &image('a'), &image('b').replace("cart:1", "bad:1"));
    shop.cluster.mark();
    let ran = shop.cluster.spinway(&["apply", shop.repo.dir(), "--yes", "--timeout", "5"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    let writes: Vec<Audited> = shop.cluster.writes().into_iter().filter(Audited::is_of_the_repository).collect();
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

/// Kinds of the covering Apps of which no definition is at hand.
const UNDEFINED: [&str; 1] = ["ScaledObject"];

/// The HTTPRoute of Gateway API 1.7, in whose standard channel `retry` is.
fn newest_http_route() -> Value {
    let file = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml";
    let path = module_dir("sigs.k8s.io/gateway-api", "v1.7.0").join(file);
    let text = std::fs::read_to_string(path).expect("the definition");
    let (documents, _) = yaml::read(&Arc::from("crd"), &text);
    documents.into_iter().next().expect("a definition").value
}

#[test]
fn apps_in_which_every_field_is_set_are_accepted_by_the_api_server() {
    let cluster = Cluster::take();
    let definition = newest_http_route();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io";
    cluster.apply_as(path, "test", &definition);
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds/core.spinkube.dev_spinapps.yaml");
    if let Ok(text) = std::fs::read_to_string(real) {
        let (documents, _) = yaml::read(&Arc::from("crd"), &text);
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/spinapps.core.spinkube.dev";
        cluster.apply_as(path, "test", &documents[0].value);
    }
    cluster.send(
        "POST",
        "/api/v1/namespaces",
        "application/json",
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
    );
    let repo = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/covering/repo");
    let takes = |object: &Value| {
        let (group_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let root = if group_version.contains('/') {
            format!("/apis/{group_version}")
        } else {
            format!("/api/{group_version}")
        };
        let plural = match kind {
            "NetworkPolicy" => "networkpolicies".to_owned(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{root}/namespaces/shop/{plural}/{name}?fieldManager=t&fieldValidation=Strict&dryRun=All");
        cluster.try_send("PATCH", &path, "application/apply-patch+yaml", object)
    };
    // A definition is served some time after it was written.
    let probe = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "probe", "namespace": "shop"}, "spec": {"rules": [{"retry": {"attempts": 1}}]}});
    cluster.wait("the newest HTTPRoute", || takes(&probe).is_ok());
    let mut accepted = BTreeMap::new();
    for environment in ["test", "live"] {
        let ran = run(&["render", repo, "--env", environment, "-o", "json"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        for object in json(&ran).as_array().expect("objects") {
            let kind = object["kind"].as_str().unwrap();
            if object["metadata"]["labels"]["spinway.dev/app"].is_null() || UNDEFINED.contains(&kind) {
                continue;
            }
            let answer = takes(object);
            assert!(answer.is_ok(), "{object:#}\n{answer:?}");
            *accepted.entry(kind.to_owned()).or_insert(0) += 1;
        }
    }
    let kinds: Vec<&str> = accepted.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["HTTPRoute", "HorizontalPodAutoscaler", "NetworkPolicy", "Service", "SpinApp"]);
}

/// Gathers the properties of a schema, as `DEFINITION.NAME`, with whether any of the values has them.
fn properties(root: &Value, schema: &Value, values: &[&Value], of: &str, found: &mut BTreeMap<String, bool>) {
    let reference = schema["$ref"].as_str();
    let (schema, of) = match reference {
        Some(reference) => (root.pointer(reference.trim_start_matches('#')).expect("a definition"), reference),
        None => (schema, of),
    };
    for alternative in ["anyOf", "oneOf", "allOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten()) {
        properties(root, alternative, values, of, found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let below: Vec<&Value> = values.iter().filter_map(|value| value.get(name)).collect();
        *found.entry(format!("{of}.{name}")).or_default() |= !below.is_empty();
        properties(root, property, &below, &format!("{of}.{name}"), found);
    }
    let items: Vec<&Value> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
    let entries: Vec<&Value> =
        values.iter().filter_map(|value| value.as_object()).flat_map(|map| map.values()).collect();
    for (below, values) in [("items", items), ("additionalProperties", entries)] {
        if schema[below].is_object() {
            properties(root, &schema[below], &values, of, found);
        }
    }
}

#[test]
fn the_covering_apps_set_every_field_that_there_is() {
    let ran = run(&["schema", "App"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let schema = json(&ran);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/covering/repo/apps");
    let texts = ["cart.yaml", "others.yaml"].map(|file| std::fs::read_to_string(folder.join(file)).expect("a file"));
    let documents: Vec<Value> = texts
        .iter()
        .flat_map(|text| yaml::read(&Arc::from("apps"), text).0)
        .map(|document| document.value)
        .filter(|value| value["kind"] == "App")
        .collect();
    let mut found = BTreeMap::new();
    properties(&schema, &schema, &documents.iter().collect::<Vec<_>>(), "", &mut found);
    let missing: Vec<&String> = found.iter().filter(|(_, set)| !**set).map(|(name, _)| name).collect();
    assert!(found.len() > 100 && missing.is_empty(), "{} fields; no App sets {missing:#?}", found.len());
}
