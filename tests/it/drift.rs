//! Drift: for an edit of each declared leaf, the path, the manager, the operation and the time, and nothing else.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::time::Duration;

const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/checkout/httproutes/cart";
const GATEWAY: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/infra/gateways/public";
const APP: &str = "/apis/core.spinkube.dev/v1alpha1/namespaces/checkout/spinapps/cart-3f9c1d";

struct Bed {
    cluster: Cluster,
    repo: Repo,
    _controller: StandIn,
}

impl Bed {
    fn new() -> Self {
        let cluster = Cluster::take();
        let controller = StandIn::start(&cluster, Duration::from_millis(20));
        let bed = Self { cluster, repo: Repo::shop(), _controller: controller };
        bed.apply();
        bed
    }

    fn apply(&self) {
        let ran =
            self.cluster.spinway(&["apply", self.repo.dir(), "--env", "staging", "--yes", "--timeout", "60", "-q"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    }

    fn drift(&self) -> Value {
        let ran = self.cluster.spinway(&["drift", self.repo.dir(), "--env", "staging", "-o", "json"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    }
}

/// Every scalar below a value, as a JSON pointer.
fn scalars(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(k, v)| scalars(v, &format!("{pointer}/{}", k.replace('~', "~0").replace('/', "~1")), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| scalars(v, &format!("{pointer}/{i}"), found)),
        _ => found.push(pointer.to_owned()),
    }
}

/// Other values to try for a scalar; the API server takes the first that is valid.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => vec![
            json!(format!("{text}x")),
            json!(format!("{text}1")),
            json!("Exact"),
            json!("Same"),
            json!("HTTP"),
            json!("ReplaceFullPath"),
            json!("7"),
            json!(format!("x{text}")),
        ],
        Value::Number(n) => vec![json!(n.as_i64().unwrap_or_default() + 1)],
        Value::Bool(b) => vec![json!(!b)],
        _ => Vec::new(),
    }
}

/// Edits a scalar of a live object by a JSON patch; false when no other value is valid.
fn edit(cluster: &Cluster, path: &str, pointer: &str, value: &Value) -> bool {
    others(value).iter().any(|other| {
        let patch = json!([{"op": "replace", "path": pointer, "value": other}]);
        cluster
            .try_send("PATCH", &format!("{path}?fieldManager=kubectl-edit"), "application/json-patch+json", &patch)
            .is_ok()
    })
}

#[test]
fn an_edit_of_each_declared_leaf_is_named_with_its_writer_and_nothing_else_is() {
    let bed = Bed::new();
    assert_eq!(bed.drift()["changes"], json!([]), "nothing has drifted yet");
    let rendered = bed.cluster.spinway(&["render", bed.repo.dir(), "--env", "staging", "-o", "json"]);
    let rendered = json(&rendered);
    let (mut edited, mut refused) = (0, Vec::new());
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full");
    for (kind, name, path) in
        [("HTTPRoute", "cart", ROUTE), ("Gateway", "public", GATEWAY), ("SpinApp", "cart-3f9c1d", APP)]
    {
        let declared = rendered
            .as_array()
            .expect("objects")
            .iter()
            .find(|o| o["kind"] == kind && o["metadata"]["name"] == name)
            .expect("the object")
            .clone();
        let mut pointers = Vec::new();
        for part in ["/spec", "/metadata/labels", "/metadata/annotations"] {
            if let Some(value) = declared.pointer(part) {
                scalars(value, part, &mut pointers);
            }
        }
        for pointer in pointers.iter().enumerate().filter(|(i, _)| full || i % 3 == 0).map(|(_, p)| p) {
            let live = bed.cluster.get(path).expect("the object");
            if !edit(&bed.cluster, path, pointer, live.pointer(pointer).unwrap_or(&Value::Null)) {
                refused.push(format!("{kind}{pointer}"));
                continue;
            }
            edited += 1;
            let drift = bed.drift();
            let rows = drift["changes"].as_array().expect("changes");
            assert_eq!(rows.len(), 1, "{kind}{pointer}: {drift:#}");
            assert_eq!(rows[0]["object"]["kind"], kind);
            let fields = rows[0]["fields"].as_array().expect("fields");
            let leaf = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/");
            // The key of a list item is the item: editing it removes the item.
            let list = match kind {
                "Gateway" => "listeners",
                _ => "variables",
            };
            let is_key =
                leaf == "name" && pointer.starts_with(&format!("/spec/{list}/")) && pointer.matches('/').count() == 4;
            if is_key {
                let item = format!("spec.{list}[name=");
                assert!(
                    fields.iter().all(|f| f["path"].as_str().is_some_and(|p| p.starts_with(&item))),
                    "{pointer}: {drift:#}"
                );
                assert!(!fields.is_empty());
                // Port, protocol and hostname of a listener are unique, so the item cannot come back beside the edited one.
                let original = json!([{"op": "replace", "path": pointer, "value": live.pointer(pointer)}]);
                bed.cluster.send(
                    "PATCH",
                    &format!("{path}?fieldManager=kubectl-edit"),
                    "application/json-patch+json",
                    &original,
                );
            } else {
                assert_eq!(fields.len(), 1, "{kind}{pointer}: {drift:#}");
                let field = &fields[0];
                assert!(
                    field["path"].as_str().is_some_and(|p| p.ends_with(&leaf) || p.ends_with(&format!("[{leaf}]"))),
                    "{pointer}: {field}"
                );
                assert_eq!(
                    (field["cause"].as_str(), field["manager"].as_str(), field["operation"].as_str()),
                    (Some("drift"), Some("kubectl-edit"), Some("Update")),
                    "{pointer}: {field}"
                );
                assert!(field["time"].is_string(), "{pointer}: {field}");
            }
            bed.apply();
        }
    }
    assert!(
        edited >= if full { 35 } else { 12 },
        "only {edited} leaves could be edited; the server refused {refused:?}"
    );
    println!("{edited} leaves edited; the server refused every other value of {}", refused.join(", "));
    assert_eq!(bed.drift()["changes"], json!([]), "everything was put right");
}

#[test]
fn a_removed_field_and_a_deleted_object_are_drift_without_a_writer() {
    let bed = Bed::new();
    bed.cluster.edit(APP, "kubectl-edit", &json!({"spec": {"checks": null}}));
    bed.cluster.edit(GATEWAY, "kubectl-edit", &json!({"metadata": {"annotations": {"theirs": "x"}}}));
    let map = "/api/v1/namespaces/checkout/configmaps/shop";
    bed.cluster.send("DELETE", map, "application/json", &Value::Null);
    let drift = bed.drift();
    let rows = drift["changes"].as_array().expect("changes");
    assert_eq!(rows.len(), 2, "{drift:#}");
    let app = rows.iter().find(|r| r["object"]["kind"] == "SpinApp").expect("the app");
    assert!(app["fields"][0]["path"].as_str().is_some_and(|p| p.starts_with("spec.checks")), "{app:#}");
    assert_eq!((app["fields"][0]["cause"].as_str(), &app["fields"][0]["manager"]), (Some("drift"), &Value::Null));
    let gone = rows.iter().find(|r| r["object"]["kind"] == "ConfigMap").expect("the map");
    assert_eq!(gone["fields"][0]["cause"], "missing");
    let ran = bed.cluster.spinway(&["drift", bed.repo.dir(), "--env", "staging", "--exit-code"]);
    assert_eq!(code(&ran), 2, "{}", Ran(&ran));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("writer not recorded"), "{}", Ran(&ran));
    bed.apply();
    assert!(bed.cluster.get(map).is_some());
    assert_eq!(bed.cluster.get(GATEWAY).expect("the gateway")["metadata"]["annotations"]["theirs"], "x");
}

#[test]
fn drift_and_status_work_without_a_repository() {
    let bed = Bed::new();
    bed.cluster.edit(
        "/api/v1/namespaces/checkout/configmaps/shop",
        "kubectl-edit",
        &json!({"data": {"currency": "USD", "banner": null}}),
    );
    let elsewhere = tempfile::tempdir().expect("a folder");
    let ran =
        bed.cluster.command(&["drift", "-o", "json"]).current_dir(elsewhere.path()).output().expect("spinway runs");
    let drift = json(&ran);
    let rows = drift["changes"].as_array().expect("changes");
    assert_eq!(rows.len(), 1, "{drift:#}");
    assert_eq!(
        (rows[0]["fields"][0]["path"].as_str(), rows[0]["fields"][0]["manager"].as_str()),
        (Some("data.currency"), Some("kubectl-edit"))
    );
    assert_eq!(rows[0]["because"][0], "1 declared field removed, path not recorded");
    let ran =
        bed.cluster.command(&["status", "-o", "json"]).current_dir(elsewhere.path()).output().expect("spinway runs");
    assert!(json(&ran)["health"].as_array().is_some_and(|rows| rows.len() > 20), "{}", Ran(&ran));
}
