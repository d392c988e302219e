//! Kubernetes' own workloads: Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod.

use super::general::{exists, replicas};
use super::health::{Health, Verdict, World, condition, conditions, count, from_condition, generation, status};
use super::pods::{explained, steady, trouble};
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use serde_json::Value;

/// The references of a pod template below a prefix.
macro_rules! pod_references {
    ($prefix:literal $(, $more:expr)*) => {
        &[
            $($more,)*
            Rule { at: concat!($prefix, "serviceAccountName"), to: To::Name("", "ServiceAccount") },
            Rule { at: concat!($prefix, "runtimeClassName"), to: To::ClusterName("node.k8s.io", "RuntimeClass") },
            Rule {
                at: concat!($prefix, "priorityClassName"),
                to: To::ClusterName("scheduling.k8s.io", "PriorityClass"),
            },
            Rule { at: concat!($prefix, "imagePullSecrets[]"), to: To::Local("", "Secret") },
            Rule { at: concat!($prefix, "volumes[].secret.secretName"), to: To::Name("", "Secret") },
            Rule { at: concat!($prefix, "volumes[].configMap"), to: To::Local("", "ConfigMap") },
            Rule { at: concat!($prefix, "volumes[].projected.sources[].secret"), to: To::Local("", "Secret") },
            Rule { at: concat!($prefix, "volumes[].projected.sources[].configMap"), to: To::Local("", "ConfigMap") },
            Rule {
                at: concat!($prefix, "volumes[].persistentVolumeClaim.claimName"),
                to: To::Name("", "PersistentVolumeClaim"),
            },
            Rule { at: concat!($prefix, "containers[].env[].valueFrom.secretKeyRef"), to: To::Local("", "Secret") },
            Rule {
                at: concat!($prefix, "containers[].env[].valueFrom.configMapKeyRef"),
                to: To::Local("", "ConfigMap"),
            },
            Rule { at: concat!($prefix, "containers[].envFrom[].secretRef"), to: To::Local("", "Secret") },
            Rule { at: concat!($prefix, "containers[].envFrom[].configMapRef"), to: To::Local("", "ConfigMap") },
            Rule { at: concat!($prefix, "initContainers[].env[].valueFrom.secretKeyRef"), to: To::Local("", "Secret") },
            Rule {
                at: concat!($prefix, "initContainers[].env[].valueFrom.configMapKeyRef"),
                to: To::Local("", "ConfigMap"),
            },
            Rule { at: concat!($prefix, "initContainers[].envFrom[].secretRef"), to: To::Local("", "Secret") },
            Rule { at: concat!($prefix, "initContainers[].envFrom[].configMapRef"), to: To::Local("", "ConfigMap") },
        ]
    };
}

const TEMPLATE: &[Rule] = pod_references!("spec.template.spec.");
const STATEFUL: &[Rule] =
    pod_references!("spec.template.spec.", Rule { at: "spec.serviceName", to: To::Name("", "Service") });
const POD: &[Rule] = pod_references!("spec.");
const CRON: &[Rule] = pod_references!("spec.jobTemplate.spec.template.spec.");

/// What a Deployment or StatefulSet, and the SpinApp that a Deployment is made for, is judged by.
const REPLICAS: &[&str] = &[
    "spec.replicas",
    "spec.selector",
    "spec.template.spec.containers[].image",
    "spec.template.spec.containers[].name",
    "spec.updateStrategy",
    "status.replicas",
    "status.updatedReplicas",
    "status.availableReplicas",
    "status.unavailableReplicas",
];

pub(super) const KINDS: &[Kind] = &[
    Kind {
        group: "apps",
        kind: "Deployment",
        evidence: REPLICAS,
        references: TEMPLATE,
        health: deployment,
        immutable: &["spec.selector"],
        fallback: ONE_REPLICA,
        ..PLAIN
    },
    Kind {
        group: "apps",
        kind: "ReplicaSet",
        references: TEMPLATE,
        immutable: &["spec.selector"],
        fallback: ONE_REPLICA,
        ..PLAIN
    },
    Kind {
        group: "apps",
        kind: "StatefulSet",
        evidence: REPLICAS,
        references: STATEFUL,
        health: stateful_set,
        held: true,
        immutable: &["spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"],
        fallback: &[("spec.replicas", "1"), ("spec.podManagementPolicy", "\"OrderedReady\"")],
        ..PLAIN
    },
    Kind {
        group: "apps",
        kind: "DaemonSet",
        evidence: &[
            "spec.selector",
            "spec.template.spec.containers[].image",
            "status.desiredNumberScheduled",
            "status.updatedNumberScheduled",
            "status.numberAvailable",
        ],
        references: TEMPLATE,
        health: daemon_set,
        immutable: &["spec.selector"],
        ..PLAIN
    },
    Kind {
        group: "batch",
        kind: "Job",
        evidence: &["spec.selector", "spec.suspend", "spec.completionMode", "status.succeeded"],
        references: TEMPLATE,
        health: job,
        immutable: &[
            "spec.selector",
            "spec.completionMode",
            "spec.podFailurePolicy",
            "spec.backoffLimitPerIndex",
            "spec.successPolicy",
            "spec.managedBy",
        ],
        sealed: sealed_job,
        fallback: &[
            ("spec.completions", "1"),
            ("spec.parallelism", "1"),
            ("spec.backoffLimit", "6"),
            ("spec.completionMode", "\"NonIndexed\""),
        ],
        ..PLAIN
    },
    Kind { group: "batch", kind: "CronJob", references: CRON, health: exists, ..PLAIN },
    Kind {
        kind: "Pod",
        references: POD,
        health: pod,
        immutable: &["spec"],
        mutable: &[
            "spec.containers[].image",
            "spec.initContainers[].image",
            "spec.activeDeadlineSeconds",
            "spec.terminationGracePeriodSeconds",
            "spec.tolerations",
            "spec.schedulingGates",
        ],
        evidence: &[
            "spec.containers[].image",
            "spec.containers[].name",
            "status.containerStatuses[].state",
            "status.containerStatuses[].lastState",
            "status.initContainerStatuses[].state",
            "status.startTime",
        ],
        ..PLAIN
    },
];

/// Pods that no one gives a number of are one.
const ONE_REPLICA: &[(&str, &str)] = &[("spec.replicas", "1")];

/// What of a Job is fixed: while it is suspended, where its pods may run can be changed, and an Indexed one can be made larger.
fn sealed_job(job: &Value) -> &'static [&'static str] {
    let is_suspended = job.pointer("/spec/suspend") == Some(&Value::Bool(true));
    let is_indexed = job.pointer("/spec/completionMode").is_some_and(|mode| mode == "Indexed");
    match (is_suspended, is_indexed) {
        (false, false) => &["spec.template", "spec.completions"],
        (false, true) => &["spec.template"],
        (true, _) => &[
            "spec.template.spec.containers[].image",
            "spec.template.spec.containers[].command",
            "spec.template.spec.containers[].args",
            "spec.template.spec.containers[].env",
            "spec.template.spec.volumes",
            "spec.template.spec.restartPolicy",
            "spec.template.spec.serviceAccountName",
        ],
    }
}

fn wanted(live: &Value) -> i64 {
    live.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn deployment(live: &Value, world: &dyn World) -> Health {
    let rollout = replicas(live, wanted(live), "/status/updatedReplicas", "/status/availableReplicas");
    explained(steady(rollout, live, world), live, world)
}

fn stateful_set(live: &Value, world: &dyn World) -> Health {
    explained(stateful_rollout(live), live, world)
}

/// A partition leaves the pods below it as they are.
fn stateful_rollout(live: &Value) -> Health {
    let partition = count(live, "/spec/updateStrategy/rollingUpdate/partition");
    if live.pointer("/spec/updateStrategy/type").is_some_and(|t| t == "OnDelete") || partition > 0 {
        let (wanted, available) = (wanted(live), count(live, "/status/availableReplicas"));
        let (updated, due) = (count(live, "/status/updatedReplicas"), (wanted - partition).max(0));
        if count(live, "/status/observedGeneration") < generation(live) {
            return Health::progressing("Stale", "Its controller has not seen this generation.");
        }
        if partition > 0 && updated < due || available < wanted {
            return Health::progressing(
                "Updating",
                format!("{updated} of {due} replicas are updated, {available} of {wanted} available."),
            );
        }
        return Health::current();
    }
    replicas(live, wanted(live), "/status/updatedReplicas", "/status/availableReplicas")
}

fn daemon_set(live: &Value, world: &dyn World) -> Health {
    explained(daemon_rollout(live), live, world)
}

fn daemon_rollout(live: &Value) -> Health {
    if count(live, "/status/observedGeneration") < generation(live) {
        return Health::progressing("Stale", "Its controller has not seen this generation.");
    }
    let wanted = count(live, "/status/desiredNumberScheduled");
    let (updated, available) = (count(live, "/status/updatedNumberScheduled"), count(live, "/status/numberAvailable"));
    if updated < wanted || available < wanted {
        return Health::progressing(
            "Updating",
            format!("{updated} of {wanted} pods are updated, {available} available."),
        );
    }
    Health::current()
}

fn job(live: &Value, world: &dyn World) -> Health {
    explained(job_run(live), live, world)
}

/// A Job is current once it is complete; while it runs it progresses.
fn job_run(live: &Value) -> Health {
    for c in conditions(live, "/status/conditions").filter(|c| status(c) == "True") {
        match c.get("type").and_then(Value::as_str) {
            Some("Failed" | "FailureTarget") => return from_condition(Verdict::Failed, c),
            Some("Complete") => return Health::current(),
            Some("Suspended") => return from_condition(Verdict::Progressing, c),
            _ => {}
        }
    }
    Health::progressing("Running", format!("{} of its pods have succeeded.", count(live, "/status/succeeded")))
}

fn pod(live: &Value, world: &dyn World) -> Health {
    let phase = live.pointer("/status/phase").and_then(Value::as_str);
    let ended = matches!(phase, Some("Succeeded" | "Failed"));
    if let Some(health) = trouble(live, world).filter(|_| !ended) {
        return health;
    }
    match phase {
        Some("Succeeded") => Health::current(),
        Some("Failed") => Health::failed("Failed", "The pod has failed."),
        Some("Running") if condition(live, "/status/conditions", "Ready").is_some_and(|c| status(c) == "True") => {
            Health::current()
        }
        phase => Health::progressing(phase.unwrap_or("Pending"), "The pod is not ready."),
    }
}
