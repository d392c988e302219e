//! Changes that no order makes safe: those that replace the pods of something that serves requests, and those that delete what
//! serves requests to make it again. The operator and the kubelet take pods away before every proxy knows of it, and nothing in a
//! SpinApp can make them wait, so requests may fail: the plan names it (law 2).

use super::gates::{Users, makers, serves_requests};
use super::{Action, Break, Change};
use crate::desired::Desired;
use crate::fields::FieldPath;
use crate::kinds::{SPIN, each, leads_to};
use crate::live::Live;
use crate::object::ObjectRef;
use crate::routing::{Claim, claims, is_route};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// The fields of a SpinApp's spec that no pod is made of.
const NOT_OF_PODS: [&str; 4] = ["replicas", "enableAutoscaling", "deploymentAnnotations", "serviceAnnotations"];

/// Finds changes that replace pods which serve.
pub(super) struct Rollouts<'a> {
    desired: &'a Desired,
    live: &'a Live,
    /// The backends of live routes.
    backends: OnceCell<BTreeSet<ObjectRef>>,
    /// Who refers to what.
    users: OnceCell<Users<'a>>,
}

impl<'a> Rollouts<'a> {
    pub(super) fn new(desired: &'a Desired, live: &'a Live) -> Self {
        Self { desired, live, backends: OnceCell::new(), users: OnceCell::new() }
    }

    /// Which requests may fail while a change is made; none when none may.
    pub(super) fn told(&self, change: &Change) -> Option<Break> {
        match change.action {
            Action::Update | Action::Adopt => {
                self.disturbed(change).map(|backend| Break::PodsReplaced { backend: backend.clone() })
            }
            Action::Replace => self.interrupted(change).map(|through| Break::Recreated { through }),
            _ => None,
        }
    }

    /// A backend whose pods a change replaces, if there is one.
    fn disturbed(&self, change: &Change) -> Option<&ObjectRef> {
        if !replaces_pods(change) {
            return None;
        }
        self.backends()
            .iter()
            .find(|backend| backend.namespace == change.object.namespace && self.is_behind(change, backend))
    }

    /// The route that is replaced and serves requests, or the route or Service that leads to what is replaced.
    fn interrupted(&self, change: &Change) -> Option<ObjectRef> {
        let object = &change.object;
        let before = self.live.get(object)?;
        if is_route(object) {
            return claims(object, before).iter().any(Claim::is_served).then(|| object.clone());
        }
        if !serves_requests(object) {
            return None;
        }
        let users = self.users.get_or_init(|| Users::of(self.live));
        let services = || {
            let services = self.live.of_kind("", "Service", Some(object.namespace()));
            services.filter(|(_, service)| leads_to(service, before)).map(|(service, _)| service)
        };
        let user = users.user_of(object, self.live);
        user.or_else(|| (object.group == "apps").then(services)?.next()).cloned()
    }

    fn backends(&self) -> &BTreeSet<ObjectRef> {
        self.backends.get_or_init(|| {
            let routes = self.live.identities().filter(|object| is_route(object));
            let claimed = routes.filter_map(|route| Some(claims(route, self.live.get(route)?)));
            claimed.flatten().flat_map(|claim| claim.backends.into_keys()).collect()
        })
    }

    fn is_behind(&self, change: &Change, backend: &ObjectRef) -> bool {
        if change.object.is(SPIN, "SpinApp") {
            return makers(backend, self.desired, self.live).any(|app| app == change.object);
        }
        let labels = change.body.as_ref().and_then(|body| body.pointer("/spec/template/metadata/labels"));
        let selector = self.live.get(backend).map(|service| each(service, "spec.selector{}")).unwrap_or_default();
        !selector.is_empty()
            && selector.iter().all(|(pointer, value)| {
                let key = pointer.rsplit_once('/').map(|(_, key)| format!("/{key}")).unwrap_or_default();
                labels.and_then(|labels| labels.pointer(&key)) == Some(*value)
            })
    }
}

fn replaces_pods(change: &Change) -> bool {
    let of_pods: fn(&FieldPath) -> bool = match (change.object.group.as_str(), change.object.kind.as_str()) {
        (SPIN, "SpinApp") => |path| match path.0.as_slice() {
            [spec, field, ..] => spec.is("spec") && !NOT_OF_PODS.iter().any(|name| field.is(name)),
            [spec] => spec.is("spec"),
            [] => true,
        },
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => |path| match path.0.as_slice() {
            [spec, field, ..] => spec.is("spec") && field.is("template"),
            [spec] => spec.is("spec"),
            [] => true,
        },
        _ => return false,
    };
    change.fields.iter().any(|field| of_pods(&field.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::GATEWAY;
    use crate::plan::{Cause, FieldChange};
    use serde_json::json;

    #[test]
    fn a_change_of_pods_that_serve_is_named() {
        let mut live = Live::default();
        live.insert(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "ns"},
            "spec": {"rules": [{"backendRefs": [{"name": "cart", "port": 80}, {"name": "plain", "port": 80}]}]}}));
        for name in ["cart", "idle"] {
            live.insert(json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {"name": name, "namespace": "ns"}, "spec": {}}));
        }
        live.insert(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "plain", "namespace": "ns"}, "spec": {"selector": {"app/x": "plain"}}}));
        let desired = Desired::default();
        let rollouts = Rollouts::new(&desired, &live);
        let change = |group: &str, kind: &str, name: &str, path: &[&str]| Change {
            action: Action::Update,
            fields: vec![FieldChange {
                path: FieldPath::of(path),
                before: None,
                after: None,
                cause: Cause::Pending,
                holder: None,
            }],
            body: Some(json!({"spec": {"template": {"metadata": {"labels": {"app/x": "plain"}}}}})),
            ..Change::unchanged(&ObjectRef::new(group, kind, "ns", name), "v1", "platform")
        };
        for (group, kind, name, path, expected) in [
            (SPIN, "SpinApp", "cart", &["spec", "variables"][..], true),
            (SPIN, "SpinApp", "cart", &["spec", "image"], true),
            (SPIN, "SpinApp", "cart", &["spec", "replicas"], false),
            (SPIN, "SpinApp", "cart", &["metadata", "labels", "a"], false),
            (SPIN, "SpinApp", "idle", &["spec", "image"], false),
            ("apps", "Deployment", "any", &["spec", "template", "spec"], true),
            ("apps", "Deployment", "any", &["spec", "replicas"], false),
            ("", "ConfigMap", "cart", &["data"], false),
        ] {
            assert_eq!(rollouts.told(&change(group, kind, name, path)).is_some(), expected, "{kind} {name} {path:?}");
        }
    }

    #[test]
    fn a_replace_of_what_serves_requests_is_named() {
        let mut live = Live::default();
        live.insert(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "ns"},
            "spec": {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}}));
        let objects = [
            ("v1", "Service", "web", json!({"selector": {"app": "web"}})),
            ("v1", "Service", "idle", json!({"selector": {"app": "idle"}})),
            ("gateway.networking.k8s.io/v1", "Gateway", "g", json!({})),
            ("apps/v1", "Deployment", "web", json!({"template": {"metadata": {"labels": {"app": "web"}}}})),
            ("apps/v1", "Deployment", "other", json!({"template": {"metadata": {"labels": {"app": "other"}}}})),
            ("batch/v1", "Job", "web", json!({"template": {"metadata": {"labels": {"app": "web"}}}})),
        ];
        for (version, kind, name, spec) in &objects {
            live.insert(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "ns"}, "spec": spec}));
        }
        let desired = Desired::default();
        let rollouts = Rollouts::new(&desired, &live);
        for (group, kind, name, expected) in [
            ("", "Service", "web", true),
            ("", "Service", "idle", false),
            (GATEWAY, "Gateway", "g", true),
            (GATEWAY, "HTTPRoute", "r", true),
            ("apps", "Deployment", "web", true),
            ("apps", "Deployment", "other", false),
            ("batch", "Job", "web", false),
        ] {
            let unchanged = Change::unchanged(&ObjectRef::new(group, kind, "ns", name), "v1", "platform");
            let change = Change { action: Action::Replace, ..unchanged };
            assert_eq!(rollouts.told(&change).is_some(), expected, "{kind} {name}");
        }
    }
}
