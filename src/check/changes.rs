//! What checks find of the objects that a plan changes: a change that takes a route off the air is not made (design law 12).

use super::suppress::Wishes;
use super::{
    Check, Context, app_name, backend_kind, backend_port, cors_credentials, executor, made_twice, missing_key,
    prefix_condition, reference_grant, replicas, route_attachment, zero_weights,
};
use crate::desired::Desired;
use crate::kinds::{self, GATEWAY};
use crate::live::Live;
use crate::object::{Diagnostic, ObjectRef, Severity};
use std::collections::BTreeSet;

/// The checks that say of an object by itself, with what it refers to, that it will not work. Fields are held against
/// schemas, and versions against what is served, by the plan itself.
const OF_OBJECTS: [&Check; 12] = [
    &reference_grant::CHECK,
    &route_attachment::CHECK,
    &backend_port::CHECK,
    &backend_kind::CHECK,
    &app_name::CHECK,
    &cors_credentials::CHECK,
    &prefix_condition::CHECK,
    &zero_weights::CHECK,
    &executor::CHECK,
    &replicas::CHECK,
    &missing_key::CHECK,
    &made_twice::CHECK,
];

/// Whether a check is among those that plans hold what they change against.
pub(super) fn is_of_changes(check: &Check) -> bool {
    OF_OBJECTS.iter().any(|of| of.id == check.id)
}

/// The errors and warnings about objects that change, beside live state. What only depends on one that changes, as a route on
/// its Gateway, is not held back: of it there are warnings.
pub fn of_changes(desired: &Desired, live: &Live, changing: &BTreeSet<ObjectRef>) -> Vec<Diagnostic> {
    if changing.is_empty() {
        return Vec::new();
    }
    let mut asked = changing.clone();
    asked.extend(dependent(desired, changing));
    let context = Context::new(desired).beside(Some(live)).about(&asked);
    let mut found: Vec<Diagnostic> = OF_OBJECTS.iter().flat_map(|check| check.run(&context)).collect();
    found.retain(|finding| finding.severity != Severity::Note);
    let changes = |finding: &Diagnostic| finding.object.as_ref().is_some_and(|object| changing.contains(object));
    for finding in found.iter_mut().filter(|finding| !changes(finding)) {
        finding.severity = Severity::Warning;
    }
    if !found.is_empty() {
        Wishes::of(desired).leave_out(&mut found);
    }
    found
}

/// The routes whose Gateway, Namespace or Service changes.
fn dependent(desired: &Desired, changing: &BTreeSet<ObjectRef>) -> Vec<ObjectRef> {
    let kinds = [(GATEWAY, "Gateway"), (GATEWAY, "ListenerSet"), ("", "Namespace"), ("", "Service")];
    let matters = |object: &&ObjectRef| kinds.iter().any(|(group, kind)| object.is(group, kind));
    let changing: BTreeSet<&ObjectRef> = changing.iter().filter(matters).collect();
    if changing.is_empty() {
        return Vec::new();
    }
    let uses = |route: &ObjectRef, value| {
        let namespace = ObjectRef::new("", "Namespace", "", route.namespace());
        changing.contains(&namespace) || kinds::references(route, value).iter().any(|to| changing.contains(&to.to))
    };
    let routes = ["GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute"];
    let routes = routes.iter().flat_map(|kind| desired.of_kind(GATEWAY, kind, None));
    routes.filter(|(route, member)| uses(route, &member.object.value)).map(|(route, _)| route.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, Tree, read};
    use crate::live::Source;
    use serde_json::{Value, json};

    const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: shop}\nspec:\n  parentRefs: [{namespace: infra, name: public, sectionName: http}]\n  rules: [{backendRefs: [{name: cart, port: 80}]}]\n";

    fn desired(text: &str) -> Desired {
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into());
        read(&tree, None).unwrap()
    }

    fn live(objects: &[Value]) -> Live {
        let mut live = Live::default();
        live.source = Source::Cluster;
        objects.iter().for_each(|object| live.insert(object.clone()));
        live
    }

    fn gateway(listener: &str, namespaces: &Value) -> Value {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "public", "namespace": "infra"},
            "spec": {"listeners": [{"name": listener, "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": namespaces}}]}})
    }

    fn service(ports: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"ports": ports}})
    }

    fn route() -> ObjectRef {
        ObjectRef::new(GATEWAY, "HTTPRoute", "shop", "cart")
    }

    fn found(text: &str, live: &Live, changing: &[ObjectRef]) -> Vec<(&'static str, Severity)> {
        let changing = changing.iter().cloned().collect();
        of_changes(&desired(text), live, &changing).into_iter().map(|finding| (finding.id, finding.severity)).collect()
    }

    #[test]
    fn what_lives_in_the_cluster_alone_counts() {
        let all = json!({"from": "All"});
        let at = |listener: &str, port: u16| live(&[gateway(listener, &all), service(&json!([{"port": port}]))]);
        assert_eq!(found(ROUTE, &at("http", 80), &[route()]), []);
        assert_eq!(found(ROUTE, &at("web", 80), &[route()]), [("SPW003", Severity::Error)]);
        assert_eq!(found(ROUTE, &at("http", 81), &[route()]), [("SPW005", Severity::Error)]);
        assert_eq!(found(ROUTE, &at("web", 81), &[]), [], "nothing changes");
        // A snapshot does not keep the ports of others.
        assert_eq!(found(ROUTE, &live(&[service(&json!([]))]), &[route()]), []);
    }

    #[test]
    fn what_others_gave_to_an_object_of_the_repository_stays() {
        let declared = "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{port: 81}]}\n";
        let mut service = service(&json!([{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]));
        let text = ROUTE.to_owned() + declared;
        assert_eq!(found(&text, &live(&[service.clone()]), &[route()]), []);
        let ours = json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}});
        service["metadata"]["managedFields"] = json!([{"manager": "spinway", "operation": "Apply", "fieldsV1": ours}]);
        assert_eq!(found(&text, &live(&[service]), &[route()]), [("SPW005", Severity::Error)], "ours goes");
    }

    #[test]
    fn labels_that_others_gave_to_a_namespace_count() {
        let gateway = gateway("http", &json!({"from": "Selector", "selector": {"matchLabels": {"web": "yes"}}}));
        let text = ROUTE.to_owned() + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
        let mut shop =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"web": "yes"}}});
        assert_eq!(found(&text, &live(&[gateway.clone(), shop.clone()]), &[route()]), []);
        let ours = json!({"f:metadata": {"f:labels": {"f:web": {}}}});
        shop["metadata"]["managedFields"] = json!([{"manager": "spinway", "operation": "Apply", "fieldsV1": ours}]);
        let cluster = live(&[gateway, shop]);
        assert_eq!(found(&text, &cluster, &[route()]), [("SPW003", Severity::Error)], "the label goes");
        // The route does not change, only its namespace does.
        let namespace = ObjectRef::new("", "Namespace", "", "shop");
        assert_eq!(found(&text, &cluster, &[namespace]), [("SPW003", Severity::Warning)]);
    }

    #[test]
    fn a_wish_not_to_be_told_is_heard() {
        let cluster = live(&[gateway("web", &json!({"from": "All"}))]);
        let text = ROUTE.replace(
            "name: cart, namespace: shop}",
            "name: cart, namespace: shop, annotations: {spinway.dev/ignore: \"SPW003: comes later\"}}",
        );
        assert_eq!(found(&text, &cluster, &[route()]), []);
    }
}
