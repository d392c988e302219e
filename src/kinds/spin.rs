//! SpinKube: SpinApp and SpinAppExecutor, and the RuntimeClass that an executor runs on.

use super::general::{exists, replicas};
use super::health::{
    Health, Verdict, World, condition, conditions, from_condition, generation, reason, status, written_at,
};
use super::pods::{explained, steady};
use super::reference::{Rule, To};
use super::rendered::missing;
use super::{Kind, PLAIN, SPIN};
use crate::object::{ObjectRef, Untrusted, meta};
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
            Rule { at: "spec.runtimeConfig.loadFromSecret", to: To::Holding("", "Secret", "runtime-config.toml") },
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
        named: &[
            ("spec.variables", "name"),
            ("spec.imagePullSecrets", "name"),
            ("spec.volumes", "name"),
            ("spec.volumeMounts", "mountPath"),
            ("spec.runtimeConfig.keyValueStores", "name"),
            ("spec.runtimeConfig.sqliteDatabases", "name"),
            ("spec.runtimeConfig.keyValueStores[].options", "name"),
            ("spec.runtimeConfig.sqliteDatabases[].options", "name"),
            ("spec.runtimeConfig.llmCompute.options", "name"),
        ],
        filled: &["/spec/executor"],
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
    let autoscaled = live.pointer("/spec/enableAutoscaling") == Some(&Value::Bool(true));
    let warning = match carried(live, deployment, autoscaled, world) {
        Ok(warning) => warning,
        Err(health) => return *health,
    };
    let of = if autoscaled { deployment } else { live };
    let wanted = of.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let rollout = replicas(deployment, wanted, "/status/updatedReplicas", "/status/availableReplicas");
    let rollout = explained(steady(rollout, deployment, world), deployment, world);
    Health { warning: rollout.warning.or(warning), ..rollout }
}

/// How long after a change of a SpinApp its operator may be silent about what a Deployment does not show, in seconds.
const SETTLE: i64 = 5;
/// How long a field may differ after the operator has answered, in seconds: it wrote the Deployment, so that the rest is
/// another way of writing the same.
const ANSWERED: i64 = 30;
/// The same while it has not: it may be restarting.
const SILENT: i64 = 120;

/// Whether a Deployment carries what the SpinApp says now; what is not yet so is the error. A field that another operator
/// writes in another way must not keep an app from ever being healthy: after a while it is a warning.
fn carried(
    app: &Value,
    deployment: &Value,
    autoscaled: bool,
    world: &dyn World,
) -> Result<Option<Untrusted>, Box<Health>> {
    let updating = |message: String| Err(Box::new(Health::progressing("Updating", message)));
    let record = recorded(app);
    if record == Some(false) {
        let text = "The Spin operator has not seen this generation.";
        return Err(Box::new(Health::progressing("Stale", text)));
    }
    if deployment.pointer("/spec/template/spec/containers/0/image") != app.pointer("/spec/image") {
        return updating("Its Deployment does not have this image yet.".to_owned());
    }
    let replicas = |of: &Value| of.pointer("/spec/replicas").and_then(Value::as_i64);
    if let (false, Some(wanted), Some(live)) = (autoscaled, replicas(app), replicas(deployment))
        && wanted != live
    {
        return updating(format!("Its Deployment has {live} replicas and not {wanted} yet."));
    }
    if record == Some(true) || world.is_partial() {
        return Ok(None);
    }
    let (changed, answered) = (written_at(app), written_at(deployment));
    let has_answered = answered >= changed;
    let age = changed.max(answered).zip(world.now()).map(|(last, now)| now - last);
    let missing = missing(app, deployment);
    if missing.is_empty() {
        let settling = !has_answered && age.is_some_and(|age| age < SETTLE);
        let text = "The Spin operator may not have seen the change yet.";
        return if settling { Err(Box::new(Health::progressing("Settling", text))) } else { Ok(None) };
    }
    let fields = missing.join(", ");
    if age.is_some_and(|age| age < if has_answered { ANSWERED } else { SILENT }) {
        return updating(format!("Its Deployment does not have {fields} as it should yet."));
    }
    Ok(Some(Untrusted::new(format!(
        "Its Deployment has {fields} otherwise than expected; the Spin operator left it so."
    ))))
}

/// Whether the operator says that it has seen this generation; none when it does not say what it has seen (up to 0.6).
fn recorded(app: &Value) -> Option<bool> {
    let seen = |value: &Value| value.get("observedGeneration").and_then(Value::as_i64);
    let conditions = conditions(app, "/status/conditions").filter_map(seen).min();
    let seen = app.get("status").and_then(seen).or(conditions)?;
    Some(seen >= generation(app))
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

/// The labels of the pods of an app: its own, and those by which the operator selects them (spin-operator, `constructDeployment`).
/// What stands in the place of one of the operator's leaves unknown which of the two counts, so neither does.
pub fn labels_of_app(name: &str, app: &Value) -> Value {
    let mut labels = app.pointer("/spec/podLabels").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in
        [("core.spinkube.dev/app-name".to_owned(), name), (format!("core.spinkube.dev/app.{name}.status"), "ready")]
    {
        if labels.get(&key).is_none_or(|own| own == value) {
            labels.insert(key, Value::from(value));
        } else {
            labels.remove(&key);
        }
    }
    Value::Object(labels)
}
