//! SpinKube: SpinApp and SpinAppExecutor, and the RuntimeClass that an executor runs on.

use super::general::{exists, replicas};
use super::health::{Health, Verdict, World, condition, conditions, count, from_condition, generation, reason, status};
use super::reference::{Rule, To};
use super::workload::waiting_reason;
use super::{Kind, PLAIN, SPIN};
use crate::object::{ObjectRef, label, meta};
use serde_json::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        group: SPIN,
        kind: "SpinApp",
        references: &[
            Rule { at: "spec.executor", to: To::Name(SPIN, "SpinAppExecutor") },
            Rule { at: "spec.serviceAccountName", to: To::Name("", "ServiceAccount") },
            Rule { at: "spec.imagePullSecrets[]", to: To::Local("", "Secret") },
            Rule { at: "spec.variables[].valueFrom.secretKeyRef", to: To::Local("", "Secret") },
            Rule { at: "spec.variables[].valueFrom.configMapKeyRef", to: To::Local("", "ConfigMap") },
            Rule { at: "spec.runtimeConfig.loadFromSecret", to: To::Name("", "Secret") },
            Rule {
                at: "spec.runtimeConfig.keyValueStores[].options[].valueFrom.secretKeyRef",
                to: To::Local("", "Secret"),
            },
            Rule {
                at: "spec.runtimeConfig.keyValueStores[].options[].valueFrom.configMapKeyRef",
                to: To::Local("", "ConfigMap"),
            },
            Rule {
                at: "spec.runtimeConfig.sqliteDatabases[].options[].valueFrom.secretKeyRef",
                to: To::Local("", "Secret"),
            },
            Rule {
                at: "spec.runtimeConfig.sqliteDatabases[].options[].valueFrom.configMapKeyRef",
                to: To::Local("", "ConfigMap"),
            },
            Rule { at: "spec.runtimeConfig.llmCompute.options[].valueFrom.secretKeyRef", to: To::Local("", "Secret") },
            Rule {
                at: "spec.runtimeConfig.llmCompute.options[].valueFrom.configMapKeyRef",
                to: To::Local("", "ConfigMap"),
            },
            Rule { at: "spec.volumes[].secret.secretName", to: To::Name("", "Secret") },
            Rule { at: "spec.volumes[].projected.sources[].secret", to: To::Local("", "Secret") },
            Rule { at: "spec.volumes[].projected.sources[].configMap", to: To::Local("", "ConfigMap") },
            Rule { at: "spec.volumes[].configMap", to: To::Local("", "ConfigMap") },
            Rule { at: "spec.volumes[].persistentVolumeClaim.claimName", to: To::Name("", "PersistentVolumeClaim") },
        ],
        evidence: &["spec.image", "spec.replicas", "spec.enableAutoscaling"],
        provides: |app, _| {
            let namespace = app.namespace();
            vec![
                ObjectRef::new("apps", "Deployment", namespace, &app.name),
                ObjectRef::new("", "Service", namespace, &app.name),
            ]
        },
        health: app,
        ..PLAIN
    },
    Kind {
        group: SPIN,
        kind: "SpinAppExecutor",
        references: &[Rule {
            at: "spec.deploymentConfig.runtimeClassName",
            to: To::ClusterName("node.k8s.io", "RuntimeClass"),
        }],
        health: exists,
        held: true,
        evidence: &["spec.createDeployment"],
        ..PLAIN
    },
    Kind { group: "node.k8s.io", kind: "RuntimeClass", health: exists, immutable: &["handler"], ..PLAIN },
];

/// A SpinApp by its Deployment: its own conditions carry no generation and mirror the Deployment as it was before the
/// operator's last write (SpinKube, spinapp_controller).
fn app(live: &Value, world: &dyn World) -> Health {
    let (namespace, name) = (meta(live, "namespace"), meta(live, "name"));
    let executor = live.pointer("/spec/executor").and_then(Value::as_str).unwrap_or_default();
    let executor = ObjectRef::new(SPIN, "SpinAppExecutor", namespace, executor);
    if let Some(executor) = world.live(&executor)
        && executor.pointer("/spec/createDeployment") == Some(&Value::Bool(false))
    {
        return Health::new(
            Verdict::Unknown,
            "NoDeployment",
            "Its executor makes no Deployment, so nothing proves that it runs.",
        );
    }
    let deployment = ObjectRef::new("apps", "Deployment", namespace, name);
    let Some(deployment) = world.live(&deployment) else {
        return if world.is_unread(&deployment) {
            Health::new(Verdict::Unknown, "NotRead", "Its Deployment could not be read.")
        } else {
            without_deployment(live)
        };
    };
    let owned = deployment.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    if !owned.into_iter().any(|o| o.get("uid").and_then(Value::as_str) == Some(meta(live, "uid"))) {
        return Health::progressing(
            "DeploymentNotOurs",
            format!("Deployment {namespace}/{name} does not belong to this SpinApp yet."),
        );
    }
    let wanted_image = live.pointer("/spec/image");
    let image = deployment.pointer("/spec/template/spec/containers/0/image");
    if image != wanted_image {
        return Health::progressing("Updating", "Its Deployment does not have this image yet.");
    }
    let seen = count(deployment, "/status/observedGeneration") >= generation(deployment);
    if let Some(health) = pod_failure(live, deployment, world).filter(|_| seen) {
        return health;
    }
    let autoscaled = live.pointer("/spec/enableAutoscaling") == Some(&Value::Bool(true));
    let of = if autoscaled { deployment } else { live };
    let wanted = of.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    replicas(deployment, wanted, "/status/updatedReplicas", "/status/availableReplicas")
}

/// Nothing was made yet. Once there was a Deployment, its absence counts for more than old conditions.
fn without_deployment(live: &Value) -> Health {
    let failed = conditions(live, "/status/conditions").find(|c| reason(c) == "ProgressDeadlineExceeded");
    match (failed, condition(live, "/status/conditions", "Progressing")) {
        (Some(c), _) => from_condition(Verdict::Failed, c),
        (None, Some(c)) if status(c) == "False" => from_condition(Verdict::Failed, c),
        (None, Some(_)) => Health::progressing("DeploymentNotFound", "Its Deployment does not exist yet."),
        (None, None) => Health::progressing("NotClaimed", "The Spin operator has not answered for it."),
    }
}

/// An early verdict: a pod of the Deployment's template that cannot start. Pods of an older one are going anyway.
fn pod_failure(live: &Value, deployment: &Value, world: &dyn World) -> Option<Health> {
    let (namespace, name) = (meta(live, "namespace"), meta(live, "name"));
    let pods = world.all("", "Pod", namespace);
    let mine = pods.into_iter().filter(|pod| label(pod, "core.spinkube.dev/app-name") == Some(name));
    let same = |pod: &Value, field: &str| {
        pod.pointer(&format!("/spec/containers/0/{field}"))
            == deployment.pointer(&format!("/spec/template/spec/containers/0/{field}"))
    };
    let of_template = mine.filter(|pod| same(pod, "image") && same(pod, "env"));
    let (pod, (reason, message)) = of_template.filter_map(|pod| Some((pod, waiting_reason(pod)?))).next()?;
    Some(Health::failed(reason, format!("Pod {namespace}/{}: {message}", meta(pod, "name"))))
}
