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
use crate::inventory::{Parent, canonical_text};
use crate::kinds::{self, GATEWAY, each};
use crate::live::Live;
use crate::object::{ObjectRef, label};
use crate::schema::with_defaults;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// Tells deletions that are renames; `since` is where the window of the budget begins.
pub(super) fn find(changes: &mut [Change], desired: &Desired, live: &Live, parents: &[Parent], since: i64) {
    let counted = |change: &Change| change.action == Action::Delete && !change.superseded;
    if !changes.iter().any(counted) {
        return;
    }
    let recorded = parents.iter().flat_map(|parent| &parent.state.deletions);
    let recorded: Vec<_> = recorded.filter(|d| d.at > since && d.successor.is_some()).collect();
    let names = Names::of(changes, live, &counted);
    let mut free = Candidates::default();
    let places: BTreeSet<Place> = changes.iter().filter(|change| counted(change)).map(place).collect();
    for (index, change) in changes.iter().enumerate().filter(|(_, change)| change.action == Action::Create) {
        let place = place(change);
        if places.contains(&place) && !recorded.iter().any(|known| known.is_succeeded_by(&change.object)) {
            free.add(index, &place, &change.version, names.marks_of_made(change, live));
        }
    }
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
        let mut at = None;
        let successor = known.or_else(|| {
            let fits = |candidate: usize| {
                let made = &changes[candidate];
                apps.agree(&change.object, live.get(&change.object), made.body.as_ref())
                    && names.succeeds(made, change, live)
            };
            at = free.take(&place(change), |version| names.mark_of_gone(change, version, live), fits);
            Some(changes[at?].object.clone())
        });
        if let Some(successor) = successor.as_ref().filter(|_| change.object.is(kinds::SPIN, "SpinApp")) {
            let made = at.and_then(|at| changes[at].body.as_ref());
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

/// Where an object is: only one of the same kind, namespace and partition succeeds it.
type Place = (String, String, String);

fn place(change: &Change) -> Place {
    let object = &change.object;
    (object.group_kind().to_string(), object.namespace().to_owned(), change.partition.clone())
}

/// What is made where something goes, by marks that what goes must have too: a plan may delete and create thousands of objects,
/// and each is compared with a few.
#[derive(Default)]
struct Candidates {
    by_mark: HashMap<(Place, String), VecDeque<usize>>,
    /// The versions in which objects of a place are made: what a text declares depends on it.
    versions: BTreeMap<Place, BTreeSet<String>>,
    taken: HashSet<usize>,
}

/// So many candidates of one mark are compared with one object.
const MOST_COMPARED: usize = 100;

impl Candidates {
    fn add(&mut self, index: usize, place: &Place, version: &str, marks: Vec<String>) {
        self.versions.entry(place.clone()).or_default().insert(version.to_owned());
        for mark in marks {
            self.by_mark.entry((place.clone(), mark)).or_default().push_back(index);
        }
    }

    /// Takes the first one that fits what goes.
    fn take(
        &mut self,
        place: &Place,
        mark: impl Fn(&str) -> Option<String>,
        fits: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let marks: BTreeSet<String> = self.versions.get(place)?.iter().filter_map(|version| mark(version)).collect();
        for mark in marks {
            let Some(candidates) = self.by_mark.get_mut(&(place.clone(), mark)) else { continue };
            while candidates.front().is_some_and(|first| self.taken.contains(first)) {
                candidates.pop_front();
            }
            let free = candidates.iter().filter(|index| !self.taken.contains(*index)).take(MOST_COMPARED);
            if let Some(found) = free.copied().find(|index| fits(*index)) {
                self.taken.insert(found);
                return Some(found);
            }
        }
        None
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
        if is_route(&gone.object) {
            let (Some(old), Some(new)) = (live.get(&gone.object), full(made, live)) else { return false };
            return serves_all_of(&new, old);
        }
        let new = self.text_of_made(made, live);
        new.is_some() && new == self.text_of_gone(gone, &made.version, live)
    }

    /// What one of which an object that is made takes the place may have: the hostname and match with which a route begins, or
    /// its text.
    fn marks_of_made(&self, made: &Change, live: &Live) -> Vec<String> {
        if !is_route(&made.object) {
            return self.text_of_made(made, live).into_iter().collect();
        }
        let Some(new) = full(made, live) else { return Vec::new() };
        let matches = matches(&new);
        let of_host = |host: String| matches.iter().map(move |own| format!("{host}{}", canonical_text(own)));
        hosts(&new).into_iter().flat_map(of_host).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What an object that takes the place of one that goes has.
    fn mark_of_gone(&self, gone: &Change, version: &str, live: &Live) -> Option<String> {
        if !is_route(&gone.object) {
            return self.text_of_gone(gone, version, live);
        }
        let old = live.get(&gone.object)?;
        Some(format!("{}{}", hosts(old).first()?, canonical_text(matches(old).first()?)))
    }

    /// The text of an object that is made, apart from names.
    fn text_of_made(&self, made: &Change, live: &Live) -> Option<String> {
        let schema = live.schemas.of(&made.object.group_kind(), &made.version);
        let declared = declare(made.body.as_ref()?, schema).set;
        Some(content(&neutral(&restrict(&full(made, live)?, &[&declared]), &self.made)))
    }

    /// The text of an object that goes, apart from names, as it would be declared in a version.
    fn text_of_gone(&self, gone: &Change, version: &str, live: &Live) -> Option<String> {
        let old = live.get(&gone.object)?;
        let managers = Managers::of(old);
        let declared: FieldSet = managers
            .ours()
            .cloned()
            .unwrap_or_else(|| declare(old, live.schemas.of(&gone.object.group_kind(), version)).set);
        Some(content(&neutral(&restrict(old, &[&declared]), &self.gone)))
    }
}

fn is_route(object: &ObjectRef) -> bool {
    object.group == GATEWAY && object.kind.ends_with("Route")
}

/// What is sent for an object that is made, with the defaults that its definition gives it.
fn full(made: &Change, live: &Live) -> Option<Value> {
    let kind = made.object.group_kind();
    let schema = live.schemas.of(&kind, &made.version).filter(|_| live.schemas.is_custom(&kind, &made.version));
    let new = made.body.as_ref()?;
    Some(schema.map_or_else(|| new.clone(), |schema| with_defaults(new, schema)))
}

/// What an object is beside its identity, labels and annotations, as a text in which the order of keys says nothing.
fn content(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let own = fields.filter(|(name, _)| !["apiVersion", "kind", "metadata", "status"].contains(&name.as_str()));
    canonical_text(&own.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into())
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

fn items(value: &Value, path: &str) -> Vec<Value> {
    each(value, path).into_iter().map(|(_, item)| item.clone()).collect()
}

/// The hostnames of a route, as texts; that of one without any is empty.
fn hosts(route: &Value) -> Vec<String> {
    let hosts = each(route, "spec.hostnames[]");
    if hosts.is_empty() {
        return vec![String::new()];
    }
    hosts.into_iter().map(|(_, host)| canonical_text(host)).collect()
}

/// All matches of a route; a rule without any takes everything.
fn matches(route: &Value) -> Vec<Value> {
    let rules = each(route, "spec.rules[]").into_iter();
    let of_rule = |(_, rule): (String, &Value)| match items(rule, "matches[]") {
        none if none.is_empty() => vec![Value::Null],
        some => some,
    };
    rules.flat_map(of_rule).collect()
}

/// Whether a route serves what another one serves: at its parents, for its hostnames, by each of its matches.
fn serves_all_of(new: &Value, old: &Value) -> bool {
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

    /// Each is found among many, wherever it stands: those of one mark are few.
    #[test]
    fn many_are_renamed_at_once() {
        type Make = fn(&str, usize) -> Value;
        let ways: [(&str, Make); 2] = [
            ("maps", |name, n| map(&format!("{name}{n}"), &n.to_string())),
            ("routes", |name, n| route(&format!("{name}{n}"), &json!(["a.example"]), &[&format!("/{n}")], "x")),
        ];
        for (what, make) in ways {
            let gone: Vec<Value> = (0..300).map(|n| make("a", n)).collect();
            let made: Vec<(&str, Value)> = (0..300).rev().map(|n| ("platform", make("b", n))).collect();
            let found = renames(&gone, &made, &[]);
            let expected: Vec<_> = (0..300).map(|n| pair(&format!("a{n}"), &format!("b{n}"))).collect();
            assert_eq!(found, expected, "{what}");
        }
        // One after the other of those that are alike.
        let gone: Vec<Value> = (0..300).map(|n| map(&format!("a{n}"), "1")).collect();
        let made: Vec<(&str, Value)> = (0..300).map(|n| ("platform", map(&format!("b{n}"), "1"))).collect();
        assert_eq!(renames(&gone, &made, &[]).len(), 300);
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
