//! What checks read, and how they say what they found.

use super::{Check, dangling_reference, suggest};
use crate::desired::{Config, Desired, Member, Tenant};
use crate::fields::{FieldPath, Managers};
use crate::graph::Graph;
use crate::kinds::{self, GATEWAY, each};
use crate::live::{Live, Presence, Source};
use crate::object::{Diagnostic, Object, ObjectRef, distance, escape};
use crate::schema::{CRD_GROUP, Release, Schemas};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

/// What checks read.
pub struct Context<'a> {
    /// The repository.
    pub desired: &'a Desired,
    /// The rules that it is held against.
    pub rules: &'a Config,
    /// The release that all Gateways are taken to be served by, when that is asked.
    pub(super) controller: Option<Release>,
    /// What is known of the cluster.
    pub(super) live: Option<&'a Live>,
    /// The objects that are asked about, when it is not all of them.
    only: Option<&'a BTreeSet<ObjectRef>>,
    graph: OnceLock<Graph>,
    makers: OnceLock<BTreeMap<ObjectRef, Vec<ObjectRef>>>,
    bound: OnceLock<Vec<(&'a Member, &'a Tenant)>>,
    /// How many names were looked for that may have been meant.
    looked_up: AtomicUsize,
}

/// So many names are looked for.
const MOST_NEAREST: usize = 50;

impl<'a> Context<'a> {
    /// A repository held against its own rules.
    pub fn new(desired: &'a Desired) -> Self {
        let rules = desired.rules();
        let (graph, makers, bound) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self {
            desired,
            rules,
            controller: None,
            live: None,
            only: None,
            graph,
            makers,
            bound,
            looked_up: AtomicUsize::new(0),
        }
    }

    /// The same, with every Gateway taken to be served by this release.
    pub(super) fn served_by(self, controller: Option<&Release>) -> Self {
        Self { controller: controller.cloned(), ..self }
    }

    /// The same, beside what is known of the cluster.
    pub(super) fn beside(self, live: Option<&'a Live>) -> Self {
        Self { live, ..self }
    }

    /// The same, asked about some objects alone; what they refer to is looked up among all.
    pub(super) fn about(self, only: &'a BTreeSet<ObjectRef>) -> Self {
        Self { only: Some(only), ..self }
    }

    /// What is known of live objects, beside the repository.
    pub(super) fn cluster(&self) -> Option<&'a Live> {
        self.live.filter(|live| live.source != Source::None)
    }

    /// The types of the cluster, as far as they are known.
    pub(super) fn schemas(&self) -> &'a Schemas {
        static NONE: LazyLock<Schemas> = LazyLock::new(Schemas::default);
        self.live.map_or(&NONE, |live| &live.schemas)
    }

    /// Whether an object is in the cluster; nobody knows without looking.
    pub(super) fn presence(&self, object: &ObjectRef) -> Presence<'a> {
        self.live.map_or(Presence::Unseen, |live| live.presence(object))
    }

    /// What refers to what, made when it is first asked for.
    pub(super) fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::of(self.desired))
    }

    /// Whether an object lives elsewhere, as the Config says.
    pub(super) fn is_external(&self, object: &ObjectRef) -> bool {
        self.rules.externals.iter().any(|external| external.matches(object))
    }

    /// What controllers make for the objects of the repository, with those for which they do.
    pub(super) fn makers(&self) -> &BTreeMap<ObjectRef, Vec<ObjectRef>> {
        self.makers.get_or_init(|| {
            let mut makers: BTreeMap<ObjectRef, Vec<ObjectRef>> = BTreeMap::new();
            for object in self.desired.objects.values().map(|member| &member.object) {
                for made in kinds::provides(&object.reference, &object.value) {
                    makers.entry(made).or_default().push(object.reference.clone());
                }
            }
            makers
        })
    }

    /// The object that may have been meant by a name, one of the repository or made for one: of the same kind, and of the
    /// same namespace first.
    pub(super) fn nearest(&self, wanted: &ObjectRef) -> Option<ObjectRef> {
        // Each is held against all names: whoever has hundreds of them wrong is told of the first ones.
        if self.looked_up.fetch_add(1, Ordering::Relaxed) >= MOST_NEAREST {
            return None;
        }
        let declared = self.desired.of_kind(&wanted.group, &wanted.kind, None).map(|(reference, _)| reference);
        let made = self.makers().keys().filter(|made| made.is(&wanted.group, &wanted.kind));
        let near = declared.chain(made).filter(|known| dangling_reference::resembles(wanted, known));
        let near = near.min_by_key(|known| {
            let elsewhere = known.namespace != wanted.namespace;
            (elsewhere, distance(&wanted.name, &known.name), (*known).clone())
        });
        near.cloned()
    }

    /// The routes of Gateway API.
    pub(super) fn routes(&self) -> impl Iterator<Item = &'a Object> {
        self.objects().filter(|o| is_route(&o.reference))
    }

    /// The Gateways and ListenerSets that a route names and the repository has, each with the reference and where it stands.
    pub(super) fn parents(&self, route: &'a Object) -> Vec<(String, &'a Value, &'a Object)> {
        let own = route.reference.namespace();
        let known = each(&route.value, "spec.parentRefs[]").into_iter().filter_map(|(pointer, parent)| {
            let gateway = listening_parent(parent, own)?;
            Some((pointer, parent, &self.desired.counting(&gateway)?.object))
        });
        known.collect()
    }

    /// What has listeners and is named by a route, of the repository or of the cluster alone.
    pub(super) fn listening(&self, route: &'a Object) -> Vec<Parent<'a>> {
        let own = route.reference.namespace();
        let known = each(&route.value, "spec.parentRefs[]").into_iter().filter_map(|(pointer, reference)| {
            let gateway = listening_parent(reference, own)?;
            let declared = self.desired.counting(&gateway).map(|member| &member.object);
            let value = declared.map(|object| &object.value).or_else(|| self.cluster()?.get(&gateway))?;
            Some(Parent { pointer, reference, gateway, value, declared })
        });
        known.collect()
    }

    /// The custom resource definitions.
    pub(super) fn definitions(&self) -> impl Iterator<Item = &'a Object> {
        let all = self.desired.of_kind(CRD_GROUP, "CustomResourceDefinition", None).map(|(_, member)| member);
        all.filter(|member| self.desired.counts(member)).map(|member| &member.object)
    }

    /// The labels of a namespace, as far as they are known: those that the repository declares, and those that others gave it
    /// in the cluster.
    pub(super) fn namespace_labels(&self, namespace: &str) -> Option<Map<String, Value>> {
        let reference = ObjectRef::new("", "Namespace", "", namespace);
        let labels =
            |value: &Value| value.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let declared = self.desired.counting(&reference).map(|member| labels(&member.object.value));
        let Some(live) = self.cluster().and_then(|live| live.get(&reference)) else { return declared };
        let managers = Managers::of(live);
        let is_ours = |name: &str| {
            let path = FieldPath::of(&["metadata", "labels", name]);
            managers.ours().is_some_and(|ours| ours.contains(&path)) && managers.other_of(&path).is_none()
        };
        let mut all = labels(live);
        if let Some(declared) = declared {
            // What we hold and no longer declare goes.
            all.retain(|name, _| !is_ours(name));
            all.extend(declared);
        }
        Some(all)
    }

    /// A finding of a check at a place of an object.
    pub(super) fn finding(
        &self,
        check: &Check,
        object: &Object,
        pointer: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let finding = Diagnostic::new(check.severity, check.id, message);
        finding.at(object.origin_of(pointer)).about(&object.reference)
    }

    /// A finding of a check about a tenant, by its place among the tenants of the Config.
    pub(super) fn tenant_finding(&self, check: &Check, index: usize, message: impl Into<String>) -> Diagnostic {
        let finding = Diagnostic::new(check.severity, check.id, message);
        match self.desired.config_place(&format!("/spec/tenants/{index}")) {
            Some(place) => finding.at(place),
            None => finding,
        }
    }

    /// Whether the environment is protected, by its own text or by that of the rules.
    pub(super) fn is_protected(&self) -> bool {
        self.rules.is_protected(&self.desired.environment)
    }

    /// All objects that are asked about.
    pub(super) fn objects(&self) -> impl Iterator<Item = &'a Object> {
        let desired = self.desired;
        let some = self.only.into_iter().flatten().filter_map(|reference| desired.objects.get(reference));
        let all = self.only.is_none().then(|| desired.objects.values());
        some.chain(all.into_iter().flatten()).map(|member| &member.object)
    }

    /// Each object with each tenant whose files took part in it: those that wrote it, and those whose patches changed it.
    pub(super) fn bound(&self) -> impl Iterator<Item = (&'a Member, &'a Tenant)> + '_ {
        let bound = self.bound.get_or_init(|| {
            let members = self.desired.objects.values();
            members.flat_map(|member| self.tenants_of(member).into_iter().map(move |tenant| (member, tenant))).collect()
        });
        bound.iter().copied()
    }

    fn tenants_of(&self, member: &'a Member) -> Vec<&'a Tenant> {
        let object = &member.object;
        let files = std::iter::once(&object.origin.file).chain(object.positions.other_files()).chain(&member.by);
        let mut found: Vec<&Tenant> = Vec::new();
        for tenant in files.filter_map(|file| self.rules.tenant_of(file)) {
            if !found.iter().any(|known| known.name == tenant.name) {
                found.push(tenant);
            }
        }
        found
    }

    /// A violation told where the tenant is declared, when it has no list that could allow anything: that is what is wrong, once.
    pub(super) fn of_list(&self, violation: Diagnostic, tenant: &Tenant, has_list: bool) -> Diagnostic {
        let index = self.rules.tenants.iter().position(|known| known.name == tenant.name).filter(|_| !has_list);
        match index.and_then(|index| self.desired.config_place(&format!("/spec/tenants/{index}"))) {
            Some(place) => violation.at(place),
            None => violation,
        }
    }

    /// A tenant does what it may not do: where, and who may.
    pub(super) fn violation(
        &self,
        check: &Check,
        (member, tenant): (&Member, &Tenant),
        pointer: &str,
        what: &str,
        may: impl Fn(&Tenant) -> bool,
    ) -> Diagnostic {
        let others: BTreeSet<&str> =
            self.rules.tenants.iter().filter(|other| may(other)).map(|other| other.name.as_str()).collect();
        let others: Vec<&str> = others.into_iter().collect();
        let who = match others.as_slice() {
            [] => "Only the platform team can allow it.".to_owned(),
            [one] => format!("Tenant {one} may."),
            several => format!("Tenants {} may.", several.join(", ")),
        };
        let help = match self.allowed(check, tenant) {
            Some(allowed) => format!("{allowed} {who}"),
            None => who,
        };
        let object = &member.object;
        let message = format!("Tenant {} may not {what}.", tenant.name);
        Diagnostic::new(check.severity, check.id, message)
            .at(object.origin_of(pointer))
            .about(&object.reference)
            .help(help)
    }

    /// What the list that a check is about allows a tenant, and where the rule is.
    fn allowed(&self, check: &Check, tenant: &Tenant) -> Option<String> {
        let (name, entries) = suggest::allowed(check, tenant)?;
        let index = self.rules.tenants.iter().position(|known| known.name == tenant.name)?;
        let place = self.desired.config_place(&format!("/spec/tenants/{index}/{name}"));
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        let entries = if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") };
        Some(format!("`{name}`{place} allows: {entries}."))
    }
}

/// What a route names as its parent.
pub(super) struct Parent<'a> {
    /// Where the route names it.
    pub(super) pointer: String,
    /// How.
    pub(super) reference: &'a Value,
    /// Its identity.
    pub(super) gateway: ObjectRef,
    /// Its value.
    pub(super) value: &'a Value,
    /// As the repository has it, if it does.
    pub(super) declared: Option<&'a Object>,
}

/// The object that a parent reference names, where it is of a kind that has listeners: what a route in a mesh (`Service`) or one
/// that another object delegates to has as its parent is for its controller to judge.
pub(super) fn listening_parent(reference: &Value, own: &str) -> Option<ObjectRef> {
    let text = |field: &str| reference.get(field).and_then(Value::as_str);
    let (group, kind) = (text("group").unwrap_or(GATEWAY), text("kind").unwrap_or("Gateway"));
    let listens = group == GATEWAY && matches!(kind, "Gateway" | "ListenerSet");
    let name = text("name").unwrap_or_default();
    listens.then(|| ObjectRef::new(GATEWAY, kind, text("namespace").unwrap_or(own), name))
}

/// Whether an object is a route of Gateway API.
pub(super) fn is_route(object: &ObjectRef) -> bool {
    object.group == GATEWAY && object.kind.ends_with("Route")
}

/// What an object is beside what it wants: its identity, what controllers write, and data that nothing acts on.
const BESIDE: [&str; 8] = ["apiVersion", "kind", "metadata", "status", "data", "stringData", "binaryData", "immutable"];

/// Every node whose key is one of these in what an object wants, with its pointer: kinds keep it under `spec` or elsewhere.
pub(super) fn wanted<'a>(value: &'a Value, keys: &[&str]) -> Vec<(String, &'a Value)> {
    let mut found = Vec::new();
    let parts = value.as_object().into_iter().flatten().filter(|(key, _)| !BESIDE.contains(&key.as_str()));
    for (key, part) in parts {
        let pointer = format!("/{}", escape(key));
        if keys.contains(&key.as_str()) {
            found.push((pointer.clone(), part));
        }
        gather(part, &pointer, keys, &mut found);
    }
    found
}

fn gather<'a>(value: &'a Value, pointer: &str, keys: &[&str], found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let pointer = format!("{pointer}/{}", escape(key));
                if keys.contains(&key.as_str()) {
                    found.push((pointer.clone(), value));
                }
                gather(value, &pointer, keys, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                gather(item, &format!("{pointer}/{index}"), keys, found);
            }
        }
        _ => {}
    }
}
