//! Plans of one revision against another.

use super::*;
use crate::check;
use crate::desired::{Entry, Tree, read};
use crate::object::{ObjectRef, Severity, label};
use crate::plan::Plan;

const CONFIG: &str = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [platform, apps]\n  platform: {paths: [platform]}\n  environments: [{name: test}]\n  tenants:\n    - {name: one, paths: [apps/one], namespaces: [one], gateways: [infra/*], hostnames: ['*'], pathPrefixes: ['*'], images: ['*']}\n    - {name: two, paths: [apps/two], namespaces: [two]}\n";

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: infra}\nspec:\n  gatewayClassName: c\n  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n";

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: one}\nspec:\n  parentRefs: [{namespace: infra, name: public}]\n  hostnames: [a.example]\n  rules: [{matches: [{path: {value: /cart}}], backendRefs: [{name: cart, port: 80}]}]\n---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: one}\nspec: {selector: {app: cart}, ports: [{port: 80}, {port: 81, name: b}]}\n";

fn map(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: {value}}}\n"
    )
}

fn maps(namespace: &str, names: std::ops::Range<usize>) -> String {
    names.map(|n| format!("---\n{}", map(namespace, &format!("c{n}"), "v"))).collect()
}

fn desired(files: &[(&str, &str)]) -> Desired {
    let entries = files.iter().map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec())));
    let mut desired = read(&Tree::of(entries.collect()), None).unwrap();
    let found = check::guard(&desired);
    desired.diagnostics.extend(found);
    desired
}

fn plan(base: &[(&str, &str)], head: &[(&str, &str)]) -> Plan {
    let (base, head) = (desired(base), desired(head));
    let mut live = AsApplied::of(&base, 0).live;
    let maps = live.of_kind("", "ConfigMap", None).filter(|(_, value)| label(value, inventory::ID).is_some());
    let (parents, broken) = inventory::find(&head, maps.map(|(_, value)| value));
    take_for_granted(&mut live, &head);
    let options = Options::default();
    let assessed = assess(&head, &live, &parents, &options);
    conclude(&head, &live, Prepared::of(&head), assessed, &BTreeMap::new(), parents, &broken, &options)
}

/// `ACTION KIND NAME PARTITION` of what is not unchanged.
fn told(plan: &Plan) -> Vec<String> {
    let changed = plan.changes.iter().filter(|change| change.action != Action::Unchanged);
    let line = |c: &Change| format!("{:?} {} {} {}", c.action, c.object.kind, c.object.name, c.partition);
    changed.map(line).collect()
}

fn because(plan: &Plan, kind: &str, name: &str) -> String {
    let change = plan.changes.iter().find(|c| c.object.kind == kind && c.object.name == name).unwrap();
    format!("{:?}", change.because)
}

fn has(plan: &Plan, id: &str) -> bool {
    plan.diagnostics.iter().any(|finding| finding.id == id)
}

#[test]
fn a_revision_does_not_differ_from_itself() {
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: infra}\nspec: {podSelector: {}, egress: [{ports: [{port: 53}]}]}\n---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: s, namespace: infra}\nspec: {image: r/a:1, executor: e, replicas: 1}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: infra}\nstringData: {k: v}\n";
    let files = [
        ("spinway.yaml", CONFIG),
        ("platform/g.yaml", GATEWAY),
        ("platform/p.yaml", policy),
        ("apps/one/r.yaml", ROUTE),
        ("apps/two/c.yaml", &maps("two", 0..3)),
    ];
    let same = plan(&files, &files);
    assert_eq!(told(&same), Vec::<String>::new());
    assert!(same.changes.iter().all(|change| change.because.is_empty()), "{:?}", same.changes);
    let plain = &files[1..3];
    assert_eq!(told(&plan(plain, plain)), Vec::<String>::new(), "without a Config too");
}

#[test]
fn what_goes_is_of_the_partition_that_had_it() {
    let other = map("two", "c", "v");
    let base = [
        ("spinway.yaml", CONFIG),
        ("platform/g.yaml", GATEWAY),
        ("apps/two/c.yaml", &other),
        ("apps/one/r.yaml", ROUTE),
    ];
    let gone = plan(&base, &base[..3]);
    assert_eq!(told(&gone), ["Blocked Service cart one", "Held HTTPRoute cart one"]);
    assert_eq!(gone.destruction.digest, "", "nobody knows the uids");
    assert_eq!(gone.destruction.objects.len(), 1);
    // Moved to another tenant, it is that one's to change.
    let moved = CONFIG
        .replace("namespaces: [two]", "namespaces: [one, two], gateways: ['*'], hostnames: ['*'], pathPrefixes: ['*']");
    let head = [("spinway.yaml", moved.as_str()), ("platform/g.yaml", GATEWAY), ("apps/two/r.yaml", ROUTE)];
    let expected = ["Delete ConfigMap c two", "Update Service cart two", "Update HTTPRoute cart two"];
    assert_eq!(told(&plan(&base, &head)), expected);
}

#[test]
fn each_partition_has_its_budget_and_nothing_goes_while_files_are_unread() {
    let (all, fewer) = (maps("one", 0..10), maps("one", 4..10));
    let base = [("spinway.yaml", CONFIG), ("platform/g.yaml", GATEWAY), ("apps/one/c.yaml", all.as_str())];
    let head = |text: &'static str| [base[0], base[1], ("apps/one/c.yaml", text)];
    let fewer: &'static str = fewer.leak();
    let held = plan(&base, &head(fewer));
    assert_eq!(held.summary()[&Action::Held], 4, "{:?}", told(&held));
    assert!(
        because(&held, "ConfigMap", "c0").contains("Budget { deletions: 4, partition: Some(\"one\")"),
        "{:?}",
        held.changes
    );
    let broken = format!("{fewer}---\nkind: [\n");
    let frozen = plan(&base, &head(broken.leak()));
    assert_eq!(told(&frozen), Vec::<String>::new());
    assert!(has(&frozen, "prune-frozen") && has(&frozen, "yaml-syntax"), "{:?}", frozen.diagnostics);
    // In a folder of nobody it is neither applied nor deleted.
    let unowned = [base[0], base[1], ("apps/three/c.yaml", all.as_str())];
    let kept = plan(&base, &unowned);
    assert_eq!(told(&kept), Vec::<String>::new());
    assert!(has(&kept, "prune-frozen") && has(&kept, "file-unowned"), "{:?}", kept.diagnostics);
}

#[test]
fn keyed_lists_are_compared_by_key() {
    let base = [("g.yaml", GATEWAY), ("r.yaml", ROUTE)];
    let more = GATEWAY.replace("listeners: [", "listeners: [{name: admin, port: 8080, protocol: HTTP}, ");
    let route = ROUTE.replace("/cart}", "/basket}").replace("port: 81", "port: 82");
    let changed = plan(&base, &[("g.yaml", more.as_str()), ("r.yaml", route.as_str())]);
    let fields: Vec<String> = changed
        .changes
        .iter()
        .flat_map(|change| change.fields.iter().map(|field| format!("{} {}", change.object.kind, field.path)))
        .collect();
    assert!(fields.iter().any(|f| f.starts_with("Gateway spec.listeners[name=admin]")), "{fields:?}");
    assert!(!fields.iter().any(|f| f.contains("[name=http]") || f.contains("listeners[0]")), "{fields:?}");
    assert!(fields.contains(&"HTTPRoute spec.rules[0].matches[0].path.value".to_owned()), "{fields:?}");
    assert!(!fields.iter().any(|f| f.contains("path.type")), "the default is there before and after: {fields:?}");
    assert!(fields.iter().any(|f| f.contains("[port=82,protocol=TCP]")), "{fields:?}");
}

#[test]
fn what_has_no_inventory_yet_is_adopted_or_stays() {
    let base = [("platform/g.yaml", GATEWAY), ("apps/one/c.yaml", &map("one", "c", "v"))];
    let head = [("spinway.yaml", CONFIG), base[0], base[1]];
    let first = plan(&base, &head);
    assert_eq!(first.summary()[&Action::Blocked], 3);
    assert!(because(&first, "ConfigMap", "c").contains("Unowned"), "{:?}", first.changes);
    let adopting = CONFIG.replace("  tenants:", "  adopt: [{}]\n  tenants:");
    let adopted = plan(&base, &[("spinway.yaml", adopting.as_str()), base[0], base[1]]);
    assert_eq!(adopted.summary()[&Action::Adopt], 3, "{:?}", told(&adopted));
    // Nothing is deleted that no inventory lists.
    assert_eq!(told(&plan(&base, &head[..2])).len(), 2);
    // The inventory under another name is another one, unless the Config names it.
    let owned = [("spinway.yaml", CONFIG), base[0], base[1]];
    let renamed = CONFIG.replace("metadata: {name: t}", "metadata: {name: u}");
    let other = plan(&owned, &[("spinway.yaml", renamed.as_str()), base[0], base[1]]);
    assert!(because(&other, "ConfigMap", "c").contains("OwnedBy"), "{:?}", other.changes);
    let known = renamed.replace("  tenants:", "  inventory: {previousNames: [t]}\n  tenants:");
    let taken = plan(&owned, &[("spinway.yaml", known.as_str()), base[0], base[1]]);
    assert_eq!(taken.summary()[&Action::Update], 3, "{:?}", told(&taken));
}

#[test]
fn what_the_base_could_not_apply_is_not_there() {
    let refused = map("infra", "c", "v");
    let base = [("spinway.yaml", CONFIG), ("apps/one/c.yaml", refused.as_str())];
    assert_eq!(told(&plan(&base, &base)), ["Blocked ConfigMap c one"]);
    let head = [base[0], ("apps/one/c.yaml", &map("one", "c", "v"))];
    assert_eq!(told(&plan(&base, &head)), ["Create ConfigMap c one"], "and nothing is deleted");
    let kept =
        map("one", "c", "v").replace("namespace: one", "namespace: one, annotations: {helm.sh/resource-policy: keep}");
    let other = map("one", "d", "v");
    let base = [base[0], ("apps/one/c.yaml", kept.as_str()), ("apps/one/d.yaml", other.as_str())];
    let gone = plan(&base, &[base[0], base[2]]);
    assert!(told(&gone).is_empty() && has(&gone, "prune-kept"), "{:?}", gone.diagnostics);
}

#[test]
fn a_use_that_stays_keeps_what_it_uses() {
    let base = [("spinway.yaml", CONFIG), ("platform/g.yaml", GATEWAY), ("apps/one/r.yaml", ROUTE)];
    let refused = ROUTE
        .replace("hostnames: [a.example]", "hostnames: [b.example, '*']")
        .replace("port: 80}, {", "port: 8080}, {");
    let narrow = CONFIG.replace("hostnames: ['*']", "hostnames: [a.example]");
    let base = [("spinway.yaml", narrow.as_str()), base[1], base[2]];
    let head = [base[0], base[1], ("apps/one/r.yaml", refused.as_str())];
    let planned = plan(&base, &head);
    assert_eq!(told(&planned), ["Blocked Service cart one", "Blocked HTTPRoute cart one"]);
    assert!(because(&planned, "Service", "cart").contains("StillNeeded"), "{:?}", planned.changes);
}

#[test]
fn what_checks_find_is_in_the_plan_and_known_where_the_base_has_it() {
    let base = [("spinway.yaml", CONFIG), ("platform/g.yaml", GATEWAY), ("apps/one/r.yaml", ROUTE)];
    let closed = GATEWAY.replace("from: All", "from: Same");
    let planned = plan(&base, &[base[0], ("platform/g.yaml", closed.as_str()), base[2]]);
    let route = ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "one", "cart");
    let of_route = |plan: &Plan| -> Vec<Severity> {
        let found = plan.diagnostics.iter().filter(|f| f.id == "SPW003" && f.object.as_ref() == Some(&route));
        found.map(|finding| finding.severity).collect()
    };
    assert_eq!(of_route(&planned), [Severity::Error]);
    assert_eq!(
        planned.change(&route).map(|change| change.action),
        Some(Action::Unchanged),
        "it does not change itself"
    );
    let found = AsApplied::of(&desired(&[base[0], ("platform/g.yaml", closed.as_str()), base[2]]), 0).found;
    let known = check::KnownFindings::of(&found).among(&planned.diagnostics);
    let errors = planned.diagnostics.iter().zip(known).filter(|(finding, _)| finding.severity == Severity::Error);
    assert!(errors.into_iter().all(|(_, known)| known), "{:?}", planned.diagnostics);
}
