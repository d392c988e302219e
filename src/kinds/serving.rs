//! Whether the backend of a route can serve: its Service has a ready endpoint, and replicas behind it, or an autoscaler that
//! starts one when a request comes.
//!
//! This is another question than health: an app whose new pods do not start still serves as long as old ones do.

use super::health::{Health, Verdict, World};
use super::{SPIN, each};
use crate::object::{ObjectRef, Untrusted, label, meta};
use serde_json::{Map, Value};

const SLICES: (&str, &str) = ("discovery.k8s.io", "EndpointSlice");
/// The label of an EndpointSlice that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Whether a Service can serve requests now.
///
/// `Current`: it can. `Progressing`: it has no ready endpoint yet. `Failed`: it will not have one by itself (no replicas and
/// nothing that starts one on a request, or the workload behind it failed). `Missing`: there is no such Service. `Unknown`
/// with reason `EndpointsNotRead`: its EndpointSlices were not read, so nothing is known.
pub fn serving(service: &ObjectRef, world: &dyn World) -> Health {
    let Some(live) = world.live(service) else { return without_object(service, world) };
    if !meta(live, "deletionTimestamp").is_empty() {
        return Health::new(Verdict::Terminating, "Terminating", format!("{service} is being deleted."));
    }
    if !service.is("", "Service") {
        return unobservable(
            "NotAService",
            format!("{service} is not a Service, so its endpoints cannot be observed."),
        );
    }
    if live.pointer("/spec/type").is_some_and(|kind| kind == "ExternalName") {
        let host = live.pointer("/spec/externalName").and_then(Value::as_str).unwrap_or_default();
        return unobservable("ExternalName", format!("{service} stands for host {host}, which cannot be observed."));
    }
    let behind = Behind::of(service, live, world);
    if behind.is_woken(service, world) {
        return Health { reason: Untrusted::new("WokenByRequests"), ..Health::current() };
    }
    if behind.is_scaled_to_zero(world) {
        return behind.without_replicas(service, world);
    }
    match endpoints(service, live, world) {
        None => Health::new(
            Verdict::Unknown,
            "EndpointsNotRead",
            format!("The EndpointSlices of {service} were not read, so it is not known whether it can serve."),
        ),
        Some(0) => behind.without_endpoints(service, world),
        Some(_) => Health::current(),
    }
}

/// The selector of a Service; none when someone else makes its endpoints.
fn selector(service: &Value) -> Option<&Map<String, Value>> {
    service.pointer("/spec/selector").and_then(Value::as_object).filter(|selector| !selector.is_empty())
}

/// Whether a Service selects the pods of a Deployment, StatefulSet or DaemonSet, by the labels of its template.
pub fn leads_to(service: &Value, workload: &Value) -> bool {
    let labels = workload.pointer("/spec/template/metadata/labels");
    let has = |(key, value): (&String, &Value)| labels.and_then(|labels| labels.get(key)) == Some(value);
    selector(service).is_some_and(|selector| selector.iter().all(has))
}

fn without_object(service: &ObjectRef, world: &dyn World) -> Health {
    if world.is_unread(service) {
        return Health::new(Verdict::Unknown, "NotRead", format!("{service} could not be read."));
    }
    Health::new(Verdict::Missing, "Missing", format!("{service} does not exist."))
}

fn unobservable(reason: &str, message: String) -> Health {
    Health { reason: Untrusted::new(reason), warning: Some(Untrusted::new(message)), ..Health::current() }
}

/// How many endpoints of a Service are ready; none when its EndpointSlices were not read.
fn endpoints(service: &ObjectRef, live: &Value, world: &dyn World) -> Option<usize> {
    let slices = world.all(SLICES.0, SLICES.1, service.namespace());
    let own: Vec<&Value> =
        slices.into_iter().filter(|slice| label(slice, SERVICE_NAME) == Some(service.name.as_str())).collect();
    if own.is_empty() && !world.has_read(SLICES.0, SLICES.1) {
        return None;
    }
    let has_ports = !each(live, "spec.ports[]").is_empty();
    // A port of the Service that no pod has is left out of the slice.
    let usable = own.into_iter().filter(|slice| !has_ports || !each(slice, "ports[]").is_empty());
    Some(usable.map(|slice| each(slice, "endpoints[]").iter().filter(|(_, endpoint)| is_ready(endpoint)).count()).sum())
}

/// Whether new requests may go to an endpoint. One that terminates may still serve, but not for long.
fn is_ready(endpoint: &Value) -> bool {
    let is = |condition: &str| endpoint.pointer(&format!("/conditions/{condition}")).and_then(Value::as_bool);
    // Not said means ready.
    is("ready") != Some(false) && is("terminating") != Some(true)
}

/// What is behind a Service: the workloads whose pods it selects.
struct Behind<'a> {
    /// SpinApps, and workloads that no SpinApp stands for, each with its object.
    workloads: Vec<(ObjectRef, &'a Value)>,
    /// The Deployments and StatefulSets that autoscalers scale.
    scaled: Vec<ObjectRef>,
}

impl<'a> Behind<'a> {
    fn of(service: &ObjectRef, live: &Value, world: &'a dyn World) -> Self {
        let mut behind = Self { workloads: Vec::new(), scaled: Vec::new() };
        let Some(selector) = selector(live) else { return behind };
        let namespace = service.namespace();
        // The label by which a SpinApp's pods are found (SpinKube, Service of a SpinApp).
        let named =
            selector.keys().filter_map(|key| key.strip_prefix("core.spinkube.dev/app.")?.strip_suffix(".status"));
        for app in named.map(|name| ObjectRef::new(SPIN, "SpinApp", namespace, name)) {
            behind.scaled.push(ObjectRef::new("apps", "Deployment", namespace, &app.name));
            behind.workloads.extend(world.live(&app).map(|value| (app, value)));
        }
        for kind in ["Deployment", "StatefulSet"] {
            for value in world.all("apps", kind, namespace) {
                if !leads_to(live, value) {
                    continue;
                }
                let workload = ObjectRef::new("apps", kind, namespace, meta(value, "name"));
                let app = ObjectRef::new(SPIN, "SpinApp", namespace, &workload.name);
                let app = world.live(&app).filter(|app| is_owned_by(value, app)).map(|value| (app, value));
                let (maker, value) = app.unwrap_or((workload.clone(), value));
                if !behind.scaled.contains(&workload) {
                    behind.scaled.push(workload);
                }
                if !behind.workloads.iter().any(|(known, _)| *known == maker) {
                    behind.workloads.push((maker, value));
                }
            }
        }
        behind
    }

    /// Whether all of the known workloads are to have no pods; none known says nothing.
    fn is_scaled_to_zero(&self, world: &dyn World) -> bool {
        let zero = |(reference, value): &(ObjectRef, &Value)| {
            let autoscaled = value.pointer("/spec/enableAutoscaling") == Some(&Value::Bool(true));
            let deployment = ObjectRef::new("apps", "Deployment", reference.namespace(), &reference.name);
            let of = if autoscaled { world.live(&deployment) } else { Some(*value) };
            of.and_then(|of| of.pointer("/spec/replicas")).and_then(Value::as_i64) == Some(0)
        };
        !self.workloads.is_empty() && self.workloads.iter().all(zero)
    }

    /// Whether a request wakes what is behind: an HTTPScaledObject of KEDA's HTTP add-on is about it.
    fn is_woken(&self, service: &ObjectRef, world: &dyn World) -> bool {
        let scalers = world.all("http.keda.sh", "HTTPScaledObject", service.namespace());
        scalers.iter().any(|scaler| {
            let target = scaler.pointer("/spec/scaleTargetRef");
            let text = |field: &str| target.and_then(|t| t.get(field)).and_then(Value::as_str);
            text("service") == Some(service.name.as_str())
                || text("name").is_some_and(|name| self.scales(name, text("kind")))
        })
    }

    fn scales(&self, name: &str, kind: Option<&str>) -> bool {
        self.scaled.iter().any(|workload| workload.name == name && workload.kind == kind.unwrap_or("Deployment"))
    }

    /// It has no replicas: an autoscaler may start some, though not because of a request.
    fn without_replicas(&self, service: &ObjectRef, world: &dyn World) -> Health {
        let names: Vec<String> = self.workloads.iter().map(|(workload, _)| workload.to_string()).collect();
        let scaler = super::SCALERS.iter().find_map(|(group, kind)| {
            let all = world.all(group, kind, service.namespace());
            let target = |scaler: &&Value, field: &str| {
                scaler.pointer(&format!("/spec/scaleTargetRef/{field}")).and_then(Value::as_str).map(str::to_owned)
            };
            let about = |scaler: &&Value| {
                target(scaler, "name").is_some_and(|n| self.scales(&n, target(scaler, "kind").as_deref()))
            };
            all.iter().find(|scaler| about(scaler)).map(|scaler| format!("{kind} {}", meta(scaler, "name")))
        });
        match scaler {
            Some(scaler) => Health::progressing(
                "ScaledToZero",
                format!("{} has no replicas, and {scaler} does not start one when a request comes.", names.join(", ")),
            ),
            None => Health::failed(
                "ZeroReplicas",
                format!("{} has 0 replicas, so {service} has no endpoint.", names.join(", ")),
            ),
        }
    }

    /// It has no ready endpoint; what is behind it may say why.
    fn without_endpoints(&self, service: &ObjectRef, world: &dyn World) -> Health {
        let sick =
            self.workloads.iter().map(|(workload, value)| (workload, super::health(workload, value, world, &[])));
        let sick: Vec<_> = sick.filter(|(_, health)| health.verdict != Verdict::Current).collect();
        // One workload that may still start is enough.
        let all_failed = sick.len() == self.workloads.len() && sick.iter().all(|(_, h)| h.verdict == Verdict::Failed);
        let Some((workload, health)) = sick.first() else {
            return Health::progressing("NoEndpoints", format!("{service} has no ready endpoint."));
        };
        let verdict = if all_failed { Verdict::Failed } else { Verdict::Progressing };
        let why = format!("{service} has no ready endpoint: {workload}: {}", health.message.raw());
        let reason = if all_failed { health.reason.raw() } else { "NoEndpoints" };
        Health::new(verdict, reason, why)
    }
}

/// Whether an object is owned by another.
fn is_owned_by(value: &Value, owner: &Value) -> bool {
    let uid = meta(owner, "uid");
    each(value, "metadata.ownerReferences[]").iter().any(|(_, o)| o.get("uid").and_then(Value::as_str) == Some(uid))
}
