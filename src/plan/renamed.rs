//! Deletions that are renames: another object takes the place of the one that goes, so nothing is lost.
//!
//! The rule is simple, and errs to the side of counting a deletion. The successor is of the same kind, namespace and partition
//! and is made by the same plan, and it succeeds one object alone. A route is succeeded by one that serves all of its
//! hostnames, paths and other matches at its parents; everything else by an object whose text is the same apart from names. What an
//! App makes beside its SpinApps says little but names, so it is succeeded by what the App makes that its SpinApps went over to. Who
//! is succeeded by whom is remembered as long as deletions are, for a deletion that comes turns later.

use super::{Action, Change, Reason};
use crate::desired::Desired;
use crate::fields::{FieldSet, Managers, declare, restrict};
use crate::inventory::Parent;
use crate::kinds::{self, GATEWAY, each};
use crate::live::Live;
use crate::object::{ObjectRef, label};
use crate::schema::with_defaults;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Tells deletions that are renames; `since` is where the window of the budget begins.
pub(super) fn find(changes: &mut [Change], desired: &Desired, live: &Live, parents: &[Parent], since: i64) {
    let counted = |change: &Change| change.action == Action::Delete && !change.superseded;
    if !changes.iter().any(counted) {
        return;
    }
    let recorded = parents.iter().flat_map(|parent| &parent.state.deletions);
    let recorded: Vec<_> = recorded.filter(|d| d.at > since && d.successor.is_some()).collect();
    let mut free: BTreeMap<(String, String, String), Vec<usize>> = BTreeMap::new();
    let place = |change: &Change| {
        let object = &change.object;
        (object.group_kind().to_string(), object.namespace().to_owned(), change.partition.clone())
    };
    for (index, change) in changes.iter().enumerate().filter(|(_, change)| change.action == Action::Create) {
        if !recorded.iter().any(|known| known.is_succeeded_by(&change.object)) {
            free.entry(place(change)).or_default().push(index);
        }
    }
    let names = Names::of(changes, live, &counted);
    let mut found: Vec<(usize, ObjectRef)> = Vec::new();
    let mut apps = RenamedApps::default();
    let mut gone: Vec<(usize, &Change)> = changes.iter().enumerate().filter(|(_, change)| counted(change)).collect();
    gone.sort_by_key(|(_, change)| !change.object.is(kinds::SPIN, "SpinApp"));
    for (index, change) in gone {
        let known = recorded.iter().find(|known| known.uid == change.uid).and_then(|known| {
            let wanted = desired.of_kind(&change.object.group, &change.object.kind, change.object.namespace.as_deref());
            let mut wanted = wanted.filter(|(_, member)| member.partition == change.partition);
            wanted.find(|(object, _)| known.is_succeeded_by(object)).map(|(object, _)| object.clone())
        });
        let successor = known.or_else(|| {
            let candidates = free.get_mut(&place(change))?;
            let fits = |candidate: &usize| {
                let made = &changes[*candidate];
                apps.agree(&change.object, live.get(&change.object), made.body.as_ref())
                    && names.succeeds(made, change, live)
            };
            let at = candidates.iter().position(fits)?;
            Some(changes[candidates.remove(at)].object.clone())
        });
        if let Some(successor) = successor.as_ref().filter(|_| change.object.is(kinds::SPIN, "SpinApp")) {
            let made = changes.iter().find(|made| made.object == *successor).and_then(|made| made.body.as_ref());
            let wanted = || desired.objects.get(successor).map(|member| &member.object.value);
            apps.add(live.get(&change.object), made.or_else(wanted));
        }
        found.extend(successor.map(|successor| (index, successor)));
    }
    for (index, successor) in found {
        changes[index].because.push(Reason::Renamed { successor: successor.clone() });
        changes[index].successor = Some(successor);
    }
}

/// Apps whose SpinApps are succeeded by those of another one, each with that one.
#[derive(Default)]
struct RenamedApps(BTreeSet<(String, String)>);

impl RenamedApps {
    fn add(&mut self, gone: Option<&Value>, made: Option<&Value>) {
        let app = |value: Option<&Value>| label(value?, kinds::APP).map(str::to_owned);
        self.0.extend(app(gone).zip(app(made)));
    }

    /// Whether what goes and what is made may be of one App under two names.
    fn agree(&self, object: &ObjectRef, gone: Option<&Value>, made: Option<&Value>) -> bool {
        let tells = object.is(kinds::SPIN, "SpinApp") || object.group == GATEWAY;
        let app = |value: Option<&Value>| label(value?, kinds::APP).map(str::to_owned);
        match (app(gone), app(made)) {
            _ if tells => true,
            (None, None) => true,
            (Some(old), Some(new)) => old == new || self.0.contains(&(old, new)),
            _ => false,
        }
    }
}

/// The names of what goes and of what is made, which may stand in each other's texts.
struct Names {
    gone: BTreeSet<String>,
    made: BTreeSet<String>,
}

impl Names {
    fn of(changes: &[Change], live: &Live, counted: &dyn Fn(&Change) -> bool) -> Self {
        let mut names = Self { gone: BTreeSet::new(), made: BTreeSet::new() };
        for change in changes {
            let (set, value) = match change.action {
                Action::Delete if counted(change) => (&mut names.gone, live.get(&change.object)),
                Action::Create => (&mut names.made, change.body.as_ref()),
                _ => continue,
            };
            set.insert(change.object.name.clone());
            set.extend(value.and_then(|value| label(value, kinds::APP)).map(str::to_owned));
        }
        names
    }

    /// Whether an object that is made takes the place of one that goes.
    fn succeeds(&self, made: &Change, gone: &Change, live: &Live) -> bool {
        let (Some(old), Some(new)) = (live.get(&gone.object), made.body.as_ref()) else { return false };
        let schema = live.schemas.of(&made.object.group_kind(), &made.version);
        let custom = live.schemas.is_custom(&made.object.group_kind(), &made.version);
        let full = match schema {
            Some(schema) if custom => with_defaults(new, schema),
            _ => new.clone(),
        };
        if gone.object.group == GATEWAY && gone.object.kind.ends_with("Route") {
            return serves_all_of(&full, old);
        }
        let managers = Managers::of(old);
        let declared: FieldSet = managers.ours().cloned().unwrap_or_else(|| declare(old, schema).set);
        let old = neutral(&restrict(old, &[&declared]), &self.gone);
        let new = neutral(&restrict(&full, &[&declare(new, schema).set]), &self.made);
        content(&old) == content(&new)
    }
}

/// What an object is beside its identity, labels and annotations.
fn content(value: &Value) -> BTreeMap<&String, &Value> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(name, _)| !["apiVersion", "kind", "metadata", "status"].contains(&name.as_str())).collect()
}

/// A value in which one word stands for all of some names.
fn neutral(value: &Value, names: &BTreeSet<String>) -> Value {
    match value {
        Value::String(text) if names.contains(text) => Value::String("\0".to_owned()),
        Value::Array(items) => items.iter().map(|item| neutral(item, names)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (neutral_key(key, names), neutral(value, names))).collect(),
        other => other.clone(),
    }
}

/// A key in which a name may stand too: the label by which the pods of a SpinApp are found.
fn neutral_key(key: &str, names: &BTreeSet<String>) -> String {
    let app = key.strip_prefix("core.spinkube.dev/app.").and_then(|rest| rest.strip_suffix(".status"));
    if app.is_some_and(|app| names.contains(app)) { "\0".to_owned() } else { key.to_owned() }
}

/// Whether a route serves what another one serves: at its parents, for its hostnames, by each of its matches.
fn serves_all_of(new: &Value, old: &Value) -> bool {
    let items = |value: &Value, path: &str| -> Vec<Value> {
        each(value, path).into_iter().map(|(_, item)| item.clone()).collect()
    };
    let matches = |value: &Value| -> Vec<Value> {
        let rules = each(value, "spec.rules[]").into_iter();
        // A rule without matches takes everything.
        rules
            .flat_map(|(_, rule)| match items(rule, "matches[]") {
                none if none.is_empty() => vec![Value::Null],
                some => some,
            })
            .collect()
    };
    let within = |old: Vec<Value>, new: Vec<Value>| old.iter().all(|item| new.contains(item));
    let (hosts, new_hosts) = (items(old, "spec.hostnames[]"), items(new, "spec.hostnames[]"));
    hosts.is_empty() == new_hosts.is_empty()
        && within(hosts, new_hosts)
        && within(items(old, "spec.parentRefs[]"), items(new, "spec.parentRefs[]"))
        && within(matches(old), matches(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Deletion;
    use serde_json::json;

    fn route(name: &str, hosts: &Value, paths: &[&str], backend: &str) -> Value {
        let matches: Vec<Value> =
            paths.iter().map(|path| json!({"path": {"type": "PathPrefix", "value": path}})).collect();
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "n"},
            "spec": {"hostnames": hosts, "parentRefs": [{"name": "g"}],
                "rules": [{"matches": matches, "backendRefs": [{"name": backend, "port": 80}]}]}})
    }

    fn service(name: &str, app: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "n"},
            "spec": {"selector": {"app": app}, "ports": [{"port": 80}]}})
    }

    fn map(name: &str, value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}, "data": {"k": value}})
    }

    /// The names of deleted objects that are succeeded, with their successors.
    fn renames(gone: &[Value], made: &[(&str, Value)], recorded: &[Deletion]) -> Vec<(String, String)> {
        let mut live = Live::default();
        let mut desired = Desired::default();
        let mut changes = Vec::new();
        for value in gone {
            let object = ObjectRef::of(value).unwrap();
            live.insert(value.clone());
            let delete = Change {
                action: Action::Delete,
                uid: object.name.clone(),
                ..Change::unchanged(&object, "v1", "platform")
            };
            changes.push(delete);
        }
        for (partition, value) in made {
            let object = ObjectRef::of(value).unwrap();
            let body = Some(value.clone());
            changes.push(Change { action: Action::Create, body, ..Change::unchanged(&object, "v1", partition) });
        }
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: later, namespace: \"n\"}\n";
        if !recorded.is_empty() {
            let entry = crate::desired::Entry::File(text.as_bytes().to_vec());
            let tree = crate::desired::Tree::of([("a.yaml".to_owned(), entry)].into());
            desired = crate::desired::read(&tree, None).unwrap();
        }
        let mut parent = Parent::new("c", "e", "p", "s");
        parent.state.deletions = recorded.to_vec();
        find(&mut changes, &desired, &live, &[parent], 0);
        let found = changes.into_iter().filter_map(|c| Some((c.object.name, c.successor?.name)));
        found.collect()
    }

    fn pair(gone: &str, made: &str) -> (String, String) {
        (gone.to_owned(), made.to_owned())
    }

    #[test]
    fn an_object_of_the_same_text_succeeds_one_that_goes() {
        let gone = [map("a", "1"), map("b", "1"), map("c", "2")];
        // It succeeds one of them alone.
        assert_eq!(renames(&gone, &[("platform", map("d", "1"))], &[]), [pair("a", "d")]);
        assert_eq!(renames(&gone, &[("platform", map("d", "3"))], &[]), []);
        assert_eq!(renames(&gone, &[("other", map("d", "1"))], &[]), []);
        let elsewhere = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "m"}, "data": {"k": "1"}});
        assert_eq!(renames(&gone, &[("platform", elsewhere)], &[]), []);
    }

    #[test]
    fn names_of_what_is_renamed_too_may_differ() {
        let gone = [service("cart", "cart"), map("cart", "1")];
        assert_eq!(renames(&gone, &[("platform", service("basket", "basket"))], &[]), [pair("cart", "basket")]);
        assert_eq!(renames(&gone, &[("platform", service("basket", "cart"))], &[]), [], "it selects what goes");
    }

    #[test]
    fn a_route_is_succeeded_by_one_that_serves_the_same() {
        let old = [route("old", &json!(["a.example"]), &["/x", "/y"], "s")];
        let new = |hosts: &Value, paths: &[&str]| [("platform", route("new", hosts, paths, "other"))];
        assert_eq!(
            renames(&old, &new(&json!(["a.example", "b.example"]), &["/y", "/x", "/z"]), &[]),
            [pair("old", "new")]
        );
        assert_eq!(renames(&old, &new(&json!(["a.example"]), &["/x"]), &[]), []);
        assert_eq!(renames(&old, &new(&json!(["b.example"]), &["/x", "/y"]), &[]), []);
        assert_eq!(renames(&old, &new(&json!([]), &["/x", "/y"]), &[]), []);
    }

    #[test]
    fn a_rename_that_was_recorded_is_one_turns_later_too() {
        let later = ObjectRef::new("", "ConfigMap", "n", "later");
        let recorded = [Deletion::of(5, "a", Some(&later))];
        assert_eq!(renames(&[map("a", "1"), map("b", "1")], &[], &recorded), [pair("a", "later")]);
        let made = [("platform", map("later", "1"))];
        assert_eq!(renames(&[map("b", "1")], &made, &recorded), [], "what succeeds one object succeeds no other");
        let other = [Deletion::of(5, "a", Some(&ObjectRef::new("", "ConfigMap", "n", "not-wanted-any-more")))];
        assert_eq!(renames(&[map("a", "1")], &[], &other), []);
    }

    #[test]
    fn a_renamed_app_is_no_loss_whatever_it_expands_to() {
        const CONFIG: &str = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [apps]\n  environments: [{name: test}]\n  controllers: [{gatewayClass: nginx, release: nginx-gateway-fabric@2.7.0}]\n";
        let expanded = |name: &str, rollout: &str, image: &str| {
            let app = format!(
                "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{image: {image}, rollout: {{type: {rollout}}}, autoscale: {{min: 1, max: 3, cpu: 50}}, resources: {{requests: {{cpu: 100m}}}}, egress: [], variables: {{level: info}}, routes: [{{gateway: infra/public, hosts: [shop.example], path: /shop}}]}}\n"
            );
            let file = |text: &str| crate::desired::Entry::File(text.as_bytes().to_vec());
            let entries = [("spinway.yaml".to_owned(), file(CONFIG)), ("apps/a.yaml".to_owned(), file(&app))];
            crate::desired::read(&crate::desired::Tree::of(entries.into()), None).unwrap()
        };
        let image = |digit: &str| format!("ghcr.io/acme/cart:1@sha256:{}", digit.repeat(64));
        for rollout in ["blueGreen", "inPlace"] {
            let (old, new) = (expanded("cart", rollout, &image("a")), expanded("basket", rollout, &image("a")));
            let values = |desired: &Desired| -> Vec<Value> {
                desired.objects.values().map(|member| member.object.value.clone()).collect()
            };
            let made: Vec<_> = values(&new).into_iter().map(|value| ("platform", value)).collect();
            assert!(made.len() >= 3, "{:#?} {made:#?}", new.diagnostics);
            let found = renames(&values(&old), &made, &[]);
            assert_eq!(found.len(), values(&old).len(), "{rollout}: {found:?} of {:#?} {made:#?}", values(&old));
            // Another image is another thing, but for the route, which serves the same.
            let other = values(&expanded("basket", rollout, &image("b")));
            let other: Vec<_> = other.into_iter().map(|value| ("platform", value)).collect();
            let found = renames(&values(&old), &other, &[]);
            assert_eq!(found, [pair("cart", "basket")], "{rollout}");
        }
    }
}
