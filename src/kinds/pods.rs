//! Why the pods of a workload do not start: one mechanism for Deployments, StatefulSets, DaemonSets, Jobs, SpinApps and Pods.
//!
//! What a kubelet tries again without end (pulling an image, waiting for a Secret) may end well for two minutes; what cannot
//! end well by itself fails at once. Pods of an older template never count: they are going anyway.

use super::each;
use super::health::{Health, Verdict, World, condition, conditions, message, reason, status, written_at};
use crate::object::{annotation, label, meta, seconds};
use serde_json::Value;

/// How long a retry loop may last before it is a failure, in seconds.
const LOOP: i64 = 120;
/// How long a workload without readiness probe must have been rolled out before it counts as healthy, in seconds: its pods
/// are ready as soon as they run, and one that cannot run ends right after that.
const STEADY: i64 = 3;

/// Reasons of a waiting container that no waiting ends: it ran and crashed each time, or its image has no valid name.
const FATAL: [&str; 2] = ["CrashLoopBackOff", "InvalidImageName"];

/// Reasons of a waiting container that the kubelet tries again: the image, a Secret or a ConfigMap may be there next time.
const LOOPS: [&str; 10] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CreatePodSandboxError",
];

/// A rollout that is under way, with what its pods say: a failure that they show, else the reason for which it lasts.
pub(super) fn explained(rollout: Health, workload: &Value, world: &dyn World) -> Health {
    if rollout.verdict != Verdict::Progressing || rollout.reason.raw() == "Stale" {
        return rollout;
    }
    let pods = current(workload, world);
    let found = pods.iter().filter_map(|pod| Some((pod, trouble(pod, world)?)));
    let named = found.map(|(pod, health)| {
        let health =
            if is_retried(workload, &health) { Health { verdict: Verdict::Progressing, ..health } } else { health };
        let text = format!("Pod {}/{}: {}", meta(pod, "namespace"), meta(pod, "name"), health.message.raw());
        Health::new(health.verdict, health.reason.raw(), text)
    });
    let all: Vec<Health> = named.chain(not_created(workload, world)).collect();
    let failed = all.iter().find(|health| health.verdict == Verdict::Failed);
    failed.or(all.first()).cloned().unwrap_or(rollout)
}

/// A Job restarts what crashed until its `backoffLimit` ends it.
fn is_retried(workload: &Value, health: &Health) -> bool {
    workload.get("kind").is_some_and(|kind| kind == "Job") && health.reason.raw() == "CrashLoopBackOff"
}

/// Pods that cannot even be created, because of a quota or of what admits them: only the Deployment says so.
fn not_created(workload: &Value, world: &dyn World) -> Option<Health> {
    let failure = condition(workload, "/status/conditions", "ReplicaFailure").filter(|c| status(c) == "True")?;
    // The condition may be older than what the Deployment wants now.
    let since = time(failure, "lastTransitionTime").max(written_at(workload));
    Some(looping(reason(failure), message(failure), since, world))
}

/// What keeps a pod from running, if anything is known to.
pub(super) fn trouble(pod: &Value, world: &dyn World) -> Option<Health> {
    let statuses =
        || conditions(pod, "/status/initContainerStatuses").chain(conditions(pod, "/status/containerStatuses"));
    let waiting = || statuses().filter_map(|container| Some((container, container.pointer("/state/waiting")?)));
    if let Some((container, waiting)) = waiting().find(|(_, waiting)| FATAL.contains(&reason(waiting))) {
        return Some(Health::failed(reason(waiting), format!("{}{}", message(waiting), last_end(container))));
    }
    if let Some((_, waiting)) = waiting().find(|(_, waiting)| LOOPS.contains(&reason(waiting))) {
        return Some(looping(reason(waiting), message(waiting), started(pod), world));
    }
    let ended =
        statuses().find_map(|container| container.pointer("/state/terminated").filter(|end| exit_code(end) != 0));
    if let Some(end) = ended {
        return Some(Health::progressing(reason(end), format!("it ended with exit code {}.", exit_code(end))));
    }
    let unscheduled = condition(pod, "/status/conditions", "PodScheduled").filter(|c| status(c) == "False")?;
    Some(Health::progressing(reason(unscheduled), message(unscheduled)))
}

fn exit_code(end: &Value) -> i64 {
    end.get("exitCode").and_then(Value::as_i64).unwrap_or_default()
}

/// How a container ended the last time, in words.
fn last_end(container: &Value) -> String {
    let end = container.pointer("/lastState/terminated");
    end.map(|end| format!(" (exit code {}, {})", exit_code(end), reason(end))).unwrap_or_default()
}

/// A retry loop that began then.
fn looping(reason: &str, message: &str, since: Option<i64>, world: &dyn World) -> Health {
    let lasts = since.zip(world.now()).map(|(since, now)| now - since);
    match lasts.filter(|lasts| *lasts >= LOOP) {
        Some(lasts) => Health::failed(reason, format!("{message} (for {lasts} s)")),
        None => Health::progressing(reason, message),
    }
}

/// When the last thing happened to a pod that may have begun a loop: kubelets record no time for the loop itself, but a
/// change of any condition and the end of a container do not happen during one.
fn started(pod: &Value) -> Option<i64> {
    let conditions = conditions(pod, "/status/conditions").filter_map(|c| time(c, "lastTransitionTime"));
    let ends = conditions_of_ends(pod);
    let recorded = conditions.chain(ends).max();
    let start = || pod.pointer("/status/startTime").and_then(Value::as_str).and_then(seconds);
    recorded.or_else(start).or_else(|| seconds(meta(pod, "creationTimestamp")))
}

fn conditions_of_ends(pod: &Value) -> impl Iterator<Item = i64> {
    let containers = conditions(pod, "/status/containerStatuses");
    containers.filter_map(|c| time(c.pointer("/lastState/terminated")?, "finishedAt"))
}

fn time(value: &Value, field: &str) -> Option<i64> {
    value.get(field).and_then(Value::as_str).and_then(seconds)
}

/// The pods of a workload's current template, as far as they were read.
pub(super) fn current<'a>(workload: &Value, world: &'a dyn World) -> Vec<&'a Value> {
    let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let Some(labels) = labels.filter(|labels| !labels.is_empty()) else { return Vec::new() };
    let selected = |pod: &&Value| labels.iter().all(|(key, value)| label(pod, key) == value.as_str());
    let pods = world.all("", "Pod", meta(workload, "namespace")).into_iter().filter(selected);
    match workload.get("kind").and_then(Value::as_str) {
        Some("StatefulSet") => {
            let revision = workload.pointer("/status/updateRevision").and_then(Value::as_str);
            pods.filter(|pod| label(pod, "controller-revision-hash") == revision).collect()
        }
        Some("DaemonSet") => {
            let generation = annotation(workload, "deprecated.daemonset.template.generation");
            pods.filter(|pod| label(pod, "pod-template-generation") == generation).collect()
        }
        Some("Job") => pods.collect(),
        _ => of_template(workload, pods.collect(), world),
    }
}

/// The pods that a Deployment made of its template as it is now. The hash of a template cannot be computed here, so they are
/// compared with it.
fn of_template<'a>(deployment: &Value, pods: Vec<&'a Value>, world: &dyn World) -> Vec<&'a Value> {
    let Some(template) = deployment.pointer("/spec/template") else { return Vec::new() };
    let partial = world.is_partial();
    let mut found: Vec<&Value> = pods.iter().copied().filter(|pod| is_made_of(pod, template, partial)).collect();
    if found.is_empty() {
        // Admission may have changed all of them; then those count that were made since the template was written.
        let written = written_at(deployment);
        let images = |pod: &&Value| is_made_of(pod, template, true);
        let since =
            |pod: &&Value| written.is_some_and(|t| seconds(meta(pod, "creationTimestamp")).is_some_and(|c| c >= t));
        found = pods.into_iter().filter(images).filter(since).collect();
    }
    // Of several templates that look the same from here, the one that pods were made of last.
    let newest = found.iter().max_by_key(|pod| meta(pod, "creationTimestamp")).copied();
    let hash = newest.and_then(|pod| label(pod, "pod-template-hash"));
    found.retain(|pod| label(pod, "pod-template-hash") == hash);
    found
}

/// Whether a pod has the containers of a template; with `partial` only their images are compared.
fn is_made_of(pod: &Value, template: &Value, partial: bool) -> bool {
    const FIELDS: [&str; 6] = ["command", "args", "env", "envFrom", "readinessProbe", "livenessProbe"];
    let containers = each(pod, "spec.containers[]");
    let same = |wanted: &Value| {
        let found = containers.iter().find(|(_, container)| container.get("name") == wanted.get("name"));
        let alike = |container: &Value| partial || FIELDS.iter().all(|field| container.get(field) == wanted.get(field));
        found.is_some_and(|(_, container)| container.get("image") == wanted.get("image") && alike(container))
    };
    let marks = |field: &str| {
        let wanted = template.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        let found = pod.pointer(&format!("/metadata/{field}"));
        wanted.into_iter().flatten().all(|(key, value)| found.and_then(|f| f.get(key)) == Some(value))
    };
    each(template, "spec.containers[]").iter().all(|(_, wanted)| same(wanted))
        && (partial || marks("labels") && marks("annotations"))
}

/// A rollout that is done, held back while pods that nothing probes have run for a moment only.
pub(super) fn steady(rollout: Health, workload: &Value, world: &dyn World) -> Health {
    let probed =
        each(workload, "spec.template.spec.containers[]").iter().all(|(_, c)| c.get("readinessProbe").is_some());
    let has_pods = workload.pointer("/spec/replicas").and_then(Value::as_i64) != Some(0);
    if rollout.verdict != Verdict::Current || probed || !has_pods || world.is_partial() {
        return rollout;
    }
    let done = condition(workload, "/status/conditions", "Progressing").and_then(|c| time(c, "lastUpdateTime"));
    match done.zip(world.now()).map(|(done, now)| now - done) {
        Some(age) if (0..STEADY).contains(&age) => {
            Health::progressing("Steadying", "Its pods have no readiness probe and have run for a moment only.")
        }
        _ => rollout,
    }
}
